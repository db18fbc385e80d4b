"""Python's operators: sparse with sparse, dense, SciPy, NumPy and numbers, on either side; what they refuse and how."""

import operator

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import reference_mode
from symsparse.types import SCIPY_CLASSES

DENSE = np.array([[1.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, -0.25]])
OTHER = np.array([[0.0, 2.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]])
FORMATS = ["csr", "csc"]


def example(format="csr", dense=DENSE):
    return SCIPY_CLASSES[format](dense)


def same(got, expected, format=None):
    """Whether a result has this value, and is a SciPy sparse array of this format (dense without one)."""
    if format is not None:
        assert type(got) is SCIPY_CLASSES[format]
        got = got.toarray()
    assert isinstance(got, np.ndarray | np.number)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    return True


NUMBERS = [2, np.float64(2), np.array(2.0)]


def kinds():
    """Operands of every kind that stand for `OTHER`: what to write, and the variables and values to feed."""
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.matrix("d")
    sparse = [x, y, ss.constant(example("csc", OTHER)), ss.shared(example("csr", OTHER))]
    sparse += [
        ss.shared(example("csc", OTHER), frozen=True),
        example("csr", OTHER),
        sp.csc_matrix(OTHER),
        sp.coo_array(OTHER),
    ]
    dense = [d, pt.constant(OTHER), pytensor.shared(OTHER), OTHER]
    return sparse, dense, {x: example("csr", OTHER), y: example("csc", OTHER), d: OTHER}


def check(symbol, x, operands, feed, sides, dense_result):
    """Compare ``x symbol operand`` and its mirror image with NumPy, in one compiled function."""
    function = getattr(operator, symbol)
    left, right = DENSE, OTHER.T if symbol == "matmul" else OTHER
    outputs, expected = [], []
    for operand in operands:
        operand = operand.T if symbol == "matmul" else operand
        for side in sides:
            outputs.append(function(x, operand) if side == "left" else function(operand, x))
            expected.append(function(left, right) if side == "left" else function(right, left))
    inputs = [x, *feed]
    results = pytensor.function(inputs, outputs, on_unused_input="ignore")(example(x.format), *feed.values())
    for output, got, want in zip(outputs, results, expected, strict=True):
        assert sp.issparse(got) == (not dense_result) == isinstance(output, ss.SparseVariable)
        assert got.dtype == output.dtype
        same(got, want, None if dense_result else output.format)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("symbol", ["add", "sub", "mul", "matmul"])
def test_arithmetic_on_either_side(symbol, format):
    sparse, dense, feed = kinds()
    x = ss.matrix(format, "own")
    check(symbol, x, sparse, feed, ("left", "right"), dense_result=False)
    check(symbol, x, dense, feed, ("left", "right"), dense_result=symbol != "mul")


@pytest.mark.parametrize(
    "symbol", ["lt", "ge", "eq", *(pytest.param(s, marks=pytest.mark.slow) for s in ("gt", "le", "ne"))]
)
def test_comparisons_on_either_side(symbol):
    sparse, dense, feed = kinds()
    values = [v for v in (*sparse, *dense) if not isinstance(v, pytensor.graph.basic.Variable)]
    if symbol in ("eq", "ne"):  # between variables these are identity
        sparse, dense = values[:-1], values[-1:]
    x = ss.csr_matrix("own")
    check(symbol, x, sparse, feed, ("left", "right"), dense_result=False)
    check(symbol, x, dense, feed, ("left", "right"), dense_result=True)
    if symbol in ("eq", "ne"):
        method = {"eq": x.eq, "ne": x.neq}[symbol]
        got = pytensor.function([x, *feed], [method(v) for v in feed])(example(), *feed.values())
        for result in got:
            result = result.toarray() if sp.issparse(result) else result
            assert same(result, getattr(operator, symbol)(DENSE, OTHER))


def test_numbers_on_either_side():
    x, s = ss.csr_matrix("x"), pt.scalar("s")
    v, column = pt.vector("v"), pt.col("column")
    outputs, expected = [], []
    for number in [*NUMBERS, s, pytensor.shared(2.0)]:
        outputs += [x * number, number * x, x / number]
        expected += [2 * DENSE, 2 * DENSE, DENSE / 2]
    for number in NUMBERS:
        outputs += [x**number, x // number, x % number, x > number, number < x, x >= number, number <= x]
        expected += [DENSE**2, DENSE // 2, DENSE % 2, DENSE > 2, DENSE > 2, DENSE >= 2, DENSE >= 2]
        outputs += [x == number, number == x, x < -number, -number > x, x <= -number, -number >= x]
        expected += [DENSE == 2, DENSE == 2, *[DENSE < -2] * 2, *[DENSE <= -2] * 2]
    outputs += [-x, +x, abs(x), x + 0, 0 + x, x - 0, 0 - x, sum([x, x]), x != 0, x > 0, x < 0.0]
    expected += [
        -DENSE,
        DENSE,
        abs(DENSE),
        DENSE,
        DENSE,
        DENSE,
        -DENSE,
        2 * DENSE,
        DENSE != 0,
        DENSE > 0,
        DENSE < 0,
    ]
    V, C = np.arange(1.0, 5.0), np.arange(1.0, 4.0)[:, None]
    outputs += [x * v, v * x, x / v, x * column, column * x, x * V, V * x, x * [1.0, 2.0, 3.0, 4.0], x / C]
    expected += [*[DENSE * V] * 2, DENSE / V, *[DENSE * C] * 2, *[DENSE * V] * 3, DENSE / C]
    f = pytensor.function([x, s, v, column], outputs)
    for output, got, want in zip(outputs, f(example(), 2.0, V, C), expected, strict=True):
        assert got.dtype == output.dtype
        assert same(got, want, "csr")
    dense = [
        x @ v,
        x.dot(V),
        C[:, 0] @ x,
        x + v,
        V + x,
        x - V,
        v - x,
        column + x,
        v > x,
        x >= V,
        pt.dot(x, v),
    ]
    wanted = [DENSE @ V, DENSE @ V, C[:, 0] @ DENSE, DENSE + V, DENSE + V, DENSE - V, V - DENSE, C + DENSE]
    wanted += [V > DENSE, DENSE >= V, DENSE @ V]
    for got, want in zip(pytensor.function([x, v, column], dense)(example(), V, C), wanted, strict=True):
        assert same(got, want)


X, Y = ss.csr_matrix("X", dtype="float32", shape=(None, 4)), ss.csc_matrix("Y")
S, D = pt.scalar("S"), pt.matrix("D")
REFUSED = {
    "x + 1": (lambda: X + 1, "add", "scalar would be dense", ["x.toarray() + s", "structured_add"]),
    "1 + x": (lambda: 1 + X, "add", "scalar would be dense", ["toarray"]),
    "x + s": (lambda: X + S, "add", "scalar would be dense", ["toarray"]),
    "s + x": (lambda: S + X, "add", "scalar would be dense", ["toarray"]),
    "x + np.float64(1)": (lambda: X + np.float64(1), "add", "scalar would be dense", ["toarray"]),
    "np.float64(1) + x": (lambda: np.float64(1) + X, "add", "scalar would be dense", ["toarray"]),
    "x - 1": (lambda: X - 1, "sub", "scalar would be dense", ["x.toarray() - s"]),
    "1 - x": (lambda: 1 - X, "sub", "scalar would be dense", ["s - x.toarray()"]),
    "s - x": (lambda: S - X, "sub", "scalar would be dense", ["s - x.toarray()"]),
    "x ** 0": (lambda: X**0, "power", "constant power > 0", ["structured_pow", "toarray"]),
    "x ** -1": (lambda: X**-1, "power", "constant power > 0", ["structured_pow", "toarray"]),
    "x ** s": (lambda: X**S, "power", "constant power > 0", ["structured_pow", "toarray"]),
    "x ** x": (lambda: X**X, "power", "constant power > 0", ["toarray"]),
    "2 ** x": (lambda: 2**X, "power", "", ["s ** x.toarray()"]),
    "2 / x": (lambda: 2 / X, "true_div", "zeros", ["toarray"]),
    "x / y": (lambda: X / Y, "true_div", "zeros", ["y.toarray()"]),
    "d / x": (lambda: D / X, "true_div", "zeros", ["toarray"]),
    "np / x": (lambda: np.ones((3, 4)) / X, "true_div", "zeros", ["toarray"]),
    "A / x": (lambda: example() / X, "true_div", "zeros", ["toarray"]),
    "x // s": (lambda: X // S, "floor_div", "symbolic scalar", ["toarray"]),
    "x // 0": (lambda: X // 0, "floor_div", "would be dense", ["toarray"]),
    "2 // x": (lambda: 2 // X, "floor_div", "", ["toarray"]),
    "x % 0": (lambda: X % 0, "mod", "would be dense", ["toarray"]),
    "x == 0": (lambda: X == 0, "eq", "0 equal 0 holds", ["toarray"]),
    "x != 2": (lambda: X != 2, "neq", "would be dense", ["toarray"]),
    "x >= 0": (lambda: X >= 0, "ge", "would be dense", ["toarray"]),
    "x > -1": (lambda: X > -1, "gt", "would be dense", ["toarray"]),
    "1 > x": (lambda: 1 > X, "lt", "would be dense", ["toarray"]),
    "x > s": (lambda: X > S, "gt", "symbolic scalar", ["toarray"]),
    "s > x": (lambda: S > X, "lt", "symbolic scalar", ["toarray"]),
    "x @ 2": (lambda: X @ 2, "structured_dot", "", ["x * "]),
    "2 @ x": (lambda: 2 @ X, "structured_dot", "", ["x * "]),
}


@pytest.mark.parametrize("expression", REFUSED)
def test_what_would_be_dense_is_refused_with_a_way_out(expression):
    build, op, cause, ways = REFUSED[expression]
    with pytest.raises(TypeError) as e:
        build()
    message = str(e.value)
    assert message.startswith(f"{op}: ")
    assert cause in message
    assert "(csr, float32, shape=(?, 4))" in message
    assert all(way in message for way in ways), message


def test_foreign_operands_are_refused():
    for foreign in ("a", None, object(), {}):
        for function in (operator.add, operator.mul, operator.matmul, operator.truediv, operator.lt):
            for pair in ((X, foreign), (foreign, X)):
                with pytest.raises(TypeError):
                    function(*pair)
    with pytest.raises(TypeError, match="more than two dimensions"):
        X + pt.tensor3()
    for wrong in (np.ones((3, 5)), sp.csr_array((3, 5)), ss.csr_matrix(shape=(None, 5))):
        with pytest.raises(ValueError, match=r"add: shapes.*\(csr, float32, shape=\(\?, 4\)\)"):
            X + wrong
    for wrong in (np.ones((3, 5)), sp.csr_array((3, 5)), ss.csc_matrix(shape=(3, None)), np.ones(3)):
        with pytest.raises(
            ValueError, match=r"structured_dot: the inner sizes.*\(csr, float32, shape=\(\?, 4\)\)"
        ):
            X @ wrong


def test_dense_functions_refuse_sparse_matrices():
    for misuse in (
        pt.exp,
        pt.sum,
        pt.abs,
        pt.as_tensor_variable,
        lambda x: pt.matmul(D, x),
        lambda x: pt.add(x, D),
    ):
        with pytest.raises(
            TypeError, match=r"X\{csr, float32.*cannot be used as a dense tensor.*x\.toarray\(\)"
        ):
            misuse(X)
    for misuse in (np.exp, lambda x: np.add(np.ones((3, 4)), x)):
        with pytest.raises(TypeError):
            misuse(X)


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1])
def test_integers_that_int64_cannot_hold_do_not_wrap_around(number):
    x = ss.csr_matrix("x", dtype="float64")
    A = sp.csr_array(np.array([[1.0, 0.0, 2.0]]))
    for out, want in (
        (x * number, 2.0 * number),
        (x / number, 2 / number),
        (ss.structured_add(x, number), number),
    ):
        assert out.eval({x: A}, mode=reference_mode).data[1] == pytest.approx(want, rel=1e-12)
