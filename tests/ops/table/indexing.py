"""Indexing."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

ROWS = D("k", dtype="int64")  # row numbers, repeated or not

case(
    "get_item_list",
    ss.get_item_list,
    [S(), ROWS],
    lambda x, rows: x.dense[rows],
)
for label, index in {
    "rows": np.s_[1:4],
    "columns_backwards": np.s_[:, ::-1],
    "submatrix": np.s_[:-1, 3:0:-2],
}.items():
    case(
        f"get_item_2d_{label}",
        lambda x, at=index: ss.get_item_2d(x, at),
        [S()],
        lambda x, at=index: x.dense[at],
    )
case(
    "get_item_2d_symbolic_rows",
    lambda x, rows: x[rows.shape[0] : 0 : -1, 1:],
    [S(), ROWS],
    lambda x, rows: x.dense[len(rows) : 0 : -1, 1:],
)
case("get_item_2d_slice_and_list", lambda x, k: x.T[::-1, k], [S(), ROWS], lambda x, k: x.dense.T[::-1, k])
case(
    "get_item_2d_ix",
    lambda x, k: (x @ x.T)[k[:, None], k[None, ::-1]],
    [S(), ROWS],
    lambda x, k: (x.dense @ x.dense.T)[k[:, None], k[None, ::-1]],
)
case("get_item_2d_mask", lambda x, v: x[v > 0], [S(), D("m")], lambda x, v: x.dense[v > 0])
case(
    "get_item_2lists",
    lambda x, k: ss.get_item_2lists(x @ x.T, k, k[::-1]),
    [S(), ROWS],
    lambda x, k: (x.dense @ x.dense.T)[k, k[::-1]],
)
case("get_item_2lists_one_row", lambda x: x[-1], [S()], lambda x: x.dense[-1], structured=(0,), nonempty=True)
case(
    "get_item_scalar",
    lambda x: ss.get_item_scalar(x, (-1, 0)),
    [S()],
    lambda x: x.dense[-1, 0],
    structured=(0,),
    nonempty=True,
)


def added(x, at, g):
    """An array of the shape of x with g added at an index."""
    made = np.zeros(x.shape)
    np.add.at(made, at, g)
    return made


case(
    "get_item_list_grad",
    ss.get_item_list_grad,
    [S(), ROWS, S("kn")],
    lambda x, k, g: added(x.dense, k, g.dense),
)
case(
    "get_item_2lists_grad",
    lambda x, k, g: ss.get_item_2lists_grad(x @ x.T, k, k[::-1], g),
    [S(), ROWS, D("k")],
    lambda x, k, g: added(x.dense @ x.dense.T, (k, k[::-1]), g),
)
