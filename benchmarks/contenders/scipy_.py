"""SciPy, and NumPy by hand where SciPy has no such operation. Everybody's results are checked against these."""

import numpy as np
import scipy
import scipy.sparse as sp
from scipy.special import expit


def start(threads):
    return {"scipy": scipy.__version__, "numpy": np.__version__}


def sampled(U, V, A, chunk=100_000):
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    out = np.empty(A.nnz, U.dtype)
    for i in range(0, A.nnz, chunk):
        part = slice(i, i + chunk)
        np.einsum("ik,ik->i", U[rows[part]], V[A.indices[part]], out=out[part])
    return out


def product_sorted(A, B):
    C = A @ B
    C.sort_indices()
    return sp.csr_array(C)


def gram(A):
    C = (A.T @ A).tocsr()
    C.sort_indices()
    return C


def scaled(A, r, c):
    out = A.data * np.repeat(r, np.diff(A.indptr))
    out *= c[A.indices]
    return out


def softmax(A, W, labels):
    hits = np.arange(A.shape[0]), labels
    scores = A @ W
    scores -= scores.max(axis=1, keepdims=True)
    slope = np.exp(scores)
    total = slope.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - scores[hits]).mean()
    slope /= total
    slope[hits] -= 1
    return loss, A.T @ slope / A.shape[0]


def factors(A, U, V):
    error = sampled(U, V, A) - A.data
    E = sp.csr_array((2 * error, A.indices, A.indptr), shape=A.shape)
    return error @ error, E @ V, E.T @ U


BUILD = {
    "scipy": {
        "spmv": lambda o: lambda A=o.A, x=o.x: A @ x,
        "spmvT": lambda o: lambda A=o.A, z=o.z: A.T @ z,
        "spmm": lambda o: lambda A=o.A, X=o.X: A @ X,
        "spmmT": lambda o: lambda A=o.A, Z=o.Z: A.T @ Z,
        "sddmm": lambda o: (
            lambda A=o.A, U=o.U, V=o.V: sp.csr_array((sampled(U, V, A), A.indices, A.indptr), shape=A.shape)
        ),
        "spgemm": lambda o: lambda A=o.A: product_sorted(A, A),
        "gram": lambda o: lambda A=o.A: gram(A),
        "add": lambda o: lambda A=o.A, B=o.B: A + B,
        "addsame": lambda o: lambda A=o.A, B=o.B: A + B,
        "tocsc": lambda o: lambda A=o.A: A.tocsc(),
        "chain": lambda o: lambda a=o.A.data: 3 * expit(2 * np.exp(a)),
        "scale": lambda o: lambda A=o.A, r=o.z, c=o.x: scaled(A, r, c),
        "sum": lambda o: lambda A=o.A: A.sum(),
        "sum0": lambda o: lambda A=o.A: A.sum(axis=0),
        "sum1": lambda o: lambda A=o.A: A.sum(axis=1),
        "rows": lambda o: lambda A=o.A, rows=o.some_rows: A[rows],
        "softmax": lambda o: lambda A=o.A, W=o.W, labels=o.labels: softmax(A, W, labels),
        "factors": lambda o: lambda A=o.A, U=o.U, V=o.V: factors(A, U, V),
        "gradient": lambda o: lambda A=o.A, D=o.X: 2 * sampled(A @ D, D, A),
    }
}


def plain(result, o):
    return result if isinstance(result, tuple) else (result,)


def stream():
    """128 MB read by a dot product of BLAS: what memory gives."""
    x, y = np.ones(8_000_000), np.ones(8_000_000)
    return (lambda: x @ y), x.nbytes + y.nbytes


def peak():
    """Floating-point operations of a dense product."""
    x = np.ones((768, 768))
    return (lambda: x @ x), 2 * 768**3
