"""Lowering of random draws with an explicit generator."""

import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.graph.basic import Apply
from pytensor.graph.rewriting.basic import copy_stack_trace, dfs_rewriter, node_rewriter
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.random.utils import custom_rng_deepcopy
from pytensor.tensor.shape import Shape_i

from symsparse.lowering.base import KernelOp, Parts, lowers, vector
from symsparse.lowering.layout import canonical, remove0, to_format
from symsparse.ops.base import equal, require
from symsparse.ops.random import Binomial, Multinomial, Poisson, largest_count


class RandomKernel(KernelOp, RNGConsumerOp):
    """A kernel that draws: (rng, *arrays) -> (next rng, *what the kernel returns)."""

    __props__ = ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, rng, *inputs):
        node = super().make_node(*inputs)
        return Apply(self, [rng, *node.inputs], [rng.type(), *(out.type() for out in node.outputs)])

    def perform(self, node, inputs, outputs):
        rng, *inputs = inputs
        outputs[0][0] = rng = rng if self.inplace else custom_rng_deepcopy(rng)
        super().perform(node, [rng, *inputs], outputs[1:])

    def infer_shape(self, node, shapes):
        return [None, *((Shape_i(0)(out),) for out in node.outputs[1:])]

    def update(self, node):
        return {node.inputs[0]: node.outputs[0]}

    def do_constant_folding(self, fgraph, node):
        return False


class DrawPoisson(RandomKernel):
    """(rng, means, largest) -> next rng, counts."""

    kernel = "random.poisson"

    def outputs(self, means, largest):
        return [("int64", means.type.shape)]


class DrawBinomial(RandomKernel):
    """(rng, n, p, n_major, n_minor, largest, index-like) -> next rng, canonical pattern, counts."""

    kernel = "random.binomial"
    canonical = True

    def outputs(self, n, p, n_major, n_minor, largest, index_like):
        return [vector(index_like), vector(index_like), vector("int64")]


class DrawMultinomial(RandomKernel):
    """(rng, n of each slice, probabilities, indptr) -> next rng, counts."""

    kernel = "random.multinomial"

    def outputs(self, n, p, indptr):
        return [(p.dtype, p.type.shape)]


@lowers(Poisson)
def lower_poisson(node, rng, x):
    x = canonical(x)
    next_rng, counts = DrawPoisson()(rng, x.values, largest_count(x.dtype))
    return [next_rng, remove0(x.with_values(pt.cast(counts, x.dtype)))]


@lowers(Binomial)
def lower_binomial(node, rng, n, p, shape):
    if shape.type.shape[0] is None:
        two = equal(shape.shape[0], 2, "binomial: shape must have two elements: got %d instead of %d")
        shape = require(shape, two)
    sizes = shape[0], shape[1]
    n_major, n_minor = sizes if node.op.format == "csr" else sizes[::-1]
    index_like = pt.constant([], dtype=node.op.index_dtype)
    next_rng, indices, indptr, counts = DrawBinomial()(
        rng, n, p, n_major, n_minor, largest_count(node.op.dtype), index_like
    )
    return [next_rng, Parts(node.op.format, counts, indices, indptr, shape)]


@lowers(Multinomial)
def lower_multinomial(node, rng, n, p):
    by_rows = to_format(canonical(p), "csr")
    if n.type.ndim == 0:
        n = pt.alloc(n, by_rows.n_major)
    next_rng, counts = DrawMultinomial()(rng, n, by_rows.values, by_rows.indptr)
    return [next_rng, to_format(by_rows.with_values(counts), p.format)]


@node_rewriter([RandomKernel], inplace=True)
def symsparse_draw_inplace(fgraph, node):
    """Advance a generator that nobody else needs, instead of a copy of it."""
    if node.op.inplace:
        return None
    new = type(node.op)(inplace=True).make_node(*node.inputs).outputs
    copy_stack_trace(node.outputs, new)
    return new


# Where PyTensor does the same to its own random variables.
optdb.register(
    "symsparse_draw_inplace",
    dfs_rewriter(symsparse_draw_inplace, ignore_newtrees=True),
    "fast_run",
    "inplace",
    position=50.9,
)
