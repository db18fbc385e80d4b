"""Elements that are gathered from a product of dense matrices, and what their gradients scatter.

Only in graphs with something sparse: programs without are left as PyTensor has them.
"""

import math

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.basic import ARange
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Sum
from pytensor.tensor.shape import Shape
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    Subtensor,
    indices_from_subtensor,
)

from symsparse.lowering.base import Parts, check
from symsparse.lowering.entries import ScatterPattern
from symsparse.lowering.sampling import is_lazy, sample_dense
from symsparse.ops.arithmetic import MulSD
from symsparse.ops.base import is_sparse
from symsparse.ops.conversion import DenseFromSparse
from symsparse.ops.csm import CSM, shape_vector
from symsparse.ops.sampling import Sample
from symsparse.rewrites.base import (
    constant_scalar,
    is_dense_product,
    is_dense_transpose,
    made_by,
    readers,
    rewrites,
)
from symsparse.rewrites.samples import is_zeros
from symsparse.types import integer_dtypes

MANY = 8  # a product with fewer elements for each that is gathered is cheap as a whole


@rewrites(AdvancedSubtensor)
def gather_of_product(fgraph, node):
    """(u @ v.T)[i, j] = the sampled product of u and v at the positions (i, j), for vectors i and j.

    Also under functions and sums, as in ``sigmoid(u @ v.T + b)[i, j]``. Nothing of the size of u @ v.T is formed. It
    fires in graphs with a sparse variable; in others `sampling_dot` says the same. It does not fire if something needs
    the whole matrix, or if that is known to have less than 8 elements for each that is gathered.
    """
    g, *inputs = node.inputs
    pairs = _pairs(g, node.op, inputs)
    if pairs is None or not _holds_product(g, {}) or not is_lazy(g, {}) or not _has_sparse(fgraph):
        return None
    if not _is_read_by_element(fgraph, g, {}):
        return None
    i, j = pairs
    indices, indptr, order, shape = _pattern(i, j, g)
    values = sample_dense(g, Parts("csr", None, indices, indptr, shape))
    return pt.empty(order.shape, dtype=g.dtype)[order].set(values)


@rewrites(Shape)
def shape_of_gather(fgraph, node):
    """shape(x[arange(len(y)), y]) = shape(y), for a vector y of integers.

    The mean of a cross entropy asks for it. PyTensor's answer compares the lengths of both indices, in 30 functions to
    compile. It fires in graphs with a sparse variable.
    """
    gather = node.inputs[0]
    if not made_by(gather, AdvancedSubtensor) or not _has_sparse(fgraph):
        return None
    x, *inputs = gather.owner.inputs
    i, y = _vectors(x, gather.owner.op, inputs) or (None, None)
    return pt.shape(y) if i is not None and _counts(i, y) else None


@rewrites(AdvancedIncSubtensor)
def scattered_into_zeros(fgraph, node):
    """zeros[i, j] + y = toarray(x), where x has the values y at the positions (i, j), and nobody needs the array.

    That is the gradient of a gather. Products, sums and samples then read x. It fires in graphs with a sparse variable.
    """
    zeros, y, *inputs = node.inputs
    pairs = _pairs(zeros, node.op, inputs) if _is_scattered(node) else None
    out = node.outputs[0]
    if pairs is None or not _has_sparse(fgraph) or not _is_read_as_sparse(fgraph, out, {}):
        return None
    i, j = pairs
    indices, indptr, order, shape = _pattern(i, j, zeros)
    if y.type.broadcastable == (False,):
        fits = check("inc_subtensor: the numbers of values and of their positions differ")
        values = fits(y, pt.eq(y.shape[0], i.shape[0]))
    else:
        values = pt.alloc(y, *order.shape)
    x = CSM("csr", trusted=True)(values.astype(out.dtype)[order], indices, indptr, shape)
    return DenseFromSparse()(x)


def _counts(i, y):
    """Whether `i` is ``arange(y.shape[0])``."""
    if not made_by(i, ARange):
        return False
    start, stop, step = i.owner.inputs
    if not made_by(stop, Subtensor) or not made_by(stop.owner.inputs[0], Shape):
        return False
    zero, one = constant_scalar(start), constant_scalar(step)
    from_zero_by_one = zero is not None and zero.data == 0 and one is not None and one.data == 1
    return from_zero_by_one and stop.owner.inputs[0].owner.inputs[0] is y


def _vectors(matrix, op, inputs):
    """The vectors (i, j) where an index is ``matrix[i, j]``, else None."""
    if matrix.type.ndim != 2:
        return None
    index = indices_from_subtensor(inputs, op.idx_list)
    if len(index) != 2 or any(isinstance(part, slice) for part in index):
        return None
    i, j = map(pt.as_tensor, index)
    if any(v.type.broadcastable != (False,) or v.dtype not in integer_dtypes for v in (i, j)):
        return None
    return i, j


def _pairs(matrix, op, inputs):
    """The vectors (i, j) where an index is ``matrix[i, j]`` and not known to take much of it; else None."""
    index = _vectors(matrix, op, inputs)
    if index is None:
        return None
    i, j = index
    n = i.type.shape[0] or j.type.shape[0]
    if n is not None and None not in matrix.type.shape and math.prod(matrix.type.shape) < MANY * n:
        return None
    return i, j


def _pattern(i, j, matrix):
    """Pattern of the csr matrix of this shape with an entry for each pair, which of them it is, and the shape."""
    n, m = (
        matrix.shape[axis] if size is None else pt.constant(size, dtype="int64")
        for axis, size in enumerate(matrix.type.shape)
    )
    wide = any(isinstance(size, Constant) and size.data > np.iinfo("int32").max for size in (n, m))
    like = pt.constant([], dtype="int64" if wide else "int32")
    return *ScatterPattern()(i, j, i.shape[0], n, m, like, pt.arange(i.shape[0])), shape_vector(n, m)


def _has_sparse(fgraph):
    return any(map(is_sparse, fgraph.variables))


def _is_fill(node):
    """Whether a node reads but the shape of its first input."""
    return isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, ps.Second)


def _holds_product(g, known):
    """Whether a matrix is computed by element from a product of dense matrices; `known` has the answers so far."""
    if g not in known:
        known[g] = _is_made_of_product(g, known)
    return known[g]


def _is_made_of_product(g, known):
    if g.owner is None or g.type.ndim != 2 or g.dtype == "bool":
        return False
    if is_dense_product(g.owner.op):
        return True
    if is_dense_transpose(g) or (made_by(g, Elemwise) and not _is_fill(g.owner)):
        return any(_holds_product(v, known) for v in g.owner.inputs)
    return False


def _is_read_by_element(fgraph, g, known):
    """Whether some elements of a matrix are all that is read of it, and of what is computed from it."""
    if g not in known:
        known[g] = all(_reads_elements(fgraph, node, known) for node in readers(fgraph, g))
    return known[g]


def _reads_elements(fgraph, node, known):
    if isinstance(node.op, AdvancedSubtensor | MulSD | Sample) or _is_fill(node):
        return True
    out = node.outputs[0] if isinstance(node.op, Elemwise | DimShuffle) else None
    return out is not None and out.type.ndim == 2 and _is_read_by_element(fgraph, out, known)


def _is_scattered(node):
    """Whether a node adds to zeros."""
    op = node.op
    if not isinstance(op, AdvancedIncSubtensor) or op.set_instead_of_inc or op.ignore_duplicates:
        return False
    return is_zeros(node.inputs[0])


def _is_read_as_sparse(fgraph, v, known):
    """Whether all that reads the dense form `v` of a sparse matrix has, or makes, something that reads the matrix."""
    if v not in known:
        known[v] = all(_reads_as_sparse(fgraph, node, v, known) for node in readers(fgraph, v))
    return known[v]


def _reads_as_sparse(fgraph, node, v, known):
    if isinstance(node.op, Sum | Sample) or is_dense_product(node.op):
        return True
    out = node.outputs[0] if isinstance(node.op, Elemwise | DimShuffle) else None
    if out is None or out.type.ndim != 2 or out.type.broadcastable != v.type.broadcastable:
        return False
    if isinstance(node.op, DimShuffle):
        passes = is_dense_transpose(out)
    elif isinstance(node.op.scalar_op, ps.Add | ps.Sub):
        passes = all(map(_is_sparse_form, node.inputs))
    else:
        passes = isinstance(node.op.scalar_op, ps.Mul | ps.Neg)
    return passes and _is_read_as_sparse(fgraph, out, known)


def _is_sparse_form(v):
    return v.owner is not None and (isinstance(v.owner.op, DenseFromSparse) or _is_scattered(v.owner))
