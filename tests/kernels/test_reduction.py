import numpy as np
import pytest

from symsparse.kernels import reduction
from tests.kernels.patterns import (
    CANONICAL,
    PATTERNS,
    RICH,
    assert_same,
    call,
    laid_out,
    pattern,
    values,
    with_nonfinite,
)

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
kinds = pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float32", "int64", "read-only"),
        ("complex128", "int32", "strided"),
        ("bool", "int32", "C"),
        ("uint8", "int32", "C"),
    ],
)


def check_sums(p, v):
    dense = p.dense(v)
    with np.errstate(invalid="ignore"):
        by_major, by_minor = (dense.sum(axis, dtype=v.dtype) for axis in (1, 0))
    assert_same(call(reduction.sum_major, v, p.indptr), by_major, v.dtype)
    assert_same(call(reduction.sum_minor, v, p.indices, p.n_minor), by_minor, v.dtype)


@every_pattern
def test_sums(p):
    check_sums(p, values(p.nnz, "float64"))
    check_sums(p, with_nonfinite(values(p.nnz, "float64")))


@kinds
def test_sums_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    check_sums(p, laid_out(values(p.nnz, dtype), kind))


def test_sums_wrap_as_numpy_does():
    check_sums(pattern([[1, 0, 1], [1]], 2), np.array([100, 100, 99, 1], "int8"))


def test_integer_sums_stay_exact():
    v = np.array([2**62, 1, -(2**62), 2**53 + 1])
    check_sums(pattern([[0, 1, 0, 1]], 2), v)


canonical_patterns = pytest.mark.parametrize("p", CANONICAL.values(), ids=CANONICAL.keys())


def check_extremes(p, v):
    """Against NumPy on the dense form: zeros that are not stored take part, NaN wins, no entries are an error."""
    dense = p.dense(v)
    for largest, reduce in ((True, np.max), (False, np.min)):
        for axis, kernel, args in (
            (None, reduction.extreme_all, p.shape),
            (1, reduction.extreme_major, (p.indptr, p.n_minor)),
            (0, reduction.extreme_minor, (p.indices, *p.shape)),
        ):
            if dense.size == 0 if axis is None else dense.shape[axis] == 0:
                with pytest.raises(ValueError, match="zero-size"):
                    kernel(v, *args, largest)
            else:
                expected = np.atleast_1d(reduce(dense, axis=axis))
                assert_same(call(kernel, v, *args, largest), expected, v.dtype)


@canonical_patterns
def test_extremes(p):
    v = values(p.nnz, "float64")
    check_extremes(p, v)
    check_extremes(p, v - 5)  # all negative: zero is the largest unless every position is stored
    check_extremes(p, v + 5)
    check_extremes(p, with_nonfinite(v))


@pytest.mark.parametrize("nan_at", [0, 1, 2])
def test_nan_wins_wherever_it_stands(nan_at):
    v = np.array([1.0, 2.0, 3.0])
    v[nan_at] = np.nan
    check_extremes(pattern([[0, 1, 2]], 3), v)
    check_extremes(pattern([[0], [0], [0]], 1), v)


@kinds
def test_extremes_kinds(dtype, index, kind):
    if dtype != "complex128":  # no order
        p = RICH.canonical().as_kind(index, kind)
        check_extremes(p, laid_out(values(p.nnz, dtype), kind))
        check_extremes(p, laid_out(np.ones(p.nnz, dtype), kind))
