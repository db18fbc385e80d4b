"""Maximum, minimum, where, extremes, norms: ties, NaN, dtypes, operands that are refused."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg
from pytensor.graph.replace import clone_replace

import symsparse as ss
from symsparse.ops.base import canonical, is_sparse
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

modes = pytest.mark.parametrize("mode", [lowered_mode, reference_mode], ids=["lowered", "reference"])
NAN, INF = np.nan, np.inf


def run(outputs, mode, feed):
    """Values of symbolic outputs, each exactly of its declared type."""
    made = pytensor.function(list(feed), outputs, mode=mode, on_unused_input="ignore")(*feed.values())
    for out, value in zip(outputs, made, strict=True):
        if is_sparse(out):
            assert_well_formed(value, out.type)
        else:
            assert (value.dtype, out.type.ndim) == (out.dtype, value.ndim)
    return made


# -- maximum and minimum ----------------------------------------------------------------------------------------

A = sp.csr_array(np.array([[1.0, 2.0, -3.0, 0.0], [5.0, 0.0, NAN, 0.0], [0.0, INF, -1.0, 4.0]]))
B = sp.csc_array(np.array([[1.0, 3.0, 0.0, -1.0], [NAN, 7.0, 1.0, 0.0], [0.0, 2.0, -INF, 4.0]]))


@pytest.mark.parametrize("mode", [None, lowered_mode, reference_mode], ids=["numba", "lowered", "reference"])
def test_ties_nan_and_unions(mode):
    """The first operand has the whole cotangent of a tie; NaN comes through and has its own cotangent."""
    x, y = ss.csr_matrix("x", dtype="float64"), ss.csc_matrix("y", dtype="float64")
    most, least = ss.maximum(x, y), x.minimum(y)
    weights = np.arange(1.0, 13.0).reshape(3, 4)
    grads = [g for z in (most, least) for g in pytensor.grad((z.toarray() * weights).sum(), [x, y])]
    got = run([most, least, *grads], mode, {x: A, y: B})
    a, b = A.toarray(), B.toarray()
    stored = (a != 0) | (b != 0)
    for value, function in zip(got[:2], (np.maximum, np.minimum), strict=True):
        assert_same_matrix(value, function(a, b))
        np.testing.assert_array_equal(np.asarray(value.astype(bool).toarray() | stored), stored)
        assert value.nnz == stored.sum()  # zeros that result are stored
    for i, first in ((2, (a >= b) | np.isnan(a)), (4, (a <= b) | np.isnan(a))):
        assert_same_matrix(got[i], weights * first * (a != 0))
        assert_same_matrix(got[i + 1], weights * ~first * (b != 0))


@modes
def test_the_pattern_is_the_union_also_of_explicit_zeros(mode):
    a = sp.csr_array((np.zeros(2), ([0, 1], [1, 2])), shape=(2, 3))
    b = sp.csr_array((np.array([-1.0, 2.0]), ([0, 0], [0, 1])), shape=(2, 3))
    x, y = ss.csr_matrix("x"), ss.csr_matrix("y")
    (got,) = run([ss.maximum(x, y)], mode, {x: a, y: b})
    rows, cols = got.tocoo().coords
    assert list(zip(rows, cols, got.data, strict=True)) == [(0, 0, 0), (0, 1, 2), (1, 2, 0)]


@modes
@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("int8", "int8"),
        ("int8", "uint8"),
        ("bool", "bool"),
        ("int64", "float32"),
        ("uint64", "int64"),
        ("float32", "float32"),
    ],
)
def test_dtypes_of_two_matrices(one, two, mode):
    a, b = random_sparse("csr", (4, 5), dtype=one, rng=1), random_sparse("csc", (4, 5), dtype=two, rng=2)
    x, y = ss.csr_matrix("x", one), ss.csc_matrix("y", two)
    z = x.maximum(y)
    grads = pytensor.grad(z.astype("float64").sum(), [x, y])  # of integers: zero
    chosen = [ss.where(y, x), ss.where(y, x, y)]
    got, least, *_, some, either = run([z, ss.minimum(x, y), *grads, *chosen], mode, {x: a, y: b})
    expected = np.maximum(a.toarray(), b.toarray())
    assert got.dtype == least.dtype == expected.dtype
    assert_same_matrix(got, expected)
    assert_same_matrix(least, np.minimum(a.toarray(), b.toarray()))
    holds = b.toarray() != 0
    assert (some.dtype, either.dtype) == (one, expected.dtype)
    assert_same_matrix(some, np.where(holds, a.toarray(), 0))
    assert_same_matrix(either, np.where(holds, a.toarray(), b.toarray()))


@modes
def test_scipy_operands_and_scalars(mode):
    x = ss.csr_matrix("x", dtype="float64")
    value, other = (
        random_sparse("csr", (3, 4), gap=(-1, 1), rng=0),
        random_sparse("csr", (3, 4), rng=1).tocoo(),
    )
    outputs = [x.maximum(other), ss.minimum(other, x), x.maximum(-0.25), ss.minimum(0, x), x.maximum(-INF)]
    outputs += [ss.maximum(x, np.float64(0)), x.minimum(np.array(0.5)), x.minimum(pt.constant(0.5))]
    a, b = value.toarray(), other.toarray()
    expected = [np.maximum(a, b), np.minimum(a, b), np.maximum(a, -0.25), np.minimum(a, 0), a]
    expected += [np.maximum(a, 0), np.minimum(a, 0.5), np.minimum(a, 0.5)]
    for got, want in zip(run(outputs, mode, {x: value}), expected, strict=True):
        assert_same_matrix(got, want)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", "float32", "int64"])
def test_a_number_has_the_dtype_that_numpy_gives_it(dtype):
    x = ss.csr_matrix("x", dtype)
    for number in (0, 2, 2.5, np.float64(2.5), np.int64(3)):
        assert x.minimum(number).dtype == np.minimum(np.ones(1, dtype), number).dtype
    assert ss.where(True, x).dtype == ss.where(True, x, 7).dtype == dtype
    with pytest.raises(OverflowError, match="uint8"):
        ss.csr_matrix("u", "uint8").maximum(-1)


def test_what_would_be_dense_is_refused():
    x = ss.csr_matrix("x", dtype="float32", shape=(None, 3))
    for c in (0.5, pt.scalar("c"), pytensor.shared(-1.0), NAN, np.float32(2)):
        with pytest.raises(TypeError, match=r"structured_maximum\(x, c\)") as e:
            ss.maximum(x, c)
        assert "x.toarray()" in str(e.value)
        assert "(csr, float32, shape=(?, 3))" in str(e.value)
    with pytest.raises(TypeError, match=r"structured_minimum\(x, c\)"):
        ss.minimum(-1, x)
    for dense in (np.ones(3), pt.matrix("d")):
        for operands in ((x, dense), (dense, x)):
            with pytest.raises(TypeError, match=r"pytensor.tensor.maximum\(x.toarray\(\), y\)"):
                ss.maximum(*operands)
    with pytest.raises(TypeError, match="sparse operand"):
        ss.maximum(pt.matrix(), pt.matrix())
    with pytest.raises(TypeError, match="needs a sparse matrix"):
        ss.maximum(1, 2)
    with pytest.raises(ValueError, match="shapes differ"):
        ss.maximum(x, ss.csr_matrix(shape=(None, 4)))
    with pytest.raises(TypeError, match="no order"):
        ss.maximum(x, ss.csr_matrix(dtype="complex64"))


@modes
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_shapes_that_differ_at_run_time(format, mode):
    x, y = ss.matrix(format, "x"), ss.csr_matrix("y")
    for out in (ss.maximum(x, y), ss.where(y, x), ss.where(True, x, y)):
        f = pytensor.function([x, y], out, mode=mode)
        for shape in ((2, 4), (5, 3)):
            with pytest.raises(ValueError, match="shape"):
                f(random_sparse(format, (2, 3), 1.0, rng=0), random_sparse("csr", shape, 1.0, rng=1))


# -- where ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, lowered_mode, reference_mode], ids=["numba", "lowered", "reference"])
def test_the_branch_that_is_not_taken_has_no_influence(mode):
    """Neither in value nor in gradient, first and second."""
    a = sp.csr_array(np.array([[NAN, 2.0, INF, 0.0], [-1.0, 0.0, 0.0, 3.0]]))
    b = sp.csr_array(np.array([[1.0, NAN, 0.0, INF], [0.0, -INF, 4.0, NAN]]))
    condition = np.array([[False, True, False, True], [True, True, False, True]])
    x, y, c, s = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.matrix("c", dtype="bool"), pt.scalar("s")
    both, scalar, alone = ss.where(c, x, y), ss.where(c, x, s), ss.where(c, ss.square(x))
    gx, gy = pytensor.grad(ss.sp_sum(both * 2), [x, y])
    fx, fs = pytensor.grad(ss.sp_sum(scalar * scalar), [x, s])
    hx = pytensor.grad(ss.sp_sum(pytensor.grad(ss.sp_sum(alone), x)), x)
    got = run([both, scalar, alone, gx, gy, fx, fs, hx], mode, {x: a, y: b, c: condition, s: 7.0})
    x_stored, y_stored = a.toarray() != 0, b.toarray() != 0
    finite = np.where(x_stored & condition, a.toarray(), 0)
    expected = [
        np.where(condition, a.toarray(), b.toarray()),
        np.where(x_stored & ~condition, 7.0, finite),
        finite**2,
        2.0 * (x_stored & condition),
        2.0 * (y_stored & ~condition),
        2 * finite,
        np.array(14.0 * (x_stored & ~condition).sum()),
        2.0 * (x_stored & condition),
    ]
    for value, want in zip(got, expected, strict=True):
        assert_same_matrix(value, want)
    assert got[1].nnz == a.nnz


@modes
def test_conditions_of_any_kind(mode):
    """Not zero is true, NaN too; a sparse condition is false where it stores nothing, duplicates count as their sum."""
    value = random_sparse("csc", (3, 4), 0.8, gap=(-1, 1), rng=0, duplicates=True, unsorted_indices=True)
    x = ss.csc_matrix("x", dtype="float64")
    twice = sp.csr_array(
        (np.array([1.0, -1.0, NAN]), np.array([1, 1, 2]), np.array([0, 2, 3, 3])), shape=(3, 4)
    )
    dense = np.array([[0, 2, NAN, 0.0], [0, 0, 1, 1], [1, 0, 0, 1]])
    row = dense[1] != 0
    conditions = [
        twice,
        dense,
        (dense != 0).astype("int8"),
        row,
        row[None],
        row[:3, None],
        True,
        False,
        [0, 1, 0, 1],
    ]
    conditions += [
        sp.coo_array(dense).astype("complex64"),
        x > 0,
        pt.constant(row),
        sp.csr_array(row[None].repeat(3, 0)),
    ]
    with np.errstate(invalid="ignore"):
        got = run([z for c in conditions for z in (ss.where(c, x), ss.where(c, x, -x))], mode, {x: value})
    a = value.toarray()
    for i, c in enumerate(conditions):
        c = a > 0 if i == 10 else row if i == 11 else c
        holds = np.broadcast_to((c.toarray() if sp.issparse(c) else np.asarray(c)) != 0, a.shape)
        assert_same_matrix(got[2 * i], np.where(holds, a, 0))
        assert_same_matrix(got[2 * i + 1], np.where(holds, a, -a))
        assert got[2 * i].nnz == got[2 * i + 1].nnz == canonical(value).nnz


def test_operands_of_where_that_are_refused():
    x = ss.csr_matrix("x", shape=(2, 3))
    with pytest.raises(TypeError, match="needs a sparse matrix"):
        ss.where(x, pt.matrix(), x)
    with pytest.raises(TypeError, match="y must be a scalar or sparse"):
        ss.where(True, x, pt.vector())
    for condition in (np.ones(2, bool), np.ones((3, 3), bool), ss.csr_matrix(shape=(2, 4))):
        with pytest.raises(ValueError, match="shapes"):
            ss.where(condition, x)
    with pytest.raises(ValueError, match="shapes"):
        ss.where(True, x, ss.csr_matrix(shape=(3, 3)))


@modes
def test_a_condition_of_the_wrong_size_at_run_time(mode):
    x, c = ss.csr_matrix("x"), pt.vector("c", dtype="bool")
    f = pytensor.function([x, c], ss.where(c, x), mode=mode)
    for n in (1, 2, 4):
        with pytest.raises(ValueError):  # noqa: PT011 - in reference mode the message is PyTensor's
            f(random_sparse("csr", (2, 3), 1.0, rng=0), np.ones(n, bool))


@modes
def test_gradient_through_a_comparison(mode):
    """Comparisons have gradient zero: ``x * (x > 0)`` is a relu."""
    x = ss.csr_matrix("x", dtype="float64")
    value = random_sparse("csr", (4, 5), gap=(-1, 1), explicit_zero=True, rng=0)
    relus = [x * (x > 0), ss.where(x > 0, x), x.maximum(0)]
    got = run([*relus, *(pytensor.grad(ss.sp_sum(z * 3), x) for z in relus[:2])], mode, {x: value})
    a = value.toarray()
    for z in got[:3]:
        assert_same_matrix(z, np.maximum(a, 0))
    for g in got[3:]:
        assert_same_matrix(g, 3.0 * (a > 0))


# -- extremes, mean, trace, norm --------------------------------------------------------------------------------


@modes
def test_entries_that_tie_all_get_the_cotangent(mode):
    a = np.array([[2.0, -1.0, 0.0], [2.0, -1.0, 2.0], [1.0, -3.0, NAN]])
    x, d = ss.csc_matrix("x", dtype="float64"), pt.dmatrix("d")
    pairs = [
        (f(x, axis), f(d, axis=axis)) for f in (lambda m, axis: m.max(axis=axis),) for axis in (None, 0, 1)
    ]
    pairs += [(x.min(axis), d.min(axis=axis)) for axis in (None, 0, 1)]
    outputs = [z for pair in pairs for z in pair]
    outputs += [pytensor.grad(z.sum(), v) for pair in pairs for z, v in zip(pair, (x, d), strict=True)]
    got = run(outputs, mode, {x: sp.csc_array(a), d: a})
    for i in range(0, len(pairs) * 2, 2):
        np.testing.assert_array_equal(got[i], got[i + 1])
    for i in range(len(pairs) * 2, len(got), 2):
        assert_same_matrix(got[i], got[i + 1] * (a != 0))


def test_reductions_of_every_dtype():
    rng = np.random.default_rng(0)
    for dtype in ("bool", "int8", "uint8", "int64", "float32", "float64"):
        x = ss.csr_matrix("x", dtype)
        value = random_sparse(
            "csr", (4, 3), 0.7, dtype=dtype, duplicates=dtype != "bool", gap=(0, 40), rng=rng
        )
        a = value.toarray()
        names = ("max", "min", "mean")
        outputs = [getattr(x, name)(axis) for name in names for axis in (None, 0, -1)]
        outputs += [getattr(x, name)(axis, keepdims=True) for name in names[:2] for axis in (None, 0, 1)]
        outputs += [
            x.trace(),
            x.norm(),
            x.norm(axis=1),
            ss.sp_mean(x, 0, dtype="float32"),
            x.mean(1, keepdims=True),
        ]
        expected = [getattr(a, name)(axis) for name in names for axis in (None, 0, -1)]
        expected += [getattr(a, name)(axis, keepdims=True) for name in names[:2] for axis in (None, 0, 1)]
        wide = a if dtype == "float32" else a.astype("float64")
        expected += [a.trace(), np.sqrt((wide**2).sum()), np.sqrt((wide**2).sum(1)), a.mean(0, "float32")]
        expected += [a.mean(1, keepdims=True)]
        for mode in (lowered_mode, reference_mode):
            for got, want in zip(run(outputs, mode, {x: value}), expected, strict=True):
                assert got.dtype == want.dtype
                np.testing.assert_allclose(got, want, rtol=1e-6, strict=True)


ORDERS = [(o, None) for o in (None, "fro", 1, -1, INF, -INF)]
ORDERS += [(o, axis) for o in (None, 2, 1, INF, -INF) for axis in (0, 1, -1, -2)]


@pytest.mark.parametrize("dtype", ["float64", "complex64", "int8"])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_norms_are_scipys(format, dtype):
    x = ss.matrix(format, "x", dtype)
    value = random_sparse(
        format, (4, 6), dtype=dtype, duplicates=True, explicit_zero=True, gap=(0, 30), rng=0
    )
    outputs = [x.norm(o, axis) for o, axis in ORDERS]
    wide = value.astype("float64") if dtype == "int8" else value
    wide.sum_duplicates()
    assert {z.dtype for z in outputs} == {"float32" if dtype == "complex64" else "float64"}
    for mode in (lowered_mode, reference_mode):
        for got, (o, axis) in zip(run(outputs, mode, {x: value}), ORDERS, strict=True):
            want = scipy.sparse.linalg.norm(wide, o, axis)
            np.testing.assert_allclose(got, want, rtol=1e-5, err_msg=f"{o}, {axis}")
    for o, axis in ((2, None), (3, 0), ("fro", 0), (-1, 1), ("nuc", None)):
        with pytest.raises(ValueError, match="norm: ord"):
            x.norm(o, axis)
    for axis in (2, -3, (0, 1, 1)):
        for reduce in (x.norm, x.max, x.min):
            with pytest.raises(ValueError, match="axis"):
                reduce(axis=axis)


@modes
def test_norms_have_gradient_zero_where_they_are_zero(mode):
    """First and second derivatives; NaN is no zero."""
    x = ss.csr_matrix("x", dtype="float64")
    value = sp.csr_array((np.array([3.0, 0.0, 4.0]), np.array([0, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    zero, broken = value * 0, value.copy()
    broken.data[0] = NAN
    outputs, losses = [], []
    for o, axis in ORDERS[:5] + ORDERS[6:14]:
        loss = x.norm(o, axis).sum()
        g = pytensor.grad(loss, x)
        losses.append(loss)
        outputs += [g, pytensor.grad(ss.sp_sum(g * g), x)]
    for a in (value, zero):
        for got in run([*losses, *outputs], mode, {x: a}):
            assert np.isfinite(got.data if sp.issparse(got) else got).all()
    assert np.isnan(run(losses, mode, {x: broken})).all()
    assert_same_matrix(run(outputs, mode, {x: value})[0], value.toarray() / 5)


@modes
def test_trace_need_not_be_square(mode):
    x = ss.csr_matrix("x", dtype="float64")
    got, g = run(
        [ss.trace(x), pytensor.grad(x.trace(), x)], mode, {x: sp.csr_array([[1.0, 2.0, 3.0], [0, 4, 5]])}
    )
    assert got == 5
    assert_same_matrix(g, np.eye(2, 3))


def test_complex_numbers_have_no_extreme():
    for reduce in (ss.sp_max, ss.sp_min):
        with pytest.raises(TypeError, match="no order"):
            reduce(ss.csr_matrix("z", dtype="complex128"))


# -- rows with a row-sparse gradient ----------------------------------------------------------------------------


ROWS = np.array([4, 1, -1, 1])


@modes
def test_rows_with_a_sparse_gradient(mode):
    rng = np.random.default_rng(0)
    value, weight = rng.uniform(size=(6, 3)), rng.uniform(size=(4, 3))
    m, rows, w, t = pt.dmatrix("m"), pt.lvector("rows"), pt.dmatrix("w"), pt.dmatrix("t")
    picked = ss.sparse_grad(m[rows])
    losses = [(f(picked) * w).sum() for f in (lambda p: p, pt.sin)]
    losses += [losses[1] + (ss.sparse_grad(m[rows[:2]]) ** 2).sum(), losses[1] + (m**2).sum()]
    plain = [clone_replace(loss, {picked: m[rows]}) for loss in losses]
    gradients = [pytensor.grad(loss, m) for loss in losses]
    assert [is_sparse(g) for g in gradients] == [True, True, True, False]
    through = pytensor.grad((ss.sparse_grad(pt.tanh(m)[rows]) * w).sum(), m)  # m is made by an op there
    assert not is_sparse(through)
    second = pytensor.grad((pytensor.grad(losses[1], m) * t).sum(), m)
    forward = pytensor.gradient.pushforward(losses[1], m, t, use_op_pushforward=True)
    step = m - 0.1 * gradients[1]
    got = run(
        [picked, *gradients, through, second.toarray(), forward, step],
        mode,
        {m: value, rows: ROWS, w: weight, t: value},
    )
    dense = [pytensor.grad(loss, m) for loss in plain]
    expected = [
        m[rows],
        *dense,
        pytensor.grad((pt.tanh(m)[rows] * w).sum(), m),
        pytensor.grad((dense[1] * t).sum(), m),
        (dense[1] * t).sum(),
        m - 0.1 * dense[1],
    ]
    want = pytensor.function([m, rows, w, t], expected, mode=lowered_mode, on_unused_input="ignore")
    for a, b in zip(got, want(value, ROWS, weight, value), strict=True):
        assert_same_matrix(a, b)
    assert type(got[1]) is sp.csc_array
    assert got[1].nnz <= ROWS.size * 3


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", "int32"])
def test_indices_of_any_dtype(dtype):
    """An int8 index must not overflow when rows are counted from the end."""
    m = pytensor.shared(np.zeros((300, 2)))
    index = np.array([3, 100, 3] if dtype.startswith("u") else [3, -100, 3], dtype)
    g = pytensor.grad(ss.sparse_grad(m[index, :]).sum(), m)
    for mode in (lowered_mode, reference_mode):
        got = pytensor.function([], g, mode=mode)().toarray()
        assert sorted(got[:, 0].nonzero()[0]) == [3, 100 if dtype.startswith("u") else 200]
        assert got[3, 0] == 2


def test_sparse_grad_takes_rows_by_a_vector_and_nothing_else():
    m, v, i = pt.matrix("m"), pt.vector("v"), pt.lvector("i")
    others = [
        m,
        m[0],
        m[:2],
        v[i],
        m[:, i],
        m[pt.lmatrix()],
        m[i, i],
        m[pt.bvector() > 0],
        pt.tensor3()[i],
        3,
        None,
    ]
    for other in [*others, np.ones((2, 2)), ss.csr_matrix("x")[[0]]]:
        with pytest.raises(TypeError, match=r"sparse_grad: takes m\[index\]"):
            ss.sparse_grad(other)
    assert ss.sparse_grad(m[i]).type == m[i].type
    assert ss.sparse_grad(pt.take(m, i, axis=0)).type == m[i].type
