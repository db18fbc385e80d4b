"""Products that would scatter the entries of a constant gather from a transposed copy of it."""

import gc
import weakref

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.matmul import CompressedDot
from symsparse.rewrites import transposed
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

v, d = pt.dvector("v"), pt.dmatrix("d")
A = random_sparse("csr", (5, 8), 0.4, rng=0)
HALF = random_sparse("csr", (6, 6), 0.4, rng=0)
SYMMETRIC = sp.csr_array(HALF + HALF.T)
LONG, SHORT = np.arange(1.0, 9), np.arange(1.0, 6)


def products(f):
    return [node for node in f.maker.fgraph.toposort() if isinstance(node.op, CompressedDot)]


def same(inputs, outputs, *given):
    """The function of the lowered graph, after its results were compared with those of the reference."""
    f, reference = (
        pytensor.function(inputs, outputs, mode=m, on_unused_input="ignore")
        for m in (lowered_mode, reference_mode)
    )
    for found, expected in zip(f(*given), reference(*given), strict=True):
        assert_same_matrix(found, expected, rtol=1e-6 if found.dtype == "float32" else 1e-9)
    return f


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_every_product_with_a_constant_gathers(format):
    a = ss.constant(A.asformat(format))
    outputs = [a.T @ v[:5], a @ v, v[:5] @ a, a.T @ d[:5], a @ d, d[:5].T @ a, (2.0 * a).T @ v[:5]]
    f = same([v, d], outputs, LONG, np.arange(24.0).reshape(8, 3))
    assert [node.op.gather for node in products(f)] == [True] * len(products(f))


def test_the_gradient_of_a_product_gathers():
    a, w = ss.constant(A), pt.tensor("w", dtype="float64", shape=(8,))
    loss = ((a @ w) ** 2).sum()
    f = same([w], [loss, pytensor.grad(loss, w)], LONG)
    assert [node.op.gather for node in products(f)] == [True, True]


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_a_symmetric_constant_is_its_own_copy(format):
    a, n, k = ss.constant(SYMMETRIC.asformat(format)), np.arange(1.0, 7), np.arange(18.0).reshape(6, 3)
    outputs = [a @ v, a.T @ v, v @ a, a @ d, a.T @ d, d.T @ a, ss.dot(a.T, d), (2.0 * a).T @ d]
    f = same([v, d], outputs, n, k)
    # a @ v, a @ d and 2 a @ d: the others are the same numbers
    assert len(products(f)) == 3
    excluding = lowered_mode.excluding("symsparse_transposed_copy")
    assert len(products(pytensor.function([v, d], outputs, mode=excluding))) > 3


def test_the_gradient_of_a_quadratic_form_has_one_product():
    a, w = ss.constant(SYMMETRIC), pt.tensor("w", dtype="float64", shape=(6,))
    loss = (w * (a @ w)).sum()
    f = same([w], [loss, pytensor.grad(loss, w)], np.arange(1.0, 7))
    assert len(products(f)) == 1


KINDS = {
    "0 x 3": sp.csr_array((0, 3)),
    "3 x 0": sp.csr_array((3, 0)),
    "empty": sp.csr_array((3, 4)),
    "duplicates, unsorted": random_sparse("csr", (6, 7), 0.5, rng=1, duplicates=True, unsorted_indices=True),
    "explicit zeros": random_sparse("csr", (6, 7), 0.5, rng=1, explicit_zero=True),
    "nan": sp.csr_array(np.array([[np.nan, 1.0, 0.0], [np.inf, -0.0, 2.0]])),
    "float32": random_sparse("csr", (6, 7), 0.5, rng=1, dtype="float32"),
    "int64 indices": random_sparse("csr", (6, 7), 0.5, rng=1, index_dtype="int64"),
    "complex": random_sparse("csr", (6, 7), 0.5, rng=1, dtype="complex128"),
    "asymmetric values": sp.csr_array((np.arange(float(SYMMETRIC.nnz)), SYMMETRIC.indices, SYMMETRIC.indptr)),
    "antisymmetric": sp.csr_array(HALF - HALF.T),
    "hermitian": sp.csr_array(HALF + 1j * HALF - 1j * HALF.T + HALF.T),
    "symmetric, nan": sp.csr_array(np.array([[np.nan, 1.0], [1.0, -0.0]])),
    "signs of zeros": sp.csr_array((np.array([0.0, -0.0]), np.array([1, 0]), np.array([0, 1, 2]))),
    "symmetric, complex": sp.csr_array(np.array([[1j, 2], [2, 0]])),
    "bool": random_sparse("csr", (6, 7), 0.5, rng=1, dtype="bool"),
    "int8": random_sparse("csr", (6, 7), 0.5, rng=1, dtype="int8"),
}
COMPILED = "float32", "complex", "hermitian", "symmetric, complex", "bool", "int8"  # kernels for these dtypes


@pytest.mark.parametrize(
    "a", [pytest.param(KINDS[name], marks=[pytest.mark.slow] * (name in COMPILED), id=name) for name in KINDS]
)
def test_constants_of_all_kinds(a):
    w = pt.vector("w", dtype=a.dtype)
    u = pt.vector("u", dtype=a.dtype)
    given = [(np.arange(n) + 1).astype(a.dtype) for n in a.shape]
    f = same([w, u], [ss.constant(a).T @ w, ss.constant(a) @ u], *given)
    assert [node.op.gather for node in products(f)] == [True, True]


def test_a_misfit_is_refused_and_names_the_sizes():
    f = pytensor.function([v], ss.constant(A).T @ v, mode=lowered_mode)
    with pytest.raises(ValueError, match=r"5 .* 7 "):
        f(np.ones(7))


def test_values_that_may_change_are_not_copied():
    frozen = ss.shared(A, frozen=True)
    f = same([v], [frozen.T @ v], SHORT)
    assert [node.op.gather for node in products(f)] == [False]
    frozen.set_value(2 * A)
    np.testing.assert_allclose(f(SHORT)[0], 2 * A.T @ SHORT)


def test_large_constants_are_not_copied(monkeypatch):
    monkeypatch.setattr(transposed, "LARGEST_COPY", A.data.nbytes)
    f = same([v], [ss.constant(A).T @ v], SHORT)
    assert [node.op.gather for node in products(f)] == [False]


def test_functions_of_one_constant_share_a_copy_that_goes_with_it():
    a = ss.constant(A.copy())
    f, g = (pytensor.function([v], a.T @ v + n, mode=lowered_mode) for n in (0.0, 1.0))
    copies = [products(h)[0].inputs[0].data for h in (f, g)]
    assert np.shares_memory(*copies)
    copied = weakref.ref(copies[0])
    del a, f, g, copies
    gc.collect()
    assert copied() is None
