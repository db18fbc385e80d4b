"""Sizes at which integers end: results that int32 cannot index, positions that int64 cannot count, huge matrices."""

import mmap
import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.kernels import conversion, indexing, memory
from symsparse.testing import random_sparse, reference_mode
from symsparse.types import SparseTensorType
from tests.ops.generate import lowered_mode

MODES = {"lowered": lowered_mode, "reference": reference_mode}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
INT32 = np.iinfo("int32").max


def entries(A):
    """{(row, column): value} of a canonical matrix."""
    A = A.tocoo()
    return dict(zip(zip(*(c.tolist() for c in A.coords), strict=True), A.data.tolist(), strict=True))


def wide(n_columns, columns=(0, 5), index="int32"):
    """2 x n_columns, with 1, 2, ... at these columns of the first row; the last column counts from the end."""
    at = np.array(columns, dtype="int64") % n_columns
    indptr = np.array([0, len(at), len(at)])
    return sp.csr_array(
        (np.arange(1.0, 1 + len(at)), at.astype(index), indptr.astype(index)), shape=(2, n_columns)
    )


TOO_WIDE = {
    "hstack": (lambda x, y: ss.hstack([x, y], format="csr"), lambda A, B: sp.hstack([A, B])),
    "vstack": (lambda x, y: ss.vstack([y.T, x.T], format="csc"), lambda A, B: sp.hstack([B, A]).T),
    "block_diag": (
        lambda x, y: ss.block_diag([y, x, y], format="csr"),
        lambda A, B: sp.block_diag([B, A, B]),
    ),
    "kron": (ss.kron, sp.kron),
}


@every_mode
@pytest.mark.parametrize("name", TOO_WIDE)
def test_results_too_wide_for_int32(name, mode):
    make, expected = TOO_WIDE[name]
    for index in ("int32", "int64"):
        x, y = (ss.csr_matrix(v, dtype="float64", index_dtype=index) for v in "xy")
        f = pytensor.function([x, y], make(x, y), mode=mode)
        B = wide(9, index=index)
        assert f(wide(40, index=index), B).indices.dtype == index
        A = wide(INT32 - 3, (0, 5, -1), index)
        if index == "int32":
            with pytest.raises(ValueError, match="int64"):
                f(A, B)
        else:
            got = f(A, B)
            assert got.indices.dtype == got.indptr.dtype == "int64"
            wanted = expected(A, B)
            assert got.shape == wanted.shape
            assert entries(got) == entries(wanted)


@every_mode
def test_shapes_known_when_called_may_be_too_large_for_their_indices(mode):
    v, i, p, shape = pt.dvector(), pt.ivector(), pt.ivector(), pt.lvector()
    f = pytensor.function([v, i, p, shape], ss.CSR(v, i, p, shape), mode=mode)
    arrays = np.ones(1), np.array([3], "int32"), np.array([0, 1], "int32")
    assert f(*arrays, [1, INT32]).shape == (1, INT32)
    with pytest.raises(ValueError, match="int64"):
        f(*arrays, [1, INT32 + 1])
    i = pt.lvector()
    f = pytensor.function([v, i, p, shape], ss.CSR(v, i, p, shape), mode=mode)
    got = f(np.ones(1), np.array([INT32 + 9]), arrays[2], [1, INT32 + 10])
    assert entries(got) == {(0, INT32 + 9): 1.0}


def test_kernels_refuse_what_their_indices_cannot_count():
    """Arrays of zeros that nobody reads take no memory."""
    with pytest.raises(ValueError, match=r"from_dense.*int64"):
        conversion.compress(np.zeros((1, INT32 + 1), "int8"), np.empty(0, "int32"))
    pattern = np.zeros(0, "int32"), np.zeros(2, "int32")
    with pytest.raises(ValueError, match=r"rows .*are too many.*int64"):
        indexing.take_pattern(*pattern, np.zeros(INT32 + 1, "int8"), pattern[0])


# More than 2**63 positions: what matches entries by their positions must not wrap around.
HUGE = 2**62
COLUMNS = np.array([0, 1, 5, HUGE // 2, HUGE - 2, HUGE - 1])
ON_POSITIONS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "maximum": ss.maximum,
    "sample": ss.sample,
    "set": lambda x, y: x[2:].set(y[2:]),
    "inc": lambda x, y: x[::-1].inc(y),
}


@pytest.mark.parametrize("mode", [reference_mode, pytest.param(lowered_mode, marks=pytest.mark.slow)])
def test_positions_that_int64_cannot_count(mode):
    A, B = (random_sparse("csr", (7, len(COLUMNS)), rng=seed, index_dtype="int64") for seed in (1, 2))
    spread = [sp.csr_array((m.data, COLUMNS[m.indices], m.indptr), shape=(7, HUGE)) for m in (A, B)]
    x, y = (ss.csr_matrix(name, dtype="float64", index_dtype="int64") for name in "xy")
    outs = {name: make(x, y) for name, make in ON_POSITIONS.items()}
    f = pytensor.function([x, y], [*outs.values(), ss.sp_mean(x), ss.sp_sum(x, axis=1)], mode=mode)
    small, large = f(A, B), f(*spread)
    for name, a, b in zip(outs, small, large, strict=False):
        a, b = (ss.clean(v).eval(mode=reference_mode) if sp.issparse(v) else v for v in (a, b))
        assert b.shape == (7, HUGE)
        assert entries(b) == {(r, int(COLUMNS[c])): v for (r, c), v in entries(a).items()}, name
    assert large[-2] == pytest.approx(A.sum() / (7 * HUGE), rel=1e-12)
    np.testing.assert_allclose(large[-1], A.sum(axis=1))


def test_values_that_differ_by_a_multiple_of_all_positions_are_different():
    first = sp.csr_array((np.ones(1), np.array([0]), np.array([0, 1, 1, 1, 1, 1])), shape=(5, HUGE))
    last = sp.csr_array((np.ones(1), np.array([0]), np.array([0, 0, 0, 0, 0, 1])), shape=(5, HUGE))
    assert not SparseTensorType.values_eq_approx(first, last)  # 4 * 2**62 wraps around to 0
    assert SparseTensorType.values_eq_approx(first, first.copy())


def test_memory_that_is_available():
    left = memory.available()
    assert left > 0
    if sys.platform == "linux":
        assert left < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def outer(n, repeats=1):
    """A column and a row whose product has n * n entries, of n * n * repeats multiply-adds."""
    zeros = np.zeros(n, "int32")
    a = np.ones(n), zeros, np.arange(n + 1, dtype="int32")
    indices = np.repeat(np.arange(n, dtype="int32"), repeats)
    return a, (np.ones(n * repeats), indices, np.array([0, n * repeats], "int32"))


def test_what_surely_does_not_fit_the_memory_is_refused_at_once(monkeypatch):
    from symsparse.kernels import arithmetic, kronecker, spgemm

    monkeypatch.setattr(memory, "available", lambda: memory.WORTH_ASKING)
    a, b = outer(40_000)  # 1.6e9 entries, 19 GB: for int32, but not for the memory
    with pytest.raises(MemoryError, match=r"dot: the memory .* 1600000000 entries"):
        spgemm.product(*a, *b, 1, 40_000)
    with pytest.raises(MemoryError, match=r"kron: the memory .* 1600000000 entries"):
        kronecker.kron_pattern(*a[1:], *a[1:], 1, 1)
    with pytest.raises(MemoryError, match=r"add: the memory .* 40000 x 50000"):
        arithmetic.add_to_dense(*a, np.zeros((1, 50_000)), 50_000)
    # What may be far too much is no reason: these rows of y, and then these entries, all fall on the same places.
    n, met = 2_000, 60
    y = (
        np.ones(met * n),
        np.tile(np.arange(n, dtype="int32"), met),
        np.arange(0, met * n + 1, n, dtype="int32"),
    )
    x = (
        np.ones(n * met),
        np.tile(np.arange(met, dtype="int32"), n),
        np.arange(0, met * n + 1, met, dtype="int32"),
    )
    values, _, indptr = spgemm.product(*x, *y, met, n)
    assert indptr[-1] == len(values) == n**2
    assert (values == met).all()
    a, b = outer(2_000, repeats=60)
    values, _, indptr = spgemm.product(*a, *b, 1, 2_000)
    assert indptr[-1] == len(values) == 2_000**2
    assert (values == 60).all()


def zeros_of_the_system(n, dtype):
    """A vector of zeros that takes memory only where it is written: pages that are read are one page of zeros."""
    size = n * np.dtype(dtype).itemsize
    return np.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype, n)


PROGRAM = """
import resource, numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
from tests.test_sizes import zeros_of_the_system
resource.setrlimit(resource.RLIMIT_AS, (40 << 30, 40 << 30))
nnz = 2**31 + 10
values, indices = zeros_of_the_system(nnz, "float64"), zeros_of_the_system(nnz, "int64")
values[[0, 2**31 - 1, 2**31 + 5, -1]] = 1, 2, 3, 4
indices[-7:] = 2
indptr = np.array([0, 2**31, nnz])
A = sp.csr_array((1, 1))
A.data, A.indices, A.indptr, A._shape = values, indices, indptr, (2, 3)
dense = np.array([[3.0, 0, 0], [0, 0, 7]])
narrow = ss.csr_matrix(dtype="float64")
try:
    narrow.type.filter(A)
except TypeError as e:
    assert "index_dtype='int64'" in str(e), e
else:
    raise SystemExit("int32 indices for 2**31 entries")
assert ss.SparseTensorType("csr", "float64", index_dtype="int64").filter(A) is A
x, v = ss.csr_matrix("x", dtype="float64", index_dtype="int64"), pt.dvector("v")
outs = [x @ v, x.T @ v[1:], ss.sp_sum(x, axis=0), ss.sp_sum(x, axis=1), x.nnz, x.toarray(), x[1:].toarray()]
f = pytensor.function([x, v], outs)
v = np.array([1.0, 2, 3])
wanted = [dense @ v, dense.T @ v[1:], dense.sum(0), dense.sum(1), nnz, dense, dense[1:]]
for k, (got, want) in enumerate(zip(f(A, v), wanted, strict=True)):
    np.testing.assert_array_equal(got, want, err_msg=str(k))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory that is not there, as on Linux")
def test_more_than_two_to_the_31_entries():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
