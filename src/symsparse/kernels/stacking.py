"""Patterns of matrices made of blocks: one after the other, side by side, cut out."""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel
from symsparse.kernels.memory import empty

_LARGEST = np.iinfo(np.int64).max


@kernel
def _require_fit(n, like):
    """Raise unless `n` (a size, or a number of entries; below zero after an overflow) fits the dtype of `like`."""
    if n < 0 or like.dtype.type(n) != n:
        raise KernelValueError(
            "hstack, vstack, block_diag: a size of the result, or the number of its entries, is %d, which does not fit "
            "int32 indices; use index_dtype='int64'",
            n,
        )


@kernel
def _total(sizes):
    """Their sum; -1 if that is no int64."""
    total = 0
    for n in sizes:
        if n > _LARGEST - total:
            return -1
        total += n
    return total


@kernel
def concatenate_pattern(indices, indptrs, n_majors, n_minors, diagonal):
    """Pattern of blocks one after the other along the major axis; `diagonal`: along the minor one at the same time.

    `indices` and `indptrs` are those of all blocks, joined.
    """
    n = _total(n_majors)
    for size in (n, _total(n_minors) if diagonal else n_minors[0], len(indices)):
        _require_fit(size, indices)
    if len(indptrs) != n + len(n_majors):
        raise KernelValueError(
            "hstack, vstack, block_diag: %d elements of indptr do not fit %d rows (columns) of %d blocks",
            len(indptrs),
            n,
            len(n_majors),
        )
    new_indices = empty(len(indices), indices.dtype)
    indptr = np.zeros(n + 1, dtype=indptrs.dtype)
    start = 0  # of the block's indptr among all
    shift = 0
    r = 0
    nnz = 0
    for b in range(len(n_majors)):
        for k in range(nnz, nnz + indptrs[start + n_majors[b]]):
            new_indices[k] = indices[k] + shift
        for i in range(1, n_majors[b] + 1):
            r += 1
            indptr[r] = nnz + indptrs[start + i]
        nnz += indptrs[start + n_majors[b]]
        start += n_majors[b] + 1
        if diagonal:
            shift += n_minors[b]
    return new_indices, indptr


@kernel
def interleave_pattern(indices, indptrs, n_majors, n_minors, carried):
    """Pattern of blocks side by side along the minor axis, and what its entries carry."""
    n_blocks = len(n_minors)
    size = n_majors[0] + 1
    if len(indptrs) != size * n_blocks or (n_majors != n_majors[0]).any():
        raise KernelValueError(
            "hstack, vstack: the blocks differ in their numbers of rows (columns): %d to %d",
            n_majors.min(),
            n_majors.max(),
        )
    for n in (_total(n_minors), len(indices)):
        _require_fit(n, indices)
    new_indices, out = empty(len(indices), indices.dtype), empty(len(indices), carried.dtype)
    indptr = np.zeros(size, dtype=indptrs.dtype)
    first = np.zeros(n_blocks, dtype=np.int64)  # entry of each block
    for b in range(1, n_blocks):
        first[b] = first[b - 1] + indptrs[b * size - 1]
    at = 0
    for r in range(size - 1):
        shift = 0
        for b in range(n_blocks):
            row = b * size + r
            for k in range(first[b] + indptrs[row], first[b] + indptrs[row + 1]):
                new_indices[at] = indices[k] + shift
                out[at] = carried[k]
                at += 1
            shift += n_minors[b]
        indptr[r + 1] = at
    return new_indices, indptr, out
