"""Union and intersection of two canonical patterns, with the maps between them; sparse plus dense."""

import numpy as np

from symsparse.kernels.base import kernel, unsigned


@kernel
def union_pattern(a_indices, a_indptr, b_indices, b_indptr):
    """Union of two canonical patterns, and the place of each entry of a and of b in it. One pass."""
    if len(a_indptr) != len(b_indptr):
        raise ValueError("add: the shapes of the sparse matrices differ")
    n = len(a_indptr) - 1
    indices = np.empty(len(a_indices) + len(b_indices), dtype=a_indices.dtype)
    indptr = np.zeros_like(a_indptr)
    a_place = np.empty_like(a_indices)
    b_place = np.empty_like(b_indices)
    nnz = 0
    for r in range(n):
        a, a_stop = a_indptr[r], a_indptr[r + 1]
        b, b_stop = b_indptr[r], b_indptr[r + 1]
        while a < a_stop and b < b_stop:
            i, j = a_indices[a], b_indices[b]
            if i <= j:
                a_place[a] = nnz
                a += 1
            if j <= i:
                b_place[b] = nnz
                b += 1
            indices[nnz] = min(i, j)
            nnz += 1
        while a < a_stop:
            a_place[a] = nnz
            indices[nnz] = a_indices[a]
            a += 1
            nnz += 1
        while b < b_stop:
            b_place[b] = nnz
            indices[nnz] = b_indices[b]
            b += 1
            nnz += 1
        indptr[r + 1] = nnz
    if indptr[n] != nnz:
        raise ValueError("add: the sum has too many entries for int32 indices; use index_dtype='int64'")
    return indices[:nnz].copy(), indptr, a_place, b_place


@kernel
def intersection_pattern(a_indices, a_indptr, b_indices, b_indptr):
    """Intersection of two canonical patterns, and the place of each of its entries in a and in b. One pass."""
    if len(a_indptr) != len(b_indptr):
        raise ValueError("mul: the shapes of the sparse matrices differ")
    n = len(a_indptr) - 1
    room = min(len(a_indices), len(b_indices))
    indices = np.empty(room, dtype=a_indices.dtype)
    a_source = np.empty(room, dtype=a_indices.dtype)
    b_source = np.empty(room, dtype=a_indices.dtype)
    indptr = np.zeros_like(a_indptr)
    nnz = 0
    for r in range(n):
        a, a_stop = a_indptr[r], a_indptr[r + 1]
        b, b_stop = b_indptr[r], b_indptr[r + 1]
        while a < a_stop and b < b_stop:
            i, j = a_indices[a], b_indices[b]
            if i == j:
                indices[nnz] = i
                a_source[nnz] = a
                b_source[nnz] = b
                nnz += 1
            if i <= j:
                a += 1
            if j <= i:
                b += 1
        indptr[r + 1] = nnz
    return indices[:nnz].copy(), indptr, a_source[:nnz].copy(), b_source[:nnz].copy()


@kernel
def add_to_dense(values, indices, indptr, y, n_minor):
    """Dense n_major x n_minor sum of a compressed matrix and `y`, whose sizes of 1 broadcast."""
    n_major = len(indptr) - 1
    if (y.shape[0] != n_major and y.shape[0] != 1) or (y.shape[1] != n_minor and y.shape[1] != 1):
        raise ValueError("add: the shapes of the sparse and the dense operand do not fit")
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = np.empty((n_major, n_minor), dtype=values.dtype)
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
