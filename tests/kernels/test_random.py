"""The draws have the distributions that they claim. Seeds are fixed: a test here fails for a reason."""

from contextlib import nullcontext

import numpy as np
import pytest
from scipy import stats

from symsparse.kernels import random
from tests.kernels.patterns import assert_same, call, laid_out

WIDE = np.iinfo("int64").max
INT32 = np.empty(0, "int32")
SIZE = 200_000


def generator(seed=0):
    return np.random.default_rng(seed)


def assert_distributed(draws, dist):
    """Chi-square test of draws from a discrete distribution, in bins of about equal probability."""
    edges = np.unique(dist.ppf(np.linspace(0, 1, 31)[1:-1]))
    if not np.isfinite(edges).all() or len(edges) == 0:
        raise AssertionError("no bins")
    probabilities = np.diff([0.0, *dist.cdf(edges), 1.0])
    found = np.bincount(np.searchsorted(edges, draws), minlength=len(probabilities))
    assert found[probabilities == 0].sum() == 0
    likely = probabilities * len(draws) > 5
    rest = ~likely & (probabilities > 0)
    found = [*found[likely], found[rest].sum()] if rest.any() else found[likely]
    expected = probabilities[likely] * len(draws)
    expected = [*expected, probabilities[rest].sum() * len(draws)] if rest.any() else expected
    if len(found) > 1:
        assert stats.chisquare(found, expected, sum_check=False).pvalue > 1e-3
    low, high = dist.interval(1 - 1e-9)
    assert low <= draws.min()
    assert draws.max() <= high


# -- Poisson ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [1e-3, 0.4, 3.0, 15.99, 16.01, 18.5, 40.0, 300.0, 1e5, 1e9])
def test_poisson(mean):
    draws = call(random.poisson, generator(1), np.full(SIZE, mean), WIDE)
    assert draws.dtype == "int64"
    assert_distributed(draws, stats.poisson(mean))


def test_poisson_of_huge_means_is_normal():
    mean = 9e18
    z = (random.poisson(generator(), np.full(20_000, mean), WIDE) - mean) / np.sqrt(mean)
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_poisson_draws_are_independent():
    means = np.tile([0.5, 30.0], SIZE)
    small, large = random.poisson(generator(), means, WIDE).reshape(-1, 2).T
    assert abs(np.corrcoef(small, large)[0, 1]) < 4 / np.sqrt(SIZE)
    assert abs(np.corrcoef(large[1:], large[:-1])[0, 1]) < 4 / np.sqrt(SIZE)


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32", "float64"])
@pytest.mark.parametrize("kind", ["C", "strided", "read-only"])
def test_poisson_kinds(dtype, kind):
    means = np.array([0, 1, 20, 100], dtype)
    expected = random.poisson(generator(), means.astype("float64"), WIDE)
    assert_same(call(random.poisson, generator(), laid_out(means, kind), WIDE), expected, "int64")


def test_poisson_of_nothing_and_of_zero():
    rng = generator()
    assert len(random.poisson(rng, np.empty(0), WIDE)) == 0
    assert rng.random() == generator().random()
    assert not random.poisson(rng, np.array([0.0, -0.0] * 500), WIDE).any()


@pytest.mark.parametrize("mean", [-1e-300, -1.0, np.nan, -np.inf])
def test_poisson_refuses_negative_and_nan(mean):
    with pytest.raises(ValueError, match="negative or NaN"):
        random.poisson(generator(), np.array([1.0, mean]), WIDE)


@pytest.mark.parametrize("mean", [np.inf, 9.3e18])
def test_poisson_refuses_what_64_bits_do_not_hold(mean):
    with pytest.raises(ValueError, match="too large"):
        random.poisson(generator(), np.array([1.0, mean]), WIDE)


def test_poisson_refuses_draws_above_the_largest():
    means = np.full(100, 100, "int8")
    largest = random.poisson(generator(), means, WIDE).max()
    random.poisson(generator(), means, largest)
    with pytest.raises(ValueError, match="dtype"):
        random.poisson(generator(), means, largest - 1)


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_any_bit_generator(bits):
    draws = random.poisson(np.random.Generator(bits(1)), np.full(SIZE, 20.0), WIDE)
    assert_distributed(draws, stats.poisson(20.0))


# -- multinomial, and with two categories binomial ---------------------------------------------------------------


def binomial_draws(n, p, size=SIZE, seed=0):
    """First of two categories."""
    indptr = 2 * np.arange(size + 1)
    counts = random.multinomial(generator(seed), np.full(size, n), np.tile([1 - p, p], size), indptr)
    return counts[1::2]


@pytest.mark.parametrize(
    ("n", "p"),
    [
        *[(1, 0.3), (5, 0.5), (20, 0.9), (31, 0.5), (33, 0.5), (40, 0.35), (100, 0.99), (1000, 0.02)],
        *[(1000, 0.5), (10**6, 1e-5), (10**6, 0.7), (10**6, 1 - 1e-5), (10**9, 0.4)],
    ],
)
def test_binomial_counts(n, p):
    assert_distributed(binomial_draws(n, p), stats.binom(n, p))


@pytest.mark.parametrize("n", [10**18, 2**63 - 1])
@pytest.mark.parametrize("p", [0.5, 0.3])
def test_binomial_counts_of_huge_n_are_normal(n, p):
    z = (binomial_draws(n, p, 20_000) - n * p) / np.sqrt(n * p * (1 - p))
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_binomial_counts_keep_the_digits_of_a_probability_near_1():
    n, p = 2**62, 1 - 2.0**-53
    draws = random.multinomial(
        generator(), np.full(20_000, n), np.tile([p, 2.0**-53], 20_000), 2 * np.arange(20_001)
    )
    assert_distributed(draws[1::2], stats.poisson(n * 2.0**-53))
    draws = [random._binomial(generator(seed), n, p) for seed in range(2000)]
    assert_distributed(np.array([n - x for x in draws]), stats.poisson(n * 2.0**-53))


def test_binomial_counts_that_are_certain():
    assert (binomial_draws(2**53, 1.0, 100) == 2**53).all()
    assert not binomial_draws(2**53, 0.0, 100).any()


P = np.array([0.1, 0.0, 0.25, 0.05, 0.6, 0.0])


@pytest.mark.parametrize("n", [1, 7, 500])
def test_multinomial(n):
    rows = 50_000
    indptr = np.arange(rows + 1, dtype="int32") * len(P)
    counts = call(random.multinomial, generator(4), np.full(rows, n), np.tile(P, rows), indptr)
    counts = counts.reshape(rows, -1)
    assert (counts.sum(1) == n).all()
    assert not counts[:, P == 0].any()
    for j in np.flatnonzero(P):
        assert_distributed(counts[:, j], stats.binom(n, P[j]))
    covariance = n * (np.diag(P) - np.outer(P, P))
    assert np.allclose(np.cov(counts.T), covariance, atol=5 * n / np.sqrt(rows))


def test_multinomial_joint_distribution():
    n, p, rows = 3, np.array([0.2, 0.3, 0.5]), 100_000
    counts = random.multinomial(generator(), np.full(rows, n), np.tile(p, rows), np.arange(rows + 1) * 3)
    counts = counts.reshape(rows, 3).astype(int)
    cells = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    found = [(counts == cell).all(1).sum() for cell in cells]
    expected = [stats.multinomial.pmf(cell, n, p) * rows for cell in cells]
    assert stats.chisquare(found, expected).pvalue > 1e-3


def test_multinomial_rows_of_their_own():
    p = np.array([0.25, 0.75, 1.0, 0.5, 0.5])
    counts = random.multinomial(generator(), np.array([4, 0, 3, 10**6]), p, np.array([0, 2, 2, 3, 5]))
    assert counts[:2].sum() == 4
    assert counts[2] == 3
    assert counts[3:].sum() == 10**6
    assert abs(counts[3] - 5e5) < 5e3


@pytest.mark.parametrize(("dtype", "off"), [("float64", 1e-8), ("float32", 3e-4)])
def test_multinomial_divides_small_deviations_out(dtype, off):
    for sign in (1, -1):
        p = np.array([0.5, 0.5 + sign * off, 0], dtype)
        counts = random.multinomial(generator(), np.array([10**6]), p, np.array([0, 3]))
        assert counts.dtype == dtype
        assert counts.sum() == 10**6
        assert counts[2] == 0
        p[1] += sign * off
        with pytest.raises(ValueError, match="sum to 1"):
            random.multinomial(generator(), np.array([10**6]), p, np.array([0, 3]))


def refused(match, n, p, indptr):
    with pytest.raises(ValueError, match=match):
        random.multinomial(generator(), np.array(n), np.array(p, "float64"), np.array(indptr))


def test_multinomial_refuses():
    refused("negative or NaN", [1], [1.5, -0.5], [0, 2])
    refused("negative or NaN", [1], [np.nan, 1.0], [0, 2])
    refused("sum to 1", [1], [np.inf, 1.0], [0, 2])
    refused("sum to 1", [1, 1], [0.5, 0.5], [0, 2, 2])
    refused("sum to 1", [0], [0.5], [0, 1])
    refused("sum to 1", [1], [0.0], [0, 1])
    refused("n is negative", [1, -1], [1.0, 1.0], [0, 1, 2])
    refused("numbers of rows", [1, 1], [1.0], [0, 1])
    refused("numbers of rows", [], [1.0], [0, 1])
    assert len(random.multinomial(generator(), np.array([0, 0]), np.empty(0), np.array([0, 0, 0]))) == 0


# -- the matrix of binomial draws ---------------------------------------------------------------------------------


def matrix(n, p, n_major, n_minor, seed=0, largest=WIDE, like=INT32):
    """(indices, indptr, draws), once they are sure to be a canonical pattern without zeros."""
    indices, indptr, draws = call(random.binomial, generator(seed), n, p, n_major, n_minor, largest, like)
    assert indices.dtype == indptr.dtype == like.dtype
    assert draws.dtype == "int64"
    assert len(indptr) == n_major + 1
    assert indptr[0] == 0
    assert indptr[-1] == len(indices) == len(draws)
    assert (np.diff(indptr) >= 0).all()
    starts = np.zeros(len(indices) + 1, bool)
    starts[indptr] = True
    assert ((np.diff(indices) > 0) | starts[1:-1]).all()
    if len(indices):
        assert indices.min() >= 0
        assert indices.max() < n_minor
        assert draws.min() >= 1
        assert draws.max() <= n
    return indices, indptr, draws


def dense(n, p, n_major, n_minor, seed=0):
    indices, indptr, draws = matrix(n, p, n_major, n_minor, seed)
    out = np.zeros((n_major, n_minor), int)
    out[np.repeat(np.arange(n_major), np.diff(indptr)), indices] = draws
    return out


@pytest.mark.parametrize(
    ("n", "p"),
    [
        *[(1, 0.5), (1, 0.01), (1, 0.999), (2, 0.3), (7, 0.02), (20, 0.9), (1000, 0.001), (1000, 0.4)],
        *[(10**6, 1e-7), (10**12, 1e-13), (10**18, 3e-18)],
    ],
)
@pytest.mark.parametrize("shape", [(400, 500), (100_000, 2), (3, 70_000)])
def test_binomial_entries(n, p, shape):
    draws = dense(n, p, *shape, seed=2)
    assert_distributed(draws.ravel(), stats.binom(n, p) if n < 10**12 else stats.poisson(n * p))


@pytest.mark.parametrize("n", [1, 30])
def test_binomial_entries_are_independent_and_alike(n):
    shape, p = (300, 1000), 0.03
    draws = dense(n, p, *shape)
    q = 1 - (1 - p) ** n
    for axis in (0, 1):
        assert_distributed((draws > 0).sum(axis), stats.binom(shape[axis], q))
        assert_distributed(draws.sum(axis), stats.binom(shape[axis] * n, p))
    for a, b in ((draws[:, 1:], draws[:, :-1]), (draws[1:], draws[:-1]), (draws[1:, 0], draws[:-1, -1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / np.sqrt(a.size)


def test_binomial_of_a_huge_shape_takes_no_more_than_its_entries():
    indices, _, draws = matrix(1, 1e-9, 1_000_000, 1_000_000)
    assert (
        stats.poisson(1000).interval(1 - 1e-6)[0] < len(indices) < stats.poisson(1000).interval(1 - 1e-6)[1]
    )
    assert (draws == 1).all()
    assert stats.kstest(indices / 1e6, "uniform").pvalue > 1e-3
    indices, *_ = matrix(3, 1e-12, 10, 10**12, like=np.empty(0, "int64"))
    assert stats.kstest(indices / 1e12, "uniform").pvalue > 1e-3
    assert len(indices) > 3


@pytest.mark.parametrize(("n", "p"), [(0, 0.5), (0, 1.0), (5, 0.0), (0, 0.0), (1, 1e-300), (1, 5e-324)])
def test_binomial_without_entries(n, p):
    indices, indptr, _ = matrix(n, p, 5, 2**31 - 1)
    assert len(indices) == 0
    assert not indptr.any()


def test_binomial_that_is_certain():
    assert (dense(7, 1.0, 3, 4) == 7).all()
    assert (dense(1, 1.0, 3, 4) == 1).all()
    assert (dense(2**62, 1.0, 3, 4) == 2**62).all()


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (1, 1)])
def test_binomial_small_shapes(shape):
    assert dense(1, 1.0, *shape).sum() == shape[0] * shape[1]


def test_binomial_refuses():
    for n, p in ((-1, 0.5), (1, -0.1), (1, 1.1), (1, np.nan), (-(2**63), 0.5)):
        with pytest.raises(ValueError, match="not a probability"):
            matrix(n, p, 2, 3)
    for shape in ((-1, 2), (2, -1)):
        with pytest.raises(ValueError, match="negative"):
            matrix(1, 0.5, *shape)
    with pytest.raises(ValueError, match="fit the dtype"):
        matrix(128, 0.5, 2, 3, largest=127)
    matrix(127, 0.5, 2, 3, largest=127)


def test_binomial_refuses_more_than_its_indices_count():
    int8 = np.empty(0, "int8")
    for n_major, n_minor in ((128, 1), (1, 128), (16, 8)):
        with pytest.raises(ValueError, match="index_dtype"):
            matrix(1, 1.0, n_major, n_minor, like=int8)
    for n_major, n_minor in ((127, 1), (1, 127), (9, 14)):
        assert len(matrix(1, 1.0, n_major, n_minor, like=int8)[0]) == n_major * n_minor
    outcomes = set()
    for seed in range(200):  # about 127 entries: some fit, some do not, and none wraps
        entries = len(matrix(1, 0.5, 2, 127, seed)[0])
        with nullcontext() if entries <= 127 else pytest.raises(ValueError, match="index_dtype"):
            assert len(matrix(1, 0.5, 2, 127, seed, like=int8)[0]) == entries
        outcomes.add(entries <= 127)
    assert outcomes == {True, False}


def test_binomial_refuses_at_once_what_cannot_fit():
    for shape in ((2**31 - 1, 2**31 - 1), (10**6, 10**6)):
        with pytest.raises(ValueError, match="index_dtype"):
            matrix(1, 0.5, *shape)


def test_the_room_for_entries_grows():
    """Two standard deviations more than expected are allocated at first."""
    for expected, size in ((10, 1000), (1000, 100_000)):
        entries = [len(matrix(1, expected / size, 1, size, seed)[0]) for seed in range(300)]
        assert sum(k > expected + 2 * np.sqrt(expected) + 1 for k in entries) >= 2
        assert_distributed(np.array(entries), stats.binom(size, expected / size))


def test_the_same_generator_gives_the_same():
    for _ in range(2):
        first, second = (matrix(50, 0.2, 20, 30, seed=3) for _ in range(2))
        for a, b in zip(first, second, strict=True):
            assert_same(a, b, b.dtype)
