"""Lowering of sums and extremes."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, known, lowers, n_slices, vector
from symsparse.lowering.layout import canonical
from symsparse.lowering.sampling import all_ones
from symsparse.ops.reduction import SpMax, SpMin, SpSum


class SumMajor(KernelOp):
    kernel = "reduction.sum_major"

    def outputs(self, values, indptr):
        return [vector(values, n_slices(indptr))]

    def infer_shape(self, node, shapes):
        return [(shapes[1][0] - 1,)]


class SumMinor(KernelOp):
    kernel = "reduction.sum_minor"

    def outputs(self, values, indices, n_minor):
        return [vector(values, known(n_minor))]

    def infer_shape(self, node, shapes):
        return [(node.inputs[2],)]


@lowers(SpSum)
def lower_sp_sum(node, x):
    dtype = node.outputs[0].dtype
    if all_ones(x.values):  # counts, that the pattern knows
        if node.op.axis is None:
            return x.indices.shape[0].astype(dtype)
        if (node.op.axis == 1) == (x.format == "csr"):
            return (x.indptr[1:] - x.indptr[:-1]).astype(dtype)
    x = x.cast(dtype)
    if node.op.axis is None:
        return x.values.sum(dtype=x.dtype, acc_dtype=x.dtype)
    if (node.op.axis == 1) == (x.format == "csr"):
        return SumMajor()(x.values, x.indptr)
    return SumMinor()(x.values, x.indices, x.n_minor)


class ExtremeAll(KernelOp):
    kernel = "reduction.extreme_all"

    def outputs(self, values, n, m, largest):
        return [vector(values, 1)]


class ExtremeMajor(KernelOp):
    kernel = "reduction.extreme_major"

    def outputs(self, values, indptr, n_minor, largest):
        return [vector(values, n_slices(indptr))]

    def infer_shape(self, node, shapes):
        return [(shapes[1][0] - 1,)]


class ExtremeMinor(KernelOp):
    kernel = "reduction.extreme_minor"

    def outputs(self, values, indices, n_major, n_minor, largest):
        return [vector(values, known(n_minor))]

    def infer_shape(self, node, shapes):
        return [(node.inputs[3],)]


@lowers(SpMax, SpMin)
def lower_sp_extreme(node, x):
    x = canonical(x)
    largest = pt.constant(node.op.largest)
    if node.op.axis is None:
        return ExtremeAll()(x.values, *x.sizes, largest)[0]
    if (node.op.axis == 1) == (x.format == "csr"):
        return ExtremeMajor()(x.values, x.indptr, x.n_minor, largest)
    return ExtremeMinor()(x.values, x.indices, x.n_major, x.n_minor, largest)
