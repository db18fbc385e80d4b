"""Selecting and placing major slices."""

import numpy as np

from symsparse.kernels.base import kernel


@kernel
def _position(row, n):
    """The row as a number from 0 to n - 1; below zero it counts from the end."""
    position = np.int64(row)
    if row < 0:
        position += n
    if position < 0 or position >= n:
        raise IndexError("getitem: a row is outside the sparse matrix")
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
