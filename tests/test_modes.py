"""PyTensor's checking and reporting modes on graphs with sparse matrices."""

import io
import logging

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.compile.debug.debugmode import BadViewMap, DebugMode
from pytensor.compile.debug.monitormode import MonitorMode
from pytensor.compile.debug.nanguardmode import NanGuardMode
from pytensor.compile.debug.profiling import ProfileStats
from pytensor.compile.mode import Mode
from pytensor.gradient import disconnected_grad, grad_clip, grad_scale, zero_grad
from pytensor.graph.basic import Apply
from pytensor.printing import Print, debugprint

import symsparse as ss
from symsparse.ops.base import SparseOp
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

HAS_COMPILER = bool(pytensor.config.cxx)


@pytest.fixture(autouse=True)
def _no_c_compiler(request):
    """Where an op may run in C or in Python, run it in Python; DebugMode has some that run in C only."""
    flags = {} if "debug" in request.node.name else {"cxx": ""}
    with pytensor.config.change_flags(**flags):
        yield


def matrix(format="csr", shape=(3, 4), rng=0, **kwargs):
    return random_sparse(format, shape, **{"density": 0.5, **kwargs}, gap=(0.2, 1.0), rng=rng)


def with_value(value):
    A = matrix()
    A.data[1] = value
    return A


X, V = ss.csr_matrix("x"), pt.vector("v")


def outputs(x, v, loop=True):
    h = pt.tanh(x.T @ (x @ v))
    if loop:
        h = pytensor.scan(lambda h: pt.tanh(x.T @ (x @ h)), outputs_info=[v], n_steps=2, return_updates=False)
    return [
        x,
        x @ v,
        (x + x.T.T) * 2.0,
        x.T,
        x * v,
        x[[0, 2]],
        x.sum(axis=0),
        x.toarray(),
        x @ x.T,
        x.values,
        x.values * 2.0,
        x.indices,
        ss.CSC(x.values, x.indices, x.indptr, pt.stack(x.shape[::-1])),
        x.tocsc(),
        x.astype("float32"),
        ss.lt(x, v),
        h,
        *pytensor.grad((h**2).sum(), [x, v]),
    ]


# -- NanGuardMode -----------------------------------------------------------------------------------------------


def guard(**checks):
    return NanGuardMode(**{"nan_is_error": False, "inf_is_error": False, "big_is_error": False, **checks})


def test_nan_guard_lets_numbers_pass():
    f = pytensor.function(
        [X, V], outputs(X, V), mode=guard(nan_is_error=True, inf_is_error=True, big_is_error=True)
    )
    for A in (matrix(), matrix(density=0.0), matrix(shape=(3, 4), duplicates=True)):
        assert_same_matrix(f(A, np.ones(4))[1], A.sum(axis=1))


@pytest.mark.parametrize(
    ("check", "bad", "message"),
    [
        ("nan_is_error", np.nan, "NaN detected"),
        ("inf_is_error", -np.inf, "Inf detected"),
        ("big_is_error", -1e12, "Big value detected"),
    ],
)
def test_nan_guard_finds_what_is_stored(check, bad, message):
    f = pytensor.function([X], X.T, mode=guard(**{check: True}))
    f(matrix())
    with pytest.raises(
        AssertionError, match=f"{message}\nNanGuardMode found an error in an input of the graph"
    ):
        f(with_value(bad))
    other = {"nan_is_error": "inf_is_error", "inf_is_error": "nan_is_error", "big_is_error": "nan_is_error"}[
        check
    ]
    pytensor.function([X], X.T, mode=guard(**{other: True}))(with_value(bad))


def test_nan_guard_finds_a_node():
    f = pytensor.function([X], ss.structured_log(X - 1.0 * X), mode=guard(inf_is_error=True))
    with pytest.raises(AssertionError, match=r"(?s)Inf detected.*output of a node.*log"):
        f(matrix())
    k = ss.csr_matrix("k", dtype="int16")
    b = k.astype("bool")
    g = pytensor.function(
        [k], [k * 2, b], mode=guard(nan_is_error=True, inf_is_error=True, big_is_error=True)
    )
    assert_same_matrix(g(sp.csr_array([[0, 3]], dtype="int16"))[0], [[0, 6]])


# -- DebugMode --------------------------------------------------------------------------------------------------


needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="DebugMode needs a C compiler")


@needs_compiler
@pytest.mark.parametrize("lowered", [True, False])
def test_debug_mode_finds_nothing(lowered, caplog):
    mode = DebugMode(check_c_code=False)
    if not lowered:
        mode = DebugMode(optimizer="fast_compile", check_c_code=False).excluding("symsparse_lowering")
    f = pytensor.function([X, V], outputs(X, V, loop=False), mode=mode)
    expected = pytensor.function([X, V], outputs(X, V, loop=False), mode=reference_mode)
    for A in (matrix(), matrix(duplicates=True, unsorted_indices=True)):
        with caplog.at_level(logging.WARNING):
            got = f(A, np.ones(4))
        for a, b in zip(got, expected(A, np.ones(4)), strict=True):
            assert_same_matrix(a, b)
        if A.has_canonical_format:  # others are copied where these are viewed, and DebugMode says so
            assert not [r for r in caplog.records if "viewed" in r.getMessage()]


@needs_compiler
def test_debug_mode_with_shared_matrices():
    s, w = ss.shared(matrix()), ss.shared(matrix("csc"), frozen=True)
    f = pytensor.function(
        [V],
        [s @ V, w @ V],
        updates=[(s, s * 2.0), (w.values, w.values * 2.0)],
        mode=DebugMode(check_c_code=False),
    )
    A = matrix().toarray()
    f(np.ones(4))
    assert_same_matrix(f(np.ones(4))[0], 2 * A.sum(1))
    assert_same_matrix(w.get_value(), 4 * matrix("csc").toarray())


class Sneaky(SparseOp):
    """The values of x, a view that it does not declare."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [pt.vector()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0].data


@needs_compiler
def test_debug_mode_finds_an_undeclared_view():
    mode = DebugMode(optimizer="fast_compile", check_c_code=False).excluding("symsparse_lowering")
    f = pytensor.function([X], Sneaky()(X), mode=mode)
    with pytest.raises(BadViewMap):
        f(matrix())


# -- others -----------------------------------------------------------------------------------------------------


def test_monitor_mode_sees_sparse_values():
    seen = []
    mode = MonitorMode(post_func=lambda fgraph, i, node, fn: seen.extend(out[0] for out in fn.outputs))
    f = pytensor.function([X, V], [X @ V, X * 2.0], mode=mode)
    product, doubled = f(matrix(), np.ones(4))
    assert_same_matrix(product, matrix().sum(axis=1))
    assert any(sp.issparse(value) and np.array_equal(value.data, doubled.data) for value in seen)


def test_profiles():
    stats = ProfileStats(atexit_print=False)
    f = pytensor.function([X, V], [X @ V, X * 2.0], mode=Mode("vm"), profile=stats)
    f(matrix(), np.ones(4))
    text = io.StringIO()
    stats.summary(file=text)
    assert "CompressedDot" in text.getvalue()
    with pytensor.config.change_flags(profile_memory=True):
        g = pytensor.function([X, V], [X @ V, X * 2.0], mode=Mode("vm"), profile=stats)
        g(matrix(), np.ones(4))
        stats.summary(file=text)


def test_debugprint():
    text = debugprint((X + X) @ V, file="str", print_type=True, print_shape=True)
    assert "StructuredDot" in text
    assert "SparseTensorType(csr, float64, shape=(?, ?))" in text


@pytest.mark.filterwarnings("ignore:Numba will use object mode to run PrintMatrix")  # as it does to run Print
@pytest.mark.parametrize("mode", [reference_mode, lowered_mode, None], ids=["reference", "lowered", "numba"])
def test_prints_and_scaled_gradients(mode, capsys):
    A = matrix()

    def slope(op):
        return pytensor.grad((op(X * X) * 3.0).sum(sparse_grad=True), X)

    printed = Print("the matrix")(X) * 2.0
    f = pytensor.function(
        [X],
        [
            printed,
            pytensor.grad((printed * printed).sum(sparse_grad=True), X),
            slope(lambda x: grad_clip(x, -1.0, 1.5)),
            slope(lambda x: grad_scale(x, 4.0)),
            pytensor.grad((disconnected_grad(X) * X).sum(sparse_grad=True), X),
            slope(zero_grad),
        ],
        mode=mode,
    )
    got = f(A)
    a = A.toarray()
    for found, expected in zip(got, [2 * a, 8 * a, 3.0 * a, 24 * a, a, 0 * a], strict=True):
        assert_same_matrix(found, expected)
    assert "the matrix" in capsys.readouterr().out


def test_detect_nan_looks_at_stored_values(capsys):
    from pytensor.compile.debug.monitormode import detect_nan

    f = pytensor.function([X], X * 2.0, mode=MonitorMode(post_func=detect_nan))
    f(matrix())
    assert "NaN detected" not in capsys.readouterr().out
    f(with_value(np.nan))
    assert "*** NaN detected ***" in capsys.readouterr().out
