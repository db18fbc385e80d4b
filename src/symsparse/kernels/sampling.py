"""Reading a matrix, dense or sparse, at the entries of a pattern."""

import numpy as np

from symsparse.kernels.base import kernel, loop, unsigned
from symsparse.kernels.memory import empty
from symsparse.kernels.threading import cut_for, run_chunks
from symsparse.kernels.tiles import dot_rows, for_tiles, with_tiles


@kernel
def gather_dense(dense, indices, indptr, n_minor):
    """``dense[major, minor]`` for each stored entry."""
    if dense.shape[0] != len(indptr) - 1 or dense.shape[1] != n_minor:
        raise ValueError("mul or sample: the shapes of the sparse and the dense operand differ")
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
        raise ValueError("the shapes of two sparse matrices differ")
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
        raise ValueError("sampling_dot: the shapes of the operands do not fit")
    a, indices, indptr, b = for_tiles(a, unsigned(indices), unsigned(indptr), b)
    out = empty(len(indices), a.dtype)
    if a.shape[1] == 0:
        out[:] = 0
    run_chunks(_dots, cut_for(len(indices) * a.shape[1], indptr), (a, indices, indptr, b, out))
    return out
