"""Reading a matrix, dense or sparse, at the entries of a pattern."""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.memory import empty
from symsparse.kernels.threading import cut, cut_for, run_chunks, threads_for
from symsparse.kernels.tiles import dot_rows, for_tiles, with_tiles


@kernel
def gather_dense(dense, indices, indptr, n_minor):
    """``dense[major, minor]`` for each stored entry."""
    if dense.shape[0] != len(indptr) - 1 or dense.shape[1] != n_minor:
        raise KernelValueError(
            "mul or sample: the shapes of the sparse and the dense operand differ: (%d, %d) and (%d, %d), columns "
            "first for csc",
            len(indptr) - 1,
            n_minor,
            dense.shape[0],
            dense.shape[1],
        )
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = np.empty(len(indices), dtype=dense.dtype)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = dense[r, indices[k]]
    return out


@kernel
def locate(x_indices, x_indptr, g_indices, g_indptr):
    """Place in the canonical pattern g of each entry of the pattern x (any order); -1 where g has none."""
    if len(x_indptr) != len(g_indptr):
        raise KernelValueError(
            "sample: the shapes of two sparse matrices differ: %d and %d rows (columns for csc)",
            len(x_indptr) - 1,
            len(g_indptr) - 1,
        )
    out = np.empty_like(x_indices)
    for r in range(len(x_indptr) - 1):
        start, stop = g_indptr[r], g_indptr[r + 1]
        at = start
        last = -1
        ordered = True
        for k in range(x_indptr[r], x_indptr[r + 1]):
            i = x_indices[k]
            ordered = ordered and i >= last
            last = i
            if ordered:
                while at < stop and g_indices[at] < i:
                    at += 1
            else:
                at = start + np.searchsorted(g_indices[start:stop], i)
            out[k] = at if at < stop and g_indices[at] == i else -1
    return out


@kernel
def take_or_zero(values, places):
    """``values[places]``, zero where the place is -1."""
    out = np.zeros(len(places), dtype=values.dtype)
    for k in range(len(places)):
        if places[k] >= 0:
            out[k] = values[places[k]]
    return out


@loop
def _dots_plain(first, last, a, indices, indptr, b, out):
    for r in range(first, last):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            total = a.dtype.type(0)
            for j in range(a.shape[1]):
                total += a[r, j] * b[c, j]
            out[k] = total


_dots = with_tiles(_dots_plain, dot_rows)


@kernel
def sddmm(indices, indptr, a, b, n_minor):
    """``out = a[major, :] . b[minor, :]`` for each stored entry."""
    if a.shape[0] != len(indptr) - 1 or b.shape[0] != n_minor or a.shape[1] != b.shape[1]:
        raise KernelValueError(
            "sampling_dot: the shapes of the operands do not fit: (%d, %d), (%d, %d), and (%d, %d) of the pattern, "
            "columns first for csc",
            a.shape[0],
            a.shape[1],
            b.shape[0],
            b.shape[1],
            len(indptr) - 1,
            n_minor,
        )
    a, indices, indptr, b = for_tiles(a, unsigned(indices), unsigned(indptr), b)
    out = empty(len(indices), a.dtype)
    if a.shape[1] == 0:
        out[:] = 0
    run_chunks(_dots, cut_for(len(indices) * a.shape[1], indptr), (a, indices, indptr, b, out))
    return out


@loop
def _sampled_products(first, last, a, b, indices, indptr, out, n_inner):
    a_values, a_indices, a_indptr = a
    b_values, b_indices, b_indptr = b
    row = np.zeros(n_inner, dtype=out.dtype)
    holder = np.full(n_inner, -1, dtype=np.int64)  # the slice of a that an element of `row` belongs to
    for r in range(first, last):
        if indptr[r] == indptr[r + 1]:
            continue
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = a_indices[k]
            if holder[i] != r:
                holder[i] = r
                row[i] = 0
            row[i] += a_values[k]
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            total = out.dtype.type(0)
            for m in range(b_indptr[c], b_indptr[c + 1]):
                if holder[b_indices[m]] == r:
                    total += row[b_indices[m]] * b_values[m]
            out[k] = total


@loop
def _require_fit(n, m, n_inner, m_inner, n_major, n_minor):
    """Raise unless an n x n_inner matrix times the transpose of an m x m_inner one has the shape of the pattern."""
    if n_inner != m_inner:
        raise KernelValueError("dot: the inner sizes %d and %d differ", n_inner, m_inner)
    if n != n_major or m != n_minor:
        raise KernelValueError(
            "dot: the shapes of the operands and of the pattern do not fit: (%d, %d) of the product and (%d, %d) of "
            "the pattern, columns first for csc",
            n,
            m,
            n_major,
            n_minor,
        )


@kernel
def sample_sparse_sparse(
    indices, indptr, n_minor, a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, n_inner, m_inner
):
    """``out = sum a[major, :] * b[minor, :]`` for each stored entry of a pattern, for a and b compressed by rows.

    They have `n_inner` and `m_inner` columns.
    """
    _require_fit(len(a_indptr) - 1, len(b_indptr) - 1, n_inner, m_inner, len(indptr) - 1, n_minor)
    indices, indptr = unsigned(indices), unsigned(indptr)
    a = a_values, unsigned(a_indices), unsigned(a_indptr)
    b = b_values, unsigned(b_indices), unsigned(b_indptr)
    out = empty(len(indices), a_values.dtype)
    threads = threads_for(len(a_indices) + len(b_indices) + len(indices) - 2 * n_inner)
    run_chunks(_sampled_products, cut(indptr, threads), (a, b, indices, indptr, out, n_inner))
    return out


@kernel
def sample_sparse_dense(indices, indptr, n_minor, a_values, a_indices, a_indptr, b, n_inner, m_inner):
    """The same for a dense b."""
    _require_fit(len(a_indptr) - 1, b.shape[0], n_inner, b.shape[1], len(indptr) - 1, n_minor)
    indices, indptr = unsigned(indices), unsigned(indptr)
    a_indices, a_indptr = unsigned(a_indices), unsigned(a_indptr)
    out = empty(len(indices), a_values.dtype)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            total = a_values.dtype.type(0)
            for m in range(a_indptr[r], a_indptr[r + 1]):
                total += a_values[m] * b[c, a_indices[m]]
            out[k] = total
    return out


@kernel
def sample_dense_sparse(indices, indptr, n_minor, a, b_values, b_indices, b_indptr, n_inner, m_inner):
    """The same for a dense a."""
    _require_fit(a.shape[0], len(b_indptr) - 1, a.shape[1], m_inner, len(indptr) - 1, n_minor)
    indices, indptr = unsigned(indices), unsigned(indptr)
    b_indices, b_indptr = unsigned(b_indices), unsigned(b_indptr)
    out = empty(len(indices), b_values.dtype)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            total = b_values.dtype.type(0)
            for m in range(b_indptr[c], b_indptr[c + 1]):
                total += a[r, b_indices[m]] * b_values[m]
            out[k] = total
    return out
