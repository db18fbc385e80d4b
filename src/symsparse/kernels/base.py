"""How kernels are compiled."""

import functools
import hashlib
from pathlib import Path

import numba
from numba.core import config, types
from numba.core.imputils import impl_ret_borrowed
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic

from symsparse.kernels.caching import share_safely


def _fingerprint():
    # NUMBA_BOUNDSCHECK=1 makes checked code of the same source; tests run the kernels like that, too.
    digest = hashlib.sha256(f"{numba.__version__} {config.BOUNDSCHECK}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return int(digest.hexdigest()[:12], 16)


fingerprint = _fingerprint()


# Numba compiles a raise with numbers as arguments for nothing, but text made of them (an f-string) costs 0.1 s of
# compilation for each kernel. So the numbers go into the text when the exception is made, in Python.
class KernelValueError(ValueError):
    """A ValueError whose text shows numbers: ``raise KernelValueError("dot: %d and %d differ", n, m)``."""

    def __init__(self, text, *numbers):
        super().__init__(text % numbers if numbers else text)


class KernelIndexError(IndexError):
    """An IndexError whose text shows numbers; see `KernelValueError`."""

    def __init__(self, text, *numbers):
        super().__init__(text % numbers if numbers else text)


class KernelMemoryError(MemoryError):
    """A MemoryError whose text shows numbers; see `KernelValueError`."""

    def __init__(self, text, *numbers):
        super().__init__(text % numbers if numbers else text)


class _Loop(CPUDispatcher):
    def __call__(self, *args):
        return self.py_func(*args)

    def suited_to(self, arguments):
        """The loop that `run_chunks` calls in place of this one for arguments of these types."""
        return self


def loop(function=None, **options):
    """A part of kernels, compiled into each of them: NumPy's division; no global lock, so that calls can overlap.

    It is compiled without the code by which Python calls it, in half the time; from Python it runs as Python.
    """
    if function is None:
        return functools.partial(loop, **options)
    bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled = numba.njit(function, error_model="numpy", nogil=True, **bare, **options)
    compiled.__class__ = _Loop
    return compiled


def kernel(function):
    """One compilation for each combination of dtypes, kept on disk until any kernel's source changes."""
    compiled = numba.njit(function, error_model="numpy", nogil=True, no_cfunc_wrapper=True)
    try:
        compiled.enable_caching()
    except RuntimeError:  # no folder that Numba may write to: compiled anew in each process
        return compiled
    # Numba looks at the time of this function's file alone, but loops and tiles of other files are compiled in.
    share_safely(compiled._cache)._cache_file._source_stamp = fingerprint
    return compiled


@intrinsic
def unsigned(context, indices):
    """View of a signed index vector as unsigned: no test for negative indices in the loop, which is twice as fast.

    For indptr too: its elements become the positions k of ``values[k]``.
    """
    view = indices.copy(dtype=types.uint32) if indices.dtype == types.int32 else indices

    def codegen(context, builder, signature, args):
        return impl_ret_borrowed(context, builder, view, args[0])

    return view(indices), codegen
