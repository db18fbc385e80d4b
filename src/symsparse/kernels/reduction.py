"""Sums of a compressed matrix along its axes."""

import numpy as np

from symsparse.kernels.base import kernel, unsigned


@kernel
def sum_major(values, indptr):
    """Sum of each major slice."""
    indptr = unsigned(indptr)
    out = np.empty(len(indptr) - 1, dtype=values.dtype)
    for r in range(len(out)):
        total = values.dtype.type(0)
        for k in range(indptr[r], indptr[r + 1]):
            total += values[k]
        out[r] = total
    return out


@kernel
def sum_minor(values, indices, n_minor):
    """Sum of the entries of each minor index."""
    indices = unsigned(indices)
    out = np.zeros(n_minor, dtype=values.dtype)
    for k in range(len(indices)):
        out[indices[k]] += values[k]
    return out
