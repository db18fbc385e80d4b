"""Glue at the edge of each linker; imported at the first compilation for it."""

import importlib

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import GraphRewriter

_MODULES = {"NumbaLinker": "symsparse.backends.numba"}


class LoadBackend(GraphRewriter):
    """Import the registrations for the linker that a graph is compiled for."""

    def apply(self, fgraph):
        mode = getattr(fgraph, "_compile_mode", None)
        for cls in type(getattr(mode, "linker", None)).__mro__:
            if cls.__name__ in _MODULES:
                importlib.import_module(_MODULES[cls.__name__])


optdb.register("symsparse_load_backend", LoadBackend(), "fast_run", "fast_compile", "minimum_compile", position=0.0799)
