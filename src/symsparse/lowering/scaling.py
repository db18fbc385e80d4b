"""Lowering of a vector along the rows or columns of a sparse matrix."""

from symsparse.lowering.base import Parts, lowers
from symsparse.lowering.layout import RepeatMajor, TakeMinor, canonical
from symsparse.lowering.sampling import sample_dense
from symsparse.ops.scaling import ColScaleCSC, RowScaleCSC, StructuredAddSV


def along(x: Parts, s, axis):
    """The element of the vector `s` along an axis, for each stored entry of `x`."""
    if (axis == 0) == (x.format == "csr"):
        return RepeatMajor()(s, x.indptr)
    return TakeMinor()(s, x.indices, x.n_minor)


@lowers(ColScaleCSC, RowScaleCSC)
def lower_scale(node, x, s):
    return x.with_values(x.values * along(x, s, node.op.axis))


@lowers(StructuredAddSV)
def lower_structured_add_sv(node, x, v):
    x = canonical(x)
    return x.with_values(x.values + sample_dense(v, x))
