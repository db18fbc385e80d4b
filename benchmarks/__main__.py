"""Time symsparse beside SciPy and pytensor.sparse: `make bench`, or `make bench ARGS="spmv --rounds 50"`.

Each case is the same mathematics in every contender. Results are compared with SciPy's before anything is timed.
Contenders take turns, so that a noisy moment hits all of them; the table gives the fastest and the median batch.
"""

import argparse
import os
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version

import numba
import numpy as np
import pytensor
import pytensor.sparse as ps
import pytensor.tensor as pt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

import symsparse as ss
import symsparse.kernels  # loads TBB, before Numba chooses a threading layer


def random_csr(n_rows, n_cols, per_row, seed=0):
    rng = np.random.default_rng(seed)
    return sp.random_array((n_rows, n_cols), density=per_row / n_cols, format="csr", rng=rng)


def call(function, *args):
    return lambda: function(*args)


def products(A, width=None):
    """A @ y: sparse input, dense vector or matrix."""
    y = np.random.default_rng(1).normal(size=A.shape[1] if width is None else (A.shape[1], width))
    dense = pt.vector("y") if width is None else pt.matrix("y")
    X, P = ss.csr_matrix("X"), ps.csr_matrix("X")
    return {
        "scipy": lambda: A @ y,
        "pytensor.sparse": call(pytensor.function([P, dense], ps.dot(P, dense)), sp.csr_matrix(A), y),
        "symsparse": call(pytensor.function([X, dense], X @ dense), A, y),
        "symsparse frozen": call(pytensor.function([dense], ss.shared(A, frozen=True) @ dense), y),
    }


def chain(A):
    """sum(sin(x)^2 * 3) over the stored entries."""
    X, P = ss.csr_matrix("X"), ps.csr_matrix("X")
    return {
        "scipy": lambda: (A.sin() ** 2 * 3.0).sum(),
        "pytensor.sparse": call(
            pytensor.function([P], ps.sp_sum(ps.structured_pow(ps.sin(P), 2) * 3.0)), sp.csr_matrix(A)
        ),
        "symsparse": call(pytensor.function([X], ss.sp_sum(ss.structured_pow(ss.sin(X), 2) * 3.0)), A),
    }


def log_loss_step(A, n_classes):
    """Loss of a multinomial logistic regression and its gradient with respect to the weights."""
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(A.shape[1], n_classes))
    labels = rng.integers(n_classes, size=A.shape[0])
    hits = np.arange(A.shape[0]), labels

    def by_hand():
        scores = A @ weights
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        slope = np.exp(scores)
        slope[hits] -= 1
        return -scores[hits].mean(), A.T @ slope / A.shape[0]

    def compiled(X, product, value):
        W, t = pt.matrix("W"), pt.lvector("t")
        loss = -pt.special.log_softmax(product(X, W), axis=1)[pt.arange(t.shape[0]), t].mean()
        return call(pytensor.function([X, W, t], [loss, pytensor.grad(loss, W)]), value, weights, labels)

    return {
        "scipy": by_hand,
        "pytensor.sparse": compiled(ps.csr_matrix("X"), ps.structured_dot, sp.csr_matrix(A)),
        "symsparse": compiled(ss.csr_matrix("X"), lambda X, W: X @ W, A),
    }


def gradient_on_pattern(A, width):
    """Gradient of sum((A @ W)^2) / 2 with respect to the stored entries of A."""
    weights = np.random.default_rng(3).normal(size=(A.shape[1], width))

    def by_hand():
        rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
        return np.einsum("ik,ik->i", (A @ weights)[rows], weights[A.indices])

    def compiled(X, product, values, value):
        W = pt.matrix("W")
        loss = (product(X, W) ** 2).sum() / 2
        return call(pytensor.function([X, W], values(pytensor.grad(loss, X))), value, weights)

    return {
        "scipy": by_hand,
        "pytensor.sparse": compiled(ps.csr_matrix("X"), ps.structured_dot, ps.csm_data, sp.csr_matrix(A)),
        "symsparse": compiled(ss.csr_matrix("X"), lambda X, W: X @ W, lambda g: g.values, A),
    }


CASES = {
    "spmv, 10 x 10": lambda: products(random_csr(10, 10, 3)),
    "spmv, 20k x 20k, 400k stored": lambda: products(random_csr(20_000, 20_000, 20)),
    "spmm, 20k x 20k, 400k stored, width 32": lambda: products(random_csr(20_000, 20_000, 20), 32),
    "fused chain and sum, 400k stored": lambda: chain(random_csr(20_000, 20_000, 20)),
    "logistic step, 256 x 20k, 60 a row, 20 classes": lambda: log_loss_step(random_csr(256, 20_000, 60), 20),
    "gradient on the pattern, 400k stored, width 32": lambda: gradient_on_pattern(
        random_csr(20_000, 20_000, 20), 32
    ),
}


def batch_size(run, target=2e-3):
    """How many calls last about `target` seconds."""
    start = time.perf_counter()
    run()
    return max(1, int(target / (time.perf_counter() - start + 1e-9)))


def check(runs):
    """Every contender must agree with SciPy."""
    wanted = runs["scipy"]()
    for name, run in runs.items():
        got = run()
        pairs = zip(wanted, got, strict=True) if isinstance(wanted, tuple) else [(wanted, got)]
        for a, b in pairs:
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-9, err_msg=name)


def measure(runs, rounds):
    """Seconds a call, per contender: one number a round."""
    sizes = {name: batch_size(run) for name, run in runs.items()}
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            for _ in range(sizes[name]):
                run()
            times[name].append((time.perf_counter() - start) / sizes[name])
    return times


def main():
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="run only the cases whose name holds one of these words")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1, help="of symsparse and of BLAS")
    args = parser.parse_args()
    numba.set_num_threads(args.threads)
    packages = ", ".join(f"{p} {version(p)}" for p in ("symsparse", "pytensor", "numba", "numpy", "scipy"))
    load = f"{os.cpu_count()} CPUs, {args.threads} thread(s), load {os.getloadavg()[0]:.1f}"
    print(f"Python {platform.python_version()}, {packages}; {load}")
    cases = {
        name: build
        for name, build in CASES.items()
        if not args.words or any(word in name for word in args.words)
    }
    if not cases:
        print(f"No case matches {args.words}; there are: {'; '.join(CASES)}.", file=sys.stderr)
        return 2
    for name, build in cases.items():
        with warnings.catch_warnings(), threadpool_limits(args.threads, user_api="blas"):
            warnings.simplefilter("ignore")  # pytensor.sparse runs some operations in Python and says so
            runs = build()
            check(runs)
            times = measure(runs, args.rounds)
        print(f"\n{name}\n  {'':18}{'fastest us':>12}{'median us':>12}{'median, x SciPy':>18}")
        base = statistics.median(times["scipy"])
        for contender, seconds in times.items():
            median = statistics.median(seconds)
            print(f"  {contender:18}{min(seconds) * 1e6:12.1f}{median * 1e6:12.1f}{base / median:18.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
