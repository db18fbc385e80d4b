"""Derivatives in a direction, with respect to sparse matrices and of them."""

import numpy as np
import pytensor.gradient
import pytensor.tensor as pt
from pytensor import config
from pytensor.gradient import DisconnectedInputError

from symsparse.ops.base import error, is_disconnected, is_sparse, merged_shape, operand, sampled
from symsparse.ops.csm import CSM, csm_properties, replaced_values
from symsparse.ops.layout import sum_duplicates
from symsparse.types import brief, complex_dtypes, continuous_dtypes


def pushforward(
    f,
    wrt,
    tangents,
    disconnected_outputs="raise",
    return_disconnected="zero",
    use_op_pushforward=False,
):
    """Derivative of `f` in the direction `tangents` (Jacobian-vector product), for sparse and dense variables alike.

    It is `pytensor.gradient.pushforward`, which refuses sparse variables, and hands over to it if none is sparse.

    Parameters
    ----------
    f : variable, or list or tuple of variables
        What to differentiate; sparse or dense.
    wrt : variable, or list or tuple of variables
        With respect to what; sparse or dense.
    tangents : one for each of `wrt`
        Of a dense variable: of its shape. Of a sparse variable: a sparse matrix of any format and pattern, or a dense
        matrix, of its shape, of which the entries at the stored positions count; or a vector of one number for each
        stored value, in the order of ``x.values``.
    disconnected_outputs : {"raise", "warn", "ignore"}
        What to do if an output does not depend on `wrt`.
    return_disconnected : {"zero", "none", "disconnected"}
        What to return for it.
    use_op_pushforward : bool
        Go forward through the graph, operation by operation, instead of backward twice. With complex variables this is
        always done.

    Returns
    -------
    variable, or list or tuple, as `f`
        For each output its derivative: dense if it is dense; otherwise sparse, in its format and canonical pattern.

    Raises
    ------
    ValueError
        If there is not one tangent for each variable, or its dimensions do not fit.

    Notes
    -----
    Structured: a matrix moves within its pattern only. It costs a few times what `f` costs, and forms no dense matrix
    for a sparse one. Gradient: the result is a graph like any other.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x, y = ss.csr_matrix("x"), pt.vector("y")
    >>> direction = ss.pushforward(x @ y, wrt=x, tangents=ss.sp_ones_like(x))
    >>> direction.eval({x: sp.csr_array([[5.0, 0.0], [7.0, 9.0]]), y: [1.0, 2.0]})
    array([1., 3.])
    """
    outputs, inputs, given = (list(v) if isinstance(v, list | tuple) else [v] for v in (f, wrt, tangents))
    outputs, inputs, given = (
        [operand("pushforward", x, np.inf) for x in v] for v in (outputs, inputs, given)
    )
    for what, found, legal in (
        ("disconnected_outputs", disconnected_outputs, ("raise", "warn", "ignore")),
        ("return_disconnected", return_disconnected, ("zero", "none", "disconnected")),
    ):
        if not (isinstance(found, str) and found.lower() in legal):
            raise ValueError(f"pushforward: {what}={brief(found)} is not one of {legal}.")
    if len(inputs) != len(given):
        raise ValueError(
            f"pushforward: {len(inputs)} variables in wrt need as many tangents, not {len(given)}."
        )
    moves = [_tangent(x, t) for x, t in zip(inputs, given, strict=True)]
    # PyTensor's pullback takes no complex cotangents.
    is_complex = any(v.dtype in complex_dtypes for v in (*outputs, *inputs))
    compute = _forward if use_op_pushforward or is_complex else _backward_twice
    try:
        if not any(map(is_sparse, (*outputs, *inputs))):
            found = pytensor.gradient.pushforward(
                outputs, inputs, moves, disconnected_outputs, return_disconnected, use_op_pushforward
            )
        else:
            found = compute(outputs, inputs, moves, disconnected_outputs, return_disconnected)
    except DisconnectedInputError:
        raise error(
            "pushforward",
            [*outputs, *inputs],
            "an output does not depend on wrt, or not in a differentiable way",
            'Pass disconnected_outputs="ignore" if it may be so.',
            DisconnectedInputError,
        ) from None
    return type(f)(found) if isinstance(f, list | tuple) else found[0]


def _tangent(x, t):
    """The tangent `t` of `x`, of a sparse one on its canonical pattern."""
    if t.dtype in complex_dtypes and x.dtype not in complex_dtypes:
        raise error("pushforward", [x, t], "a real variable has no complex tangent", "Take its real part.")
    if is_sparse(x):
        if t.type.ndim == 2:
            merged_shape("pushforward", x, t)
        if not is_sparse(t) and t.type.ndim == 1:
            # Its length may be wrong: CSM checks it.
            t = CSM(x.format)(t, *csm_properties(x)[1:])
        elif t.type.ndim != 2:
            raise error(
                "pushforward", [x, t], "a tangent is neither a matrix nor a vector of values", kind=ValueError
            )
        t = sampled(t, x)
    elif is_sparse(t) or t.type.ndim != x.type.ndim:
        raise error(
            "pushforward",
            [x, t],
            "the tangent of a dense variable must be dense, of its rank",
            kind=ValueError,
        )
    return t.astype(x.dtype) if x.dtype in continuous_dtypes and t.dtype != x.dtype else t


# The pullback takes a cotangent c to J^T c. It is linear in c, so its own pullback takes a tangent t to J t, whatever c
# is. That of a sparse variable lies on its pattern: there the two are paired, value by value. And c has the pattern of
# its output: elsewhere that output never moves.
def _backward_twice(outputs, inputs, tangents, disconnected_outputs, return_disconnected):
    seeds, cotangents = [], []
    for out in outputs:
        dtype = out.dtype if out.dtype in continuous_dtypes else config.floatX
        if is_sparse(out):
            seeds.append(pt.zeros_like(sum_duplicates(out).values, dtype=dtype))
            cotangents.append(replaced_values(sum_duplicates(out), seeds[-1]))
        else:
            seeds.append(pt.zeros_like(out, dtype=dtype))
            cotangents.append(seeds[-1])
    found = pytensor.gradient.pullback(
        outputs, inputs, cotangents, disconnected_inputs=disconnected_outputs, return_disconnected="zero"
    )
    found = [sampled(g, x) if is_sparse(x) else g for x, g in zip(inputs, found, strict=True)]
    moved = pytensor.gradient.pullback(
        [_values(g) for g in found],
        seeds,
        [_values(t) for t in tangents],
        disconnected_inputs="ignore",
        return_disconnected=return_disconnected,
    )
    return [
        replaced_values(sum_duplicates(out), t) if is_sparse(out) and not is_disconnected(t) else t
        for out, t in zip(outputs, moved, strict=True)
    ]


def _values(x):
    return x.values if is_sparse(x) else x


def _forward(outputs, inputs, tangents, disconnected_outputs, return_disconnected):
    # PyTensor's own zero of a disconnected output is dense.
    found = pytensor.gradient._pushforward_direct(outputs, inputs, tangents, disconnected_outputs, "none")
    result = []
    for out, t in zip(outputs, found, strict=True):
        if t is not None:
            result.append(sampled(t, out) if is_sparse(out) else t)
        elif return_disconnected.lower() == "none":
            result.append(None)
        elif return_disconnected.lower() == "disconnected":
            result.append(pytensor.gradient.disconnected_type())
        else:
            result.append(out.zeros_like())
    return result


__all__ = ["pushforward"]
