"""What each rewrite gains: the same graph compiled with and without it, called in turn.

    python -m benchmarks.rewrites [names]

CPU time of one thread, shortest and median of many rounds; the last column is without / with, of the medians.
"""

import sys
import time

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp

import symsparse as ss


def matrix(n, m, nnz, seed=0, format="csr"):
    rng = np.random.default_rng(seed)
    a = sp.coo_array((rng.normal(size=nnz), (rng.integers(0, n, nnz), rng.integers(0, m, nnz))), shape=(n, m))
    a = a.asformat(format)
    a.sum_duplicates()
    return a


def cases():
    """Name of a rewrite: inputs, outputs, updates, values."""
    rng = np.random.default_rng(0)
    n, k = 20_000, 32
    A, B = matrix(n, n, 200_000), matrix(n, n, 200_000, 1)
    dense, vector = rng.normal(size=(n, k)), rng.normal(size=n)
    x, y, d, v = (
        ss.csr_matrix("x", dtype="float64"),
        ss.csr_matrix("y", dtype="float64"),
        pt.dmatrix("d"),
        pt.dvector("v"),
    )
    small = matrix(1500, 1500, 15_000)
    e = pt.dmatrix("e")
    thin = rng.normal(size=(1500, 16))
    full = x.toarray()
    yield "usmm", [x, d], d - 0.1 * (x @ d), [], [A, dense]
    batch, weights = matrix(500, n, 5_000), pytensor.shared(dense.copy())
    g = pt.dmatrix("g")
    step = [(weights, weights - 0.1 * (x.T @ g))]
    yield "usmm_inplace", [x, g], [], step, [batch, rng.normal(size=(500, k))]
    yield "dense_product_of_densified", [x, e], full @ e, [], [small, thin]
    yield "product_with_densified", [x, y], ss.dot(x, y.toarray()).sum(), [], [small, small]
    yield "sum_of_densified", [x], full.sum(axis=0), [], [small]
    yield "index_of_densified", [x], full[3], [], [small]
    yield "diagonal_of_densified", [x], pt.diagonal(full), [], [small]
    yield "function_of_densified", [x], (full**2).sum(), [], [small]
    yield "sum_with_densified", [x, e], full + e, [], [small, rng.normal(size=(1500, 1500))]
    yield "product_with_densified_elementwise", [x, e], (full * (e @ e.T)).sum(), [], [small, thin]
    yield "scalar_out_of_product", [x, v], (x * 2.0) @ v, [], [A, vector]
    yield "column_scale_out_of_product", [x, v], ss.col_scale(x, v) @ v, [], [A, vector]
    yield "product_with_diagonal", [x, v], ss.diags(v) @ x, [], [A, vector]
    yield "product_with_column", [x, v], x @ v[:, None], [], [A, vector]
    yield "sampled_product", [x, y], pytensor.grad(ss.sp_sum(ss.sin(x @ y)), x), [], [A, B]
    yield "sample_of_linear", [x, y], ss.sample(x + y, x), [], [A, B]
    yield "sample_of_incremented", [x], pytensor.grad((full[3] ** 2).sum(), x), [], [small]
    yield "cheapest_order", [x, y, v], x @ y @ v, [], [A, B, vector]
    yield "format_that_does_not_matter", [x, v], x.tocsc() @ v, [], [A, vector]
    c = ss.csc_matrix("c", dtype="float64")
    yield "formats_of_sum", [x, c], (x + c + c.T + 2 * c).sum(axis=0), [], [A, A.tocsc()]
    yield "format_of_result", [c, v], (ss.constant(A) + c) @ v, [], [A.tocsc(), vector]
    yield "remove0_of_remove0", [x], ss.clean(ss.clean(x)), [], [A]


def seconds(f, values, rounds):
    start = time.thread_time()
    for _ in range(rounds):
        f(*values)
    return (time.thread_time() - start) / rounds


def main(names):
    numba.set_num_threads(1)
    print(f"{'rewrite':36}{'with, ms':>20}{'without, ms':>20}{'gain':>8}")
    print(f"{'':36}{'min     median':>20}{'min     median':>20}")
    for name, inputs, outputs, updates, values in cases():
        if names and name not in names:
            continue
        modes = (
            pytensor.compile.get_default_mode(),
            pytensor.compile.get_default_mode().excluding(f"symsparse_{name}"),
        )
        functions = [pytensor.function(inputs, outputs, updates=updates, mode=mode) for mode in modes]
        times = [[], []]
        for f in functions:
            f(*values)
        rounds = max(1, int(2e-3 / max(seconds(functions[0], values, 1), 1e-6)))
        for _ in range(15):
            for f, found in zip(functions, times, strict=True):
                found.append(1000 * seconds(f, values, rounds))
        (low, middle), (low_without, middle_without) = ((min(t), float(np.median(t))) for t in times)
        shown = f"{low:.3f}  {middle:8.3f}", f"{low_without:.3f}  {middle_without:8.3f}"
        print(f"{name:36}{shown[0]:>20}{shown[1]:>20}{middle_without / middle:7.1f}x", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
