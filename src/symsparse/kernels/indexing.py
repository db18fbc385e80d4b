"""Selecting and placing rows, columns and single entries, by major and minor axis."""

import numpy as np

from symsparse.kernels.base import kernel, loop


@loop
def _position(index, n):
    """The index as a number from 0 to n - 1; below zero it counts from the end."""
    position = np.int64(index)
    if index < 0:
        position += n
    if position < 0 or position >= n:
        raise IndexError("getitem: an index is outside the sparse matrix")
    return position


@kernel
def take_pattern(indices, indptr, rows):
    """Pattern of the given major slices, and where each of its entries comes from."""
    n = len(indptr) - 1
    new_indptr = np.empty(len(rows) + 1, dtype=indptr.dtype)
    new_indptr[0] = 0
    nnz = 0
    for r in range(len(rows)):
        row = _position(rows[r], n)
        nnz += indptr[row + 1] - indptr[row]
        new_indptr[r + 1] = nnz
    if new_indptr[len(rows)] != nnz:
        raise ValueError("getitem: the rows have too many entries for int32 indices; use index_dtype='int64'")
    new_indices = np.empty(nnz, dtype=indices.dtype)
    source = np.empty(nnz, dtype=indices.dtype)
    at = 0
    for r in range(len(rows)):
        row = _position(rows[r], n)
        for k in range(indptr[row], indptr[row + 1]):
            new_indices[at] = indices[k]
            source[at] = k
            at += 1
    return new_indices, new_indptr, source


@kernel
def slice_pattern(indices, indptr, first, count, step):
    """Pattern of the major slices first, first + step, ..., and where each of its entries comes from."""
    new_indptr = np.empty(count + 1, dtype=indptr.dtype)
    new_indptr[0] = 0
    for r in range(count):
        row = first + r * step
        new_indptr[r + 1] = new_indptr[r] + indptr[row + 1] - indptr[row]
    new_indices = np.empty(new_indptr[count], dtype=indices.dtype)
    source = np.empty_like(new_indices)
    at = 0
    for r in range(count):
        row = first + r * step
        for k in range(indptr[row], indptr[row + 1]):
            new_indices[at] = indices[k]
            source[at] = k
            at += 1
    return new_indices, new_indptr, source


@kernel
def slice_minor(indices, indptr, first, count, step):
    """Pattern of the minor indices first, first + step, ..., and where each of its entries comes from.

    A negative step reads each major slice backwards, so that what was sorted stays sorted.
    """
    new_indptr = np.zeros_like(indptr)
    room = len(indices)
    new_indices = np.empty(room, dtype=indices.dtype)
    source = np.empty(room, dtype=indices.dtype)
    width = abs(step)
    at = 0
    for r in range(len(indptr) - 1):
        start, stop = indptr[r], indptr[r + 1]
        for i in range(stop - start):
            k = start + i if step > 0 else stop - 1 - i
            distance = indices[k] - first if step > 0 else first - indices[k]
            if distance >= 0:
                if width > 1:
                    if distance % width != 0:
                        continue
                    distance //= width
                if distance < count:
                    new_indices[at] = distance
                    source[at] = k
                    at += 1
        new_indptr[r + 1] = at
    return new_indices[:at].copy(), new_indptr, source[:at].copy()


@kernel
def take_minor_pattern(indices, indptr, n_minor, columns):
    """Pattern of the given minor indices, in any order, repeated or not, and where each of its entries comes from."""
    # The places of minor index c in the result are places[start[c] : start[c + 1]].
    start = np.zeros(n_minor + 1, dtype=np.int64)
    for p in range(len(columns)):
        start[_position(columns[p], n_minor) + 1] += 1
    for c in range(n_minor):
        start[c + 1] += start[c]
    free = start[:-1].copy()
    places = np.empty(len(columns), dtype=np.int64)
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
        raise ValueError(
            "getitem: the columns have too many entries for int32 indices; use index_dtype='int64'"
        )
    new_indices = np.empty(nnz, dtype=indices.dtype)
    source = np.empty(nnz, dtype=indices.dtype)
    at = 0
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            for j in range(start[c], start[c + 1]):
                new_indices[at] = places[j]
                source[at] = k
                at += 1
    return new_indices, new_indptr, source


@kernel
def place_pattern(indices, indptr, rows, n):
    """Pattern of an n-slice matrix with the major slices at the given rows, and where each entry comes from.

    Slices with the same row follow each other, so positions may be stored twice.
    """
    if len(rows) != len(indptr) - 1:
        raise ValueError("getitem gradient: the number of rows and of their places differ")
    new_indptr = np.zeros(n + 1, dtype=indptr.dtype)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        new_indptr[row + 1] += indptr[r + 1] - indptr[r]
    for r in range(n):
        new_indptr[r + 1] += new_indptr[r]
    free = new_indptr[:-1].copy()
    new_indices = np.empty_like(indices)
    source = np.empty_like(indices)
    for r in range(len(rows)):
        row = _position(rows[r], n)
        at = free[row]
        for k in range(indptr[r], indptr[r + 1]):
            new_indices[at] = indices[k]
            source[at] = k
            at += 1
        free[row] = at
    return new_indices, new_indptr, source


@kernel
def place_minor(indices, n_minor, columns, n):
    """The minor indices of a matrix of n_minor minor slices after these were put at the given places among n."""
    if len(columns) != n_minor:
        raise ValueError("getitem gradient: the number of columns and of their places differ")
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
        raise IndexError("getitem: the numbers of row and of column indices differ")
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
def scatter_pattern(majors, minors, n_values, n_major, n_minor, index_like):
    """Pattern of an n_major x n_minor matrix with these positions, and the order of their values.

    Equal positions stay apart, in their order.
    """
    if len(majors) != len(minors) or len(majors) != n_values:
        raise ValueError("getitem gradient: the numbers of values and of their positions differ")
    indptr = np.zeros(n_major + 1, dtype=index_like.dtype)
    for k in range(n_values):
        indptr[_position(majors[k], n_major) + 1] += 1
    for r in range(n_major):
        indptr[r + 1] += indptr[r]
    if indptr[n_major] != n_values:
        raise ValueError("getitem gradient: too many positions for int32 indices; use index_dtype='int64'")
    free = indptr[:-1].copy()
    indices = np.empty(n_values, dtype=index_like.dtype)
    order = np.empty(n_values, dtype=index_like.dtype)
    for k in range(n_values):
        r = _position(majors[k], n_major)
        indices[free[r]] = _position(minors[k], n_minor)
        order[free[r]] = k
        free[r] += 1
    return indices, indptr, order
