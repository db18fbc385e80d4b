"""Lowering of a vector along the rows or columns of a sparse matrix."""

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.scalar import Mul
from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.base import KernelOp, Parts, lowers, vector
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


# -- in one pass ------------------------------------------------------------------------------------------------


class Scale(KernelOp):
    """Values times a vector along an axis or both, which is not first spread over the stored entries."""

    def outputs(self, values, *factors):
        return [vector(values, values.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[0]]


class ScaleMajor(Scale):
    kernel = "scaling.scale_major"


class ScaleMinor(Scale):
    kernel = "scaling.scale_minor"


class ScaleBoth(Scale):
    kernel = "scaling.scale_both"


@node_rewriter([Elemwise])
def scale_in_one_pass(fgraph, node):
    """``values * RepeatMajor(u) * TakeMinor(v) = ScaleBoth(values, u, v)``: no vector spread over the entries."""
    if type(node.op.scalar_op) is not Mul or len({v.dtype for v in (*node.inputs, *node.outputs)}) > 1:
        return None
    if node.outputs[0].type.ndim != 1:
        return None
    rest: list = []
    spread: dict = {RepeatMajor: [], TakeMinor: []}
    for v in node.inputs:
        chosen = spread.get(type(v.owner.op), rest) if v.owner is not None else rest
        (rest if chosen else chosen).append(v)
    major, minor = spread.values()
    if not rest or not (major or minor):
        return None
    values = rest[0] if len(rest) == 1 else Elemwise(node.op.scalar_op)(*rest)
    if values.type.shape[0] == 1:  # it could be one value for all entries
        return None
    factors = [f for v in (*major, *minor) for f in v.owner.inputs]
    scale = ScaleBoth if major and minor else ScaleMajor if major else ScaleMinor
    return [scale()(values, *factors)]


optdb.register("symsparse_scale_in_one_pass", dfs_rewriter(scale_in_one_pass), "fast_run", position=48.6)
