"""JAX: all jitted; BCSR for A @ x, BCOO or coordinates elsewhere. SpGEMM of BCOO, which needs nnz^2, is left out."""

import os
from pathlib import Path

import numpy as np


def start(threads):
    # XLA makes as many threads as this process may use CPUs: fewer at that moment, all afterwards.
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()  # Linux only
    if allowed:
        os.sched_setaffinity(0, sorted(allowed)[:threads])
    global jax, jnp, sparse
    import jax
    import jax.numpy as jnp
    from jax.experimental import sparse

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_enable_x64", True)
    jax.jit(lambda x: (x @ x).sum())(jnp.ones((300, 300))).block_until_ready()
    if allowed:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), allowed)
    return {"jax": jax.__version__}


def timed(function, *values):
    compiled = jax.jit(function)
    values = jax.tree.map(jnp.asarray, values)
    return lambda: jax.block_until_ready(compiled(*values))


def bcsr(A):
    return sparse.BCSR.from_scipy_sparse(A)


def coordinates(A):
    rows = np.repeat(np.arange(A.shape[0], dtype=np.int32), np.diff(A.indptr))
    return rows, A.indices


def bcoo(A):
    pairs = jnp.asarray(np.stack(coordinates(A), axis=1))
    return sparse.BCOO((jnp.asarray(A.data), pairs), shape=A.shape, indices_sorted=True, unique_indices=True)


def union(o):
    nse = (abs(o.A) + abs(o.B)).nnz
    return timed(lambda A, B: (A + B).sum_duplicates(nse=nse), bcoo(o.A), bcoo(o.B))


def tocsc(o):
    def run(values, rows, columns):
        order = jnp.argsort(columns, stable=True)
        counts = jnp.zeros(o.A.shape[1] + 1, jnp.int32).at[columns + 1].add(1)
        return values[order], rows[order], jnp.cumsum(counts)

    return timed(run, o.A.data, *coordinates(o.A))


def sampled(U, V, rows, columns):
    return (U[rows] * V[columns]).sum(axis=1)


def softmax(o):
    def loss(W, A, labels):
        scores = jax.nn.log_softmax(A @ W, axis=1)
        return -scores[jnp.arange(labels.shape[0]), labels].mean()

    return timed(jax.value_and_grad(loss), o.W, bcoo(o.A), o.labels)


def factors(o):
    def loss(weights, values, rows, columns):
        error = sampled(*weights, rows, columns) - values
        return (error**2).sum()

    return timed(jax.value_and_grad(loss), (o.U, o.V), o.A.data, *coordinates(o.A))


def gradient(o):
    A = bcoo(o.A)

    def loss(values, pairs, D):
        return ((sparse.BCOO((values, pairs), shape=A.shape) @ D) ** 2).sum()

    return timed(jax.grad(loss), A.data, A.indices, o.X)


def rows(o):
    start, stop = o.some_rows.start, o.some_rows.stop
    return timed(lambda A: A[start:stop], bcoo(o.A))


def summed(axis):
    def build(o):
        return timed(
            lambda a, i: jax.ops.segment_sum(a, i, o.A.shape[axis], indices_are_sorted=axis == 0),
            o.A.data,
            coordinates(o.A)[axis],
        )

    return build


BUILD = {
    "jax": {
        "spmv": lambda o: timed(lambda A, x: A @ x, bcsr(o.A), o.x),
        "spmvT": lambda o: timed(lambda A, z: A.T @ z, bcoo(o.A), o.z),
        "spmm": lambda o: timed(lambda A, X: A @ X, bcsr(o.A), o.X),
        "spmmT": lambda o: timed(lambda A, Z: A.T @ Z, bcoo(o.A), o.Z),
        "sddmm": lambda o: timed(sampled, o.U, o.V, *coordinates(o.A)),
        "add": union,
        "addsame": union,
        "tocsc": tocsc,
        "chain": lambda o: timed(lambda a: 3 * jax.nn.sigmoid(2 * jnp.exp(a)), o.A.data),
        "scale": lambda o: timed(
            lambda a, i, j, r, c: a * r[i] * c[j], o.A.data, *coordinates(o.A), o.z, o.x
        ),
        "sum": lambda o: timed(jnp.sum, o.A.data),
        "sum0": summed(1),
        "sum1": summed(0),
        "rows": rows,
        "softmax": softmax,
        "factors": factors,
        "gradient": gradient,
    }
}


def plain(result, o):
    import scipy.sparse as sp

    if o.case.kernel == "tocsc":
        return (sp.csc_array(tuple(map(np.asarray, result)), shape=o.A.shape),)
    if o.case.kernel == "sddmm":
        return (sp.csr_array((np.asarray(result), o.A.indices, o.A.indptr), shape=o.A.shape),)
    if isinstance(result, sparse.BCOO):
        pairs = np.asarray(result.indices)
        inside = (pairs < np.array(result.shape)).all(axis=1)  # padding lies outside
        entries = np.asarray(result.data)[inside], tuple(pairs[inside].T)
        return (sp.coo_array(entries, shape=result.shape).tocsr(),)
    return tuple(np.asarray(part) for part in jax.tree.leaves(result))
