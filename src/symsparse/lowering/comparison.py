"""Lowering of comparisons."""

import pytensor.tensor as pt
from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.arithmetic import _only_static_ones, union
from symsparse.lowering.base import lowers
from symsparse.lowering.conversion import compress, densify
from symsparse.ops import comparison as ops


@lowers(*(getattr(ops, name) for name in ops.__all__ if name.endswith("SS")))
def lower_compare_ss(node, x, y):
    compare = Elemwise(node.op.scalar_op)
    if node.op.holds_at_zero:  # the result is full: compare all positions
        type = node.outputs[0].type
        full = compare(densify(x), _only_static_ones(densify(y), x))
        return compress(pt.cast(full, "uint8"), type.format, type.index_dtype)
    result = union(x, y, "uint8", lambda a, b: pt.cast(compare(a, b), "uint8"))
    return drop_zeros(result)


@lowers(*(getattr(ops, name) for name in ops.__all__ if name.endswith("SD")))
def lower_compare_sd(node, x, y):
    if y.type.ndim == 1:
        y = y[None, :]
    return pt.cast(Elemwise(node.op.scalar_op)(densify(x), _only_static_ones(y, x)), "uint8")


def drop_zeros(x):
    """Only the places where the comparison holds, as SciPy stores them."""
    from symsparse.lowering.layout import NonzeroPattern

    indices, indptr, kept = NonzeroPattern()(x.values, *x.pattern)
    return x._replace(values=x.values[kept], indices=indices, indptr=indptr)


