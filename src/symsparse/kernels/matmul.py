"""Products of compressed with dense matrices (SpMV, SpMM)."""

import numpy as np

from symsparse.kernels.base import kernel, loop, unsigned
from symsparse.kernels.memory import empty, zeros
from symsparse.kernels.threading import cut, cut_for, run_chunks, threads_for
from symsparse.kernels.tiles import for_tiles, gather_rows, scatter_rows, with_tiles

WIDE = 8  # columns that are worth a thread of their own: one vector of float64


@loop
def _gather_vector(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        total = values.dtype.type(0)
        for k in range(indptr[r], indptr[r + 1]):
            total += values[k] * x[indices[k]]
        out[r] = total


@kernel
def gather_vector(values, indices, indptr, x, n_minor):
    """``out[major] = sum values * x[minor]``: csr @ x."""
    if len(x) != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = empty(len(indptr) - 1, values.dtype)
    run_chunks(_gather_vector, cut_for(len(indices), indptr), (values, indices, indptr, x, out))
    return out


@loop
def _scatter_vector(t, _, values, indices, indptr, x, out, parts, bounds):
    """What thread t adds, into an output of its own."""
    own = out
    if t > 0:
        own = parts[t - 1]
        own[:] = 0
    for r in range(bounds[t], bounds[t + 1]):
        factor = x[r]
        for k in range(indptr[r], indptr[r + 1]):
            own[indices[k]] += values[k] * factor


@loop
def _add_parts(first, last, out, parts):
    """Add what each thread has, in the order of the threads, so that a result does not depend on who was first."""
    for t in range(len(parts)):
        for k in range(first, last):
            out[k] += parts[t, k]


@kernel
def scatter_vector(values, indices, indptr, x, n_minor):
    """``out[minor] += values * x[major]``: csc @ x."""
    if len(x) != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    threads = threads_for(len(indices) - 2 * n_minor)  # each thread adds into an output of its own
    out = zeros(n_minor, values.dtype)
    parts = empty((threads - 1, n_minor), values.dtype)
    tasks = np.arange(threads + 1)
    run_chunks(_scatter_vector, tasks, (values, indices, indptr, x, out, parts, cut(indptr, threads)))
    if threads > 1:
        run_chunks(_add_parts, tasks * n_minor // threads, (out, parts))
    return out


@loop
def _gather_plain(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        out[r] = 0
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[r, j] += factor * x[c, j]


_gather_matrix = with_tiles(_gather_plain, gather_rows)


@kernel
def gather_matrix(values, indices, indptr, x, n_minor):
    """``out[major, :] = sum values * x[minor, :]``: csr @ X."""
    if x.shape[0] != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    values, indices, indptr, x = for_tiles(values, unsigned(indices), unsigned(indptr), x)
    out = empty((len(indptr) - 1, x.shape[1]), values.dtype)
    run_chunks(_gather_matrix, cut_for(len(indices) * x.shape[1], indptr), (values, indices, indptr, x, out))
    return out


@loop
def _scatter_plain(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[c, j] += factor * x[r, j]


_scatter_rows = with_tiles(_scatter_plain, scatter_rows)


@loop
def _scatter_matrix(t, _, threads, values, indices, indptr, x, out, parts, bounds):
    """What thread t does: columns of its own where there are enough, else rows, into an output of its own."""
    first, last, left, right, own = 0, len(x), 0, out.shape[1], out
    if len(parts) > 0:
        first, last = bounds[t], bounds[t + 1]
        if t > 0:
            own = parts[t - 1]
            own[:] = 0
    elif threads > 1:
        left = right * t // threads // WIDE * WIDE
        right = right if t == threads - 1 else right * (t + 1) // threads // WIDE * WIDE
    _scatter_rows(first, last, values, indices, indptr, x[:, left:right], own[:, left:right])


@kernel
def scatter_matrix(values, indices, indptr, x, n_minor):
    """``out[minor, :] += values * x[major, :]``: csc @ X."""
    if x.shape[0] != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    values, indices, indptr, x = for_tiles(values, unsigned(indices), unsigned(indptr), x)
    width = x.shape[1]
    threads = threads_for(len(indices) * width)
    by_columns = width >= threads * WIDE
    out = zeros((n_minor, width), values.dtype)
    parts = empty((0 if by_columns else threads - 1, n_minor, width), values.dtype)
    tasks = np.arange(threads + 1)
    given = threads, values, indices, indptr, x, out, parts, cut(indptr, threads)
    run_chunks(_scatter_matrix, tasks, given)
    if len(parts) > 0:
        size = n_minor * width
        run_chunks(_add_parts, tasks * size // threads, (out.reshape(-1), parts.reshape((len(parts), size))))
    return out
