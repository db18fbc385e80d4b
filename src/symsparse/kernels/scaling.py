"""Stored values times a vector along one axis or along both, in one pass."""

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.memory import empty
from symsparse.kernels.threading import cut_evenly, cut_for, run_chunks

MISFIT_MAJOR = (
    "mul, col_scale or row_scale: the shapes do not fit: "
    "a vector needs one element per row (column for csc) of the sparse matrix, and has %d for %d"
)
MISFIT_MINOR = (
    "mul, col_scale or row_scale: the shapes do not fit: "
    "a vector needs one element per column (row for csc) of the sparse matrix, and has %d for %d"
)
MISFIT_VALUES = "mul, col_scale or row_scale: %d values for %d stored entries"


@loop
def _scale_major(first, last, values, major, indptr, out):
    for r in range(first, last):
        factor = major[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = values[k] * factor


@kernel
def scale_major(values, major, indptr):
    """``values[k] * major[r]`` for the entries k of each major slice r."""
    if len(major) != len(indptr) - 1:
        raise KernelValueError(MISFIT_MAJOR, len(major), len(indptr) - 1)
    if len(values) != indptr[len(indptr) - 1]:
        raise KernelValueError(MISFIT_VALUES, len(values), indptr[len(indptr) - 1])
    indptr = unsigned(indptr)
    out = empty(len(values), values.dtype)
    run_chunks(_scale_major, cut_for(len(values), indptr), (values, major, indptr, out))
    return out


@loop
def _scale_minor(first, last, values, minor, indices, out):
    for k in range(first, last):
        out[k] = values[k] * minor[indices[k]]


@kernel
def scale_minor(values, minor, indices, n_minor):
    """``values[k] * minor[indices[k]]``."""
    if len(minor) != n_minor:
        raise KernelValueError(MISFIT_MINOR, len(minor), n_minor)
    if len(values) != len(indices):
        raise KernelValueError(MISFIT_VALUES, len(values), len(indices))
    indices = unsigned(indices)
    out = empty(len(values), values.dtype)
    run_chunks(_scale_minor, cut_evenly(len(values)), (values, minor, indices, out))
    return out


@loop
def _scale_both(first, last, values, major, indptr, minor, indices, out):
    for r in range(first, last):
        factor = major[r]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = values[k] * factor * minor[indices[k]]


@kernel
def scale_both(values, major, indptr, minor, indices, n_minor):
    """``values[k] * major[r] * minor[indices[k]]``."""
    if len(major) != len(indptr) - 1:
        raise KernelValueError(MISFIT_MAJOR, len(major), len(indptr) - 1)
    if len(minor) != n_minor:
        raise KernelValueError(MISFIT_MINOR, len(minor), n_minor)
    if len(values) != len(indices):
        raise KernelValueError(MISFIT_VALUES, len(values), len(indices))
    indptr, indices = unsigned(indptr), unsigned(indices)
    out = empty(len(values), values.dtype)
    given = values, major, indptr, minor, indices, out
    run_chunks(_scale_both, cut_for(len(values), indptr), given)
    return out
