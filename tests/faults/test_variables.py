"""What a sparse variable is to PyTensor, and which names the package has."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.ops.base import SparseOp
from tests.faults.modes import run


@pytest.mark.parametrize(
    "name", "exp log cos sigmoid vector scalar tensor shape as_tensor np pt sp pytensor".split()
)
def test_dense_functions_and_imports_are_no_names_of_the_package(name):
    """`sparse.exp` was the dense function: it built a graph that failed when it ran."""
    assert not hasattr(ss, name)


def test_a_sparse_variable_does_not_pass_for_a_dense_one():
    """It was a subclass, so that checks for dense operands let it in."""
    x = ss.csr_matrix("x")
    assert not isinstance(x, pt.TensorVariable)
    assert not isinstance(x.type, pt.TensorType)
    assert not isinstance(ss.csr_dmatrix, pt.TensorType)


def test_every_spelling_of_the_product_is_one_product():
    """``x.dot(y)``, ``pt.dot(x, y)`` and `dot` had three meanings, and ``x @ y`` none."""
    x, d = ss.csr_matrix("x"), pt.dmatrix("d")
    value, dense = sp.csr_array(np.array([[1.0, 0.0], [2.0, 3.0]])), np.arange(1.0, 5).reshape(2, 2)
    for made in (
        [x @ d, x.dot(d), pt.dot(x, d), ss.structured_dot(x, d)],
        [d @ x, pt.dot(d, x), ss.structured_dot(d, x)],
    ):
        grads = [pytensor.grad(m.sum(), x) for m in made]
        assert {g.format for g in grads} == {"csr"}
        got = run([x, d], [*made, *grads], [value, dense])
        for found in got[1 : len(made)]:
            np.testing.assert_array_equal(found, got[0])
        for found in got[len(made) + 1 :]:
            np.testing.assert_array_equal(found.toarray(), got[len(made)].toarray())
    assert isinstance(pytensor.grad(ss.dot(x, d).sum(), x), pt.TensorVariable)


def test_reflected_operators_of_every_dense_kind_find_the_sparse_operand():
    x, d = ss.csr_matrix("x"), pt.dmatrix("d")
    for left in (
        d,
        np.ones((2, 2)),
        sp.csr_matrix(np.eye(2)),
        sp.csc_array(np.eye(2)),
        [[1.0, 0.0], [0.0, 1.0]],
    ):
        for made in (left + x, left - x, left * x, left @ x):
            assert made.ndim == 2
            assert made.dtype == "float64"
    for made in (d < x, np.ones((2, 2)) >= x):
        assert made.dtype == "uint8"


def test_a_missing_shape_rule_never_forces_the_op():
    """Shapes of results were asked of the results themselves where an op had no rule."""
    x, d, a = ss.csr_matrix("x"), pt.dmatrix("d"), pt.dscalar("a")
    made = [ss.usmm(a, x, d, d), ss.get_item_list(x, [0, 0]), ss.lt(x, d), ss.lt(x, x.T.tocsr())]
    sizes = [n for m in made for n in m.shape]
    f = pytensor.function([x, d, a], sizes, mode=pytensor.Mode("py", "fast_run"), on_unused_input="ignore")
    assert not [node for node in f.maker.fgraph.apply_nodes if isinstance(node.op, KernelOp | SparseOp)]
    assert [int(n) for n in f(sp.csr_array((3, 3)), np.ones((3, 3)), 1.0)] == [3, 3, 2, 3, 3, 3, 3, 3]


def test_one_compiled_function_has_none_of_the_worst_faults():
    """The faults that gave wrong numbers without a word, in the default mode, in one graph."""
    x, y = ss.csr_matrix("x", dtype="float64"), ss.csc_matrix("y", dtype="float64")
    byte, single, dense = ss.csr_matrix("byte", dtype="uint8"), pt.fmatrix("single"), pt.dmatrix("dense")
    values = pt.dvector("values")
    a = sp.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    built = ss.CSR(values, a.indices, a.indptr, np.array(a.shape))
    twice = sp.csr_array((np.ones(2), np.array([1, 1], "int32"), np.array([0, 2, 2], "int32")), shape=(2, 3))
    b = sp.csc_array(np.array([[0.0, 5.0, 1.0], [0.0, 4.0, 0.0]]))
    weights = np.asfortranarray(np.arange(1.0, 7).reshape(2, 3))
    small = [ss.constant(sp.csr_array(np.array([[k * 1e-9], [0.0]]))) for k in (1, 3)]
    outputs = {
        "mixed formats": pytensor.grad(((built + y) * dense).sum() + ((y * built) * dense).sum(), values),
        "below a regular product": pytensor.grad((ss.dot((-built).T, dense) ** 2).sum(), values),
        "two dtypes": pytensor.grad(ss.structured_dot(built, single).sum(), values),
        "duplicates": ss.square(x).toarray(),
        "column order": x + dense,
        "unsigned": (x - byte).toarray(),
        "negative": (-byte).toarray(),
        "repeated rows": pytensor.grad(
            (ss.get_item_list(built, [1, 1, 0]).toarray()[:2] * dense).sum(), values
        ),
        "first constant": small[0].toarray(),
        "second constant": small[1].toarray(),
        "sum of bytes": byte.sum(),
    }
    right = np.arange(1.0, 7).reshape(3, 2).astype("float32")
    bytes_ = np.array([[200, 0, 7], [0, 200, 0]], "uint8")
    f = pytensor.function([x, y, byte, single, dense, values], list(outputs.values()))
    got = dict(zip(outputs, f(twice, b, sp.csr_array(bytes_), right, weights, a.data), strict=True))
    rows, cols = a.tocoo().coords
    A, B = a.toarray(), b.toarray()
    answers = {
        "mixed formats": (weights * (1 + B))[rows, cols],
        "below a regular product": (2 * weights @ (weights.T @ A))[rows, cols],
        "two dtypes": np.broadcast_to(right.sum(1), (2, 3))[rows, cols],
        "duplicates": [[0, 4.0, 0], [0, 0, 0]],
        "column order": twice.toarray() + weights,
        "unsigned": twice.toarray() - bytes_,
        "negative": -bytes_,
        "repeated rows": np.stack([0 * weights[0], weights[0] + weights[1]])[rows, cols],
        "first constant": [[1e-9], [0]],
        "second constant": [[3e-9], [0]],
        "sum of bytes": 407,
    }
    for name, answer in answers.items():
        np.testing.assert_allclose(got[name], answer, rtol=1e-6, atol=0, err_msg=name)
