"""Replacing and increasing a selection."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case
from tests.ops.table.indexing import ROWS


def updates(name, build, operands, key, only=("set", "inc"), **kwargs):
    """A case for set and one for inc: ``build(update, x, *index, y)``, and the NumPy index that it means."""

    def replaced(x, *rest):
        made = x.dense.copy()
        made[key(*rest[:-1])] = getattr(rest[-1], "dense", rest[-1])
        return made

    def increased(x, *rest):
        made = x.dense.copy()
        np.add.at(made, key(*rest[:-1]), getattr(rest[-1], "dense", rest[-1]))
        return made

    for update, oracle in (("set", replaced), ("inc", increased)):
        if update not in only:
            continue
        function = getattr(ss, f"{update}_subtensor")
        case(
            f"{update}_subtensor_{name}",
            lambda *args, f=function: build(f, *args),
            operands,
            oracle,
            **kwargs,
        )


updates("rows", lambda f, x, k, y: f(x[k], y), [S(), ROWS, S("kn")], lambda k: k)
updates("rows_dense", lambda f, x, k, y: f(x[k], y), [S(), ROWS, D("kn")], lambda k: k, only=("set",))
updates("columns", lambda f, x, y: f(x[:, ::-1], y), [S(), S()], lambda: np.s_[:, ::-1], only=("set",))
updates(
    "submatrix_scalar",
    lambda f, x, y: f(x[1:3, :2], y),
    [S(), D("")],
    lambda: np.s_[1:3, :2],
    only=("set",),
)
updates(
    "submatrix_row",
    lambda f, x, k, y: f(x[k, ::-1], y),
    [S(), ROWS, D("1n", static=(1, None))],
    lambda k: np.s_[k, ::-1],
    only=("inc",),
)
updates("row", lambda f, x, y: f(x[-1], y), [S(), D("n")], lambda: -1, only=("set",), nonempty=True)
updates("pairs", lambda f, x, k, y: f(x[k, -1], y), [S(), ROWS, D("k")], lambda k: (k, -1), nonempty=True)
