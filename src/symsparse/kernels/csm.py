"""Checks of patterns that come from outside."""

from symsparse.kernels.base import KernelValueError, kernel, loop


@kernel
def check_pattern(indices, indptr, n_values, n_major, n_minor):
    """Return the pattern, or raise a ValueError if it is not one of an n_major x n_minor matrix."""
    if n_major < 0 or n_minor < 0:
        raise KernelValueError("CSM: malformed pattern: a size is negative: %d, %d", n_major, n_minor)
    if len(indptr) != n_major + 1:
        raise KernelValueError(
            "CSM: malformed pattern: indptr has %d elements, but %d rows (columns) need one more",
            len(indptr),
            n_major,
        )
    if indptr[0] != 0:
        raise KernelValueError("CSM: malformed pattern: indptr starts at %d instead of 0", indptr[0])
    for r in range(n_major):
        if indptr[r + 1] < indptr[r]:
            raise KernelValueError("CSM: malformed pattern: indptr decreases after row (column) %d", r)
    if len(indices) != n_values or indptr[n_major] != n_values:
        raise KernelValueError(
            "CSM: malformed pattern: %d values and %d indices, but indptr ends at %d",
            n_values,
            len(indices),
            indptr[n_major],
        )
    if indices.dtype.type(n_major) != n_major or indices.dtype.type(n_minor) != n_minor:
        raise KernelValueError(
            "CSM: the shape (%d, %d), columns first for csc, does not fit int32 indices; pass int64 indices",
            n_major,
            n_minor,
        )
    for k in range(len(indices)):
        if indices[k] < 0 or indices[k] >= n_minor:
            raise KernelValueError(
                "CSM: malformed pattern: index %d is outside an axis of size %d", indices[k], n_minor
            )
    return indices, indptr


@loop
def _equal(x, y):
    """Whether two vectors of one length are equal: by blocks, which are compared in vectors."""
    for start in range(0, len(x), 1024):
        differences = 0
        for k in range(start, min(start + 1024, len(x))):
            differences += x[k] != y[k]
        if differences:
            return False
    return True


@kernel
def same_pattern(a_indices, a_indptr, b_indices, b_indptr):
    """Whether two patterns are stored alike."""
    if len(a_indices) != len(b_indices) or len(a_indptr) != len(b_indptr):
        return False
    return _equal(a_indptr, b_indptr) and _equal(a_indices, b_indices)
