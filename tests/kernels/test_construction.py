import numpy as np
import pytest

from symsparse.kernels import construction
from tests.kernels.patterns import PATTERNS, RICH, assert_pattern, assert_same, call, pattern

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())


def check_triangle(p, k):
    for below in (True, False):
        kept = [j for r, c, j in p.entries if (c - r <= k if below else c - r >= k)]
        rows = [[c for c in row if (c - r <= k if below else c - r >= k)] for r, row in enumerate(p.rows)]
        *found, source = call(construction.triangle_pattern, *p.arrays, k, below, p.places)
        assert_pattern(found, pattern(rows, p.n_minor, p.indices.dtype))
        assert_same(source, kept, p.indices.dtype)


@every_pattern
def test_triangle(p):
    for k in (0, 1, -2, 400, -400, 2**63 - 1, -(2**63)):
        check_triangle(p, k)


@pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])
def test_triangle_kinds(index, kind):
    check_triangle(RICH.as_kind(index, kind), 1)


def lengths_of(offsets, n, m):
    return np.array([max(0, min(n + min(k, 0), m - max(k, 0))) for k in offsets], dtype="int64")


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3), (0, 3), (3, 0), (1, 1)])
@pytest.mark.parametrize("offsets", [(0,), (-2,), (1,), (-1, 0, 2), (-9, 1, 9)])
@pytest.mark.parametrize("index", ["int32", "int64"])
def test_diags(offsets, shape, index):
    n, m = shape
    places, start = np.full((n, m), -1), 0
    lengths = lengths_of(offsets, n, m)
    for k, size in zip(offsets, lengths, strict=True):
        i = np.arange(size)
        places[i + max(-k, 0), i + max(k, 0)] = start + i
        start += size
    for by_rows in (True, False):
        stored = places if by_rows else places.T
        *found, source = call(
            construction.diags_pattern, np.array(offsets), *stored.shape, np.empty(0, index), by_rows
        )
        rows = [np.flatnonzero(row >= 0).tolist() for row in stored]
        assert_pattern(found, pattern(rows, stored.shape[1], index))
        assert_same(source, stored[stored >= 0], index)


def test_diags_that_do_not_fit_are_refused():
    offsets, like = np.array([-1, 1]), np.empty(0, "int8")
    for n, m, cause in (
        (-1, 3, "negative"),
        (3, -1, "negative"),
        (128, 1, "int32"),
        (1, 128, "int32"),
        (100, 100, "int32"),  # 198 entries
    ):
        with pytest.raises(ValueError, match=cause):
            construction.diags_pattern(offsets, n, m, like, True)
