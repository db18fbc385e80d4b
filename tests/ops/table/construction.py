"""Matrices made from sizes, diagonals and parts of others."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

case("tril", ss.tril, [S()], lambda x: np.tril(x.dense), regular=(0,))
case("tril_above", lambda x: ss.tril(x, x.nnz * 0 + 1), [S()], lambda x: np.tril(x.dense, 1), regular=(0,))
case("triu_below", lambda x: ss.triu(x, -2), [S()], lambda x: np.triu(x.dense, -2), regular=(0,))


def length(m, n, k):
    return max(0, min(m + min(k, 0), n - max(k, 0)))


def diagonal(dense, k):
    """NumPy refuses a diagonal outside the matrix."""
    padded = np.pad(dense, ((0, 9), (0, 9)))
    return np.diagonal(padded, k)[: length(*dense.shape, k)]


for k in (1, -2):
    case(
        f"diagonal_{k}",
        lambda x, k=k: x.diagonal(k),
        [S()],
        lambda x, k=k: diagonal(x.dense, k),
        regular=(0,),
    )


def banded(m, n, *diagonals):
    """Dense matrix from (offset, scalar or vector) pairs."""
    out = np.zeros((m, n))
    for k, d in diagonals:
        rows = np.arange(length(m, n, k)) + max(-k, 0)
        out[rows, rows + k] = d
    return out


case(
    "diags_csr",
    lambda a, b, c, d: ss.diags([a, b, c, d], offsets=[1, -1, 0, 2], shape=(a.shape[0] + 1, a.shape[0] + 1)),
    [D("m"), D("m"), D(""), D("1", static=(1,))],
    lambda a, b, c, d: banded(len(a) + 1, len(a) + 1, (1, a), (-1, b), (0, c), (2, d)),
)
case(
    "diags_csc",
    lambda d, s: ss.diags([s, d], offsets=[2, 0], shape=(d.shape[0], d.shape[0] + 3), format="csc"),
    [D("m"), D("")],
    lambda d, s: banded(len(d), len(d) + 3, (2, s), (0, d)),
)
case(
    "eye",
    lambda x: x * ss.eye(*x.shape, k=1, dtype="float64"),
    [S()],
    lambda x: x.dense * np.eye(*x.dense.shape, k=1),
)
