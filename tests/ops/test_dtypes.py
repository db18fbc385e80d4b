"""Dtypes, index dtypes, NaN and random patterns: the declared type is the produced one, in both modes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from hypothesis import given, settings, strategies as st

import symsparse as ss
from symsparse.ops.base import is_sparse
from symsparse.testing import assert_same_matrix, assert_well_formed, matrices, random_sparse, reference_mode

RNG = np.random.default_rng(0)
DENSE = RNG.uniform(0, 3, (4, 5))


def both_modes(inputs, outputs, values):
    """Results of the numba and of the reference mode, checked against the declared types and each other."""
    results = []
    for mode in (None, reference_mode):
        results.append(pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")(*values))
    for out, *got in zip(outputs, *results, strict=True):
        for value in got:
            if is_sparse(out):
                assert_well_formed(value, out.type)
            else:
                assert value.dtype == out.dtype, out
        single = np.dtype(out.dtype).itemsize <= (8 if out.dtype.startswith("complex") else 4)
        assert_same_matrix(got[0], got[1], **({"rtol": 1e-4, "atol": 1e-4} if single else {}))
    return results[0]


def expressions(x, y, d, v):
    """One of each family; y is a second sparse matrix, d dense, v a vector."""
    made = [
        x + y,
        x * y,
        x * v,
        x.T @ y,
        x @ d.T,
        ss.dot(x, v),
        x.sum(),
        x.sum(axis=0),
        x.sum(axis=1),
        x.toarray(),
    ]
    made += [ss.col_scale(x, v), ss.add(x, d), x[[1, 1]], x.tocsc(), ss.sampling_dot(d[:, :2], d.T[:, :2], x)]
    made += [
        ss.eq(x, y),
        ss.lt(x, d),
        ss.sp_ones_like(x),
        ss.sp_zeros_like(x),
        ss.structured_abs(x),
        ss.true_dot(x, y.T),
    ]
    return made


DTYPES = ["bool", "int8", "uint8", "int64", "float32", "complex64", "complex128"]
SOON = [("bool", "int8"), ("int64", "int8"), ("int8", "float32"), ("complex64", "float32")]


@pytest.mark.parametrize(
    ("dtype", "other"),
    [(dtype, "float64") for dtype in DTYPES]
    + SOON
    + [
        pytest.param(dtype, other, marks=pytest.mark.slow)
        for other in ("float32", "int8")
        for dtype in DTYPES
        if (dtype, other) not in SOON
    ],
)
def test_mixed_dtypes(dtype, other):
    if dtype == "bool" and other == "float32":
        other = "bool"
    x, y = ss.csr_matrix("x", dtype=dtype), ss.csr_matrix("y", dtype=other)
    d, v = pt.matrix(dtype=other), pt.vector(dtype=other)
    values = [
        random_sparse("csr", (4, 5), dtype=dtype, rng=1),
        random_sparse("csr", (4, 5), dtype=other, rng=2),
        DENSE.astype(other),
        DENSE[0].astype(other),
    ]
    outputs = expressions(x, y, d, v)
    if dtype.startswith("complex"):
        outputs = [out for out in outputs if out.dtype != "uint8"]  # complex numbers have no order
    got = both_modes([x, y, d, v], outputs, values)
    a, b = values[0].toarray(), values[1].toarray()
    common = pytensor.scalar.upcast(dtype, other)
    assert got[0].dtype == common
    assert_same_matrix(got[0], a.astype(common) + b.astype(common), rtol=1e-5)
    assert_same_matrix(got[1], a.astype(common) * b.astype(common), rtol=1e-5)
    assert_same_matrix(got[6], a.sum(), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "float32", "complex64"])
def test_structured_functions_keep_pytensors_dtypes(dtype):
    x = ss.csr_matrix("x", dtype=dtype)
    value = random_sparse("csr", (4, 5), dtype=dtype, rng=1, gap=(1, 3))
    outputs = [
        ss.structured_exp(x),
        ss.sqrt(x),
        ss.square(x),
        ss.structured_pow(x, 2),
        ss.structured_add(x, 1),
    ]
    outputs += [ss.rad2deg(x), -x, ss.conj(x)]
    for out, dense in zip(outputs[:3], [pt.exp, pt.sqrt, pt.sqr], strict=True):
        assert out.dtype == dense(pt.vector(dtype=dtype)).dtype
    both_modes([x], outputs, [value])


def test_integer_sums_widen_and_say_so():
    x = ss.csr_matrix("x", dtype="int8")
    value = sp.csr_array(np.full((2, 3), 100, dtype="int8"))
    total, columns = both_modes([x], [x.sum(), x.sum(axis=0)], [value])
    assert total == 600
    assert total.dtype == "int64"
    np.testing.assert_array_equal(columns, [200] * 3)
    assert ss.csr_matrix("u", dtype="uint8").sum().dtype == "uint64"


@pytest.mark.parametrize("wide", [(True, True), (True, False), (False, True)])
def test_int64_indices(wide):
    types = ["int64" if w else "int32" for w in wide]
    x, y = (ss.csr_matrix(dtype="float64", index_dtype=t) for t in types)
    values = [random_sparse("csr", (4, 5), rng=i, index_dtype=t) for i, t in enumerate(types)]
    d = pt.matrix()
    outputs = [
        x + y,
        x * y,
        x.T @ y,
        x @ d.T,
        x.tocsc(),
        x[[0, 2]],
        ss.sample(y, x),
        ss.tanh(x),
        x.sum(axis=0),
        -y,
    ]
    got = both_modes([x, y, d], outputs, [*values, DENSE])
    assert got[0].indices.dtype == "int64"
    assert_same_matrix(got[0], values[0] + values[1])
    assert_same_matrix(got[2], values[0].T @ values[1])


def test_indices_that_fit_are_brought_to_int32_and_others_refused():
    value = random_sparse("csr", (4, 5), rng=0, index_dtype="int64")
    f = pytensor.function([x := ss.csr_matrix()], x * 2)
    assert f(value).indices.dtype == "int32"
    huge = sp.csc_array((np.ones(1), [0], [0, 1]), shape=(2**40, 1))
    with pytest.raises(TypeError, match="index_dtype='int64'"):
        pytensor.function([y := ss.csc_matrix()], y * 2)(huge)
    big = ss.csc_matrix(index_dtype="int64")
    np.testing.assert_allclose(pytensor.function([big], (big * 2).sum())(huge), 2)


def test_nan_and_infinity_at_stored_positions():
    value = sp.csr_array(np.array([[np.nan, 0, 1], [np.inf, 2, 0]]))
    x, y = ss.csr_matrix(dtype="float64"), ss.csc_matrix(dtype="float64")
    with np.errstate(all="ignore"):
        both_modes(
            [x, y],
            [
                x + y,
                x * y,
                x @ y.T,
                x * 2,
                ss.remove0(x),
                ss.tanh(x),
                x.sum(axis=1),
                ss.csr_from_dense(x.toarray()),
            ],
            [value, value.tocsc()],
        )


def test_dense_operands_in_any_memory_order():
    x, d, v = ss.csc_matrix(dtype="float64"), pt.matrix(), pt.vector()
    outputs = [x @ d, ss.dot(d.T, x.T), x + d[:4, :4], x * d[:4, :4], x @ v, ss.sampling_dot(d, d, x)]
    value = random_sparse("csc", (4, 4), rng=1)
    big = RNG.uniform(size=(8, 12))
    answers = []
    for dense in (
        big[::2, ::2],
        np.asfortranarray(big[::2, ::2]),
        big[::2, ::2].copy(),
        big[::2, ::2][:, ::1],
    ):
        answers.append(both_modes([x, d, v], outputs, [value, dense[:4], big[0, :8:2]]))
    for got in answers[1:]:
        for a, b in zip(got, answers[0], strict=True):
            assert_same_matrix(a, b)


_X, _Y = ss.csr_matrix("x", dtype="float64"), ss.csc_matrix("y", dtype="float64")
_PAIR = None


def pair_function():
    global _PAIR
    if _PAIR is None:
        outputs = [
            _X + _Y,
            _X * _Y,
            _X.T @ _Y,
            ss.sample(_Y, _X),
            ss.clean(_X),
            ss.square(_X),
            _X.tocsc(),
            _X.sum(axis=0),
        ]
        _PAIR = pytensor.function([_X, _Y], outputs)
    return _PAIR


@settings(max_examples=60)
@given(data=st.data())
def test_any_pair_of_matrices(data):
    """Random patterns, unsorted and with duplicates and zeros, of any shape, against dense NumPy."""
    x = data.draw(matrices(["csr"]))
    y = data.draw(matrices(["csc"]))
    if x.shape != y.shape:
        with pytest.raises(ValueError, match=r"shape|size"):
            pair_function()(x, y)
        y = random_sparse("csc", x.shape, rng=x.nnz)
    a, b = x.toarray(), y.toarray()
    stored = np.zeros(x.shape, bool)
    stored[x.tocoo().coords] = True
    answers = [a + b, a * b, a.T @ b, b * stored, a, a**2, a, a.sum(0)]
    for got, answer in zip(pair_function()(x, y), answers, strict=True):
        assert_same_matrix(got, answer, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("format", ["csr", "csc"])
@pytest.mark.parametrize(
    "op",
    [ss.add, ss.mul, ss.lt, ss.eq, ss.sample, lambda x, y: x @ y, lambda x, y: ss.sp_sum(x + y, axis=0)],
    ids=["add", "mul", "lt", "eq", "sample", "matmul", "sum"],
)
def test_shapes_that_differ_at_run_time_are_an_error(op, format):
    """The kernels cannot see all of it: (2, 3) and (2, 4) have equally many rows."""
    x, y = ss.matrix(format, "x"), ss.csr_matrix("y")
    f = pytensor.function([x, y], op(x, y))
    for shape in ((2, 4), (5, 3)):
        with pytest.raises(ValueError, match=r"shape|size|operand"):
            f(random_sparse(format, (2, 3), 1.0, rng=0), random_sparse("csr", shape, 1.0, rng=1))


def test_indices_out_of_range_are_never_wrapped_into_legal_ones():
    with pytest.raises(ValueError, match="outside"):
        pytensor.function(
            [], ss.CSM("csr")(np.ones(1), np.array([2**32]), np.array([0, 1]), np.array([1, 3]))
        )()
    rows, places = pt.dmatrix(), pt.lvector()
    f = pytensor.function([rows, places], ss.construct_sparse_from_list(pt.zeros((3, 2)), rows, places))
    for place in (2**32 + 1, 3, -1):
        with pytest.raises(ValueError, match="outside"):
            f(np.ones((1, 2)), np.array([place]))


def test_division_is_division():
    x, y, d = ss.csr_matrix("x", dtype="float64"), pt.dvector("y"), pt.dmatrix("d")
    got = pytensor.function([x, y], x / y)(sp.csr_array([[1e-310, 1.0]]), np.array([1e-310, 2.0]))
    np.testing.assert_array_equal(got.data, [1.0, 0.5])
    value, divisor = random_sparse("csr", (9, 8), rng=0), RNG.uniform(0.1, 3, (9, 8))
    got = pytensor.function([x, d], x / d)(value, divisor)
    np.testing.assert_array_equal(got.toarray(), value.toarray() / divisor)


def test_a_lazy_operand_of_the_wrong_shape_is_refused():
    x, n = ss.csr_matrix("x", dtype="float64"), pt.lscalar("n")
    value = random_sparse("csr", (3, 3), rng=0)
    for made in (ss.sample(pt.alloc(1.0, n, n), x), x * pt.alloc(1.0, n, n)):
        with pytest.raises(ValueError, match="shape"):
            pytensor.function([x, n], made)(value, 7)
    y = ss.csr_matrix("y", dtype="float64")
    with pytest.raises(ValueError, match="shape"):
        pytensor.function([x, y], x + y.zeros_like())(value, random_sparse("csr", (5, 5), rng=0))


def test_no_rows_at_all():
    x = ss.constant(random_sparse("csr", (3, 4), rng=0))
    assert x[[]].eval().shape == (0, 4)
