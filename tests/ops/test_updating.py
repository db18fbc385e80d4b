"""set and inc on every form of ``x[...]``, and with_values, against NumPy."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_well_formed, random_sparse, reference_mode
from symsparse.types import all_dtypes
from tests.ops.generate import lowered_mode, other

MODES = {"lowered": lowered_mode, "reference": reference_mode}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
formats = pytest.mark.parametrize("format", ["csr", "csc"])

ROWS, COLUMNS = np.array([1, -4, 1, -1, 1]), np.array([1, 2, 1, 1, 1], "int32")
KEYS = {
    "everything": lambda r, c, i: np.s_[:],
    "rows": lambda r, c, i: np.s_[1:3],
    "backwards": lambda r, c, i: np.s_[::-1, 1:],
    "no row": lambda r, c, i: np.s_[3:1],
    "symbolic slice": lambda r, c, i: np.s_[i:, ::i],
    "list": lambda r, c, i: np.s_[[0, 2]],
    "repeated": lambda r, c, i: np.s_[[0, 2, -4]],
    "columns": lambda r, c, i: np.s_[:, [1, 0, 1]],
    "list and slice": lambda r, c, i: np.s_[[1, 1], ::2],
    "ix": lambda r, c, i: np.ix_([1, 1, 3], [2, 0, 2]),
    "mask": lambda r, c, i: np.s_[np.array([True, False, True, False])],
    "symbolic rows": lambda r, c, i: np.s_[r, 1:],
    "symbolic columns": lambda r, c, i: np.s_[:, c],
    "symbolic ix": lambda r, c, i: np.s_[r[:, None], c],
    "row": lambda r, c, i: np.s_[2],
    "column": lambda r, c, i: np.s_[:, -1],
    "part of a column": lambda r, c, i: np.s_[1:3, i],
    "entry": lambda r, c, i: np.s_[1, i],
    "pairs": lambda r, c, i: np.s_[[0, 1, 0], [1, 1, 1]],
    "symbolic pairs": lambda r, c, i: np.s_[r, c],
}


@pytest.mark.parametrize(
    ("format", "mode"), [("csr", lowered_mode), ("csc", lowered_mode), ("csc", reference_mode)]
)
@pytest.mark.parametrize("name", KEYS)
def test_set_and_inc(name, format, mode):
    """NaN among what is replaced, duplicates, repeats; new values dense, sparse, zero, broadcast."""
    rng = np.random.default_rng(0)
    value = random_sparse(format, (4, 3), 0.7, rng=0, duplicates=True, unsorted_indices=True)
    value.data[::3] = np.nan
    dense = value.toarray()
    x, r, c, i = ss.matrix(format, dtype="float64"), pt.lvector(), pt.ivector(), pt.lscalar()
    symbolic, key = KEYS[name](r, c, i), KEYS[name](ROWS, COLUMNS, 2)
    shape = dense[key].shape
    new = [rng.uniform(1, 2, shape), 0]
    if len(shape) == 2:
        new.append(random_sparse(other(format), shape, rng=1, duplicates=True))
    if name in ("symbolic rows", "row"):
        new += [3.5, np.array(2), rng.uniform(1, 2, shape[1:]), np.zeros(shape)]
    if name == "symbolic rows":
        new += [rng.uniform(1, 2, (shape[0], 1)), random_sparse(format, (1, shape[1]), 0.5, rng=2)]
    outs, wanted = [], []
    for y in new:
        replaced, increased = dense.copy(), dense.copy()
        plain = y.toarray() if sp.issparse(y) else y
        replaced[key] = plain
        np.add.at(increased, key, plain)
        wanted += [replaced, increased]
        outs += [ss.set_subtensor(x[symbolic], y), ss.inc_subtensor(x[symbolic], y)]
    f = pytensor.function([x, r, c, i], outs, mode=mode, on_unused_input="ignore")
    for out, got, want in zip(outs, f(value, ROWS, COLUMNS, 2), wanted, strict=True):
        assert x.type.is_super(out.type)
        assert_well_formed(got, out.type)
        np.testing.assert_allclose(got.toarray(), want)


def test_methods_are_the_functions():
    value = random_sparse("csr", (4, 3), rng=0)
    x, y = ss.constant(value), random_sparse("csc", (2, 3), rng=1)
    f = pytensor.function([], [x[1:3].set(y), x[1:3].inc(y), x.with_values(x.values * 2)], mode=lowered_mode)
    replaced, increased, doubled = (got.toarray() for got in f())
    dense = value.toarray()
    np.testing.assert_allclose(doubled, 2 * dense)
    dense[1:3] = y.toarray()
    np.testing.assert_allclose(replaced, dense)
    np.testing.assert_allclose(
        increased, value.toarray() + np.vstack([np.zeros((1, 3)), y.toarray(), np.zeros((1, 3))])
    )


@modes
def test_what_is_stored(mode):
    x = ss.constant(sp.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])))
    outs = [ss.set_subtensor(x[0], 0), x[:1].set(0), x[:1].set([[0.0, 0.0, 5.0]]), x[:1].inc(0)]
    outs += [x[:, 1:].set(sp.csr_array((2, 2))), x[[0, 0]].inc(np.ones((2, 3)))]
    got = pytensor.function([], outs, mode=mode)()
    assert [v.nnz for v in got] == [1, 1, 4, 3, 1, 4]
    assert all(v.has_canonical_format for v in got)


@modes
@pytest.mark.parametrize("dtype", all_dtypes)
def test_dtype_is_that_of_the_matrix(dtype, mode):
    value = random_sparse("csc", (3, 3), dtype=dtype, rng=0)
    x = ss.csc_matrix(dtype=dtype)
    y = np.array([1, 0, 1], dtype)
    outs = [
        x[1:].set(y),
        x[[0, 0]].inc(y),
        ss.set_subtensor(x[0], y),
        ss.inc_subtensor(x[0, 0], True),
        x[0:1].set(True),
    ]
    dense = value.toarray()
    wanted = [dense.copy() for _ in outs]
    wanted[0][1:] = y
    np.add.at(wanted[1], [0, 0], y)
    wanted[2][0] = y
    wanted[3][0, 0] += np.array(1, dtype)
    wanted[4][0] = 1
    for out, got, want in zip(outs, pytensor.function([x], outs, mode=mode)(value), wanted, strict=True):
        assert out.dtype == dtype
        assert_well_formed(got, out.type)
        np.testing.assert_array_equal(got.toarray(), want)


def test_python_numbers_have_no_width():
    x = ss.csr_matrix(dtype="float32")
    assert x[:1].set(0.1).dtype == x[:1].inc(7).dtype == "float32"
    for dtype, y in (("float32", np.float64(0.5)), ("int8", 0.5), ("float64", 1j), ("float32", np.ones(3))):
        with pytest.raises(TypeError, match=f"{dtype} cannot hold .* astype"):
            ss.matrix("csr", dtype=dtype)[:1].set(y)


@modes
def test_gradients_of_set_and_inc(mode):
    """Overwritten entries of x, and values that a later one overwrites, have a gradient of zero."""
    value = sp.csr_array(np.array([[1.0, np.nan, 2.0], [0.0, 3.0, 4.0]]))
    x, v, d, s = ss.csr_matrix(dtype="float64"), pt.dvector(), pt.dmatrix(), pt.dscalar()
    y = ss.csc_matrix(dtype="float64")
    g = np.arange(1.0, 7).reshape(2, 3)

    def slopes(made, wrt):
        return pytensor.grad((made.toarray(structured=False) * g).sum(), wrt)

    found = [
        *slopes(ss.set_subtensor(x[[0, 0, 0], [1, 2, 1]], v), [x, v]),
        *slopes(x[pt.constant([0, 0])].set(d), [x, d]),
        *slopes(x[[1, 1]].inc(y), [x, y]),
        *slopes(x[1:, 1:].set(s), [x, s]),
    ]
    ones = sp.csc_array(np.ones((2, 3)))
    got = pytensor.function([x, v, d, y, s], found, mode=mode)(value, np.ones(3), np.ones((2, 3)), ones, 1.0)
    got = [a.toarray() if sp.issparse(a) else a for a in got]
    np.testing.assert_allclose(got[0], [[1, 0, 0], [0, 5, 6]])
    np.testing.assert_allclose(got[1], [0, 3, 2])
    np.testing.assert_allclose(got[2], [[0, 0, 0], [0, 5, 6]])
    np.testing.assert_allclose(got[3], [[0, 0, 0], [1, 2, 3]])
    np.testing.assert_allclose(got[4] * (value.toarray() != 0), g * (value.toarray() != 0))
    np.testing.assert_allclose(got[5], [[4, 5, 6], [4, 5, 6]])
    np.testing.assert_allclose(got[6], [[1, 2, 3], [0, 0, 0]])
    np.testing.assert_allclose(got[7], 11)


def test_what_cannot_be_updated_says_so():
    x, d = ss.csr_matrix(shape=(4, 3)), pt.dmatrix()
    for first in (x, x.T[:1].T, d, d[0], 1.0):
        with pytest.raises(TypeError, match=r"no selection of a sparse matrix.*a\[\.\.\.\]"):
            ss.set_subtensor(first, 1.0)
    with pytest.raises(TypeError, match="no selection"):
        x.set(1.0)
    for key, y in (
        (np.s_[0], np.ones((1, 3))),
        (np.s_[0, 0], [1.0]),
        (np.s_[0], sp.csr_array(np.ones((1, 3)))),
    ):
        with pytest.raises(TypeError, match="do not fit"):
            ss.inc_subtensor(x[key], y)
    for y in (np.ones((3, 3)), np.ones(2), sp.csr_array(np.ones((2, 2)))):
        with pytest.raises(ValueError, match="shapes of the selection"):
            x[:2].set(y)
    with pytest.raises(IndexError, match="length"):
        ss.inc_subtensor(x[0], [1.0, 2.0])


@modes
@formats
def test_sizes_that_differ_at_run_time_are_an_error(format, mode):
    x, y, d, v = (
        ss.matrix(format, dtype="float64"),
        ss.csr_matrix(dtype="float64"),
        pt.dmatrix(),
        pt.dvector(),
    )
    value = random_sparse(format, (4, 3), rng=0)
    cases = [(x[:2].set(y), y, (2, 3)), (x[:, :2].inc(y), y, (4, 2)), (x[:].inc(y), y, (4, 3))]
    cases += [(x[:2, 1:].set(d), d, (2, 2)), (x[[0, 0]].set(d), d, (2, 3)), (x[:, [0, 0]].inc(d), d, (4, 2))]
    cases += [
        (x[:2].set(v), v, (3,)),
        (ss.set_subtensor(x[0], v), v, (3,)),
        (ss.inc_subtensor(x[:, 0], v), v, (4,)),
    ]
    for made, given, right in cases:
        f = pytensor.function([x, given], made, mode=mode)
        for change in (-1, 0, 1):
            for axis in range(len(right)):
                shape = tuple(n + change * (k == axis) for k, n in enumerate(right))
                new = random_sparse("csr", shape, rng=1) if given is y else np.ones(shape)
                if change == 0:
                    f(value, new)
                else:
                    with pytest.raises((ValueError, IndexError), match=r"shapes|number|differ"):
                        raise AssertionError(f"{shape} fits {right}: {f(value, new)}")


@modes
def test_with_values(mode):
    value = random_sparse("csr", (4, 3), rng=0, duplicates=True, unsorted_indices=True)
    x, v = ss.csr_matrix(dtype="float64"), pt.vector(dtype="float32")
    made = x.with_values(v)
    assert made.dtype == "float32"
    g = pytensor.grad((made.toarray() * np.arange(12.0).reshape(4, 3)).sum(), v)
    f = pytensor.function([x, v], [made, g], mode=mode)
    new = np.arange(1, value.nnz + 1, dtype="float32")
    got, slope = f(value, new)
    np.testing.assert_array_equal(got.indices, value.indices)
    np.testing.assert_array_equal(got.indptr, value.indptr)
    np.testing.assert_array_equal(got.data, new)
    rows, columns = value.tocoo().coords
    np.testing.assert_allclose(slope, 3 * rows + columns)
    for size in (0, value.nnz - 1, value.nnz + 1):
        for out in (made, ss.square(made), made @ np.ones(3, "float32")):
            with pytest.raises(ValueError, match="with_values: the number of values"):
                pytensor.function([x, v], out, mode=mode)(value, np.ones(size, "float32"))
    with pytest.raises(ValueError, match=f"the pattern has {value.nnz} entries"):
        ss.shared(value, frozen=True).with_values(np.ones(3))
    with pytest.raises(TypeError, match="1-D"):
        x.with_values(pt.dmatrix())
    with pytest.raises(TypeError, match="dense"):
        x.with_values(x)
