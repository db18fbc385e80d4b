import numpy as np
import pytest

from symsparse.kernels import matmul
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
WIDTHS = (0, 1, 3, 17)
DENSE_KINDS = [
    ("float64", "int32", "F"),
    ("float64", "int32", "strided"),
    ("float32", "int64", "read-only"),
    ("complex128", "int32", "C"),
    ("int32", "int32", "C"),
]
VECTOR_KINDS = [*DENSE_KINDS[1:], ("uint8", "int32", "C")]


def times(p, v, x, over_minor):
    """The product as the sum over the stored entries: what is not stored multiplies nothing, not even NaN."""
    out = np.zeros((p.shape[not over_minor], *x.shape[1:]), dtype=v.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for r, c, k in p.entries:
            to, of = (r, c) if over_minor else (c, r)
            out[to] += v[k] * x[of]
    return out


def check_dot(p, v, x, over_minor):
    kernels = [matmul.scatter_vector, matmul.scatter_matrix, matmul.gather_vector, matmul.gather_matrix]
    kernel = kernels[2 * over_minor + (x.ndim == 2)]
    assert_same(call(kernel, v, *p.arrays, x, p.n_minor), times(p, v, x, over_minor), v.dtype)


over_minor = pytest.mark.parametrize("over_minor", [True, False], ids=["gather", "scatter"])


@over_minor
@every_pattern
def test_dense_vector(p, over_minor):
    v, x = values(p.nnz, "float64"), values(p.shape[over_minor], "float64", seed=1)
    check_dot(p, v, x, over_minor)
    check_dot(p, with_nonfinite(v), x, over_minor)
    check_dot(p, v, with_nonfinite(x), over_minor)


@over_minor
@every_pattern
def test_dense_matrix(p, over_minor):
    v = values(p.nnz, "float64")
    for width in WIDTHS:
        x = values((p.shape[over_minor], width), "float64", seed=1)
        check_dot(p, v, x, over_minor)
        check_dot(p, with_nonfinite(v), x, over_minor)
        check_dot(p, v, with_nonfinite(x), over_minor)


@over_minor
@pytest.mark.parametrize(("dtype", "index", "kind"), VECTOR_KINDS)
def test_dense_vector_kinds(dtype, index, kind, over_minor):
    p = RICH.as_kind(index, kind)
    v, x = (laid_out(values(n, dtype, seed=n), kind) for n in (p.nnz, p.shape[over_minor]))
    check_dot(p, v, x, over_minor)


@over_minor
@pytest.mark.parametrize(("dtype", "index", "kind"), DENSE_KINDS)
def test_dense_matrix_kinds(dtype, index, kind, over_minor):
    p = RICH.as_kind(index, kind)
    v, x = (laid_out(values(n, dtype, seed=1), kind) for n in (p.nnz, (p.shape[over_minor], 3)))
    check_dot(p, v, x, over_minor)


def test_integer_products_wrap_as_numpy_does():
    p = pattern([[0, 1, 1], [1]], 2)
    v, x = np.array([100, 100, 3, 7], "uint8"), np.array([3, 2], "uint8")
    for over_minor in (True, False):
        check_dot(p, v, x, over_minor)


def test_large_integers_stay_exact():
    p = pattern([[0, 1]], 2)
    for over_minor in (True, False):
        check_dot(p, np.array([2**53 + 1, 2]), np.array([1, 2**40])[: 1 + over_minor], over_minor)


@pytest.mark.parametrize("name", ["unsorted duplicates", "no rows", "no columns", "nothing stored"])
@pytest.mark.parametrize("excess", [-1, 1])
def test_inner_sizes_must_agree(name, excess):
    p = PATTERNS[name]
    v = np.ones(p.nnz)
    wrong_minor, wrong_major = ((size + excess) % 20 for size in (p.n_minor, p.n_major))
    with pytest.raises(ValueError, match="inner sizes"):
        matmul.gather_vector(v, *p.arrays, np.ones(wrong_minor), p.n_minor)
    with pytest.raises(ValueError, match="inner sizes"):
        matmul.gather_matrix(v, *p.arrays, np.ones((wrong_minor, 3)), p.n_minor)
    with pytest.raises(ValueError, match="inner sizes"):
        matmul.scatter_vector(v, *p.arrays, np.ones(wrong_major), p.n_minor)
    with pytest.raises(ValueError, match="inner sizes"):
        matmul.scatter_matrix(v, *p.arrays, np.ones((wrong_major, 3)), p.n_minor)


@over_minor
@pytest.mark.parametrize("name", ["unsorted duplicates", "no rows", "no columns", "nothing stored"])
def test_added_product(name, over_minor):
    p = PATTERNS[name]
    v = values(p.nnz, "float64")
    kernels = [matmul.usmm_scatter_vector, matmul.usmm_scatter_matrix]
    if over_minor:
        kernels = [matmul.usmm_gather_vector, matmul.usmm_gather_matrix]
    for kernel, widths in zip(kernels, ((), (3,)), strict=True):
        x = values((p.shape[over_minor], *widths), "float64", seed=1)
        z = values((p.shape[not over_minor], *widths), "float64", seed=2)
        product = times(p, v, x, over_minor)
        for alpha in (0.5, np.inf, np.nan):
            before = z.copy()
            with np.errstate(invalid="ignore"):
                expected = z + alpha * product
            assert_same(kernel(alpha, v, *p.arrays, x, z, p.n_minor, False), expected, "float64")
            np.testing.assert_array_equal(z, before)
            found = kernel(alpha, v, *p.arrays, x, before, p.n_minor, True)
            assert_same(found, expected, "float64")
            assert found.size == 0 or np.shares_memory(found, before)
        with pytest.raises(ValueError, match="inner sizes"):
            kernel(1.0, v, *p.arrays, np.ones((len(x) + 1, *widths)), z, p.n_minor, False)
        with pytest.raises(ValueError, match="differ in shape"):
            kernel(1.0, v, *p.arrays, x, np.ones((len(z) + 1, *widths)), p.n_minor, False)
