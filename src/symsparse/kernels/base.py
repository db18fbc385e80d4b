"""How kernels are compiled."""

import functools

import numba
import numpy as np
from numba.extending import overload

# One compilation a dtype, kept on disk; NumPy's division; no global lock, so that calls can overlap.
kernel = functools.partial(numba.njit, cache=True, error_model="numpy", nogil=True)


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
