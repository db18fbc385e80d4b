import numpy as np
import pytest

from symsparse.kernels import layout
from tests.kernels.patterns import (
    CANONICAL,
    PATTERNS,
    RICH,
    assert_pattern,
    assert_same,
    call,
    is_canonical,
    laid_out,
    pattern,
    random_pattern,
    values,
    with_nonfinite,
)

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
index_kinds = pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])


@every_pattern
def test_is_canonical(p):
    assert layout.is_canonical(*p.arrays) is is_canonical(p)
    assert layout.is_canonical(*p.canonical().arrays) is True


def check_sorted(p):
    indices, order = call(layout.sort_pattern, *p.arrays)
    expected = [
        k
        for a, b in zip(p.indptr[:-1], p.indptr[1:], strict=True)
        for k in sorted(range(a, b), key=p.indices.item)
    ]
    assert_same(order, expected, p.indices.dtype)
    assert_same(indices, p.indices[expected], p.indices.dtype)


@every_pattern
def test_sort_pattern(p):
    check_sorted(p)


@index_kinds
def test_sort_pattern_kinds(index, kind):
    check_sorted(RICH.as_kind(index, kind))


def check_canonical(p):
    # Where the inputs are read-only, so is the type of what may be one of them.
    writeable = p.indices.flags.writeable
    indices, indptr, place = call(layout.canonical_pattern, *p.arrays, False, writeable=writeable)
    expected = p.canonical()
    assert_pattern((indices, indptr), expected)
    where = {(r, c): k for r, c, k in expected.entries}
    assert_same(place, [where[r, c] for r, c, _ in p.entries], p.indices.dtype)


@every_pattern
def test_canonical_pattern(p):
    check_canonical(p)
    check_canonical(p.canonical())


@index_kinds
def test_canonical_pattern_kinds(index, kind):
    check_canonical(RICH.as_kind(index, kind))


@pytest.mark.parametrize("kind", ["C", "read-only", "strided"])
def test_canonical_pattern_returns_what_is_canonical(kind):
    p = CANONICAL["plain"].as_kind("int64" if kind == "read-only" else "int32", kind)
    indices, indptr, place = layout.canonical_pattern(*p.arrays, True)
    assert_pattern((indices, indptr), p)
    assert np.shares_memory(indices, p.indices)
    assert np.shares_memory(indptr, p.indptr)
    assert_same(place, [], p.indices.dtype)


def check_sum(p, v):
    indices, indptr, place = layout.canonical_pattern(*p.arrays, False)
    out = call(layout.sum_into, v, place, indptr, writeable=v.flags.writeable)
    assert len(out) == len(indices)
    assert_same(p.canonical().dense(out), p.dense(v), v.dtype)


@every_pattern
def test_sum_into(p):
    check_sum(p, values(p.nnz, "float64"))
    check_sum(p, with_nonfinite(values(p.nnz, "float64")))


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("bool", "int32", "C"),
        ("int8", "int32", "C"),
        ("complex64", "int32", "strided"),
        ("float32", "int64", "read-only"),
    ],
)
def test_sum_into_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    check_sum(p, laid_out(values(p.nnz, dtype), kind))


def test_sum_into_wraps_as_numpy_does():
    p = pattern([[1, 1, 0]], 2)
    check_sum(p, np.array([100, 100, 3], "int8"))


@pytest.mark.parametrize("kind", ["C", "read-only"])
def test_sum_into_returns_the_values_where_nothing_moved(kind):
    p = CANONICAL["plain"]
    v = laid_out(values(p.nnz, "float64"), kind)
    out = layout.sum_into(v, np.empty(0, "int32"), p.indptr)
    assert_same(out, v, "float64")
    assert np.shares_memory(out, v)


def check_transpose(p):
    indices, indptr, order = call(layout.transpose_pattern, *p.arrays, p.n_minor, p.places)
    expected = np.argsort(p.indices, kind="stable")
    assert_same(order, expected, p.indices.dtype)
    assert_same(indices, p.majors[expected], p.indices.dtype)
    assert_same(indptr, [np.sum(p.indices < c) for c in range(p.n_minor + 1)], p.indptr.dtype)


@every_pattern
def test_transpose_pattern(p):
    check_transpose(p)


@index_kinds
def test_transpose_pattern_kinds(index, kind):
    check_transpose(RICH.as_kind(index, kind))


@every_pattern
def test_values_are_taken_along_as_places_are(p):
    v = values(p.nnz, "float32")
    assert_same(layout.positions(p.indices), p.places, "int32")
    *_, order = layout.transpose_pattern(*p.arrays, p.n_minor, p.places)
    assert_same(call(layout.transpose_pattern, *p.arrays, p.n_minor, v)[2], v[order], "float32")
    assert_same(call(layout.nonzero_pattern, v, *p.arrays, v)[2], v[v != 0], "float32")


@every_pattern
def test_two_transposes_sort(p):
    indices, indptr, first = layout.transpose_pattern(*p.arrays, p.n_minor, p.places)
    indices, indptr, second = layout.transpose_pattern(indices, indptr, p.n_major, p.places)
    sorted_indices, order = layout.sort_pattern(*p.arrays)
    assert_same(indices, sorted_indices, "int32")
    assert_same(indptr, p.indptr, "int32")
    assert_same(first[second], order, "int32")


def check_nonzero(p, v):
    indices, indptr, kept = call(layout.nonzero_pattern, v, *p.arrays, p.places)
    expected = pattern([[] for _ in range(p.n_major)], p.n_minor).rows
    for r, c, k in p.entries:
        if v[k] != 0:
            expected[r].append(c)
    assert_pattern((indices, indptr), pattern(expected, p.n_minor, p.indices.dtype))
    assert_same(kept, np.flatnonzero(v), p.indices.dtype)


@every_pattern
def test_nonzero_pattern(p):
    check_nonzero(p, values(p.nnz, "float64"))
    check_nonzero(p, np.zeros(p.nnz))
    check_nonzero(p, np.ones(p.nnz))
    check_nonzero(p, with_nonfinite(values(p.nnz, "float64")))
    check_nonzero(p, np.full(p.nnz, -0.0))


@pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [
        ("bool", "int32", "C"),
        ("uint8", "int32", "C"),
        ("complex128", "int32", "strided"),
        ("float32", "int64", "read-only"),
    ],
)
def test_nonzero_pattern_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    check_nonzero(p, laid_out(values(p.nnz, dtype), kind))


def test_nonzero_pattern_keeps_numbers_with_one_zero_part():
    p = pattern([[0, 1, 2, 3]], 4)
    v = np.array([0j, 1j, 1, complex(0, np.nan)])
    assert_same(layout.nonzero_pattern(v, *p.arrays, p.places)[2], [1, 2, 3], "int32")


VECTOR_KINDS = pytest.mark.parametrize(
    ("dtype", "index", "kind"),
    [("bool", "int32", "C"), ("complex64", "int32", "strided"), ("int64", "int64", "read-only")],
)


@every_pattern
def test_repeat_major(p):
    v = with_nonfinite(values(p.n_major, "float64"))
    assert_same(call(layout.repeat_major, v, p.indptr), v[p.majors], "float64")


@VECTOR_KINDS
def test_repeat_major_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    v = laid_out(values(p.n_major, dtype), kind)
    assert_same(call(layout.repeat_major, v, p.indptr), v[p.majors], dtype)


@every_pattern
def test_take_minor(p):
    v = with_nonfinite(values(p.n_minor, "float64"))
    assert_same(call(layout.take_minor, v, p.indices, p.n_minor), v[p.indices], "float64")


@VECTOR_KINDS
def test_take_minor_kinds(dtype, index, kind):
    p = RICH.as_kind(index, kind)
    v = laid_out(values(p.n_minor, dtype), kind)
    assert_same(call(layout.take_minor, v, p.indices, p.n_minor), v[p.indices], dtype)


@pytest.mark.parametrize("excess", [-1, 1, 5])
@pytest.mark.parametrize("name", ["plain", "one row", "no columns", "no rows"])
def test_vectors_of_a_wrong_size(name, excess):
    p = PATTERNS[name]
    n, m = (max(0, size + excess) or 7 for size in (p.n_major, p.n_minor))
    with pytest.raises(ValueError, match=f"one element per row .* has {n} for {p.n_major}$"):
        layout.repeat_major(np.ones(n), p.indptr)
    with pytest.raises(ValueError, match=f"one element per column .* has {m} for {p.n_minor}$"):
        layout.take_minor(np.ones(m), p.indices, p.n_minor)


def test_long_rows_are_sorted_stably():
    p = random_pattern((3, 20), seed=4, density=60)
    assert np.diff(p.indptr).max() > 500
    check_sorted(p)
