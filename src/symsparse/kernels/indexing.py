"""Selecting and placing major slices."""

import numpy as np

from symsparse.kernels.base import kernel


@kernel
def take_pattern(indices, indptr, rows):
    """Pattern of the given major slices, and where each of its entries comes from."""
    n = len(indptr) - 1
    new_indptr = np.empty(len(rows) + 1, dtype=indptr.dtype)
    new_indptr[0] = 0
    nnz = 0
    for r in range(len(rows)):
        row = rows[r] + n if rows[r] < 0 else rows[r]
        if row < 0 or row >= n:
            raise IndexError("getitem: a selected row is outside the sparse matrix")
        nnz += indptr[row + 1] - indptr[row]
        new_indptr[r + 1] = nnz
    new_indices = np.empty(nnz, dtype=indices.dtype)
    source = np.empty(nnz, dtype=indices.dtype)
    at = 0
    for r in range(len(rows)):
        row = rows[r] + n if rows[r] < 0 else rows[r]
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
        row = rows[r] + n if rows[r] < 0 else rows[r]
        if row < 0 or row >= n:
            raise IndexError("getitem gradient: a row is outside the sparse matrix")
        new_indptr[row + 1] += indptr[r + 1] - indptr[r]
    for r in range(n):
        new_indptr[r + 1] += new_indptr[r]
    free = new_indptr[:-1].copy()
    new_indices = np.empty_like(indices)
    source = np.empty_like(indices)
    for r in range(len(rows)):
        row = rows[r] + n if rows[r] < 0 else rows[r]
        at = free[row]
        for k in range(indptr[r], indptr[r + 1]):
            new_indices[at] = indices[k]
            source[at] = k
            at += 1
        free[row] = at
    return new_indices, new_indptr, source
