"""How work is cut for threads, and Intel TBB, whose wheel puts its library where Numba does not look."""

import ctypes
import importlib.metadata
import sys
from pathlib import Path

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.ufunc.parallel import _launch_threads

from symsparse.kernels.base import loop

WORTH_A_THREAD = (
    100_000  # multiply-adds; a parallel region costs 2 us with TBB, and milliseconds where cores are busy
)
CHUNKS_A_THREAD = 8  # so that no thread waits long for the slowest


@intrinsic
def get_num_threads(context):
    """``numba.get_num_threads()`` by its symbol: Numba's own holds an address, and such code is not cached."""
    _launch_threads()

    def codegen(context, builder, signature, args):
        symbol = ir.FunctionType(cgutils.intp_t, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, symbol, "get_num_threads"), [])

    return types.intp(), codegen


@loop
def threads_for(work):
    """How many threads to use for so many multiply-adds."""
    return max(1, min(get_num_threads(), work // WORTH_A_THREAD))


@loop
def cut(indptr, chunks):
    """Bounds of chunks of major slices that are alike in stored entries and slices together."""
    n = len(indptr) - 1
    total = np.int64(indptr[n]) + n
    bounds = np.empty(chunks + 1, np.int64)
    bounds[0] = 0
    for b in range(1, chunks):
        low, high = bounds[b - 1], n
        while low < high:
            middle = (low + high) // 2
            if np.int64(indptr[middle]) + middle < total * b // chunks:
                low = middle + 1
            else:
                high = middle
        bounds[b] = low
    bounds[chunks] = n
    return bounds


def find_tbb():
    """Path of the TBB library of the installed ``tbb`` wheel, or None."""
    names = {"linux": "libtbb.so.12", "win32": "tbb12.dll"}
    try:
        files = importlib.metadata.files("tbb") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(f.locate())) for f in files if f.name == names.get(sys.platform)]
    return next((str(p) for p in paths if p.exists()), None)


def load_tbb():
    """Load TBB for all, before Numba chooses a threading layer. Its threads survive ``fork()``, GNU OpenMP's do not."""
    path = find_tbb()
    if path is not None:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:  # Numba falls back to another layer
            return None
    return path
