"""Who owns what: results, inputs, constants and shared variables never see each other's in-place changes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.conditional.op import ifelse

import symsparse as ss
from symsparse.testing import random_sparse

MODES = {"numba": None, "vm": pytensor.compile.mode.Mode("vm"), "fast_compile": "FAST_COMPILE"}


@pytest.fixture(params=MODES)
def mode(request):
    return MODES[request.param]


def eye():
    return sp.csr_array(np.eye(3))


def spoil(matrix):
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array[:] = 0


def test_no_op_works_in_place_on_a_pattern(mode):
    x = ss.csr_matrix("x")
    s = ss.shared(eye())
    three = np.int32(3)
    other = x.tocsc()
    product = x @ x
    f = pytensor.function(
        [x],
        [other * 2, other.indices * three, product, product.indptr + three, s.indices * three],
        updates=[(s, s * 2)],
        mode=mode,
    )
    got = f(eye())
    np.testing.assert_array_equal(got[0].indices, [0, 1, 2])
    np.testing.assert_array_equal(got[1], [0, 3, 6])
    np.testing.assert_array_equal(got[2].indptr, [0, 1, 2, 3])
    np.testing.assert_array_equal(s.get_value().indices, [0, 1, 2])


def test_the_pattern_of_an_input_that_may_be_overwritten_stays(mode):
    x = ss.csr_matrix("x")
    f = pytensor.function([pytensor.In(x, mutable=True)], [x.indices * np.int32(3), x.indptr + 1], mode=mode)
    value = eye()
    indices, indptr = f(value)
    np.testing.assert_array_equal(indices, [0, 3, 6])
    np.testing.assert_array_equal(indptr, [1, 2, 3, 4])
    np.testing.assert_array_equal(value.indices, [0, 1, 2])
    np.testing.assert_array_equal(value.indptr, [0, 1, 2, 3])


SOURCES = {
    "input": lambda x: x,
    "transposed input": lambda x: x.T,
    "constant": lambda x: ss.constant(eye()),
    "transposed constant": lambda x: ss.constant(eye()).T,
    "shared": lambda x: ss.shared(eye()),
    "frozen": lambda x: ss.shared(eye(), frozen=True),
    "ones like frozen": lambda x: ss.shared(eye(), frozen=True).ones_like(),
    "computed": lambda x: ss.tanh(x),
    "product": lambda x: x @ x,
}


@pytest.mark.parametrize("source", SOURCES)
def test_spoiling_a_result_changes_nothing_else(source, mode):
    x = ss.csr_matrix("x")
    made = SOURCES[source](x)
    outputs = [made, made.T, made * 2.0, made.astype("float32")]
    f = pytensor.function([x], outputs, mode=mode, on_unused_input="ignore")
    value = eye()
    first = f(value)
    expected = [m.toarray() for m in first]
    for i, m in enumerate(first):
        spoil(m)
        for other, answer in zip(first[i + 1 :], expected[i + 1 :], strict=True):
            np.testing.assert_array_equal(other.toarray(), answer)
    np.testing.assert_array_equal(value.toarray(), np.eye(3))
    for again, answer in zip(f(value), expected, strict=True):
        np.testing.assert_array_equal(again.toarray(), answer)


def test_results_beside_updates(mode):
    s, w = ss.shared(eye()), ss.shared(eye(), frozen=True)
    updates = [(s, s * 2), (w.values, w.values * 2)]
    f = pytensor.function([], [s.T, s, w, w * 3], updates=updates, mode=mode)
    for _ in range(2):
        for m in f():
            spoil(m)
    np.testing.assert_array_equal(s.get_value().toarray(), 4 * np.eye(3))
    np.testing.assert_array_equal(w.get_value().toarray(), 4 * np.eye(3))


def test_static_shape_is_checked_before_any_kernel_trusts_it(mode):
    x, y = ss.csr_matrix("x", shape=(3, 3)), ss.csr_matrix("y")
    f = pytensor.function([y], [x.tocsc(), x @ x, x * 2], givens={x: y}, mode=mode)
    with pytest.raises(ValueError, match="shape"):
        f(random_sparse("csr", (3, 2000), 0.3, rng=0))
    f(eye())


BRANCHES = {
    "input": lambda x: x,
    "constant": lambda x: ss.constant(2 * eye()),
    "frozen": lambda x: ss.shared(3 * eye(), frozen=True),
    "computed": lambda x: ss.tanh(x),
    "zeros": lambda x: x.zeros_like(),
}


@pytest.mark.parametrize(
    "pair", [("input", "constant"), ("constant", "frozen"), ("computed", "frozen"), ("zeros", "input")]
)
def test_ifelse_between_any_two_kinds(pair):
    c, x = pt.bscalar("c"), ss.csr_matrix("x", shape=(3, 3))
    branches = [BRANCHES[name](x) for name in pair]
    f = pytensor.function([c, x], ifelse(c, *branches), on_unused_input="ignore")
    for flag, branch in zip((1, 0), branches, strict=True):
        answer = branch.eval({x: eye()}, on_unused_input="ignore") if branch is not x else eye()
        np.testing.assert_allclose(f(flag, eye()).toarray(), answer.toarray())


def test_gradient_through_ifelse():
    c, x = pt.bscalar("c"), ss.csr_matrix("x")
    loss = (ifelse(c, x * 2, x * 3) @ np.ones(3)).sum()
    f = pytensor.function([c, x], pytensor.grad(loss, x))
    for flag, slope in ((1, 2), (0, 3)):
        got = f(flag, eye())
        np.testing.assert_allclose((got.toarray() if sp.issparse(got) else got)[np.eye(3, dtype=bool)], slope)


def test_copy_is_the_identity_for_gradients_too():
    d = pt.dmatrix("d")
    x = ss.csr_from_dense(d)
    g = pytensor.function([d], [pytensor.grad(x.sum(), d), pytensor.grad(x.copy().sum(), d)])(np.eye(2))
    np.testing.assert_array_equal(g[0], 1)
    np.testing.assert_array_equal(g[1], 1)
