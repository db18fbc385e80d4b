"""Fewest conversions between csr and csc.

An operation on two sparse matrices needs both in one format, and its result has that of the first; so the second is
converted. Products with dense matrices, sums, diagonals and dense forms take either format as it comes, and a transpose
has the other format for nothing. What is constant is converted when the function is compiled; equal conversions are
done once.
"""

from pytensor.graph.basic import Constant

from symsparse.ops.arithmetic import AddSS, MulSS, add
from symsparse.ops.base import is_sparse
from symsparse.ops.conversion import DenseFromSparse, Diag
from symsparse.ops.layout import AsFormat, EnsureSortedIndices, asformat
from symsparse.ops.matmul import Dot, StructuredDot
from symsparse.ops.reduction import SpSum
from symsparse.rewrites.base import known_nnz, leaves, made_by, read_once, readers, rewrites


def takes_either(node):
    """Whether a node takes its one sparse operand in either format, for a dense result."""
    if isinstance(node.op, DenseFromSparse | Diag | SpSum):
        return True
    return isinstance(node.op, StructuredDot | Dot) and sum(map(is_sparse, node.inputs)) == 1


@rewrites(AsFormat)
def format_of_format(fgraph, node):
    """asformat(asformat(x, "csc"), "csr") = ensure_sorted_indices(x) for a csr matrix x, and the other way round.

    A conversion sorts, and keeps duplicates: so does the way there and back.
    """
    (x,) = node.inputs
    if not made_by(x, AsFormat) or x.owner.inputs[0].format != node.op.format:
        return None
    return EnsureSortedIndices(inplace=False)(x.owner.inputs[0])


@rewrites(DenseFromSparse, Diag, SpSum, StructuredDot, Dot)
def format_that_does_not_matter(fgraph, node):
    """asformat(x, f) @ d = x @ d, and so for sums, diagonals and dense forms: they take either format.

    Not for a constant x, which is converted at compile time: its format is the user's choice. It does not fire if the
    converted matrix is needed by something else anyway.
    """
    for i, x in enumerate(node.inputs):
        if is_sparse(x) and made_by(x, AsFormat) and takes_either(node):
            (bare,) = x.owner.inputs
            if isinstance(bare, Constant) or not all(map(takes_either, readers(fgraph, x))):
                return None
            return node.op(*node.inputs[:i], bare, *node.inputs[i + 1 :])
    return None


@rewrites(AddSS)
def formats_of_sum(fgraph, node):
    """x_csr + y_csc + z_csc = x_csr + (y_csc + z_csc): one conversion for all terms of the other format.

    A conversion that something else reads too is there anyway, and counts for nothing. It does not fire if something
    else reads a sum on the way, or if the terms differ in dtype.
    """
    out = node.outputs[0]
    reading = readers(fgraph, out)
    if len(reading) == 1 and isinstance(reading[0].op, AddSS):
        return None  # that one sees to the whole sum
    tree = _terms(fgraph, out, top=True)
    terms = list(leaves(tree))
    if any(x.dtype != out.dtype for x in terms):
        return None
    bare = [x.owner.inputs[0] if _is_converted(fgraph, x) else x for x in terms]
    own, other = ([x for x in bare if (x.format == out.format) == same] for same in (True, False))
    once = any(not isinstance(x, Constant) for x in other)
    if _conversions(fgraph, tree)[0] <= once or not own:
        return None
    return add(_total(own), _total(other)) if other else _total(own)


def _terms(fgraph, x, top=False):
    if made_by(x, AddSS) and (top or read_once(fgraph, x)):
        return tuple(_terms(fgraph, term) for term in x.owner.inputs)
    return x


def _conversions(fgraph, tree):
    """How many conversions a sum takes at run time, its format, and whether it is constant."""
    if not isinstance(tree, tuple):
        return int(_is_converted(fgraph, tree)), tree.format, isinstance(tree, Constant)
    (n, format, constant), (m, second, second_constant) = (_conversions(fgraph, term) for term in tree)
    return n + m + (format != second and not second_constant), format, constant and second_constant


def _is_converted(fgraph, x):
    return made_by(x, AsFormat) and not isinstance(x.owner.inputs[0], Constant) and read_once(fgraph, x)


def _total(terms):
    total = terms[0]
    for x in terms[1:]:
        total = add(total, x)
    return total


@rewrites(AddSS, MulSS, StructuredDot)
def format_of_result(fgraph, node):
    """x_csr + y_csc = asformat(x, "csc") + y_csc where that is cheaper, and so for products of two sparse matrices.

    Cheaper is the conversion of a constant, or of the one that is known to have fewer entries. Only where everything
    that reads the result takes either format: sums, products with dense matrices, dense forms.
    """
    x, y = node.inputs
    out = node.outputs[0]
    if not (is_sparse(x) and is_sparse(y)) or x.format == y.format or isinstance(y, Constant):
        return None
    n, m = known_nnz(x), known_nnz(y)
    if not (isinstance(x, Constant) or (n is not None and m is not None and n < m)):
        return None
    reading = readers(fgraph, out)
    if not reading or not all(map(takes_either, reading)):
        return None
    return asformat(node.op(asformat(x, y.format), y), out.format)
