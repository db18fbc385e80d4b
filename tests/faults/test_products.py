"""Products, sampled products, and the product added to a dense matrix."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, random_sparse
from tests.faults.modes import compiled, run

A = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])
PRODUCTS = {"dot": ss.dot, "structured_dot": ss.structured_dot, "true_dot": ss.true_dot}


@pytest.mark.parametrize("name", PRODUCTS)
def test_bytes_multiply_to_bytes_as_in_numpy(name):
    x, y, d = ss.csr_matrix("x", dtype="int8"), ss.csc_matrix("y", dtype="int8"), pt.matrix("d", dtype="int8")
    a, b = np.full((2, 3), 20, "int8"), np.full((3, 2), 10, "int8")
    made = [PRODUCTS[name](x, y), PRODUCTS[name](x, d)]
    for got in run([x, y, d], made, [sp.csr_array(a), sp.csc_array(b), b]):
        assert got.dtype == "int8"
        np.testing.assert_array_equal(got.toarray() if sp.issparse(got) else got, a @ b)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(
    "dtypes", [("float64", "float32"), ("float32", "float64"), ("int8", "float32")], ids=str
)
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_gradients_of_products_of_two_dtypes(name, dtypes, format):
    """The gradient of a float64 csr matrix times a float32 one was read from an array of the wrong element type;
    the sparse product refused two dtypes."""
    x, d = ss.matrix(format, "x", dtype=dtypes[0]), pt.matrix("d", dtype=dtypes[1])
    made = PRODUCTS[name](x, d)
    assert made.dtype == pytensor.scalar.upcast(*dtypes)
    loss = (made * made).sum()
    wrt = [v for v in (x, d) if v.dtype.startswith("float")]
    grads = pytensor.grad(loss, wrt)
    assert [g.dtype for g in grads] == [v.dtype for v in wrt]
    a, b = (
        sp.csr_array(A).asformat(format).astype(dtypes[0]),
        np.arange(1.0, 7).reshape(3, 2).astype(dtypes[1]),
    )
    got = dict(zip(wrt, run([x, d], grads, [a, b]), strict=True))
    dense_a = a.toarray().astype("float64")
    np.testing.assert_allclose(got[d], 2 * dense_a.T @ dense_a @ b, rtol=1e-5)
    if x in got:
        gx = got[x].toarray() if sp.issparse(got[x]) else got[x]
        np.testing.assert_allclose(gx * (A != 0), 2 * (dense_a @ b @ b.T) * (A != 0), rtol=1e-5)


@pytest.mark.parametrize("product", [ss.dot, ss.structured_dot], ids=["dot", "structured_dot"])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_gradients_of_products_with_vectors(product, format):
    """Any gradient of a product with a vector, on either side, was an error."""
    x, v, u = ss.matrix(format, "x"), pt.dvector("v"), pt.dvector("u")
    loss = (product(x, v) ** 2).sum() + (product(u, x) ** 3).sum()
    value, right, left = sp.csr_array(A).asformat(format), np.array([1.0, 2.0, 3.0]), np.array([1.5, -1.0])
    gx, gv, gu = run([x, v, u], pytensor.grad(loss, [x, v, u]), [value, right, left])
    p, q = 2 * (A @ right), 3 * (left @ A) ** 2
    np.testing.assert_allclose(gv, A.T @ p)
    np.testing.assert_allclose(gu, A @ q)
    answer = np.outer(p, right) + np.outer(left, q)
    if product is ss.structured_dot:
        gx, answer = gx.toarray(), answer * (A != 0)
    np.testing.assert_allclose(gx, answer)


def test_bad_operands_are_refused_by_name_with_a_way_out():
    """A `TypeError` or `NotImplementedError` without a word."""
    x, d, v = ss.csr_matrix("x", shape=(2, 3)), pt.dmatrix("d"), pt.dvector("v")
    for name, product in PRODUCTS.items():
        with pytest.raises(
            TypeError, match=rf"{name}: needs a sparse operand; got \(dense.*pytensor\.tensor\.dot"
        ):
            product(d, d)
        with pytest.raises(
            ValueError, match=rf"{name}: the inner sizes 3 and 4 differ; got \(csr, float64, shape=\(2, 3\)"
        ):
            product(x, np.ones((4, 2)))
        with pytest.raises(TypeError, match=f"{name}: .*(scalar|must be).*float64"):
            product(x, pt.dscalar())
    for wrong in (v, pt.dtensor3()):
        with pytest.raises(
            TypeError, match=r"true_dot: .*(must be 2-D|dimensions).*\(dense, float64, shape="
        ):
            ss.true_dot(x, wrong)


def test_the_kind_of_a_gradient_is_that_of_its_operand():
    """`true_dot` gave a sparse second operand a dense gradient."""
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.dmatrix("d")

    def kinds(made, wrt):
        return [getattr(g, "format", "dense") for g in pytensor.grad(ss.sp_sum(made, sparse_grad=True), wrt)]

    assert kinds(ss.true_dot(x, y), [x, y]) == ["csr", "csc"]
    assert kinds(ss.true_dot(x, d), [x, d]) == ["csr", "dense"]
    assert kinds(ss.structured_dot(x, y), [x, y]) == ["csr", "csc"]
    flagged = ss.true_dot(x, d, grad_preserves_dense=False)
    assert isinstance(
        flagged.owner.op.pullback([x, d], [flagged], [ss.sp_ones_like(flagged)])[1], ss.SparseVariable
    )
    dense = [pytensor.grad(ss.dot(x, y).sum(), v) for v in (x, y)]
    assert [getattr(g, "format", "dense") for g in dense] == ["dense", "dense"]


def test_sampled_products_have_the_dtype_of_all_three_operands():
    """The product of float64 matrices came out as float64 in a variable declared float32."""
    for pattern, dense, result in (
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("int8", "int8", "int8"),
        ("bool", "float32", "float32"),
        ("float64", "complex64", "complex128"),
    ):
        x, p = pt.matrix("x", dtype=dense), ss.csc_matrix("p", dtype=pattern)
        made = ss.sampling_dot(x, x, p)
        assert made.dtype == result
        value = random_sparse("csc", (3, 3), 0.8, pattern, rng=0, duplicates=pattern != "bool")
        rows = np.arange(6).reshape(3, 2).astype(dense)
        (got,) = run([x, p], [made], [rows, value])
        assert_same_matrix(got, (value.toarray() * (rows @ rows.T)).astype(result), rtol=1e-6)


def test_gradients_of_a_sampled_product_wrt_all_three():
    """There was none wrt the pattern's values."""
    x, y, p = pt.dmatrix("x"), pt.dmatrix("y"), ss.csr_matrix("p")
    loss = ss.sp_sum(ss.sampling_dot(x, y, p), sparse_grad=True)
    rng = np.random.default_rng(0)
    a, b, value = rng.uniform(size=(3, 2)), rng.uniform(size=(4, 2)), random_sparse("csr", (3, 4), rng=rng)
    gx, gy, gp = run([x, y, p], pytensor.grad(loss, [x, y, p]), [a, b, value])
    np.testing.assert_allclose(gx, value @ b)
    np.testing.assert_allclose(gy, value.T @ a)
    assert_same_matrix(gp, (a @ b.T) * (value.toarray() != 0))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_usmm_takes_any_alpha_of_size_one_and_has_gradients(format, shape):
    """A scalar alpha broke the specialised code; there was no gradient and no shape."""
    alpha = pt.tensor("alpha", dtype="float64", shape=shape)
    x, y, z = ss.matrix(format, "x"), pt.dmatrix("y"), pt.dmatrix("z")
    made = ss.usmm(alpha, x, y, z)
    a, b, c = np.full(shape, 2.0), np.arange(1.0, 7).reshape(3, 2), np.ones((2, 2))
    grads = pytensor.grad((made**2).sum(), [alpha, x, y, z])
    assert grads[0].type.shape == shape
    values = [a, sp.csr_array(A).asformat(format), b, c]
    out, *got, rows, columns = run([alpha, x, y, z], [made, *grads, *made.shape], values)
    answer = 2 * A @ b + c
    np.testing.assert_allclose(out, answer)
    g = 2 * answer
    np.testing.assert_allclose(got[0], np.full(shape, (g * (A @ b)).sum()))
    assert_same_matrix(got[1], 2 * (g @ b.T) * (A != 0))
    np.testing.assert_allclose(got[2], 2 * A.T @ g)
    np.testing.assert_allclose(got[3], g)
    assert (rows, columns) == (2, 2)
    for wrong, cause in (
        ((pt.dvector(), x, y, z), "alpha must be a scalar"),
        ((x, x, y, z), "alpha must be a scalar"),
        ((alpha, y, y, z), "needs a sparse factor"),
        ((alpha, x, y, pt.dvector()), "the product and z differ in rank"),
        ((alpha, x, y, x), "needs a dense operand here"),
    ):
        with pytest.raises(TypeError, match=f"usmm: {cause}.*; got .*float64"):
            ss.usmm(*wrong)
    for function in compiled([alpha, x, y, z], made):
        with pytest.raises(ValueError, match=r"usmm|dot|shape|dimension"):
            function(a, values[1], b, np.ones((3, 2)))


@pytest.mark.parametrize("op", [ss.sdg_csr, ss.sdg_csc], ids=["csr", "csc"])
@pytest.mark.parametrize(
    "dtypes", [("float32", "float64"), ("float64", "float32"), ("complex64", "float64")], ids=str
)
def test_the_gradient_op_of_a_product_upcasts_for_both_formats(op, dtypes):
    """One format had the dtype of the cotangent, the other that of the operand; wide indices were refused."""
    b, g = (pt.matrix(dtype=dtype) for dtype in dtypes)
    i, p = pt.lvector(), pt.lvector()
    made = op(i, p, b, g)
    assert made.dtype == pytensor.scalar.upcast(*dtypes)
    pattern = sp.csr_array(A) if op is ss.sdg_csr else sp.csc_array(A)
    right, cotangent = np.arange(6.0).reshape(3, 2).astype(dtypes[0]), np.ones((2, 2), dtypes[1])
    values = [pattern.indices.astype("int64"), pattern.indptr.astype("int64"), right, cotangent]
    (got,) = run([i, p, b, g], [made], values)
    np.testing.assert_allclose(got, (cotangent @ right.T)[pattern.tocoo().coords])


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_products_of_empty_matrices(format):
    x, y, d, v = ss.matrix(format, "x"), ss.csr_matrix("y"), pt.dmatrix("d"), pt.dvector("v")
    made = [x @ y, x @ d, ss.dot(x, y), ss.true_dot(x, d), x @ v, ss.sampling_dot(d.T, d.T, y @ y.T)]
    loss = sum(m.sum() for m in made)
    outputs = [*made, *pytensor.grad(loss, [x, y, d, v])]
    for m, n in ((0, 3), (3, 0), (0, 0)):
        values = [sp.csr_array((m, n)).asformat(format), sp.csr_array((n, n)), np.ones((n, n)), np.ones(n)]
        got = run([x, y, d, v], outputs, values)
        assert [g.shape for g in got] == [(m, n)] * 4 + [(m,), (n, n), (m, n), (n, n), (n, n), (n,)]
