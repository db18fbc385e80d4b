"""Lowering of other values on the pattern of a matrix."""

import pytensor.tensor as pt

from symsparse.lowering.base import lowers
from symsparse.lowering.layout import canonical
from symsparse.ops.values import OnesLike


@lowers(OnesLike)
def lower_ones_like(node, x):
    x = canonical(x)
    return x.with_values(pt.ones((x.indices.shape[0],), dtype=node.op.dtype))
