"""Choosing between entries, and rows with a row-sparse gradient."""

import numpy as np
import pytensor.tensor as pt

import symsparse as ss
from tests.ops.table.base import D, S, case

case(
    "maximum",
    ss.maximum,
    [S(), S()],
    lambda x, y: np.maximum(x.dense, y.dense),
    structured=(0, 1),
    smooth_at_zero=False,
)
case(
    "minimum",
    ss.minimum,
    [S(), S()],
    lambda x, y: np.minimum(x.dense, y.dense),
    structured=(0, 1),
    smooth_at_zero=False,
)
case(
    "maximum_same_pattern",
    ss.maximum,
    [S(), S(same_pattern_as=0)],
    lambda x, y: np.maximum(x.dense, y.dense),
    structured=(0, 1),
)
case(
    "maximum_scalar",
    lambda x: ss.maximum(-0.25, x),
    [S()],
    lambda x: np.maximum(x.dense, -0.25),
    structured=(0,),
)

for label, operand in {
    "matrix": D("mn"),
    "vector": D("n"),
    "row": D("1n", static=(1, None)),
    "column": D("m1", static=(None, 1)),
    "scalar": D(""),
}.items():
    case(
        f"where_{label}",
        lambda c, x: ss.where(pt.gt(c, 0.1), x),
        [operand, S()],
        lambda c, x: np.where(c > 0.1, x.dense, 0),
        structured=(1,),
    )
case(
    "where_matrix_else_sparse",
    lambda c, x, y: ss.where(pt.gt(c, 0.1), x, y),
    [D("mn"), S(), S()],
    lambda c, x, y: np.where(c > 0.1, x.dense, y.dense),
    structured=(1, 2),
)
case(
    "where_else_scalar",
    ss.where,
    [S(), S(), D("")],
    lambda c, x, y: np.where(x.stored, np.where(c.dense != 0, x.dense, y), 0),
    structured=(1,),
    smooth_at_zero=False,
)
case(
    "where_sparse",
    ss.where,
    [S(), S(), S()],
    lambda c, x, y: np.where(c.dense != 0, x.dense, y.dense),
    structured=(1, 2),
    smooth_at_zero=False,
)
case(
    "sparse_grad",
    lambda m, rows: ss.sparse_grad(m[rows]),
    [D("mn"), D("k", dtype="int64")],
    lambda m, rows: m[rows],
)
