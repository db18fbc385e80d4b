"""SparseTensorType: identity, equality of values, conversion between types."""

import copy
import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse import types
from symsparse.types import SparseTensorType

DENSE = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, -4.0]])
FORMATS = ["csr", "csc"]


def example(format="csr", dtype="float64"):
    return types.SCIPY_CLASSES[format](DENSE.astype(dtype))


# -- identity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kind", "message"),
    [
        (("coo", "float64"), ValueError, "format 'coo'"),
        (("CSR", "float64"), ValueError, "csc.*csr"),
        (("csr", "float16"), TypeError, "'float16'"),
        (("csr", "object"), TypeError, "object"),
        (("csr", "float64", (3,)), ValueError, "two dimensions"),
        (("csr", "float64", (1, 2, 3)), ValueError, "two dimensions"),
        (("csr", "float64", (2, -1)), ValueError, ">= 0"),
        (("csr", "float64", (2.5, None)), TypeError, "2.5"),
        (("csr", "float64", (2**31, None)), ValueError, "index_dtype='int64'"),
        (("csr", "float64", (1, 2), None, (True, False)), ValueError, "never broadcasts"),
    ],
)
def test_wrong_arguments_are_refused(args, kind, message):
    with pytest.raises(kind, match=message):
        SparseTensorType(*args)


def test_dtype_lists_and_formats():
    assert types.sparse_formats == ["csc", "csr"]
    assert types.int_dtypes == ["int8", "int16", "int32", "int64"]
    assert types.uint_dtypes == ["uint8", "uint16", "uint32", "uint64"]
    assert types.float_dtypes == ["float32", "float64"]
    assert types.complex_dtypes == ["complex64", "complex128"]
    assert set(types.integer_dtypes) == {*types.int_dtypes, *types.uint_dtypes}
    assert set(types.discrete_dtypes) == {"bool", *types.integer_dtypes}
    assert set(types.continuous_dtypes) == {*types.float_dtypes, *types.complex_dtypes}
    assert set(types.all_dtypes) == {*types.discrete_dtypes, *types.continuous_dtypes}


@pytest.mark.parametrize(
    "name", [n for n in vars(types) if n.endswith("_dtypes") and n != "index_dtypes"] + ["sparse_formats"]
)
def test_lists_are_importable_from_the_root(name):
    assert getattr(ss, name) is getattr(types, name)


@pytest.mark.parametrize("dtype", types.all_dtypes)
@pytest.mark.parametrize("format", FORMATS)
def test_every_dtype_holds_its_values(format, dtype):
    t = SparseTensorType(format, dtype)
    A = example(format).astype(dtype)
    assert t.filter(A, strict=True) is A
    assert (t.format, t.dtype, t.ndim, t.shape) == (format, dtype, 2, (None, None))
    assert t.numpy_dtype == np.dtype(dtype)


def test_dtype_spellings():
    for dtype in ("float32", np.float32, np.dtype("float32"), ">f4"):
        assert SparseTensorType("csr", dtype).dtype == "float32"
    assert SparseTensorType("csr", "floatX").dtype == pytensor.config.floatX
    with pytensor.config.change_flags(floatX="float32"):
        assert SparseTensorType("csr", "floatX").dtype == "float32"


def test_equal_types_are_equal_and_hash_alike():
    t = SparseTensorType("csr", "float32", (None, 3))
    twin = SparseTensorType("csr", np.float32, (None, np.int64(3)), "other name", index_dtype=np.int32)
    assert t == twin
    assert hash(t) == hash(twin)
    assert pickle.loads(pickle.dumps(t)) == t
    assert copy.deepcopy(t) == t
    others = [
        SparseTensorType("csc", "float32", (None, 3)),
        SparseTensorType("csr", "float64", (None, 3)),
        SparseTensorType("csr", "float32", (None, 4)),
        SparseTensorType("csr", "float32"),
        SparseTensorType("csr", "float32", (None, 3), index_dtype="int64"),
        pt.fmatrix().type,
    ]
    assert all(t != other for other in others)
    assert len({t, twin, *others}) == 7


def test_clone_changes_what_it_is_told():
    t = SparseTensorType("csr", "float32", (None, 3), index_dtype="int64")
    assert t.clone() == t
    assert t.clone(format="csc", dtype="int8", shape=(2, None), index_dtype="int32") == SparseTensorType(
        "csc", "int8", (2, None)
    )
    assert t.clone(shape=(None, None)).shape == (None, None)


def test_a_type_makes_variables():
    t = SparseTensorType("csc", "int8", (2, None))
    x = t("x")
    assert isinstance(x, ss.SparseVariable)
    assert x.type is t
    assert x.name == "x"
    assert isinstance(t.make_constant(sp.csc_array((2, 5), dtype="int8")), ss.SparseConstant)
    with pytest.raises(TypeError, match="does not fit"):
        t.make_constant(sp.csc_array((3, 5), dtype="int8"))


def test_repr_shows_format_dtype_and_shape():
    assert (
        repr(SparseTensorType("csr", "float32", (None, 3))) == "SparseTensorType(csr, float32, shape=(?, 3))"
    )
    assert str(SparseTensorType("csc", "bool", (2, 3))) == "SparseTensorType(csc, bool, shape=(2, 3))"
    assert "index_dtype=int64" in repr(SparseTensorType("csr", "int8", index_dtype="int64"))


# -- equality of values -----------------------------------------------------------------------------------------


def test_values_eq_is_exact_storage():
    eq = SparseTensorType.values_eq
    A = example()
    assert eq(A, A.copy())
    assert not eq(A, A + sp.csr_array(([1e-15], ([0], [0])), shape=A.shape))
    assert not eq(A, A.astype("float32"))
    assert not eq(A, A.tocsc())
    assert not eq(A, sp.csr_array((3, 4)))
    assert not eq(A, sp.csr_array((A.data, A.indices, A.indptr), shape=(3, 5)))
    zero = sp.csr_array(([0.0], ([1], [1])), shape=A.shape)
    assert not eq(sp.csr_array(A.shape), zero)
    nan = A * np.nan
    assert eq(nan, nan.copy())
    assert not eq(nan, A)
    assert eq(A.astype("int8"), A.astype("int8"))


def test_values_eq_approx_is_the_same_matrix_up_to_rounding():
    eq = SparseTensorType.values_eq_approx
    A = example()
    assert eq(A, A * (1 + 1e-12))
    assert not eq(A, A * (1 + 1e-6))
    assert eq(A, A * (1 + 1e-6), rtol=1e-5)
    assert eq(A, A + 1e-6 * A, atol=1e-3, rtol=0)
    assert eq(1e12 * A, 1e12 * A * (1 + 1e-12)), "relative, not absolute"
    assert eq(A.astype("float32"), (A * (1 + 1e-6)).astype("float32"))
    assert not eq(A, A.astype("float32"))
    assert not eq(A, sp.csr_array((4, 3)))
    assert not eq(A, DENSE)
    assert not eq(A, 2 * A)
    assert not eq(A, sp.csr_array(A.shape))
    assert not eq(sp.csr_array(A.shape), A)
    nan = A * np.nan
    assert eq(nan, nan.copy())
    assert not eq(nan, A)
    assert not eq(A, nan)
    inf = A * np.inf
    assert eq(inf, inf.copy())
    assert not eq(inf, -inf)
    with_zero = sp.csr_array((np.append(A.data, 0.0), np.append(A.indices, 0), [0, 2, 2, 5]), shape=A.shape)
    assert with_zero.nnz == 5
    assert eq(A, with_zero)
    assert eq(with_zero, A)
    unsorted = sp.csr_array((A.data[[1, 0, 2, 3]], A.indices[[1, 0, 2, 3]], A.indptr), shape=A.shape)
    assert eq(A, unsorted)
    assert not unsorted.has_sorted_indices
    doubled = sp.csr_array((np.repeat(A.data, 2) / 2, np.repeat(A.indices, 2), 2 * A.indptr), shape=A.shape)
    assert eq(A, doubled)
    assert doubled.nnz == 8
    big = sp.csr_array([[2**60]])
    assert eq(big, big.copy())
    assert not eq(big, big + sp.csr_array([[1]])), "integers are exact"
    assert eq(A.astype(bool), A.astype(bool))
    assert not eq(A.astype(bool), sp.csr_array(A.shape, dtype=bool))


def test_may_share_memory():
    share = SparseTensorType.may_share_memory
    A = example()
    assert share(A, A)
    assert not share(A, A.copy())
    for name in ("data", "indices", "indptr"):
        B = A.copy()
        setattr(B, name, getattr(A, name))
        assert share(A, B)
        assert share(A, getattr(A, name)[1:])
        assert share(getattr(A, name), A)
    assert not share(A, 3.0)
    assert not share(A, None)


# -- variables --------------------------------------------------------------------------------------------------


def test_is_super_is_the_order_of_static_shapes():
    anything, rows, full = (SparseTensorType("csr", "float64", s) for s in ((None, None), (3, None), (3, 4)))
    assert anything.is_super(rows)
    assert rows.is_super(full)
    assert full.is_super(full)
    assert not full.is_super(rows)
    assert not rows.is_super(anything)
    assert not rows.is_super(SparseTensorType("csr", "float64", (2, 4)))
    for other in (full.clone(format="csc"), full.clone(dtype="float32"), full.clone(index_dtype="int64")):
        assert not anything.is_super(other)
        assert not other.is_super(full)
    assert not anything.is_super(pt.dmatrix().type)
    assert anything.in_same_class(full)
    assert full.in_same_class(anything)
    assert not full.in_same_class(anything.clone(shape=(5, None)))


def test_filter_variable():
    anything, full = SparseTensorType("csr", "float64"), SparseTensorType("csr", "float64", (3, 4))
    x, y = anything("x"), full("y")
    assert anything.filter_variable(y) is y
    assert full.filter_variable(y) is y
    converted = full.filter_variable(x)
    assert converted.type == full
    assert converted is not x
    assert full.convert_variable(x).type == full
    assert full.convert_variable(pt.matrix()) is None
    with pytest.raises(TypeError, match="Cannot use x"):
        full.filter_variable(x, allow_convert=False)
    constant = anything.filter_variable(example())
    assert isinstance(constant, ss.SparseConstant)
    assert constant.data.nnz == 4
    for other in (
        ss.csc_matrix("z"),
        ss.csr_matrix("z", "float32"),
        pt.matrix("z"),
        full.clone(shape=(3, 5))("z"),
    ):
        with pytest.raises(TypeError, match=r"Cannot use z of type.*Cast or convert"):
            full.filter_variable(other)


def test_a_specified_shape_is_checked_at_run_time():
    x = ss.csr_matrix("x")
    f = pytensor.function([x], SparseTensorType("csr", "float64", (3, None)).filter_variable(x) * 2.0)
    np.testing.assert_array_equal(f(example()).toarray(), 2 * DENSE)
    with pytest.raises((ValueError, AssertionError), match=r"specify_shape.*shape"):
        f(sp.csr_array((2, 4)))


def test_only_two_index_dtypes():
    with pytest.raises(TypeError, match=r"int32.*int64"):
        SparseTensorType("csr", "float64", index_dtype="int16")
