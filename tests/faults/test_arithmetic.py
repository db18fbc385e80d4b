"""Sums, differences, products and scalings."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, random_sparse
from tests.faults.modes import compiled, run

FORMATS = ["csr", "csc"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_the_negative_of_unsigned_integers_wraps(dtype):
    """A rewrite of the dense negative failed on them, with a traceback on stderr."""
    x, d = ss.csr_matrix("x", dtype=dtype), pt.matrix("d", dtype=dtype)
    value = random_sparse("csr", (3, 4), dtype=dtype, rng=0)
    dense = np.arange(12, dtype=dtype).reshape(3, 4)
    got = run([x, d], [-x, x - d, d - x, x - (x + x)], [value, dense])
    a = value.toarray()
    for found, answer in zip(got, [-a, a - dense, dense - a, -a], strict=True):
        np.testing.assert_array_equal(found.toarray() if sp.issparse(found) else found, answer)


@pytest.mark.parametrize(
    ("left", "right"), [("float64", "uint8"), ("int16", "uint8"), ("int64", "int8"), ("float64", "bool")]
)
def test_differences_are_taken_in_the_dtype_of_the_result(left, right):
    """Turning the sign first made 255 of -1, and left -128 what it was."""
    low, high = (0, 1) if right == "bool" else (np.iinfo(right).min, np.iinfo(right).max)
    dense = np.array([[low, 1, 0], [high, 0, 1]]).astype(right)
    value = np.array([[5, 0, 7], [0, 2, 3]]).astype(left)
    x, y, d = ss.csr_matrix("x", dtype=left), ss.csc_matrix("y", dtype=right), pt.matrix("d", dtype=right)
    got = run([x, y, d], [x - y, x - d], [sp.csr_array(value), sp.csc_array(dense), dense])
    answer = value.astype(got[1].dtype) - dense.astype(got[1].dtype)
    np.testing.assert_array_equal(got[0].toarray(), answer)
    np.testing.assert_array_equal(got[1], answer)


def test_bool_has_no_difference_and_the_error_says_so():
    x = ss.csr_matrix("x", dtype="bool")
    for other in (ss.csc_matrix("y", dtype="bool"), pt.matrix("d", dtype="bool")):
        for a, b in ((x, other), (other, x)):
            with pytest.raises(TypeError, match=r"sub: bool has no difference; got .*csr, bool.*astype"):
                ss.sub(a, b)
    with pytest.raises(TypeError, match=r"neg: bool has no negative; got \(csr, bool.*astype"):
        ss.neg(x)


@pytest.mark.parametrize("format", FORMATS)
def test_results_have_the_format_of_the_first_matrix_and_gradients_that_of_their_own(format):
    x, y = ss.matrix(format, "x"), ss.matrix("csc" if format == "csr" else "csr", "y")
    for op in (ss.add, ss.sub, ss.mul):
        made = op(x, y)
        assert made.format == x.format
        gx, gy = pytensor.grad(ss.sp_sum(made * made.copy(), sparse_grad=True), [x, y])
        a, b = (random_sparse(v.format, (4, 3), rng=i) for i, v in enumerate((x, y)))
        found = run([x, y], [gx, gy], [a, b])
        p, q = a.toarray(), b.toarray()
        answer = {ss.add: (2 * (p + q),) * 2, ss.sub: (2 * (p - q), 2 * (q - p))}.get(
            op, (2 * p * q**2, 2 * q * p**2)
        )
        for got, want, own in zip(found, answer, (p, q), strict=True):
            dense = got.toarray() if sp.issparse(got) else got
            assert_same_matrix(dense * (own != 0), want * (own != 0))


WITH_DENSE = {
    "add": (ss.add, (3, 4)),
    "sub": (ss.sub, (3, 4)),
    "mul": (ss.mul, (3, 4)),
    "true_div": (lambda x, y: x / y, (3, 4)),
    "lt": (ss.lt, (3, 4)),
    "eq": (ss.eq, (3, 4)),
    "add vector": (ss.add, (4,)),
    "mul vector": (ss.mul, (4,)),
    "mul_s_v": (ss.mul_s_v, (4,)),
    "structured_add_s_v": (ss.structured_add_s_v, (4,)),
    "col_scale": (ss.col_scale, (4,)),
    "row_scale": (ss.row_scale, (3,)),
    "dot": (ss.dot, (4, 2)),
    "dot vector": (ss.dot, (4,)),
    "structured_dot": (ss.structured_dot, (4, 2)),
    "true_dot": (ss.true_dot, (4, 2)),
    "sample": (lambda x, y: ss.sample(y, x), (3, 4)),
}


@pytest.mark.parametrize("op", WITH_DENSE)
@pytest.mark.parametrize("format", FORMATS)
def test_a_dense_operand_of_the_wrong_shape_is_an_error_in_every_mode(op, format):
    """Compiled sums and products read beyond the end of the array. Sizes of 1 that no type states don't broadcast."""
    build, shape = WITH_DENSE[op]
    x, y = ss.matrix(format, "x"), pt.tensor("y", dtype="float64", shape=(None,) * len(shape))
    value = random_sparse(format, (3, 4), 1.0, rng=0)
    for function in compiled([x, y], build(x, y)):
        function(value, np.ones(shape))
        for axis in range(len(shape)):
            if op in ("dot", "structured_dot", "true_dot") and axis == 1:
                continue
            for size in {1, shape[axis] - 1, shape[axis] + 1}:
                wrong = tuple(size if i == axis else n for i, n in enumerate(shape))
                with pytest.raises(ValueError, match=r"shape|size|dimension|mismatch"):
                    function(value, np.ones(wrong))
    known = pt.tensor("y", dtype="float64", shape=tuple(n + 1 for n in shape))
    with pytest.raises(ValueError, match=r"\(dense, float64, shape="):
        build(ss.matrix(format, "x", shape=(3, 4)), known)


def test_what_is_stored_stays_stored():
    """Compiled and interpreted loops disagreed on explicit zeros: one dropped them, the other kept them."""
    value = sp.csr_array(
        (np.array([0.0, 2.0, 3.0]), np.array([0, 2, 1], "int32"), np.array([0, 2, 3], "int32")), shape=(2, 3)
    )
    x, v = ss.csr_matrix("x"), pt.dvector("v")
    made = [x * v, ss.mul_s_v(x, v), ss.structured_add_s_v(x, v), ss.col_scale(x, v), x * 0.0, -x, x / 2]
    made += [ss.row_scale(x, v[:2]), ss.structured_exp(x), ss.cast(x, "int8"), x.T, x + x]
    got = run([x, v], made, [value, np.array([0.0, 1.0, 5.0])])
    assert [g.nnz for g in got] == [3] * len(made)
    np.testing.assert_array_equal(got[2].data, [0.0, 7.0, 4.0])
    np.testing.assert_array_equal(got[8].data, np.exp(value.data))


def test_what_is_not_stored_stays_zero_beside_nan_and_infinity():
    x, d = ss.csr_matrix("x"), pt.dmatrix("d")
    value = sp.csr_array(np.array([[1.0, 0.0], [0.0, 2.0]]))
    dense = np.array([[3.0, np.nan], [np.inf, 4.0]])
    product, quotient = run([x, d], [x * d, x / (d - d)], [value, dense])
    assert_same_matrix(product, [[3.0, 0.0], [0.0, 8.0]])
    assert (quotient.nnz, quotient.toarray()[0, 1], quotient.toarray()[1, 0]) == (2, 0.0, 0.0)


@pytest.mark.parametrize(
    ("matrix", "vector", "result"),
    [("float32", "float64", "float64"), ("int8", "float64", "float64"), ("float64", "int8", "float64")],
)
def test_scalings_upcast(matrix, vector, result):
    """The dtype of the matrix was kept: a float64 scale was rounded, an integer matrix refused it or cut it off."""
    x, s = ss.csr_matrix("x", dtype=matrix), pt.vector("s", dtype=vector)
    scale = np.array([1.25, 2.5, 3.75]).astype(vector)
    value = sp.csr_array(np.array([[1, 0, 2], [0, 3, 0]]).astype(matrix))
    made = [ss.col_scale(x, s), ss.mul_s_v(x, s), ss.structured_add_s_v(x, s), ss.row_scale(x, s[:2]), x * s]
    got = run([x, s], made, [value, scale])
    a = value.toarray()
    answers = [a * scale, a * scale, (a + scale) * (a != 0), a * scale[:2, None], a * scale]
    for found, answer in zip(got, answers, strict=True):
        assert found.dtype == result
        np.testing.assert_array_equal(found.toarray(), answer)


@pytest.mark.parametrize("shape", [(), (1, 1)])
def test_the_gradient_of_a_scalar_factor_has_its_rank(shape):
    """The gradient of a scalar factor came out as a matrix."""
    x, s = ss.csr_matrix("x"), pt.tensor("s", dtype="float64", shape=shape)
    value = random_sparse("csr", (3, 4), rng=0)
    gx, gs = pytensor.grad(ss.sp_sum(x * s), [x, s])
    assert gs.type.shape == shape
    a, b = run([x, s], [gx, gs], [value, np.full(shape, 3.0)])
    np.testing.assert_allclose(b, np.full(shape, value.sum()))
    dense = a.toarray() if sp.issparse(a) else a
    np.testing.assert_allclose(dense * (value.toarray() != 0), 3.0 * (value.toarray() != 0))


@pytest.mark.parametrize("format", FORMATS)
def test_sums_of_values_demand_one_pattern(format):
    """Only the numbers of entries were compared: other patterns gave nonsense."""
    x, y = ss.matrix(format, "x"), ss.matrix(format, "y")
    a = sp.csr_array(np.array([[1.0, 0.0], [0.0, 2.0]])).asformat(format)
    b = sp.csr_array(np.array([[0.0, 1.0], [2.0, 0.0]])).asformat(format)
    for function in compiled([x, y], ss.add_s_s_data(x, y)):
        assert_same_matrix(function(a, a), 2 * a.toarray())
        with pytest.raises(ValueError, match=r"add_s_s_data: .*patterns"):
            function(a, b)
        with pytest.raises(ValueError, match=r"add_s_s_data: .*(patterns|shapes)"):
            function(a, sp.csr_array((3, 2)).asformat(format))
    for wrong in (
        ss.matrix("csc" if format == "csr" else "csr", "y"),
        ss.matrix(format, "y", dtype="float32"),
    ):
        with pytest.raises(TypeError, match=r"add_s_s_data: needs one format and one dtype; got .*Use add"):
            ss.add_s_s_data(x, wrong)


def test_dense_operands_in_column_order():
    """A compiled sum read them in row order."""
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.dmatrix("d")
    a, b = (
        random_sparse("csr", (3, 4), rng=0, duplicates=True),
        random_sparse("csc", (3, 4), rng=1, duplicates=True),
    )
    dense = np.arange(12.0).reshape(3, 4)
    made = [x + d, d - y, x * d, y * d, ss.lt(x, d), ss.sample(d, y)]
    plain, turned = (run([x, y, d], made, [a, b, v]) for v in (dense, np.asfortranarray(dense)))
    np.testing.assert_allclose(plain[0], a.toarray() + dense)
    for p, t in zip(plain, turned, strict=True):
        assert_same_matrix(p, t)
