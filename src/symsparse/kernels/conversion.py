"""Dense to compressed and back; the diagonal."""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.memory import empty, zeros


@kernel
def densify(values, indices, indptr, n_minor):
    """Dense n_major x n_minor matrix; entries stored twice are added."""
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = zeros((len(indptr) - 1, n_minor), values.dtype)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            out[r, indices[k]] += values[k]
    return out


@loop
def _require_fit(size, index_like):
    if index_like.dtype.type(size) != size:
        raise KernelValueError(
            "csr_from_dense, csc_from_dense: %d rows, columns or entries are too many for int32 indices; "
            "use index_dtype='int64'",
            size,
        )


@kernel
def compress(dense, index_like):
    """Values, indices and indptr of the entries of a dense matrix that are not zero, by rows. NaN is not zero."""
    n, m = dense.shape
    _require_fit(max(n, m), index_like)
    indptr = np.zeros(n + 1, dtype=index_like.dtype)
    nnz = 0
    for r in range(n):
        for c in range(m):
            if dense[r, c] != 0:
                nnz += 1
        indptr[r + 1] = nnz
    _require_fit(nnz, index_like)
    room = nnz + 1  # zeros are written too, and overwritten
    values, indices = empty(room, dense.dtype), empty(room, index_like.dtype)
    at = np.int64(0)
    for r in range(n):
        for c in range(m):
            values[at] = dense[r, c]
            indices[at] = c
            at += np.int64(dense[r, c] != 0)
    return values[:nnz], indices[:nnz], indptr


@kernel
def diagonal(values, indices, indptr, n_minor, k):
    """The entries (major, major + k); those stored twice are added."""
    first = max(0, -k)
    n = max(0, min(len(indptr) - 1, n_minor - k) - first)
    out = np.zeros(n, dtype=values.dtype)
    for i in range(n):
        r = first + i
        for j in range(indptr[r], indptr[r + 1]):
            if indices[j] == r + k:
                out[i] += values[j]
    return out
