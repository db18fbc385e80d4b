"""Stored values times a vector along one axis or along both, in one pass."""

from symsparse.kernels.base import kernel, unsigned
from symsparse.kernels.memory import empty

MISFIT_MAJOR = (
    "mul, col_scale or row_scale: the shapes do not fit: "
    "a vector does not have one element per row (column) of the sparse matrix"
)
MISFIT_MINOR = (
    "mul, col_scale or row_scale: the shapes do not fit: "
    "a vector does not have one element per column (row) of the sparse matrix"
)
MISFIT_VALUES = "mul, col_scale or row_scale: there are not as many values as stored entries"


@kernel
def scale_major(values, major, indptr):
    """``values[k] * major[r]`` for the entries k of each major slice r."""
    if len(major) != len(indptr) - 1:
        raise ValueError(MISFIT_MAJOR)
    if len(values) != indptr[len(indptr) - 1]:
        raise ValueError(MISFIT_VALUES)
    indptr = unsigned(indptr)
    out = empty(len(values), values.dtype)
    for r in range(len(major)):
        factor = major[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = values[k] * factor
    return out


@kernel
def scale_minor(values, minor, indices, n_minor):
    """``values[k] * minor[indices[k]]``."""
    if len(minor) != n_minor:
        raise ValueError(MISFIT_MINOR)
    if len(values) != len(indices):
        raise ValueError(MISFIT_VALUES)
    indices = unsigned(indices)
    out = empty(len(values), values.dtype)
    for k in range(len(values)):
        out[k] = values[k] * minor[indices[k]]
    return out


@kernel
def scale_both(values, major, indptr, minor, indices, n_minor):
    """``values[k] * major[r] * minor[indices[k]]``."""
    if len(major) != len(indptr) - 1:
        raise ValueError(MISFIT_MAJOR)
    if len(minor) != n_minor:
        raise ValueError(MISFIT_MINOR)
    if len(values) != len(indices):
        raise ValueError(MISFIT_VALUES)
    indptr, indices = unsigned(indptr), unsigned(indices)
    out = empty(len(values), values.dtype)
    for r in range(len(major)):
        factor = major[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = values[k] * factor * minor[indices[k]]
    return out
