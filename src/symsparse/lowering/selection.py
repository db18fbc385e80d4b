"""Lowering of the larger or smaller of two entries, and of rows with a row-sparse gradient."""

from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.arithmetic import on_union
from symsparse.lowering.base import lowers
from symsparse.ops.selection import MaximumSS, MinimumSS, SparseGradRows


@lowers(MaximumSS, MinimumSS)
def lower_extreme_ss(node, x, y):
    dtype = node.outputs[0].dtype
    x, y_values = on_union(x.cast(dtype), y.cast(dtype), node.op.name)
    return x.with_values(Elemwise(node.op.scalar_op)(x.values, y_values))


@lowers(SparseGradRows)
def lower_sparse_grad_rows(node, m, index):
    return m[index]
