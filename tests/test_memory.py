"""Never m x n: peak memory of compiled functions, measured in a process of their own."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import resource, sys
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp
import symsparse as ss

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def matrix(n, nnz):
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(0, n, nnz), rng.integers(0, n, nnz)
    a = sp.csr_array((rng.uniform(size=nnz), (rows, cols)), shape=(n, n))
    a.sort_indices()
    return a

def run(inputs, outputs, small, large):
    f = pytensor.function(inputs, outputs)
    f(*small)  # compiles
    before = peak()
    results = f(*large)
    arrays = [p for v in (*large, *results) for p in ((v.data, v.indices, v.indptr) if sp.issparse(v) else (v,))]
    print(peak() - before, sum(np.asarray(p).nbytes for p in arrays))

x, d, v = ss.csr_matrix("x", dtype="float64"), pt.matrix("d"), pt.vector("v")
n, k = 60_000, 16
small, large = matrix(50, 100), matrix(n, 400_000)
dense = lambda n: np.ones((n, k))
"""

# One m x n float64 array would take 28.8 GB.
CASES = {
    "gradient_of_a_product": """
        loss = ((x @ d) ** 2).sum()
        run([x, d], [loss, *pytensor.grad(loss, [x, d])], (small, dense(50)), (large, dense(n)))
    """,
    "regular_gradient_wrt_values": """
        loss = (ss.dot(ss.tanh(x), d) ** 2).sum()
        run([x, d], [loss, pytensor.grad(loss, x)], (small, dense(50)), (large, dense(n)))
    """,
    "sums_and_scalings": """
        y = ss.row_scale(ss.tanh(x), v)
        loss = (y.sum(axis=0) * v).sum() + (y.sum(axis=1) ** 2).sum() + ss.sp_sum(y * v)
        run([x, v], [loss, *pytensor.grad(loss, [x, v])], (small, np.ones(50)), (large, np.ones(n)))
    """,
    "sparse_arithmetic": """
        y = (x + 2 * x.T.tocsr()) * x - ss.sp_ones_like(x)
        run([x], [y, pytensor.grad(ss.sp_sum(y * x), x)], (small,), (large,))
    """,
    "sampled_product": """
        z = ss.sampling_dot(d, d * 2, x)
        loss = ss.sp_sum(z * z)
        run([x, d], [loss, *pytensor.grad(loss, [x, d])], (small, dense(50)), (large, dense(n)))
    """,
    "stacks": """
        blocks = [ss.sin(x), ss.tanh(x.T)]
        loss = (ss.dot(ss.hstack(blocks), pt.concatenate([d, d])) ** 2).sum()
        loss += ss.tril(ss.block_diag(blocks)).sum()
        run([x, d], [loss, pytensor.grad(loss, x)], (small, dense(50)), (large, dense(n)))
    """,
    "kronecker_product": """
        y = ss.kron(x, ss.diags([v, 1.0], [0, 1], shape=(3, 3)))
        run([x, v], [y, *pytensor.grad(ss.sp_sum(y * y), [x, v])], (small, np.ones(3)), (large, np.ones(3)))
    """,
    "indexing": """
        parts = [x[5:, ::-1], x[[3, 3, 1]], x[:, [0, 0, 7]], x[2:40, 5:].inc(2 * x[2:40, 5:])]
        loss = sum(ss.sp_sum(p * p) for p in parts) + (x[3] ** 2).sum() + x[:, 4].sum()
        loss += x[[1, 2], [2, 1]].sum() + x[7, 7]
        replaced = x[:-1].set(x[1:])
        run([x], [pytensor.grad(loss, x), replaced, x[3], x[:, 4]], (small,), (large,))
    """,
    "second_order": """
        loss = ((ss.tanh(x) @ d) ** 2).sum()
        (g,) = pytensor.grad(loss, [d])
        hvp = pytensor.grad((g * d).sum(), d)
        run([x, d], [hvp], (small, dense(50)), (large, dense(n)))
    """,
    "condition_on_a_product": """
        y = ss.where(pt.gt(d @ d.T, 8), x, 2 * x)
        loss = ss.sp_sum(y * y) + ss.sp_sum(ss.maximum(y, x.T.tocsr()))
        run([x, d], [loss, *pytensor.grad(loss, [x, d])], (small, dense(50)), (large, dense(n)))
    """,
    "regular_gradient_of_sums_read_on_a_pattern": """
        g = pytensor.grad((x.sum(axis=0) * v).sum() + (x.sum(axis=1) ** 2).sum() + x.mean(), x)
        assert isinstance(g.type, pt.TensorType)
        outputs = [x - 0.1 * ss.sample(g, x), ss.tanh(x) * g, ss.sp_sum(x * g)]
        loss = (x.max(axis=0) * v).sum() + x.min() + x.norm(axis=0).sum() + x.norm(1)
        run([x, v], [*outputs, pytensor.grad(loss, x)], (small, np.ones(50)), (large, np.ones(n)))
    """,
    "dense_forms_that_nobody_needs": """
        y = x.toarray()
        loss = (y * (d @ d.T)).sum() + (y**2).sum() + (abs(y - x.T.toarray()) * 2).sum() + y[3].sum() + y[2, 1]
        loss += pt.diagonal(y).sum() + ((y @ d) ** 2).sum() + (y.T[2:9] ** 2).sum() + pt.tanh(y[:, [0, 1, 0]]).sum()
        run([x, d], [loss, *pytensor.grad(loss, [x, d])], (small, dense(50)), (large, dense(n)))
    """,
    # x @ x would take 32 MB, and the product that its gradient samples 230 MB.
    "products_read_on_a_pattern": """
        y, z = ss.sin(x), ss.tanh(x)
        loss = ss.sp_sum(ss.true_dot(y, d) * ss.true_dot(y, d)) + ((y @ z @ d) ** 2).sum()
        gradients = pytensor.grad(loss, [x, d])
        run([x, d], [loss, *gradients, ss.sample(y @ z, x)], (small, dense(50)), (large, dense(n)))
    """,
    # Only the gradient counts as output here, and m, of 512 MB, is no input that may be copied.
    "row_sparse_gradient": """
        rows = pt.lvector("rows")
        g = pytensor.grad((ss.sparse_grad(d[rows]) ** 2).sum(), d)
        f = pytensor.function([d, rows], g)
        table, places = np.zeros((1_000_000, 64)), np.random.default_rng(0).integers(0, 1_000_000, 1000)
        f(table[:50], places % 50)
        before = peak()
        found = f(table, places)
        assert found.shape == table.shape and found.nnz <= places.size * 64
        print(peak() - before, found.data.nbytes + found.indices.nbytes + found.indptr.nbytes)
    """,
}


# name: how the loss reads x and d
REFERENCE = {
    "structured": "((x @ d) ** 2).sum(), x",
    "regular": "(ss.dot(ss.CSR(v, *ss.csm_properties(x)[1:]), d) ** 2).sum(), v",
    "dense forms": "((ss.sin(x).toarray() @ d)**2).sum() + (x.toarray() * (d[:, :8] @ d[:, :8].T)).sum(), x",
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak resident size of a process")
@pytest.mark.parametrize("case", REFERENCE)
def test_the_reference_case_runs_in_the_memory_of_its_operands(case):
    """110,000 x 110,000, 860,000 entries, 200 columns: one dense gradient would take 97 GB."""
    program = PROGRAM + textwrap.dedent("""
        n, k = 110_000, 200
        large = matrix(n, 860_000)
        x, d, v = ss.csr_matrix("x", dtype="float64"), pt.matrix("d"), pt.vector("v")
        loss, wrt = {}
        inputs = [x, d] if wrt is x else [x, d, v]
        arrays = lambda a, rows: [a, np.ones((rows, k)), a.data][: len(inputs)]
        run(inputs, [loss, pytensor.grad(loss, wrt)], arrays(small, 50), arrays(large, n))
    """).replace("{}", REFERENCE[case])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    grown, in_and_out = map(int, done.stdout.split()[-2:])
    assert grown < 4 * in_and_out, f"{grown / 1e6:.0f} MB for {in_and_out / 1e6:.0f} MB of inputs and outputs"


@pytest.mark.skipif(sys.platform == "win32", reason="needs the peak resident size of a process")
@pytest.mark.parametrize("case", CASES)
def test_peak_memory_is_that_of_inputs_and_outputs(case):
    program = PROGRAM + textwrap.dedent(CASES[case])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    grown, in_and_out = map(int, done.stdout.split()[-2:])
    assert grown < 4 * in_and_out + 50e6, (
        f"{grown / 1e6:.0f} MB for {in_and_out / 1e6:.0f} MB of inputs and outputs"
    )
