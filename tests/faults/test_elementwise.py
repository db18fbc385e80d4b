"""The structured functions: dtypes, names, parameters, errors; comparisons and their zero gradients."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, random_sparse
from tests.faults.modes import compiled, run

# name: the dense function of the same numbers
DENSE = {
    "structured_sigmoid": pt.sigmoid,
    "structured_exp": pt.exp,
    "structured_log": pt.log,
    "sin": pt.sin,
    "tan": pt.tan,
    "arcsin": pt.arcsin,
    "arctan": pt.arctan,
    "sinh": pt.sinh,
    "arcsinh": pt.arcsinh,
    "tanh": pt.tanh,
    "arctanh": pt.arctanh,
    "rad2deg": pt.rad2deg,
    "deg2rad": pt.deg2rad,
    "rint": pt.round,
    "ceil": pt.ceil,
    "floor": pt.floor,
    "trunc": pt.trunc,
    "sgn": pt.sign,
    "log1p": pt.log1p,
    "expm1": pt.expm1,
    "square": pt.sqr,
    "sqrt": pt.sqrt,
    "structured_conjugate": pt.conj,
    "structured_abs": pt.abs,
}
WITH_SCALAR = {
    "structured_pow": pt.pow,
    "structured_minimum": pt.minimum,
    "structured_maximum": pt.maximum,
    "structured_add": pt.add,
}
DTYPES = ["bool", "int8", "uint8", "int64", "float32", "float64", "complex64", "complex128"]


def dtype_of(build):
    try:
        return build().dtype
    except TypeError:
        return "refused"


@pytest.mark.parametrize("name", DENSE)
def test_dtypes_are_those_of_the_dense_functions(name):
    for dtype in DTYPES:
        x, v = ss.csc_matrix("x", dtype=dtype), pt.vector(dtype=dtype)
        ours, dense = dtype_of(lambda x=x: getattr(ss, name)(x)), dtype_of(lambda v=v: DENSE[name](v))
        if name == "structured_sigmoid" and dtype.startswith("complex"):
            dense = "refused"  # PyTensor builds it, and fails when it runs
        if name in ("rad2deg", "deg2rad") and dtype == "bool":
            dense = "float32"  # as of int8
        assert ours == dense, dtype


@pytest.mark.parametrize("scalar", [2, 2.5, 300, np.float32(2), np.int64(2)], ids=repr)
@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "float64"])
@pytest.mark.parametrize("name", WITH_SCALAR)
def test_dtypes_with_a_scalar_are_those_of_the_dense_functions(name, dtype, scalar):
    x, v = ss.csc_matrix("x", dtype=dtype), pt.vector(dtype=dtype)
    assert getattr(ss, name)(x, scalar).dtype == WITH_SCALAR[name](v, scalar).dtype


@pytest.mark.parametrize("name", [*DENSE, *WITH_SCALAR])
def test_functions_know_their_names_and_their_gradients(name):
    """Decorated functions were called `exp` and had no docstring."""
    function = getattr(ss, name)
    assert function.__name__ == name
    assert "Gradient: structured" in function.__doc__


@pytest.mark.parametrize("name", WITH_SCALAR)
def test_the_parameter_is_a_scalar_by_position_or_name(name):
    """Keywords were refused, and anything but a scalar was an error without a word about the function."""
    x, s = ss.csr_matrix("x", dtype="float32", shape=(None, 3)), pt.scalar("s")
    function = getattr(ss, name)
    assert function(x, s=s).type == function(x, s).type
    for wrong, shown in (
        (pt.vector(), "must be 0-D; got"),
        (np.ones(3), "must be 0-D"),
        (x, "needs a dense operand"),
    ):
        with pytest.raises(TypeError, match=f"{name}: .*{shown}"):
            function(x, wrong)
    with pytest.raises(TypeError, match=r"needs a sparse matrix; got \(dense, float64.*csr_from_dense"):
        function(pt.dmatrix(), 2)
    with pytest.raises(TypeError):
        function(x)


def test_errors_call_the_function_by_its_public_name():
    with pytest.raises(TypeError, match=r"^rint: not defined for these dtypes.*\(csr, int8"):
        ss.rint(ss.csr_matrix("x", dtype="int8"))
    with pytest.raises(TypeError, match=r"^ceil: not defined for these dtypes.*\(csc, complex64"):
        ss.ceil(ss.csc_matrix("x", dtype="complex64"))
    with pytest.raises(TypeError, match=r"^square: needs a sparse matrix; got \(dense, float64"):
        ss.square(pt.dmatrix())
    with pytest.raises(TypeError, match=r"^structured_sigmoid: not defined for complex"):
        ss.structured_sigmoid(ss.csr_matrix("x", dtype="complex128"))
    for operation in (lambda x: x // 2, lambda x: x % 2):
        with pytest.raises(TypeError, match=r"not defined for these dtypes; got \(csr, complex128"):
            operation(ss.csr_matrix("x", dtype="complex128"))


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_entries_stored_twice_are_one_number(format):
    """The square of 1 + 1 was 1 + 1."""
    x = ss.matrix(format, "x")
    pattern = np.array([0, 0], "int32"), np.array([0, 2], "int32")
    value = type(sp.csr_array((1, 1)).asformat(format))((np.ones(2), *pattern), shape=(1, 1))
    made = [
        ss.square(x),
        ss.structured_exp(x),
        ss.structured_pow(x, 3),
        ss.structured_abs(x - 3 * x),
        x > 1.5,
    ]
    for got, answer in zip(run([x], made, [value]), [4.0, np.exp(2), 8.0, 4.0, 1], strict=True):
        np.testing.assert_allclose(got.toarray(), [[answer]])
    np.testing.assert_array_equal(value.data, [1.0, 1.0])


def test_the_conjugate_of_a_real_matrix_is_itself():
    x = ss.csr_matrix("x")
    assert ss.conj(x) is x
    z = ss.csr_matrix("z", dtype="complex64")
    assert ss.conj(z).dtype == "complex64"


@pytest.mark.parametrize("name", ["rint", "ceil", "floor", "trunc", "sgn"])
def test_steps_have_a_gradient_of_zero(name):
    x = ss.csr_matrix("x")
    gradient = pytensor.grad(ss.sp_sum(getattr(ss, name)(x) * x), x)
    value = random_sparse("csr", (3, 4), rng=0, gap=(0.1, 3))
    step = {"rint": np.rint, "ceil": np.ceil, "floor": np.floor, "trunc": np.trunc, "sgn": np.sign}[name]
    (got,) = run([x], [gradient], [value])
    dense = got.toarray() if sp.issparse(got) else got
    assert_same_matrix(dense * (value.toarray() != 0), step(value.toarray()))


def test_a_dense_cotangent_below_a_structured_function():
    """The gradient through a regular product asked for a sparse cotangent, and got a dense one."""
    x, y = ss.csr_matrix("x"), pt.dmatrix("y")
    value, dense = random_sparse("csr", (3, 4), rng=0), np.arange(8.0).reshape(4, 2)
    gradients = [pytensor.grad(ss.dot(f(x), y).sum(), x) for f in (ss.structured_exp, ss.neg, ss.sqrt)]
    gradients.append(pytensor.grad(ss.dot(x.T, y[:3]).sum(), x))
    exp, neg, sqrt, transposed = run([x, y], gradients, [value, dense])
    row, a = np.broadcast_to(dense.sum(1), (3, 4)), value.toarray()
    stored = a != 0
    assert_same_matrix(exp, np.exp(a) * row * stored)
    assert_same_matrix(dense_of(neg) * stored, -row * stored)
    assert_same_matrix(sqrt.toarray()[stored], (row / (2 * np.sqrt(np.where(stored, a, 1))))[stored])
    assert_same_matrix(
        dense_of(transposed) * stored, np.broadcast_to(dense[:3].sum(1)[:, None], (3, 4)) * stored
    )


def dense_of(x):
    return x.toarray() if sp.issparse(x) else x


# -- comparisons ------------------------------------------------------------------------------------------------

COMPARISONS = {
    "eq": np.equal,
    "neq": np.not_equal,
    "lt": np.less,
    "gt": np.greater,
    "le": np.less_equal,
    "ge": np.greater_equal,
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_take_mixed_formats_and_signs_and_nan(name):
    """Operands of two formats were an error. -1 is less than 255, although they are one byte alike."""
    compare, dense = getattr(ss, name), COMPARISONS[name]
    x, y = ss.csr_matrix("x", dtype="int8"), ss.csc_matrix("y", dtype="uint8")
    d, v, w = pt.dmatrix("d"), ss.csr_matrix("v"), ss.csc_matrix("w")
    a, b = np.array([[-1, 0, 2], [0, 0, 1]], "int8"), np.array([[255, 0, 2], [0, 3, 0]], "uint8")
    p, q = np.array([[np.nan, 0.0, 1.0]]), np.array([[np.nan, np.inf, 1.0]])
    made = [compare(x, y), compare(y, x), compare(v, w), compare(v, d), compare(d, v)]
    values = [sp.csr_array(a), sp.csc_array(b), q, sp.csr_array(p), sp.csc_array(q)]
    got = run([x, y, d, v, w], made, values)
    for found, answer in zip(
        got, [dense(a, b), dense(b, a), dense(p, q), dense(p, q), dense(q, p)], strict=True
    ):
        assert found.dtype == "uint8"
        np.testing.assert_array_equal(dense_of(found), answer)
    assert [out.format for out in made[:3]] == ["csr", "csc", "csr"]
    assert [type(found).__name__ for found in got[:3]] == ["csr_array", "csc_array", "csr_array"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_mask_on_the_way_has_a_gradient_of_zero(name):
    """Comparisons had no gradient at all: none could be taken of anything with a mask in it."""
    compare, dense = getattr(ss, name), COMPARISONS[name]
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.dmatrix("d")
    masks = [compare(x, y), compare(x, d), compare(d, x)]
    a, b = random_sparse("csr", (3, 4), rng=0), random_sparse("csc", (3, 4), rng=1)
    p, q, r = a.toarray(), b.toarray(), np.random.default_rng(2).uniform(size=(3, 4))
    gradients = [pytensor.grad((x * mask).sum(), [x, y, d], disconnected_inputs="ignore") for mask in masks]
    got = run([x, y, d], [g for gs in gradients for g in gs], [a, b, r])
    for i, answer in enumerate([dense(p, q), dense(p, r), dense(r, p)]):
        gx, gy, gd = map(dense_of, got[3 * i : 3 * i + 3])
        np.testing.assert_array_equal(gx * (p != 0), answer * (p != 0))
        assert not gy.any()
        assert not gd.any()


def test_a_scalar_mask():
    """``x > 0`` was refused; its result is sparse, and its sum is counted in 64 bits."""
    x = ss.csr_matrix("x")
    value = sp.csr_array(np.ones((20, 20)))
    mask = x > 0
    count, gradient = run([x], [mask.sum(), pytensor.grad((x * mask).sum(), x)], [value])
    assert count == 400
    assert count.dtype == "uint64"
    np.testing.assert_array_equal(dense_of(gradient), np.ones((20, 20)))


def test_comparisons_of_shapes_that_differ_are_an_error():
    x, y, d = ss.csr_matrix("x"), ss.csr_matrix("y"), pt.dmatrix("d")
    for made in (ss.lt(x, y), ss.eq(x, y), ss.lt(x, d), ss.ge(d, x)):
        for function in compiled([x, y, d], made):
            with pytest.raises(ValueError, match="shapes"):
                function(sp.csr_array((2, 3)), sp.csr_array((2, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"lt: shapes differ; got \(csr, float64, shape=\(2, 3\)\)"):
        ss.lt(sp.csr_array((2, 3)), sp.csr_array((2, 4)))
