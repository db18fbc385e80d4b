"""Derivatives in a direction: `pushforward` with respect to sparse and dense variables, of sparse and dense outputs."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.compile.builders import OpFromGraph
from pytensor.conditional.op import ifelse
from pytensor.gradient import DisconnectedInputError, DisconnectedType, disconnected_grad

import symsparse as ss
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

MODES = pytest.mark.parametrize("mode", [reference_mode, lowered_mode], ids=["reference", "lowered"])
WAYS = pytest.mark.parametrize("forward", [False, True], ids=["backward twice", "forward"])
RNG = np.random.default_rng(0)
UGLY = {"duplicates": True, "unsorted_indices": True, "explicit_zero": True}


def matrix(format="csr", shape=(3, 4), rng=0, **kwargs):
    return random_sparse(format, shape, **{"density": 0.5, **kwargs}, gap=(0.2, 1.0), rng=rng)


def stored(A):
    pattern = A.copy()
    pattern.data = np.ones(len(A.data))
    return pattern.toarray() != 0


def outputs(x, y, d):
    """Sparse and dense results of a sparse x, a dense vector y and a dense matrix d."""
    return [
        pt.tanh(x @ y),
        ss.dot(x, y),
        x.sum(),
        (x * d).sum(axis=1),
        ss.structured_exp(x) @ x.T,
        (ss.sin(x) * y).T,
        x * x + x,
        x.toarray() * d,
        (x * x).values.sum() * y,
        2.0 * y,
    ]


def moved(A, move):
    """`A` with the values of its canonical pattern moved by the dense `move`."""
    A = A.copy()
    A.sum_duplicates()
    A.data = A.data + move[A.tocoo().coords]
    return A


@MODES
@WAYS
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_finite_differences(format, forward, mode):
    x, t = ss.matrix(format, "x"), ss.csc_matrix("t")
    y, u, d, e = pt.vector("y"), pt.vector("u"), pt.matrix("d"), pt.matrix("e")
    made = outputs(x, y, d)
    both = ss.pushforward(made, [x, y, d], [t, u, e], use_op_pushforward=forward)
    assert isinstance(both, list)
    alone = ss.pushforward(tuple(made[:-1]), x, t, use_op_pushforward=forward)
    assert isinstance(alone, tuple)
    f = pytensor.function([x, y, d], made, mode=reference_mode)
    g = pytensor.function([x, y, d, t, u, e], [*both, *alone], mode=mode)
    for ugly in ({}, UGLY, {"density": 0.0}):
        A, T = matrix(format, **ugly), matrix("csc", rng=7, **ugly)
        Y, U, D, E = (RNG.uniform(0.2, 1, s) for s in ((4,), (4,), (3, 4), (3, 4)))
        got = g(A, Y, D, T, U, E)
        h, direction = 1e-6, T.toarray() * stored(A)
        for moves, results in (
            ((direction, U, E), got[: len(made)]),
            ((direction, 0, 0), got[len(made) :]),
        ):
            ends = [f(moved(A, s * moves[0]), Y + s * moves[1], D + s * moves[2]) for s in (h, -h)]
            for out, a, b, found in zip(made, *ends, results, strict=False):
                if sp.issparse(found):
                    assert_well_formed(found, out.type)
                    assert found.has_canonical_format
                    a, b = a.toarray(), b.toarray()
                assert_same_matrix(found, (a - b) / (2 * h), rtol=1e-6, atol=1e-8)


@WAYS
def test_kinds_of_tangents(forward):
    x, y = ss.csr_matrix("x"), pt.vector("y")
    A, Y = matrix(**UGLY), RNG.random(4)
    T = matrix("csc", rng=5)
    numbers = RNG.random(A.nnz)
    by_values = A.copy()
    by_values.data = numbers
    tangents = [T, T.toarray(), ss.constant(T).tocsr(), numbers]
    made = [ss.pushforward(x @ y, x, t, use_op_pushforward=forward) for t in tangents]
    got = pytensor.function([x, y], made, mode=lowered_mode)(A, Y)
    for found in got[:3]:
        assert_same_matrix(found, (T.toarray() * stored(A)) @ Y)
    assert_same_matrix(got[3], by_values.toarray() @ Y)
    short = pytensor.function(
        [x, y], ss.pushforward(x @ y, x, numbers[1:], use_op_pushforward=forward), mode=lowered_mode
    )
    with pytest.raises(ValueError, match="CSM"):
        short(A, Y)


def test_all_dense_is_pytensors_own():
    y, t = pt.vector("y"), pt.vector("t")
    assert_same_matrix(ss.pushforward(y**2, y, t).eval({y: [1.0, 2.0], t: [3.0, 4.0]}), [6.0, 16.0])


def test_through_a_variable_in_the_middle_and_again():
    x, y, t = ss.csr_matrix("x"), pt.vector("y"), ss.csr_matrix("t")
    middle = ss.sin(x).T
    A, T, Y = matrix(), matrix(rng=4), RNG.random(3)
    first = ss.pushforward(middle @ y, middle, t.T)
    second = ss.pushforward(ss.pushforward((ss.sin(x).T @ y).sum(), x, t), x, t)
    slope = pytensor.grad(ss.pushforward((ss.sin(x).T @ y).sum(), x, t), x)
    f = pytensor.function([x, y, t], [first, second, slope], mode=lowered_mode)
    got = f(A, Y, T)
    a, direction = A.toarray(), T.toarray() * stored(A)
    assert_same_matrix(got[0], direction.T @ Y)
    assert_same_matrix(got[1], (-np.sin(a) * direction**2).T.sum(0) @ Y)
    assert_same_matrix(got[2], -np.sin(a) * direction * Y[:, None])


@WAYS
def test_dtypes(forward):
    x, z, y = ss.csr_matrix("x", dtype="float32"), ss.csr_matrix("z", dtype="complex128"), pt.vector("y")
    A, C, T = matrix(dtype="float32"), matrix(dtype="complex128"), matrix(rng=3)
    real, cast, holomorphic = ss.pushforward(
        [x @ y, x * np.float32(2), (z * z) @ y], [x, z], [T, T * 1j], use_op_pushforward=forward
    )
    assert real.dtype == "float64"
    assert cast.dtype == "float32"
    got = pytensor.function([x, z, y], [real, cast, holomorphic], mode=lowered_mode)(A, C, np.ones(4))
    direction = T.toarray() * stored(A)
    assert_same_matrix(got[0], direction.sum(1), rtol=1e-5)
    assert_same_matrix(got[1], 2 * direction, rtol=1e-5)
    assert_same_matrix(got[2], (2 * C.toarray() * 1j * T.toarray() * stored(C)).sum(1))


def test_disconnected_outputs():
    x, y, t, z = ss.csr_matrix("x"), pt.vector("y"), ss.csr_matrix("t"), ss.csr_matrix("z")
    both = [x @ y, z * 2.0, y * 2.0, x.T * 2.0]
    with pytest.raises(DisconnectedInputError):
        ss.pushforward(y * 2.0, x, t)

    def found(return_disconnected):
        return ss.pushforward(both, x, t, "ignore", return_disconnected)

    forward = ss.pushforward(both, x, t, "ignore", use_op_pushforward=True)
    f = pytensor.function([x, z, y, t], [*found("zero"), *forward], mode=lowered_mode)
    A, B, T = matrix(), matrix(rng=1), matrix(rng=2)
    got = f(A, B, np.ones(4), T)
    for _, still, dense, moves in (got[:4], got[4:]):
        assert sp.issparse(still)
        assert not still.toarray().any()
        assert dense.shape == (4,)
        assert not dense.any()
        assert_same_matrix(moves, 2 * (T.toarray() * stored(A)).T)
    assert found("none")[1:3] == [None, None]
    assert all(isinstance(v.type, DisconnectedType) for v in found("disconnected")[1:3])
    pattern = [x.values, x.indices]  # no derivative goes to indices
    for kind in ("none", "disconnected", "zero"):
        found = ss.pushforward(pattern, x, t, "ignore", kind, use_op_pushforward=True)[1]
        if kind == "none":
            assert found is None
        elif kind == "disconnected":
            assert isinstance(found.type, DisconnectedType)
        else:
            assert not found.eval({x: A}, mode=lowered_mode).any()


def test_what_is_refused():
    x, y, t = ss.csr_matrix("x"), pt.vector("y"), ss.csr_matrix("t")
    with pytest.raises(ValueError, match="as many tangents"):
        ss.pushforward(x @ y, [x, y], [t])
    with pytest.raises(ValueError, match="tangent of a dense variable"):
        ss.pushforward(x @ y, y, t)
    with pytest.raises(ValueError, match="tangent of a dense variable"):
        ss.pushforward(x @ y, [x, y], [t, pt.matrix()])
    with pytest.raises(ValueError, match="neither a matrix nor a vector"):
        ss.pushforward(x @ y, x, pt.scalar())
    with pytest.raises(ValueError, match="shapes differ"):
        ss.pushforward(x @ y, ss.csr_matrix(shape=(3, 4)), ss.csr_matrix(shape=(4, 3)))
    with pytest.raises(TypeError, match=r"symsparse\.pushforward"):
        pytensor.gradient.pushforward(x @ y, x, t)


@MODES
@WAYS
def test_inner_graphs_and_branches(forward, mode):
    x, t, y, c = ss.csr_matrix("x"), ss.csc_matrix("t"), pt.vector("y"), pt.bscalar("c")
    z, u = ss.csr_matrix("z"), pt.vector("u")
    op = OpFromGraph([x, y], [ss.sin(x) @ y, 3.0 * x.T])
    product, tripled = op(x, y)
    chosen = ifelse(c, ss.sin(x), z * 2.0)
    made = [product, tripled, chosen @ y]
    found = ss.pushforward(made, [x, y], [t, u], "ignore", use_op_pushforward=forward)
    A, T, Y, U = matrix(), matrix("csc", rng=2), RNG.random(4), RNG.random(4)
    with pytensor.config.change_flags(cxx=""):
        f = pytensor.function([x, t, y, u, c, z], found, mode=mode)
        got = {flag: f(A, T, Y, U, flag, matrix(rng=3)) for flag in (0, 1)}
    a, direction = A.toarray(), T.toarray() * stored(A)
    expected = (np.cos(a) * direction) @ Y + np.sin(a) @ U
    for flag in (0, 1):
        assert_same_matrix(got[flag][0], expected)
        assert_same_matrix(got[flag][1], 3 * direction.T)
    assert_same_matrix(got[1][2], expected)
    assert_same_matrix(got[0][2], 2 * matrix(rng=3).toarray() @ U)


def test_constants_in_the_graph_do_not_move():
    x, y, t = ss.csr_matrix("x"), pt.vector("y"), ss.csr_matrix("t")
    made = ss.pushforward((disconnected_grad(x) * x) @ y, x, t)
    A, T = matrix(), matrix(rng=3)
    got = pytensor.function([x, y, t], made, mode=lowered_mode)(A, np.ones(4), T)
    assert_same_matrix(got, (A.toarray() * T.toarray() * stored(A)).sum(1))


def test_compiled():
    x, t, y = ss.csr_matrix("x"), ss.csc_matrix("t"), pt.vector("y")
    f = pytensor.function([x, t, y], ss.pushforward([ss.sin(x) @ y, x * y], x, t))
    A, T, Y = matrix(**UGLY), matrix("csc", rng=2), RNG.random(4)
    product, scaled = f(A, T, Y)
    direction = T.toarray() * stored(A)
    assert_same_matrix(product, (np.cos(A.toarray()) * direction) @ Y)
    assert_same_matrix(scaled, direction * Y)
