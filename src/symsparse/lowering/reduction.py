"""Lowering of sums."""

from symsparse.lowering.base import KernelOp, known, lowers, n_slices, vector
from symsparse.ops.reduction import SpSum


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
    x = x.cast(node.outputs[0].dtype)
    if node.op.axis is None:
        return x.values.sum(dtype=x.dtype, acc_dtype=x.dtype)
    if (node.op.axis == 1) == (x.format == "csr"):
        return SumMajor()(x.values, x.indptr)
    return SumMinor()(x.values, x.indices, x.n_minor)
