"""Glue at the edge of each linker; the module of a linker is imported at the first compilation for it."""

import functools

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.link.numba.linker import NumbaLinker

from symsparse.backends import checking as checking


def _load_first(original):
    """The registrations for Numba, imported where it is first asked for code.

    Not by a rewrite: a function that comes out of a pickle was rewritten in another process.
    """

    @functools.wraps(original)
    def fgraph_convert(self, fgraph, **kwargs):
        import symsparse.backends.numba
        import symsparse.backends.numba_math

        return original(self, fgraph, **kwargs)

    return fgraph_convert


NumbaLinker.fgraph_convert = _load_first(NumbaLinker.fgraph_convert)


class FuseReductions(GraphRewriter):
    """Spare Numba the compilation of PyTensor's general reductions."""

    def apply(self, fgraph):
        from symsparse.backends.numba_reductions import fuse_reductions

        fuse_reductions(fgraph)


class SwapNumbaInputs(GraphRewriter):
    """Hand sparse inputs to Numba in the form that it recognises fastest."""

    def apply(self, fgraph):
        if (
            getattr(fgraph, "_compile_mode", None) is not None
        ):  # inner graphs get their inputs from the outer one
            from symsparse.backends.numba_inputs import swap_inputs

            swap_inputs(fgraph)


class SwapLargeConstants(GraphRewriter):
    """Let Numba keep a graph with large constants on disk."""

    def apply(self, fgraph):
        from symsparse.backends.numba_constants import swap_large_constants

        swap_large_constants(fgraph)


# PyTensor fuses reductions at 100, in the same graphs: not in those with this second tag excluded.
optdb.register(
    "symsparse_fuse_reductions", FuseReductions(), "numba", "symbolic_op_recognition", position=99.9
)
optdb.register("symsparse_swap_numba_inputs", SwapNumbaInputs(), "numba", position=200)
optdb.register("symsparse_swap_large_constants", SwapLargeConstants(), "numba", position=201)
