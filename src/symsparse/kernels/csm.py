"""Checks of patterns that come from outside."""

from symsparse.kernels.base import kernel, loop


@kernel
def check_pattern(indices, indptr, n_values, n_major, n_minor):
    """Return the pattern, or raise a ValueError if it is not one of an n_major x n_minor matrix."""
    if n_major < 0 or n_minor < 0:
        raise ValueError("CSM: malformed pattern: a matrix cannot have a negative size")
    if len(indptr) != n_major + 1:
        raise ValueError(
            "CSM: malformed pattern: indptr needs one element more than the matrix has rows (columns)"
        )
    if indptr[0] != 0:
        raise ValueError("CSM: malformed pattern: indptr must start at 0")
    for r in range(n_major):
        if indptr[r + 1] < indptr[r]:
            raise ValueError("CSM: malformed pattern: indptr decreases")
    if len(indices) != n_values or indptr[n_major] != n_values:
        raise ValueError("CSM: malformed pattern: values, indices and the end of indptr disagree")
    if indices.dtype.type(n_major) != n_major or indices.dtype.type(n_minor) != n_minor:
        raise ValueError("CSM: the shape does not fit int32 indices; pass int64 indices")
    for k in range(len(indices)):
        if indices[k] < 0 or indices[k] >= n_minor:
            raise ValueError("CSM: malformed pattern: an index is outside the matrix")
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
