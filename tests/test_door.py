"""`SparseTensorType.filter`: what comes in, what is refused, and that the caller's object stays as it was."""

import copy
import re

import numpy as np
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse import types, validation
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


@pytest.mark.parametrize(
    ("dtype", "given"), [("float64", "float32"), ("float32", "int8"), ("complex64", "float32")]
)
def test_values_are_upcast_without_loss(dtype, given):
    A = example(dtype=given)
    B = SparseTensorType("csr", dtype).filter(A)
    assert B.dtype == dtype
    assert A.dtype == given
    np.testing.assert_array_equal(B.toarray(), DENSE)
    with pytest.raises(TypeError, match="strict=True"):
        SparseTensorType("csr", dtype).filter(A, strict=True)


@pytest.mark.parametrize(
    ("dtype", "given"), [("float32", "float64"), ("int8", "int64"), ("float32", "int64")]
)
def test_values_are_downcast_only_on_demand(dtype, given):
    A = example(dtype=given)
    t = SparseTensorType("csr", dtype)
    for allow in (None, False):
        with pytest.raises(TypeError, match=f"{given} values without loss.*allow_downcast"):
            t.filter(A, allow_downcast=allow)
    B = t.filter(A, allow_downcast=True)
    assert B.dtype == dtype
    assert A.dtype == given
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
    assert t.admits((7, 4))
    assert not t.admits((4, 7))


MALFORMED = {
    "a size is negative": {"_shape": (3, -4), "data": [], "indices": [], "indptr": [0, 0, 0, 0]},
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
    arrays = {
        name: array if name == "_shape" else np.array(array, None if array else "int32")
        for name, array in MALFORMED[cause].items()
    }
    A = with_arrays(**arrays)
    for _ in range(2):  # a refused value is not taken for a checked one
        with pytest.raises(ValueError, match=f"Malformed csr matrix of shape.*{cause}"):
            SparseTensorType("csr", "float64").filter(A)


def test_malformed_columns_and_foreign_arrays_are_refused():
    A = with_arrays("csc", indices=np.array([0, 2, 0, 3], dtype="int32"))
    with pytest.raises(ValueError, match=r"Malformed csc matrix.*row index 3 is outside 0\.\.2"):
        SparseTensorType("csc", "float64").filter(A)
    with pytest.raises(ValueError, match="indices is not a vector"):
        SparseTensorType("csr", "float64").filter(with_arrays(indices=[0, 2, 1, 3]))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_indices_below_zero_are_refused_where_the_axis_is_longer_than_their_dtype_counts(dtype):
    """Read as an unsigned number, the -1 of a narrow dtype is a column of a wide matrix."""
    arrays = np.ones(1), np.array([-1], dtype), np.array([0, 1], dtype)
    A = sp.csr_array((1, 1))
    A.data, A.indices, A.indptr, A._shape = *arrays, (1, 2**40)
    with pytest.raises(ValueError, match="column index -1 is outside"):
        SparseTensorType("csr", "float64", index_dtype="int64").filter(A)


# A change to a matrix of another format, and what is said of it. SciPy would read and write out of bounds.
FOREIGN = {
    "csc": {
        "row index 3 is outside 0..2": {"indices": [0, 2, 3, 2]},
        "row index -1 is outside 0..2": {"indices": [0, 2, -1, 2]},
        "4 values and 4 indices, but indptr ends at 9": {"indptr": [0, 1, 2, 3, 9]},
        "indptr decreases after column 2": {"indptr": [0, 1, 3, 2, 4]},
        "1 values and 4 indices": {"data": [1.0]},
        "indices has dtype float64": {"indices": [0.0, 2.0, 0.0, 2.0]},
    },
    "coo": {
        "row index 3 is outside 0..2": {"coords": ([0, 3, 2, 2], [0, 2, 1, 3])},
        "row index -1 is outside 0..2": {"coords": ([0, -1, 2, 2], [0, 2, 1, 3])},
        "column index 4 is outside 0..3": {"coords": ([0, 0, 2, 2], [0, 2, 1, 4])},
        "4 values, but 3 column indices": {"coords": ([0, 0, 2, 2], [0, 2, 1])},
        "2 values, but 4 row indices": {"data": [1.0, 2.0]},
        "coords[1] has dtype float64": {"coords": ([0, 0, 2, 2], [0, 2, 1, 1.5])},
        "1 vectors of coordinates": {"coords": ([0, 0, 2, 2],)},
        "a size is negative": {"_shape": (3, -4)},
        "row index 2 is outside 0..0": {"_shape": (1, 4)},
    },
    "bsr": {
        "its blocks": {"indices": [0, 2, 1, 4]},
        "but indptr ends at 9": {"indptr": [0, 2, 2, 9]},
        "1 values and 4 indices": {"data": [[[1.0]]]},
        "values is not an array of 3 dimensions": {"data": [1.0, 2.0, 3.0, 4.0]},
        "it does not consist of blocks": {"data": np.ones((4, 2, 1))},
    },
    "dia": {
        "diagonals, but 2 offsets": {"offsets": [0, 1]},
        "values is not an array of 2 dimensions": {"data": [1.0]},
    },
    "lil": {
        "4 values do not go with 3 column indices": {"rows": [[0], [], [1, 3]]},
        "rows has to hold 3 lists": {"rows": [[0, 2], []]},
        "column index -1 is outside 0..3": {"rows": [[0, -1], [], [1, 3]]},
    },
    "dok": {"index 5 exceeds": {"_dict": {(5, 0): 1.0}}, "negative axis 1 index": {"_dict": {(0, -1): 1.0}}},
}
DOORS = {
    "filter": SparseTensorType("csr", "float64").filter,
    "constant": lambda A: ss.constant(A).data,
    "shared": lambda A: ss.shared(A, format="csr").get_value(),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("format", "cause"), [(f, cause) for f, causes in FOREIGN.items() for cause in causes]
)
def test_malformed_matrices_of_other_formats_are_refused_before_scipy_converts_them(format, cause, door):
    A = getattr(sp, f"{format}_array")(DENSE)
    for name, given in FOREIGN[format][cause].items():
        if name == "coords":
            given = tuple(map(np.array, given))
        elif format == "lil":
            given = np.array([*given, None], dtype=object)[:-1]  # a vector of lists
        elif name not in ("_shape", "_dict"):
            given = np.array(given)
        setattr(A, name, given)
    with pytest.raises(ValueError, match=re.escape(cause)):
        DOORS[door](A)


@pytest.mark.parametrize("format", ["csc", "coo", "bsr"])
def test_awkward_arrays_of_other_formats_are_converted(format):
    A = getattr(sp, f"{format}_array")(DENSE)
    awkward = lambda a: np.repeat(a, 2, axis=0).astype(a.dtype.newbyteorder(">"))[::2]  # noqa: E731
    A.data = awkward(A.data)
    if format == "coo":
        A.coords = tuple(map(awkward, A.coords))
    else:
        A.indices, A.indptr = np.append(awkward(A.indices), 77), awkward(A.indptr)  # and with slack
        A.data = np.append(A.data, A.data[:1], axis=0)
    np.testing.assert_array_equal(SparseTensorType("csr", "float64").filter(A).toarray(), DENSE)


@pytest.mark.parametrize("dtype", ["object", "M8[s]", "U3", "S2"])
@pytest.mark.parametrize("format", FORMATS)
def test_values_that_are_no_numbers_are_refused(format, dtype):
    A = example(format)
    A.data = A.data.astype("int64").astype(dtype)
    for allow in (None, True):
        with pytest.raises(TypeError, match="they are no numbers"):
            SparseTensorType("csr", "float64").filter(A, allow_downcast=allow)
    A.data = [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(ValueError, match="values is not a vector"):
        SparseTensorType("csr", "float64").filter(A)


def test_slack_behind_the_last_entry_is_cut_off():
    A = example()
    A.data, A.indices = np.append(A.data, [9.0, 9.0]), np.append(A.indices, [77, 78]).astype("int32")
    B = SparseTensorType("csr", "float64").filter(A)
    assert len(B.data) == len(B.indices) == 4
    assert len(A.data) == len(A.indices) == 6
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
    check = validation.check_pattern
    monkeypatch.setattr(validation, "check_pattern", lambda *args: (seen.append(1), check(*args)))
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
    assert t.filter(A).has_canonical_format
    assert A.has_sorted_indices
    A.indices = np.array([2, 0, 3, 1], dtype="int32")
    assert not t.filter(A).has_canonical_format
    assert not t.filter(A).has_sorted_indices


@pytest.mark.parametrize("format", FORMATS)
def test_empty_matrices_pass(format):
    for shape in ((0, 0), (0, 3), (3, 0), (3, 4)):
        A = types.SCIPY_CLASSES[format](shape)
        assert SparseTensorType(format, "float64", shape).filter(A) is A


@pytest.mark.parametrize("dtype", ["bool", "float64"])
def test_entries_of_a_bool_matrix_that_are_stored_twice_count_once(dtype):
    """True + True is True; each of them cast to a number would count."""
    indices, indptr = np.array([2, 0, 0], "int32"), np.array([0, 3], "int32")
    A = sp.csr_array((np.ones(3, bool), indices, indptr), shape=(1, 3))
    B = SparseTensorType("csr", dtype).filter(A)
    np.testing.assert_array_equal(B.indices, [0, 2])
    np.testing.assert_array_equal(B.data, np.ones(2, dtype))
    np.testing.assert_array_equal(A.indices, [2, 0, 0])
    assert SparseTensorType("csr", dtype).filter(B) is B
