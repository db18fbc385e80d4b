"""Checks of patterns that come from outside."""

from symsparse.kernels.base import kernel


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
    for k in range(len(indices)):
        if indices[k] < 0 or indices[k] >= n_minor:
            raise ValueError("CSM: malformed pattern: an index is outside the matrix")
    return indices, indptr


@kernel
def same_pattern(a_indices, a_indptr, b_indices, b_indptr):
    """Whether two patterns are stored alike."""
    if len(a_indices) != len(b_indices) or len(a_indptr) != len(b_indptr):
        return False
    for r in range(len(a_indptr)):
        if a_indptr[r] != b_indptr[r]:
            return False
    for k in range(len(a_indices)):
        if a_indices[k] != b_indices[k]:
            return False
    return True
