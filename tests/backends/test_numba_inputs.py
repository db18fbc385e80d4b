"""Sparse shared variables reach Numba as named tuples; their values stay SciPy arrays that others see."""

import pickle

import numpy as np
import pytensor
import pytest
import scipy.sparse as sp
from numba.core.compiler import CompilerBase

import symsparse as ss
from symsparse.testing import random_sparse

A = random_sparse("csr", (4, 3), 0.5, rng=1)
B = random_sparse("csr", (4, 3), 0.5, rng=2)
ones = np.ones(3)


@pytest.fixture(scope="module")
def compiled():
    """One function of a shared matrix for all these tests: it reads it, adds it to another one, and updates it."""
    s, x = ss.shared(A, name="s"), ss.csr_matrix("x")
    return s, pytensor.function([x], [s @ ones, s + x, s], updates={s: s * 2})


def check(f, value, other=B):
    product, total, now = f(other)
    np.testing.assert_allclose(product, value @ ones)
    np.testing.assert_allclose(total.toarray(), (value + other).toarray())
    assert total.has_canonical_format  # which a sum has, if it knows which operands have it
    assert isinstance(now, sp.csr_array)
    np.testing.assert_allclose(now.toarray(), value.toarray())


def test_updates_and_values_set_and_got(compiled):
    s, f = compiled
    s.set_value(A)
    check(f, A)
    check(f, A * 2)
    np.testing.assert_allclose(s.get_value().toarray(), 4 * A.toarray())
    s.set_value(B)  # another pattern
    check(f, B, A)
    s.set_value(random_sparse("csr", (5, 3), 0.3, rng=3))  # another shape
    check(f, random_sparse("csr", (5, 3), 0.3, rng=3), random_sparse("csr", (5, 3), 0.9, rng=4))


def test_borrowed_values_are_the_values(compiled):
    s, f = compiled
    s.set_value(A)
    s.get_value(borrow=True).data[:] = 3
    check(f, sp.csr_array((np.full(A.nnz, 3.0), A.indices, A.indptr), shape=A.shape))
    mine = A.copy()
    s.set_value(mine, borrow=True)
    assert s.get_value(borrow=True) is mine
    mine.data[:] = 5
    expected = mine.copy()
    check(f, expected)
    np.testing.assert_array_equal(mine.data, 5)  # an update puts another matrix in the place of this one
    s.set_value(mine)
    mine.data[:] = 0
    check(f, expected)


@pytest.mark.parametrize("ugly", [{"unsorted_indices": True}, {"duplicates": True}])
def test_values_that_are_not_canonical(compiled, ugly):
    s, f = compiled
    value = random_sparse("csr", (4, 3), 0.6, rng=5, **ugly)
    s.set_value(value)
    check(f, value)
    value.sum_duplicates()
    s.set_value(value)
    check(f, value)
    s.set_value(random_sparse("csr", (4, 3), 0.6, rng=6, **ugly), borrow=True)
    s.get_value(borrow=True).sort_indices()  # in place
    check(f, random_sparse("csr", (4, 3), 0.6, rng=6, **ugly))


def test_bad_values_are_refused(compiled):
    s, _ = compiled
    bad = A.copy()
    bad.indices[0] = 99
    with pytest.raises(ValueError, match="outside"):
        s.set_value(bad)


def test_copies_of_a_function(compiled):
    s, f = compiled
    s.set_value(A)
    t = ss.shared(B, name="t")
    check(f.copy(swap={s: t}), B)
    np.testing.assert_allclose(t.get_value().toarray(), 2 * B.toarray())
    np.testing.assert_allclose(s.get_value().toarray(), A.toarray())
    check(f.copy(delete_updates=True), A)
    check(pickle.loads(pickle.dumps(f)), A)
    np.testing.assert_allclose(s.get_value().toarray(), A.toarray())


def test_one_compilation_serves_all_values(compiled, monkeypatch):
    s, f = compiled
    s.set_value(A)
    check(f, A)
    compile_extra = CompilerBase.compile_extra
    names = []
    monkeypatch.setattr(
        CompilerBase, "compile_extra", lambda *args: names.append(args[1]) or compile_extra(*args)
    )
    frozen, mine = B.copy(), A.copy()
    for matrix in (frozen, mine):
        for array in (matrix.indices, matrix.indptr):
            array.flags.writeable = False
    s.set_value(mine, borrow=True)
    check(f, A, frozen)
    check(f, 2 * A, B.tocsc())
    assert names == []
