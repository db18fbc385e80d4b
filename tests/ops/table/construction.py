"""Matrices made from sizes, diagonals and parts of others."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

for k in (0, 1, -2):
    case(f"tril_{k}", lambda x, k=k: ss.tril(x, k), [S()], lambda x, k=k: np.tril(x.dense, k), regular=(0,))
    case(f"triu_{k}", lambda x, k=k: ss.triu(x, k), [S()], lambda x, k=k: np.triu(x.dense, k), regular=(0,))
    case(
        f"diagonal_{k}",
        lambda x, k=k: x.diagonal(k),
        [S()],
        # NumPy refuses a diagonal outside the matrix.
        lambda x, k=k: np.diagonal(
            np.pad(x.dense, ((0, 9 - x.dense.shape[0]), (0, 9 - x.dense.shape[1]))), k
        )[: max(0, min(x.dense.shape[0] + min(k, 0), x.dense.shape[1] - max(k, 0)))],
        regular=(0,),
    )
case(
    "tril_symbolic", lambda x: ss.tril(x, x.nnz * 0 - 1), [S()], lambda x: np.tril(x.dense, -1), regular=(0,)
)


def banded(m, n, *diagonals):
    """Dense matrix from (offset, scalar or vector) pairs."""
    out = np.zeros((m, n))
    for k, d in diagonals:
        rows = np.arange(max(-k, 0), max(-k, 0) + max(0, min(m + min(k, 0), n - max(k, 0))))
        out[rows, rows + k] = d
    return out


for format in ("csr", "csc"):
    case(
        f"diags_{format}",
        lambda a, b, c, d, f=format: ss.diags(
            [a, b, c, d], offsets=[1, -1, 0, 2], shape=(a.shape[0] + 1, a.shape[0] + 1), format=f
        ),
        [D("m"), D("m"), D(""), D("1", static=(1,))],
        lambda a, b, c, d: banded(len(a) + 1, len(a) + 1, (1, a), (-1, b), (0, c), (2, d)),
    )
    case(
        f"diags_wide_{format}",
        lambda d, s, f=format: ss.diags([s, d], offsets=[2, 0], shape=(d.shape[0], d.shape[0] + 3), format=f),
        [D("m"), D("")],
        lambda d, s: banded(len(d), len(d) + 3, (2, s), (0, d)),
    )
    case(
        f"eye_{format}",
        lambda x, f=format: x * ss.eye(*x.shape, k=1, dtype="float64", format=f),
        [S()],
        lambda x: x.dense * np.eye(*x.dense.shape, k=1),
    )
case("diags_alone", lambda d: ss.diags(d, offsets=-2), [D("m")], lambda d: np.diag(d, -2))
