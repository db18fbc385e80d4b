"""Union and intersection of two canonical patterns; sparse plus dense.

A merge is bound by its jumps where the processor cannot foresee them. What is called "without jumps" here compiles to
conditional moves, and was up to twice as fast on random patterns; on those of a grid it was half as fast.
"""

import numpy as np

from symsparse.kernels.base import KernelMemoryError, KernelValueError, kernel, loop, unsigned
from symsparse.kernels.csm import same_pattern
from symsparse.kernels.memory import empty, fits_memory, trimmed, zeros
from symsparse.kernels.threading import cut_for, run_chunks

MISFIT = "add, mul or comparison: the shapes of two sparse matrices differ: %d and %d rows (columns for csc)"
SHORT = 12  # entries of both matrices in a row, on average


@loop
def _merge_with_jumps(first, last, a, b, values, indices, indptr):
    """Merge rows; where the jumps follow a pattern, as in matrices of grids, the processor foresees them."""
    (a_values, a_indices, a_indptr), (b_values, b_indices, b_indptr) = a, b
    at = np.int64(indptr[first])
    for r in range(first, last):
        k, k_stop = np.int64(a_indptr[r]), np.int64(a_indptr[r + 1])
        m, m_stop = np.int64(b_indptr[r]), np.int64(b_indptr[r + 1])
        while k < k_stop and m < m_stop:
            i, j = a_indices[k], b_indices[m]
            if i < j:
                indices[at] = i
                values[at] = a_values[k]
                k += 1
            elif j < i:
                indices[at] = j
                values[at] = b_values[m]
                m += 1
            else:
                indices[at] = i
                values[at] = a_values[k] + b_values[m]
                k += 1
                m += 1
            at += 1
        while k < k_stop:
            indices[at] = a_indices[k]
            values[at] = a_values[k]
            k += 1
            at += 1
        while m < m_stop:
            indices[at] = b_indices[m]
            values[at] = b_values[m]
            m += 1
            at += 1
        indptr[r + 1] = at


@loop
def _merge_without_jumps(first, last, a, b, values, indices, indptr):
    """Merge rows; what belongs to the larger index is read and not used."""
    (a_values, a_indices, a_indptr), (b_values, b_indices, b_indptr) = a, b
    zero = a_values.dtype.type(0)
    at = np.int64(indptr[first])
    for r in range(first, last):
        k, k_stop = np.int64(a_indptr[r]), np.int64(a_indptr[r + 1])
        m, m_stop = np.int64(b_indptr[r]), np.int64(b_indptr[r + 1])
        while k < k_stop and m < m_stop:
            i, j, x, y = a_indices[k], b_indices[m], a_values[k], b_values[m]
            indices[at] = min(i, j)
            values[at] = (x if i <= j else zero) + (y if j <= i else zero)
            k += np.int64(i <= j)
            m += np.int64(j <= i)
            at += 1
        while k < k_stop:
            indices[at] = a_indices[k]
            values[at] = a_values[k]
            k += 1
            at += 1
        while m < m_stop:
            indices[at] = b_indices[m]
            values[at] = b_values[m]
            m += 1
            at += 1
        indptr[r + 1] = at


@loop
def _merge(first, last, a, b, values, indices, indptr, short):
    """Merge the rows first..last, from where `indptr` has their first entry; writes where each ends."""
    if short:
        _merge_with_jumps(first, last, a, b, values, indices, indptr)
    else:
        _merge_without_jumps(first, last, a, b, values, indices, indptr)


@loop
def _count(first, last, a_indices, a_indptr, b_indices, b_indptr, indptr):
    """Number of entries of the union in each row, without jumps."""
    for r in range(first, last):
        k, k_stop = np.int64(a_indptr[r]), np.int64(a_indptr[r + 1])
        m, m_stop = np.int64(b_indptr[r]), np.int64(b_indptr[r + 1])
        count = k_stop - k + m_stop - m
        while k < k_stop and m < m_stop:
            i, j = a_indices[k], b_indices[m]
            count -= np.int64(i == j)
            k += np.int64(i <= j)
            m += np.int64(j <= i)
        indptr[r + 1] = count


@loop
def _require_fit(nnz, indptr):
    if indptr.dtype.type(nnz) != nnz:
        raise KernelValueError(
            "add, maximum, minimum or comparison: %d entries are too many for int32 indices; use "
            "index_dtype='int64'",
            nnz,
        )


@kernel
def union(a_values, a_indices, a_indptr, b_values, b_indices, b_indptr):
    """Values and pattern of the sum of two matrices with canonical patterns. One pass; on threads a count before it."""
    if len(a_indptr) != len(b_indptr):
        raise KernelValueError(MISFIT, len(a_indptr) - 1, len(b_indptr) - 1)
    indptr = np.zeros_like(a_indptr)
    if same_pattern(a_indices, a_indptr, b_indices, b_indptr):
        indptr[:] = a_indptr
        return _sum(a_values, b_values), _copied(a_indices), indptr
    n, room = len(indptr) - 1, np.int64(len(a_indices) + len(b_indices))
    a = a_values, unsigned(a_indices), unsigned(a_indptr)
    b = b_values, unsigned(b_indices), unsigned(b_indptr)
    short = room < SHORT * n
    bounds = cut_for(room, unsigned(a_indptr))
    counted = len(bounds) > 2 or indptr.dtype.type(room) != room
    if counted:
        # A row has no more entries than columns, so that each count fits.
        run_chunks(_count, bounds, (a[1], a[2], b[1], b[2], indptr))
        room = np.int64(0)
        for r in range(n):
            room += indptr[r + 1]
            indptr[r + 1] = room
        _require_fit(room, indptr)
    values, indices = empty(room, a_values.dtype), empty(room, a_indices.dtype)
    run_chunks(_merge, bounds, (a, b, values, unsigned(indices), indptr, short))
    if counted:
        return values, indices, indptr
    nnz = np.int64(indptr[n])
    return trimmed(values, nnz), trimmed(indices, nnz), indptr


@loop
def _sum(x, y):
    out = empty(len(x), x.dtype)
    for k in range(len(x)):
        out[k] = x[k] + y[k]
    return out


@loop
def _copied(x):
    out = empty(len(x), x.dtype)
    out[:] = x
    return out


@kernel
def union_pattern(a_indices, a_indptr, b_indices, b_indptr):
    """Union of two canonical patterns, and the place of each entry of a and of b in it. One pass, without jumps."""
    if len(a_indptr) != len(b_indptr):
        raise KernelValueError(MISFIT, len(a_indptr) - 1, len(b_indptr) - 1)
    room = len(a_indices) + len(b_indices)
    indices, indptr = empty(room, a_indices.dtype), np.zeros_like(a_indptr)
    a_place, b_place = empty(len(a_indices), a_indices.dtype), empty(len(b_indices), b_indices.dtype)
    a_indices, b_indices = unsigned(a_indices), unsigned(b_indices)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        k, k_stop = np.int64(a_indptr[r]), np.int64(a_indptr[r + 1])
        m, m_stop = np.int64(b_indptr[r]), np.int64(b_indptr[r + 1])
        while k < k_stop and m < m_stop:
            i, j = a_indices[k], b_indices[m]
            indices[at] = min(i, j)
            a_place[k] = b_place[m] = at  # wrong for the larger index, and written again when its turn comes
            k += np.int64(i <= j)
            m += np.int64(j <= i)
            at += 1
        while k < k_stop:
            indices[at] = a_indices[k]
            a_place[k] = at
            k += 1
            at += 1
        while m < m_stop:
            indices[at] = b_indices[m]
            b_place[m] = at
            m += 1
            at += 1
        indptr[r + 1] = at
    _require_fit(at, indptr)
    return trimmed(indices, at), indptr, a_place, b_place


@kernel
def union_values(a_values, a_place, b_values, b_place, nnz):
    """Values of the sum on the union of the patterns."""
    out = zeros(nnz, a_values.dtype)
    a_place, b_place = unsigned(a_place), unsigned(b_place)
    for k in range(len(a_place)):
        out[a_place[k]] = a_values[k]
    for k in range(len(b_place)):
        out[b_place[k]] += b_values[k]
    return out


@kernel
def intersection_pattern(a_indices, a_indptr, b_indices, b_indptr, a_carried, b_carried):
    """Intersection of two canonical patterns, and what its entries carry in a and in b. One pass, without jumps."""
    if len(a_indptr) != len(b_indptr):
        raise KernelValueError(MISFIT, len(a_indptr) - 1, len(b_indptr) - 1)
    room = min(len(a_indices), len(b_indices)) + 1  # what is no entry of both is written too, and overwritten
    indices, indptr = empty(room, a_indices.dtype), np.zeros_like(a_indptr)
    a_out, b_out = empty(room, a_carried.dtype), empty(room, b_carried.dtype)
    a_indices, b_indices = unsigned(a_indices), unsigned(b_indices)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        k, k_stop = np.int64(a_indptr[r]), np.int64(a_indptr[r + 1])
        m, m_stop = np.int64(b_indptr[r]), np.int64(b_indptr[r + 1])
        while k < k_stop and m < m_stop:
            i, j = a_indices[k], b_indices[m]
            indices[at], a_out[at], b_out[at] = i, a_carried[k], b_carried[m]
            at += np.int64(i == j)
            k += np.int64(i <= j)
            m += np.int64(j <= i)
        indptr[r + 1] = at
    return trimmed(indices, at), indptr, trimmed(a_out, at), trimmed(b_out, at)


@kernel
def add_to_dense(values, indices, indptr, y, n_minor):
    """Dense n_major x n_minor sum of a compressed matrix and `y`, whose sizes of 1 broadcast."""
    n_major = len(indptr) - 1
    if (y.shape[0] != n_major and y.shape[0] != 1) or (y.shape[1] != n_minor and y.shape[1] != 1):
        raise KernelValueError(
            "add: the shapes of the sparse and the dense operand do not fit: (%d, %d) and (%d, %d), columns first for "
            "csc",
            n_major,
            n_minor,
            y.shape[0],
            y.shape[1],
        )
    if not fits_memory(np.float64(n_major) * n_minor, values.itemsize):
        raise KernelMemoryError(
            "add: the memory that is available cannot hold the dense sum, which is %d x %d", n_major, n_minor
        )
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = empty((n_major, n_minor), values.dtype)
    for r in range(n_major):
        yr = 0 if y.shape[0] == 1 else r
        if y.shape[1] == 1:
            out[r, :] = y[yr, 0]
        else:
            for c in range(n_minor):
                out[r, c] = y[yr, c]
        for k in range(indptr[r], indptr[r + 1]):
            out[r, indices[k]] += values[k]
    return out
