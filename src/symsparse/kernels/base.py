"""How kernels are compiled."""

import functools
import hashlib
from pathlib import Path

import numba
import numpy as np
from numba.extending import overload


def _fingerprint():
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return int(digest.hexdigest()[:12], 16)


fingerprint = _fingerprint()

# A loop inside kernels, compiled into each of them: NumPy's division; no global lock, so that calls can overlap.
loop = functools.partial(numba.njit, error_model="numpy", nogil=True)


def kernel(function, **options):
    """One compilation for each combination of dtypes, kept on disk until any kernel's source changes."""
    compiled = loop(function, cache=True, **options)
    # Numba looks at the time of this function's file alone, but loops and tiles of other files are compiled in.
    compiled._cache._cache_file._source_stamp = fingerprint
    return compiled


def parallel_kernel(function):
    """A kernel whose loops over prange are parallel regions; nothing else, since each costs compilation."""
    else_serial = dict.fromkeys(
        "comprehension reduction inplace_binop setitem numpy stencil fusion".split(), False
    )
    return kernel(function, parallel={"prange": True, **else_serial})  # Numba empties this dict


def unsigned(indices):
    """View of an int32 index vector as uint32: no test for negative indices in the loop, which is twice as fast.

    For indptr too: its elements become the positions k of ``values[k]``.
    """
    return indices.view(np.uint32) if indices.dtype == np.int32 else indices


@overload(unsigned)
def _unsigned(indices):
    if indices.dtype == numba.int32:
        return lambda indices: indices.view(np.uint32)
    return lambda indices: indices
