"""Random counts: the same loops in every mode, so that a seed gives the same draws everywhere.

NumPy's own samplers of counts and Numba's versions of them are not the same to the last bit. These stand on their
common ground: uniform, exponential, gamma and beta draws of the generator, always run by Numba.
"""

import numpy as np

from symsparse.kernels.base import KernelValueError, kernel, loop

# Above it a draw might not fit 64 bits; NumPy's limit.
_LARGEST_MEAN = np.iinfo(np.int64).max - 10 * np.sqrt(np.float64(np.iinfo(np.int64).max))
_FEW = 16  # expected events that are simply counted one by one


@loop
def _failures(rng, rate):
    """Failures before the next success of trials that fail with probability exp(-rate).

    The integer part of an exponential variable is geometric (Devroye 1986, section X.2). As a float: it may exceed
    every integer.
    """
    return np.floor(rng.standard_exponential() / rate)


@loop
def _binomial(rng, n, p):
    """Binomial(n, p) draw, exact, in about 16 + log2(n) steps.

    As long as many successes are expected, the median of n uniform variables is drawn, which is a beta variable, and
    the half of them is counted, or dropped, that lies on the known side of p (Devroye 1986, section X.4.4). What is
    left is counted by skipping over the failures.
    """
    trials, rare = n, p <= 0.5
    if not rare:  # count failures: their probability keeps its digits
        p = 1.0 - p
    successes = 0
    while n * p > _FEW:
        middle = n // 2 + n % 2
        median = rng.beta(middle, n - middle + 1)
        if median <= p:
            successes += middle
            n -= middle
            p = (p - median) / (1.0 - median)
        else:
            n = middle - 1
            p = p / median
    rate = -np.log1p(-p)
    trial = _failures(rng, rate)
    while trial < n:
        successes += 1
        trial += 1.0 + _failures(rng, rate)
    return successes if rare else trials - successes


@loop
def _positive_binomial(rng, n, p):
    """Binomial(n, p) draw, given that it is not zero: the first success by inversion, then the trials after it."""
    rate = -np.log1p(-p)
    first = np.floor(-np.log1p(rng.random() * np.expm1(-n * rate)) / rate)
    return 1 + _binomial(rng, n - 1 - np.int64(min(first, n - 1.0)), p)


@loop
def _poisson(rng, mean):
    """Poisson draw, exact: arrivals up to the time `mean` in a process of rate 1.

    Many of them are counted at once: the time of arrival number m is a gamma variable, and given that it is later than
    `mean`, each of the m - 1 arrivals before it is early enough with probability mean / time (Ahrens and Dieter 1974).
    """
    arrivals = 0
    while mean > _FEW:
        m = int(0.875 * mean)
        time = rng.standard_gamma(m)
        if time > mean:
            return arrivals + _binomial(rng, m - 1, mean / time)
        arrivals += m
        mean -= time
    time = rng.standard_exponential()
    while time < mean:
        arrivals += 1
        time += rng.standard_exponential()
    return arrivals


@kernel
def poisson(rng, means, largest):
    """A Poisson draw for each mean; none may exceed `largest`."""
    draws = np.empty(len(means), dtype=np.int64)
    for k in range(len(means)):
        mean = np.float64(means[k])
        if not mean >= 0.0:
            raise KernelValueError("poisson: a mean is negative or NaN: %g", mean)
        if mean > _LARGEST_MEAN:
            raise KernelValueError("poisson: a mean is infinite or too large for 64-bit counts: %g", mean)
        draws[k] = _poisson(rng, mean)
        if draws[k] > largest:
            raise KernelValueError(
                "poisson: a draw does not fit the dtype of the means: %d is above %d; cast them to a wider one",
                draws[k],
                largest,
            )
    return draws


@kernel
def binomial(rng, n, p, n_major, n_minor, largest, index_like):
    """Pattern and values of the entries that are not zero of a matrix of Binomial(n, p) draws.

    An entry is zero with probability (1 - p)^n, independently of the others, so the next one that is not is found by
    skipping over a geometric number of zeros. Each major slice starts anew, which changes nothing: geometric variables
    have no memory.
    """
    if n < 0 or not (p >= 0.0 and p <= 1.0):
        raise KernelValueError("binomial: n is negative, or p is not a probability: %d, %g", n, p)
    if n > largest:
        raise KernelValueError("binomial: n does not fit the dtype of the matrix: %d; choose a wider one", n)
    limit = int(min(np.iinfo(index_like.dtype).max, 2**53))  # columns are counted in float64
    if n_major < 0 or n_minor < 0:
        raise KernelValueError("binomial: the shape is negative: %d, %d", n_major, n_minor)
    too_many = (
        "binomial: the matrix is too large for its indices: %d rows and %d columns (columns and rows for csc), %g "
        "entries expected; use index_dtype='int64'"
    )
    rate = -np.log1p(-p) * n if n > 0 else 0.0
    expected = -np.expm1(-rate) * n_major * n_minor
    if max(n_major, n_minor) > limit:
        raise KernelValueError(too_many, n_major, n_minor, expected)
    if expected > limit + 10.0 * np.sqrt(expected):  # found out now rather than after gigabytes of draws
        raise KernelValueError(too_many, n_major, n_minor, expected)
    capacity = int(min(expected + 2.0 * np.sqrt(expected) + 1.0, float(limit)))
    indices = np.empty(capacity, dtype=index_like.dtype)
    indptr = np.empty(n_major + 1, dtype=index_like.dtype)
    indptr[0] = 0
    nnz = 0
    for r in range(n_major):
        at = _failures(rng, rate)
        while at < n_minor:
            if nnz == capacity:
                if capacity == limit:
                    raise KernelValueError(too_many, n_major, n_minor, expected)
                capacity = min(limit, 2 * capacity)
                longer = np.empty(capacity, dtype=index_like.dtype)
                longer[:nnz] = indices
                indices = longer
            indices[nnz] = np.int64(at)
            nnz += 1
            at += 1.0 + _failures(rng, rate)
        indptr[r + 1] = nnz
    draws = np.ones(nnz, dtype=np.int64)
    if n > 1:
        for k in range(nnz):
            draws[k] = _positive_binomial(rng, n, p)
    return indices[:nnz].copy(), indptr, draws


@kernel
def multinomial(rng, n, p, indptr):
    """For each major slice, n[r] events among its entries with these probabilities; counts in p's dtype.

    Entry by entry from the last, each count is binomial given those behind it: an event that is none of these falls on
    the entry with p divided by the sum of p up to it. The first entry with p > 0 gets what is left: the quotient is
    exactly 1 there, whatever was rounded.
    """
    if len(n) != len(indptr) - 1:
        raise KernelValueError(
            "multinomial: n and the probabilities have different numbers of rows: %d and %d",
            len(n),
            len(indptr) - 1,
        )
    tolerance = np.sqrt(
        np.finfo(p.dtype).eps
    )  # of a sum of probabilities, as in numpy.random.Generator.choice
    counts = np.zeros(len(p), dtype=p.dtype)
    sums = np.empty(len(p), dtype=np.float64)
    for r in range(len(n)):
        left = np.int64(n[r])
        if left < 0:
            raise KernelValueError("multinomial: n is negative: %d in row %d", left, r)
        total = 0.0
        for k in range(indptr[r], indptr[r + 1]):
            if not p[k] >= 0:
                raise KernelValueError("multinomial: a probability is negative or NaN: %g in row %d", p[k], r)
            total += p[k]
            sums[k] = total
        if not abs(total - 1.0) <= tolerance and not (total == 0.0 and left == 0):
            raise KernelValueError(
                "multinomial: the probabilities of row %d do not sum to 1 but to %g", r, total
            )
        for k in range(indptr[r + 1] - 1, indptr[r] - 1, -1):
            if left == 0:
                break
            if p[k] > 0:
                count = _binomial(rng, left, p[k] / sums[k])
                counts[k] = count
                left -= count
    return counts
