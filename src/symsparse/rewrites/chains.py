"""The order in which a chain of products is computed."""

import math
from typing import NamedTuple

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.math import Dot as DenseDot

from symsparse.ops.base import is_sparse
from symsparse.ops.layout import Transpose, asformat
from symsparse.ops.matmul import Dot, StructuredDot, structured_dot
from symsparse.rewrites.base import (
    is_dense_product,
    is_dense_transpose,
    known_nnz,
    leaves,
    made_by,
    read_once,
    readers,
    rewrites,
)
from symsparse.types import continuous_dtypes

# What is not known is taken for this.
SIZE, ENTRIES_A_ROW = 1000, 5
# What a multiply-add costs: in a dense product; in a sparse one with a dense factor; with two sparse factors, where the
# pattern must be found too.
DENSE, MIXED, SPARSE = 0.25, 1, 10
GAIN = 0.8  # the estimates are rough: another order must cost at most this much of the present one
LONGEST = 12  # factors; the work of comparing orders grows with the third power


class Factor(NamedTuple):
    """What is known, or supposed, of a factor or of a product of some: sizes, entries, what it took to compute."""

    rows: float
    columns: float
    entries: float
    sparse: bool
    constant: bool
    cost: float = 0.0


@rewrites(StructuredDot, Dot, DenseDot, Blockwise)
def cheapest_order(fgraph, node):
    """(a @ b) @ d = a @ (b @ d): a chain of products is computed in the order with the lowest estimated cost.

    The estimate counts multiply-adds, from static shapes and the entries of known patterns; what is not known is taken
    for 1000 rows or columns and 5 entries a row. Products of two sparse matrices count ten times, since their pattern
    must be found, and nothing if both are constants, since they are then multiplied at compile time. All orders are
    compared by dynamic programming, and the graph changes if the best saves a fifth.

    It does not fire across a product that something else reads, for integers, which would wrap around elsewhere, or for
    mixed dtypes. Orders of finite factors differ in rounding; an infinite or NaN entry meets the zeros of an empty row
    in one order and not in the other.

    Source: S. S. Godbole, On efficient computation of matrix chain products, IEEE Trans. Comput. C-22 (1973); entries
    of a product of sparse matrices as expected for random positions.
    """
    out = node.outputs[0]
    if not _is_product(node) or out.dtype not in continuous_dtypes or _is_inner(fgraph, out):
        return None
    tree = _tree(fgraph, out, top=True)
    factors = list(leaves(tree))
    if not 3 <= len(factors) <= LONGEST or not any(map(is_sparse, factors)):
        return None
    if any(v.dtype != out.dtype for v in factors):
        return None
    best, cuts = _best([_factor(v) for v in factors])
    if not best.cost < GAIN * _as_written(tree).cost:
        return None
    made = _built(factors, cuts, 0, len(factors) - 1)
    if is_sparse(out):
        return asformat(made, out.format)
    return made.toarray() if is_sparse(made) else made


def _is_product(node):
    """Whether a node multiplies a matrix with a matrix or a column."""
    a, b = node.inputs[0], node.inputs[-1]
    if not (isinstance(node.op, StructuredDot | Dot) or is_dense_product(node.op)):
        return False
    return a.type.ndim == 2 and b.type.ndim <= 2


def _is_inner(fgraph, v):
    """Whether a product is read by another one alone, perhaps transposed, which sees to the whole chain."""
    while read_once(fgraph, v):
        (reader,) = readers(fgraph, v)
        if len(reader.inputs) == 2 and _is_product(reader):
            return reader.outputs[0].dtype == v.dtype and (v.type.ndim == 2 or v is reader.inputs[1])
        if not reader.outputs or not (
            isinstance(reader.op, Transpose) or is_dense_transpose(reader.outputs[0])
        ):
            return False
        v = reader.outputs[0]
    return False


def _tree(fgraph, v, transposed=False, top=False):
    """A chain as it is written: pairs of pairs of factors."""
    if top or read_once(fgraph, v):
        if made_by(v, Transpose) or is_dense_transpose(v):
            return _tree(fgraph, v.owner.inputs[0], not transposed)
        if v.owner is not None and len(v.owner.inputs) == 2 and _is_product(v.owner):
            a, b = (_tree(fgraph, x, transposed) for x in v.owner.inputs)
            return (b, a) if transposed else (a, b)
    return v.T if transposed else v


def _factor(v):
    n, m = (SIZE if size is None else size for size in (*v.type.shape, 1)[:2])
    if not is_sparse(v):
        return Factor(n, m, n * m, sparse=False, constant=False)
    nnz = known_nnz(v)
    entries = min(n * m, ENTRIES_A_ROW * n) if nnz is None else nnz
    bare = v.owner.inputs[0] if made_by(v, Transpose) else v
    return Factor(n, m, entries, sparse=True, constant=isinstance(bare, Constant))


def _product(a, b):
    n, m, inner = a.rows, b.columns, max(a.columns, 1)
    if a.sparse and b.sparse:
        pairs = a.entries * b.entries / inner
        entries = n * m * -math.expm1(-pairs / (n * m)) if n * m else 0
        constant = a.constant and b.constant
        cost = 0 if constant else SPARSE * pairs
    else:
        entries, constant = n * m, False
        if a.sparse or b.sparse:
            cost = entries + MIXED * (a.entries * m if a.sparse else b.entries * n)
        else:
            cost = entries + DENSE * n * inner * m
    return Factor(n, m, entries, a.sparse and b.sparse, constant, a.cost + b.cost + cost)


def _as_written(tree):
    return _product(*map(_as_written, tree)) if isinstance(tree, tuple) else _factor(tree)


def _best(factors):
    """The cheapest product of a chain, and where it cuts each part (first, last) of the chain."""
    found = {(i, i): f for i, f in enumerate(factors)}
    cuts = {}
    for length in range(1, len(factors)):
        for i in range(len(factors) - length):
            j = i + length
            made = {k: _product(found[i, k], found[k + 1, j]) for k in range(i, j)}
            cuts[i, j] = min(made, key=lambda k: made[k].cost)
            found[i, j] = made[cuts[i, j]]
    return found[0, len(factors) - 1], cuts


def _built(factors, cuts, i, j):
    if i == j:
        return factors[i]
    a, b = _built(factors, cuts, i, cuts[i, j]), _built(factors, cuts, cuts[i, j] + 1, j)
    return structured_dot(a, b) if is_sparse(a) or is_sparse(b) else pt.dot(a, b)
