"""Samples: what is read at the entries of a pattern alone is computed there alone."""

import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.tensor.basic import Alloc, AllocDiag
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.subtensor import AdvancedIncSubtensor, IncSubtensor, indices_from_subtensor

from symsparse.ops.arithmetic import AddSD, AddSS, MulSD, add
from symsparse.ops.base import is_sparse
from symsparse.ops.construction import diags
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense
from symsparse.ops.elementwise import Cast, Neg, cast
from symsparse.ops.layout import AsFormat, EnsureSortedIndices, Remove0, SumDuplicates, Transpose, transpose
from symsparse.ops.matmul import Dot, StructuredDot, TrueDot
from symsparse.ops.sampling import Sample, SampledProduct, sample
from symsparse.ops.scaling import ColScaleCSC
from symsparse.ops.subscripts import getitem
from symsparse.rewrites.base import (
    as_tensors,
    constant_scalar,
    is_dense_transpose,
    made_by,
    read_once,
    rewrites,
)
from symsparse.rewrites.facts import diagonal_of


@rewrites(Sample)
def sample_of_converted(fgraph, node):
    """sample(from_dense(d), p) = sample(d, p) and sample(toarray(x), p) = sample(x, p); so for formats and order."""
    g, p = node.inputs
    same = SparseFromDense, DenseFromSparse, AsFormat, EnsureSortedIndices, SumDuplicates, Remove0
    return sample(g.owner.inputs[0], p) if made_by(g, *same) else None


@rewrites(Sample)
def sample_of_linear(fgraph, node):
    """sample(x + y, p) = sample(x, p) + sample(y, p) for sparse x and any y, and alike for -x, c * x, casts and x.T.

    The samples have one pattern, so their sum is that of their values, where x + y takes the union of two patterns. And
    they may be samples of products, which then need not be formed.
    """
    g, p = node.inputs
    if not read_once(fgraph, g):
        return None
    if made_by(g, AddSD) and g.owner.inputs[1].type.broadcastable == g.type.broadcastable:
        return add(*(sample(x.astype(g.dtype), p) for x in g.owner.inputs))
    if not is_sparse(g):
        return None
    if made_by(g, Transpose):
        return transpose(sample(g.owner.inputs[0], transpose(p)))
    if made_by(g, AddSS):
        return add(*(sample(x.astype(g.dtype), p) for x in g.owner.inputs))
    if made_by(g, Neg, MulSD, ColScaleCSC):
        x, *rest = g.owner.inputs
        return g.owner.op(sample(x, p), *rest)
    if made_by(g, Cast) and g.owner.op.is_additive(g.owner.inputs[0].dtype):
        return cast(sample(g.owner.inputs[0], p), g.dtype)
    return None


@rewrites(Sample)
def sampled_product(fgraph, node):
    """sample(x @ y, p) = the products of rows of x with columns of y at the entries of p, for x or y sparse.

    Nothing of the size of x @ y is formed. The gradients of products of two sparse matrices, and those of `true_dot`,
    are such samples. Two dense factors have this as `sampling_dot`, also under functions and sums. It does not fire if
    something else reads the product, or if x or y is diagonal: that product is a scaling.
    """
    g, p = node.inputs
    transposed = False
    while read_once(fgraph, g) and (made_by(g, Transpose) or is_dense_transpose(g)):
        g, transposed = g.owner.inputs[0], not transposed
    if not made_by(g, StructuredDot, Dot, TrueDot) or not read_once(fgraph, g) or g.dtype == "bool":
        return None
    x, y = g.owner.inputs
    if x.type.ndim != 2 or y.type.ndim != 2 or any(diagonal_of(v) is not None for v in (x, y)):
        return None
    return SampledProduct()(y.T, x.T, p) if transposed else SampledProduct()(x, y, p)


@rewrites(Sample)
def sample_of_diagonal(fgraph, node):
    """sample(pytensor.tensor.diag(v, k), p) = sample(diags(v, k), p): the gradient of a diagonal."""
    g, p = node.inputs
    if (
        not made_by(g, AllocDiag)
        or (g.owner.op.axis1, g.owner.op.axis2) != (0, 1)
        or g.owner.inputs[0].type.ndim != 1
    ):
        return None
    return sample(diags(g.owner.inputs[0], g.owner.op.offset), p)


# -- gradients of parts of a dense form -------------------------------------------------------------------------


def is_zeros(d):
    """Whether a dense variable is known to hold zeros only."""
    fills = made_by(d, Elemwise) and isinstance(d.owner.op.scalar_op, ps.Second)
    if not fills and not made_by(d, Alloc):
        return False
    value = constant_scalar(d.owner.inputs[1 if fills else 0])
    return value is not None and value.data == 0


def _incremented(g):
    """(increment, index) where a dense variable is zeros, incremented at an index; None if it is not."""
    if not made_by(g, IncSubtensor, AdvancedIncSubtensor) or not is_zeros(g.owner.inputs[0]):
        return None
    op = g.owner.op
    if isinstance(op, AdvancedIncSubtensor) and (op.set_instead_of_inc or op.ignore_duplicates):
        return None
    _, y, *index = g.owner.inputs
    return y, tuple(map(as_tensors, indices_from_subtensor(index, op.idx_list)))


def _is_sum(g):
    return made_by(g, Elemwise) and isinstance(g.owner.op.scalar_op, ps.Add)


def _has_increment(g, seen):
    """Whether a dense variable is zeros, incremented, or a sum or transpose with such a term not among those seen."""
    if g in seen:
        return False
    seen.add(g)
    if _is_sum(g) or is_dense_transpose(g):
        return any(_has_increment(v, seen) for v in g.owner.inputs)
    return _incremented(g) is not None


@rewrites(Sample)
def sample_of_incremented(fgraph, node):
    """sample(zeros[i, j] + y, p) = y where p stores something in its part [i, j]: the gradient of ``p[i, j]``.

    That is what the gradient of ``x.toarray()[i, j]`` comes to; nothing of the size of the matrix is formed. In a sum
    of several such gradients, each is sampled.
    """
    g, p = node.inputs
    if is_sparse(g) or not read_once(fgraph, g):
        return None
    if not _has_increment(g, set()):
        return None
    if _is_sum(g):
        if not all(t.type.broadcastable == g.type.broadcastable for t in g.owner.inputs):
            return None
        first, *others = (sample(t.astype(g.dtype), p) for t in g.owner.inputs)
        for other in others:
            first = add(first, other)
        return first
    if is_dense_transpose(g):
        return transpose(sample(g.owner.inputs[0], transpose(p)))
    y, index = _incremented(g)
    x = cast(p, g.dtype)
    try:
        part = getitem(x, index)
    except (TypeError, ValueError, IndexError):  # dense matrices have more kinds of indices
        return None
    if not is_sparse(part):
        y = pt.alloc(y, *part.shape) if y.type.broadcastable != part.type.broadcastable else y
    return sample(_pulled_back(part, x, y.astype(g.dtype)), p)


def _pulled_back(part, x, g):
    """The cotangent of `x`, given that of a part of it."""
    import pytensor

    return pytensor.grad(None, x, known_grads={part: g}, consider_constant=[])
