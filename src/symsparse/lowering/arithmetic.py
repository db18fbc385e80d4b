"""Lowering of sums, products and scalings."""

import pytensor.tensor as pt
from pytensor.graph.basic import Constant

from symsparse.lowering.base import KernelOp, Parts, check, known, lowers, n_slices, same_index_dtype, vector
from symsparse.lowering.csm import SamePattern
from symsparse.lowering.layout import Positions, canonical, to_format
from symsparse.lowering.patterns import pattern_key, require_same_shape
from symsparse.lowering.sampling import sample_dense
from symsparse.ops.arithmetic import (
    AddSD,
    AddSS,
    AddSSData,
    MulSD,
    MulSS,
    MulSV,
    TrueDivSD,
)
from symsparse.ops.base import equal, require


class UnionPattern(KernelOp):
    """Two canonical patterns -> their union, and the places of their entries in it."""

    kernel = "arithmetic.union_pattern"
    symbolic = True
    canonical = True

    def outputs(self, a_indices, a_indptr, b_indices, b_indptr):
        return [
            vector(a_indices),
            (a_indptr.dtype, a_indptr.type.shape),
            vector(a_indices),
            vector(b_indices),
        ]


class UnionValues(KernelOp):
    """(values, places) of both matrices, number of entries of the union -> the sum on it."""

    kernel = "arithmetic.union_values"

    def outputs(self, a_values, a_place, b_values, b_place, nnz):
        return [vector(a_values, known(nnz))]

    def infer_shape(self, node, shapes):
        return [(node.inputs[4],)]


class Union(KernelOp):
    """Values and canonical patterns of both matrices -> values and pattern of the sum, in one pass."""

    kernel = "arithmetic.union"

    def outputs(self, a_values, a_indices, a_indptr, b_values, b_indices, b_indptr):
        return [vector(a_values), vector(a_indices), (a_indptr.dtype, a_indptr.type.shape)]


class IntersectionPattern(KernelOp):
    """Two canonical patterns, what they carry -> their intersection, and what its entries carry in both."""

    kernel = "arithmetic.intersection_pattern"
    symbolic = True
    canonical = True
    carries = ((4, 2), (5, 3))

    def outputs(self, a_indices, a_indptr, b_indices, b_indptr, a_carried, b_carried):
        return [
            vector(a_indices),
            (a_indptr.dtype, a_indptr.type.shape),
            vector(a_carried),
            vector(b_carried),
        ]


class AddToDense(KernelOp):
    kernel = "arithmetic.add_to_dense"

    def outputs(self, values, indices, indptr, y, n_minor):
        return [(values.dtype, (n_slices(indptr), known(n_minor)))]

    def infer_shape(self, node, shapes):
        return [(shapes[2][0] - 1, node.inputs[4])]


def _empty(p):
    return isinstance(p.indices, Constant) and len(p.indices.data) == 0


def align(x: Parts, y: Parts):
    """Both matrices canonical, in the format of `x`, with one index dtype."""
    return same_index_dtype(canonical(x), canonical(to_format(y, x.format)))


def union(x: Parts, y: Parts, op="add"):
    """Both matrices aligned, and the union of their patterns; None instead of it where the patterns are one."""
    x, y = align(x, y)
    if pattern_key(*x.pattern) == pattern_key(*y.pattern):
        return x, y, None
    y = require_same_shape(op, x, y)
    return x, y, UnionPattern()(*x.pattern, *y.pattern)


def on_union(x: Parts, y: Parts, op):
    """The union of the two patterns with the values of `x` on it, and those of `y`; zero where one has no entry."""
    x, y, merged = union(x, y, op)
    if merged is None:
        return x, y.values
    indices, indptr, *places = merged
    size = indices.shape[0]
    a, b = (pt.zeros((size,), v.dtype)[at].set(v.values) for v, at in zip((x, y), places, strict=True))
    return Parts(x.format, a, indices, indptr, x.shape), b


@lowers(AddSS)
def lower_add_ss(node, x, y):
    dtype = node.outputs[0].dtype
    x, y = x.cast(dtype), y.cast(dtype)
    if _empty(y):
        return require_same_shape("add", y, x)
    x, y, merged = union(x, y)
    if merged is None:
        return x.with_values(x.values + y.values)
    indices, indptr, x_place, y_place = merged
    values = UnionValues()(x.values, x_place, y.values, y_place, indices.shape[0])
    return Parts(x.format, values, indices, indptr, x.shape)


@lowers(AddSSData)
def lower_add_ss_data(node, x, y):
    values = x.values + y.values
    if pattern_key(*x.pattern) != pattern_key(*y.pattern):
        same = check("add_s_s_data: the operands have different patterns; use add(x, y)")
        x, y = same_index_dtype(x, y)
        values = same(x.values, SamePattern()(*x.pattern, *y.pattern)) + y.values
    return x.with_values(values)


@lowers(AddSD)
def lower_add_sd(node, x, y):
    dtype = node.outputs[0].dtype
    x, y = x.cast(dtype), pt.cast(y, dtype)
    if y.type.ndim == 1:
        y = y[None, :]
    y = only_static_ones(y, x, "add")
    total = AddToDense()(x.values, *x.pattern, y if x.format == "csr" else y.T, x.n_minor)
    return total if x.format == "csr" else total.T


def only_static_ones(y, x, op):
    """The kernel broadcasts sizes that are 1 at run time; only those that are 1 in the graph may."""
    cause = f"{op}: the shapes of the sparse and the dense operand do not fit"
    checks = [
        equal(n, y.shape[i], f"{cause}: %d and %d {('rows', 'columns')[i]}")
        for i, n in enumerate(x.sizes)
        if y.type.shape[i] is None
    ]
    return require(y, *checks)


@lowers(MulSS)
def lower_mul_ss(node, x, y):
    dtype = node.outputs[0].dtype
    x, y = align(x.cast(dtype), y.cast(dtype))
    if pattern_key(*x.pattern) == pattern_key(*y.pattern):
        return x.with_values(x.values * y.values)
    y = require_same_shape("mul", x, y)
    indices, indptr, x_source, y_source = IntersectionPattern()(
        *x.pattern, *y.pattern, *(Positions()(p.indices) for p in (x, y))
    )
    return Parts(x.format, x.values[x_source] * y.values[y_source], indices, indptr, x.shape)


@lowers(MulSD, MulSV)
def lower_mul_sd(node, x, y):
    if y.type.ndim == 0:
        return x.with_values(x.values * y)
    return x.with_values(x.values * sample_dense(y, x))


@lowers(TrueDivSD)
def lower_true_div_sd(node, x, y):
    return x.with_values(pt.true_div(x.values, sample_dense(y, x)))
