"""Complex matrices: the real inner product conjugates the other operand in every pullback.

PyTensor's `grad` refuses graphs with complex variables, so pullbacks are called themselves.
"""

import numpy as np
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.gradient import DisconnectedType

import symsparse as ss
from symsparse.ops.base import SparseOp, is_sparse
from symsparse.testing import random_sparse
from tests.faults.modes import compiled, refused
from tests.faults.test_table import typed_inputs
from tests.ops.generate import other, values
from tests.ops.table import CASES
from tests.ops.test_table import formats_of

WHICH = {"sparse and dense": (True, False), "sparse": (True,), "dense": (False,)}
NO_COMPLEX = ("not defined for", "a complex matrix has no", "complex numbers have no order", "without loss")
CHECKED = [
    pytest.param(case, kinds, id=f"{case.name}-{which}")
    for case in CASES
    for which, kinds in WHICH.items()
    if case.gradient
    and case.name != "mul_same"  # x * x: one pullback is half the gradient
    and any(operand.sparse in kinds for operand in case.operands if operand.dtype == "float64")
]


def complex_point(case, kinds, rng):
    """Values of the operands, those of these kinds (sparse or not) complex."""
    point = values(case, formats_of(case, "csr", mixed=True), "unsorted", density=0.7)
    for i, operand in enumerate(case.operands):
        if operand.dtype == "float64" and operand.sparse in kinds:
            point[i] = shifted(point[i], direction(point[i], rng), 0.5j)
    return point


def direction(value, rng, unit=1.0):
    """A matrix of random values on the pattern of `value`."""
    if not sp.issparse(value):
        return rng.uniform(-1, 1, np.shape(value)) * unit
    d = value.astype(np.result_type(value.dtype, type(unit)))
    d.data = rng.uniform(-1, 1, value.nnz) * unit
    return d


def shifted(value, d, h):
    """``value + h d``, stored as `value` is."""
    if not sp.issparse(value):
        return value + h * d
    return type(value)((value.data + h * d.data, value.indices, value.indptr), shape=value.shape)


def dense(x):
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def cotangent_of(out, shape, rng):
    """A symbolic cotangent, sparse ones in the other format and on a pattern of their own; and its value."""
    dtype = "complex128" if out.dtype.startswith("complex") else "float64"
    if is_sparse(out):
        value = random_sparse(other(out.format), shape, 0.8, dtype, gap=(-1, 1), rng=rng)
        return ss.matrix(value.format, dtype=dtype), value
    value = rng.uniform(-1, 1, shape) + (1j * rng.uniform(-1, 1, shape) if dtype == "complex128" else 0)
    return pt.tensor(dtype=dtype, shape=out.type.shape), value


@pytest.mark.parametrize(("case", "kinds"), CHECKED)
def test_pullbacks_are_adjoint_to_the_derivative(case, kinds):
    """<g, J d> = <pullback(g), d> for real and imaginary d. Conjugates were left out, and a real operand beside a
    complex one got the product of two real parts for the real part of the product."""
    rng = np.random.default_rng(0)
    point = complex_point(case, kinds, rng)
    inputs = typed_inputs(case, point)
    out = refused(lambda: case.build(*inputs), *NO_COMPLEX)
    if out is None:
        return
    node = out.owner
    if node is None or not isinstance(node.op, SparseOp) or not set(node.inputs) <= set(inputs):
        return  # more than one node: each has a case of its own
    forward, _ = compiled(inputs, out)
    with np.errstate(all="ignore"):
        shape = forward(*point).shape
    g, weight = cotangent_of(out, shape, rng)
    # PyTensor lacks the derivatives of many functions of complex numbers.
    found = refused(lambda: node.op.pullback(node.inputs, [out], [g]), "has no gradient for complex matrices")
    if found is None:
        return
    pairs = [
        pair
        for pair in zip(node.inputs, found, strict=True)
        if not isinstance(pair[1].type, DisconnectedType)
    ]
    for function in compiled([*inputs, g], [gx for _, gx in pairs]):
        for (x, symbol), gx in zip(pairs, function(*point, weight), strict=True):
            k = inputs.index(x)
            if x.dtype in ("float64", "complex128"):
                assert symbol.dtype == x.dtype
            for unit in (1.0, 1j) if x.dtype == "complex128" else (1.0,):
                d = direction(point[k], rng, unit)
                ends = []
                for h in (1e-6, -1e-6):
                    moved = [shifted(v, d, h) if j == k else v for j, v in enumerate(point)]
                    ends.append(dense(forward(*moved)))
                along = np.real(np.vdot(dense(weight), (ends[0] - ends[1]) / 2e-6))
                got = np.real(np.vdot(dense(gx), dense(d)))
                np.testing.assert_allclose(got, along, rtol=1e-4, atol=1e-5, err_msg=f"operand {k}, {unit}")
