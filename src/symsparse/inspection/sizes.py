"""Sizes of the variables of a compiled graph: from its types and constants, or from a run on example arguments."""

import copy

import numpy as np
import pytensor
from pytensor.compile.io import In
from pytensor.compile.mode import FAST_COMPILE, Mode
from pytensor.graph.basic import Constant
from pytensor.graph.replace import graph_replace
from pytensor.link.basic import PerformLinker
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.type import TensorType

from symsparse.ops.base import is_sparse
from symsparse.types import SparseTensorType


class Sizes:
    """Shapes of variables, and values of integer scalars; None where unknown."""

    def __init__(self, found=None):
        self.found = found or {}

    def shape(self, v):
        """The shape of a variable as a tuple, with None for what is unknown; () for what has none."""
        if v in self.found:
            return self.found[v]
        if isinstance(v, Constant):
            return tuple(np.shape(v.data))
        return tuple(getattr(v.type, "shape", ()))

    def value(self, v):
        """The value of an integer scalar, None if unknown."""
        if isinstance(v, Constant):
            return int(v.data)
        if (v, "value") in self.found:
            return self.found[v, "value"]
        if v.owner is not None and isinstance(v.owner.op, Shape_i):
            return self.shape(v.owner.inputs[0])[v.owner.op.i]
        return None

    def elements(self, v):
        """How many numbers a dense variable holds."""
        return None if None in self.shape(v) else int(np.prod(self.shape(v), dtype="int64"))


def sizes_of_run(function, args, variables, scalars):
    """The sizes that these variables have in a call with `args`, and the values of these scalars.

    Only what the sizes depend on is computed, by the reference implementations: patterns, but hardly a value.
    """
    graph = function.maker.fgraph
    variables = [v for v in dict.fromkeys(variables) if isinstance(v.type, TensorType) or is_sparse(v)]
    scalars = list(dict.fromkeys(scalars))
    # The graph takes sparse inputs in the form that its linker likes; here they are SciPy's again.
    inputs = [_plain(v) for v in graph.inputs]
    outputs = [v.shape[i] for v in variables for i in range(v.type.ndim)] + scalars
    outputs = graph_replace(outputs, dict(zip(graph.inputs, inputs, strict=True)), strict=False)
    shapes = pytensor.function(
        [In(v, mutable=True, borrow=True) for v in inputs],
        outputs,
        mode=_mode,
        accept_inplace=True,
        on_unused_input="ignore",
    )
    with np.errstate(all="ignore"):
        results = iter(shapes(*_values(function, inputs, args)))
    found: dict = {v: tuple(int(next(results)) for _ in range(v.type.ndim)) for v in variables}
    found.update({(v, "value"): int(next(results)) for v in scalars})
    return Sizes(found)


_mode = Mode(PerformLinker(), FAST_COMPILE.provided_optimizer).excluding(
    "symsparse_dense_forms", "symsparse_container", "inplace", "fusion"
)


def _plain(v):
    if isinstance(v.type, SparseTensorType):
        return SparseTensorType(v.type.format, v.type.dtype, v.type.shape, index_dtype=v.type.index_dtype)()
    return v.type()


def _values(function, inputs, args):
    """A value for each input of the graph: the arguments in turn, and copies of what shared variables hold."""
    given, values = iter(args), []
    wanted = [i for i, spec in enumerate(function.maker.inputs) if not spec.implicit]
    if len(args) != len(wanted):
        raise TypeError(f"explain: the function takes {len(wanted)} arguments, got {len(args)} examples.")
    for i, v in enumerate(inputs):
        stored = next(given) if i in wanted else function.maker.inputs[i].variable.container.value
        value = v.type.filter(stored, allow_downcast=True if i in wanted else None)
        values.append(copy.deepcopy(value))
    return values
