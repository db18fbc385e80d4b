"""SciPy's in-place methods between two calls, on the matrix itself and on one that shares its arrays."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import reference_mode
from tests.ops.generate import lowered_mode

pytestmark = pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")


def ugly():
    """Unsorted, with duplicates and stored zeros, and the positions (0, 0) and (2, 3) free."""
    indices = np.array([3, 1, 1, 2, 0, 2, 4, 0], dtype="int32")
    values = np.array([1.0, 2.0, -2.0, 0.0, 4.0, 5.0, 6.0, 7.0])
    return sp.csr_array((values, indices, np.array([0, 4, 4, 8], dtype="int32")), shape=(3, 5))


def tidy():
    A = ugly()
    A.sum_duplicates()
    return A


def assign_stored(A):
    A[2, 0] = 9.0


def assign_new(A):
    A[0, 0] = 9.0


def set_diagonal(A):
    A.setdiag([1.0, 2.0, 3.0])


def scale(A):
    A.data[:] *= 3


METHODS = {
    "sort_indices": lambda A: A.sort_indices(),
    "sum_duplicates": lambda A: A.sum_duplicates(),
    "eliminate_zeros": lambda A: A.eliminate_zeros(),
    "prune": lambda A: A.prune(),
    "resize smaller": lambda A: A.resize(2, 3),
    "resize larger": lambda A: A.resize(4, 7),
    "resize rows": lambda A: A.resize(2, 5),
    "resize columns": lambda A: A.resize(3, 3),
    "more columns": lambda A: A.resize(3, 9),
    "setdiag": set_diagonal,
    "assign a stored entry": assign_stored,
    "assign a new entry": assign_new,
    "values": scale,
}


@pytest.fixture(scope="module")
def functions():
    x = ss.csr_matrix("x", dtype="float64")
    outputs = [
        x @ pt.ones(x.shape[1]),
        ss.sp_sum(x, axis=0),
        ss.sp_sum(x * x.T.T, axis=0),
        x.toarray(),
        x.sum(),
    ]
    return [pytensor.function([x], outputs, mode=mode) for mode in (lowered_mode, reference_mode)]


def check(functions, A, D):
    for function in functions:
        for got, want in zip(function(A), (D.sum(1), D.sum(0), (D * D).sum(0), D, D.sum()), strict=True):
            np.testing.assert_allclose(got, want)


@pytest.mark.parametrize("make", [ugly, tidy])
@pytest.mark.parametrize("method", METHODS)
def test_a_matrix_that_changed_between_calls(functions, method, make):
    A = make()
    check(functions, A, A.toarray())
    METHODS[method](A)
    check(functions, A, A.toarray())


def twin_of(A):
    """Another matrix on the very arrays of `A`."""
    return sp.csr_array((A.data, A.indices, A.indptr), shape=A.shape, copy=False)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("make", [ugly, tidy])
@pytest.mark.parametrize("method", METHODS)
def test_a_matrix_that_shares_its_arrays_with_one_that_changed(functions, method, make, transposed):
    """SciPy moves entries within the shared arrays, and only the other matrix learns that there are fewer now."""
    A = make()
    B = A.T if transposed else twin_of(A)
    assert np.shares_memory(A.indices, B.indices)
    assert np.shares_memory(A.indptr, B.indptr)
    check(functions, A, A.toarray())
    if transposed and method not in ("sort_indices", "sum_duplicates", "eliminate_zeros", "prune", "values"):
        METHODS["sum_duplicates"](B)
    else:
        METHODS[method](B)
    if len(A.data) != A.indptr[-1]:  # what SciPy itself takes A for
        assert len(A.data) > A.indptr[-1]
    check(functions, A, A.copy().toarray())
