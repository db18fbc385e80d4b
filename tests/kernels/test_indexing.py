import numpy as np
import pytest

from symsparse.kernels import indexing
from tests.kernels.patterns import (
    PATTERNS,
    RICH,
    Pattern,
    assert_pattern,
    assert_same,
    call,
    is_canonical,
    laid_out,
    pattern,
    values,
)

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
    *found, source = call(indexing.take_pattern, *p.arrays, rows, p.places)
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
    *found, source = call(indexing.place_pattern, *p.arrays, rows, n, p.places)
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
    indices, indptr, source = indexing.take_pattern(*p.arrays, rows, p.places)
    *found, back = indexing.place_pattern(indices, indptr, rows, p.n_major, p.places)
    assert_pattern(found, p)
    assert_same(source[back], np.arange(p.nnz), "int32")


@pytest.mark.parametrize("row", [5, -6, 100, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("place", [0, 2])
def test_a_row_outside_is_refused(row, place):
    rows = np.zeros(5, "int64")
    rows[place] = row
    with pytest.raises(IndexError, match="outside"):
        indexing.take_pattern(*RICH.arrays, rows, RICH.places)
    with pytest.raises(IndexError, match="outside"):
        indexing.place_pattern(*RICH.arrays, rows, 5, RICH.places)


@pytest.mark.parametrize("row", [5, 2**63, 2**64 - 1])
def test_an_unsigned_row_does_not_count_from_the_end(row):
    with pytest.raises(IndexError, match="outside"):
        indexing.take_pattern(*RICH.arrays, np.array([row], "uint64"), RICH.places)


def test_a_matrix_without_rows_has_none_to_choose():
    p = PATTERNS["no rows"]
    for row in (0, -1):
        with pytest.raises(IndexError, match="outside"):
            indexing.take_pattern(*p.arrays, np.array([row]), p.places)
        one = PATTERNS["one row"]
        with pytest.raises(IndexError, match="outside"):
            indexing.place_pattern(*one.arrays, np.array([row]), 0, one.places)


@pytest.mark.parametrize("size", [0, 4, 6])
def test_as_many_places_as_rows(size):
    with pytest.raises(ValueError, match="numbers of rows"):
        indexing.place_pattern(*RICH.arrays, np.zeros(size, "int64"), 5, RICH.places)


def test_take_pattern_refuses_more_entries_than_its_indices_count():
    p = pattern([range(64), range(63)], 64, "int8")
    check_take(p, np.array([0, 1]))
    for rows in ([0, 0], [0, 0, 0, 0]):  # 128 wraps to -128, 256 to 0
        with pytest.raises(ValueError, match="index_dtype"):
            indexing.take_pattern(*p.arrays, np.array(rows), p.places)


def slices(n):
    """Ranges that slices of n give: all, none, every other one, backwards, cut off."""
    keys = [
        slice(None),
        slice(0, 0),
        slice(1, None),
        slice(None, -1),
        slice(None, None, 2),
        slice(None, None, -1),
    ]
    return [range(n)[key] for key in (*keys, slice(-2, None, -2), slice(1, 4, 2), slice(None, None, 7))]


@every_pattern
def test_slice_pattern(p):
    for chosen in slices(p.n_major):
        *found, source = call(
            indexing.slice_pattern, *p.arrays, chosen.start, len(chosen), chosen.step, p.places
        )
        assert_pattern(found, pattern([p.rows[r] for r in chosen], p.n_minor))
        assert_same(source, [k for r in chosen for k in range(p.indptr[r], p.indptr[r + 1])], "int32")


def check_minor(found, p, chosen):
    """Each slice holds the new places of its entries in the order of theirs, or backwards."""
    *found, source = found
    backwards = isinstance(chosen, range) and chosen.step < 0
    rows, places = [], []
    for r in range(p.n_major):
        entries = range(p.indptr[r], p.indptr[r + 1])
        for_row = [
            (at, k)
            for k in (reversed(entries) if backwards else entries)
            for at, c in enumerate(chosen)
            if c % p.n_minor == p.indices[k]
        ]
        rows.append([at for at, _ in for_row])
        places += [k for _, k in for_row]
    assert_pattern(found, pattern(rows, len(chosen), p.indices.dtype))
    assert_same(source, places, p.indices.dtype)


@every_pattern
def test_slice_minor(p):
    for chosen in slices(p.n_minor):
        found = call(indexing.slice_minor, *p.arrays, chosen.start, len(chosen), chosen.step, p.places)
        check_minor(found, p, chosen)


@every_pattern
def test_slices_keep_canonical_patterns_canonical(p):
    p = p.canonical()
    for chosen in slices(p.n_minor):
        indices, indptr, _ = indexing.slice_minor(*p.arrays, chosen.start, len(chosen), chosen.step, p.places)
        assert is_canonical(Pattern(indices, indptr, len(chosen)))


@every_pattern
def test_take_minor_pattern(p):
    for columns in selections(p.n_minor):
        found = call(indexing.take_minor_pattern, *p.arrays, p.n_minor, columns, p.places)
        check_minor(found, p, columns.tolist())


@every_pattern
def test_place_minor(p):
    every = np.arange(p.n_minor)
    for columns, n in (
        (every[::-1].copy(), p.n_minor),
        (every - p.n_minor, p.n_minor + 3),
        (every // 2, p.n_minor),
    ):
        found = call(indexing.place_minor, p.indices, p.n_minor, columns, n)
        assert_same(found, [columns[c] % n for c in p.indices], "int32")


@every_pattern
def test_find(p):
    p = p.canonical()
    places = {(r, c): k for r, c, k in p.entries}
    pairs = [(r, c) for r in range(p.n_major) for c in range(p.n_minor)][:500]
    shuffled = [pairs[k] for k in np.random.default_rng(0).permutation(len(pairs))]
    for chosen in (pairs, pairs[::-1], shuffled, sorted(pairs, key=lambda at: at[1]), [*pairs, *pairs], []):
        majors, minors = np.array(chosen, "int64").reshape(-1, 2).T.copy()
        found = call(indexing.find, *p.arrays, p.n_minor, majors, minors)
        assert_same(found, [places.get(at, -1) for at in chosen], "int32")
        from_the_end = call(indexing.find, *p.arrays, p.n_minor, majors - p.n_major, minors - p.n_minor)
        assert_same(from_the_end, found, "int32")


@kinds
def test_kinds_of_the_minor_axis(index, kind, rows_dtype):
    p, like = RICH.as_kind(index, kind), np.zeros(0, index)
    columns = laid_out(np.array([4, 0, 2, 0], rows_dtype), kind)
    found = call(indexing.take_minor_pattern, *p.arrays, p.n_minor, columns, p.places)
    check_minor(found, p, columns.tolist())
    check_minor(call(indexing.slice_minor, *p.arrays, 5, 3, -2, p.places), p, range(5, -1, -2))
    *found, _ = call(indexing.slice_pattern, *p.arrays, 3, 2, -3, p.places)
    assert_pattern(found, pattern([p.rows[3], p.rows[0]], p.n_minor, index))
    every = laid_out(np.arange(p.n_minor).astype(rows_dtype), kind)
    assert_same(call(indexing.place_minor, p.indices, p.n_minor, every, 9), p.indices, index)
    *found, order = call(indexing.scatter_pattern, columns, columns, 4, 5, 7, like, np.arange(4, dtype=index))
    assert_pattern(found, pattern([[0, 0], [], [2], [], [4]], 7, index))
    assert_same(order, [1, 3, 2, 0], index)
    assert_same(call(indexing.find, *found, 7, columns[::2], columns[::2]), [3, 2], index)


def test_scatter_pattern_keeps_equal_positions_in_order():
    for shape in ((4, 5), (1, 3), (7, 1)):
        rng = np.random.default_rng(0)
        majors, minors = (rng.integers(-n, n, 30) for n in shape)
        *found, order = call(
            indexing.scatter_pattern,
            majors,
            minors,
            30,
            *shape,
            np.zeros(0, "int32"),
            np.arange(30, dtype="int32"),
        )
        by_row = [[k for k in range(30) if majors[k] % shape[0] == r] for r in range(shape[0])]
        assert_pattern(found, pattern([[minors[k] % shape[1] for k in row] for row in by_row], shape[1]))
        assert_same(order, [k for row in by_row for k in row], "int32")


@pytest.mark.parametrize("at", [7, -8, -(2**63), 2**63 - 1])
def test_an_index_outside_the_minor_axis_is_refused(at):
    p, inside, like = RICH.canonical(), np.zeros(7, "int64"), np.zeros(0, "int32")
    index = inside.copy()
    index[3] = at
    for refused in (
        lambda: indexing.take_minor_pattern(*p.arrays, 7, index, p.places),
        lambda: indexing.place_minor(p.indices, 7, index, 7),
        lambda: indexing.find(*p.arrays, 7, inside, index),
        lambda: indexing.find(*p.arrays, 7, index, inside),
        lambda: indexing.scatter_pattern(inside, index, 7, 7, 7, like, inside),
        lambda: indexing.scatter_pattern(index, inside, 7, 7, 7, like, inside),
    ):
        with pytest.raises(IndexError, match="outside"):
            refused()


def test_lengths_that_differ_are_refused():
    p, like = RICH.canonical(), np.zeros(0, "int32")
    three, two = np.zeros(3, "int64"), np.zeros(2, "int64")
    with pytest.raises(IndexError, match="3 rows and 2 columns"):
        indexing.find(*p.arrays, 7, three, two)
    with pytest.raises(ValueError, match=r"numbers of rows \(columns\)"):
        indexing.place_minor(p.indices, 7, three, 7)
    for sizes in ((three, two, 3), (two, three, 3)):
        with pytest.raises(IndexError, match=r"rows and \d columns .* do not pair"):
            indexing.scatter_pattern(*sizes, 5, 7, like, three)
    with pytest.raises(ValueError, match="numbers of pairs and values differ: 3 and 2"):
        indexing.scatter_pattern(three, three, 2, 5, 7, like, three)


def test_more_entries_than_indices_count_are_refused():
    p, like = pattern([range(64), range(63)], 64, "int8"), np.zeros(0, "int8")
    for columns in (np.repeat([0, 1], 40), np.zeros(128, "int64"), np.full(200, 63)):
        with pytest.raises(ValueError, match="index_dtype"):
            indexing.take_minor_pattern(*p.arrays, 64, columns, p.places)
    for size in (128, 256):
        zeros = np.zeros(size, "int64")
        with pytest.raises(ValueError, match="int32 indices"):
            indexing.scatter_pattern(zeros, zeros, size, 3, 3, like, zeros)


@every_pattern
def test_rows_that_follow_each_other_are_a_view(p):
    for first in range(p.n_major + 1):
        for count in {0, 1, p.n_major - first} - {1 if first == p.n_major else -1}:
            found = indexing.run_pattern(*p.arrays, first, count)
            assert_pattern(found, pattern(p.rows[first : first + count], p.n_minor))
            assert np.shares_memory(found[0], p.indices) or not len(found[0])
            assert not np.shares_memory(found[1], p.indptr)


def test_values_are_taken_along_as_places_are():
    p = RICH
    v, rows, columns = values(p.nnz, "complex64"), np.array([4, 0, 2, 0]), np.array([6, 1, 1])
    for kernel, *arguments in (
        (indexing.take_pattern, rows),
        (indexing.slice_pattern, 4, 3, -2),
        (indexing.slice_minor, 1, 4, 1),
        (indexing.slice_minor, 5, 3, -2),
        (indexing.take_minor_pattern, p.n_minor, columns),
        (indexing.place_pattern, np.array([5, 3, 3, 0, -1]), 7),
    ):
        *found, places = call(kernel, *p.arrays, *arguments, p.places)
        *again, taken = call(kernel, *p.arrays, *arguments, v)
        assert_same(taken, v[places], "complex64")
        for a, b in zip(found, again, strict=True):
            assert_same(a, b, "int32")
