"""Methods of symbolic sparse matrices: reductions, functions of the stored entries, conversions."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.types import SCIPY_CLASSES

DENSE = np.array([[1.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.25]])
FORMATS = ["csr", "csc"]


def example(format="csr", dtype="float64"):
    return SCIPY_CLASSES[format](DENSE.astype(dtype))


REDUCTIONS = [("sum", axis, keepdims) for axis in (None, 0, 1, -1, -2) for keepdims in (False, True)]
REDUCTIONS += [("mean", axis, keepdims) for axis in (None, 0, 1, -1) for keepdims in (False, True)]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_reductions(format, dtype):
    A = (100 * example(format)).astype("int8").astype(dtype)
    x = ss.matrix(format, "x", dtype)
    outputs = [getattr(x, name)(axis=axis, keepdims=keepdims) for name, axis, keepdims in REDUCTIONS]
    outputs += [x.sum(dtype="float64"), x.sum(1, "int32"), x.mean(0, "float64"), x.mean(dtype="float32")]
    expected = [
        getattr(A.toarray(), name)(axis=axis, keepdims=keepdims) for name, axis, keepdims in REDUCTIONS
    ]
    D = A.toarray()
    expected += [D.sum(dtype="float64"), D.sum(1, "int32"), D.mean(0, "float64"), D.mean(dtype="float32")]
    for output, got, want in zip(outputs, pytensor.function([x], outputs)(A), expected, strict=True):
        assert got.dtype == output.dtype == want.dtype
        assert got.shape == np.shape(want)
        np.testing.assert_allclose(got, want, rtol=1e-6)
    for axis in (2, -3, "rows", (0, 1, 1)):
        with pytest.raises(ValueError, match="axis"):
            x.sum(axis=axis)
        with pytest.raises(ValueError, match="axis"):
            x.mean(axis=axis, keepdims=True)


@pytest.mark.parametrize("dtype", ["int32", "bool", "uint8", "float32"])
def test_sums_in_another_dtype_are_those_of_numpy(dtype):
    """Cast before they are summed: 0.6 + 0.6 is 0 as an integer, 1 - 1 is True as a truth value."""
    x = ss.csr_matrix("x")
    A = sp.csr_array(([0.6, 0.6, 1.7, -2.5, 1.0, -1.0], [0, 0, 1, 0, 1, 2], [0, 3, 3, 6]), shape=(3, 4))
    got = pytensor.function([x], [x.sum(axis, dtype) for axis in (None, 0, 1)])(A)
    with np.errstate(invalid="ignore"):  # a negative number as an unsigned one
        expected = [A.toarray().sum(axis, dtype) for axis in (None, 0, 1)]
        expected[0] = np.asarray(expected[0])
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=1e-6)


KEEPING = (
    "sqrt sqr square sin tan arcsin arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil floor trunc log1p "
    "expm1"
).split()


def test_methods_that_keep_sparsity():
    A = example()
    A.data /= 10
    x = ss.csr_matrix("x")
    names = [*KEEPING, "sgn", "sign", "conj", "conjugate"]
    numpy_names = {"sqr": "square", "sgn": "sign"}
    outputs = [getattr(x, name)() for name in names]
    outputs += [abs(x), x**2, x / 2, x.ones_like(), x.zeros_like(), x.copy(name="c")]
    assert all(y.type == x.type for y in outputs)
    assert outputs[-1].name == "c"
    expected = [getattr(np, numpy_names.get(name, name))(A.toarray()) for name in names]
    D = A.toarray()
    expected += [abs(D), D**2, D / 2, (D != 0) * 1.0, 0 * D, D]
    for got, want in zip(pytensor.function([x], outputs)(A), expected, strict=True):
        assert type(got) is sp.csr_array
        np.testing.assert_allclose(got.toarray(), want)


@pytest.mark.parametrize("name", "exp log sigmoid exp2 log2 log10 cos cosh arccos arccosh".split())
def test_methods_that_would_densify_say_so(name):
    x = ss.csr_matrix("x", dtype="float32", shape=(None, 3))
    with pytest.raises(TypeError) as e:
        getattr(x, name)()
    assert f"{name}(0) is not 0" in str(e.value)
    assert "(csr, float32, shape=(?, 3))" in str(e.value)
    assert f"x.toarray().{name}()" in str(e.value) or f"pytensor.tensor.{name}(x.toarray())" in str(e.value)
    if hasattr(ss, f"structured_{name}"):
        assert f"structured_{name}(x)" in str(e.value)


def test_the_way_out_of_densifying_methods_exists():
    d = ss.csr_matrix("x").toarray()
    for name in "exp log sigmoid exp2 log2 log10 cos cosh arccos arccosh".split():
        assert getattr(d, name, None) or getattr(pt, name, None), name
        with pytest.raises(TypeError) as e:
            getattr(ss.csr_matrix("x"), name)()
        if f"x.toarray().{name}()" in str(e.value):
            assert callable(getattr(d, name, None)), f"x.toarray().{name}() does not exist"


@pytest.mark.parametrize("format", FORMATS)
def test_conversions(format):
    other = {"csr": "csc", "csc": "csr"}[format]
    x = ss.matrix(format, "x", shape=(3, None))
    outputs = [
        x.T,
        x.transpose(),
        x.transpose((1, 0)),
        x.tocsr(),
        x.tocsc(),
        x.asformat(other),
        x.astype("float32"),
    ]
    outputs += [x.ones_like("int8"), x.zeros_like("int8"), x.toarray(), x.todense(), x.diagonal()]
    D = DENSE[:, :3]
    expected = [D.T, D.T, D.T, D, D, D, D, D != 0, 0 * D, D, D, np.diag(D)]
    results = pytensor.function([x], outputs)(SCIPY_CLASSES[format](D))
    for i, (output, got, want) in enumerate(zip(outputs, results, expected, strict=True)):
        assert got.dtype == output.dtype == {6: "float32", 7: "int8", 8: "int8"}.get(i, "float64")
        assert sp.issparse(got) == isinstance(output, ss.SparseVariable) == (i < 9)
        if i < 9:
            assert type(got) is SCIPY_CLASSES[output.format]
        np.testing.assert_array_equal(got.toarray() if i < 9 else got, want)
    assert [y.format for y in outputs[:9]] == [other] * 3 + ["csr", "csc", other] + [format] * 3
    assert x.T.type.shape == (None, 3)
    assert x.toarray().type.shape == (3, None)
    assert x.asformat(format) is x
    assert x.astype(x.dtype) is x
    for axes in ((0, 1), (0,), 1):
        with pytest.raises(ValueError, match="axes"):
            x.transpose(axes)
    with pytest.raises((TypeError, ValueError), match="coo"):
        x.asformat("coo")
