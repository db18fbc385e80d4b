"""What is timed on the user's matrix: each kernel as a compiled function, and the same in SciPy."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp

import symsparse as ss
from symsparse.ops.elementwise import sin, sqr
from symsparse.ops.sampling import sampling_dot
from symsparse.ops.scaling import col_scale, row_scale

MOST_PRODUCTS = 200_000_000  # multiply-adds of A @ A, beyond which it is left out
CHUNK = 100_000  # entries sampled at a time in NumPy


@dataclass(frozen=True)
class Kernel:
    """A kernel: its graph, its other operands, the same in SciPy, and what it must do at least."""

    name: str
    graph: Callable[..., Any]
    operands: tuple[np.ndarray, ...]
    by_hand: Callable[..., Any]
    bytes_moved: Callable[[Any], int]
    flops: int | None = None

    def compiled(self, A: sp.csr_array) -> Callable[[], Any]:
        """Compile the graph for a sparse input; the result takes no arguments."""
        X = ss.matrix("csr", dtype=A.dtype, index_dtype=A.indices.dtype.name)
        others = [pt.tensor(dtype=value.dtype, shape=(None,) * value.ndim) for value in self.operands]
        function = pytensor.function([X, *others], self.graph(X, *others))
        return lambda: function(A, *self.operands)

    def in_scipy(self, A: sp.csr_array) -> Callable[[], Any]:
        """Return the reference; it takes no arguments."""
        return lambda: self.by_hand(A, *self.operands)


def kernels(A: sp.csr_array, columns: int) -> list[Kernel]:
    """List the kernels that make sense for `A`; dense operands have so many columns."""
    m, n = A.shape
    s, pattern, whole = A.dtype.itemsize, A.indices.nbytes + A.indptr.nbytes, _size(A)
    rng = np.random.default_rng(0)

    def dense(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(A.dtype)

    x, z, X, Z = dense(n), dense(m), dense(n, columns), dense(m, columns)
    product = 2 * A.nnz * (4 if A.dtype.kind == "c" else 1)
    slim, wide = whole + s * (m + n), whole + s * columns * (m + n)
    found = [
        Kernel("A @ x", lambda A, x: A @ x, (x,), lambda A, x: A @ x, lambda _: slim, product),
        Kernel("A.T @ z", lambda A, z: A.T @ z, (z,), lambda A, z: A.T @ z, lambda _: slim, product),
        Kernel("A @ X", lambda A, X: A @ X, (X,), lambda A, X: A @ X, lambda _: wide, product * columns),
        Kernel(
            "A.T @ Z", lambda A, Z: A.T @ Z, (Z,), lambda A, Z: A.T @ Z, lambda _: wide, product * columns
        ),
        Kernel(
            "A * (Z @ X.T)",
            lambda A, Z, X: sampling_dot(Z, X, A),
            (Z, X),
            sampled,
            lambda out: wide + _size(out),
            product * columns,
        ),
        Kernel("A.tocsc()", lambda A: A.tocsc(), (), lambda A: A.tocsc(), lambda out: whole + _size(out)),
        Kernel(
            "A + A[::-1]",
            lambda A: A + A[::-1],
            (),
            lambda A: A + A[::-1],
            lambda out: 2 * whole + _size(out),
        ),
        Kernel(
            "3 sin(a)^2",
            lambda A: (3 * sqr(sin(A))).values,
            (),
            lambda A: 3 * np.sin(A.data) ** 2,
            lambda out: 2 * out.nbytes,
        ),
        Kernel(
            "diag(z) A diag(x)",
            lambda A, z, x: col_scale(row_scale(A, z), x).values,
            (z, x),
            lambda A, z, x: A.data * np.repeat(z, np.diff(A.indptr)) * x[A.indices],
            lambda out: pattern + 2 * out.nbytes + s * (m + n),
        ),
        Kernel(
            "A.sum(axis=0)",
            lambda A: A.sum(axis=0),
            (),
            lambda A: A.sum(axis=0),
            lambda out: whole + out.nbytes,
        ),
        Kernel(
            "A.sum(axis=1)",
            lambda A: A.sum(axis=1),
            (),
            lambda A: A.sum(axis=1),
            lambda out: whole + out.nbytes,
        ),
    ]
    products = int(np.diff(A.indptr).astype(np.int64)[A.indices].sum()) if m == n else 0
    if 0 < products <= MOST_PRODUCTS:
        flops = products * product // A.nnz
        found.append(
            Kernel("A @ A, sorted", lambda A: A @ A, (), squared, lambda out: 2 * whole + _size(out), flops)
        )
    return found


def sampled(A: sp.csr_array, Z: np.ndarray, X: np.ndarray) -> sp.csr_array:
    """A times Z @ X.T, formed at A's entries only."""
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    values = np.empty(A.nnz, A.dtype)
    for start in range(0, A.nnz, CHUNK):
        part = slice(start, start + CHUNK)
        np.einsum("ik,ik->i", Z[rows[part]], X[A.indices[part]], out=values[part])
    values *= A.data
    return sp.csr_array((values, A.indices, A.indptr), shape=A.shape)


def squared(A: sp.csr_array) -> sp.csr_array:
    """A @ A with sorted indices, as symsparse gives it."""
    product = A @ A
    product.sort_indices()
    return product


def agree(ours: Any, reference: Any) -> bool:
    """Compare two results element by element, relative to the element and to the largest one; NaN agrees with NaN."""
    if sp.issparse(reference):
        difference = sp.csr_array(ours) - sp.csr_array(reference)
        with np.errstate(invalid="ignore"):
            off, size = np.abs(difference.data), np.abs(reference.data)
        if np.isfinite(size).all():
            return bool((off <= 1e-9 * size.max(initial=0)).all())
        a, b = (sp.csr_array(matrix, copy=True) for matrix in (ours, reference))
        for matrix in (a, b):
            matrix.sum_duplicates()
        same = np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices)
        return same and bool(np.allclose(a.data, b.data, rtol=1e-9, equal_nan=True))
    ours, reference = np.asarray(ours), np.asarray(reference)
    finite = np.abs(reference[np.isfinite(reference)]).max(initial=0)
    return ours.shape == reference.shape and bool(
        np.allclose(ours, reference, rtol=1e-9, atol=1e-9 * finite, equal_nan=True)
    )


def _size(A: Any) -> int:
    return A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
