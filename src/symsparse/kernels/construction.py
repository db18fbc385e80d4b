"""Patterns of diagonals, and triangles of a pattern."""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel
from symsparse.kernels.memory import empty, trimmed


@kernel
def triangle_pattern(indices, indptr, k, below, carried):
    """Pattern of the entries with ``minor - major <= k`` (``>= k`` unless `below`), and what they carry."""
    new_indptr = np.zeros_like(indptr)
    new_indices, out = empty(len(indices), indices.dtype), empty(len(indices), carried.dtype)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        for j in range(indptr[r], indptr[r + 1]):
            diagonal = indices[j] - r
            new_indices[at] = indices[j]
            out[at] = carried[j]
            at += np.int64((diagonal <= k) if below else (diagonal >= k))  # else overwritten by the next
        new_indptr[r + 1] = at
    return trimmed(new_indices, at), new_indptr, trimmed(out, at)


@kernel
def diags_pattern(offsets, n_major, n_minor, index_like, by_rows):
    """Pattern of a matrix that stores these diagonals, and the place of each entry among the joined diagonals.

    `offsets` ascend, and count the diagonals as for a matrix by rows.
    """
    if n_major < 0 or n_minor < 0:
        raise KernelValueError("diags: a size is negative: %d, %d", n_major, n_minor)
    lengths = np.empty(len(offsets), dtype=np.int64)
    for d in range(len(offsets)):
        k = offsets[d] if by_rows else -offsets[d]
        lengths[d] = max(0, min(n_major + min(k, 0), n_minor - max(k, 0)))
    nnz = lengths.sum()
    for size in (n_major, n_minor, nnz):
        if index_like.dtype.type(size) != size:
            raise KernelValueError(
                "diags: a size, or the number of entries, is %d, which does not fit int32 indices", size
            )
    indices = np.empty(nnz, dtype=index_like.dtype)
    place = np.empty(nnz, dtype=index_like.dtype)
    indptr = np.zeros(n_major + 1, dtype=index_like.dtype)
    at = 0
    for r in range(n_major):
        start = 0 if by_rows else nnz
        for i in range(len(offsets)):
            d = i if by_rows else len(offsets) - 1 - i
            c = r + offsets[d] if by_rows else r - offsets[d]
            if not by_rows:
                start -= lengths[d]
            if 0 <= c < n_minor:
                indices[at] = c
                place[at] = start + min(r, c)
                at += 1
            if by_rows:
                start += lengths[d]
        indptr[r + 1] = at
    return indices, indptr, place
