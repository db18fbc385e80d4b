"""Symbolic sparse matrices: constructors, constants, shared variables, attributes."""

import copy
import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.basic import as_symbolic
from pytensor.compile.sharedvalue import SharedVariable

import symsparse as ss
from symsparse.types import SCIPY_CLASSES, SparseTensorType

DENSE = np.array([[1.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.25]])
FORMATS = ["csr", "csc"]


def example(format="csr", dtype="float64"):
    return SCIPY_CLASSES[format](DENSE.astype(dtype))


# -- constructors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "format"),
    [("csr_matrix", "csr"), ("csr_array", "csr"), ("csc_matrix", "csc"), ("csc_array", "csc")],
)
def test_constructors_of_one_format(name, format):
    make = getattr(ss, name)
    assert make().type == SparseTensorType(format, pytensor.config.floatX)
    assert make().name is None
    x = make("x", dtype="int8", shape=(None, 3), index_dtype="int64")
    assert isinstance(x, ss.SparseVariable)
    assert x.name == "x"
    assert x.owner is None
    assert x.type == SparseTensorType(format, "int8", (None, 3), index_dtype="int64")
    assert make("x", "int8").type == SparseTensorType(format, "int8")


def test_matrix_takes_the_format_first():
    assert ss.matrix("csc", "x", "float32", (2, 3)).type == SparseTensorType("csc", "float32", (2, 3))
    assert ss.matrix("csr").type == SparseTensorType("csr", pytensor.config.floatX)
    with pytensor.config.change_flags(floatX="float32"):
        assert ss.matrix("csr").dtype == "float32"
    with pytest.raises(ValueError, match="'coo'"):
        ss.matrix("coo", "x")
    with pytest.raises(TypeError, match="float16"):
        ss.csr_matrix("x", dtype="float16")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("letter", "dtype"), [("d", "float64"), ("f", "float32")])
def test_constructors_of_one_format_and_dtype(format, letter, dtype):
    x = getattr(ss, f"{format}_{letter}matrix")("x")
    assert x.type == SparseTensorType(format, dtype)
    assert x.name == "x"


def test_as_sparse_variable():
    x = ss.csc_matrix("x")
    assert ss.as_sparse_variable is ss.as_sparse
    assert ss.as_sparse(x) is x
    assert ss.as_sparse(x, ndim=2) is x
    doubled = x * 2.0
    assert ss.as_sparse(doubled.owner) is doubled
    for A in (example("csc"), sp.csc_matrix(DENSE)):
        c = ss.as_sparse(A, name="c")
        assert isinstance(c, ss.SparseConstant)
        assert c.name == "c"
        assert c.type == SparseTensorType("csc", "float64", (3, 4))
    assert ss.as_sparse(sp.lil_array(DENSE)).format == "csr"
    for wrong, message in (
        (pt.matrix("d"), r"d of type Matrix.*is not sparse.*csr_from_dense"),
        (DENSE, "needs a SciPy sparse.*ndarray"),
        (3, "needs a SciPy sparse.*int"),
        (sp.coo_array(np.ones(3)), "1-D"),
        (ss.csm_properties(x)[0].owner, "4 outputs"),
    ):
        with pytest.raises(TypeError, match=message):
            ss.as_sparse_variable(wrong)
    with pytest.raises(TypeError, match="ndim=1"):
        ss.as_sparse(x, ndim=1)
    with pytest.raises(TypeError, match="shape"):
        ss.as_sparse(x, shape=(1, 2))


def test_as_symbolic_takes_sparse_arrays():
    c = as_symbolic(example("csc"))
    assert isinstance(c, ss.SparseConstant)
    assert c.format == "csc"


def test_as_sparse_or_tensor_variable():
    x, d = ss.csr_matrix(), pt.matrix()
    assert ss.as_sparse_or_tensor_variable(x) is x
    assert ss.as_sparse_or_tensor_variable(d) is d
    assert isinstance(ss.as_sparse_or_tensor_variable(example()), ss.SparseConstant)
    assert ss.as_sparse_or_tensor_variable(DENSE).type == pt.TensorType("float64", (3, 4))


# -- constants --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["csr", "csc", "coo", "lil"])
def test_constants_are_copies_with_static_shape(given):
    A = sp.coo_array(DENSE).asformat(given)
    c = ss.constant(A, name="c")
    assert c.type == SparseTensorType("csc" if given == "csc" else "csr", "float64", (3, 4))
    assert str(c) == "c"
    assert c.owner is None
    A *= 7
    np.testing.assert_array_equal(c.data.toarray(), DENSE)
    assert type(c.data) is SCIPY_CLASSES[c.format]


def test_constants_refuse_what_is_not_sparse():
    for wrong in (DENSE, 1.0, pt.matrix()):
        with pytest.raises(TypeError, match="constant: needs a SciPy sparse"):
            ss.constant(wrong)


def test_signatures_tell_every_difference():
    def signature(
        data=(1.0, 2.0), indices=(0, 2), indptr=(0, 1, 2), shape=(2, 3), dtype="float64", make=sp.csr_array
    ):
        return ss.constant(
            make((np.array(data, dtype), np.array(indices), np.array(indptr)), shape=shape)
        ).signature()

    one = signature()
    assert one == signature()
    assert hash(one) == hash(signature())
    different = [
        signature(data=(1.0, 2.0 + 1e-15)),
        signature(data=(-0.0, 2.0)),
        signature(data=(0.0, 2.0)),
        signature(indices=(0, 1)),
        signature(indptr=(0, 2, 2)),
        signature(shape=(2, 4)),
        signature(dtype="float32"),
        signature(dtype="int64"),
        signature(make=sp.csc_array, shape=(3, 2)),
        signature(data=(1e-8, 0)),
        signature(data=(5e-8, 0)),
        ss.constant(sp.csr_array((2, 3))).signature(),
    ]
    assert one not in different
    assert len(set(different)) == len(different)
    nan = sp.csr_array([[np.nan, 1.0]])
    assert ss.constant(nan).signature() == ss.constant(nan).signature()
    assert ss.constant(nan).equals(ss.constant(nan))
    assert not ss.constant(nan).equals(ss.constant(example()))


def test_equal_constants_merge_and_different_ones_do_not():
    d = pt.matrix("d")
    small, large = (sp.csr_array(np.array([[v, 0.0]])) for v in (1e-8, 5e-8))
    f = pytensor.function([d], [small @ d, large @ d, ss.constant(small.copy()) @ d])
    first, second, third = f(np.ones((2, 1)))
    assert (first[0, 0], second[0, 0], third[0, 0]) == (1e-8, 5e-8, 1e-8)
    stored = {c.data.data.tobytes() for c in _constants(f) if isinstance(c, ss.SparseConstant)} | {
        c.data.tobytes()
        for c in _constants(f)
        if getattr(c.type, "dtype", "") == "float64" and c.type.ndim == 1
    }
    assert stored == {np.array([1e-8]).tobytes(), np.array([5e-8]).tobytes()}
    f = pytensor.function([d], [ss.constant(example()) @ d, ss.constant(example()) @ d])
    assert sum("Dot" in str(node.op) for node in f.maker.fgraph.apply_nodes) == 1


def _constants(f):
    return [v for v in f.maker.fgraph.variables if isinstance(v, pytensor.graph.basic.Constant)]


def test_constants_copy_and_pickle():
    c = ss.constant(example(), name="c")
    for twin in (copy.deepcopy(c), pickle.loads(pickle.dumps(c)), c.clone()):
        assert isinstance(twin, ss.SparseConstant)
        assert twin.type == c.type
        assert twin.name == "c"
        assert twin.signature() == c.signature()
    assert copy.deepcopy(c).data is not c.data


# -- shared variables -------------------------------------------------------------------------------------------


def test_shared_copies_in_and_out():
    A = example()
    x = ss.shared(A, name="x")
    assert isinstance(x, ss.SparseSharedVariable)
    assert isinstance(x, SharedVariable)
    assert x.name == "x"
    assert x.type == SparseTensorType("csr", "float64")
    A.data[:] = 7
    np.testing.assert_array_equal(x.get_value().toarray(), DENSE)
    out = x.get_value()
    out.data[:] = 7
    out.indices[:] = 0
    np.testing.assert_array_equal(x.get_value().toarray(), DENSE)
    B = example() * 2
    x.set_value(B)
    B.data[:] = 7
    np.testing.assert_array_equal(x.get_value().toarray(), 2 * DENSE)


def test_shared_borrows_on_demand():
    A = example()
    x = ss.shared(A, borrow=True)
    assert np.shares_memory(x.get_value(borrow=True).data, A.data)
    assert not np.shares_memory(x.get_value().data, A.data)
    B = example()
    x.set_value(B, borrow=True)
    assert np.shares_memory(x.get_value(borrow=True).data, B.data)


def test_shared_formats_dtypes_and_shapes():
    assert ss.shared(sp.coo_array(DENSE)).format == "csr"
    assert ss.shared(example("csc")).format == "csc"
    x = ss.shared(example("csc"), format="csr", shape=(None, 4))
    assert x.type == SparseTensorType("csr", "float64", (None, 4))
    assert type(x.get_value()) is sp.csr_array
    x.set_value(sp.coo_matrix(np.ones((2, 4), dtype="float32")))
    assert x.get_value().dtype == "float64"
    assert x.get_value().shape == (2, 4)
    with pytest.raises(TypeError, match="does not fit"):
        x.set_value(sp.csr_array((4, 2)))
    with pytest.raises(TypeError, match="complex128"):
        x.set_value(sp.csr_array((2, 4), dtype="complex128"))
    with pytest.raises(TypeError, match="needs a SciPy sparse"):
        x.set_value(np.ones((2, 4)))
    for wrong in (DENSE, 3, ss.csr_matrix()):
        with pytest.raises(TypeError, match="shared: needs a SciPy sparse"):
            ss.shared(wrong)
    strict = ss.shared(example(), strict=True)
    with pytest.raises(TypeError, match="strict"):
        strict.set_value(example(dtype="float32"))


def test_pytensor_shared_takes_arrays_and_leaves_matrices_to_pytensor():
    for format in FORMATS:
        x = pytensor.shared(example(format), name="x", borrow=True)
        assert isinstance(x, ss.SparseSharedVariable)
        assert x.format == format
        assert x.name == "x"
    from pytensor.sparse import SparseTensorType as Foreign

    y = pytensor.shared(sp.csr_matrix(DENSE))
    assert isinstance(y.type, Foreign)
    assert not isinstance(y.type, SparseTensorType)
    assert isinstance(as_symbolic(sp.csr_matrix(DENSE)).type, Foreign)
    with pytest.raises(TypeError, match=r"add: .*pytensor\.sparse.*symsparse.shared"):
        ss.csr_matrix("x") + y


def test_frozen_keeps_its_pattern():
    A = example("csc")
    x = ss.shared(A, name="w", frozen=True)
    assert isinstance(x, ss.SparseVariable)
    assert x.name == "w"
    assert x.type == SparseTensorType("csc", "float64", (3, 4))
    assert isinstance(x.values, SharedVariable)
    assert x.values.name == "w.values"
    assert x.values.type.ndim == 1
    A.data[:], A.indices[:] = 7, 0
    np.testing.assert_array_equal(x.get_value().toarray(), DENSE)
    assert type(x.get_value()) is sp.csc_array
    out = x.get_value()
    out.indices[:] = 0
    out.data[:] = 7
    np.testing.assert_array_equal(x.get_value().toarray(), DENSE)
    x.set_value(2 * example("csc"))
    np.testing.assert_array_equal(x.get_value().toarray(), 2 * DENSE)
    assert np.shares_memory(x.get_value(borrow=True).data, x.values.get_value(borrow=True))
    with pytest.raises(ValueError, match=r"pattern of .*w.*frozen"):
        x.set_value(sp.csc_array((3, 4)))
    with pytest.raises(TypeError, match="does not fit"):
        x.set_value(sp.csc_array((4, 3)))
    B = example()
    borrowed = ss.shared(B, frozen=True, borrow=True)
    B.data[:] = 5
    assert set(borrowed.values.get_value()) == {5.0}
    assert ss.shared(B, frozen=True, format="csc").format == "csc"
    assert ss.shared(B, frozen=True).values.name is None


def test_frozen_with_its_pattern_in_another_layout():
    x = ss.shared(example(), frozen=True)
    A = example()
    A.indices, A.data = A.indices[[1, 0, 2, 3]], 3 * A.data[[1, 0, 2, 3]]
    assert not A.has_sorted_indices
    x.set_value(A)
    np.testing.assert_array_equal(x.get_value().toarray(), 3 * DENSE)


# -- what a variable says about itself --------------------------------------------------------------------------


def test_repr_and_str():
    x = ss.csr_matrix("x", dtype="float32", shape=(None, 3))
    assert str(x) == "x"
    assert repr(x) == "x{csr, float32, shape=(?, 3)}"
    unnamed = ss.csc_matrix(shape=(2, 3))
    for shown in (repr(unnamed), str(unnamed)):
        assert "csc, float64, shape=(2, 3)" in shown
    assert "csc, float32, shape=(3, ?)" in repr(x.T)
    assert str(ss.constant(example())) == "SparseConstant{csr, float64, shape=(3, 4), nnz=4}"
    s = ss.shared(example(), name="s")
    assert str(s) == "s"
    assert repr(s) == "s{csr, float64, shape=(?, ?)}"
    assert "csr, float64, shape=(3, 4)" in repr(ss.shared(example(), name="w", frozen=True))
    assert "index_dtype=int64" in repr(ss.csr_matrix("x", index_dtype="int64"))


def test_attributes():
    x = ss.csr_matrix("x", dtype="int8", shape=(None, 3))
    assert (x.format, x.dtype, x.ndim, x.type.shape) == ("csr", "int8", 2, (None, 3))
    n, m = x.shape
    assert n.type == m.type == pt.lscalar().type
    assert m.data == 3
    assert x.values.dtype == "int8"
    assert x.indices.dtype == x.indptr.dtype == "int32"
    assert x.nnz.type == x.size.type == pt.lscalar().type
    for access, message in ((bool, "truth value"), (len, "x.shape"), (list, "iterated"), (float, "float")):
        with pytest.raises(TypeError, match=message):
            access(x)
    assert len({x, x, ss.csr_matrix("x")}) == 2
    assert x in [ss.csr_matrix("x"), x]
    assert (x == ss.csr_matrix("x")) is False
    assert (x != ss.csr_matrix("x")) is True
    assert (x == x) is True
    assert (x == None) is False  # noqa: E711
    assert (x != "x") is True


@pytest.mark.parametrize("format", FORMATS)
def test_sizes_at_run_time(format):
    x = ss.matrix(format, "x", index_dtype="int64")
    f = pytensor.function([x], [*x.shape, x.nnz, x.size, x.values, x.indices, x.indptr])
    A = SCIPY_CLASSES[format](
        (np.array([1.0, 0.0, 2.0]), np.array([2, 0, 0]), np.array([0, 3])),
        shape=(1, 4) if format == "csr" else (4, 1),
    )
    n, m, nnz, size, *arrays = f(A)
    assert (n, m, nnz, size) == (*A.shape, 3, 3)
    for array, expected in zip(arrays, (A.data, A.indices, A.indptr), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("make", [ss.csr_matrix, ss.csc_array])
def test_a_value_is_no_name(make):
    with pytest.raises(TypeError, match=r"constant\(A\) or shared\(A\)"):
        make(sp.csr_array((2, 3)))
