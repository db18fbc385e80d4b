"""What holds for every op of the op table, beyond its values: operands as they are, static shapes, dtypes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, reference_mode
from tests.faults.modes import refused, run
from tests.ops.generate import expected, values
from tests.ops.table import CASES
from tests.ops.test_table import dense_form, formats_of

FUNCTIONS = [case for case in CASES if getattr(case.build, "__name__", "") != "<lambda>"]


def typed_inputs(case, point, static=False):
    """Symbolic operands of the types of these values."""
    made = []
    for operand, value in zip(case.operands, point, strict=True):
        if sp.issparse(value):
            shape = value.shape if static else (None, None)
            made.append(ss.matrix(value.format, dtype=value.dtype, shape=shape))
        else:
            shape = np.shape(value) if static else operand.static or (None,) * np.ndim(value)
            made.append(pt.tensor(dtype=np.asarray(value).dtype, shape=shape))
    return made


@pytest.mark.parametrize("as_legacy", [False, True], ids=["array", "matrix"])
@pytest.mark.parametrize("case", FUNCTIONS, ids=[case.name for case in FUNCTIONS])
def test_functions_take_scipy_and_numpy_operands(case, as_legacy):
    """Products, scalings and conversions wanted variables, and nothing took SciPy's sparse arrays."""
    point = values(case, formats_of(case, "csr", mixed=True), "plain")
    legacy = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}
    given = [legacy[v.format](v) if as_legacy and sp.issparse(v) else v for v in point]
    out = case.build(*given)
    got = pytensor.function([], out, mode=reference_mode)()
    assert got.shape == expected(case, point).shape
    assert_same_matrix(got, expected(case, point), **case.tolerance)


# These cases compute sizes in the graph, which no type can know.
COMPUTED_SIZES = {"diags_csr", "diags_csc", "get_item_2d_symbolic_rows", "get_item_2d_mask"}


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_static_shapes_are_kept_and_right(case, format):
    """They were thrown away by nearly every op, so that what followed could neither be checked nor folded."""
    point = values(case, formats_of(case, format, mixed=True), "wide")
    inputs = typed_inputs(case, point, static=True)
    out = case.build(*inputs)
    loose = case.name in COMPUTED_SIZES
    assert same_shape(out.type.shape, expected(case, point).shape, loose)
    if case.gradient:
        wrt = [x for x, operand in zip(inputs, case.operands, strict=True) if operand.dtype == "float64"]
        loss = (dense_form(out) ** 2).sum()
        for x, g in zip(wrt, pytensor.grad(loss, wrt, disconnected_inputs="ignore"), strict=True):
            assert same_shape(g.type.shape, x.type.shape, loose)


def same_shape(static, right, loose):
    """Whether a static shape is the right one; if `loose`, sizes may be unknown."""
    return len(static) == len(right) and all(
        s == n or (loose and s is None) for s, n in zip(static, right, strict=True)
    )


MIXED = {
    "float32 with float64": ("float32", "float64"),
    "int8 with float32": ("int8", "float32"),
    "uint8 with uint8": ("uint8", "uint8"),
    "bool with float64": ("bool", "float64"),
    "float64 with complex64": ("float64", "complex64"),
}


def cast_point(case, point, sparse, dense):
    made = []
    for operand, value in zip(case.operands, point, strict=True):
        dtype = sparse if sp.issparse(value) else dense
        if operand.dtype == "float64":
            scaled = value * (3 if np.dtype(dtype).kind in "iu" else 1)
            value = (abs(scaled) if np.dtype(dtype).kind == "u" else scaled).astype(dtype)
        made.append(value)
    return made


@pytest.mark.parametrize("mix", MIXED)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_declared_dtype_is_the_produced_one(case, mix):
    """Sums of integers, row selections, sampled products and built matrices held values of another dtype.

    Forward and for gradients, whose dtype is that of the operand whatever else is in the graph.
    """
    sparse, dense = MIXED[mix]
    point = values(case, formats_of(case, "csr", mixed=True), "plain", duplicates=True)
    point = cast_point(case, point, sparse, dense)
    inputs = typed_inputs(case, point)
    out = refused(lambda: case.build(*inputs), "not defined for these dtypes", "Cast")
    if out is None:  # an op that refuses these dtypes says so
        return
    outputs = [out]
    if case.gradient and out.dtype in ("float32", "float64"):
        wrt = [x for x in inputs if x.dtype in ("float32", "float64")]
        grads = pytensor.grad((dense_form(out) ** 2).sum(), wrt, disconnected_inputs="ignore")
        assert [g.dtype for g in grads] == [x.dtype for x in wrt]
        outputs += grads
    run(inputs, outputs, point)
