"""Lowering of functions of the stored entries: they become dense elementwise functions of the values."""

import pytensor.tensor as pt
from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.base import lowers
from symsparse.lowering.layout import canonical
from symsparse.ops.base import negative
from symsparse.ops.elementwise import Cast, Neg, StructuredElemwise


@lowers(StructuredElemwise)
def lower_structured_elemwise(node, x, *parameters):
    if not node.op.is_additive:
        x = canonical(x)
    return x.with_values(Elemwise(node.op.scalar_op)(x.values, *parameters))


@lowers(Neg)
def lower_neg(node, x):
    return x.with_values(negative(x.values))


@lowers(Cast)
def lower_cast(node, x):
    if not node.op.is_additive(x.dtype):
        x = canonical(x)
    return x.with_values(pt.cast(x.values, node.op.out_type))
