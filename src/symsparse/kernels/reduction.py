"""Sums and extremes of a compressed matrix along its axes."""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.memory import empty
from symsparse.kernels.threading import cut_for, run_chunks

NO_EXTREME = (
    "sp_max, sp_min or norm: a matrix of %d x %d entries (columns first for csc) has no extreme along this axis "
    "(zero-size array to reduction operation which has no identity)"
)


@loop(fastmath={"reassoc"})  # so that LLVM takes several sums side by side, and vectors of them
def _sum(values, start, stop):
    total = values.dtype.type(0)
    for k in range(start, stop):
        total += values[k]
    return total


@loop
def _sums(first, last, values, indptr, out):
    for r in range(first, last):
        out[r] = _sum(values, indptr[r], indptr[r + 1])


@kernel
def sum_major(values, indptr):
    """Sum of each major slice."""
    indptr = unsigned(indptr)
    out = empty(len(indptr) - 1, values.dtype)
    run_chunks(_sums, cut_for(len(values), indptr), (values, indptr, out))
    return out


@kernel
def sum_minor(values, indices, n_minor):
    """Sum of the entries of each minor index."""
    indices = unsigned(indices)
    out = np.zeros(n_minor, dtype=values.dtype)
    for k in range(len(indices)):
        out[indices[k]] += values[k]
    return out


@kernel
def _better(a, b, largest):
    """The larger (smaller) of two numbers; NaN if one is."""
    if a != a:
        return a
    if b != b:
        return b
    return b if (b > a) == largest and b != a else a


@kernel
def extreme_all(values, n, m, largest):
    """Largest (smallest) entry of an n x m matrix with these stored values, each position stored at most once.

    In a vector of one element, which keeps the dtype.
    """
    if n == 0 or m == 0:
        raise KernelValueError(NO_EXTREME, n, m)
    nnz = len(values)
    out = np.zeros(1, dtype=values.dtype)
    best = values[0] if nnz > 0 else out[0]
    for k in range(1, nnz):
        best = _better(best, values[k], largest)
    full = nnz % m == 0 and nnz // m == n  # nnz == n * m, which could overflow
    out[0] = best if full else _better(best, out[0], largest)
    return out


@kernel
def extreme_major(values, indptr, n_minor, largest):
    """Largest (smallest) entry of each major slice of a canonical matrix; what is not stored is zero."""
    out = np.empty(len(indptr) - 1, dtype=values.dtype)
    if n_minor == 0:
        raise KernelValueError(NO_EXTREME, len(indptr) - 1, n_minor)
    zero = values.dtype.type(0)
    for r in range(len(out)):
        start, stop = indptr[r], indptr[r + 1]
        best = values[start] if stop > start else zero
        for k in range(start + 1, stop):
            best = _better(best, values[k], largest)
        out[r] = best if stop - start == n_minor else _better(best, zero, largest)
    return out


@kernel
def extreme_minor(values, indices, n_major, n_minor, largest):
    """Largest (smallest) entry of each minor index of a canonical matrix; what is not stored is zero."""
    if n_major == 0:
        raise KernelValueError(NO_EXTREME, n_major, n_minor)
    out = np.zeros(n_minor, dtype=values.dtype)
    stored = np.zeros(n_minor, dtype=np.int64)
    for k in range(len(indices)):
        c = indices[k]
        out[c] = _better(out[c], values[k], largest) if stored[c] else values[k]
        stored[c] += 1
    zero = values.dtype.type(0)
    for c in range(n_minor):
        if stored[c] < n_major:
            out[c] = _better(out[c], zero, largest)
    return out
