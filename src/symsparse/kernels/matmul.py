"""Products: compressed with dense (SpMV, SpMM), sampled dense with dense (SDDMM), two compressed (SpGEMM)."""

import numpy as np
from numba import prange

from symsparse.kernels.base import kernel, loop, parallel_kernel, unsigned
from symsparse.kernels.threading import CHUNKS_A_THREAD, cut, threads_for
from symsparse.kernels.tiles import for_tiles, gather_row, scatter_row, with_tiles

WIDE = 8  # columns that are worth a thread of their own: one vector of float64


@loop
def _gather_range(values, indices, indptr, x, out, first, last):
    for r in range(first, last):
        total = values.dtype.type(0)
        for k in range(indptr[r], indptr[r + 1]):
            total += values[k] * x[indices[k]]
        out[r] = total


@parallel_kernel
def gather_vector(values, indices, indptr, x, n_minor):
    """``out[major] = sum values * x[minor]``: csr @ x."""
    if len(x) != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = np.empty(len(indptr) - 1, dtype=values.dtype)
    threads = threads_for(len(indices))
    if threads == 1:
        _gather_range(values, indices, indptr, x, out, 0, len(out))
    else:
        bounds = cut(indptr, threads * CHUNKS_A_THREAD)
        for b in prange(len(bounds) - 1):
            _gather_range(values, indices, indptr, x, out, bounds[b], bounds[b + 1])
    return out


@loop
def _scatter_range(values, indices, indptr, x, out, first, last):
    for r in range(first, last):
        factor = x[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[indices[k]] += values[k] * factor


@parallel_kernel
def scatter_vector(values, indices, indptr, x, n_minor):
    """``out[minor] += values * x[major]``: csc @ x."""
    if len(x) != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    threads = threads_for(len(indices) - 2 * n_minor)  # each thread adds into an output of its own
    out = np.zeros(n_minor, dtype=values.dtype)
    if threads == 1:
        _scatter_range(values, indices, indptr, x, out, 0, len(x))
    else:
        bounds = cut(indptr, threads)
        parts = np.zeros((threads - 1, n_minor), dtype=values.dtype)
        for t in prange(threads):
            own = out if t == 0 else parts[t - 1]
            _scatter_range(values, indices, indptr, x, own, bounds[t], bounds[t + 1])
        _add_to(out, parts)
    return out


@loop
def _add_to(out, parts):
    """Add what each thread has, in the order of the threads, so that a result does not depend on who was first."""
    flat = out.reshape(-1)
    for t in range(len(parts)):
        part = parts[t].reshape(-1)
        for k in range(len(flat)):
            flat[k] += part[k]


@loop
def _gather_plain(values, indices, indptr, x, out, first, last):
    for r in range(first, last):
        out[r] = 0
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[r, j] += factor * x[c, j]


@loop
def _gather_in_tiles(values, indices, indptr, x, out, first, last):
    width, step = out.shape[1], x.strides[0] // x.itemsize
    for r in range(first, last):
        start, stop = np.intp(indptr[r]), np.intp(indptr[r + 1])
        gather_row(indices, values, start, stop, x, 0, step, out, r * width, width)


_gather_rows = with_tiles(_gather_plain, _gather_in_tiles)


@parallel_kernel
def gather_matrix(values, indices, indptr, x, n_minor):
    """``out[major, :] = sum values * x[minor, :]``: csr @ X."""
    if x.shape[0] != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    values, indices, x = for_tiles(values, unsigned(indices), x)
    indptr = unsigned(indptr)
    out = np.empty((len(indptr) - 1, x.shape[1]), dtype=values.dtype)
    threads = threads_for(len(indices) * x.shape[1])
    if threads == 1:
        _gather_rows(values, indices, indptr, x, out, 0, len(out))
    else:
        bounds = cut(indptr, threads * CHUNKS_A_THREAD)
        for b in prange(len(bounds) - 1):
            _gather_rows(values, indices, indptr, x, out, bounds[b], bounds[b + 1])
    return out


@loop
def _scatter_plain(values, indices, indptr, x, out, first, last):
    for r in range(first, last):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[c, j] += factor * x[r, j]


@loop
def _scatter_in_tiles(values, indices, indptr, x, out, first, last):
    step, out_step = x.strides[0] // x.itemsize, out.strides[0] // out.itemsize
    for r in range(first, last):
        start, stop = np.intp(indptr[r]), np.intp(indptr[r + 1])
        scatter_row(indices, values, start, stop, x, r * step, out_step, out, 0, out.shape[1])


_scatter_rows = with_tiles(_scatter_plain, _scatter_in_tiles)


@loop
def _scatter_task(t, threads, values, indices, indptr, x, out, parts, bounds):
    """What thread t does: columns of its own where there are enough, else rows, into an output of its own."""
    first, last, left, right, own = 0, len(x), 0, out.shape[1], out
    if len(parts) > 0:
        first, last = bounds[t], bounds[t + 1]
        own = out if t == 0 else parts[t - 1]
    elif threads > 1:
        left = right * t // threads // WIDE * WIDE
        right = right if t == threads - 1 else right * (t + 1) // threads // WIDE * WIDE
    _scatter_rows(values, indices, indptr, x[:, left:right], own[:, left:right], first, last)


@parallel_kernel
def scatter_matrix(values, indices, indptr, x, n_minor):
    """``out[minor, :] += values * x[major, :]``: csc @ X."""
    if x.shape[0] != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    values, indices, x = for_tiles(values, unsigned(indices), x)
    indptr = unsigned(indptr)
    width = x.shape[1]
    threads = threads_for(len(indices) * width)
    by_columns = width >= threads * WIDE
    out = np.zeros((n_minor, width), dtype=values.dtype)
    parts = np.zeros((0 if by_columns else threads - 1, n_minor, width), dtype=values.dtype)
    bounds = cut(indptr, threads)
    if threads == 1:
        _scatter_task(0, 1, values, indices, indptr, x, out, parts, bounds)
    else:
        for t in prange(threads):
            _scatter_task(t, threads, values, indices, indptr, x, out, parts, bounds)
        _add_to(out, parts)
    return out


@kernel
def product_pattern(a_indices, a_indptr, b_indices, b_indptr, n_inner, n_minor):
    """Canonical pattern of the product of two compressed matrices (rows of a, rows of b)."""
    if n_inner != len(b_indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    n = len(a_indptr) - 1
    seen = np.full(n_minor, -1, dtype=np.int64)
    indptr = np.zeros(n + 1, dtype=a_indptr.dtype)
    free = np.zeros(n_minor + 1, dtype=np.int64)
    nnz = 0
    for r in range(n):
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = a_indices[k]
            for m in range(b_indptr[i], b_indptr[i + 1]):
                c = b_indices[m]
                if seen[c] != r:
                    seen[c] = r
                    free[c + 1] += 1
                    nnz += 1
        indptr[r + 1] = nnz
    if indptr[n] != nnz:
        raise ValueError("dot: the product has too many entries for int32 indices; use index_dtype='int64'")
    # Sorted by counting: the rows of each column come in order, and from them the columns of each row.
    for c in range(n_minor):
        free[c + 1] += free[c]
    rows = np.empty(nnz, dtype=a_indices.dtype)
    seen[:] = -1
    for r in range(n):
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = a_indices[k]
            for m in range(b_indptr[i], b_indptr[i + 1]):
                c = b_indices[m]
                if seen[c] != r:
                    seen[c] = r
                    rows[free[c]] = r
                    free[c] += 1
    indices = np.empty(nnz, dtype=a_indices.dtype)
    row_free = indptr[:-1].copy()
    k = 0
    for c in range(n_minor):
        while k < free[c]:
            r = rows[k]
            indices[row_free[r]] = c
            row_free[r] += 1
            k += 1
    return indices, indptr


@kernel
def product_values(a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, indices, indptr, n_minor):
    """Values of the product on its pattern."""
    row = np.zeros(n_minor, dtype=a_values.dtype)
    out = np.empty(len(indices), dtype=a_values.dtype)
    for r in range(len(indptr) - 1):
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = a_indices[k]
            factor = a_values[k]
            for m in range(b_indptr[i], b_indptr[i + 1]):
                row[b_indices[m]] += factor * b_values[m]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = row[indices[k]]
            row[indices[k]] = 0
    return out
