"""Lowering of what replaces a selection."""

import pytensor.tensor as pt

from symsparse.lowering.arithmetic import align
from symsparse.lowering.base import lowers
from symsparse.lowering.layout import NonzeroPattern, keep
from symsparse.lowering.patterns import require_same_shape
from symsparse.lowering.sampling import Locate
from symsparse.ops.updating import Without


class Remaining(NonzeroPattern):
    """(whether to keep, indices, indptr, carried) -> what is kept of a canonical pattern."""

    canonical = True


@lowers(Without)
def lower_without(node, x, p):
    x, p = align(x, p)
    p = require_same_shape("without", x, p)
    outside = pt.lt(Locate()(*x.pattern, *p.pattern), 0)
    return keep(x, outside, Remaining())
