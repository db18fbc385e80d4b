"""Lowering of sampling: reading a matrix at the entries of a pattern, without forming it.

    sample(a @ b.T) = SDDMM(a, b)      sample(f(u, v)) = f(sample(u), sample(v))      sample(u.T) = sample(u).T
    sample(broadcast(v)) = v at the rows or columns                                   sample(dense(s)) = sample(s)
    sample(f(u, v)[rows, columns]) = sample(f(u[rows, columns], v[rows, columns])), and alike for products

These keep a regular cotangent symbolic: where it is only sampled, the dense matrix never exists.
"""

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.basic import Alloc
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Dot
from pytensor.tensor.subtensor import Subtensor, indices_from_subtensor

from symsparse.backends.c import CKernel, integer
from symsparse.lowering.base import KernelOp, Parts, lowers, parts, same_index_dtype, times, vector
from symsparse.lowering.layout import RepeatMajor, TakeMinor, canonical, to_format
from symsparse.lowering.patterns import pattern_key, require_same_shape, surely_equal
from symsparse.ops.base import equal, require
from symsparse.ops.conversion import DenseFromSparse
from symsparse.ops.sampling import (
    Sample,
    SampledProduct,
    SamplingDot,
    StructuredDotGradCSC,
    StructuredDotGradCSR,
)


class GatherDense(KernelOp):
    kernel = "sampling.gather_dense"

    def outputs(self, dense, indices, indptr, n_minor):
        return [vector(dense, indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[1]]


class Locate(KernelOp):
    kernel = "sampling.locate"
    symbolic = True

    def outputs(self, x_indices, x_indptr, g_indices, g_indptr):
        return [vector(x_indices, x_indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[0]]


class TakeOrZero(KernelOp):
    kernel = "sampling.take_or_zero"

    def outputs(self, values, places):
        return [vector(values, places.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[1]]


class SDDMM(KernelOp, CKernel):
    kernel = "sampling.sddmm"
    c_function = "sddmm"
    c_name = "sampling_dot"

    def outputs(self, indices, indptr, a, b, n_minor):
        return [vector(a, indices.type.shape[0])]

    def c_arguments(self, node, inputs):
        indices, indptr, a, b, n_minor = inputs
        return indices, indptr, integer(node.inputs[4], n_minor), a, b

    def flops(self, node, shape):
        indices, _, a, _, _ = node.inputs
        return times(2, *shape(indices), *shape(a)[1:])

    def infer_shape(self, node, shapes):
        return [shapes[0]]


class SampleProduct(KernelOp):
    """Pattern, its number of minor slices, two factors by rows, their numbers of columns -> values of ``a @ b.T``.

    A sparse factor comes as values, indices and indptr. ``factors`` says which are: "sparse_sparse", "sparse_dense",
    "dense_sparse".
    """

    __props__ = ("factors",)

    def __init__(self, factors):
        self.factors = factors

    def kernel_name(self, node):
        return f"sampling.sample_{self.factors}"

    def outputs(self, indices, indptr, n_minor, a, *rest):
        return [vector(a, indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[0]]


def sample_sparse(g: Parts, x: Parts) -> Parts:
    """`g` at the entries of `x` as they are stored."""
    g = canonical(to_format(g, x.format))
    if pattern_key(*g.pattern) == pattern_key(*x.pattern):
        return x.with_values(g.values)
    g = require_same_shape("sample", x, g)
    g, x = same_index_dtype(g, x)
    places = Locate()(*x.pattern, *g.pattern)
    return x.with_values(TakeOrZero()(g.values, places))


def sample_dense(g, x: Parts):
    """Values of the dense `g` (0-D to 2-D, static sizes of 1 broadcast) at the entries of `x` as they are stored.

    By major and minor axis: for csc the dense operand is read transposed.
    """
    if g.type.ndim == 1:
        g = g[None, :]
    return _Sampler(by_major(x)).sample(g, transposed=x.format == "csc")


class _Sampler:
    """Values of dense expressions at the entries of one csr matrix; each expression is visited once."""

    def __init__(self, x):
        self.x = x
        self.found: dict = {}
        self.lazy: dict = {}

    def sample(self, g, transposed=False, windows=()):
        """Values of `g`, or of its transpose; before that, of ``g[rows, columns]`` for each of the windows in turn."""
        key = (g, transposed, windows)
        if key not in self.found:
            self.found[key] = self._sample(g, transposed, windows)
        return self.found[key]

    def _sample(self, g, transposed, windows):
        x = self.x
        if g.type.ndim == 0:
            return pt.alloc(g, x.indices.shape[0])
        if is_lazy(g, self.lazy):
            op, inputs = g.owner.op, g.owner.inputs
            if isinstance(op, DimShuffle):
                return self.sample(inputs[0], not transposed, tuple(window[::-1] for window in windows))
            if isinstance(op, Subtensor):
                return self.sample(inputs[0], transposed, (window_of(g), *windows))
            if is_product(op):
                a, b = inputs
                for rows, columns in windows:
                    a, b = a[rows], b[:, columns]
                return sddmm(x, b.T, a) if transposed else sddmm(x, a, b.T)
            if isinstance(op, Alloc):
                return self._sample_alloc(g, transposed, windows)
            if isinstance(op, Elemwise):
                return op(*(self.sample(i, transposed, windows) for i in inputs))
            if not windows:
                stored = densified(g)
                return sample_sparse(stored.transposed() if transposed else stored, x).values
        g = through_windows(g, windows)
        if transposed:
            g = g.T
        by_row, by_column = (n == 1 for n in g.type.shape)
        if by_row and by_column:
            return pt.alloc(g[0, 0], x.indices.shape[0])
        if by_row:
            return TakeMinor()(g[0], x.indices, x.n_minor)
        if by_column:
            return RepeatMajor()(g[:, 0], x.indptr)
        return GatherDense()(g, *x.pattern, x.n_minor)

    def _sample_alloc(self, g, transposed, windows):
        value, *sizes = g.owner.inputs
        sampled = self.sample(value[None, :] if value.type.ndim == 1 else value, transposed, windows)
        # Every other leaf meets a kernel that compares its shape; a broadcast leaves none.
        own = self.x.sizes[::-1] if transposed else self.x.sizes
        if windows:
            sizes = through_windows(g, windows).shape
        cause = "mul or sample: the shapes of the sparse and the dense operand differ"
        checks = [
            equal(n, size, f"{cause}: sizes %d and %d")
            for size, n, static in zip(sizes, own, g.type.shape, strict=True)
            if static != 1 and not surely_equal(size, n)
        ]
        return require(sampled, *checks)


def window_of(g):
    """Row and column slices of ``g = matrix[rows, columns]``."""
    slices = indices_from_subtensor(g.owner.inputs[1:], g.owner.op.idx_list)
    return tuple(slices) + (slice(None),) * (2 - len(slices))


def through_windows(g, windows):
    """``g[rows, columns]`` for each window in turn. An axis of static size 1 broadcasts, and stays."""
    for window in windows:
        g = g[tuple(slice(None) if n == 1 else part for n, part in zip(g.type.shape, window, strict=True))]
    return g


def by_major(x):
    """`x` as a csr matrix of its major and minor axis: itself, or its transpose."""
    return x if x.format == "csr" else x.transposed()


def sddmm(x, a, b):
    """Values of ``a @ b.T`` at the entries of `x`, by major and minor axis."""
    dtype = pt.dot(a, b.T).dtype
    return SDDMM()(*x.pattern, pt.cast(a, dtype), pt.cast(b, dtype), x.n_minor)


def is_product(op):
    return isinstance(op, Dot) or (isinstance(op, Blockwise) and isinstance(op.core_op, Dot))


def is_lazy(g, known):
    """Whether sampling the inputs of `g` costs less than forming it; `known` remembers."""
    if g not in known:
        known[g] = _is_lazy(g, known)
    return known[g]


def _is_lazy(g, known):
    owner = g.owner
    if owner is None or g.type.ndim != 2:
        return False
    op = owner.op
    if is_product(op):
        return all(i.type.ndim == 2 for i in owner.inputs)
    if isinstance(op, Alloc):
        return True
    if isinstance(op, DimShuffle):
        return tuple(op.new_order) == (1, 0) and is_lazy(owner.inputs[0], known)
    if isinstance(op, Subtensor):
        return owner.inputs[0].type.ndim == 2 and is_lazy(owner.inputs[0], known)
    if isinstance(op, Elemwise):
        # An outer sum of a row and a column, or one of its inputs is lazy.
        outer = 1 not in g.type.shape and all(1 in i.type.shape for i in owner.inputs)
        return len(owner.outputs) == 1 and (outer or any(is_lazy(i, known) for i in owner.inputs))
    return densified(g) is not None


def densified(g):
    """Parts of the sparse matrix of which `g` is the dense form, lowered or not; None if it is not one."""
    from symsparse.lowering.conversion import Densify

    if g.owner is not None and isinstance(g.owner.op, DenseFromSparse):
        return parts(g.owner.inputs[0])
    if g.owner is None or not isinstance(g.owner.op, Densify):
        return None
    values, indices, indptr, n_minor = g.owner.inputs
    n_major = indptr.shape[0] - 1
    return Parts("csr", values, indices, indptr, pt.stack([n_major.astype("int64"), n_minor]))


@lowers(Sample)
def lower_sample(node, g, x):
    x = canonical(x)
    if isinstance(g, Parts):
        return sample_sparse(g, x)
    return x.with_values(sample_dense(g, x))


@lowers(SamplingDot)
def lower_sampling_dot(node, x, y, p):
    dtype = node.outputs[0].dtype
    x, y = pt.cast(x, dtype), pt.cast(y, dtype)
    sampled = sddmm(p, x, y) if p.format == "csr" else sddmm(p, y, x)
    return p.with_values(sampled if all_ones(p.values) else p.values * sampled)


@lowers(SampledProduct)
def lower_sampled_product(node, x, y, p):
    p = canonical(p)
    dtype = node.outputs[0].dtype
    if isinstance(x, Parts) and isinstance(y, Parts):
        x, y, p = same_index_dtype(x, y, p)
    # The product by the major and minor axis of p: rows of a with rows of b.
    a, b = (x, y.transposed() if isinstance(y, Parts) else y.T)
    if p.format == "csc":
        a, b = b, a
    kinds, factors, inner = [], [], []
    for factor in (a, b):
        if isinstance(factor, Parts):
            factor = to_format(factor.cast(dtype), "csr")
            kinds.append("sparse")
            factors += [factor.values, *factor.pattern]
            inner.append(factor.sizes[1])
        else:
            kinds.append("dense")
            factors.append(pt.cast(factor, dtype))
            inner.append(factor.shape[1])
    return p.with_values(SampleProduct("_".join(kinds))(*p.pattern, p.n_minor, *factors, *inner))


def all_ones(values):
    """Whether stored values are known to be one."""
    owner = values.owner
    if isinstance(values, Constant):
        return bool((values.data == 1).all())
    return (
        owner is not None
        and isinstance(owner.op, Alloc)
        and isinstance(owner.inputs[0], Constant)
        and bool(owner.inputs[0].data == 1)
    )


@lowers(StructuredDotGradCSR, StructuredDotGradCSC)
def lower_structured_dot_grad(node, indices, indptr, b, g):
    from symsparse.lowering.csm import CheckPattern

    n, m = g.shape[0], b.shape[0]
    sizes = (n, m) if node.op.format == "csr" else (m, n)
    indices, indptr = CheckPattern()(indices, indptr, indices.shape[0], *sizes)
    dtype = node.outputs[0].dtype
    b, g = pt.cast(b, dtype), pt.cast(g, dtype)
    return SDDMM()(indices, indptr, *((g, b) if node.op.format == "csr" else (b, g)), sizes[1])
