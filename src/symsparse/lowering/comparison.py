"""Lowering of comparisons."""

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.arithmetic import on_union, only_static_ones
from symsparse.lowering.base import lowers
from symsparse.lowering.conversion import compress, densify
from symsparse.lowering.layout import remove0
from symsparse.ops import comparison as ops
from symsparse.ops.base import negated


@lowers(*(getattr(ops, name) for name in ops.__all__ if name.endswith("SS")))
def lower_compare_ss(node, x, y):
    x, y_values = on_union(x, y, node.op.name)
    return _stored(node, x, Elemwise(node.op.scalar_op)(x.values, y_values))


def _stored(node, x, holds):
    """The result from what holds on the union of the patterns; elsewhere 0 compares with 0."""
    if not node.op.holds_at_zero:
        return drop_zeros(x.with_values(pt.cast(holds, "uint8")))
    type = node.outputs[0].type
    fails = densify(x.with_values(pt.cast(negated(holds), "uint8")))
    return compress(np.uint8(1) - fails, type.format, type.index_dtype)


@lowers(*(getattr(ops, name) for name in ops.__all__ if name.endswith("SD")))
def lower_compare_sd(node, x, y):
    if y.type.ndim == 1:
        y = y[None, :]
    return pt.cast(Elemwise(node.op.scalar_op)(densify(x), only_static_ones(y, x, node.op.name)), "uint8")


def drop_zeros(x):
    """Only the places where the comparison holds, as SciPy stores them."""
    return remove0(x)
