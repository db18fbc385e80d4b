"""Products of two compressed matrices: against sums in Python, against SciPy, one thread against several."""

import numba
import numpy as np
import pytest
import scipy.sparse as sp

from symsparse.kernels import spgemm
from tests.kernels.patterns import (
    PATTERNS,
    RICH,
    assert_pattern,
    assert_same,
    call,
    laid_out,
    pattern,
    random_pattern,
    values,
    with_nonfinite,
)

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())


def check_product(a, u, b, v):
    found = call(spgemm.product_pattern, *a.arrays, *b.arrays, a.n_minor, b.n_minor)
    rows = [sorted({c for i in row for c in b.rows[i]}) for row in a.rows]
    expected = pattern(rows, b.n_minor, a.indices.dtype)
    assert_pattern(found, expected)
    out = call(spgemm.product_values, u, *a.arrays, v, *b.arrays, *found, b.n_minor)
    total = dict.fromkeys(((r, c) for r, c, _ in expected.entries), u.dtype.type(0))
    with np.errstate(invalid="ignore", over="ignore"):
        for r, i, k in a.entries:
            for m in range(b.indptr[i], b.indptr[i + 1]):
                total[r, int(b.indices[m])] += u[k] * v[m]
    assert_same(out, list(total.values()), u.dtype)
    one_pass, *again = call(spgemm.product, u, *a.arrays, v, *b.arrays, a.n_minor, b.n_minor)
    assert_pattern(again, expected)
    assert_same(one_pass, out, u.dtype)


@every_pattern
def test_sparse_product(p):
    for n_minor in (0, 1, 6):
        b = random_pattern((p.n_minor, n_minor), seed=12)
        u, v = values(p.nnz, "float64"), values(b.nnz, "float64", seed=1)
        check_product(p, u, b, v)
        check_product(p, with_nonfinite(u), b, v)
        check_product(p, u, b, with_nonfinite(v))
        check_product(p.canonical(), u[: p.canonical().nnz], b.canonical(), v[: b.canonical().nnz])


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float32", "int64", "read-only"),
        ("complex64", "int32", "strided"),
        ("uint8", "int32", "C"),
    ],
)
def test_sparse_product_kinds(dtype, index, kind):
    a, b = RICH.as_kind(index, kind), random_pattern((7, 6), seed=13).as_kind(index, kind)
    check_product(a, *(laid_out(values(a.nnz, dtype), kind), b, laid_out(values(b.nnz, dtype, seed=1), kind)))


def test_sparse_product_keeps_sums_that_cancel():
    a, b = pattern([[0, 1]], 2), pattern([[0], [0]], 1)
    check_product(a, np.array([1.0, -1.0]), b, np.array([2.0, 2.0]))


@pytest.mark.parametrize("n_inner", [6, 8, 0])
def test_sparse_product_inner_sizes_must_agree(n_inner):
    b = random_pattern((7, 4), seed=14)
    with pytest.raises(ValueError, match="inner sizes"):
        spgemm.product_pattern(*RICH.arrays, *b.arrays, n_inner, 4)


def test_sparse_product_refuses_more_entries_than_its_indices_count():
    def square(n, repeats):
        a, b = pattern([[0]] * repeats, 1, "int8"), pattern([range(n)], n, "int8")
        found = spgemm.product_pattern(*a.arrays, *b.arrays, 1, n)
        spgemm.product(np.ones(a.nnz), *a.arrays, np.ones(b.nnz), *b.arrays, 1, n)
        return found

    assert_pattern(square(127, 1), pattern([range(127)], 127, "int8"))
    for n, repeats in ((64, 2), (64, 4)):  # 128 wraps to -128, 256 to 0
        with pytest.raises(ValueError, match="index_dtype"):
            square(n, repeats)


def test_a_row_with_every_column_comes_sorted():
    n = 400_000
    a, b = pattern([[0, 1]], 2), pattern([range(n - 1, 0, -1), [0]], n)
    assert_pattern(spgemm.product_pattern(*a.arrays, *b.arrays, 2, n), pattern([range(n)], n))


def csr(n, m, per_row, seed, heavy=0):
    """Rows of different length, some empty, the first `heavy` ones with very many entries; whole numbers."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 2 * per_row, n)
    lengths[:heavy] = m // 2
    rows = np.repeat(np.arange(n), lengths)
    x = sp.csr_array((np.ones(len(rows)), (rows, rng.integers(0, m, len(rows)))), shape=(n, m))
    x.data = rng.integers(1, 5, x.nnz).astype("float64")  # no sums of zero, which SciPy drops
    x.indices, x.indptr = x.indices.astype("int32"), x.indptr.astype("int32")
    return x


# Several runs of each thread, a row that is longer than a run, and results that grow faster than foreseen.
LARGE = {
    "uniform": lambda: (csr(3000, 2000, 15, 1), csr(2000, 9000, 15, 2)),
    "a heavy row at the end": lambda: (csr(2000, 3000, 9, 3, heavy=2)[::-1], csr(3000, 90_000, 60, 4)),
    "many products of few entries": lambda: (csr(500, 4000, 200, 5), csr(4000, 40, 9, 6)),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_products(name):
    a, b = (sp.csr_array(x) for x in LARGE[name]())
    for x in (a, b):
        x.sort_indices()
    expected = a @ b
    expected.sort_indices()
    arguments = a.data, a.indices, a.indptr, b.data, b.indices, b.indptr
    before = numba.get_num_threads()
    try:
        for threads in range(1, before + 1):
            numba.set_num_threads(threads)
            found, indices, indptr = spgemm.product(*arguments, a.shape[1], b.shape[1])
            assert_same(indices, expected.indices, "int32")
            assert_same(indptr, expected.indptr, "int32")
            assert_same(found, expected.data, "float64")  # whole numbers: exact in every order
            assert_same(
                spgemm.product_values(*arguments, indices, indptr, b.shape[1]), expected.data, "float64"
            )
    finally:
        numba.set_num_threads(before)
