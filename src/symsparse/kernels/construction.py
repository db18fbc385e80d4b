"""Triangles of a pattern."""

import numpy as np

from symsparse.kernels.base import kernel


@kernel
def triangle_pattern(indices, indptr, k, below):
    """Pattern of the entries with ``minor - major <= k`` (``>= k`` unless `below`), and where they come from."""
    new_indptr = np.zeros_like(indptr)
    kept = np.empty_like(indices)
    nnz = 0
    for r in range(len(indptr) - 1):
        for j in range(indptr[r], indptr[r + 1]):
            diagonal = indices[j] - r
            if (diagonal <= k) if below else (diagonal >= k):
                kept[nnz] = j
                nnz += 1
        new_indptr[r + 1] = nnz
    new_indices = np.empty(nnz, dtype=indices.dtype)
    for j in range(nnz):
        new_indices[j] = indices[kept[j]]
    return new_indices, new_indptr, kept[:nnz].copy()
