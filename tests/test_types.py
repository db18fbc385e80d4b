"""SparseTensorType: identity, the check of values at the door, equality of values, conversion between types."""

import copy
import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse import types
from symsparse.types import SparseTensorType, type_of

DENSE = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 0.0, -4.0]])
FORMATS = ["csr", "csc"]


def example(format="csr", dtype="float64"):
    return types.SCIPY_CLASSES[format](DENSE.astype(dtype))


def with_arrays(format="csr", **arrays):
    """A matrix some of whose arrays were replaced, past SciPy's own checks."""
    A = example(format)
    for name, array in arrays.items():
        setattr(A, name, array)
    return A


# -- identity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args, kind, message",
    [
        (("coo", "float64"), ValueError, "format 'coo'"),
        (("CSR", "float64"), ValueError, "csc.*csr"),
        (("csr", "float16"), TypeError, "'float16'"),
        (("csr", "object"), TypeError, "object"),
        (("csr", "float64", (3,)), ValueError, "two dimensions"),
        (("csr", "float64", (1, 2, 3)), ValueError, "two dimensions"),
        (("csr", "float64", (2, -1)), ValueError, ">= 0"),
        (("csr", "float64", (2.5, None)), TypeError, "float"),
        (("csr", "float64", (2**31, None)), ValueError, "index_dtype='int64'"),
        (("csr", "float64", (1, 2), "int16"), TypeError, "int32 or int64"),
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


@pytest.mark.parametrize("name", [n for n in vars(types) if n.endswith("_dtypes") and n != "index_dtypes"] + ["sparse_formats"])
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
    twin = SparseTensorType("csr", np.float32, (None, np.int64(3)), np.int32, name="other name")
    assert t == twin and hash(t) == hash(twin)
    assert pickle.loads(pickle.dumps(t)) == t and copy.deepcopy(t) == t
    others = [
        SparseTensorType("csc", "float32", (None, 3)),
        SparseTensorType("csr", "float64", (None, 3)),
        SparseTensorType("csr", "float32", (None, 4)),
        SparseTensorType("csr", "float32"),
        SparseTensorType("csr", "float32", (None, 3), "int64"),
        pt.fmatrix().type,
    ]
    assert all(t != other for other in others)
    assert len({t, twin, *others}) == 7


def test_clone_changes_what_it_is_told():
    t = SparseTensorType("csr", "float32", (None, 3), "int64")
    assert t.clone() == t
    assert t.clone(format="csc", dtype="int8", shape=(2, None), index_dtype="int32") == SparseTensorType(
        "csc", "int8", (2, None)
    )
    assert t.clone(shape=(None, None)).shape == (None, None)


def test_a_type_makes_variables():
    t = SparseTensorType("csc", "int8", (2, None))
    x = t("x")
    assert isinstance(x, ss.SparseVariable) and x.type is t and x.name == "x"
    assert isinstance(t.make_constant(sp.csc_array((2, 5), dtype="int8")), ss.SparseConstant)
    with pytest.raises(TypeError, match="does not fit"):
        t.make_constant(sp.csc_array((3, 5), dtype="int8"))


def test_repr_shows_format_dtype_and_shape():
    assert repr(SparseTensorType("csr", "float32", (None, 3))) == "SparseTensorType(csr, float32, shape=(?, 3))"
    assert str(SparseTensorType("csc", "bool", (2, 3))) == "SparseTensorType(csc, bool, shape=(2, 3))"
    assert "index_dtype=int64" in repr(SparseTensorType("csr", "int8", index_dtype="int64"))


# -- the door ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["matrix", "array"])
@pytest.mark.parametrize("given", ["csr", "csc", "coo", "lil", "dok", "dia", "bsr"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_scipy_format_becomes_the_array_of_the_type(format, given, container):
    A = getattr(sp, f"{given}_{container}")(DENSE)
    t = SparseTensorType(format, "float64")
    B = t.filter(A)
    assert type(B) is types.SCIPY_CLASSES[format]
    np.testing.assert_array_equal(B.toarray(), DENSE)
    assert B.indices.dtype == B.indptr.dtype == np.int32
    assert t.filter(B) is B
    np.testing.assert_array_equal(A.toarray(), DENSE)
    assert A.format == given
    if given != format:
        with pytest.raises(TypeError, match=rf"{given} value.*strict=True"):
            t.filter(A, strict=True)


@pytest.mark.parametrize("value", [DENSE, DENSE.tolist(), 3.0, None, "csr", (1, 2)], ids=type)
def test_what_is_not_sparse_is_refused(value):
    with pytest.raises(TypeError, match=rf"got {type(value).__name__}.*scipy\.sparse\.csr_array\(value\)"):
        SparseTensorType("csr", "float64").filter(value)


def test_variables_are_not_values():
    for variable in (ss.csr_matrix("x"), pt.matrix("d")):
        with pytest.raises(TypeError, match=f"symbolic variable {variable.name}"):
            SparseTensorType("csr", "float64").filter(variable)


def test_one_dimensional_sparse_arrays_are_refused():
    with pytest.raises(TypeError, match="1-D coo_array"):
        SparseTensorType("csr", "float64").filter(sp.coo_array(np.ones(3)))


def test_wide_indices_are_narrowed_where_they_fit():
    A = example()
    A.indices, A.indptr = A.indices.astype("int64"), A.indptr.astype("int64")
    B = SparseTensorType("csr", "float64").filter(A)
    assert B.indices.dtype == B.indptr.dtype == np.int32
    assert A.indices.dtype == A.indptr.dtype == np.int64
    assert B.data is A.data
    C = SparseTensorType("csr", "float64", index_dtype="int64").filter(example())
    assert C.indices.dtype == C.indptr.dtype == np.int64
    np.testing.assert_array_equal(C.toarray(), DENSE)


def test_what_needs_wide_indices_is_refused_by_a_narrow_type():
    A = sp.csr_array((np.ones(1), np.array([2**31 + 3]), np.array([0, 1])), shape=(1, 2**31 + 5))
    with pytest.raises(TypeError, match="index_dtype='int64'"):
        SparseTensorType("csr", "float64").filter(A)
    t = type_of(A)
    assert (t.index_dtype, t.shape) == ("int64", (1, 2**31 + 5))
    assert t.filter(A).indices[0] == 2**31 + 3


@pytest.mark.parametrize("dtype, given", [("float64", "float32"), ("float32", "int8"), ("complex64", "float32")])
def test_values_are_upcast_without_loss(dtype, given):
    A = example(dtype=given)
    B = SparseTensorType("csr", dtype).filter(A)
    assert B.dtype == dtype and A.dtype == given
    np.testing.assert_array_equal(B.toarray(), DENSE)
    with pytest.raises(TypeError, match="strict=True"):
        SparseTensorType("csr", dtype).filter(A, strict=True)


@pytest.mark.parametrize("dtype, given", [("float32", "float64"), ("int8", "int64"), ("float32", "int64")])
def test_values_are_downcast_only_on_demand(dtype, given):
    A = example(dtype=given)
    t = SparseTensorType("csr", dtype)
    for allow in (None, False):
        with pytest.raises(TypeError, match=f"{given} values without loss.*allow_downcast"):
            t.filter(A, allow_downcast=allow)
    B = t.filter(A, allow_downcast=True)
    assert B.dtype == dtype and A.dtype == given
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_imaginary_parts_are_never_dropped():
    with pytest.raises(TypeError, match="complex128"):
        SparseTensorType("csr", "float64").filter(example(dtype="complex128"), allow_downcast=True)


def test_foreign_byte_order_becomes_native():
    A = example()
    A.data = A.data.astype(">f8")
    B = SparseTensorType("csr", "float64").filter(A)
    assert B.data.dtype.isnative
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_static_shape_is_checked():
    t = SparseTensorType("csr", "float64", (None, 4))
    A = example()
    assert t.filter(A) is A
    other = sp.csr_array((3, 5))
    for _ in range(2):  # also when another type checked this object before
        with pytest.raises(TypeError, match=r"shape \(3, 5\) does not fit.*\(\?, 4\)"):
            t.filter(other)
        SparseTensorType("csr", "float64").filter(other)
    assert t.admits((7, 4)) and not t.admits((4, 7))


MALFORMED = {
    "indptr has 3 elements": {"indptr": [0, 2, 4]},
    "indptr has 0 elements": {"indptr": []},
    "indptr starts at 1": {"indptr": [1, 2, 2, 4]},
    "indptr decreases after row 1": {"indptr": [0, 2, 1, 4]},
    "4 indices, but indptr ends at 5": {"indptr": [0, 2, 2, 5]},
    "3 values and 4 indices": {"data": [1.0, 2.0, 3.0]},
    "5 values and 4 indices": {"data": [1.0, 2.0, 3.0, 4.0, 5.0]},
    "column index 4 is outside 0..3": {"indices": [0, 2, 1, 4]},
    "column index -1 is outside 0..3": {"indices": [0, -1, 1, 3]},
    "values is not a vector": {"data": [[1.0, 2.0, 3.0, 4.0]]},
    "indices is not a vector": {"indices": [[0, 2, 1, 3]]},
    "indices has dtype float64": {"indices": [0.0, 2.0, 1.0, 3.5]},
    "indptr has dtype float64": {"indptr": [0.0, 2.0, 2.0, 4.0]},
    "indices has dtype bool": {"indices": [False, True, False, True]},
}


@pytest.mark.parametrize("cause", MALFORMED)
def test_malformed_matrices_are_refused(cause):
    arrays = {name: np.array(array, None if array else "int32") for name, array in MALFORMED[cause].items()}
    A = with_arrays(**arrays)
    for _ in range(2):  # a refused value is not taken for a checked one
        with pytest.raises(ValueError, match=f"Malformed csr matrix of shape.*{cause}"):
            SparseTensorType("csr", "float64").filter(A)


def test_malformed_columns_and_foreign_arrays_are_refused():
    A = with_arrays("csc", indices=np.array([0, 2, 0, 3], dtype="int32"))
    with pytest.raises(ValueError, match="Malformed csc matrix.*row index 3 is outside 0..2"):
        SparseTensorType("csc", "float64").filter(A)
    with pytest.raises(ValueError, match="indices is not a vector"):
        SparseTensorType("csr", "float64").filter(with_arrays(indices=[0, 2, 1, 3]))


def test_slack_behind_the_last_entry_is_cut_off():
    A = example()
    A.data, A.indices = np.append(A.data, [9.0, 9.0]), np.append(A.indices, [77, 78]).astype("int32")
    B = SparseTensorType("csr", "float64").filter(A)
    assert len(B.data) == len(B.indices) == 4 and len(A.data) == len(A.indices) == 6
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_strided_arrays_are_made_contiguous():
    A = example()
    for name in ("data", "indices", "indptr"):
        setattr(A, name, np.repeat(getattr(A, name), 2)[::2])
    B = SparseTensorType("csr", "float64").filter(A)
    assert all(getattr(B, name).flags.c_contiguous for name in ("data", "indices", "indptr"))
    assert not any(getattr(A, name).flags.c_contiguous for name in ("data", "indices", "indptr"))
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_unaligned_arrays_are_made_aligned():
    A = example()
    A.data = np.frombuffer(b"\0" + A.data.tobytes(), dtype="uint8")[1:].view("float64")
    assert not A.data.flags.aligned
    B = SparseTensorType("csr", "float64").filter(A)
    assert B.data.flags.aligned
    np.testing.assert_array_equal(B.toarray(), DENSE)


def test_unsorted_and_duplicate_entries_pass_as_they_are():
    A = sp.csr_array((np.ones(3), np.array([2, 0, 0], "int32"), np.array([0, 3], "int32")), shape=(1, 3))
    B = SparseTensorType("csr", "float64").filter(A)
    assert B is A
    np.testing.assert_array_equal(B.indices, [2, 0, 0])


def test_a_value_is_validated_once_and_again_when_its_arrays_are_replaced(monkeypatch):
    seen = []
    check = types.check_pattern
    monkeypatch.setattr(types, "check_pattern", lambda *args: (seen.append(1), check(*args)))
    t, narrower = SparseTensorType("csr", "float64"), SparseTensorType("csr", "float64", (3, 4))
    A = example()
    assert t.filter(A) is t.filter(A) is narrower.filter(A) is A
    assert len(seen) == 1
    A.data *= 2  # in place: the pattern is the one that was checked
    t.filter(A)
    assert len(seen) == 1
    for n, name in enumerate(("data", "indices", "indptr"), start=2):
        setattr(A, name, getattr(A, name).copy())
        t.filter(A)
        assert len(seen) == n
    A.indices = A.indices + 10
    with pytest.raises(ValueError, match="outside"):
        t.filter(A)
    B = copy.deepcopy(t.filter(example()))
    B.indices = B.indices + 10
    with pytest.raises(ValueError, match="outside"):
        t.filter(B)


def test_replaced_arrays_make_scipys_cached_facts_void():
    A = example()
    t = SparseTensorType("csr", "float64")
    assert t.filter(A).has_canonical_format and A.has_sorted_indices
    A.indices = np.array([2, 0, 3, 1], dtype="int32")
    assert not t.filter(A).has_canonical_format
    assert not t.filter(A).has_sorted_indices


@pytest.mark.parametrize("format", FORMATS)
def test_empty_matrices_pass(format):
    for shape in ((0, 0), (0, 3), (3, 0), (3, 4)):
        A = types.SCIPY_CLASSES[format](shape)
        assert SparseTensorType(format, "float64", shape).filter(A) is A


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
    assert eq(nan, nan.copy()) and not eq(nan, A)
    assert eq(A.astype("int8"), A.astype("int8"))


def test_values_eq_approx_is_the_same_matrix_up_to_rounding():
    eq = SparseTensorType.values_eq_approx
    A = example()
    assert eq(A, A * (1 + 1e-12)) and not eq(A, A * (1 + 1e-6))
    assert eq(A, A * (1 + 1e-6), rtol=1e-5) and eq(A, A + 1e-6 * A, atol=1e-3, rtol=0)
    assert eq(1e12 * A, 1e12 * A * (1 + 1e-12)), "relative, not absolute"
    assert eq(A.astype("float32"), (A * (1 + 1e-6)).astype("float32"))
    assert not eq(A, A.astype("float32")) and not eq(A, sp.csr_array((4, 3))) and not eq(A, DENSE)
    assert not eq(A, 2 * A) and not eq(A, sp.csr_array(A.shape)) and not eq(sp.csr_array(A.shape), A)
    nan = A * np.nan
    assert eq(nan, nan.copy()) and not eq(nan, A) and not eq(A, nan)
    inf = A * np.inf
    assert eq(inf, inf.copy()) and not eq(inf, -inf)
    with_zero = sp.csr_array((np.append(A.data, 0.0), np.append(A.indices, 0), [0, 2, 2, 5]), shape=A.shape)
    assert with_zero.nnz == 5 and eq(A, with_zero) and eq(with_zero, A)
    unsorted = sp.csr_array((A.data[[1, 0, 2, 3]], A.indices[[1, 0, 2, 3]], A.indptr), shape=A.shape)
    assert eq(A, unsorted) and not unsorted.has_sorted_indices
    doubled = sp.csr_array((np.repeat(A.data, 2) / 2, np.repeat(A.indices, 2), 2 * A.indptr), shape=A.shape)
    assert eq(A, doubled) and doubled.nnz == 8
    big = sp.csr_array([[2**60]])
    assert eq(big, big.copy()) and not eq(big, big + sp.csr_array([[1]])), "integers are exact"
    assert eq(A.astype(bool), A.astype(bool)) and not eq(A.astype(bool), sp.csr_array(A.shape, dtype=bool))


def test_may_share_memory():
    share = SparseTensorType.may_share_memory
    A = example()
    assert share(A, A) and not share(A, A.copy())
    for name in ("data", "indices", "indptr"):
        B = A.copy()
        setattr(B, name, getattr(A, name))
        assert share(A, B)
        assert share(A, getattr(A, name)[1:]) and share(getattr(A, name), A)
    assert not share(A, 3.0) and not share(A, None)


# -- variables --------------------------------------------------------------------------------------------------


def test_is_super_is_the_order_of_static_shapes():
    anything, rows, full = (SparseTensorType("csr", "float64", s) for s in ((None, None), (3, None), (3, 4)))
    assert anything.is_super(rows) and rows.is_super(full) and full.is_super(full)
    assert not full.is_super(rows) and not rows.is_super(anything)
    assert not rows.is_super(SparseTensorType("csr", "float64", (2, 4)))
    for other in (full.clone(format="csc"), full.clone(dtype="float32"), full.clone(index_dtype="int64")):
        assert not anything.is_super(other) and not other.is_super(full)
    assert not anything.is_super(pt.dmatrix().type)
    assert anything.in_same_class(full) and full.in_same_class(anything)
    assert not full.in_same_class(anything.clone(shape=(5, None)))


def test_filter_variable():
    anything, full = SparseTensorType("csr", "float64"), SparseTensorType("csr", "float64", (3, 4))
    x, y = anything("x"), full("y")
    assert anything.filter_variable(y) is y and full.filter_variable(y) is y
    converted = full.filter_variable(x)
    assert converted.type == full and converted is not x
    assert full.convert_variable(x).type == full and full.convert_variable(pt.matrix()) is None
    with pytest.raises(TypeError, match="Cannot use x"):
        full.filter_variable(x, allow_convert=False)
    constant = anything.filter_variable(example())
    assert isinstance(constant, ss.SparseConstant) and constant.data.nnz == 4
    for other in (ss.csc_matrix("z"), ss.csr_matrix("z", "float32"), pt.matrix("z"), full.clone(shape=(3, 5))("z")):
        with pytest.raises(TypeError, match=r"Cannot use z of type.*Cast or convert"):
            full.filter_variable(other)


def test_a_specified_shape_is_checked_at_run_time():
    x = ss.csr_matrix("x")
    f = pytensor.function([x], SparseTensorType("csr", "float64", (3, None)).filter_variable(x) * 2.0)
    np.testing.assert_array_equal(f(example()).toarray(), 2 * DENSE)
    with pytest.raises((ValueError, AssertionError), match=r"specify_shape.*shape"):
        f(sp.csr_array((2, 4)))
