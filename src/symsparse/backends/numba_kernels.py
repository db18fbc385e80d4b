"""Kernels as native functions that compiled graphs call by a symbol.

Numba would link a kernel's code into each graph that calls it, and optimise and compile it again each time. A symbol
keeps a kernel compiled once: graphs hold a call, and Numba's disk cache of the kernel serves all of them.
"""

import functools
import hashlib
import importlib

import llvmlite.binding as llvm
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.imputils import impl_ret_new_ref
from numba.core.types.misc import unliteral
from numba.extending import intrinsic
from pytensor.link.numba.cache import NUMBA_CACHE_PATH

from symsparse.kernels import fingerprint
from symsparse.kernels.caching import share_safely


def _rebuild(original):
    """Numba's load of compiled code, after which the code still knows what has to run at each load of it.

    Numba forgets that: code which links code from the disk cache would be stored without the addresses it needs.
    """

    def rebuild(cls, *args, **kwargs):
        result = original(cls, *args, **kwargs)
        result.library._reload_init.update(result.reload_init)
        return result

    return classmethod(rebuild)


CompileResult._rebuild = _rebuild(CompileResult._rebuild.__func__)


def _share_compiled_graphs(original):
    """Numba's cache of a function, safe to share by processes where the function is one of PyTensor's."""

    def __init__(self, py_func):
        original(self, py_func)
        if self.cache_path == NUMBA_CACHE_PATH:
            share_safely(self)

    return __init__


FunctionCache.__init__ = _share_compiled_graphs(FunctionCache.__init__)


def publish(name, arguments):
    """Compile the kernel for these types, or load it, and give its address to LLVM under a symbol of its own."""
    module, function = name.split(".")
    kernel = getattr(importlib.import_module(f"symsparse.kernels.{module}"), function)
    kernel.compile(arguments)
    compiled = kernel.overloads[arguments]
    symbol = f"symsparse.{name}.{hashlib.sha256(repr((fingerprint, arguments)).encode()).hexdigest()[:32]}"
    llvm.add_symbol(symbol, compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))
    return symbol, compiled.signature.return_type


def writable(typ):
    """The type of arguments of a kernel: it writes to none of them, so that constants need no code of their own."""
    return typ if not isinstance(typ, types.Array) or typ.mutable else typ.copy(readonly=False)


@functools.cache
def callable_kernel(name, n_arguments):
    """The kernel "module.function" as a function of compiled code."""

    def typed(context, *given):
        given = tuple(map(unliteral, given))
        arguments = tuple(map(writable, given))
        symbol, result = publish(name, arguments)

        def codegen(context, builder, signature, args):
            # a graph that comes from the disk cache has the symbol, but not yet its address
            context.active_code_library._reload_init.add(functools.partial(publish, name, arguments))
            function = cgutils.get_or_insert_function(
                builder.module, context.call_conv.get_function_type(result, arguments), symbol
            )
            status, value = context.call_conv.call_function(builder, function, result, arguments, args)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return impl_ret_new_ref(context, builder, result, value)

        return result(*given), codegen

    names = ", ".join(f"x{i}" for i in range(n_arguments))
    scope = {"typed": typed}
    exec(f"def call(context, {names}):\n    return typed(context, {names})", scope)
    return intrinsic(scope["call"])
