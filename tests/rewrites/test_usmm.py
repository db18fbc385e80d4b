"""z + alpha * (x @ y) in its spellings becomes one step, in place where that is allowed."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import symsparse as ss
from symsparse.lowering.matmul import CompressedDot, CompressedUsmm
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

X, C = ss.csr_matrix("X", dtype="float64"), ss.csc_matrix("C", dtype="float64")
y, z, g = pt.dmatrices("y", "z", "g")
u, v = pt.dvectors("u", "v")
a, k = pt.dscalar("a"), pt.scalar("k", dtype="int8")
b = pt.tensor("b", dtype="float64", shape=(1, 1))
INPUTS = [X, C, y, z, g, u, v, a, k, b]
P = X @ y

SPELLINGS = {
    "sum": z + P,
    "scaled": z + a * P,
    "difference": z - P,
    "scaled difference": z - a * P,
    "factor on the right": P * a + z,
    "matrix of size 1": z - b * P,
    "quotient": z + P / a,
    "quotients": z + (P / a) / (a + 1),
    "negative": -P + z,
    "negative factor": z - (-a) * P,
    "other way round": a * P - z,
    "constant": z - 0.1 * P,
    "factors": z + P * 2.0 * a / 3,
    "scaled twice": z - a * (P * 3.0),
    "transposed": (z.T + a * (y.T @ X.T)).T,
    "transposed product": z.T - a * (y.T @ X.T),
    "many terms": z + 1.0 + z * 2 - a * P,
    "gradient step": y - a * (X.T @ g),
    "vector": v - a * (X @ u),
    "vector from the left": u + a * (v @ X),
    "regular": z + a * (-ss.dot(X, y)),
    "integer factor": z + k * P,
    "usmm": ss.usmm(a, X, y, z),
    "csc": z - a * (C @ y),
    "update by csc": y - a * (C.T @ g),
}

KEPT = {
    "row vector": pt.row("r", dtype="float64") + a * P,
    "matrix factor": z + g * P,
    "vector factor": z + v[:, None] * P,
    "float32 product": z + a * (ss.cast(X, "float32") @ y.astype("float32")),
    "integers": z.astype("int64") + (ss.cast(X, "int64") @ y.astype("int64")),
    "nothing added": a * P,
    "product of products": P * (X @ (y + 1)),
}


def values():
    rng = np.random.default_rng(0)
    dense = {y: (4, 3), z: (5, 3), g: (5, 3), u: 4, v: 5}
    made = {X: random_sparse("csr", (5, 4), duplicates=True, rng=0), C: random_sparse("csc", (5, 4), rng=1)}
    made |= {d: rng.normal(size=size) for d, size in dense.items()}
    made |= {a: np.asarray(0.3), k: np.int8(3), b: np.array([[-0.7]])}
    return [made[i] for i in INPUTS]


def compiled(out, mode=lowered_mode, mutable=(), **kwargs):
    inputs = [pytensor.In(i, mutable=True) if i in mutable else i for i in INPUTS]
    return pytensor.function(inputs, out, mode=mode, on_unused_input="ignore", **kwargs)


def steps(f, kind):
    return [node.op for node in f.maker.fgraph.toposort() if isinstance(node.op, kind)]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling(name):
    out = SPELLINGS[name]
    f = compiled(out, mutable=(y, z, u, v))
    assert len(steps(f, CompressedUsmm)) == 1
    assert not steps(f, CompressedDot)
    np.testing.assert_allclose(f(*values()), compiled(out, reference_mode)(*values()), rtol=1e-12)
    assert not steps(compiled(out, lowered_mode.excluding("symsparse_usmm")), CompressedUsmm)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("scaled difference", []),
        ("transposed", []),
        ("vector", []),
        ("usmm", []),
        ("csc", [False]),
        ("many terms", [True]),
    ],
)
def test_what_must_stay_is_not_copied_where_rows_are_summed_up(name, expected):
    """A copy of z costs what it spares. Products that scatter must begin with something; what is computed may go."""
    assert [op.inplace for op in steps(compiled(SPELLINGS[name]), CompressedUsmm)] == expected


@pytest.mark.parametrize("name", KEPT)
def test_must_not_fire(name):
    f = pytensor.function(
        [*INPUTS, KEPT["row vector"].owner.inputs[0]], KEPT[name], mode=lowered_mode, on_unused_input="ignore"
    )
    assert not steps(f, CompressedUsmm)
    assert steps(f, CompressedDot)


def test_a_product_that_is_read_twice_is_computed_once():
    for outputs in ([z + P, P], [z + P, pt.tanh(P)], [z + P * a, z - P], [P + P * a]):
        f = compiled(outputs)
        assert not steps(f, CompressedUsmm)
        assert len(steps(f, CompressedDot)) == 1


def test_two_products():
    f = compiled(P + 2 * (X @ (y + 1)))
    assert len(steps(f, CompressedUsmm)) == len(steps(f, CompressedDot)) == 1
    assert steps(f, CompressedUsmm)[0].inplace
    given = values()
    np.testing.assert_allclose(f(*given), given[0] @ given[2] + 2 * (given[0] @ (given[2] + 1)))


@pytest.mark.parametrize("alpha", [np.inf, -np.inf, np.nan, 0.0])
@pytest.mark.parametrize("name", ["scaled difference", "update by csc", "vector", "vector from the left"])
def test_the_same_entries_are_nan(name, alpha):
    given = values()
    given[7] = np.asarray(alpha)
    given[0].data[0], given[1].data[0] = np.inf, np.nan
    given[0].data[given[0].indptr[2] : given[0].indptr[3]] = 0
    with np.errstate(invalid="ignore", over="ignore"):
        found = compiled(SPELLINGS[name])(*given)
        expected = compiled(SPELLINGS[name], reference_mode)(*given)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(("m", "n", "width"), [(0, 4, 3), (5, 0, 3), (5, 4, 0)])
def test_empty(m, n, width):
    empty = random_sparse("csr", (m, n), rng=0)
    given = np.ones((n, width)), np.ones((m, width)), np.ones((m, width))
    f = pytensor.function([X, y, z, g], [z + 2 * P, y - 2 * (X.T @ g)], mode=lowered_mode)
    products = given[1] + 2 * (empty @ given[0]), given[0] - 2 * (empty.T @ given[2])
    for found, expected in zip(f(empty, *given), products, strict=True):
        np.testing.assert_allclose(found, expected)


def test_shapes_that_do_not_fit_are_an_error():
    given = values()
    f = compiled(SPELLINGS["scaled"], mutable=(z,))
    for i, shape in ((2, (3, 3)), (3, (5, 2)), (3, (1, 3)), (3, (4, 3))):
        wrong = list(given)
        wrong[i] = np.ones(shape)
        with pytest.raises(ValueError, match="usmm"):
            f(*wrong)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_other_dtypes(dtype):
    x, d, e, s = (
        ss.csr_matrix("x", dtype=dtype),
        pt.matrix("d", dtype=dtype),
        pt.matrix("e", dtype=dtype),
        pt.scalar("s", dtype=dtype),
    )
    inputs = [x, d, pytensor.In(e, mutable=True), s]
    f = pytensor.function(inputs, [e - s * (x @ d), d + s * (x.T @ e)], mode=lowered_mode)
    assert len(steps(f, CompressedUsmm)) == 2
    rng = np.random.default_rng(0)
    m, factor = (
        random_sparse("csr", (5, 4), dtype=dtype, rng=1),
        np.dtype(dtype).type(0.5 + 1j if dtype == "complex128" else 0.5),
    )
    p, q = rng.normal(size=(4, 3)).astype(dtype), rng.normal(size=(5, 3)).astype(dtype)
    products = q - factor * (m @ p), p + factor * (m.T @ q)
    for found, expected in zip(f(m, p, q, factor), products, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gradients_are_those_of_the_reference():
    loss = sum(
        (pt.tanh(SPELLINGS[name]) ** 2).sum()
        for name in ("scaled difference", "gradient step", "csc", "vector")
    )
    gradients = pytensor.grad(loss, [X, C, y, z, g, u, v, a])
    functions = compiled(gradients), compiled(gradients, reference_mode)
    for found, expected in zip(*(f(*values()) for f in functions), strict=True):
        assert_same_matrix(found, expected)


def step(mode, reader=None, **kwargs):
    W = pytensor.shared(np.arange(12.0).reshape(4, 3), name="W", **kwargs)
    outputs = [] if reader is None else [reader(W)]
    return W, pytensor.function([X, g], outputs, updates=[(W, W - 0.5 * (X.T @ g))], mode=mode)


@pytest.mark.parametrize("mode", [lowered_mode, None], ids=["lowered", "numba"])
def test_an_update_works_in_the_shared_array(mode):
    given = values()[0], values()[4]
    W, f = step(mode)
    assert [op.inplace for op in steps(f, CompressedUsmm)] == [True]
    before = W.get_value(borrow=True)
    expected = before - 0.5 * (given[0].T @ given[1])
    f(*given)
    np.testing.assert_allclose(W.get_value(), expected)
    assert np.shares_memory(before, W.get_value(borrow=True))
    again = expected - 0.5 * (given[0].T @ given[1])
    f(*given)
    np.testing.assert_allclose(W.get_value(), again)


def test_what_else_reads_the_shared_array_reads_it_first():
    given = values()[0], values()[4]
    W, f = step(lowered_mode, reader=lambda W: (W**2).sum())
    expected = (W.get_value() ** 2).sum()
    np.testing.assert_allclose(f(*given)[0], expected)


def test_never_in_place_of_what_somebody_owns():
    """Inputs, outputs, constants, and shared arrays that are no update."""
    shared = pytensor.shared(np.ones((5, 3)))
    for target in (z, shared, pt.constant(np.ones((5, 3)))):
        f = compiled([target + a * (C @ y), target + a * P])
        assert [op.inplace for op in steps(f, CompressedUsmm)] == [False]
    f = compiled([z + 1 + a * (C @ y), z + 1])
    assert [op.inplace for op in steps(f, CompressedUsmm)] == [False]
    given = values()
    kept = given[3].copy()
    compiled(z + a * P)(*given)
    np.testing.assert_array_equal(given[3], kept)


def test_in_place_of_an_input_that_may_change():
    inputs = [X, y, pytensor.In(z, mutable=True), a]
    f = pytensor.function(inputs, z + a * P, mode=lowered_mode)
    assert [op.inplace for op in steps(f, CompressedUsmm)] == [True]


def test_a_factor_that_is_also_the_sum():
    S = ss.csc_matrix("S", dtype="float64")
    W = pytensor.shared(np.arange(12.0).reshape(4, 3))
    f = pytensor.function([S], updates=[(W, W - S @ W)], mode=lowered_mode)
    assert [op.inplace for op in steps(f, CompressedUsmm)] == [False]
    m = random_sparse("csc", (4, 4), rng=0)
    expected = W.get_value() - m @ W.get_value()
    f(m)
    np.testing.assert_allclose(W.get_value(), expected)


@pytest.mark.slow  # compiles a kernel for each
def test_layouts():
    """Strided, transposed and read-only z."""
    f = pytensor.function([X, y, pytensor.In(z, mutable=True, borrow=True)], z + 2 * P, mode=lowered_mode)
    given = values()
    frozen = given[3].copy()
    frozen.flags.writeable = False
    from symsparse.kernels import matmul

    m, d = given[0], given[2]
    expected = given[3] + 2 * (m @ d)
    wide = np.zeros((5, 6))
    wide[:, ::2] = given[3]
    block = np.zeros((5, 6))
    block[:, 1:4] = given[3]
    for start in (given[3].copy(), np.asfortranarray(given[3]), wide[:, ::2], block[:, 1:4], frozen):
        found = matmul.usmm_gather_matrix(2.0, m.data, m.indices, m.indptr, d, start, 4, True)
        np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(frozen, given[3])
    assert not block[:, [0, 4, 5]].any()
    np.testing.assert_allclose(f(m, d, np.asfortranarray(given[3])), expected)
