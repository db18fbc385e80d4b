"""Sums, means, extremes, norms."""

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


def mean(dense, axis=None):
    """Of no numbers NaN, without a warning."""
    n = dense.size if axis is None else dense.shape[axis]
    return dense.sum(axis) * np.divide(1.0, n or np.nan)


case("sp_mean", ss.sp_mean, [S()], lambda x: mean(x.dense), regular=(0,))
case("mean_axis", lambda x: x.mean(axis=0), [S()], lambda x: mean(x.dense, 0), regular=(0,))
case(
    "sp_mean_structured",
    lambda x: ss.sp_mean(x, axis=-1, sparse_grad=True),
    [S()],
    lambda x: mean(x.dense, 1),
    structured=(0,),
)


def extreme(reduce, dense, axis=None):
    """`numpy.max` or `min`; where they raise an error, anything of the shape that the result would have."""
    return (
        reduce(dense, axis=axis) if (dense.size if axis is None else dense.shape[axis]) else dense.sum(axis)
    )


# Of no rows the columns have no extreme, but no column is no error.
NO_EXTREME = {None: ("no_rows", "no_columns"), 0: ("no_rows",), 1: ("no_columns",)}
for function, reduce, axes in ((ss.sp_max, np.max, (None, 0, 1)), (ss.sp_min, np.min, (0,))):
    for axis in axes:
        case(
            f"{function.__name__}_axis_{axis}",
            lambda x, a=axis, f=function: f(x, axis=a),
            [S()],
            lambda x, a=axis, f=reduce: extreme(f, x.dense, a),
            structured=(0,),
            smooth_at_zero=False,
            refuses=NO_EXTREME[axis],
        )
case("trace", ss.trace, [S()], lambda x: np.trace(x.dense), regular=(0,))
for axis in (None, 0):
    case(
        f"norm_euclidean_axis_{axis}",
        lambda x, a=axis: ss.norm(x, axis=a),
        [S()],
        lambda x, a=axis: np.sqrt((x.dense**2).sum(a)),
        structured=(0,),
        smooth_at_zero=False,
    )
case(
    "norm_1",
    lambda x: ss.norm(x, 1),
    [S()],
    lambda x: extreme(np.max, abs(x.dense).sum(0)),
    structured=(0,),
    smooth_at_zero=False,
    refuses=("no_columns",),
)
case(
    "norm_inf_axis_1",
    lambda x: x.norm(np.inf, 1),
    [S()],
    lambda x: extreme(np.max, abs(x.dense), 1),
    structured=(0,),
    smooth_at_zero=False,
    refuses=NO_EXTREME[1],
)
