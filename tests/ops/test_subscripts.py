"""Every form of ``x[...]`` against NumPy: values, shapes, static shapes, dtypes, errors, gradients of repeats."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.ops.base import is_sparse
from symsparse.testing import assert_well_formed, random_sparse, reference_mode
from symsparse.types import all_dtypes, integer_dtypes
from tests.ops.generate import lowered_mode

FORMATS = ["csr", "csc"]
MODES = {"lowered": lowered_mode, "reference": reference_mode}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
formats = pytest.mark.parametrize("format", FORMATS)

STATIC = [
    np.s_[:],
    np.s_[...],
    np.s_[..., 1:],
    np.s_[1:3],
    np.s_[::-1],
    np.s_[::-2, 1::2],
    np.s_[-3:-1, ::-1],
    np.s_[100:-100:-3, -100:100],
    np.s_[3:1],
    np.s_[-1:-3],
    np.s_[:-3:-1, 2:0:-1],
    np.s_[: 2**70, :: -(2**70)],
    np.s_[np.int8(1) : np.uint64(3) :, np.array(0) :],
    np.s_[1],
    np.s_[-1],
    np.s_[1, ...],
    np.s_[:, 1],
    np.s_[..., -1],
    np.s_[1:3, 2],
    np.s_[-1, ::-2],
    np.s_[1, 2],
    np.s_[np.int16(-1), np.array(0)],
    np.s_[[0, 2, 2]],
    np.s_[[]],
    np.s_[:, []],
    np.s_[range(2)],
    np.s_[np.array([3, 0], "uint8")],
    np.s_[:, [1, 0, 1, -1]],
    np.s_[[1, 0], ::-1],
    np.s_[[1, 0], 1:],
    np.s_[1:, (0, 0)],
    np.s_[np.array([True, False, True, False])],
    np.s_[[True, False, True, False], 1:],
    np.s_[:, np.array([False, True, True])],
    np.s_[[0, 1, 0], [1, -1, 1]],
    np.s_[[0, 1], 2],
    np.s_[-1, [2, 2, 0]],
    np.s_[[2], [0, 1]],
    np.s_[[], []],
    np.s_[np.array([True, False, True, False]), 1],
    np.s_[np.array([True, False, True, False]), [0, 2]],
    np.ix_([1, 1, 0], [0, 2]),
    np.ix_([3], [1]),
    np.ix_([], [1]),
    np.ix_([True, False, False, True], [-1]),
    np.s_[np.array([[2], [-1]]), [1, 1]],
]


def ugly(format, dtype="float64", shape=(4, 3), rng=0, **kwargs):
    return random_sparse(
        format,
        shape,
        dtype=dtype,
        rng=rng,
        duplicates=True,
        unsorted_indices=True,
        explicit_zero=True,
        **kwargs,
    )


def check(out, got, want):
    if is_sparse(out):
        assert_well_formed(got, out.type)
        got = got.toarray()
    assert out.ndim == want.ndim
    assert got.dtype == out.dtype
    np.testing.assert_array_equal(got, want)
    assert all(n is None or n == size for n, size in zip(out.type.shape, want.shape, strict=True))


@modes
@formats
def test_forms(format, mode):
    value = ugly(format)
    dense = value.toarray()
    for x in (ss.matrix(format, shape=(4, 3)), ss.matrix(format)):
        outs = [x[key] for key in STATIC]
        shapes = [pt.stack([*out.shape, pt.constant(0)]) for out in outs]
        got = pytensor.function([x], [*outs, *shapes], mode=mode)(value)
        for out, g, shape, key in zip(outs, got, got[len(outs) :], STATIC, strict=False):
            check(out, g, dense[key])
            assert tuple(shape[:-1]) == dense[key].shape
            assert not is_sparse(out) or out.format == format
            if x.type.shape == (4, 3):
                assert out.type.shape == dense[key].shape


def test_static_shapes_of_unknown_sizes():
    x = ss.csr_matrix(shape=(None, 5))
    n = pt.lscalar()
    assert x[:].type.shape == (None, 5)
    assert x[:, 1:3].type.shape == (None, 2)
    assert x[2:2, :].type.shape == x[-1:-2].type.shape == x[1:3:-1].type.shape == (0, 5)
    assert x[2:4].type.shape == x[-2:].type.shape == (None, 5)
    assert x[:, n:].type.shape == (None, None)
    assert x[[0, 1]].type.shape == (2, 5)
    assert x[1].type.shape == (5,)
    assert x[1, :n].type.shape == (None,)
    assert x[:, 2].type.shape == (None,)
    assert x[[1, 2, 3], 2].type.shape == (3,)
    assert x[[1], pt.lvector()].type.shape == (None,)
    assert x[n, n].type.shape == ()


SYMBOLIC = {
    "slices": lambda x, i, j, r, k: [
        x[i:],
        x[:i],
        x[i::j],
        x[:i:j],
        x[::j],
        x[:, i::j],
        x[i:j, ::-1],
        x[i : i + 1],
    ],
    "integers": lambda x, i, j, r, k: [x[i, j], x[i], x[:, j], x[i : i + 2, j], x[i, ::j], x[i, 0], x[-1, j]],
    "vectors": lambda x, i, j, r, k: [x[r], x[:, r], x[r, r], x[r, j], x[r[:, None], r], x[r, i:], x[i:, r]],
    "masks": lambda x, i, j, r, k: [x[k], x[k, i:], x[k, j], x[1:][:, k[:3]], x[k, :][[0]]],
}


@modes
@formats
def test_symbolic_forms(format, mode):
    x, i, j, r = ss.matrix(format), pt.bscalar(), pt.lscalar(), pt.ivector()
    k = pt.vector(dtype="bool")
    outs = [out for make in SYMBOLIC.values() for out in make(x, i, j, r, k)]
    sizes = [pt.stack([*out.shape, pt.constant(0)]) for out in outs]
    f = pytensor.function([x, i, j, r, k], [*outs, *sizes], mode=mode)
    value = ugly(format)
    dense = value.toarray()
    rows, mask = np.array([1, 0, -1, 1], "int32"), np.array([True, False, True, False])
    for a in (-3, -1, 0, 2):
        for b in (-3, -2, -1, 1, 2):
            wanted = [w for make in SYMBOLIC.values() for w in make(dense, a, b, rows, mask)]
            got = f(value, a, b, rows, mask)
            for out, g, size, want in zip(outs, got, got[len(outs) :], wanted, strict=False):
                check(out, g, np.asarray(want))
                assert tuple(size[:-1]) == np.shape(want)


@modes
def test_every_integer_dtype_is_an_index(mode):
    x = ss.csr_matrix()
    value = ugly("csr")
    dense = value.toarray()
    inputs, outs, wanted, arguments = [], [], [], []
    for dtype in integer_dtypes:
        i, r = pt.scalar(dtype=dtype), pt.vector(dtype=dtype)
        inputs += [i, r]
        outs += [x[i, i], x[i::i], x[r], x[:, r], x[r, 1]]
        arguments += [np.array(1, dtype), np.array([2, 1], dtype)]
        wanted += [dense[1, 1], dense[1::1], dense[[2, 1]], dense[:, [2, 1]], dense[[2, 1], 1]]
    got = pytensor.function([x, *inputs], outs, mode=mode)(value, *arguments)
    for out, g, want in zip(outs, got, wanted, strict=True):
        check(out, g, want)
    i, r = pt.scalar(dtype="uint64"), pt.vector(dtype="uint64")
    huge = 2**64 - 1  # as int64 it would be -1, the last row
    got = pytensor.function([x, i], [x[i:], x[:i]], mode=mode)(value, np.uint64(huge))
    check(x[i:], got[0], dense[4:])
    check(x[:i], got[1], dense)
    for made in (x[r], x[r, 0], x[:, r]):
        with pytest.raises(IndexError, match="outside"):
            pytensor.function([x, r], made, mode=mode)(value, np.array([huge], "uint64"))


@modes
@pytest.mark.parametrize("dtype", all_dtypes)
def test_dtypes(dtype, mode):
    """Duplicates are added in the matrix's own dtype."""
    value = ugly("csc", dtype)
    x = ss.csc_matrix(dtype=dtype)
    outs = [x[1:, ::-1], x[[0, 0]], x[:, [1]], x[1], x[:, -1], x[[0, 1], [1, 1]], x[-1, -1]]
    dense = value.toarray()
    wanted = [
        dense[1:, ::-1], dense[[0, 0]], dense[:, [1]], dense[1], dense[:, -1], dense[[0, 1], [1, 1]], dense[-1, -1]
    ]  # fmt: skip
    for out, got, want in zip(outs, pytensor.function([x], outs, mode=mode)(value), wanted, strict=True):
        assert out.dtype == dtype
        check(out, got, want)


def test_wide_indices_and_nan():
    value = random_sparse("csr", (4, 5), rng=0, index_dtype="int64")
    value.data[::3] = np.nan
    dense = value.toarray()
    x = ss.csr_matrix(dtype="float64", index_dtype="int64")
    outs = [
        x[1:, ::-2],
        x[:, [1, 1, 0]],
        x[[0, 3], 1:],
        x[2],
        x[[0, 1], 3],
        x[0, 0],
        x[1:].set(3),
        x[:, [0]].inc(1),
    ]
    wanted = [
        dense[1:, ::-2],
        dense[:, [1, 1, 0]],
        dense[[0, 3], 1:],
        dense[2],
        dense[[0, 1], 3],
        dense[0, 0],
    ]
    wanted += [np.vstack([dense[:1], np.full((3, 5), 3.0)]), dense + np.eye(5)[0]]
    for mode in MODES.values():
        for out, got, want in zip(outs, pytensor.function([x], outs, mode=mode)(value), wanted, strict=True):
            check(out, got, want)
            assert not is_sparse(out) or out.type.index_dtype == "int64"


OUTSIDE = {
    "entry": lambda x, i: x[i, 0],
    "entry of a column": lambda x, i: x[0, i],
    "row": lambda x, i: x[i],
    "row of nothing": lambda x, i: x[i, 2:1],
    "column": lambda x, i: x[:, i],
    "column of nothing": lambda x, i: x[3:2, i],
    "rows": lambda x, i: x[pt.stack([i, 0])],
    "columns": lambda x, i: x[:, pt.stack([0, i])],
    "pairs": lambda x, i: x[[0, 0], pt.stack([0, i])],
    "gradient of rows": lambda x, i: ss.get_item_list_grad(x, pt.stack([i]), x[:1]),
    "gradient of pairs": lambda x, i: ss.get_item_2lists_grad(x, pt.stack([i]), [0], [1.0]),
    "set": lambda x, i: ss.set_subtensor(x[i, 0], 1.0),
    "set rows": lambda x, i: x[pt.stack([i])].set(1.0),
}


def raise_for(name, answer):
    raise AssertionError(f"{name} gave {answer}")


@modes
@formats
def test_outside_is_an_error(format, mode):
    x, i = ss.matrix(format), pt.lscalar()
    value = ugly(format, shape=(3, 3))
    for name, make in OUTSIDE.items():
        f = pytensor.function([x, i], make(x, i), mode=mode)
        for at in (-3, 2):
            f(value, at)
        for at in (3, -4, 2**62, -(2**63)):
            with pytest.raises(IndexError, match="outside"):
                raise_for(name, f(value, at))
    known = ss.matrix(format, shape=(3, 3))
    for key in np.s_[3, 0], np.s_[-4], np.s_[:, 3], np.s_[0, -4], np.s_[2**70, 0], np.s_[-(2**70)]:
        with pytest.raises(IndexError, match="outside an axis of size 3"):
            known[key]


@modes
def test_sizes_that_do_not_fit_are_an_error(mode):
    x, r, k = ss.csr_matrix(), pt.lvector(), pt.vector(dtype="bool")
    value = ugly("csr")
    for made in (x[k], x[k, 1:], x[[0], 0] + x[k, 0]):
        with pytest.raises(IndexError, match="one element for each row"):
            pytensor.function([x, k], made, mode=mode)(value, np.ones(3, bool))
    with pytest.raises(IndexError, match="one element for each column"):
        pytensor.function([x, k], x[:, k], mode=mode)(value, np.zeros(4, bool))
    with pytest.raises(IndexError, match=r"row.* column"):
        pytensor.function([x, r], x[r, [0, 0, 0]], mode=mode)(value, np.array([0, 1]))
    g = ss.csr_matrix()
    for made in (ss.get_item_list_grad(x, r, g), ss.get_item_list_grad(x.tocsc(), r, g)):
        for shape in ((3, 3), (2, 4)):
            with pytest.raises(ValueError, match=r"shapes do not fit|number of|numbers of"):
                pytensor.function([x, r, g], made, mode=mode)(
                    value, np.array([0, 1]), ugly("csr", shape=shape)
                )
    i = pt.lscalar()
    with pytest.raises(ValueError, match="step of a slice cannot be zero"):
        pytensor.function([x, i], x[::i], mode=mode)(value, 0)


@pytest.mark.parametrize(
    ("key", "kind", "says"),
    [
        (np.s_[None], TypeError, r"x\.toarray\(\)"),
        (np.s_[:, None, :], TypeError, "new axis"),
        (np.s_[0, 0, 0], IndexError, "3 indices"),
        (np.s_[..., ...], IndexError, "2 indices"),
        (np.s_[0, ..., 0, 0], IndexError, "indices"),
        (np.s_[1.0], TypeError, "float"),
        (np.s_[0, 1.5], TypeError, "float"),
        (np.s_[[0.5]], TypeError, "integer"),
        (np.s_["a"], TypeError, "str"),
        (np.s_[True], TypeError, "mask"),
        (np.s_[np.ones((4, 3), bool)], TypeError, "mask"),
        (np.s_[np.zeros((2, 2), int)], TypeError, "two-dimensional"),
        (np.s_[np.zeros((2, 2), int), np.zeros((2, 2), int)], TypeError, r"numpy\.ix_"),
        (np.s_[[0], np.zeros((1, 1), int)], TypeError, "two-dimensional"),
        (np.s_[np.zeros((1, 1, 1), int)], TypeError, "two dimensions"),
        (np.s_[1.0:], TypeError, "bound of a slice"),
        (np.s_[: pt.dscalar()], TypeError, "bound of a slice"),
        (np.s_[: pt.lvector()], TypeError, "0-D"),
        (np.s_[::0], ValueError, "zero"),
        (np.s_[[True, False, True]], IndexError, "each row"),
        (np.s_[:, [True, False, True, True]], IndexError, "each column"),
        (np.s_[[0, 1], [0, 1, 2]], IndexError, "differ in length"),
        (ss.csr_matrix(), TypeError, "no index"),
    ],
)
def test_what_is_no_index_says_so(key, kind, says):
    with pytest.raises(kind, match=says) as e:
        ss.csr_matrix(shape=(4, 3))[key]
    assert str(e.value).startswith("get")


def test_documented_functions_refuse_what_is_not_theirs():
    x = ss.csr_matrix()
    with pytest.raises(TypeError, match="dense"):
        ss.get_item_2d(x, 0)
    with pytest.raises(TypeError, match="integers"):
        ss.get_item_list(x, [0.5])
    with pytest.raises(TypeError, match="integer"):
        ss.get_item_scalar(x, (0.5, 0))
    with pytest.raises(IndexError, match="length"):
        ss.get_item_2lists(x, [0, 1], [0])
    with pytest.raises(IndexError, match="length"):
        ss.get_item_2lists_grad(x, [0, 1], [0, 0], [1.0])
    with pytest.raises(ValueError, match="slice"):
        ss.GetItem2d("mask")


@modes
@formats
def test_repeats_add_up_in_gradients(format, mode):
    """The predecessors' gradients kept the last of them only."""
    x = ss.matrix(format, dtype="float64")
    value = ugly(format, density=0.6)
    stored = np.zeros(value.shape)
    stored[value.tocoo().coords] = 1
    keys = [
        np.s_[[1, 1, 0]],
        np.s_[:, [2, 2, 2]],
        np.ix_([1, 1], [0, 0]),
        np.s_[[0, 0, 1], [1, 1, 2]],
        np.s_[0],
    ]
    weights = [np.arange(1.0, 1 + stored[key].size).reshape(stored[key].shape) for key in keys]
    grads = []
    for key, weight in zip(keys, weights, strict=True):
        out = x[key].toarray() if is_sparse(x[key]) else x[key]
        grads.append(pytensor.grad((out * weight).sum(), x))
    for g, weight, key in zip(pytensor.function([x], grads, mode=mode)(value), weights, keys, strict=True):
        want = np.zeros(value.shape)
        np.add.at(want, key, weight)
        np.testing.assert_allclose(g.toarray(), want * stored)


def test_second_derivative_through_an_entry_and_a_row():
    v = pt.dvector()
    value = sp.csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))
    x = ss.CSR(v, value.indices, value.indptr, np.array(value.shape))
    loss = x[0, 1] ** 3 + (x[1] ** 2).sum() * x[0, 0]
    (slope,) = pytensor.grad(loss, [v])
    rows = [pytensor.grad(slope[k], v) for k in range(3)]
    got = pytensor.function([v], rows, mode=lowered_mode)(value.data)
    np.testing.assert_allclose(got, [[0, 0, 6], [0, 12, 0], [6, 0, 2]])


def test_symbolic_work_on_constant_patterns_is_done_once():
    w = ss.shared(random_sparse("csr", (6, 5), rng=0), frozen=True)
    outs = [w[1:4, ::-1], w[[0, 0]], w[:, [1, 1]], w[2], w[[0, 1], 2]]
    f = pytensor.function([], [outs[0].values, outs[1].values, outs[2].values, *outs[3:]], mode=lowered_mode)
    left = {
        type(node.op).__module__
        for node in f.maker.fgraph.apply_nodes
        if "symsparse" in type(node.op).__module__
    }
    assert left <= {"symsparse.lowering.sampling"}  # values read at places that are known
