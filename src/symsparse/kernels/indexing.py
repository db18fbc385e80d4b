"""Selecting and placing rows, columns and single entries, by major and minor axis."""

import numpy as np

from symsparse.kernels.base import KernelIndexError, KernelValueError, kernel, loop
from symsparse.kernels.memory import empty, trimmed

UNPAIRED = "getitem: %d rows and %d columns (columns and rows for csc) do not pair"


@loop
def _position(index, n):
    """The index as a number from 0 to n - 1; below zero it counts from the end."""
    position = np.int64(index)
    if index < 0:
        position += n
    if position < 0 or position >= n:
        raise KernelIndexError("getitem: index %d is outside an axis of size %d", index, n)
    return position


@kernel
def take_pattern(indices, indptr, rows, carried):
    """Pattern of the given major slices, and what its entries carry."""
    n = len(indptr) - 1
    if indptr.dtype.type(len(rows)) != len(rows):
        raise KernelValueError(
            "getitem: %d rows (columns for csc) are too many for int32 indices; use index_dtype='int64'",
            len(rows),
        )
    new_indptr = np.empty(len(rows) + 1, dtype=indptr.dtype)
    new_indptr[0] = 0
    nnz = np.int64(0)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        nnz += np.int64(indptr[row + 1]) - np.int64(indptr[row])
        new_indptr[r + 1] = nnz
    if new_indptr[len(rows)] != nnz:
        raise KernelValueError(
            "getitem: the selection has %d entries, too many for int32 indices; use index_dtype='int64'", nnz
        )
    new_indices, out = empty(nnz, indices.dtype), empty(nnz, carried.dtype)
    at = np.int64(0)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        at = _copy(indices, carried, indptr[row], indptr[row + 1], new_indices, out, at)
    return new_indices, new_indptr, out


@loop
def _copy(indices, carried, start, stop, new_indices, out, at):
    """The entries start..stop, copied to `at`; returns the next place."""
    for k in range(start, stop):
        new_indices[at] = indices[k]
        out[at] = carried[k]
        at += 1
    return at


@kernel
def slice_pattern(indices, indptr, first, count, step, carried):
    """Pattern of the major slices first, first + step, ..., and what its entries carry."""
    new_indptr = np.empty(count + 1, dtype=indptr.dtype)
    new_indptr[0] = 0
    for r in range(count):
        row = first + r * step
        new_indptr[r + 1] = new_indptr[r] + indptr[row + 1] - indptr[row]
    nnz = new_indptr[count]
    new_indices, out = empty(nnz, indices.dtype), empty(nnz, carried.dtype)
    at = np.int64(0)
    for r in range(count):
        row = first + r * step
        at = _copy(indices, carried, indptr[row], indptr[row + 1], new_indices, out, at)
    return new_indices, new_indptr, out


@kernel
def run_pattern(indices, indptr, first, count):
    """Pattern of the major slices first, first + 1, ...: its indices are a view of the given ones."""
    start = indptr[first]
    new_indptr = np.empty(count + 1, dtype=indptr.dtype)
    for r in range(count + 1):
        new_indptr[r] = indptr[first + r] - start
    return indices[start : indptr[first + count]], new_indptr


@kernel
def slice_minor(indices, indptr, first, count, step, carried):
    """Pattern of the minor indices first, first + step, ..., and what its entries carry.

    A negative step reads each major slice backwards, so that what was sorted stays sorted.
    """
    new_indptr = np.zeros_like(indptr)
    if step == 1:
        nnz = 0
        for k in range(len(indices)):
            nnz += first <= indices[k] < first + count
        room = nnz + 1  # what is not taken is written too, and overwritten
    else:
        room = len(indices)
    new_indices, out = empty(room, indices.dtype), empty(room, carried.dtype)
    width = abs(step)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        start, stop = indptr[r], indptr[r + 1]
        if step == 1:
            for k in range(start, stop):
                new_indices[at] = indices[k] - first
                out[at] = carried[k]
                at += np.int64(first <= indices[k] < first + count)
        else:
            for i in range(stop - start):
                k = start + i if step > 0 else stop - 1 - i
                distance = indices[k] - first if step > 0 else first - indices[k]
                if distance >= 0 and distance % width == 0 and distance // width < count:
                    new_indices[at] = distance // width
                    out[at] = carried[k]
                    at += 1
        new_indptr[r + 1] = at
    return trimmed(new_indices, at), new_indptr, trimmed(out, at)


@kernel
def take_minor_pattern(indices, indptr, n_minor, columns, carried):
    """Pattern of the given minor indices, in any order, repeated or not, and what its entries carry."""
    # The places of minor index c in the result are places[start[c] : start[c + 1]].
    start = np.zeros(n_minor + 1, dtype=np.int64)
    for p in range(len(columns)):
        start[_position(columns[p], n_minor) + 1] += 1
    for c in range(n_minor):
        start[c + 1] += start[c]
    free = start[:-1].copy()
    places = np.zeros(len(columns) + 1, dtype=np.int64)
    for p in range(len(columns)):
        c = _position(columns[p], n_minor)
        places[free[c]] = p
        free[c] += 1
    new_indptr = np.zeros_like(indptr)
    nnz = 0
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            nnz += start[indices[k] + 1] - start[indices[k]]
        new_indptr[r + 1] = nnz
    last = np.zeros(1, dtype=indices.dtype)
    last[0] = len(columns)
    if new_indptr[len(indptr) - 1] != nnz or last[0] != len(columns):
        raise KernelValueError(
            "getitem: the selection has %d entries, too many for int32 indices; use index_dtype='int64'",
            max(nnz, len(columns)),
        )
    room = nnz + 1  # what is not taken is written too, and overwritten
    new_indices, out = empty(room, indices.dtype), empty(room, carried.dtype)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            first = start[indices[k]]
            size = start[indices[k] + 1] - first
            new_indices[at] = places[first]
            out[at] = carried[k]
            for j in range(1, size):
                new_indices[at + j] = places[first + j]
                out[at + j] = carried[k]
            at += size
    return new_indices[:nnz], new_indptr, out[:nnz]


@kernel
def place_pattern(indices, indptr, rows, n, carried):
    """Pattern of an n-slice matrix with the major slices at the given rows, and what its entries carry.

    Slices with the same row follow each other, so positions may be stored twice.
    """
    if len(rows) != len(indptr) - 1:
        raise KernelValueError(
            "get_item_list_grad: the numbers of rows (columns) and of their places differ: %d and %d",
            len(indptr) - 1,
            len(rows),
        )
    new_indptr = np.zeros(n + 1, dtype=indptr.dtype)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        new_indptr[row + 1] += indptr[r + 1] - indptr[r]
    for r in range(n):
        new_indptr[r + 1] += new_indptr[r]
    free = new_indptr[:-1].copy()
    new_indices, out = empty(len(indices), indices.dtype), empty(len(indices), carried.dtype)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        free[row] = _copy(indices, carried, indptr[r], indptr[r + 1], new_indices, out, free[row])
    return new_indices, new_indptr, out


@kernel
def place_minor(indices, n_minor, columns, n):
    """The minor indices of a matrix of n_minor minor slices after these were put at the given places among n."""
    if len(columns) != n_minor:
        raise KernelValueError(
            "get_item_list_grad: the numbers of rows (columns) and of their places differ: %d and %d",
            n_minor,
            len(columns),
        )
    places = np.empty(n_minor, dtype=indices.dtype)
    for c in range(n_minor):
        places[c] = _position(columns[c], n)
    new_indices = np.empty_like(indices)
    for k in range(len(indices)):
        new_indices[k] = places[indices[k]]
    return new_indices


@kernel
def find(indices, indptr, n_minor, majors, minors):
    """Place in a canonical pattern of each position (major, minor); -1 where it is not stored."""
    if len(majors) != len(minors):
        raise KernelIndexError(UNPAIRED, len(majors), len(minors))
    n_major = len(indptr) - 1
    out = np.empty(len(majors), dtype=indices.dtype)
    at = last_r = last_c = np.int64(-1)
    for k in range(len(majors)):
        r, c = _position(majors[k], n_major), _position(minors[k], n_minor)
        if r != last_r or c < last_c:
            at = np.int64(indptr[r])
        # Bisection from where the last search ended: a whole row is read in one walk.
        low, high = at, np.int64(indptr[r + 1])
        stop = high
        if low < high and indices[low] >= c:
            high = low
        while low < high:
            middle = (low + high) // 2
            if indices[middle] < c:
                low = middle + 1
            else:
                high = middle
        at, last_r, last_c = low, r, c
        out[k] = at if at < stop and indices[at] == c else -1
    return out


@kernel
def scatter_pattern(majors, minors, n_values, n_major, n_minor, index_like, carried):
    """Pattern of an n_major x n_minor matrix with these positions, and what they carry.

    Equal positions stay apart, in their order.
    """
    if len(majors) != len(minors):
        raise KernelIndexError(UNPAIRED, len(majors), len(minors))
    if len(majors) != n_values:
        raise KernelValueError(
            "get_item_2lists_grad: the numbers of pairs and values differ: %d and %d", len(majors), n_values
        )
    indptr = np.zeros(n_major + 1, dtype=index_like.dtype)
    for k in range(n_values):
        indptr[_position(majors[k], n_major) + 1] += 1
    for r in range(n_major):
        indptr[r + 1] += indptr[r]
    if indptr[n_major] != n_values:
        raise KernelValueError(
            "getitem: %d positions are too many for int32 indices; use index_dtype='int64'",
            n_values,
        )
    free = indptr[:-1].copy()
    indices = np.empty(n_values, dtype=index_like.dtype)
    out = np.empty(n_values, dtype=carried.dtype)
    for k in range(n_values):
        r = _position(majors[k], n_major)
        indices[free[r]] = _position(minors[k], n_minor)
        out[free[r]] = carried[k]
        free[r] += 1
    return indices, indptr, out
