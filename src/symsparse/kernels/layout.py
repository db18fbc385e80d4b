"""Order, duplicates and orientation of a pattern, with the maps that take values along."""

import numpy as np

from symsparse.kernels.base import kernel, unsigned
from symsparse.kernels.scaling import MISFIT_MAJOR, MISFIT_MINOR


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
    out = np.zeros(nnz, dtype=values.dtype)
    place = unsigned(place)
    for k in range(len(values)):
        out[place[k]] += values[k]
    return out


@kernel
def transpose_pattern(indices, indptr, n_minor):
    """The pattern compressed along the other axis, sorted, and the order that takes values along."""
    new_indptr = np.zeros(n_minor + 1, dtype=indptr.dtype)
    for k in range(len(indices)):
        new_indptr[indices[k] + 1] += 1
    for c in range(n_minor):
        new_indptr[c + 1] += new_indptr[c]
    free = new_indptr[:-1].copy()
    new_indices = np.empty_like(indices)
    order = np.empty_like(indices)
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            c = indices[k]
            at = free[c]
            free[c] = at + 1
            new_indices[at] = r
            order[at] = k
    return new_indices, new_indptr, order


@kernel
def nonzero_pattern(values, indices, indptr):
    """The pattern of the values that are not zero, and where they were. NaN is not zero."""
    new_indptr = np.zeros_like(indptr)
    nnz = 0
    for r in range(len(indptr) - 1):
        for k in range(indptr[r], indptr[r + 1]):
            if values[k] != 0:
                nnz += 1
        new_indptr[r + 1] = nnz
    new_indices = np.empty(nnz, dtype=indices.dtype)
    kept = np.empty(nnz, dtype=indices.dtype)
    at = 0
    for k in range(len(values)):
        if values[k] != 0:
            new_indices[at] = indices[k]
            kept[at] = k
            at += 1
    return new_indices, new_indptr, kept


@kernel
def repeat_major(v, indptr):
    """One element of `v` for each stored entry: that of its major slice."""
    if len(v) != len(indptr) - 1:
        raise ValueError(MISFIT_MAJOR)
    out = np.empty(indptr[len(indptr) - 1], dtype=v.dtype)
    for r in range(len(v)):
        out[indptr[r] : indptr[r + 1]] = v[r]
    return out


@kernel
def take_minor(v, indices, n_minor):
    """One element of `v` for each stored entry: that of its minor index."""
    if len(v) != n_minor:
        raise ValueError(MISFIT_MINOR)
    out = np.empty(len(indices), dtype=v.dtype)
    indices = unsigned(indices)
    for k in range(len(out)):
        out[k] = v[indices[k]]
    return out
