import pytest

from symsparse.kernels import kronecker
from tests.kernels.patterns import PATTERNS, RICH, assert_pattern, assert_same, call, pattern

every_pattern = pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
index_kinds = pytest.mark.parametrize(("index", "kind"), [("int64", "read-only"), ("int32", "strided")])


def check_kron(a, b):
    rows, of_a, of_b = [], [], []
    for r in range(a.n_major):
        for s in range(b.n_major):
            ks, js = range(a.indptr[r], a.indptr[r + 1]), range(b.indptr[s], b.indptr[s + 1])
            pairs = [(k, j) for k in ks for j in js]
            rows.append([int(a.indices[k]) * b.n_minor + int(b.indices[j]) for k, j in pairs])
            of_a += [k for k, _ in pairs]
            of_b += [j for _, j in pairs]
    *found, a_source, b_source = call(kronecker.kron_pattern, *a.arrays, *b.arrays, a.n_minor, b.n_minor)
    assert_pattern(found, pattern(rows, 0, a.indices.dtype))
    assert_same(a_source, of_a, a.indices.dtype)
    assert_same(b_source, of_b, a.indices.dtype)


@every_pattern
def test_kron(p):
    if p.nnz < 500:
        check_kron(p, PATTERNS["duplicates"])
        check_kron(RICH, p)


@index_kinds
def test_kron_kinds(index, kind):
    check_kron(RICH.as_kind(index, kind), PATTERNS["full"].as_kind(index, kind))


def test_a_kronecker_product_that_does_not_fit_is_refused():
    p, empty = pattern([range(12)], 12, "int8"), pattern([], 5, "int8")
    for a, b, a_minor, b_minor in ((p, p, 12, 12), (empty, empty, 12, 12), (empty, empty, 2**33, 2**33)):
        with pytest.raises(ValueError, match="index_dtype"):
            kronecker.kron_pattern(*a.arrays, *b.arrays, a_minor, b_minor)
    wide = pattern([], 5, "int64")
    with pytest.raises(ValueError, match="index_dtype"):
        kronecker.kron_pattern(*wide.arrays, *wide.arrays, 2**33, 2**33)
