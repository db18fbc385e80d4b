"""Elementwise operations of functions with sparse matrices, in a form that Numba turns into vector code.

After lowering and fusion an elementwise chain is one loop, over stored entries or over a dense array, whose body calls
``exp`` and the like in the C library, element by element. Here these scalar functions are replaced by those of
`symsparse.kernels.vector_math`, and the chain is marked as ours, so that `symsparse.backends.numba_math` compiles it.
It happens after PyTensor's fusion, and only in graphs that had a sparse variable: other programs keep PyTensor's code.
"""

from pytensor.compile import optdb
from pytensor.graph.features import Feature
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.graph.traversal import io_toposort
from pytensor.scalar import basic as scalar
from pytensor.scalar.math import Sigmoid, Softplus
from pytensor.tensor.elemwise import Elemwise

from symsparse.ops.base import is_sparse

NAMES = {
    scalar.Exp: "exp",
    scalar.Expm1: "expm1",
    scalar.Log: "log",
    scalar.Log1p: "log1p",
    Sigmoid: "sigmoid",
    Softplus: "softplus",
    scalar.Tanh: "tanh",
}
DTYPES = ("float32", "float64")


class VectorMath(scalar.UnaryScalarOp):
    """One of PyTensor's scalar functions, computed by that of `symsparse.kernels.vector_math`."""

    __props__ = ("original",)

    def __init__(self, original):
        self.original = original
        self.function = NAMES[type(original)]
        super().__init__(name=f"vector_{self.function}")

    def __eq__(self, other):
        return type(self) is type(other) and self.original == other.original

    def __hash__(self):
        return hash((type(self), self.original))

    def output_types(self, types):
        return self.original.output_types(types)

    def impl(self, x):
        return self.original.impl(x)


class VectorComposite(scalar.Composite):
    """A chain of scalar operations that is compiled as one function and inlined in the loop over the elements."""


def vector_composite(op, inputs):
    """The scalar operation `op` on scalar variables as a `VectorComposite`."""
    if isinstance(op, scalar.Composite):
        graph = op.fgraph.unfreeze()
        inputs, outputs = list(graph.inputs), list(graph.outputs)
    else:
        outputs = op.make_node(*inputs).outputs
    made = dict(zip(inputs, inputs, strict=True))
    for node in io_toposort(inputs, outputs):
        (x, *others), out = node.inputs, node.outputs[0]
        known = type(node.op) in NAMES and not others and x.dtype == out.dtype and x.dtype in DTYPES
        new = VectorMath(node.op) if known else node.op
        made.update(
            zip(node.outputs, new.make_node(*(made.get(v, v) for v in node.inputs)).outputs, strict=True)
        )
    return VectorComposite(inputs, [made[v] for v in outputs])


class HadSparse(Feature):
    """Marks a graph that had a sparse variable before it was lowered."""


class MarkSparse(GraphRewriter):
    """Attach `HadSparse`."""

    def apply(self, fgraph):
        if any(map(is_sparse, fgraph.variables)):
            fgraph.attach_feature(HadSparse())


class VectoriseMath(GraphRewriter):
    """Make the scalar operations of elementwise nodes ours, if they yield arrays of floats."""

    def apply(self, fgraph):
        if not any(isinstance(feature, HadSparse) for feature in fgraph._features):
            return
        for node in fgraph.toposort():
            if not isinstance(node.op, Elemwise):
                continue
            if not all(v.type.ndim > 0 and v.dtype in DTYPES for v in node.outputs):
                continue
            op = vector_composite(node.op.scalar_op, [scalar.get_scalar_type(v.dtype)() for v in node.inputs])
            new = Elemwise(op, inplace_pattern=node.op.inplace_pattern)(*node.inputs, return_list=True)
            fgraph.replace_all(list(zip(node.outputs, new, strict=True)), reason="symsparse_vectorise_math")


optdb.register("symsparse_mark_sparse", MarkSparse(), "numba", position=0.065)
# After elementwise fusion (49), before operations are made to work in place and to gather and sum by themselves.
optdb.register("symsparse_vectorise_math", VectoriseMath(), "numba", position=49.05)
