"""Dense forms that nobody needs: ``x.toarray()`` where what reads it can read the sparse matrix.

Where an identity multiplies what is not stored, it does so as sparse algebra does: what is not stored is zero, also
times infinity or NaN.
"""

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.fg import Output
from pytensor.tensor.basic import ExtractDiag
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot as DenseDot, Sum
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor, indices_from_subtensor

from symsparse.ops.arithmetic import add, mul
from symsparse.ops.base import is_sparse
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense, diag
from symsparse.ops.elementwise import StructuredElemwise, cast, neg
from symsparse.ops.layout import transpose
from symsparse.ops.matmul import Dot, StructuredDot, TrueDot, dot, structured_dot
from symsparse.ops.reduction import SpSum
from symsparse.ops.sampling import Sample
from symsparse.ops.subscripts import getitem
from symsparse.rewrites.base import (
    as_tensors,
    constant_scalar,
    is_dense_product,
    is_dense_transpose,
    made_by,
    readers,
    rewrites,
)


def sparse_form(d):
    """The sparse matrix of which a dense variable is the dense form; None if it is not one."""
    return d.owner.inputs[0] if made_by(d, DenseFromSparse) else None


# -- products ---------------------------------------------------------------------------------------------------


@rewrites(DenseDot, Blockwise)
def dense_product_of_densified(fgraph, node):
    """toarray(x) @ d = x @ d and d @ toarray(x) = d @ x: no dense form of x.

    What x does not store is not multiplied, also by infinity or NaN.
    """
    if not is_dense_product(node.op) or any(v.type.ndim != 2 for v in node.inputs):
        return None
    a, b = node.inputs
    x, y = sparse_form(a), sparse_form(b)
    if x is None and y is None:
        return None
    return structured_dot(x, b) if x is not None else structured_dot(a, y)


@rewrites(StructuredDot, Dot)
def product_with_densified(fgraph, node):
    """X @ toarray(y) = dot(x, y) for sparse x and y: as for dense factors, the result is dense."""
    a, b = node.inputs
    x, y = sparse_form(a), sparse_form(b)
    if x is None and y is None:
        return None
    return dot(a if x is None else x, b if y is None else y)


@rewrites(DenseFromSparse)
def dense_form_of_product(fgraph, node):
    """toarray(true_dot(x, y)) = dot(x, y): what is dense in the end is computed so."""
    (product,) = node.inputs
    return dot(*product.owner.inputs) if made_by(product, TrueDot) else None


# -- sums, indices, diagonals -----------------------------------------------------------------------------------


@rewrites(Sum)
def sum_of_densified(fgraph, node):
    """toarray(x).sum(axis) = sp_sum(x, axis)."""
    x = sparse_form(node.inputs[0])
    if x is None:
        return None
    axis = node.op.axis
    if axis is None or len(axis) == 2:
        axis = None
    elif len(axis) == 1:
        axis = axis[0]
    else:
        return None
    wide = node.op.acc_dtype or node.outputs[0].dtype
    return SpSum(axis)(cast(x, wide))


@rewrites(SpSum)
def sum_of_sparse_of_dense(fgraph, node):
    """sp_sum(from_dense(d), axis) = d.sum(axis)."""
    (x,) = node.inputs
    if not made_by(x, SparseFromDense):
        return None
    dtype = node.outputs[0].dtype
    return pt.sum(x.owner.inputs[0], axis=node.op.axis, dtype=dtype, acc_dtype=dtype)


@rewrites(ExtractDiag)
def diagonal_of_densified(fgraph, node):
    """diagonal(toarray(x)) = diag(x)."""
    x = sparse_form(node.inputs[0])
    if x is None:
        return None
    k = node.op.offset
    return diag(x, k if (node.op.axis1, node.op.axis2) == (0, 1) else -k)


_READ_PARTS = (Subtensor, AdvancedSubtensor, Sum, ExtractDiag, DenseDot, Sample)


@rewrites(Subtensor, AdvancedSubtensor)
def index_of_densified(fgraph, node):
    """toarray(x)[i, j] = x[i, j], and toarray(x)[rows, columns] = toarray(x[rows, columns]).

    For integers, slices and vectors of integers. It does not fire where something needs the whole dense form anyway:
    parts of an array that is there cost nothing.
    """
    d = node.inputs[0]
    x = sparse_form(d)
    if x is None or not all(isinstance(r.op, _READ_PARTS) for r in readers(fgraph, d)):
        return None
    index = indices_from_subtensor(node.inputs[1:], node.op.idx_list)
    try:
        chosen = getitem(x, tuple(map(as_tensors, index)))
    except (
        TypeError,
        ValueError,
        IndexError,
    ):  # dense matrices have more kinds of indices, and say what is wrong
        return None
    return DenseFromSparse()(chosen) if is_sparse(chosen) else chosen


# -- elementwise ------------------------------------------------------------------------------------------------


@rewrites(DimShuffle)
def transpose_of_densified(fgraph, node):
    """toarray(x).T = toarray(x.T)."""
    x = sparse_form(node.inputs[0])
    return DenseFromSparse()(transpose(x)) if x is not None and is_dense_transpose(node.outputs[0]) else None


@rewrites(Elemwise)
def fill_like_densified(fgraph, node):
    """fill(d, s) = alloc(s, *d.shape) for a scalar s, where d is computed from a dense form: of d it needs the shape.

    Gradients of sums are such arrays. PyTensor does the same, but later.
    """
    if not isinstance(node.op.scalar_op, ps.Second):
        return None
    d, s = node.inputs
    if d.type.ndim != 2 or any(n != 1 for n in s.type.shape) or not _comes_from_densified(d, set()):
        return None
    return pt.alloc(s, *d.shape)


def _comes_from_densified(d, seen):
    if d in seen or d.owner is None:
        return False
    seen.add(d)
    if made_by(d, Elemwise, DimShuffle):
        return any(_comes_from_densified(v, seen) for v in d.owner.inputs)
    return made_by(d, DenseFromSparse)


@rewrites(Elemwise)
def function_of_densified(fgraph, node):
    """f(toarray(x)) = toarray(f(x)) where f(0) = 0, for constant parameters: tanh(d), d ** 2, d > 0.5.

    The function is evaluated at the stored entries alone, and a sum over the result forms nothing dense.
    """
    out = node.outputs[0]
    matrices = [v for v in node.inputs if any(n != 1 for n in v.type.shape) or made_by(v, DenseFromSparse)]
    if (
        len(node.outputs) > 1
        or len(matrices) != 1
        or len(node.inputs) > 2
        or isinstance(node.op.scalar_op, ps.Second)
    ):
        return None
    x = sparse_form(matrices[0])
    if x is None or out.type.broadcastable != matrices[0].type.broadcastable:
        return None
    others = [constant_scalar(v) for v in node.inputs if v is not matrices[0]]
    if None in others:
        return None
    zero_at = [np.zeros((), v.dtype) if v is matrices[0] else others[0].data for v in node.inputs]
    if not _is_zero(node.op.scalar_op, zero_at, out.dtype):
        return None
    if isinstance(node.op.scalar_op, ps.Cast):
        return DenseFromSparse()(cast(x, out.dtype))
    if node.inputs[0] is not matrices[0]:  # the matrix comes first in a structured function
        if not isinstance(node.op.scalar_op, ps.Mul):
            return None
    structured = StructuredElemwise(node.op.scalar_op)(x, *others)
    return DenseFromSparse()(structured) if structured.dtype == out.dtype else None


def _is_zero(scalar_op, arguments, dtype):
    """Whether a scalar function of these arguments is exactly zero."""
    try:
        with np.errstate(all="ignore"):
            return bool(np.asarray(scalar_op.impl(*(a[()] for a in arguments))).astype(dtype) == 0)
    except Exception:  # no Python form, or not defined there
        return False


@rewrites(Elemwise)
def sum_with_densified(fgraph, node):
    """toarray(x) + d = add(x, d), toarray(x) + toarray(y) = toarray(x + y), and alike for differences.

    With a d that is computed only if nothing but outputs read the sum: elsewhere it may never be formed.
    """
    if not isinstance(node.op.scalar_op, ps.Add | ps.Sub) or len(node.inputs) != 2:
        return None
    out = node.outputs[0]
    a, b = node.inputs
    x, y = sparse_form(a), sparse_form(b)
    if (x is None and y is None) or any(
        v.type.broadcastable != out.type.broadcastable or v.dtype != out.dtype for v in node.inputs
    ):
        return None
    minus = isinstance(node.op.scalar_op, ps.Sub)
    if x is not None and y is not None:
        return DenseFromSparse()(add(x, neg(y) if minus else y))
    d = b if x is not None else a
    if d.owner is not None and not all(isinstance(r.op, Output) for r in readers(fgraph, out)):
        return None
    if x is not None:
        return add(x, -b if minus else b)
    return add(neg(y) if minus else y, a)


@rewrites(Elemwise)
def product_with_densified_elementwise(fgraph, node):
    """toarray(x) * d = toarray(x * d), and toarray(x) * toarray(y) = toarray(x * y), under a sum, product or sample.

    These, and functions and products on the way to them, read the sparse matrix. Then what x does not store is not
    multiplied, also by infinity or NaN, and a d such as ``u @ v.T`` is computed at the entries of x alone. A result
    that is needed in dense form is left as it is.
    """
    if not isinstance(node.op.scalar_op, ps.Mul):
        return None
    out = node.outputs[0]
    sparse = [v for v in node.inputs if made_by(v, DenseFromSparse)]
    if not sparse or any(v.type.broadcastable != out.type.broadcastable for v in sparse):
        return None
    if not _read_as_sparse(fgraph, out):
        return None
    product = sparse_form(sparse[0])
    for v in sparse[1:]:
        product = mul(product, sparse_form(v))
    rest = [v for v in node.inputs if v not in sparse]
    if rest:
        factor = pt.mul(*rest) if len(rest) > 1 else rest[0]
        if factor.type.ndim != 2:
            return None
        product = mul(product, factor.dimshuffle() if factor.type.shape == (1, 1) else factor)
    return DenseFromSparse()(product) if product.dtype == out.dtype else None


def _read_as_sparse(fgraph, v, known=None):
    """Whether all readers of the dense form `v` of a sparse matrix have, or make, something that reads the matrix.

    `known` has the answers so far: there may be many paths to a variable.
    """
    known = {} if known is None else known
    if v not in known:
        known[v] = all(_reads_as_sparse(fgraph, node, v, known) for node in readers(fgraph, v))
    return known[v]


def _reads_as_sparse(fgraph, node, v, known):
    if isinstance(node.op, Sum | Sample | SparseFromDense) or is_dense_product(node.op):
        return True
    if not isinstance(node.op, Elemwise) or len(node.outputs) > 1:
        return False
    out = node.outputs[0]
    if not isinstance(node.op.scalar_op, ps.Mul):
        others = [w if w is v else constant_scalar(w) for w in node.inputs]
        if None in others:
            return False
        arguments = [np.zeros((), v.dtype) if w is v else w.data for w in others]
        if not _is_zero(node.op.scalar_op, arguments, out.dtype):
            return False
    return out.type.broadcastable == v.type.broadcastable and _read_as_sparse(fgraph, out, known)
