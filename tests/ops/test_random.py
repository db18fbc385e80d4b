"""Random ops: the same draws in every mode, generators as PyTensor treats them, errors, no gradient."""

import tracemalloc

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.gradient import DisconnectedInputError, NullTypeGradError
from pytensor.graph.basic import Constant
from scipy import stats

import symsparse as ss
from symsparse.lowering.random import RandomKernel
from symsparse.ops.random import RandomOp
from symsparse.testing import assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

quick_modes = pytest.mark.parametrize(
    "mode", [reference_mode, lowered_mode], ids=["reference_mode", "lowered_mode"]
)
UGLY = {
    "plain": {},
    "unsorted": {"unsorted_indices": True},
    "duplicates": {"duplicates": True, "unsorted_indices": True},
    "explicit_zeros": {"explicit_zero": True},
    "nothing_stored": {"density": 0.0},
    "full": {"density": 1.0},
}
SHAPES = [(6, 5), (0, 4), (4, 0), (1, 7), (7, 1)]


def nodes(f, kind):
    return [node for node in f.maker.fgraph.apply_nodes if isinstance(node.op, kind)]


def assert_identical(a, b):
    """Bit by bit."""
    if sp.issparse(a):
        assert a.format == b.format
        assert a.shape == b.shape
        for field in ("data", "indices", "indptr"):
            assert_identical(getattr(a, field), getattr(b, field))
    else:
        np.testing.assert_array_equal(a, b, strict=True)


def probabilities(format, shape, rng, dtype="float64", **ugly):
    """Rows that sum to 1; an entry in each row, where there are columns."""
    p = random_sparse("csr", shape, gap=(0.1, 1.0), rng=rng, **ugly)
    if shape[1]:
        p = p + sp.csr_array((np.ones(shape[0]), (np.arange(shape[0]), np.zeros(shape[0], int))), shape=shape)
    sums = p.sum(1)
    p.data /= np.repeat(sums, np.diff(p.indptr))
    return p.asformat(format).astype(dtype)


class Chain:
    """One draw of every kind, each from the generator that the one before it left."""

    def __init__(self, mode):
        self.rng = rng = pt.random.shared_rng(seed=0)
        means = [
            ss.csr_matrix("a"),
            ss.csc_matrix("b", dtype="float32", index_dtype="int64"),
            ss.csc_matrix("c", dtype="int64"),
        ]
        p, q, n, events = ss.csr_matrix("p"), ss.csc_matrix("q", dtype="float32"), pt.iscalar(), pt.lvector()
        size = p.shape[1]
        draws = []
        for op, *args in (
            *((ss.poisson, x) for x in means),
            (ss.csr_dbinomial, n, 0.3, (4, 5)),
            (ss.csc_fbinomial, 40, pt.constant(0.9), (size, 3)),
            (ss.Binomial("csc", "int16", index_dtype="int64"), n, 0.01, pt.stack([size, size])),
            (ss.multinomial, n, p),
            (ss.multinomial, events, q),
        ):
            rng, drawn = op(*args, rng=rng, return_next_rng=True)
            draws.append(drawn)
        product = draws[0] @ pt.ones(draws[0].shape[1])
        inputs = [*means, p, q, n, events]
        self.f = pytensor.function(inputs, [*draws, product, rng], mode=mode, updates={self.rng: rng})
        self.types = [x.type for x in draws]

    def __call__(self, shape, ugly, calls=2):
        rng = np.random.default_rng(1)
        self.rng.set_value(seed=5)
        kinds = [("csr", "float64"), ("csc", "float32"), ("csc", "int64")]
        means = [random_sparse(f, shape, gap=(0, 60), rng=rng, **ugly).astype(d) for f, d in kinds]
        if len(means[0].data):
            means[0].data[0] = 1e6
        if shape[1] == 0:
            shape = (0, 0)
        p = probabilities("csr", shape, rng, **ugly)
        q = probabilities("csc", shape, rng, "float32", **ugly)
        for _ in range(calls):
            *draws, product, next_rng = self.f(*means, p, q, 50, rng.integers(0, 30, shape[0]))
            for draw, type in zip(draws, self.types, strict=True):
                assert_well_formed(draw, type)
            np.testing.assert_allclose(product, draws[0].sum(1))
            yield [*draws, np.array(list(next_rng.bit_generator.state["state"].values()), dtype=object)]


@pytest.fixture(scope="module")
def reference():
    return Chain(reference_mode)


@pytest.fixture(scope="module")
def lowered():
    return Chain(lowered_mode)


def compare(chain, reference, shape, ugly):
    for found, expected in zip(chain(shape, ugly), reference(shape, ugly), strict=True):
        for a, b in zip(found, expected, strict=True):
            assert_identical(a, b)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ugly", UGLY.values(), ids=UGLY)
def test_lowered_draws_are_the_reference_draws(reference, lowered, shape, ugly):
    compare(lowered, reference, shape, ugly)


def test_compiled_draws_are_the_reference_draws(reference):
    chain = Chain("NUMBA")
    assert not nodes(chain.f, RandomOp)
    assert len(nodes(chain.f, RandomKernel)) == 8
    for shape in SHAPES:
        for ugly in UGLY.values():
            compare(chain, reference, shape, ugly)


def test_calls_differ_and_seeds_repeat(reference):
    first, second = reference((6, 5), {"density": 1.0})
    for a, b in zip(first, second, strict=True):
        assert (a != b).sum() > 0
    again = next(iter(reference((6, 5), {"density": 1.0})))
    for a, b in zip(first, again, strict=True):
        assert_identical(a, b)


# -- what is drawn ----------------------------------------------------------------------------------------------


def drawn(draws, mode=reference_mode):
    return pytensor.function([], draws, mode=mode)()


@quick_modes
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_poisson(mode, format):
    means = random_sparse(format, (200, 300), density=0.5, gap=(0, 30), rng=0)
    draws = drawn(ss.poisson(means, rng=pt.random.shared_rng(seed=1)), mode)
    assert (draws.data > 0).all()
    dense, mean = draws.toarray(), means.toarray()
    assert not dense[mean == 0].any()
    z = (dense[mean > 0] - mean[mean > 0]) / np.sqrt(mean[mean > 0])
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 0.05
    zeros = np.exp(-mean[mean > 0]).sum()
    assert abs((dense[mean > 0] == 0).sum() - zeros) < 5 * np.sqrt(zeros)


@quick_modes
def test_draws_depend_on_the_matrix_and_not_on_how_it_is_stored(mode):
    x = sp.csr_array((np.array([3.0, -1.0, 70.0]), np.array([2, 2, 0]), np.array([0, 3])), shape=(1, 4))
    tidy = x.copy()
    tidy.sum_duplicates()
    p = sp.csr_array((np.array([0.7, -0.2, 0.5]), np.array([2, 2, 0]), np.array([0, 3])), shape=(1, 4))
    for op, a, b in ((ss.poisson, x, tidy), (lambda p, **kw: ss.multinomial(20, p, **kw), p, p.tocsc())):
        first, second = (drawn(op(v, rng=pt.random.shared_rng(seed=1)), mode).toarray() for v in (a, b))
        np.testing.assert_array_equal(first, second)
        assert first.any()
    assert x.nnz == p.nnz == 3


@quick_modes
def test_multinomial_keeps_the_pattern(mode):
    p = sp.csc_array([[0.25, 0, 0.75], [0, 1, 0], [1e-12, 0.5, 0.5]])
    rng = pt.random.shared_rng(seed=1)
    counts = drawn(ss.multinomial([3, 0, 10], p, rng=rng), mode)
    np.testing.assert_array_equal(counts.indices, p.indices)
    np.testing.assert_array_equal(counts.indptr, p.indptr)
    np.testing.assert_array_equal(counts.sum(1), [3, 0, 10])
    np.testing.assert_array_equal(drawn(ss.multinomial(4, p, rng=rng), mode).sum(1), [4, 4, 4])
    p = sp.csr_array([[0.0, 0.0], [0.5, 0.5]])
    np.testing.assert_array_equal(drawn(ss.multinomial([0, 7], p, rng=rng), mode).sum(1), [0, 7])


@pytest.mark.parametrize(
    ("name", "format", "dtype"),
    [
        ("csr_fbinomial", "csr", "float32"),
        ("csr_dbinomial", "csr", "float64"),
        ("csc_fbinomial", "csc", "float32"),
        ("csc_dbinomial", "csc", "float64"),
    ],
)
def test_binomial(name, format, dtype):
    op = getattr(ss, name)
    assert op == ss.Binomial(format, dtype)
    x = op(6, 0.1, (50, 80), rng=pt.random.shared_rng(seed=1))
    assert x.type == ss.SparseTensorType(format, dtype, (50, 80))
    draws = drawn(x)
    assert_well_formed(draws, x.type)
    found = np.bincount(draws.toarray().astype(int).ravel(), minlength=7)
    expected = stats.binom(6, 0.1).pmf(range(7)) * 4000
    assert stats.chisquare([*found[:3], found[3:].sum()], [*expected[:3], expected[3:].sum()]).pvalue > 1e-3


def test_types():
    x = ss.csc_matrix(dtype="int16", shape=(3, None), index_dtype="int64")
    assert ss.poisson(x).type == x.type
    p = ss.csc_matrix(dtype="float32", shape=(3, None), index_dtype="int64")
    assert ss.multinomial(1, p).type == p.type
    n = pt.lscalar()
    assert ss.csr_dbinomial(1, 0.5, (3, n)).type.shape == (3, None)
    assert ss.csr_dbinomial(1, 0.5, pt.lvector()).type.shape == (None, None)
    assert ss.csr_dbinomial(1, 0.5, np.array([3, 4])).type.shape == (3, 4)
    wide = ss.Binomial("csr", "int8", "int64")(1, 0.5, (3, 2**40))
    assert (wide.type.index_dtype, wide.type.shape) == ("int64", (3, 2**40))
    assert ss.csr_dbinomial(1, 0.5, (3, 4), name="draws").name == "draws"


@quick_modes
def test_no_more_memory_than_entries(mode):
    draws = ss.csr_dbinomial(2, 1e-9, (10**6, 10**6), rng=pt.random.shared_rng(seed=1))
    f = pytensor.function([], draws, mode=mode)
    f()
    tracemalloc.start()
    try:
        value = f()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1500 < value.nnz < 2500
    assert peak < 4e7  # indptr has 4e6 bytes; a dense matrix 8e12


@quick_modes
def test_shapes_need_no_draws(mode):
    rng = pt.random.shared_rng(seed=1)
    x, shape = ss.csr_matrix(), pt.lvector()
    draws = [ss.poisson(x, rng=rng), ss.csc_dbinomial(3, 0.5, shape, rng=rng), ss.multinomial(3, x, rng=rng)]
    f = pytensor.function([x, shape], [n for draw in draws for n in draw.shape], mode=mode)
    assert f(random_sparse("csr", (3, 4), rng=0), [7, 8]) == [3, 4, 7, 8, 3, 4]
    if mode is lowered_mode:
        assert not nodes(f, RandomKernel)


# -- generators -------------------------------------------------------------------------------------------------

MEANS = sp.csr_array([[1e6, 0, 2e6], [0, 3e6, 0]])


@quick_modes
def test_short_forms_differ_from_call_to_call_and_from_each_other(mode):
    p = MEANS / sp.csr_array(MEANS.sum(1)[:, None] * np.ones(3)).multiply(MEANS != 0).max()
    p.data[:] = 0.5, 0.5, 1
    draws = [
        ss.poisson(MEANS),
        ss.poisson(MEANS),
        ss.csr_fbinomial(10**6, 0.5, (2, 3)),
        ss.multinomial(10**6, p),
        ss.Poisson()(MEANS),
        ss.Multinomial()(10**6, p),
    ]
    f = pytensor.function([], draws, mode=mode)
    first, second = f(), f()
    for a, b in zip(first, second, strict=True):
        assert (a != b).nnz
    assert (first[0] != first[1]).nnz
    next_rng, draw = ss.poisson(MEANS, return_next_rng=True)
    assert draw.owner.outputs == [next_rng, draw]


@quick_modes
def test_a_generator_that_is_not_updated_repeats_itself(mode):
    rng = pt.random.shared_rng(seed=1)
    f = pytensor.function([], ss.poisson(MEANS, rng=rng), mode=mode)
    assert_identical(f(), f())


@quick_modes
def test_draws_from_one_generator_are_equal_and_from_two_are_not(mode):
    one, other = pt.random.shared_rng(seed=1), pt.random.shared_rng(seed=2)
    draws = [ss.poisson(MEANS, rng=r) for r in (one, one, other)]
    f = pytensor.function([], [*draws, (draws[0] - draws[1]).sum()], mode=mode)
    a, b, c, difference = f()
    assert_identical(a, b)
    assert difference == 0
    assert (a != c).nnz
    if mode is lowered_mode:
        assert len(nodes(f, RandomKernel)) == 2


def test_a_given_generator_is_advanced_only_if_it_may_be():
    rng = pt.random.rng()
    next_rng, draws = ss.poisson(MEANS, rng=rng, return_next_rng=True)
    kept = pytensor.function([rng], [next_rng, draws], mode=lowered_mode)
    used = pytensor.function([pytensor.In(rng, mutable=True)], [next_rng, draws], mode=lowered_mode)
    value = np.random.default_rng(3)
    for _ in range(2):
        new, draw = kept(value)
        assert new is not value
        assert value.bit_generator.state == np.random.default_rng(3).bit_generator.state
    same, again = used(value)
    assert same is value
    assert value.bit_generator.state == new.bit_generator.state
    assert_identical(draw, again)


def test_a_generator_with_two_readers_is_advanced_for_neither_of_them():
    rng = pt.random.rng()
    draws = [ss.poisson(MEANS, rng=rng), ss.csr_dbinomial(10**6, 0.5, (2, 2), rng=rng)]
    noise = pt.random.normal(size=3, rng=rng, return_next_rng=True)[1]
    expected = pytensor.function([rng], [*draws, noise], mode=reference_mode)(np.random.default_rng(3))
    f = pytensor.function([pytensor.In(rng, mutable=True)], [*draws, noise], mode=lowered_mode)
    for a, b in zip(f(np.random.default_rng(3)), expected, strict=True):
        assert_identical(a, b)


def test_a_shared_generator_is_updated_in_place():
    rng = pt.random.shared_rng(seed=1)
    next_rng, draws = ss.poisson(MEANS, rng=rng, return_next_rng=True)
    assert draws.owner.op.update(draws.owner) == {rng: next_rng}
    f = pytensor.function([], draws, updates={rng: next_rng}, mode=lowered_mode)
    assert [node.op.inplace for node in nodes(f, RandomKernel)] == [True]
    assert (f() != f()).nnz


@quick_modes
def test_draws_mix_with_those_of_pytensor(mode):
    rng = pt.random.shared_rng(seed=1)
    after, draws = ss.poisson(MEANS, rng=rng, return_next_rng=True)
    values, *pattern = ss.csm_properties(draws)
    after, noise = pt.random.normal(size=values.shape, rng=after, return_next_rng=True)
    f = pytensor.function([], [draws, ss.CSR(noise, *pattern)], updates={rng: after}, mode=mode)
    draws, noise = f()
    np.testing.assert_array_equal(draws.indices, noise.indices)
    assert len(np.unique([*noise.data, *f()[1].data])) == 6


@quick_modes
def test_draws_in_a_loop(mode):
    rng = pt.random.shared_rng(seed=1)

    def step(rng):
        next_rng, draws = ss.csr_dbinomial(10**6, 0.5, (2, 2), rng=rng, return_next_rng=True)
        return [next_rng, draws.values]

    last, many = pytensor.scan(step, outputs_info=[rng, None], n_steps=3, return_updates=False)
    unrolled = []
    for _ in range(3):
        rng, values = step(rng)
        unrolled.append(values)
    looped, a, expected, b = pytensor.function([], [many, last, pt.stack(unrolled), rng], mode=mode)()
    np.testing.assert_array_equal(looped, expected)
    assert a.bit_generator.state == b.bit_generator.state


@quick_modes
def test_a_draw_that_nobody_reads_does_not_advance_its_generator(mode):
    """PyTensor's rule for its own random variables."""
    rng = pt.random.shared_rng(seed=1)
    next_rng, first = ss.poisson(MEANS, rng=rng, return_next_rng=True)
    second = ss.poisson(MEANS, rng=next_rng)
    assert_identical(drawn(second, mode), drawn(first, mode))
    a, b = pytensor.function([], [first, second], mode=mode)()
    assert (a != b).nnz


@pytest.mark.parametrize("rng", [np.random.default_rng(1), 3, pt.scalar()])
def test_a_generator_must_be_symbolic(rng):
    for draw in (
        lambda: ss.poisson(MEANS, rng=rng),
        lambda: ss.csr_dbinomial(1, 0.5, (2, 3), rng=rng),
        lambda: ss.multinomial(1, MEANS, rng=rng),
    ):
        with pytest.raises(TypeError, match=r"rng must be a symbolic random generator.*shared_rng"):
            draw()


# -- derivatives ------------------------------------------------------------------------------------------------


def test_gradients_pass_by_the_draws():
    w, rng = pt.vector("w"), pt.random.shared_rng(seed=1)
    draws = ss.poisson(MEANS, rng=rng)
    loss = ((draws @ w) ** 2).sum()
    g, value = pytensor.function([w], [pytensor.grad(loss, w), draws], mode=lowered_mode)(np.ones(3))
    np.testing.assert_allclose(g, 2 * value.T @ (value @ np.ones(3)))
    (on_draws,) = pytensor.function([w], [pytensor.grad(loss, draws)], mode=lowered_mode)(np.ones(3))
    np.testing.assert_allclose(on_draws.toarray(), (value != 0).toarray() * (2 * value.sum(1))[:, None])


def test_there_is_no_gradient_of_the_parameters():
    x, p, shape, n = ss.csr_matrix("x"), pt.scalar("p"), pt.lvector("shape"), pt.lscalar("n")
    binomial = ss.csr_dbinomial(n, p, shape).sum()
    for cost, wrt in (
        (ss.poisson(x).sum(), x),
        (ss.multinomial(n, x).sum(), x),
        (binomial, p),
        (binomial, n),
    ):
        with pytest.raises(NullTypeGradError, match=r"(?s)Random draws have no gradient"):
            pytensor.grad(cost, wrt)
    with pytest.raises(DisconnectedInputError):
        pytensor.grad(binomial, shape)


def test_forward_mode():
    values, w, t = pt.vector("values"), pt.vector("w"), pt.vector("t")
    means = ss.CSR(values, MEANS.indices, MEANS.indptr, np.array(MEANS.shape))
    product = ss.poisson(means, rng=pt.random.shared_rng(seed=1)) @ w
    moved = pytensor.gradient.pushforward(product, w, t, use_op_pushforward=True)
    f = pytensor.function([values, w, t], [moved, product], mode=lowered_mode, on_unused_input="ignore")
    np.testing.assert_allclose(*f(MEANS.data, np.ones(3), np.ones(3)))
    constant = pytensor.gradient.pushforward(product, values, t, use_op_pushforward=True)
    assert not constant.eval({values: MEANS.data, w: np.ones(3)}, mode=lowered_mode).any()


# -- errors -----------------------------------------------------------------------------------------------------


@quick_modes
def test_run_time_errors(mode):
    x, p, n, q = ss.csr_matrix(), ss.csc_matrix(), pt.lvector(), pt.scalar()
    shape, k = pt.lvector(), pt.lscalar()
    poisson = pytensor.function([x], ss.poisson(x), mode=mode)
    small = ss.csr_matrix(dtype="int8")
    narrow = pytensor.function([small], ss.poisson(small), mode=mode)
    multinomial = pytensor.function([n, p], ss.multinomial(n, p), mode=mode)
    binomial = pytensor.function([k, q, shape], ss.Binomial("csc", "int8")(k, q, shape), mode=mode)
    for f, args, match in (
        (poisson, [-MEANS], "poisson: a mean is negative"),
        (poisson, [MEANS * np.nan], "poisson: a mean is negative or NaN"),
        (poisson, [MEANS * 1e300], "poisson: a mean is infinite or too large"),
        (
            narrow,
            [sp.csr_array(np.full((9, 9), 127, "int8"))],
            r"poisson: a draw does not fit .*: \d+ is above 127",
        ),
        (multinomial, [[1, 1], MEANS], "multinomial: the probabilities of row 0 do not sum to 1"),
        (multinomial, [[1, -1], sp.csc_array(np.eye(2))], "multinomial: n is negative"),
        (
            multinomial,
            [[1], sp.csc_array(np.eye(2))],
            "multinomial: n and the probabilities have different numbers of rows",
        ),
        (binomial, [-1, 0.5, [2, 2]], "binomial: n is negative"),
        (binomial, [1, 1.5, [2, 2]], "binomial: n is negative, or p is not a probability"),
        (binomial, [1, 0.5, [2, -2]], "binomial: the shape is negative"),
        (binomial, [1, 0.5, [2, 2, 2]], "binomial: shape must have two elements"),
        (binomial, [1, 0.0, [2, 2**31]], "binomial: the matrix is too large for its indices: .*2147483648"),
        (
            binomial,
            [1, 1.0, [2**17, 2**17]],
            r"binomial: the matrix is too large .* 131072 .*, 1.71799e\+10 entries",
        ),
        (binomial, [128, 0.5, [2, 2]], "binomial: n does not fit the dtype"),
    ):
        with pytest.raises(ValueError, match=match):
            f(*args)


def test_errors_where_the_graph_is_written():
    x = ss.csr_matrix()
    for build, kind, match in (
        (lambda: ss.poisson(pt.matrix()), TypeError, "poisson: needs a sparse matrix"),
        (lambda: ss.poisson(x.astype("complex64")), TypeError, "poisson: means cannot be complex64"),
        (lambda: ss.poisson(x.astype("bool")), TypeError, "poisson: means cannot be bool"),
        (lambda: ss.csr_dbinomial(1.5, 0.1, (2, 3)), TypeError, "binomial: n must be an integer"),
        (lambda: ss.csr_dbinomial([1], 0.1, (2, 3)), TypeError, "binomial: a dense operand must be 0-D"),
        (lambda: ss.csr_dbinomial(1, [0.1], (2, 3)), TypeError, "binomial: a dense operand must be 0-D"),
        (lambda: ss.csr_dbinomial(1, 0.1j, (2, 3)), TypeError, "binomial: p must be real"),
        (lambda: ss.csr_dbinomial(1, 0.1, 5), TypeError, "binomial: a dense operand must be 1-D"),
        (lambda: ss.csr_dbinomial(1, 0.1, (2.5, 3)), TypeError, "binomial: a size must be an integer"),
        (lambda: ss.csr_dbinomial(1, 0.1, (2, 3, 4)), ValueError, "binomial: the shape must have two"),
        (lambda: ss.csr_dbinomial(1, 0.1, np.ones(2)), TypeError, "binomial: the shape must be an integer"),
        (lambda: ss.csr_dbinomial(1, 0.1, (2, 2**31)), ValueError, "index_dtype='int64'"),
        (lambda: ss.multinomial(1.0, x), TypeError, "multinomial: n must be an integer"),
        (lambda: ss.multinomial(1, x.astype("int64")), TypeError, "probabilities must be floats"),
        (lambda: ss.multinomial([1, 2], sp.eye_array(3).tocsr()), ValueError, "one n, or one for each row"),
        (lambda: ss.Binomial("coo", "float64"), ValueError, "unsupported format"),
        (lambda: ss.Binomial("csr", "bool"), TypeError, "unsupported dtype"),
        (lambda: ss.Binomial("csr", "float64", "int8"), TypeError, "unsupported index dtype"),
    ):
        with pytest.raises(kind, match=match):
            build()


def test_nothing_is_folded():
    """A draw from a constant generator is no constant of the graph, and does not advance that constant."""
    draws = ss.poisson(MEANS, rng=pt.random.default_rng(3))
    f = pytensor.function([], draws, mode=lowered_mode)
    (draw,) = nodes(f, RandomKernel)
    assert isinstance(draw.inputs[0], Constant)
    assert_identical(f(), f())
