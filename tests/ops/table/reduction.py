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
for axis in (None, 0, 1):
    for function, dense_function in ((ss.sp_max, np.max), (ss.sp_min, np.min)):
        case(
            f"{function.__name__}_axis_{axis}",
            lambda x, a=axis, f=function: f(x, axis=a),
            [S()],
            lambda x, a=axis, f=dense_function: extreme(f, x.dense, a),
            structured=(0,),
            smooth_at_zero=False,
            refuses=NO_EXTREME[axis],
        )
case("trace", ss.trace, [S()], lambda x: np.trace(x.dense), regular=(0,))
for axis in (None, 0, 1):
    case(
        f"norm_euclidean_axis_{axis}",
        lambda x, a=axis: ss.norm(x, axis=a),
        [S()],
        lambda x, a=axis: np.sqrt((x.dense**2).sum(a)),
        structured=(0,),
        smooth_at_zero=False,
    )
for order in (1, -1, np.inf, -np.inf):
    reduce, axis = np.max if order > 0 else np.min, int(np.isinf(order))
    case(
        f"norm_{order}",
        lambda x, o=order: ss.norm(x, o),
        [S()],
        lambda x, a=axis, f=reduce: extreme(f, abs(x.dense).sum(a)),
        structured=(0,),
        smooth_at_zero=False,
        refuses=("no_rows",) if axis else ("no_columns",),
    )
for axis, order, reduce in ((0, 1, np.sum), (1, np.inf, np.max), (0, -np.inf, np.min)):
    case(
        f"norm_{order}_axis_{axis}",
        lambda x, o=order, a=axis: x.norm(o, a),
        [S()],
        lambda x, a=axis, f=reduce: extreme(f, abs(x.dense), a),
        structured=(0,),
        smooth_at_zero=False,
        refuses=NO_EXTREME[axis] if order != 1 else (),
    )
