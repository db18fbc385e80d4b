"""What ``x[...]`` means: from Python's subscripts to the ops of `indexing`."""

import numbers

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable

from symsparse.ops.base import (
    Check,
    Holds,
    dense_operand,
    describe,
    error,
    is_sparse,
    require,
    sparse_operand,
)
from symsparse.ops.entries import GetItem2Lists, GetItemScalar
from symsparse.ops.indexing import END, EVERYTHING, positions, select
from symsparse.types import integer_dtypes

OUTSIDE = "getitem: index %d is outside an axis of size %d"
_FORMS = "Use integers, slices, vectors of integers, masks of a row's or column's length, or numpy.ix_(rows, columns)."


def getitem(x, index):
    """``x[index]``: a sparse matrix, a dense vector or a dense scalar, as NumPy would give.

    Parameters
    ----------
    x : sparse matrix (m, n)
    index : one or two of the following, or ``...``
        A slice, an integer, a vector of integers (list, array, symbolic), a boolean mask with one element per row
        (column). Bounds, steps and integers may be symbolic.

    Returns
    -------
    sparse matrix, in x's format
        From slices, a slice with a vector or mask, a vector or mask for the rows alone, and ``numpy.ix_``.
    dense vector
        From an integer with a slice (a row or column), and from two vectors (pairs).
    dense scalar
        From two integers.

    Raises
    ------
    IndexError
        A position outside the matrix, a mask of the wrong length, too many indices.
    TypeError
        What is no index of a matrix.

    Notes
    -----
    Gradient: structured. What is selected more than once receives the sum.
    """
    x = sparse_operand("getitem", x)
    rows, columns = (_along(x, axis, i) for axis, i in enumerate(_two(x, index)))
    ndims = _ndim(rows), _ndim(columns)
    if ndims == (2, 2) or ndims == (2, 1):
        return select(x, (_ix(x, rows, 0),), (_ix(x, columns, 1),))
    if 2 in ndims:
        raise error("getitem", [x], "two-dimensional indices are not supported", _FORMS)
    if None in ndims and 0 not in ndims:
        return select(x, *(i if isinstance(i, tuple) else (i,) for i in (rows, columns)))
    if ndims == (0, 0):
        return GetItemScalar()(x, rows, columns)
    # A row or a column is a vector of entries: the integer is paired with all positions of the slice.
    made = []
    for i, n in zip((rows, columns), x.shape, strict=True):
        if isinstance(i, tuple):
            i = positions(i, n)
        elif None in ndims:  # a slice may be empty, and then nobody else looks at the integer
            i = i if _checked(i, n) else require(i, ("within", i, n, OUTSIDE))
        made.append(i)
    return GetItem2Lists()(x, *_paired(*made))


def _two(x, index):
    """The indices of rows and columns."""
    index = index if isinstance(index, tuple) else (index,)
    dots = [k for k, i in enumerate(index) if i is Ellipsis]
    if len(dots) == 1:
        k = dots[0]
        index = (*index[:k], *[slice(None)] * (3 - len(index)), *index[k + 1 :])
    if any(i is None for i in index):
        raise error(
            "getitem", [x], "a sparse matrix has two dimensions and gets no new axis", "Use x.toarray()[...]."
        )
    if len(index) > 2 or len(dots) > 1:
        raise error("getitem", [x], f"{len(index)} indices for two dimensions", _FORMS, IndexError)
    return (*index, *[slice(None)] * (2 - len(index)))


def _along(x, axis, i):
    """An index of one axis: (start, stop, step), or a symbolic integer, vector or matrix of integers."""
    if isinstance(i, slice):
        return _slice(x, i)
    if isinstance(i, list | tuple | range):
        i = np.zeros(0, dtype="int64") if len(i) == 0 else list(i)
    known = Variable | np.ndarray | list | numbers.Integral
    if is_sparse(i) or isinstance(i, bool) or not isinstance(i, known):
        raise error("getitem", [x], f"{describe(i)} is no index of a matrix", _FORMS)
    if isinstance(i, numbers.Integral):
        i = np.int64(_cut(i))
    i = dense_operand("getitem", i, (0, 1, 2))
    if i.dtype == "bool" and i.type.ndim == 1:
        return _where(x, axis, i)
    if i.dtype not in integer_dtypes:
        raise error("getitem", [x, i], "an index must be an integer, or a mask of one dimension", _FORMS)
    if i.type.ndim == 0:
        _checked(i, x.shape[axis])
    return i


def _slice(x, given):
    """(start, stop, step) as symbolic int64 without None."""
    start, stop, step = (None if v is None else _bound(x, v) for v in (given.start, given.stop, given.step))
    if step is None:
        step = EVERYTHING[2]
    if isinstance(step, Constant):
        if step.data == 0:
            raise error("getitem", [x], "the step of a slice cannot be zero", kind=ValueError)
        backwards = bool(step.data < 0)
        ends = (END, -END) if backwards else (0, END)
        default = [pt.constant(v, dtype="int64") for v in ends]
    else:
        step = Check(ValueError, "getitem: the step of a slice cannot be zero")(step, pt.neq(step, 0))
        default = [
            pt.switch(step < 0, pt.constant(back, dtype="int64"), pt.constant(on, dtype="int64"))
            for back, on in ((END, 0), (-END, END))
        ]
    return (default[0] if start is None else start, default[1] if stop is None else stop, step)


def _bound(x, v):
    """A bound or step of a slice as an int64 scalar, cut to ±END, where it means the same for every matrix."""
    if isinstance(v, np.ndarray | Variable):
        v = dense_operand("getitem", v, (0,))
        if v.dtype in integer_dtypes:
            if v.dtype == "uint64":
                v = pt.minimum(v, pt.constant(END, dtype="uint64"))
            v = v.astype("int64")
            return pt.constant(_cut(v.data), dtype="int64") if isinstance(v, Constant) else _cut_symbolic(v)
    elif isinstance(v, numbers.Integral):
        return pt.constant(_cut(v), dtype="int64")
    raise error("getitem", [x], f"a bound of a slice is {describe(v)}", "Use integers or None.")


def _cut(v):
    return min(max(int(v), -END), END)


def _cut_symbolic(v):
    return pt.clip(v, pt.constant(-END, dtype="int64"), pt.constant(END, dtype="int64"))


def _where(x, axis, mask):
    """The positions at which a mask holds, once its length is sure."""
    cause = f"a mask must have one element for each {('row', 'column')[axis]} of the matrix"
    n, size = x.type.shape[axis], mask.type.shape[0]
    if None not in (n, size) and n != size:
        raise error("getitem", [x, mask], cause, _FORMS, IndexError)
    if isinstance(mask, Constant):
        chosen = pt.constant(np.flatnonzero(mask.data))
    else:
        chosen = Holds()(mask)
    if None not in (n, size):
        return chosen
    return require(chosen, ("same_length", mask.shape[0], x.shape[axis], f"getitem: {cause}: %d for %d"))


def _checked(i, n):
    """Whether an integer is known to be inside an axis of n; an error if it is known to be outside."""
    if not (isinstance(i, Constant) and isinstance(n, Constant)):
        return False
    if not -n.data <= i.data < n.data:
        raise IndexError(f"{OUTSIDE % (i.data, n.data)}.")
    return True


def _ndim(i):
    return None if isinstance(i, tuple) else i.type.ndim


def _ix(x, i, axis):
    """The vector behind an index with a column of rows or a row of columns, as `numpy.ix_` makes them."""
    if i.type.ndim == 2:
        if i.type.shape[1 - axis] != 1:
            raise error("getitem", [x, i], "two-dimensional indices must be those of numpy.ix_", _FORMS)
        i = i[:, 0] if axis == 0 else i[0]
    return i


def _paired(i, j):
    """Two vectors of one length from vectors and integers, broadcast as NumPy does."""
    sizes = [None if v.type.ndim == 0 or v.type.shape[0] == 1 else v for v in (i, j)]
    longer = next((v for v in sizes if v is not None), None)
    if longer is None:
        return i.reshape((1,)), j.reshape((1,))
    return tuple(
        v if size is not None else pt.alloc(v if v.type.ndim == 0 else v[0], longer.shape[0])
        for v, size in zip((i, j), sizes, strict=True)
    )


__all__ = ["getitem"]
