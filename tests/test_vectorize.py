"""Batch dimensions: stacks of dense operands against one sparse matrix, `vectorize_graph`, Jacobians and Hessians."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import hessian, hessian_vector_product, jacobian
from pytensor.graph.replace import vectorize_graph

import symsparse as ss
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

MODES = pytest.mark.parametrize("mode", [reference_mode, lowered_mode], ids=["reference", "lowered"])
RNG = np.random.default_rng(0)
UGLY = {"duplicates": True, "unsorted_indices": True, "explicit_zero": True}


def matrix(format="csr", shape=(3, 4), rng=0, **kwargs):
    return random_sparse(format, shape, **{"density": 0.5, **kwargs}, gap=(-1.0, 1.0), rng=rng)


def stored(A):
    pattern = A.copy()
    pattern.data = np.ones(len(A.data))
    return pattern.toarray() != 0


# -- stacks in products -----------------------------------------------------------------------------------------


def products(x, right, left):
    return [
        x @ right,
        left @ x,
        ss.dot(x, right),
        ss.dot(left, x),
        ss.structured_dot(x.T, pt.swapaxes(left, -1, -2)),
    ]


def dense_products(x, right, left):
    mm = pt.matmul
    return [mm(x, right), mm(left, x), mm(x, right), mm(left, x), mm(x.T, pt.swapaxes(left, -1, -2))]


def with_gradients(products, x, right, left):
    made = products(x, right, left)
    cost = sum((out**2).sum() for out in made)
    regular = pytensor.grad((made[2] ** 2).sum() + (made[3] ** 2).sum(), x)
    structured = pytensor.grad((made[0] ** 2).sum() + (made[1] ** 2).sum(), x)
    return [*made, *pytensor.grad(cost, [right, left]), regular, structured]


def check_products(mode, format, batch, A):
    m, n = A.shape
    stack = (None,) * len(batch)
    x = ss.matrix(format, "x")
    right, left = (
        pt.tensor(dtype="float64", shape=(*stack, None, 2)),
        pt.tensor(dtype="float64", shape=(*stack, 5, m)),
    )
    outputs = with_gradients(products, x, right, left)
    assert outputs[0].type.shape == (*stack, None, 2)
    assert outputs[1].type.shape == (*stack, 5, None)
    f = pytensor.function([x, right, left], outputs, mode=mode)
    dense = pt.matrix("dense")
    oracle = pytensor.function(
        [dense, right, left], with_gradients(dense_products, dense, right, left), mode=reference_mode
    )
    R, L = RNG.uniform(-1, 1, (*batch, n, 2)), RNG.uniform(-1, 1, (*batch, 5, m))
    got, expected = f(A, R, L), oracle(A.toarray(), R, L)
    assert_well_formed(got[-1], x.type)
    expected[-1] *= stored(A)
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        assert_same_matrix(a, b)


@MODES
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_products_with_stacks(format, mode):
    check_products(mode, format, (2,), matrix(format, **UGLY))
    check_products(mode, format, (2, 3), matrix(format))


@pytest.mark.parametrize("batch", [(0,), (1,)])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (3, 4)])
def test_products_with_empty_stacks_and_matrices(shape, batch):
    check_products(lowered_mode, "csr", batch, matrix(shape=shape))


def test_stacks_keep_what_is_known():
    x = ss.csr_matrix("x", dtype="float32", shape=(3, 4))
    d = pt.tensor(dtype="float32", shape=(5, 4, 2))
    assert (x @ d).type == pt.TensorType("float32", (5, 3, 2))
    assert (pt.swapaxes(d, 1, 2) @ x.T).type == pt.TensorType("float32", (5, 2, 3))
    assert (x @ RNG.random((5, 4, 2))).dtype == "float64"
    z = ss.csr_matrix("z", dtype="complex128")
    A = matrix(dtype="complex128")
    D = RNG.random((2, 4, 2)) + 1j
    assert_same_matrix((z @ pt.constant(D)).eval({z: A}, mode=lowered_mode), A.toarray() @ D)


def test_stacks_that_do_not_fit():
    x = ss.csr_matrix("x", shape=(3, 4))
    with pytest.raises(ValueError, match="inner sizes 4 and 5 differ"):
        x @ pt.tensor(dtype="float64", shape=(2, 5, 3))
    with pytest.raises(ValueError, match="inner sizes 5 and 3 differ"):
        ss.dot(pt.tensor(dtype="float64", shape=(2, 3, 5)), x)
    with pytest.raises(TypeError, match="more than two dimensions"):
        ss.dot(pt.tensor3(), pt.tensor3())
    with pytest.raises(TypeError, match="more than two dimensions"):
        ss.true_dot(x, pt.tensor3())
    with pytest.raises(TypeError, match="more than two dimensions"):
        x * pt.tensor3()
    y = ss.csr_matrix("y")
    f = pytensor.function([y], y @ pt.ones((2, 5, 3)), mode=lowered_mode)
    with pytest.raises(ValueError, match=r"inner sizes differ: 4 .* 5 "):
        f(matrix())


def test_pytensors_dot_has_numpys_axes():
    x, d = ss.csr_matrix("x"), pt.tensor3("d")
    A, D, E = matrix(), RNG.random((2, 4, 5)), RNG.random((2, 5, 3))
    f = pytensor.function([x, d], pt.dot(x, d), mode=lowered_mode)
    assert_same_matrix(f(A, D), np.dot(A.toarray(), D))
    assert_same_matrix(pt.dot(d, x).eval({x: A, d: E}, mode=lowered_mode), np.dot(E, A.toarray()))


# -- vectorized graphs ------------------------------------------------------------------------------------------

# name: (graph of a sparse x (3, 4) and a dense y; shape of y; the same for dense x and a batch of y)
GRAPHS = {
    "x @ vector": (lambda x, y: x @ y, (4,), lambda x, y: y @ x.T),
    "vector @ x": (lambda x, y: y @ x, (3,), lambda x, y: y @ x),
    "dot(x, vector)": (ss.dot, (4,), lambda x, y: y @ x.T),
    "dot(vector, x)": (lambda x, y: ss.dot(y, x), (3,), lambda x, y: y @ x),
    "x @ matrix": (lambda x, y: x @ y, (4, 2), lambda x, y: x @ y),
    "matrix @ x": (lambda x, y: y @ x, (2, 3), lambda x, y: y @ x),
    "dot(x, matrix)": (ss.dot, (4, 2), lambda x, y: x @ y),
    "dot(matrix, x)": (lambda x, y: ss.dot(y, x), (2, 3), lambda x, y: y @ x),
    "x + matrix": (lambda x, y: x + y, (3, 4), lambda x, y: x + y),
    "x + vector": (lambda x, y: x + y, (4,), lambda x, y: x + y[..., None, :]),
    "matrix - x": (lambda x, y: y - x, (3, 4), lambda x, y: y - x),
    "x < vector": (lambda x, y: x < y, (4,), lambda x, y: (x < y[..., None, :]) * 1),
    "usmm": (
        lambda x, y: ss.usmm(y[0], x, y, x.sum(axis=1)),
        (4,),
        lambda x, y: y[..., :1] * (y @ x.T) + x.sum(1),
    ),
    "usmm, matrices": (
        lambda x, y: ss.usmm(y[0, 0][None, None], x, y[:, :1], x @ y[:, :1]),
        (4, 2),
        lambda x, y: (y[..., :1, :1] + 1) * (x @ y[..., :1]),
    ),
    "usmm, sparse factors": (
        lambda x, y: ss.usmm(1.5, x, x.T, y),
        (3, 3),
        lambda x, y: 1.5 * (x @ x.T) + y,
    ),
    "a chain": (
        lambda x, y: pt.tanh((ss.sin(x) * 2.0 + x.T.T) @ y) @ x + x.sum(),
        (4,),
        lambda x, y: np.tanh(y @ (np.sin(x) * 2 + x).T) @ x + x.sum(),
    ),
}


@MODES
def test_vectorized_graphs(mode):
    x, A = ss.csr_matrix("x"), matrix(**UGLY)
    inputs, outputs, values, expected = [x], [], [A], []
    for graph, shape, oracle in GRAPHS.values():
        # The static sizes of 1 are known to PyTensor, as with any dense operand.
        core = pt.tensor(dtype="float64", shape=(None,) * len(shape))
        out = graph(x, core)
        for batch in ((3,), (2, 3)):
            y = pt.tensor(dtype="float64", shape=(None,) * (len(batch) + len(shape)))
            inputs.append(y)
            outputs.append(vectorize_graph(out, {core: y}))
            assert outputs[-1].dtype == out.dtype
            values.append(RNG.uniform(-1, 1, (*batch, *shape)))
            expected.append(oracle(A.toarray(), values[-1]))
    names = [(name, batch) for name in GRAPHS for batch in (1, 2)]
    got = pytensor.function(inputs, outputs, mode=mode)(*values)
    for name, a, b in zip(names, got, expected, strict=True):
        assert a.shape == b.shape, name
        assert_same_matrix(a, b)


def test_vectorized_functions_and_their_gradients():
    x, v, V = ss.csr_matrix("x"), pt.vector("v"), pt.tensor3("V")
    energy = pt.vectorize(lambda v: (pt.tanh(x @ v) ** 2).sum(), signature="(n)->()")(V)
    total = energy.sum()
    A, values = matrix(), RNG.uniform(-1, 1, (2, 3, 4))
    f = pytensor.function([x, V], [energy, *pytensor.grad(total, [x, V])], mode=lowered_mode)
    got, gx, gV = f(A, values)
    one = (pt.tanh(x @ v) ** 2).sum()
    single = pytensor.function([x, v], [one, *pytensor.grad(one, [x, v])], mode=reference_mode)
    results = [single(A, u) for u in values.reshape(6, 4)]
    assert_same_matrix(got, np.array([r[0] for r in results]).reshape(2, 3))
    assert_same_matrix(gx, sum(r[1].toarray() for r in results))
    assert_same_matrix(gV, np.array([r[2] for r in results]).reshape(2, 3, 4))


def test_replacing_without_a_batch_and_replacing_the_matrix():
    x, z, v, w = ss.csr_matrix("x"), ss.csr_matrix("z"), pt.vector("v"), pt.vector("w")
    out = ss.sin(x * v) @ v
    replaced = vectorize_graph(out, {v: w, x: z})
    assert_same_matrix(
        replaced.eval({z: matrix(), w: np.ones(4)}, mode=lowered_mode), np.sin(matrix().toarray()).sum(1)
    )


@pytest.mark.parametrize(
    "graph",
    [
        lambda x, v: x * v,
        lambda x, v: (x * v) @ v,
        lambda x, v: ss.csr_from_dense(v[None, :]).sum(),
        lambda x, v: ss.CSR(v, [0, 1, 2, 3], [0, 2, 3, 4], (3, 4)) @ pt.ones(4),
        lambda x, v: ss.square_diagonal(v),
    ],
)
def test_there_is_no_batch_of_sparse_matrices(graph):
    x, v = ss.csr_matrix("x"), pt.vector("v", shape=(4,))
    with pytest.raises(NotImplementedError, match=r"vectorize: .*no batch of sparse matrices.*pytensor\.map"):
        vectorize_graph(graph(x, v), {v: pt.matrix(shape=(2, 4))})


def test_looping_over_a_batch_instead():
    A = matrix()
    V = RNG.random((3, A.nnz))
    v = pt.matrix("v")
    looped = pytensor.map(
        lambda u: ss.CSR(u, A.indices, A.indptr, A.shape).sum(axis=1), sequences=[v], return_updates=False
    )
    with pytensor.config.change_flags(cxx=""):
        got = looped.eval({v: V}, mode=lowered_mode)
    for row, u in zip(got, V, strict=True):
        M = A.copy()
        M.data[:] = u
        assert_same_matrix(row, M.sum(axis=1))


# -- Jacobians and Hessians -------------------------------------------------------------------------------------


@MODES
def test_jacobians_and_hessians(mode):
    A = matrix(**UGLY)
    x, dense, v, p = ss.csr_matrix("x"), pt.matrix("dense"), pt.vector("v"), pt.vector("p")

    def derivatives(x, sin):
        out = pt.tanh(sin(x).T @ (x @ v) + v)
        cost = (out**2).sum()
        return [
            jacobian(out, v),
            jacobian(out, v, vectorize=True),
            hessian(cost, v),
            hessian_vector_product(cost, v, p),
            *ss.pushforward([out], [v], [p]),
        ]

    V, P = RNG.uniform(-1, 1, 4), RNG.uniform(-1, 1, 4)
    with pytensor.config.change_flags(cxx=""):
        got = pytensor.function([x, v, p], derivatives(x, ss.sin), mode=mode)(A, V, P)
        oracle = pytensor.function([dense, v, p], derivatives(dense, pt.sin), mode=reference_mode)
        expected = oracle(A.toarray(), V, P)
    for a, b in zip(got, expected, strict=True):
        assert_same_matrix(a, b)


@MODES
def test_derivatives_with_respect_to_the_values(mode):
    A = matrix()
    w, v = pt.vector("w"), pt.vector("v")
    x = ss.CSR(w, A.indices, A.indptr, A.shape)
    rows, cols = A.tocoo().coords

    def outputs(x):
        out = pt.tanh(x @ v) @ x
        return out, (out**2).sum()

    out, cost = outputs(x)
    dense_out, dense_cost = outputs(pt.zeros(A.shape)[rows, cols].set(w))
    U, V = RNG.uniform(-1, 1, A.nnz), RNG.uniform(-1, 1, 4)
    p = pt.vector("p")
    made = [
        [jacobian(o, w), hessian(c, w), hessian_vector_product(c, w, p)]
        for o, c in ((out, cost), (dense_out, dense_cost))
    ]
    with pytensor.config.change_flags(cxx=""):
        got = pytensor.function([w, v, p], made[0], mode=mode)(A.data, V, U)
        expected = pytensor.function([w, v, p], made[1], mode=reference_mode)(A.data, V, U)
    for a, b in zip(got, expected, strict=True):
        assert_same_matrix(a, b)
    with pytest.raises(NotImplementedError, match="vectorize=False"):
        jacobian(out, w, vectorize=True)


@MODES
@pytest.mark.parametrize("product", [ss.structured_dot, ss.dot], ids=["structured", "regular"])
def test_hessian_vector_product_of_a_sparse_matrix(product, mode):
    A, P = matrix(**UGLY), matrix("csc", rng=3)
    x, p, dense, dense_p, v = (
        ss.csr_matrix("x"),
        ss.csc_matrix("p"),
        pt.matrix("d"),
        pt.matrix("dp"),
        pt.vector("v"),
    )
    cost = (pt.tanh(product(x, v)) ** 2).sum()
    dense_cost = (pt.tanh(dense @ v) ** 2).sum()
    f = pytensor.function(
        [x, p, v],
        [hessian_vector_product(cost, x, ss.sample(p, x)), ss.pushforward(pytensor.grad(cost, x), x, p)],
        mode=mode,
    )
    g = pytensor.function(
        [dense, dense_p, v], hessian_vector_product(dense_cost, dense, dense_p), mode=reference_mode
    )
    V = RNG.uniform(-1, 1, 4)
    expected = g(A.toarray(), P.toarray() * stored(A), V)
    for got in f(A, P, V):
        if product is ss.structured_dot:
            assert_well_formed(got, x.type)
            assert_same_matrix(got, expected * stored(A))
        else:
            assert_same_matrix(got, expected)


def test_compiled():
    x, v, V, D = ss.csr_matrix("x"), pt.vector("v"), pt.matrix("V"), pt.tensor3("D")
    out = pt.tanh(x @ v)
    f = pytensor.function(
        [x, v, V, D],
        [
            x @ D,
            vectorize_graph(out, {v: V}),
            jacobian(out, v, vectorize=True),
            pytensor.grad((x @ D).sum(), x),
        ],
    )
    A = matrix(**UGLY)
    a, U, W, E = A.toarray(), RNG.random(4), RNG.random((3, 4)), RNG.random((2, 4, 5))
    stacked, batched, slopes, gx = f(A, U, W, E)
    assert_same_matrix(stacked, a @ E)
    assert_same_matrix(batched, np.tanh(W @ a.T))
    assert_same_matrix(slopes, (1 - np.tanh(a @ U) ** 2)[:, None] * a)
    assert_same_matrix(gx, np.broadcast_to(E.sum((0, 2)), (3, 4)) * stored(A))
