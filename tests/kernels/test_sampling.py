import time

import numpy as np
import pytest

from symsparse.kernels import sampling
from tests.kernels.patterns import (
    PATTERNS,
    RICH,
    assert_same,
    call,
    laid_out,
    pattern,
    random_pattern,
    values,
    with_nonfinite,
)

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())


@every_pattern
def test_gather_dense(p):
    dense = with_nonfinite(values(p.shape, "float64"))
    expected = dense[p.majors, p.indices]
    assert_same(call(sampling.gather_dense, dense, *p.arrays, p.n_minor), expected, "float64")


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float64", "int32", "F"),
        ("float32", "int64", "read-only"),
        ("complex64", "int32", "strided"),
        ("bool", "int32", "C"),
    ],
)
def test_gather_dense_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    dense = laid_out(values(p.shape, dtype), kind)
    assert_same(call(sampling.gather_dense, dense, *p.arrays, p.n_minor), dense[p.majors, p.indices], dtype)


@pytest.mark.parametrize("shape", [(5, 6), (4, 7), (6, 7), (5, 8), (7, 5), (1, 7), (5, 1), (1, 1), (0, 0)])
def test_gather_dense_needs_the_same_shape(shape):
    with pytest.raises(ValueError, match="shapes"):
        sampling.gather_dense(np.ones(shape), *RICH.arrays, RICH.n_minor)


def check_locate(x, g):
    where = {(r, c): k for r, c, k in g.entries}
    expected = [where.get((r, c), -1) for r, c, _ in x.entries]
    assert_same(call(sampling.locate, *x.arrays, *g.arrays), expected, x.indices.dtype)


@every_pattern
def test_locate(p):
    for x in (p, p.canonical(), random_pattern(p.shape, seed=5)):
        for g in (p, random_pattern(p.shape, seed=6), pattern([[]] * p.n_major, p.n_minor)):
            check_locate(x, g.canonical())


@pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])
def test_locate_kinds(index, kind):
    g = random_pattern(RICH.shape, seed=7).canonical()
    check_locate(RICH.as_kind(index, kind), g.as_kind(index, kind))


def test_locate_goes_back_in_a_row_for_what_comes_out_of_order():
    g = pattern([[1, 3, 5, 7], [0, 1], [2, 4]], 9)
    check_locate(pattern([[8, 1, 7, 0, 3, 3, 2, 8, 5], [1, 0, 8, 0], [2, 4, 2, 4, 0]], 9), g)


def test_locate_needs_as_many_rows():
    with pytest.raises(ValueError, match="shapes"):
        sampling.locate(*RICH.arrays, *PATTERNS["plain"].arrays)


def test_locate_in_a_long_row_out_of_order_is_not_quadratic():
    n = 400_000
    g, x = pattern([range(n)], n), pattern([np.random.default_rng(0).permutation(n).tolist()], n)
    sampling.locate(*RICH.arrays, *RICH.canonical().arrays)  # compiled before the clock starts
    start = time.perf_counter()
    out = sampling.locate(*x.arrays, *g.arrays)
    assert time.perf_counter() - start < 3  # a scan for each entry takes 15 s
    assert_same(out, x.indices, "int32")


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float64", "int32", "C"),
        ("complex64", "int64", "read-only"),
        ("bool", "int32", "strided"),
        ("uint8", "int32", "C"),
    ],
)
def test_take_or_zero(dtype, index, kind):
    v = laid_out(values(6, dtype) + np.ones(1, dtype), kind)
    for places in ([], [0, -1, 5, 5, -1, 2], [-1, -1]):
        expected = [v[k] if k >= 0 else 0 for k in places]
        assert_same(call(sampling.take_or_zero, v, laid_out(np.array(places, index), kind)), expected, dtype)


def test_take_or_zero_from_nothing():
    assert_same(sampling.take_or_zero(np.empty(0), np.array([-1, -1], "int32")), [0, 0], "float64")


def test_take_or_zero_brings_nonfinite_values():
    v = np.array([np.nan, np.inf, -np.inf])
    assert_same(
        sampling.take_or_zero(v, np.array([2, -1, 0, 1], "int32")), [-np.inf, 0, np.nan, np.inf], "float64"
    )


WIDTHS = (0, 1, 3, 17)
DENSE_KINDS = [
    ("float64", "int32", "F"),
    ("float64", "int32", "strided"),
    ("float32", "int64", "read-only"),
    ("complex128", "int32", "C"),
    ("int32", "int32", "C"),
]


def check_sddmm(p, a, b):
    with np.errstate(invalid="ignore"):
        expected = [
            sum((x * y for x, y in zip(a[r], b[c], strict=True)), a.dtype.type(0)) for r, c, _ in p.entries
        ]
    assert_same(call(sampling.sddmm, *p.arrays, a, b, p.n_minor), expected, a.dtype)


@every_pattern
def test_sddmm(p):
    for width in WIDTHS:
        a, b = (values((n, width), "float64", seed) for seed, n in enumerate(p.shape))
        check_sddmm(p, a, b)
        check_sddmm(p, with_nonfinite(a), b)
        check_sddmm(p, a, with_nonfinite(b))


@pytest.mark.parametrize(("dtype", "index", "kind"), DENSE_KINDS)
def test_sddmm_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    check_sddmm(p, *(laid_out(values((n, 3), dtype, seed), kind) for seed, n in enumerate(p.shape)))


def test_sddmm_of_a_row_major_and_a_column_major_matrix():
    a, b = (values((n, 3), "float64", seed) for seed, n in enumerate(RICH.shape))
    check_sddmm(RICH, a, laid_out(b, "F"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((4, 3), (7, 3)),
        ((6, 3), (7, 3)),
        ((5, 3), (6, 3)),
        ((5, 3), (8, 3)),
        ((5, 3), (7, 2)),
        ((5, 0), (7, 3)),
    ],
)
def test_sddmm_needs_shapes_that_fit(a, b):
    with pytest.raises(ValueError, match="shapes"):
        sampling.sddmm(*RICH.arrays, np.ones(a), np.ones(b), RICH.n_minor)


def sampled_products(p, a, b):
    """The product at the entries of p, where what is not stored multiplies nothing; factors are dense or a pair."""

    def entries(factor, row, other):
        if isinstance(factor, tuple):
            q, v = factor
            return [(c, v[k]) for r, c, k in q.entries if r == row]
        return [(c, factor[row, c]) for c in other]

    out = np.zeros(p.nnz)
    for r, c, k in p.entries:
        stored = [{i for i, _ in entries(f, row, ())} for f, row in ((a, r), (b, c)) if isinstance(f, tuple)]
        common = set.intersection(*stored)
        for i in common:
            left = sum(v for j, v in entries(a, r, common) if j == i)
            out[k] += sum(left * v for j, v in entries(b, c, common) if j == i)
    return out


@pytest.mark.parametrize("name", PATTERNS)
def test_products_sampled(name):
    p, n_inner = PATTERNS[name], 6
    left, right = (random_pattern((n, n_inner), seed=n) for n in (p.n_major, p.n_minor))
    a, b = (left, values(left.nnz, "float64")), (right, values(right.nnz, "float64", seed=1))
    a_dense, b_dense = (values((n, n_inner), "float64", seed=2) for n in (p.n_major, p.n_minor))
    with np.errstate(invalid="ignore"):
        for u in (a, (left, with_nonfinite(a[1]))):
            found = call(
                sampling.sample_sparse_sparse,
                *p.arrays,
                p.n_minor,
                u[1],
                *left.arrays,
                b[1],
                *right.arrays,
                n_inner,
                n_inner,
            )
            assert_same(found, sampled_products(p, u, b), "float64")
            found = call(
                sampling.sample_sparse_dense,
                *p.arrays,
                p.n_minor,
                u[1],
                *left.arrays,
                b_dense,
                n_inner,
                n_inner,
            )
            assert_same(found, sampled_products(p, u, b_dense), "float64")
        found = call(
            sampling.sample_dense_sparse, *p.arrays, p.n_minor, a_dense, b[1], *right.arrays, n_inner, n_inner
        )
        assert_same(found, sampled_products(p, a_dense, b), "float64")


def test_sampled_products_that_do_not_fit():
    p, wide = random_pattern((4, 3), seed=0), random_pattern((5, 6), seed=1)
    v = np.ones(wide.nnz)
    with pytest.raises(ValueError, match=r"do not fit: \(5, 5\) of the product and \(4, 3\) of the pattern"):
        sampling.sample_sparse_sparse(*p.arrays, 3, v, *wide.arrays, v, *wide.arrays, 6, 6)
    with pytest.raises(ValueError, match=r"do not fit: \(5, 3\) of the product"):
        sampling.sample_sparse_dense(*p.arrays, 3, v, *wide.arrays, np.ones((3, 6)), 6, 6)
    with pytest.raises(ValueError, match=r"do not fit: \(4, 5\) of the product"):
        sampling.sample_dense_sparse(*p.arrays, 3, np.ones((4, 6)), v, *wide.arrays, 6, 6)
    q = random_pattern((5, 5), seed=2)
    inner = r"inner sizes 6 and 7 differ"  # of two sparse ones, only the sizes say so
    with pytest.raises(ValueError, match=inner):
        sampling.sample_sparse_sparse(*q.arrays, 5, v, *wide.arrays, v, *wide.arrays, 6, 7)
    with pytest.raises(ValueError, match=inner):
        sampling.sample_sparse_dense(*q.arrays, 5, v, *wide.arrays, np.ones((5, 7)), 6, 7)
    with pytest.raises(ValueError, match=inner):
        sampling.sample_dense_sparse(*q.arrays, 5, np.ones((5, 6)), v, *wide.arrays, 6, 7)
