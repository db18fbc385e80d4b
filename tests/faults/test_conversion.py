"""Matrices from parts, to and from dense, casts."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, random_sparse
from tests.faults.modes import run

D = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])


def test_from_dense_converts_a_sparse_matrix_of_the_other_format():
    """`csc_from_dense` gave a csr matrix back as it was."""
    x, y = ss.csr_matrix("x"), ss.csc_matrix("y")
    assert ss.csc_from_dense(x).format == "csc"
    assert ss.csr_from_dense(y).format == "csr"
    assert ss.csr_from_dense(x) is x
    (got,) = run([x], [ss.csc_from_dense(x)], [sp.csr_array(D)])
    assert_same_matrix(got, D)


@pytest.mark.parametrize("name", ["csr_from_dense", "csc_from_dense"])
def test_from_dense_takes_up_to_two_dimensions(name):
    convert = getattr(ss, name)
    v, s = pt.dvector("v"), pt.dscalar("s")
    row, one = run([v, s], [convert(v), convert(s)], [D[0], np.array(4.0)])
    assert_same_matrix(row, D[:1])
    assert_same_matrix(one, [[4.0]])
    with pytest.raises(TypeError, match=f"{name}: .*more than two dimensions.*dense, float64"):
        convert(pt.dtensor3())


def test_from_dense_counts_nan_as_an_entry():
    d = pt.dmatrix("d")
    value = np.array([[np.nan, 0.0], [-0.0, np.inf]])
    for got in run([d], [ss.csr_from_dense(d), ss.csc_from_dense(d)], [value]):
        assert got.nnz == 2
        np.testing.assert_array_equal(got.toarray(), value)


def test_there_and_back_has_the_gradient_that_its_flag_says():
    """``toarray(from_dense(d))`` is rewritten to d; its gradient is that of the conversions, not of the rewrite."""
    d = pt.dmatrix("d")
    x = ss.csr_from_dense(d)
    structured, regular = (pytensor.grad(x.toarray(structured=flag).sum(), d) for flag in (True, False))
    got = run([d], [x.toarray(), structured, regular], [D])
    np.testing.assert_array_equal(got[0], D)
    np.testing.assert_array_equal(got[1], D != 0)
    np.testing.assert_array_equal(got[2], np.ones_like(D))


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_zeros_of_a_cotangent_are_entries(format):
    """A dense cotangent was converted by its non-zeros: positions with a gradient of exactly 0 fell out."""
    x, w = ss.matrix(format, "x"), pt.dmatrix("w")
    value, weights = sp.csr_array(D).asformat(format), np.array([[0.0, 5.0, 1.0], [2.0, 0.0, 0.0]])
    structured, regular = (pytensor.grad((x.toarray(structured=flag) * w).sum(), x) for flag in (True, False))
    got = run([x, w], [structured, regular], [value, weights])
    assert got[0].nnz == value.nnz
    assert_same_matrix(got[0], weights * (D != 0))
    np.testing.assert_array_equal(got[1], weights)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64", "uint64"])
def test_a_matrix_from_indices_of_any_integer_dtype(dtype):
    v, i, p = pt.dvector(), pt.vector(dtype=dtype), pt.vector(dtype=dtype)
    value = sp.csr_array(D)
    made = ss.CSR(v, i, p, np.array(D.shape))
    (got,) = run([v, i, p], [made], [value.data, value.indices.astype(dtype), value.indptr.astype(dtype)])
    assert_same_matrix(got, D)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (
            lambda v, i: (pt.dmatrix(), i, i, i),
            TypeError,
            r"CSM: the values must be a vector.*\(dense, float64",
        ),
        (
            lambda v, i: (v, v, i, i),
            TypeError,
            r"CSM: indices must be a vector of integers; got \(dense, float64",
        ),
        (lambda v, i: (v, i, v, i), TypeError, "CSM: indptr must be a vector of integers"),
        (lambda v, i: (v, i, i, v), TypeError, "CSM: shape must be a vector of integers"),
        (lambda v, i: (v, i, pt.lmatrix(), i), TypeError, "CSM: indptr must be a vector of integers"),
        (lambda v, i: (v, i, i, np.array([1, 2, 3])), ValueError, "CSM: shape must have two elements"),
    ],
)
def test_wrong_parts_are_refused_by_name(arguments, kind, message):
    with pytest.raises(kind, match=message):
        ss.CSR(*arguments(pt.dvector(), pt.lvector()))


def test_properties_of_wide_indices_stay_wide():
    """They were declared int32, and wrapped."""
    x = ss.csr_matrix("x", index_dtype="int64")
    value = random_sparse("csr", (3, 4), rng=0, index_dtype="int64")
    _, indices, indptr, shape = run([x], ss.csm_properties(x), [value])
    assert indices.dtype == indptr.dtype == shape.dtype == "int64"
    np.testing.assert_array_equal(indices, value.indices)


def test_diagonals():
    """An empty diagonal was an error; the gradient of the diagonal of a csr matrix was csc."""
    v, x = pt.dvector("v"), ss.csr_matrix("x")
    gradient = pytensor.grad(ss.diag(x).sum(), x)
    assert gradient.format == "csr"
    empty, g, made = run([v, x], [ss.square_diagonal(v), gradient, ss.diag(x)], [np.ones(0), sp.csr_array(D)])
    assert empty.shape == (0, 0)
    assert_same_matrix(g, np.eye(2, 3))
    np.testing.assert_array_equal(made, [1.0, 0.0])
    with pytest.raises(
        TypeError, match=r"square_diagonal: a dense operand must be 1-D; got \(dense, float64"
    ):
        ss.square_diagonal(pt.dmatrix())


def test_rows_at_one_place_are_added_and_have_their_own_dtype_and_gradient():
    """The declared dtype was that of the matrix that only gives the shape, and no gradient could be built."""
    x, rows, places = pt.fmatrix("x"), pt.dmatrix("rows"), pt.lvector("places")
    made = ss.construct_sparse_from_list(x, rows, places)
    assert made.dtype == "float64"
    weights = np.arange(6.0).reshape(3, 2)
    gradient = pytensor.grad((made.toarray(structured=False) * weights).sum(), rows)
    value = np.array([[1.0, 2.0], [3.0, 4.0]])
    got, g = run([x, rows, places], [made, gradient], [np.zeros((3, 2), "f"), value, np.array([2, 2])])
    assert_same_matrix(got, [[0, 0], [0, 0], [4.0, 6.0]])
    np.testing.assert_array_equal(g, weights[[2, 2]])
    for wrong, message in (
        ((pt.dmatrix(), rows, pt.dvector()), "places of the rows must be integers"),
        ((x, pt.dvector(), places), "must be 2-D"),
        ((x, rows, pt.lmatrix()), "must be 1-D"),
    ):
        with pytest.raises(TypeError, match=f"construct_sparse_from_list: .*{message}.*dense"):
            ss.construct_sparse_from_list(*wrong)


@pytest.mark.parametrize("source", ["int8", "uint8", "bool", "float32"])
def test_gradients_of_casts(source):
    """An integer operand has a zero gradient of a float dtype: not the cotangent of what it was cast to, no error."""
    x, y = ss.csr_matrix("x", dtype=source), ss.csr_matrix("y", dtype="float64")
    loss = ss.sp_sum(ss.cast(x, "float64") * y, sparse_grad=True)
    gx, gy = pytensor.grad(loss, [x, y])
    a, b = random_sparse("csr", (3, 4), dtype=source, rng=0, gap=(1, 3)), random_sparse("csr", (3, 4), rng=1)
    got, other = run([x, y], [gx, gy], [a, b])
    assert_same_matrix(other, a.toarray() * (b.toarray() != 0))
    if source == "float32":
        assert got.dtype == "float32"
        assert_same_matrix(got, b.toarray() * (a.toarray() != 0), rtol=1e-6)
    else:
        assert got.dtype == "float64"
        assert_same_matrix(got, np.zeros((3, 4)))


def test_integers_cast_to_integers_below_a_gradient():
    x, y = ss.csr_matrix("x", dtype="int8"), ss.csr_matrix("y", dtype="float64")
    gradient = pytensor.grad(ss.sp_sum(ss.icast(x) * y), x)
    values = [random_sparse("csr", (2, 3), dtype=v.dtype, rng=0) for v in (x, y)]
    assert_same_matrix(run([x, y], [gradient], values)[0], np.zeros((2, 3)))


def test_casts_by_letter():
    x = ss.csc_matrix("x", dtype="uint8")
    letters = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
    letters |= {"c": "complex64", "z": "complex128"}
    for letter, dtype in letters.items():
        made = getattr(ss, f"{letter}cast")(x)
        assert (made.dtype, made.format) == (dtype, "csc")


@pytest.mark.parametrize("dtype", ["float16", "object", "datetime64[s]", "longdouble"])
def test_casts_to_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match=r"cast: unsupported dtype.*choose one of.*'float64'"):
        ss.cast(ss.csr_matrix("x"), dtype)


def test_a_cast_to_integers_or_bool_sums_duplicates_first():
    """0.6 + 0.6 is 1 as an integer, not 0 + 0; 1 - 1 is False, not True or True."""
    x = ss.csr_matrix("x")
    pair = np.array([0, 2], "int32"), np.array([0, 0], "int32")
    value, nothing = (
        sp.csr_array((np.array(v), pair[1], pair[0]), shape=(1, 1)) for v in ([0.6, 0.6], [1.0, -1.0])
    )
    assert run([x], [ss.lcast(x)], [value])[0].toarray() == [[1]]
    assert not run([x], [ss.cast(x, "bool")], [nothing])[0].toarray()[0, 0]
