import numpy as np
import pytest

from symsparse.kernels import reduction
from tests.kernels.patterns import (
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
