import numba
import numpy as np
import pytest
import scipy.sparse

from symsparse.kernels import arithmetic
from tests.kernels.patterns import (
    CANONICAL,
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
every_canonical = pytest.mark.parametrize("p", CANONICAL.values(), ids=CANONICAL.keys())
index_kinds = pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])


def partners(p):
    """Canonical patterns of the same shape: the same, an empty one, a full one, its complement, others."""
    empty = pattern([[]] * p.n_major, p.n_minor)
    full = pattern([range(p.n_minor)] * p.n_major, p.n_minor)
    rest = pattern([sorted(set(range(p.n_minor)) - set(row)) for row in p.rows], p.n_minor)
    return [p, empty, full, rest, *(random_pattern(p.shape, seed).canonical() for seed in (8, 9))]


def places(p):
    return {(r, c): k for r, c, k in p.entries}


def check_union(a, b, dtype="float64"):
    *found, a_place, b_place = call(arithmetic.union_pattern, *a.arrays, *b.arrays)
    union = pattern(
        [sorted({*i, *j}) for i, j in zip(a.rows, b.rows, strict=True)], a.n_minor, a.indices.dtype
    )
    assert_pattern(found, union)
    where = places(union)
    for p, place in ((a, a_place), (b, b_place)):
        assert_same(place, [where[r, c] for r, c, _ in p.entries], a.indices.dtype)
    x, y = (with_nonfinite(values(p.nnz, dtype, seed)) for seed, p in enumerate((a, b)))
    out = np.zeros(union.nnz, dtype)
    with np.errstate(invalid="ignore"):
        for v, place in ((x, a_place), (y, b_place)):
            out[place] += v
    assert_same(call(arithmetic.union_values, x, a_place, y, b_place, union.nnz), out, dtype)
    one_pass, *again = call(arithmetic.union, x, *a.arrays, y, *b.arrays)
    assert_pattern(again, union)
    assert_same(one_pass, out, dtype)


def check_intersection(a, b):
    *found, a_source, b_source = call(
        arithmetic.intersection_pattern, *a.arrays, *b.arrays, a.places, b.places
    )
    common = pattern(
        [sorted({*i} & {*j}) for i, j in zip(a.rows, b.rows, strict=True)], a.n_minor, a.indices.dtype
    )
    assert_pattern(found, common)
    for p, source in ((a, a_source), (b, b_source)):
        where = places(p)
        assert_same(source, [where[r, c] for r, c, _ in common.entries], a.indices.dtype)
    x, y = values(a.nnz, "complex64"), values(b.nnz, "float64", 1)
    *_, u, v = call(arithmetic.intersection_pattern, *a.arrays, *b.arrays, x, y)
    assert_same(u, x[a_source], "complex64")
    assert_same(v, y[b_source], "float64")


@every_canonical
def test_union_pattern(p):
    for other in partners(p):
        check_union(p, other)
        check_union(other, p)


@every_canonical
def test_intersection_pattern(p):
    for other in partners(p):
        check_intersection(p, other)
        check_intersection(other, p)


@index_kinds
def test_two_patterns_kinds(index, kind):
    a, b = (random_pattern((6, 9), seed).canonical().as_kind(index, kind) for seed in (10, 11))
    check_union(a, b, "complex64" if index == "int64" else "float32")
    check_intersection(a, b)


@pytest.mark.parametrize("name", ["one row", "no rows", "nothing stored"])
def test_two_patterns_need_as_many_rows(name):
    for a, b in ((RICH, CANONICAL[name]), (CANONICAL[name], RICH)):
        with pytest.raises(ValueError, match="shapes"):
            arithmetic.union_pattern(*a.arrays, *b.arrays)
        with pytest.raises(ValueError, match="shapes"):
            arithmetic.union(np.ones(a.nnz), *a.arrays, np.ones(b.nnz), *b.arrays)
        with pytest.raises(ValueError, match="shapes"):
            arithmetic.intersection_pattern(*a.arrays, *b.arrays, a.places, b.places)


def test_union_pattern_refuses_more_entries_than_its_indices_count():
    even, odd = (pattern([range(first, 127, 2)], 128, "int8") for first in (0, 1))
    check_union(even, odd)  # 127 entries
    two = pattern([range(100), range(27)], 127, "int8")
    for other in ([[], [27]], [range(100, 127), range(27, 127)]):  # 128 entries, and 254: as many as can be
        with pytest.raises(ValueError, match="index_dtype"):
            arithmetic.union_pattern(*two.arrays, *pattern(other, 127, "int8").arrays)
        other = pattern(other, 127, "int8")
        with pytest.raises(ValueError, match="index_dtype"):
            arithmetic.union(np.ones(two.nnz), *two.arrays, np.ones(other.nnz), *other.arrays)


def test_union_of_more_entries_than_its_indices_count_of_which_many_meet():
    a, b = (pattern([range(first, first + 100)], 128, "int8") for first in (0, 20))
    check_union(a, b)


@pytest.mark.parametrize(("n", "m", "per_row"), [(60_000, 500, 3), (500, 60_000, 400)], ids=["short", "long"])
def test_unions_on_threads_are_those_of_scipy(n, m, per_row):
    rng = np.random.default_rng(n)
    a, b = (
        scipy.sparse.random_array((n, m), density=per_row / m, rng=rng, format="csr", dtype="float64")
        for _ in range(2)
    )
    for x in (a, b):
        x.sort_indices()
    expected, before = a + b, numba.get_num_threads()
    try:
        for threads in range(1, before + 1):
            numba.set_num_threads(threads)
            found = arithmetic.union(a.data, a.indices, a.indptr, b.data, b.indices, b.indptr)
            for x, y in zip(found, (expected.data, expected.indices, expected.indptr), strict=True):
                assert_same(x, y, y.dtype)
    finally:
        numba.set_num_threads(before)


def test_unions_of_short_and_of_long_rows():
    """Merges with and without jumps."""
    for n, m in ((2000, 4), (30, 300)):
        check_union(random_pattern((n, m), 5).canonical(), random_pattern((n, m), 6).canonical())


def check_add(p, v, y):
    with np.errstate(invalid="ignore"):
        expected = p.dense(v) + y if p.nnz else np.broadcast_to(y, p.shape)
    assert_same(call(arithmetic.add_to_dense, v, *p.arrays, y, p.n_minor), expected, v.dtype)


@every_pattern
def test_add_to_dense(p):
    v = values(p.nnz, "float64")
    for shape in (p.shape, (1, p.n_minor), (p.n_major, 1), (1, 1)):
        check_add(p, v, values(shape, "float64"))
        check_add(p, v, with_nonfinite(values(shape, "float64")))
        check_add(p, with_nonfinite(v), values(shape, "float64"))


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("float64", "int32", "F"),
        ("float32", "int64", "read-only"),
        ("complex64", "int32", "strided"),
        ("bool", "int32", "C"),
        ("int8", "int32", "C"),
    ],
)
def test_add_to_dense_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    check_add(p, laid_out(values(p.nnz, dtype), kind), laid_out(values(p.shape, dtype), kind))


def test_add_to_dense_wraps_as_numpy_does():
    check_add(pattern([[0, 1]], 2), np.array([100, 1], "int8"), np.array([[100, 100]], "int8"))


@pytest.mark.parametrize(
    "shape", [(5, 6), (4, 7), (6, 7), (5, 8), (7, 5), (0, 7), (5, 0), (0, 0), (1, 6), (4, 1)]
)
def test_add_to_dense_needs_a_shape_that_fits(shape):
    with pytest.raises(ValueError, match="shapes"):
        arithmetic.add_to_dense(np.ones(RICH.nnz), *RICH.arrays, np.ones(shape), RICH.n_minor)
