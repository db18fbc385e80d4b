"""Second order and forward mode of every op of the table, wrt the values of sparse operands and wrt dense ones."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.ops.base import is_sparse
from tests.ops.generate import lowered_mode, values
from tests.ops.table import CASES
from tests.ops.test_table import dense_form, formats_of

SMOOTH = [case for case in CASES if case.gradient and not case.tolerance]


def leaves_and_operands(case, point, formats):
    """Dense leaf variables, and the operands made of them: a sparse operand from its values on a constant pattern."""
    leaves, operands, start = [], [], []
    formats = iter(formats)
    for operand, value in zip(case.operands, point, strict=True):
        if operand.sparse:
            leaf = pt.vector()
            shape = np.array(value.shape)
            operands.append(ss.CSM(next(formats))(leaf, value.indices, value.indptr, shape))
            start.append(value.data)
        elif operand.dtype == "int64":
            operands.append(pt.constant(value))
            continue
        else:
            leaf = pt.tensor(dtype="float64", shape=operand.static or value.shape)
            operands.append(leaf)
            start.append(value)
        leaves.append(leaf)
    return leaves, operands, start


def moved(start, directions, h):
    return [a + h * d for a, d in zip(start, directions, strict=True)]


@pytest.mark.parametrize(
    ("format", "mode"),
    [("csr", lowered_mode), ("csc", lowered_mode), pytest.param("csc", None, marks=pytest.mark.slow)],
    ids=["csr-lowered", "csc-lowered", "csc-numba"],
)
@pytest.mark.parametrize("case", SMOOTH, ids=[case.name for case in SMOOTH])
def test_second_order_and_forward_mode(case, format, mode):
    formats = formats_of(case, format, mixed=True)
    point = values(case, formats, "plain")
    leaves, operands, start = leaves_and_operands(case, point, formats)
    out = case.build(*operands)
    rng = np.random.default_rng(2)
    directions = [rng.uniform(-1, 1, np.shape(a)) for a in start]
    tangents = [pt.constant(d) for d in directions]

    dense = dense_form(out)
    loss = (dense**2 * (1 + pt.arange(dense.size).reshape(dense.shape))).sum()
    grads = [dense_form(g) for g in pytensor.grad(loss, leaves, disconnected_inputs="ignore")]
    along = sum((g * t).sum() for g, t in zip(grads, tangents, strict=True))
    seconds = [dense_form(g) for g in pytensor.grad(along, leaves, disconnected_inputs="ignore")]
    forward = pytensor.gradient.pushforward(
        out if not is_sparse(out) else dense,
        leaves,
        tangents,
        use_op_pushforward=True,
        return_disconnected="zero",
        disconnected_outputs="ignore",
    )
    function = pytensor.function(
        leaves, [dense, forward, *grads, *seconds], mode=mode, on_unused_input="ignore"
    )

    h = 1e-5
    here, ahead, behind = (function(*moved(start, directions, s)) for s in (0, h, -h))
    np.testing.assert_allclose(
        here[1], (ahead[0] - behind[0]) / (2 * h), rtol=1e-5, atol=1e-6, err_msg="forward"
    )
    n = len(leaves)
    for i in range(n):
        answer = (ahead[2 + i] - behind[2 + i]) / (2 * h)
        np.testing.assert_allclose(here[2 + n + i], answer, rtol=1e-4, atol=1e-4, err_msg=f"second order {i}")
    assert not sp.issparse(here[0])
