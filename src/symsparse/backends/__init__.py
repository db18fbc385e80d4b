"""Glue at the edge of each linker; the module of a linker is imported at the first compilation for it."""

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import GraphRewriter

from symsparse.backends import checking as checking


class LoadBackend(GraphRewriter):
    """Import the registrations for the linker that a graph is compiled for."""

    def apply(self, fgraph):
        mode = getattr(fgraph, "_compile_mode", None)
        if any(cls.__name__ == "NumbaLinker" for cls in type(getattr(mode, "linker", None)).__mro__):
            import symsparse.backends.numba
            import symsparse.backends.numba_math


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


_TAGS = ("fast_run", "fast_compile", "minimum_compile")
optdb.register("symsparse_load_backend", LoadBackend(), *_TAGS, position=0.0799)
# PyTensor fuses reductions at 100, in the same graphs: not in those with this second tag excluded.
optdb.register(
    "symsparse_fuse_reductions", FuseReductions(), "numba", "symbolic_op_recognition", position=99.9
)
optdb.register("symsparse_swap_numba_inputs", SwapNumbaInputs(), "numba", position=200)
optdb.register("symsparse_swap_large_constants", SwapLargeConstants(), "numba", position=201)
