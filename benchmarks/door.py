"""Time the check of a sparse input beside a product with it: ``python -m benchmarks.door``.

The first check of an object reads its indices twice; when the same object comes again, only its identity is looked at.
CPU time of one thread, contenders in turn.
"""

import statistics
import time

import numpy as np
import scipy.sparse as sp

from symsparse.types import CHECKED, SparseTensorType

SIZES = [(1_000, 10), (10_000, 10), (40_000, 10), (4_000, 100), (100_000, 30)]  # rows, entries in each


def matrix(n, per_row):
    rng = np.random.default_rng(0)
    indices = np.sort(rng.integers(0, n, (n, per_row)), axis=1).astype("int32").reshape(-1)
    indptr = np.arange(0, n * per_row + 1, per_row, dtype="int32")
    A = sp.csr_array((np.ones(n * per_row), indices, indptr), shape=(n, n))
    A.sum_duplicates()
    return A


def timed(function, rounds):
    start = time.thread_time()
    for _ in range(rounds):
        function()
    return (time.thread_time() - start) / rounds


def main():
    """Print one row for each size: microseconds, best and median of the batches."""
    type = SparseTensorType("csr", "float64")
    print(f"{'rows':>8} {'entries':>9}   {'first check':>19} {'same object again':>19} {'SciPy product':>19}")
    for n, per_row in SIZES:
        A, x = matrix(n, per_row), np.ones(n)

        def first(A=A):
            A.__dict__.pop(CHECKED, None)
            type.filter(A)

        def again(A=A):
            type.filter(A)

        def product(A=A, x=x):
            return A @ x

        few = max(1, 200_000 // A.nnz)
        batches = [(timed(first, few), timed(again, 2_000), timed(product, few)) for _ in range(15)]
        cells = [f"{min(t) * 1e6:9.2f} {statistics.median(t) * 1e6:9.2f}" for t in zip(*batches, strict=True)]
        print(f"{n:>8} {A.nnz:>9}   {' '.join(cells)}")


if __name__ == "__main__":
    main()
