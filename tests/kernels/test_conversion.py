import numpy as np
import pytest

from symsparse.kernels import conversion
from tests.kernels.patterns import (
    CANONICAL,
    PATTERNS,
    RICH,
    assert_pattern,
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
        ("int8", "int32", "C"),
    ],
)


@every_pattern
def test_densify(p):
    for v in (values(p.nnz, "float64"), with_nonfinite(values(p.nnz, "float64"))):
        assert_same(call(conversion.densify, v, *p.arrays, p.n_minor), p.dense(v), "float64")


@kinds
def test_densify_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    v = laid_out(values(p.nnz, dtype), kind)
    assert_same(call(conversion.densify, v, *p.arrays, p.n_minor), p.dense(v), dtype)


def check_diagonal(p, v, k):
    out = np.zeros(max(0, min(p.n_major + min(k, 0), p.n_minor - max(k, 0))), v.dtype)
    dense = p.dense(v)
    for i in range(len(out)):
        out[i] = dense[i + max(-k, 0), i + max(k, 0)]
    assert_same(call(conversion.diagonal, v, *p.arrays, p.n_minor, k), out, v.dtype)


@every_pattern
def test_diagonal(p):
    for v in (values(p.nnz, "float64"), with_nonfinite(values(p.nnz, "float64"))):
        for k in (0, 1, -2, p.n_minor, -p.n_major, 500, -500):
            check_diagonal(p, v, k)


@kinds
def test_diagonal_kinds(dtype, index, kind):
    p = pattern([[0, 2, 0], [0, 1, 1, 1], [2], [3, 0]], 3 + 1).as_kind(index, kind)
    check_diagonal(p, laid_out(np.ones(p.nnz, dtype), kind), 0)
    check_diagonal(p, laid_out(np.ones(p.nnz, dtype), kind), -1)


@pytest.mark.parametrize("n_minor", [2, 9])
def test_diagonal_of_a_matrix_that_is_not_square(n_minor):
    p = pattern([[0, 1], [1], [0], [1, 0]], n_minor)
    for k in (0, 1, -1, -3):
        check_diagonal(p, np.arange(1.0, 7.0), k)


def check_compress(dense, index):
    v, *found = call(conversion.compress, dense, np.empty(0, index))
    rows = [np.flatnonzero(row != 0).tolist() for row in dense]
    assert_pattern(found, pattern(rows, dense.shape[1], index))
    assert_same(v, dense[dense != 0], dense.dtype)


@every_pattern
def test_compress(p):
    for v in (values(p.nnz, "float64"), with_nonfinite(values(p.nnz, "float64"))):
        check_compress(p.dense(v), "int32")


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float64", "int32", "F"),
        ("float32", "int64", "read-only"),
        ("complex64", "int32", "strided"),
        ("bool", "int32", "C"),
        ("uint8", "int64", "C"),
    ],
)
def test_compress_kinds(dtype, index, kind):
    check_compress(laid_out(values((5, 7), dtype), kind), index)


def test_compress_drops_zeros_only():
    dense = np.array([[0.0, -0.0, np.nan], [np.inf, 5e-324, -np.inf]])
    assert_same(conversion.compress(dense, np.empty(0, "int32"))[1], [2, 0, 1, 2], "int32")
    dense = np.array([[0j, 1j, complex(0, np.nan)], [complex(-0.0, -0.0), 1, 2]])
    assert_same(conversion.compress(dense, np.empty(0, "int32"))[1], [1, 2, 1, 2], "int32")


@pytest.mark.parametrize("name", CANONICAL)
def test_compress_undoes_densify(name):
    p = CANONICAL[name]
    v, *found = conversion.compress(conversion.densify(np.ones(p.nnz), *p.arrays, p.n_minor), p.indices)
    assert_pattern(found, p)
    assert_same(v, np.ones(p.nnz), "float64")


def test_compress_refuses_more_entries_than_its_indices_count():
    few, many = np.ones((127, 1)), np.ones((128, 1))
    assert conversion.compress(few, np.empty(0, "int8"))[2][-1] == 127
    with pytest.raises(ValueError, match="index_dtype"):
        conversion.compress(many, np.empty(0, "int8"))
    with pytest.raises(ValueError, match="index_dtype"):
        conversion.compress(np.ones((64, 8)), np.empty(0, "int8"))  # 512 wraps to 0
