import numpy as np
import pytest

from symsparse.kernels import scaling
from tests.kernels.patterns import PATTERNS, assert_same, call, values


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("p", PATTERNS.values(), ids=PATTERNS.keys())
def test_scaling(p, dtype):
    v, major, minor = (values(n, dtype) for n in (p.nnz, p.n_major, p.n_minor))
    by_major, by_minor = np.repeat(major, np.diff(p.indptr)), minor[p.indices]
    assert_same(call(scaling.scale_major, v, major, p.indptr), v * by_major, dtype)
    assert_same(call(scaling.scale_minor, v, minor, p.indices, p.n_minor), v * by_minor, dtype)
    both = call(scaling.scale_both, v, major, p.indptr, minor, p.indices, p.n_minor)
    assert_same(both, v * by_major * by_minor, dtype)


def test_vectors_that_do_not_fit():
    p = PATTERNS[next(iter(PATTERNS))]
    v, major, minor = (values(n, "float64") for n in (p.nnz, p.n_major + 1, p.n_minor + 1))
    with pytest.raises(ValueError, match=rf"per row .*, and has {len(major)} for {p.n_major}"):
        scaling.scale_major(v, major, p.indptr)
    with pytest.raises(ValueError, match=rf"per column .*, and has {len(minor)} for {p.n_minor}"):
        scaling.scale_minor(v, minor, p.indices, p.n_minor)
    with pytest.raises(ValueError, match=rf"per row .*, and has {len(major)} for {p.n_major}"):
        scaling.scale_both(v, major, p.indptr, minor[:-1], p.indices, p.n_minor)
    with pytest.raises(ValueError, match=rf"per column .*, and has {len(minor)} for {p.n_minor}"):
        scaling.scale_both(v, major[:-1], p.indptr, minor, p.indices, p.n_minor)
    for scale in (
        lambda v: scaling.scale_major(v, major[:-1], p.indptr),
        lambda v: scaling.scale_minor(v, minor[:-1], p.indices, p.n_minor),
        lambda v: scaling.scale_both(v, major[:-1], p.indptr, minor[:-1], p.indices, p.n_minor),
    ):
        with pytest.raises(ValueError, match=rf"{len(v) + 1} values for {len(v)} stored"):
            scale(np.append(v, 1.0))
