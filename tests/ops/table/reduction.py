"""Sums and means."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import S, case

for axis in (None, 0, 1, -1):
    for sparse_grad in (False, True):
        case(
            f"sp_sum_axis_{axis}{'_structured' if sparse_grad else ''}",
            lambda x, a=axis, s=sparse_grad: ss.sp_sum(x, axis=a, sparse_grad=s),
            [S()],
            lambda x, a=axis: x.dense.sum(a),
            **({"structured": (0,)} if sparse_grad else {"regular": (0,)}),
        )
case(
    "mean",
    lambda x: x.mean(axis=0),
    [S()],
    lambda x: x.dense.sum(0) * np.divide(1.0, x.dense.shape[0] or np.nan),
)
