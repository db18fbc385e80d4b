import numpy as np
import pytest

from symsparse.kernels import indexing
from tests.kernels.patterns import PATTERNS, RICH, assert_pattern, assert_same, call, laid_out, pattern

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
kinds = pytest.mark.parametrize(
    ("index", "kind", "rows_dtype"),
    [
        ("int64", "read-only", "int32"),
        ("int32", "strided", "int8"),
        ("int32", "C", "uint8"),
        ("int32", "C", "uint64"),
    ],
)


def selections(n):
    """Row numbers: none, all, backwards, repeated, counted from the end."""
    every = np.arange(n)
    return [
        every[:0],
        every,
        every[::-1].copy(),
        every - n,
        np.repeat(every, 3),
        (every * 7 % max(n, 1))[: n // 2],
    ]


def check_take(p, rows):
    *found, source = call(indexing.take_pattern, *p.arrays, rows)
    chosen = [p.rows[r] for r in rows.tolist()]
    assert_pattern(found, pattern(chosen, p.n_minor, p.indices.dtype))
    places = [k for r in rows.tolist() for k in range(p.nnz) if p.majors[k] == r % p.n_major]
    assert_same(source, places, p.indices.dtype)


@every_pattern
def test_take_pattern(p):
    for rows in selections(p.n_major):
        check_take(p, rows)


@kinds
def test_take_pattern_kinds(index, kind, rows_dtype):
    negative = [] if rows_dtype.startswith("u") else [-1, -5]
    check_take(RICH.as_kind(index, kind), laid_out(np.array([4, 0, 2, 0, *negative], rows_dtype), kind))


def check_place(p, rows, n):
    *found, source = call(indexing.place_pattern, *p.arrays, rows, n)
    slices = [[] for _ in range(n)]
    places = [[] for _ in range(n)]
    for r, row in enumerate(rows.tolist()):
        slices[row] += p.rows[r]
        places[row] += range(p.indptr[r], p.indptr[r + 1])
    assert_pattern(found, pattern(slices, p.n_minor, p.indices.dtype))
    assert_same(source, [k for row in places for k in row], p.indices.dtype)


@every_pattern
def test_place_pattern(p):
    n = p.n_major
    every = np.arange(n)
    for rows in (every, every[::-1].copy(), every - n, every // 2):
        check_place(p, rows, n)
    check_place(p, every * 2, 2 * n)
    check_place(p, every - n, 3 * n)
    if n:
        check_place(p, every * 0, 1)
    else:
        check_place(p, every, 4)


@kinds
def test_place_pattern_kinds(index, kind, rows_dtype):
    last = 5 if rows_dtype.startswith("u") else -1
    check_place(RICH.as_kind(index, kind), laid_out(np.array([4, 0, 2, 0, last], rows_dtype), kind), 6)


@pytest.mark.parametrize("name", PATTERNS)
def test_placing_what_a_permutation_took_brings_it_back(name):
    p = PATTERNS[name]
    rows = np.random.default_rng(0).permutation(p.n_major)
    indices, indptr, source = indexing.take_pattern(*p.arrays, rows)
    *found, back = indexing.place_pattern(indices, indptr, rows, p.n_major)
    assert_pattern(found, p)
    assert_same(source[back], np.arange(p.nnz), "int32")


@pytest.mark.parametrize("row", [5, -6, 100, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("place", [0, 2])
def test_a_row_outside_is_refused(row, place):
    rows = np.zeros(5, "int64")
    rows[place] = row
    with pytest.raises(IndexError, match="outside"):
        indexing.take_pattern(*RICH.arrays, rows)
    with pytest.raises(IndexError, match="outside"):
        indexing.place_pattern(*RICH.arrays, rows, 5)


@pytest.mark.parametrize("row", [5, 2**63, 2**64 - 1])
def test_an_unsigned_row_does_not_count_from_the_end(row):
    with pytest.raises(IndexError, match="outside"):
        indexing.take_pattern(*RICH.arrays, np.array([row], "uint64"))


def test_a_matrix_without_rows_has_none_to_choose():
    p = PATTERNS["no rows"]
    for row in (0, -1):
        with pytest.raises(IndexError, match="outside"):
            indexing.take_pattern(*p.arrays, np.array([row]))
        with pytest.raises(IndexError, match="outside"):
            indexing.place_pattern(*PATTERNS["one row"].arrays, np.array([row]), 0)


@pytest.mark.parametrize("size", [0, 4, 6])
def test_as_many_places_as_rows(size):
    with pytest.raises(ValueError, match="number of rows"):
        indexing.place_pattern(*RICH.arrays, np.zeros(size, "int64"), 5)


def test_take_pattern_refuses_more_entries_than_its_indices_count():
    p = pattern([range(64), range(63)], 64, "int8")
    check_take(p, np.array([0, 1]))
    for rows in ([0, 0], [0, 0, 0, 0]):  # 128 wraps to -128, 256 to 0
        with pytest.raises(ValueError, match="index_dtype"):
            indexing.take_pattern(*p.arrays, np.array(rows))
