"""Products that are added to something: after canonicalisation, on lowered graphs, where a sum has few spellings."""

import itertools

import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.rewriting.basic import copy_stack_trace, dfs_rewriter, in2out, node_rewriter
from pytensor.scalar.basic import Add, Mul, Neg, Sub, TrueDiv
from pytensor.tensor.elemwise import DimShuffle, Elemwise

from symsparse.lowering.matmul import CompressedDot, CompressedUsmm
from symsparse.rewrites.base import REWRITES
from symsparse.types import continuous_dtypes


def is_elemwise(v, *scalar_ops):
    """Whether a variable is the output of one of these elementwise ops."""
    owner = v.owner
    return owner is not None and isinstance(owner.op, Elemwise) and isinstance(owner.op.scalar_op, scalar_ops)


def is_scalar(v):
    """Whether a dense variable has one element, and says so in its type."""
    return all(n == 1 for n in v.type.shape)


def _read_once(fgraph, v):
    return (
        len(fgraph.clients[v]) == 1
        and not isinstance(fgraph.clients[v][0][0], str)
        and v not in fgraph.outputs
    )


class _Term:
    """A term of a sum: ``sign * scale * product``, or with the product transposed."""

    def __init__(self, product, scale: Variable | None = None, negative=False, transposed=False):
        self.product, self.scale, self.negative, self.transposed = product, scale, negative, transposed

    def scaled(self, scalar, op):
        scalar = scalar.dimshuffle()
        if self.scale is None:
            scale = scalar if op is pt.mul else pt.true_div(pt.constant(1, dtype=self.product.dtype), scalar)
        else:
            scale = op(self.scale, scalar)
        return _Term(self.product, scale, self.negative, self.transposed)

    @property
    def alpha(self):
        one = pt.constant(1, dtype=self.product.dtype)
        scale = one if self.scale is None else self.scale
        return -scale if self.negative else scale


def _term(fgraph, v):
    """`v` as a scaled product that nobody else reads; None if it is not one."""
    if not _read_once(fgraph, v) or v.owner is None:
        return None
    inputs = v.owner.inputs
    if isinstance(v.owner.op, CompressedDot):
        return _Term(v)
    if isinstance(v.owner.op, DimShuffle) and tuple(v.owner.op.new_order) == (1, 0):
        found = _term(fgraph, inputs[0])
        return found and _Term(found.product, found.scale, found.negative, not found.transposed)
    if is_elemwise(v, Neg):
        found = _term(fgraph, inputs[0])
        return found and _Term(found.product, found.scale, not found.negative, found.transposed)
    if is_elemwise(v, TrueDiv) and is_scalar(inputs[1]):
        found = _term(fgraph, inputs[0])
        return found and found.scaled(inputs[1], pt.true_div)
    if is_elemwise(v, Mul):
        matrices = [x for x in inputs if not is_scalar(x)]
        found = _term(fgraph, matrices[0]) if len(matrices) == 1 else None
        for x in inputs:
            if found is not None and x is not matrices[0]:
                found = found.scaled(x, pt.mul)
        return found
    return None


def _may_be_destroyed(fgraph, z, factor):
    """Whether a product with a factor may, as far as one can tell now, be added to `z` itself."""
    clients = fgraph.clients.get(z, [])  # none yet, where it is made for this
    if isinstance(z, Constant) or z in fgraph.outputs or _base(z) is _base(factor):
        return False
    if z.owner is None:
        protected = (getattr(feature, "protected", ()) for feature in fgraph._features)
        return z not in itertools.chain(*protected)
    views = z.owner.op.view_map.get(z.index)
    return len(clients) <= 1 and (not views or _may_be_destroyed(fgraph, z.owner.inputs[views[0]], factor))


def _base(v):
    """What `v` is a view of."""
    while v.owner is not None and v.index in v.owner.op.view_map:
        v = v.owner.inputs[v.owner.op.view_map[v.index][0]]
    return v


@node_rewriter([Elemwise])
def usmm(fgraph, node):
    """Z + alpha * (x @ y) = usmm(alpha, x, y, z): one pass, which adds to z.

    In any spelling: ``z - (x @ y) * a / b``, ``-(x @ y) + z``, ``z + (y.T @ x.T).T`` and so on, with x or y sparse and
    scalar factors. Without it the product is an array of its own, which a second pass adds. It does not fire if
    something else reads the product, if z broadcasts, or if product, z and sum differ in dtype: the product would be
    computed in another precision. And not for a csr matrix on the left if z must stay as it is: a copy of z, to which
    the product is added, costs as much as the product and a sum that PyTensor computes in its place.

    An alpha that is infinite or NaN makes NaN of the empty rows of x @ y, as 0 * inf does in the sum.
    """
    (out,) = node.outputs
    if not isinstance(node.op.scalar_op, Add | Sub) or out.dtype not in continuous_dtypes:
        return None
    subtracts = isinstance(node.op.scalar_op, Sub)
    for i, v in enumerate(node.inputs):
        found = _term(fgraph, v)
        if found is None or any(w is v for j, w in enumerate(node.inputs) if j != i):
            continue
        rest = [w for j, w in enumerate(node.inputs) if j != i]
        z = pt.add(*rest) if len(rest) > 1 else rest[0]
        same = z.type.broadcastable == v.type.broadcastable == out.type.broadcastable
        if not same or not z.dtype == found.product.dtype == out.dtype:
            continue
        alpha = found.alpha
        if subtracts:
            z, alpha = (z, -alpha) if i == 1 else (-z, alpha)
        dot = found.product.owner
        values, indices, indptr, x, n_minor = dot.inputs
        if dot.op.gather and not _may_be_destroyed(fgraph, z, x):
            continue
        z = z.T if found.transposed else z
        alpha = pt.cast(alpha, out.dtype)
        result = CompressedUsmm(dot.op.gather)(alpha, values, indices, indptr, x, z, n_minor)
        result = result.T if found.transposed else result
        copy_stack_trace(out, result)
        return [result]
    return None


@node_rewriter([CompressedUsmm], inplace=True)
def usmm_inplace(fgraph, node):
    """usmm(alpha, x, y, z) adds to z itself, where nothing reads z afterwards.

    Such a z is an intermediate result, a shared variable that this update replaces, or an input that may change
    (``mutable=True``). With x.T @ g for a batch of few rows, the update ``W - rate * (x.T @ g)`` then touches only the
    rows of W that the batch has entries for.
    """
    if node.op.inplace:
        return None
    result = CompressedUsmm(node.op.gather, inplace=True)(*node.inputs)
    copy_stack_trace(node.outputs, result)
    return [result]


# After canonicalisation (1), before PyTensor's own products and specialisations (1.7, 2).
optdb.register("symsparse_usmm", in2out(usmm, name="symsparse_usmm"), "fast_run", position=1.65)
# Before elementwise ops choose what they work in (50.5).
optdb.register(
    "symsparse_usmm_inplace",
    dfs_rewriter(usmm_inplace, name="symsparse_usmm_inplace"),
    "fast_run",
    "inplace",
    position=50.15,
)

for _rewrite in (usmm, usmm_inplace):
    REWRITES[f"symsparse_{_rewrite.__name__}"] = _rewrite
