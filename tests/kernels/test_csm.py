import numpy as np
import pytest

from symsparse.kernels import csm
from tests.kernels.patterns import PATTERNS, RICH, assert_pattern, call, laid_out

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())


def check(p, **changes):
    facts = {
        "indices": p.indices,
        "indptr": p.indptr,
        "n_values": p.nnz,
        "n_major": p.n_major,
        "n_minor": p.n_minor,
    }
    return csm.check_pattern(*(facts | changes).values())


@every_pattern
def test_a_legal_pattern_is_returned(p):
    before = [a.copy() for a in p.arrays]
    found = check(p)
    for a, given, old in zip(found, p.arrays, before, strict=True):
        np.testing.assert_array_equal(given, old)
        assert np.shares_memory(a, given) or not len(given)
    assert_pattern(found, p)


@pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])
def test_a_legal_pattern_of_another_kind_is_returned(index, kind):
    p = RICH.as_kind(index, kind)
    assert_pattern(check(p), p)
    with pytest.raises(ValueError, match="outside"):
        check(p, n_minor=5)


def i32(*numbers):
    return np.array(numbers, dtype="int32")


MALFORMED = {
    "indptr too short": {"indptr": RICH.indptr[:-1]},
    "indptr too long": {"indptr": np.append(RICH.indptr, RICH.indptr[-1])},
    "indptr empty": {"indptr": i32()},
    "too few rows": {"n_major": RICH.n_major - 1},
    "too many rows": {"n_major": RICH.n_major + 1},
    "huge number of rows": {"n_major": 2**63 - 1},
    # An empty indptr inside zeros: a check that reads beyond it sees nothing wrong.
    "negative rows": {"n_major": -1, "indptr": i32(0, 0, 0)[1:1], "indices": i32(), "n_values": 0},
    "negative columns": {"n_minor": -1},
    "negative columns, nothing stored": {
        "n_minor": -1,
        "indices": i32(),
        "n_values": 0,
        "indptr": i32(*[0] * 6),
    },
    "indptr does not start at 0": {"indptr": i32(1, 3, 8, 8, 11, 12)},
    "indptr starts below 0": {"indptr": i32(-1, 3, 8, 8, 11, 12)},
    "indptr decreases": {"indptr": i32(0, 3, 8, 7, 11, 12)},
    "indptr rises too far and returns": {"indptr": i32(0, 3, 2**31 - 1, 8, 11, 12)},
    "indptr ends early": {"indptr": i32(0, 3, 8, 8, 11, 11)},
    "indptr ends late": {"indptr": i32(0, 3, 8, 8, 11, 13)},
    "too few values": {"n_values": RICH.nnz - 1},
    "too many values": {"n_values": RICH.nnz + 1},
    "too few indices": {"indices": RICH.indices[:-1]},
    "index below 0": {"indices": np.where(RICH.indices == 1, np.int32(-1), RICH.indices)},
    "index too large": {"indices": np.where(RICH.indices == 1, np.int32(7), RICH.indices)},
    "matrix without columns": {"n_minor": 0},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_pattern_is_refused(name):
    assert_pattern(check(RICH), RICH)
    with pytest.raises(ValueError, match="CSM: malformed pattern"):
        check(RICH, **MALFORMED[name])


@pytest.mark.parametrize("name", PATTERNS)
def test_same_pattern(name):
    p = PATTERNS[name]
    copy = [a.copy() for a in p.arrays]
    assert call(csm.same_pattern, *p.arrays, *copy) is True
    for k in range(p.nnz):
        other = p.indices.copy()
        other[k] += 1
        assert csm.same_pattern(*p.arrays, other, p.indptr) is False
    for r in range(len(p.indptr)):
        other = p.indptr.copy()
        other[r] += 1
        assert csm.same_pattern(*p.arrays, p.indices, other) is False
    assert (
        csm.same_pattern(*p.arrays, np.append(p.indices, p.indices[:1] if p.nnz else i32(0)), p.indptr)
        is False
    )
    assert csm.same_pattern(*p.arrays, p.indices, np.append(p.indptr, p.indptr[-1])) is False


def test_same_pattern_of_other_kinds():
    wide, strided = RICH.as_kind("int64", "read-only"), RICH.as_kind("int32", "strided")
    assert csm.same_pattern(*wide.arrays, *strided.arrays) is True
    other = laid_out(RICH.indices[::-1], "strided")
    assert csm.same_pattern(*wide.arrays, other, strided.indptr) is False
