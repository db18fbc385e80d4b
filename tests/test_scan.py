"""Loops over graphs with sparse matrices: values and derivatives are those of the same loop over dense matrices."""

import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.gradient import hessian_vector_product
from pytensor.graph.traversal import apply_ancestors
from pytensor.scan.checkpoints import scan_checkpoints
from pytensor.scan.op import Scan
from pytensor.scan.utils import until

import symsparse as ss
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode


@pytest.fixture(autouse=True)
def _no_c_compiler():
    """Run the steps of a loop in Python where the loop itself is: PyTensor would compile each op of them in C."""
    with pytensor.config.change_flags(cxx=""):
        yield


MODES = pytest.mark.parametrize("mode", [reference_mode, lowered_mode], ids=["reference", "lowered"])
UGLY = {
    "plain": {},
    "duplicates": {"duplicates": True, "unsorted_indices": True},
    "explicit_zeros": {"explicit_zero": True},
    "int64": {"index_dtype": "int64"},
    "nothing_stored": {"density": 0.0},
}


def matrix(format="csr", shape=(4, 4), rng=0, **ugly):
    return random_sparse(format, shape, **{"density": 0.5, **ugly}, gap=(-0.6, 0.6), rng=rng)


def stored(A):
    return sp.csr_array((np.ones(A.nnz), A.tocoo().coords), shape=A.shape).toarray() != 0


def recurrence(x, h0, s, **kwargs):
    """Steps with a state, a sequence, and a result that is no state."""
    states, totals = pytensor.scan(
        lambda s_t, h, x: [pt.tanh(x @ h + s_t), (x @ s_t).sum() * h[0]],
        sequences=[s],
        outputs_info=[h0, None],
        non_sequences=[x],
        return_updates=False,
        **kwargs,
    )
    return (states**2).sum() + totals.sum()


def closed_over(x, h0, s, **kwargs):
    states = pytensor.scan(
        lambda s_t, h: pt.tanh(x.T @ h) * s_t,
        sequences=[s],
        outputs_info=[h0],
        return_updates=False,
        **kwargs,
    )
    return (states**3).sum()


def two_taps(x, h0, s, **kwargs):
    states = pytensor.scan(
        lambda s_t, old, new, x: pt.tanh(x @ new + s_t * old),
        sequences=[s],
        outputs_info=[{"initial": pt.stack([h0, 2 * h0]), "taps": [-2, -1]}],
        non_sequences=[x],
        return_updates=False,
        **kwargs,
    )
    return (states**2).sum()


def while_loop(x, h0, s, **kwargs):
    states = pytensor.scan(
        lambda s_t, h, x: (pt.tanh(x @ h + s_t), until(s_t[0] > 0.5)),
        sequences=[s],
        outputs_info=[h0],
        non_sequences=[x],
        return_updates=False,
        **kwargs,
    )
    return (states**2).sum()


LOOPS = [recurrence, closed_over, two_taps, while_loop]
S = np.array([[0.1, 0.2, 0.3, -0.4], [0.2, -0.3, 0.1, 0.3], [0.9, 0.1, -0.2, 0.2], [0.3, 0.1, 0.7, 0.5]])
H0 = np.array([0.3, -0.5, 0.2, 0.9])


def with_gradients(loop, x, h0, s, **kwargs):
    cost = loop(x, h0, s, **kwargs)
    return [cost, *pytensor.grad(cost, [x, h0, s])]


def check_against_dense(loop, mode, values, format="csr", **kwargs):
    """Cost and gradients of the loop with a sparse matrix are those with the dense one, at x's stored entries."""
    h0, s, dense = pt.vector("h0"), pt.matrix("s"), pt.matrix("dense")
    x = ss.matrix(format, "x", index_dtype=values[0].indices.dtype)
    f = pytensor.function([x, h0, s], with_gradients(loop, x, h0, s, **kwargs), mode=mode)
    g = pytensor.function([dense, h0, s], with_gradients(loop, dense, h0, s, **kwargs), mode=reference_mode)
    for A in values:
        got, expected = f(A, H0, S), g(A.toarray(), H0, S)
        assert_well_formed(got[1], x.type)
        assert got[1].has_canonical_format
        assert (stored(got[1]) == stored(A)).all()
        expected[1] = expected[1] * stored(A)
        for a, b in zip(got, expected, strict=True):
            assert_same_matrix(a, b)


@MODES
@pytest.mark.parametrize("loop", LOOPS, ids=[loop.__name__ for loop in LOOPS])
def test_gradients_through_a_loop(loop, mode):
    check_against_dense(loop, mode, [matrix(**UGLY[name]) for name in UGLY if name != "int64"])


@MODES
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_formats_and_wide_indices(format, mode):
    check_against_dense(recurrence, mode, [matrix(format, index_dtype="int64")], format)


@MODES
def test_truncated_gradients(mode):
    check_against_dense(recurrence, mode, [matrix()], truncate_gradient=2)
    x, h0, s = ss.csr_matrix("x"), pt.vector("h0"), pt.matrix("s")
    full, short = (
        pytensor.grad(recurrence(x, h0, s, **kwargs), x).eval({x: matrix(), h0: H0, s: S}, mode=mode)
        for kwargs in ({}, {"truncate_gradient": 2})
    )
    assert not np.allclose(full.data, short.data)


def short(x, h0, s, **kwargs):
    """The least that has a state: what a compiled test can afford."""
    states = pytensor.scan(
        lambda h, x: pt.tanh(x @ h),
        outputs_info=[h0],
        non_sequences=[x],
        n_steps=3,
        return_updates=False,
        **kwargs,
    )
    return (states[-1] * s[0]).sum()


@pytest.mark.parametrize("loop", [short, pytest.param(recurrence, marks=pytest.mark.slow)])
def test_compiled_loop(loop):
    check_against_dense(loop, None, [matrix(), matrix(**UGLY["duplicates"])])


def test_unrolled():
    x, h0, s = ss.csr_matrix("x", shape=(4, 4)), pt.vector("h0"), pt.matrix("s")
    h, cost = h0, 0.0
    for t in range(len(S)):
        cost += (x @ s[t]).sum() * h[0]
        h = pt.tanh(x @ h + s[t])
        cost += (h**2).sum()
    unrolled = [cost, *pytensor.grad(cost, [x, h0, s])]
    f = pytensor.function([x, h0, s], [*with_gradients(recurrence, x, h0, s), *unrolled], mode=lowered_mode)
    got = f(matrix(), H0, S)
    for a, b in zip(got[:4], got[4:], strict=True):
        assert_same_matrix(a, b)


@MODES
@pytest.mark.parametrize("how", ["constant", "shared", "frozen", "values"])
def test_where_the_matrix_comes_from(how, mode):
    A, h0 = matrix("csc"), pt.vector("h0")
    v = pt.vector("v")
    x = {
        "constant": lambda: ss.constant(A),
        "shared": lambda: ss.shared(A),
        "frozen": lambda: ss.shared(A, frozen=True),
        "values": lambda: ss.CSC(v, A.indices, A.indptr, A.shape),
    }[how]()
    wrt = {"constant": [], "shared": [x], "frozen": [x.values], "values": [v]}[how]
    dense = pt.matrix("dense")
    for explicit in (False, True):

        def loop(x, explicit=explicit):
            return pytensor.scan(
                lambda h, *rest: pt.tanh((rest[0] if rest else x) @ h),
                outputs_info=[h0],
                non_sequences=[x] if explicit else [],
                n_steps=3,
                return_updates=False,
            ).sum()

        cost, expected = loop(x), loop(dense)
        f = pytensor.function(
            [v, h0], [cost, *pytensor.grad(cost, [h0, *wrt])], mode=mode, on_unused_input="ignore"
        )
        total, g_h0, *g_x = f(A.data, H0)
        oracle = pytensor.function(
            [dense, h0], [expected, *pytensor.grad(expected, [h0, dense])], mode=reference_mode
        )
        expected_total, expected_h0, expected_x = oracle(A.toarray(), H0)
        assert_same_matrix(total, expected_total)
        assert_same_matrix(g_h0, expected_h0)
        for g in g_x:
            at_entries = A.tocoo().coords
            assert_same_matrix(g[at_entries] if sp.issparse(g) else g, expected_x[at_entries])


@MODES
def test_sparse_algebra_inside_the_loop(mode):
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.matrix("d")
    w = pt.vector("w")

    def step(w_t, h, x, y, d):
        return pt.tanh(((ss.sin(x) * w_t + 2.0 * y) @ y.T) @ h + (x * d).sum(axis=1) + ss.dot(x, h))

    def dense_step(w_t, h, x, y, d):
        return pt.tanh(((pt.sin(x) * w_t + 2.0 * y) @ y.T) @ h + (x * d).sum(axis=1) + pt.dot(x, h))

    def outputs(step, x, y):
        h = pytensor.scan(
            step, sequences=[w], outputs_info=[pt.ones(4)], non_sequences=[x, y, d], return_updates=False
        )
        return [h, *pytensor.grad((h**2).sum(), [x, y, d, w])]

    dx, dy = pt.matrix("dx"), pt.matrix("dy")
    A, B = matrix(**UGLY["duplicates"]), matrix("csc", rng=1)
    D, W = np.random.default_rng(2).uniform(-1, 1, (4, 4)), np.array([0.4, -0.2, 0.7])
    got = pytensor.function([x, y, d, w], outputs(step, x, y), mode=mode)(A, B, D, W)
    oracle = pytensor.function([dx, dy, d, w], outputs(dense_step, dx, dy), mode=reference_mode)
    expected = oracle(A.toarray(), B.toarray(), D, W)
    expected[1] *= stored(A)
    expected[2] *= stored(B)
    for a, b in zip(got, expected, strict=True):
        assert_same_matrix(a, b)
    assert got[1].format == "csr"
    assert got[2].format == "csc"


@MODES
def test_second_order_and_forward_mode(mode):
    x, p, h0, s = ss.csr_matrix("x"), ss.csr_matrix("p"), pt.vector("h0"), pt.matrix("s")
    dx = pt.matrix("dx")
    A, h = matrix(), 1e-6
    P = matrix(**UGLY["duplicates"], rng=5)
    direction = P.toarray() * stored(A)

    cost = recurrence(x, h0, s)
    slopes = pytensor.grad(cost, [x, h0])
    f = pytensor.function(
        [x, p, h0, s],
        [
            hessian_vector_product(cost, x, ss.sample(p, x)),
            *ss.pushforward([cost, *slopes], x, p),
            *ss.pushforward([cost, closed_over(x, h0, s)], [x], [p], use_op_pushforward=True),
        ],
        mode=mode,
    )
    hvp, d_cost, d_gx, d_gh, d_cost_again, d_closed = f(A, P, H0, S)

    dense_cost = recurrence(dx, h0, s)
    g = pytensor.function(
        [dx, h0, s],
        [dense_cost, *pytensor.grad(dense_cost, [dx, h0]), closed_over(dx, h0, s)],
        mode=reference_mode,
    )
    ends = [g(A.toarray() + e * direction, H0, S) for e in (h, -h)]
    expected = [(a - b) / (2 * h) for a, b in zip(*ends, strict=True)]
    at = {"rtol": 1e-6, "atol": 1e-8}
    assert_same_matrix(d_cost, expected[0], **at)
    assert_same_matrix(d_cost_again, expected[0], **at)
    assert_same_matrix(d_gx, expected[1] * stored(A), **at)
    assert_same_matrix(hvp, expected[1] * stored(A), **at)
    assert_same_matrix(d_gh, expected[2], **at)
    assert_same_matrix(d_closed, expected[3], **at)


def test_integers_and_disconnected_matrices():
    x, k, h0 = ss.csr_matrix("x"), ss.csr_matrix("k", dtype="int8"), pt.vector("h0")
    h = pytensor.scan(
        lambda h, x, k: k @ h / x.shape[0] + x.nnz,
        outputs_info=[h0],
        non_sequences=[x, k],
        n_steps=2,
        return_updates=False,
    )
    gx, gk, gh = pytensor.grad(h.sum(), [x, k, h0], disconnected_inputs="ignore")
    A, K = matrix(), sp.csr_array(np.diag([1, 2, 3, 4]).astype("int8"))
    f = pytensor.function([x, k, h0], [gx, gk, gh], mode=lowered_mode)
    found_x, found_k, found_h = f(A, K, H0)
    assert not found_x.toarray().any()
    assert found_k.dtype.kind == "f"
    K = K.toarray() / 4
    assert_same_matrix(found_h, (K + K @ K).T @ np.ones(4))


def test_the_pattern_of_a_matrix_from_parts_is_still_checked():
    v, i, s = pt.vector("v"), pt.vector("i", dtype="int32"), pt.matrix("s")
    x = ss.CSR(v, i, np.array([0, 1, 2], dtype="int32"), np.array([2, 2]))
    products = pytensor.scan(lambda s_t: x @ s_t, sequences=[s], return_updates=False)
    f = pytensor.function([v, i, s], pytensor.grad(products.sum(), v), mode=lowered_mode)
    S = np.array([[1.0, 2.0], [10.0, 20.0]])
    assert_same_matrix(f([2.0, 3.0], np.array([1, 0], "i"), S), [22.0, 11.0])
    with pytest.raises(ValueError, match=r"Malformed|out of|CSM"):
        f([2.0, 3.0], np.array([0, 2], "i"), S)


def test_the_loop_runs_once():
    x, h0, s = ss.csr_matrix("x"), pt.vector("h0"), pt.matrix("s")
    for loop in LOOPS:
        graph = apply_ancestors(with_gradients(loop, x, h0, s))
        assert sum(isinstance(node.op, Scan) for node in graph) == 2, "one forward, one backward"


@MODES
def test_nested_loops_and_checkpoints(mode):
    x, h0 = ss.csr_matrix("x"), pt.vector("h0")
    A = matrix()

    def inner(h, x):
        return pytensor.scan(
            lambda h, x: pt.tanh(x @ h), outputs_info=[h], non_sequences=[x], n_steps=2, return_updates=False
        )[-1]

    nested = pytensor.scan(inner, outputs_info=[h0], non_sequences=[x], n_steps=2, return_updates=False)[
        -1
    ].sum()
    with pytest.warns(DeprecationWarning, match="return_updates"):
        saved, _ = scan_checkpoints(
            lambda h, x: pt.tanh(x @ h), outputs_info=[h0], non_sequences=[x], n_steps=4, save_every_N=2
        )
    h = h0
    for _ in range(4):
        h = pt.tanh(x @ h)
    outputs = [
        v for cost in (nested, saved[-1].sum(), h.sum()) for v in (cost, *pytensor.grad(cost, [x, h0]))
    ]
    f = pytensor.function([x, h0], outputs, mode=mode)
    got = pickle.loads(pickle.dumps(f))(A, H0)
    for i in range(3):
        assert_same_matrix(got[i], got[6 + i])
        assert_same_matrix(got[3 + i], got[6 + i])


def test_a_state_of_fixed_pattern_is_carried_by_its_values():
    A = matrix()
    x, n = ss.csr_matrix("x"), 3

    def step(values, x):
        M = ss.CSR(values, *ss.csm_properties(x)[1:])
        return ss.sample(M @ x + M, x).values

    values = pytensor.scan(step, outputs_info=[x.values], non_sequences=[x], n_steps=n, return_updates=False)
    f = pytensor.function([x], [values, pytensor.grad((values[-1] ** 2).sum(), x)], mode=lowered_mode)
    got, slope = f(A)
    M = A.toarray()
    for t in range(n):
        M = (M @ A.toarray() + M) * stored(A)
        assert_same_matrix(got[t], M[A.tocoo().coords])

    def cost(B):
        M = B
        for _ in range(n):
            M = (M @ B + M) * stored(A)
        return (M**2).sum()

    for (i, j), g in zip(zip(*A.tocoo().coords, strict=True), slope.data, strict=True):
        E = np.zeros(A.shape)
        E[i, j] = 1e-6
        assert abs((cost(A.toarray() + E) - cost(A.toarray() - E)) / 2e-6 - g) < 1e-6


def test_updates_of_sparse_shared_variables_in_a_loop():
    w, h0 = ss.shared(matrix(), name="w"), pt.vector("h0")
    with pytest.warns(DeprecationWarning, match="return_updates"):
        h, updates = pytensor.scan(lambda h: (w @ h, {w: w * 2.0}), outputs_info=[h0], n_steps=3)
    got = pytensor.function([h0], h[-1], updates=updates, mode=lowered_mode)(H0)
    A = matrix().toarray()
    assert_same_matrix(got, 4 * A @ (2 * A @ (A @ H0)))
    assert_same_matrix(w.get_value(), 8 * A)


def test_what_a_loop_cannot_do():
    x, h0 = ss.csr_matrix("x"), pt.vector("h0")
    with pytest.raises(TypeError, match=r"scan: .*Let it carry or return x\.values"):
        pytensor.scan(lambda t: x * t, sequences=[pt.vector()], return_updates=False)
    with pytest.raises(TypeError, match=r"scan: .*non-sequence"):
        pytensor.gradient.jacobian(pt.tanh(x @ h0), x)
    with pytest.raises(TypeError, match=r"x\.values"):
        pytensor.scan(lambda m: m * 2.0, outputs_info=[x], n_steps=2, return_updates=False)
    with pytest.raises(TypeError):
        pytensor.scan(lambda row: row.sum(), sequences=[x], return_updates=False)


@pytest.mark.parametrize("matrix", [True, False])
def test_rows_with_a_sparse_gradient_have_a_dense_one_inside_a_loop(matrix):
    """A loop adds up dense cotangents: the sparse one could be no accumulator, and the error was about the loop."""
    m, rows, x = pt.dmatrix("m"), pt.lvector("rows"), ss.csr_matrix("x")

    def loss(pick):
        def step(k, m, x):
            return (pick(m) * (x @ m)[rows] if matrix else pick(m) ** 2).sum() * k

        return pytensor.scan(
            step, sequences=[pt.arange(3.0)], non_sequences=[m, x], return_updates=False
        ).sum()

    got, expected = (
        pytensor.grad(loss(p), m) for p in (lambda m: ss.sparse_grad(m[rows]), lambda m: m[rows])
    )
    f = pytensor.function([m, rows, x], [got, expected], mode=reference_mode, on_unused_input="ignore")
    found, wanted = f(np.arange(6.0).reshape(3, 2), [0, 2, 2], sp.csr_array(np.diag([1.0, 2.0, 3.0])))
    assert wanted.any()
    np.testing.assert_array_equal(found, wanted)
