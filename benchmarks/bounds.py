"""What bounds products with dense operands: ``python -m benchmarks.bounds``.

Each kernel runs on the uniform matrix, and on the same matrix with its columns folded into a few, so that what the
indices point at stays in the first-level cache: the same entries, arithmetic and bytes of the matrix, without the cost
of gathers. Writing the output alone, into new memory and into memory that was written before, bounds the rest.
CPU time of one thread, contenders in turn.
"""

import statistics
import time
from functools import partial

import numpy as np

from benchmarks import matrices
from symsparse.kernels import matmul, sampling
from symsparse.threads import set_num_threads

COLUMNS = 32
FEW = 64  # rows of the dense operand that all entries point at in the folded matrix
ROUNDS = 15


def products(A, folded):
    """Each product, with the matrix and with the folded one."""
    rng = np.random.default_rng(0)
    m, n = A.shape
    x, X, z, Z = (rng.normal(size=shape) for shape in (n, (n, COLUMNS), m, (m, COLUMNS)))

    calls = {
        "A @ x": lambda B, n: matmul.gather_vector(B.data, B.indices, B.indptr, x[:n], n),
        "A.T @ x": lambda B, n: matmul.scatter_vector(B.data, B.indices, B.indptr, z, n),
        f"A @ X, {COLUMNS} columns": lambda B, n: matmul.gather_matrix(B.data, B.indices, B.indptr, X[:n], n),
        f"A.T @ X, {COLUMNS} columns": lambda B, n: matmul.scatter_matrix(B.data, B.indices, B.indptr, Z, n),
        f"SDDMM, {COLUMNS} columns": lambda B, n: sampling.sddmm(B.indices, B.indptr, Z, X[:n], n),
    }
    return {name: [partial(call, B, B.shape[1]) for B in (A, folded)] for name, call in calls.items()}


def writes(shape):
    """Fill an output that is new, and one that was written before."""
    kept = np.zeros(shape)
    return lambda: np.empty(shape).fill(1), lambda: kept.fill(1)


def timed(functions):
    """Milliseconds of each function, best and median of the rounds."""
    times = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, own in zip(functions, times, strict=True):
            function()
            start = time.process_time()
            function()
            own.append(1e3 * (time.process_time() - start))
    return [f"{min(own):8.1f} {statistics.median(own):7.1f}" for own in times]


def main():
    """Print two tables: milliseconds, best and median."""
    set_num_threads(1)
    A = matrices.load("a")
    folded = type(A)((A.data, A.indices % FEW, A.indptr), shape=(A.shape[0], FEW))
    print(f"{'uniform, 60,000 x 50,000':>28} {'as it is':>16} {'folded':>16}")
    for name, functions in products(A, folded).items():
        print(f"{name:>28} {' '.join(timed(functions))}")
    print(f"{'output of the Laplacian':>28} {'new memory':>16} {'written before':>16}")
    for name, shape in (("A @ x", (360_000,)), (f"A @ X, {COLUMNS} columns", (360_000, COLUMNS))):
        print(f"{name:>28} {' '.join(timed(writes(shape)))}")


if __name__ == "__main__":
    main()
