"""Order, duplicates and orientation of a pattern.

A kernel that picks or reorders entries takes along what each of them carries. That is its value, where pattern and
values are wanted in one pass; or its position, for a map that takes values along later.
"""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.memory import empty, trimmed, zeros
from symsparse.kernels.scaling import MISFIT_MAJOR, MISFIT_MINOR
from symsparse.kernels.threading import cut, cut_into, run_chunks, threads_for

MANY = 4  # entries for each counter of a thread


@kernel
def positions(indices):
    """The position of each stored entry."""
    out = empty(len(indices), indices.dtype)
    for k in range(len(out)):
        out[k] = k
    return out


@kernel
def is_canonical(indices, indptr):
    """Whether each major slice has strictly increasing indices."""
    for r in range(len(indptr) - 1):
        for k in range(indptr[r] + 1, indptr[r + 1]):
            if indices[k] <= indices[k - 1]:
                return False
    return True


@kernel
def sort_pattern(indices, indptr):
    """Indices sorted within each major slice, and the order that sorts them (equal ones keep theirs)."""
    sorted_indices = indices.copy()
    order = np.empty_like(indices)
    for k in range(len(order)):
        order[k] = k
    for r in range(len(indptr) - 1):
        start, stop = indptr[r], indptr[r + 1]
        for k in range(start + 1, stop):
            if indices[k] < indices[k - 1]:
                by_index = np.argsort(indices[start:stop], kind="mergesort")
                for j in range(stop - start):
                    order[start + j] = start + by_index[j]
                    sorted_indices[start + j] = indices[start + by_index[j]]
                break
    return sorted_indices, order


@kernel
def canonical_pattern(indices, indptr, canonical):
    """The pattern without duplicates, sorted, and for each old entry its new place.

    A pattern that is canonical already is returned itself, with an empty map.
    """
    if canonical:
        return indices, indptr, np.empty(0, dtype=indices.dtype)
    sorted_indices, order = sort_pattern(indices, indptr)
    place = np.empty_like(indices)
    new_indptr = np.zeros_like(indptr)
    nnz = 0
    for r in range(len(indptr) - 1):
        start = nnz
        for k in range(indptr[r], indptr[r + 1]):
            if nnz == start or sorted_indices[nnz - 1] != sorted_indices[k]:
                sorted_indices[nnz] = sorted_indices[k]  # never ahead of what is still to be read
                nnz += 1
            place[order[k]] = nnz - 1
        new_indptr[r + 1] = nnz
    return sorted_indices[:nnz].copy(), new_indptr, place


@kernel
def sum_into(values, place, indptr):
    """Values added up at their new places; the values themselves where `canonical_pattern` changed nothing."""
    nnz = indptr[len(indptr) - 1]
    if len(place) == 0 and len(values) == nnz:
        return values
    out = zeros(nnz, values.dtype)
    place = unsigned(place)
    for k in range(len(values)):
        out[place[k]] += values[k]
    return out


@loop
def _count_minor(t, _, indices, indptr, bounds, free):
    own = free[t]
    for k in range(indptr[bounds[t]], indptr[bounds[t + 1]]):
        own[indices[k]] += 1


@loop
def _place_by_minor(t, _, indices, indptr, carried, bounds, free, new_indices, out):
    own = free[t]
    for r in range(bounds[t], bounds[t + 1]):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            at = own[c]
            own[c] += 1
            new_indices[at] = r
            out[at] = carried[k]


@kernel
def transpose_pattern(indices, indptr, n_minor, carried):
    """The pattern compressed along the other axis, sorted, and what its entries carry."""
    new_indptr = empty(n_minor + 1, indptr.dtype)
    new_indices, out = empty(len(indices), indices.dtype), empty(len(indices), carried.dtype)
    indices, indptr = unsigned(indices), unsigned(indptr)
    # Each thread has a counter for each new slice, which must stay little beside the entries.
    threads = max(1, min(threads_for(len(indices)), len(indices) // (MANY * n_minor + 1)))
    free = unsigned(zeros((threads, n_minor), new_indptr.dtype))
    tasks, bounds = cut_into(threads, threads), cut(indptr, threads)
    run_chunks(_count_minor, tasks, (indices, indptr, bounds, free))
    total = np.int64(0)
    for c in range(n_minor):
        new_indptr[c] = total
        for t in range(threads):  # what earlier threads have comes first: order by major index
            size = np.int64(free[t, c])
            free[t, c] = total
            total += size
    new_indptr[n_minor] = total
    run_chunks(_place_by_minor, tasks, (indices, indptr, carried, bounds, free, new_indices, out))
    return new_indices, new_indptr, out


@kernel
def nonzero_pattern(tested, indices, indptr, carried):
    """The pattern of the entries whose tested value is not zero, and what they carry. NaN is not zero."""
    new_indptr = np.zeros_like(indptr)
    new_indices, out = empty(len(indices), indices.dtype), empty(len(indices), carried.dtype)
    at = np.int64(0)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            new_indices[at] = indices[k]
            out[at] = carried[k]
            at += np.int64(tested[k] != 0)  # no jump: an entry that is not kept is overwritten by the next
        new_indptr[r + 1] = at
    return trimmed(new_indices, at), new_indptr, trimmed(out, at)


@kernel
def repeat_major(v, indptr):
    """One element of `v` for each stored entry: that of its major slice."""
    if len(v) != len(indptr) - 1:
        raise KernelValueError(MISFIT_MAJOR, len(v), len(indptr) - 1)
    indptr = unsigned(indptr)
    out = empty(np.int64(indptr[len(v)]), v.dtype)
    for r in range(len(v)):
        element = v[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = element
    return out


@kernel
def take_minor(v, indices, n_minor):
    """One element of `v` for each stored entry: that of its minor index."""
    if len(v) != n_minor:
        raise KernelValueError(MISFIT_MINOR, len(v), n_minor)
    out = empty(len(indices), v.dtype)
    indices = unsigned(indices)
    for k in range(len(out)):
        out[k] = v[indices[k]]
    return out
