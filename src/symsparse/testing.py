"""Tools to test code that uses sparse matrices: reference mode, random matrices, gradient checks."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.compile.mode import FAST_COMPILE, Mode
from pytensor.gradient import verify_grad
from pytensor.link.basic import PerformLinker

from symsparse.ops import CSM, csc_from_dense, csm_data, csr_from_dense, dense_from_sparse
from symsparse.ops.base import is_sparse
from symsparse.types import SCIPY_CLASSES, SparseTensorType, compressed, sparse_formats
from symsparse.validation import check_pattern

#: Runs the SciPy reference implementation of every sparse op: no lowering, no algebra, no compilation. The oracle.
reference_mode = Mode(PerformLinker(), FAST_COMPILE.provided_optimizer).excluding(
    "symsparse_lowering", "symsparse_algebra", "inplace", "fusion"
)


def _generator(rng):
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)


def _random_values(rng, size, dtype, gap):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.ones(size, dtype)
    if dtype.kind in "iu":
        low, high = (0, 50) if gap is None else (0, gap[0]) if len(gap) == 1 else gap
        return rng.integers(low, high, size).astype(dtype)
    low, high = (0.0, 1.0) if gap is None else (0.0, gap[0]) if len(gap) == 1 else gap
    values = rng.uniform(low, high, size)
    if dtype.kind == "c":
        values = values + 1j * rng.uniform(low, high, size)
    return values.astype(dtype)


def random_sparse(
    format,
    shape,
    density=0.5,
    dtype="float64",
    *,
    gap=None,
    unsorted_indices=False,
    duplicates=False,
    explicit_zero=False,
    index_dtype="int32",
    rng=None,
):
    """Random SciPy sparse array, as ugly as asked for.

    Parameters
    ----------
    format : {"csr", "csc"}
    shape : tuple of int
    density : float
        Expected share of stored positions.
    dtype : str
    gap : tuple, optional
        ``(high,)`` or ``(low, high)`` of the values; by default [0, 1), and 0..49 for integers.
    unsorted_indices, duplicates, explicit_zero : bool
        Store indices in descending order, some positions twice, zeros.
    index_dtype : {"int32", "int64"}
    rng : int or numpy.random.Generator, optional

    Examples
    --------
    >>> from symsparse.testing import random_sparse
    >>> random_sparse("csc", (3, 4), rng=0).shape
    (3, 4)
    """
    rng = _generator(rng)
    n_major, n_minor = shape if format == "csr" else shape[::-1]
    slices = []
    for _ in range(n_major):
        indices = np.flatnonzero(rng.random(n_minor) < density)
        if duplicates and len(indices):
            indices = np.sort(np.concatenate([indices, rng.choice(indices, size=(len(indices) + 1) // 2)]))
        slices.append(indices[::-1] if unsorted_indices else indices)
    indices = np.concatenate([*slices, np.zeros(0, int)]).astype(index_dtype)
    indptr = np.concatenate([[0], np.cumsum([len(s) for s in slices])]).astype(index_dtype)
    values = _random_values(rng, len(indices), dtype, gap)
    if explicit_zero and len(values):
        values[rng.integers(len(values))] = 0
    return compressed(format, values, indices, indptr, tuple(shape))


def sparse_random_inputs(
    format, shape, n=1, out_dtype=None, p=0.5, gap=None, explicit_zero=False, unsorted_indices=False, rng=None
):
    """Symbolic sparse matrices and random values for them.

    Parameters
    ----------
    format : {"csr", "csc"}
    shape : tuple of int
    n : int
        How many.
    out_dtype : str, optional
        ``config.floatX`` by default.
    p : float
        Share of stored positions.
    gap : tuple, optional
        ``(high,)`` or ``(low, high)`` of the values.
    explicit_zero, unsorted_indices : bool
        Store a zero; store indices in descending order.
    rng : int or numpy.random.Generator, optional

    Returns
    -------
    variables : list of SparseVariable
    data : list of SciPy sparse arrays

    Examples
    --------
    >>> from symsparse.testing import sparse_random_inputs
    >>> (x,), (value,) = sparse_random_inputs("csr", (3, 4), rng=0)
    >>> x.format, value.shape
    ('csr', (3, 4))
    """
    if not 0 <= p <= 1:
        raise ValueError(f"sparse_random_inputs: the density p={p} is not between 0 and 1.")
    if gap is not None and len(gap) not in (1, 2):
        raise ValueError(f"sparse_random_inputs: gap={gap} is neither (high,) nor (low, high).")
    rng = _generator(rng)
    type = SparseTensorType(format, out_dtype or "floatX")
    ugly = {"gap": gap, "explicit_zero": explicit_zero, "unsorted_indices": unsorted_indices}
    data = [random_sparse(format, shape, p, type.dtype, rng=rng, **ugly) for _ in range(n)]
    return [type() for _ in range(n)], data


def verify_grad_sparse(op, pt_values, structured=False, *args, rng=None, **kwargs):
    """Check the gradient of a function of sparse and dense matrices against finite differences.

    Parameters
    ----------
    op : callable
        Takes symbolic matrices, returns one.
    pt_values : list of SciPy sparse matrices and NumPy arrays
        The point.
    structured : bool
        Move the stored values only (the pattern stays), instead of every position of each sparse input.
    *args, **kwargs
        For `pytensor.gradient.verify_grad`.

    Raises
    ------
    AssertionError or pytensor.gradient.GradientError
        If the gradient is wrong.

    Examples
    --------
    >>> import symsparse as ss
    >>> from symsparse.testing import random_sparse, verify_grad_sparse
    >>> verify_grad_sparse(ss.tanh, [random_sparse("csr", (3, 4), rng=0)], structured=True)
    """
    dense_point: list[Any] = []
    makers: list[Callable] = []
    for value in pt_values:
        if not sp.issparse(value):
            dense_point.append(np.asarray(value))
            makers.append(_itself)
        elif structured:
            dense_point.append(np.asarray(value.data))
            makers.append(functools.partial(_with_pattern, value))
        else:
            dense_point.append(value.toarray())
            makers.append(csr_from_dense if value.format == "csr" else csc_from_dense)

    def dense_op(*variables):
        out = op(*(make(v) for make, v in zip(makers, variables, strict=True)))
        if is_sparse(out):
            return csm_data(out) if structured else dense_from_sparse(out, structured=False)
        return out

    return verify_grad(dense_op, dense_point, *args, rng=rng or np.random.default_rng(0), **kwargs)


def _itself(v):
    return v


def _with_pattern(value, v):
    shape = pt.constant(np.array(value.shape, dtype="int64"))
    return CSM(value.format)(v, value.indices, value.indptr, shape)


def assert_same_matrix(actual, expected, **tolerance):
    """Fail unless two matrices, sparse or dense, hold the same numbers (NaN equals NaN)."""
    actual, expected = (x.toarray() if sp.issparse(x) else np.asarray(x) for x in (actual, expected))
    np.testing.assert_allclose(actual, expected, **{"rtol": 1e-9, "atol": 1e-11, **tolerance})


def assert_well_formed(value, type):
    """Fail unless a run-time value is exactly of a symbolic type: format, dtype, index dtype, shape, pattern."""
    assert value.__class__ is SCIPY_CLASSES[type.format], f"{value.__class__} is not the container of {type}"
    assert value.dtype == type.dtype, f"{value.dtype} values in {type}"
    assert value.indices.dtype == value.indptr.dtype == type.index_dtype, (
        f"{value.indices.dtype} indices in {type}"
    )
    assert type.admits(value.shape), f"shape {value.shape} in {type}"
    check_pattern(value.format, len(value.data), value.indices, value.indptr, value.shape)


def matrices(formats=tuple(sparse_formats), dtype="float64", max_size=6, elements=None):
    """Hypothesis strategy for legal SciPy sparse arrays: empty, unsorted, with duplicates and explicit zeros.

    Parameters
    ----------
    formats : sequence of {"csr", "csc"}
    dtype : str
    max_size : int
        Of each axis, and of the number of entries in a row (csr) or column (csc).
    elements : strategy, optional
        For the stored values.
    """
    from hypothesis import strategies as st

    values = elements or st.floats(-10, 10, width=32)

    @st.composite
    def draw_matrix(draw):
        format = draw(st.sampled_from(formats))
        n_major, n_minor = draw(st.integers(0, max_size)), draw(st.integers(0, max_size))
        minor = st.integers(0, max(n_minor - 1, 0))
        slices = [draw(st.lists(minor, max_size=max_size if n_minor else 0)) for _ in range(n_major)]
        indices = np.array([i for s in slices for i in s], dtype="int32")
        indptr = np.cumsum([0, *map(len, slices)]).astype("int32")
        data = np.array([draw(values) for _ in indices], dtype=dtype)
        shape = (n_major, n_minor) if format == "csr" else (n_minor, n_major)
        return compressed(format, data, indices, indptr, shape)

    return draw_matrix()


__all__ = [
    "assert_same_matrix",
    "assert_well_formed",
    "matrices",
    "random_sparse",
    "reference_mode",
    "sparse_random_inputs",
    "verify_grad_sparse",
]
