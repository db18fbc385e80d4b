"""Checks of matrices that come from outside, before anything reads them: SciPy's conversions trust what they get."""

import numpy as np
import scipy.sparse as sp


def malformed(value, cause):
    """The error for a SciPy matrix that is none."""
    return ValueError(f"Malformed {value.format} matrix of shape {tuple(map(int, value.shape))}: {cause}.")


def check_pattern(format, n_values, indices, indptr, shape):
    """Raise a ValueError unless (indices, indptr) is a legal csr or csc pattern of this shape."""
    n_major, n_minor = shape if format == "csr" else shape[::-1]
    major, minor = ("row", "column") if format == "csr" else ("column", "row")

    def bad(cause):
        return ValueError(f"Malformed {format} matrix of shape {tuple(map(int, shape))}: {cause}.")

    if min(n_major, n_minor) < 0:
        raise bad("a size is negative")
    if len(indptr) != n_major + 1:
        raise bad(f"indptr has {len(indptr)} elements, but {n_major} {major}s need {n_major + 1}")
    if indptr[0] != 0:
        raise bad(f"indptr starts at {indptr[0]} instead of 0")
    decreases = indptr[1:] < indptr[:-1]
    if decreases.any():
        raise bad(f"indptr decreases after {major} {decreases.argmax()}")
    if not (n_values == len(indices) == indptr[-1]):
        raise bad(f"{n_values} values and {len(indices)} indices, but indptr ends at {indptr[-1]}")
    # One pass: read as unsigned numbers, those below zero are larger than any that the dtype can hold.
    end = min(n_minor, np.iinfo(indices.dtype).max + 1)
    if len(indices) and indices.view(f"{indices.dtype.byteorder}u{indices.dtype.itemsize}").max() >= end:
        low, high = indices.min(), indices.max()
        raise bad(f"{minor} index {low if low < 0 else high} is outside 0..{n_minor - 1}")


def compressed_arrays(value):
    """Values, indices and indptr of a csr or csc matrix, without slack behind the last entry, or a ValueError."""
    data, indices, indptr = value.data, value.indices, value.indptr
    _check_vector(value, data, "values", kinds=None)
    for array, what in ((indices, "indices"), (indptr, "indptr")):
        _check_vector(value, array, what)
    if len(indptr) and indptr[-1] < min(len(data), len(indices)):  # SciPy allows slack
        data, indices = data[: indptr[-1]], indices[: indptr[-1]]
    check_pattern(value.format, len(data), indices, indptr, tuple(map(int, value.shape)))
    return data, indices, indptr


def converted(value, format):
    """A SciPy matrix of another format in this one, or a ValueError where it is malformed."""
    if min(value.shape) < 0:
        raise malformed(value, "a size is negative")
    check = _CHECKS.get(value.format)  # a dok matrix is a dictionary, which SciPy checks as it reads it
    return (value if check is None else check(value)).asformat(format)


def _check_vector(value, array, what, kinds="iu", ndim=1):
    if not isinstance(array, np.ndarray) or array.ndim != ndim:
        raise malformed(
            value, f"{what} is not " + ("a vector" if ndim == 1 else f"an array of {ndim} dimensions")
        )
    if kinds is not None and array.dtype.kind not in kinds:
        raise malformed(value, f"{what} has dtype {array.dtype} instead of an integer one")


def _plain(array):
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A"])


def _compressed(value):
    arrays = [_plain(a) for a in compressed_arrays(value)]
    cls = sp.csr_array if value.format == "csr" else sp.csc_array
    return cls(tuple(arrays), shape=value.shape)


def _coo(value):
    if len(value.coords) != 2:
        raise malformed(value, f"there are {len(value.coords)} vectors of coordinates instead of 2")
    _check_vector(value, value.data, "values", kinds=None)
    for i, (at, n, what) in enumerate(zip(value.coords, value.shape, ("row", "column"), strict=True)):
        _check_vector(value, at, f"coords[{i}]")
        if len(at) != len(value.data):
            raise malformed(value, f"{len(value.data)} values, but {len(at)} {what} indices")
        if len(at) and (at.min() < 0 or at.max() >= n):
            raise malformed(
                value, f"{what} index {at.min() if at.min() < 0 else at.max()} is outside 0..{n - 1}"
            )
    return sp.coo_array((_plain(value.data), tuple(map(_plain, value.coords))), shape=value.shape)


def _bsr(value):
    _check_vector(value, value.data, "values", kinds=None, ndim=3)
    _check_vector(value, value.indices, "indices")
    _check_vector(value, value.indptr, "indptr")
    blocks = [divmod(n, size) for n, size in zip(value.shape, value.data.shape[1:], strict=True) if size]
    if len(blocks) < 2 or any(rest for _, rest in blocks):
        raise malformed(value, f"it does not consist of blocks of shape {value.data.shape[1:]}")
    data, indices, indptr = value.data, value.indices, value.indptr
    if len(indptr) and indptr[-1] < min(len(data), len(indices)):
        data, indices = data[: indptr[-1]], indices[: indptr[-1]]
    try:
        check_pattern("csr", len(data), indices, indptr, tuple(n for n, _ in blocks))
    except ValueError as e:
        raise malformed(value, f"its blocks: {e}".rstrip(".")) from None
    return sp.bsr_array(tuple(map(_plain, (data, indices, indptr))), shape=value.shape)


def _dia(value):
    _check_vector(value, value.data, "values", kinds=None, ndim=2)
    _check_vector(value, value.offsets, "offsets")
    if len(value.data) != len(value.offsets):
        raise malformed(value, f"{len(value.data)} diagonals, but {len(value.offsets)} offsets")
    return value


def _lil(value):
    for rows, what in ((value.rows, "rows"), (value.data, "values")):
        _check_vector(value, rows, what, kinds=None)
        if len(rows) != value.shape[0] or not all(isinstance(row, list) for row in rows):
            raise malformed(value, f"{what} has to hold {value.shape[0]} lists")
    lengths = [len(row) for row in value.rows], [len(row) for row in value.data]
    if lengths[0] != lengths[1]:
        raise malformed(
            value, f"{sum(lengths[1])} values do not go with {sum(lengths[0])} column indices row by row"
        )
    return value


_CHECKS = {"csr": _compressed, "csc": _compressed, "coo": _coo, "bsr": _bsr, "dia": _dia, "lil": _lil}
