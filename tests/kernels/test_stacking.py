import numpy as np
import pytest

from symsparse.kernels import stacking
from tests.kernels.patterns import PATTERNS, RICH, assert_pattern, assert_same, call, laid_out, pattern

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
index_kinds = pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])


def joined(blocks):
    return tuple(np.concatenate([getattr(p, field) for p in blocks]) for field in ("indices", "indptr"))


def sizes(*ns):
    return np.array(ns, dtype="int64")


def shifted(row, by):
    return [c + by for c in row]


def check_concatenate(blocks, index="int32", kind="C"):
    indices, indptrs = (laid_out(a.astype(index), kind) for a in joined(blocks))
    n_majors, n_minors = sizes(*(p.n_major for p in blocks)), sizes(*(p.n_minor for p in blocks))
    for diagonal in (False, True):
        shifts = np.cumsum([0, *n_minors[:-1]]) * diagonal
        rows = [shifted(row, s) for p, s in zip(blocks, shifts.tolist(), strict=True) for row in p.rows]
        found = call(stacking.concatenate_pattern, indices, indptrs, n_majors, n_minors, diagonal)
        assert_pattern(found, pattern(rows, 0, index))


def check_interleave(blocks, index="int32", kind="C"):
    indices, indptrs = (laid_out(a.astype(index), kind) for a in joined(blocks))
    n_minors = sizes(*(p.n_minor for p in blocks))
    shifts = np.cumsum([0, *n_minors[:-1]]).tolist()
    firsts = np.cumsum([0, *(p.nnz for p in blocks)]).tolist()
    rows, source = [], []
    for r in range(blocks[0].n_major):
        rows.append([c for p, s in zip(blocks, shifts, strict=True) for c in shifted(p.rows[r], s)])
        source += [
            k
            for p, f in zip(blocks, firsts, strict=False)
            for k in range(f + p.indptr[r], f + p.indptr[r + 1])
        ]
    n_majors = sizes(*(p.n_major for p in blocks))
    *found, places = call(
        stacking.interleave_pattern,
        indices,
        indptrs,
        n_majors,
        n_minors,
        np.arange(len(indices), dtype=index),
    )
    assert_pattern(found, pattern(rows, 0, index))
    assert_same(places, source, index)


@every_pattern
def test_blocks_one_after_the_other(p):
    check_concatenate([p])
    check_concatenate([RICH, p, PATTERNS["no rows"], p, PATTERNS["plain"]])


@every_pattern
def test_blocks_side_by_side(p):
    check_interleave([p])
    check_interleave([p, pattern([[]] * p.n_major, 3), p, pattern([[1, 0, 1]] * p.n_major, 2), p])


@index_kinds
def test_stacked_kinds(index, kind):
    check_concatenate([RICH, PATTERNS["tall"]], index, kind)
    check_interleave([RICH, RICH], index, kind)


def test_sizes_that_do_not_fit_the_index_dtype_are_refused():
    p = pattern([range(64), range(63)], 64, "int8")
    fitting = pattern([[0]], 63, "int8")
    call(stacking.concatenate_pattern, *joined([p]), sizes(2), sizes(64), False)
    call(stacking.concatenate_pattern, *joined([p]), sizes(2), sizes(64), True)
    cases = [
        (joined([p, fitting]), sizes(2, 1), sizes(64, 64), False),  # 128 entries
        (joined([fitting, fitting]), sizes(1, 1), sizes(64, 64), True),  # 128 wide
        (joined([fitting] * 4), sizes(1, 1, 1, 1), sizes(*[2**62] * 4), True),  # 2 ** 64 wide
    ]
    for arrays, n_majors, n_minors, diagonal in cases:
        with pytest.raises(ValueError, match="index_dtype"):
            stacking.concatenate_pattern(*arrays, n_majors, n_minors, diagonal)
    for n_minors in (sizes(64, 64), sizes(2**62, 2**62)):
        with pytest.raises(ValueError, match="index_dtype"):
            stacking.interleave_pattern(*joined([fitting, fitting]), sizes(1, 1), n_minors, fitting.places)
    with pytest.raises(ValueError, match="index_dtype"):
        stacking.interleave_pattern(
            *joined([p, pattern([[0], []], 1, "int8")]), sizes(2, 2), sizes(64, 1), p.places
        )


def test_indptrs_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="indptr"):
        stacking.concatenate_pattern(*joined([RICH, RICH]), sizes(5, 4), sizes(7, 7), False)
    for blocks in ([RICH, PATTERNS["one row"]], [pattern([[]] * n, 2) for n in (3, 4, 2)]):
        with pytest.raises(ValueError, match="differ"):
            stacking.interleave_pattern(
                *joined(blocks),
                sizes(*(p.n_major for p in blocks)),
                sizes(*(p.n_minor for p in blocks)),
                RICH.places,
            )
