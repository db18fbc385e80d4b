"""Products: compressed with dense (SpMV, SpMM), sampled dense with dense (SDDMM), two compressed (SpGEMM)."""

import numpy as np

from symsparse.kernels.base import kernel, loop, unsigned
from symsparse.kernels.tiles import gather_row, scatter_row, with_tiles


@kernel
def gather_vector(values, indices, indptr, x, n_minor):
    """``out[major] = sum values * x[minor]``: csr @ x."""
    if len(x) != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = np.empty(len(indptr) - 1, dtype=values.dtype)
    for r in range(len(out)):
        total = values.dtype.type(0)
        for k in range(indptr[r], indptr[r + 1]):
            total += values[k] * x[indices[k]]
        out[r] = total
    return out


@kernel
def scatter_vector(values, indices, indptr, x, n_minor):
    """``out[minor] += values * x[major]``: csc @ x."""
    if len(x) != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = np.zeros(n_minor, dtype=values.dtype)
    for r in range(len(x)):
        factor = x[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[indices[k]] += values[k] * factor
    return out


@loop
def _gather_plain(values, indices, indptr, x, out):
    for r in range(out.shape[0]):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[r, j] += factor * x[c, j]


@loop
def _gather_in_tiles(values, indices, indptr, x, out):
    width, step = out.shape[1], x.strides[0] // x.itemsize
    for r in range(out.shape[0]):
        start, stop = np.intp(indptr[r]), np.intp(indptr[r + 1])
        gather_row(indices, values, start, stop, x, 0, step, out, r * width, width)


@loop
def _scatter_plain(values, indices, indptr, x, out):
    for r in range(x.shape[0]):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[c, j] += factor * x[r, j]


@loop
def _scatter_in_tiles(values, indices, indptr, x, out):
    width, step = out.shape[1], x.strides[0] // x.itemsize
    for r in range(x.shape[0]):
        start, stop = np.intp(indptr[r]), np.intp(indptr[r + 1])
        scatter_row(indices, values, start, stop, x, r * step, width, out, 0, width)


_gather_rows = with_tiles(_gather_plain, _gather_in_tiles)
_scatter_rows = with_tiles(_scatter_plain, _scatter_in_tiles)


@kernel
def gather_matrix(values, indices, indptr, x, n_minor):
    """``out[major, :] = sum values * x[minor, :]``: csr @ X."""
    if x.shape[0] != n_minor:
        raise ValueError("dot: the inner sizes of the operands differ")
    out = np.zeros((len(indptr) - 1, x.shape[1]), dtype=values.dtype)
    _gather_rows(values, unsigned(indices), unsigned(indptr), x, out)
    return out


@kernel
def scatter_matrix(values, indices, indptr, x, n_minor):
    """``out[minor, :] += values * x[major, :]``: csc @ X."""
    if x.shape[0] != len(indptr) - 1:
        raise ValueError("dot: the inner sizes of the operands differ")
    out = np.zeros((n_minor, x.shape[1]), dtype=values.dtype)
    _scatter_rows(values, unsigned(indices), unsigned(indptr), x, out)
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
