"""Matrices made of blocks."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case


def diagonal_blocks(*blocks):
    out = np.zeros(np.sum([b.shape for b in blocks], axis=0))
    row = column = 0
    for b in blocks:
        out[row : row + b.shape[0], column : column + b.shape[1]] = b
        row, column = row + b.shape[0], column + b.shape[1]
    return out


for format in ("csr", "csc"):
    case(
        f"hstack_{format}",
        lambda x, y, z, f=format: ss.hstack([x, y, z], format=f),
        [S(), S("mk"), S()],
        lambda x, y, z: np.hstack([x.dense, y.dense, z.dense]),
        regular=(0, 1, 2),
    )
    case(
        f"vstack_{format}",
        lambda x, y, z, f=format: ss.vstack([x, y, z], format=f),
        [S(), S("kn"), S()],
        lambda x, y, z: np.vstack([x.dense, y.dense, z.dense]),
        regular=(0, 1, 2),
    )
case(
    "hstack_dense_twice",
    lambda x, d: ss.hstack([x, d, x], format="csr"),
    [S(), D("mk")],
    lambda x, d: np.hstack([x.dense, d, x.dense]),
    regular=(0,),
)
case(
    "block_diag",
    lambda x, y, d, s: ss.block_diag([x, s, y, d]),
    [S(), S("nk"), D("mk"), D("")],
    lambda x, y, d, s: diagonal_blocks(x.dense, np.atleast_2d(s), y.dense, d),
    regular=(0, 1),
)
case(
    "block_array",
    lambda x, y, d: ss.block_array([[x, None, None], [y, d, None], [None, None, x]]),
    [S(), S("kn"), D("km")],
    lambda x, y, d: diagonal_blocks(
        np.block([[x.dense, np.zeros((len(x.dense), d.shape[1]))], [y.dense, d]]), x.dense
    ),
    regular=(0, 1),
)
