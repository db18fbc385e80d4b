"""Sums, and how a matrix is stored."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.ops import Remove0
from symsparse.ops.layout import EnsureSortedIndices
from symsparse.testing import assert_same_matrix, random_sparse
from tests.faults.modes import compiled, run


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_integer_sums_are_declared_in_64_bits_and_have_a_gradient(dtype, axis):
    """The variable said int8, the value was int64 (or wrapped); the gradient of an integer matrix was an error."""
    x, y = ss.csr_matrix("x", dtype=dtype), ss.csr_matrix("y")
    total = ss.sp_sum(x, axis=axis)
    value = random_sparse("csr", (30, 20), 1.0, dtype, rng=0, gap=(90, 120))
    answer = value.toarray().sum(axis)
    gradient = pytensor.grad((total * ss.sp_sum(y)).sum(), x)
    got, g = run([x, y], [total, gradient], [value, random_sparse("csr", (2, 2), rng=1)])
    assert got.dtype == total.dtype == answer.dtype
    np.testing.assert_array_equal(got, answer)
    assert not (g.toarray() if sp.issparse(g) else g).any()


def test_the_defaults_of_the_function_and_of_the_class_differ_as_documented():
    x = ss.csr_matrix("x")
    value = sp.csr_array(np.array([[1.0, 0.0], [0.0, 2.0]]))
    made = [ss.sp_sum(x), ss.SpSum()(x), x.sum(), ss.sp_sum(x, sparse_grad=True), ss.SpSum(1, False)(x).sum()]
    got = run([x], [pytensor.grad(m, x) for m in made], [value])
    assert [sp.issparse(g) for g in got] == [False, True, False, True, False]
    for g in got:
        dense, answer = (g.toarray(), np.eye(2)) if sp.issparse(g) else (g, np.ones((2, 2)))
        np.testing.assert_array_equal(dense, answer)


@pytest.mark.parametrize("axis", [-3, 2, "rows", (0, 0), 1.5, (0, 1, 2)])
def test_axes_that_do_not_exist_are_named(axis):
    with pytest.raises(ValueError, match=r"sp_sum: axis .* is not one of None, 0, 1, -1, -2"):
        ss.sp_sum(ss.csr_matrix("x"), axis=axis)


def unsorted():
    return sp.csr_array(
        (
            np.array([2.0, 1.0, 0.0, -2.0, 3.0]),
            np.array([2, 0, 1, 2, 1], "int32"),
            np.array([0, 4, 5], "int32"),
        ),
        shape=(2, 3),
    )


def test_sorting_in_place_gives_the_matrix():
    """It gave None, and claimed a view of what it destroyed."""
    x = ss.csr_matrix("x")
    op = EnsureSortedIndices(inplace=True)
    assert op.destroy_map == {0: [0]}
    storage, value = [[None]], unsorted()
    op.perform(op(x).owner, [value], storage)
    np.testing.assert_array_equal(storage[0][0].indices, [0, 1, 2, 2, 1])
    np.testing.assert_array_equal(storage[0][0].toarray(), unsorted().toarray())
    storage, value = [[None]], unsorted()
    Remove0(inplace=True).perform(Remove0(inplace=True)(x).owner, [value], storage)
    assert storage[0][0].nnz == 4


def test_layouts_are_what_their_functions_say():
    """`clean` left entries stored twice, so that 2 and -2 at one place survived as two."""
    x = ss.csr_matrix("x")
    made = [ss.ensure_sorted_indices(x), ss.sum_duplicates(x), ss.remove0(x), ss.clean(x)]
    before = unsorted()
    value = unsorted()
    ordered, summed, dropped, cleaned = run([x], made, [value])
    assert ordered.nnz == 5
    assert ordered.has_sorted_indices
    assert (summed.nnz, dropped.nnz, cleaned.nnz) == (4, 4, 2)
    assert cleaned.has_canonical_format
    for got in (ordered, summed, dropped, cleaned):
        assert_same_matrix(got, before.toarray())
    np.testing.assert_array_equal(value.indices, before.indices)
    for gradient in run([x], [pytensor.grad(m.toarray(structured=False).sum(), x) for m in made], [value]):
        np.testing.assert_array_equal(gradient, np.ones((2, 3)))


def test_patterns_of_ones_and_zeros():
    x = ss.csr_matrix("x", dtype="float32")
    made = [ss.sp_ones_like(x), ss.sp_zeros_like(x), x.ones_like(), x.zeros_like(dtype="int8")]
    ones, zeros, again, small = run([x], made, [unsorted().astype("float32")])
    assert_same_matrix(ones, [[1, 1, 1], [0, 1, 0]])
    assert_same_matrix(again, ones)
    assert zeros.nnz == small.nnz == 0
    assert (ones.dtype, zeros.dtype, small.dtype) == ("float32", "float32", "int8")
    assert zeros.shape == small.shape == (2, 3)
    (gradient,) = run([x], [pytensor.grad((x * ss.sp_ones_like(x)).sum(), x)], [unsorted().astype("float32")])
    dense = gradient.toarray() if sp.issparse(gradient) else gradient
    assert_same_matrix(dense, [[1, 1, 1], [0, 1, 0]])


def test_rows_taken_twice_get_both_cotangents():
    """The gradient of repeated rows kept the last one only, and was float64 whatever the matrix was."""
    x, w = ss.csr_matrix("x", dtype="float32"), pt.fmatrix("w")
    rows = ss.get_item_list(x, [1, 0, 1, -1])
    gradient = pytensor.grad((rows.toarray() * w).sum(), x)
    assert gradient.dtype == "float32"
    assert (gradient.format, rows.type.shape) == ("csr", (4, None))
    value = sp.csr_array(np.array([[1, 0, 2], [0, 3, 4]], "float32"))
    weights = np.arange(12, dtype="float32").reshape(4, 3)
    taken, got = run([x, w], [rows, gradient], [value, weights])
    assert_same_matrix(taken, value.toarray()[[1, 0, 1, -1]])
    answer = np.array([weights[1], weights[0] + weights[2] + weights[3]]) * (value.toarray() != 0)
    assert_same_matrix(got, answer)
    with pytest.raises(
        TypeError, match=r"get_item_list: the .* must be a vector of integers; got \(dense, float64"
    ):
        ss.get_item_list(x, [0.5])
    with pytest.raises(TypeError, match=r"get_item_list: a dense operand must be 1-D"):
        ss.get_item_list(x, pt.lmatrix())
    index = pt.lvector("index")
    for function in compiled([x, index], ss.get_item_list(x, index)):
        for wrong in ([2], [-3], [0, 2**40]):
            with pytest.raises(IndexError, match="is outside"):
                function(value, np.array(wrong))
