"""Elementwise operations in functions with sparse matrices: values, and who gets this code and who does not."""

import gc
import weakref

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.tensor.elemwise import Elemwise

import symsparse as ss
from symsparse.kernels.memory import LARGE
from symsparse.lowering.vector_math import VectorComposite, VectorMath
from symsparse.testing import reference_mode

SIZES = (0, 1, 7, 16, 33, 1000)


def composites(f):
    """Scalar operations of the elementwise nodes of a compiled function, those inside fused nodes included."""
    found = []
    for node in f.maker.fgraph.toposort():
        inner = getattr(node.op, "fgraph", None)
        for step in (node, *(inner.apply_nodes if inner is not None else ())):
            if isinstance(step.op, Elemwise):
                found.append(step.op.scalar_op)
    return found


def row(values, dtype):
    values = np.asarray(values, dtype)
    n = len(values)
    return sp.csr_array((values, np.arange(n), np.array([0, n])), shape=(1, max(n, 1)))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_values(dtype, capfd):
    x, d, taken = ss.csr_matrix("x", dtype=dtype), pt.matrix("d", dtype=dtype), pt.lvector("taken")
    scale = pt.vector("scale", dtype=dtype)
    v = x.values
    outputs = [
        pt.tanh(v) * pt.softplus(v) + pt.expm1(v),  # one chain of several functions
        pt.log(abs(v)),
        pt.log1p(v * v).sum(),  # with its sum
        pt.log1p(d[:, 0] ** 2).max(),
        pt.exp(v).sum() + pt.sqrt(pt.exp(v)).sum(),
        pt.sigmoid(2 * pt.exp(v)) * scale[taken],  # with a gather
        pt.exp(d - d.max(axis=1, keepdims=True)),  # over rows
        pt.exp(d - d.max(axis=1, keepdims=True)).sum(axis=1),
        pt.exp(d.T),
        pt.switch(v > 0, pt.gammaln(abs(v) + 1), pt.exp(v)),  # with a call that stays a call
        (2 * v) ** 3 - 1,
        pt.exp(abs(v)) ** 0.3,
        pt.inc_subtensor(pt.zeros(5, dtype)[taken], pt.exp(v)),  # with a scatter
        pt.clip(pt.exp(v), 0.1, 1.0),
    ]
    inputs = [x, d, taken, scale]
    f = pytensor.function(inputs, outputs, mode="NUMBA")
    assert any(isinstance(op, VectorComposite) for op in composites(f))
    f(row([1.0], dtype), np.ones((1, 1), dtype), np.zeros(1, int), np.ones(1, dtype))
    assert capfd.readouterr().err == ""  # where LLVM says that it could not do as it was told
    expected = pytensor.function(inputs, outputs, mode=reference_mode)
    rng = np.random.default_rng(1)
    for n in (*SIZES, LARGE // 4 + 3):
        v = 3 * rng.normal(size=n).astype(dtype)
        if n > 30:
            v[:5] = [0.0, -0.0, np.inf, -np.inf, np.nan]
        values = row(v, dtype), rng.normal(size=(n % 50 + 1, n % 37 + 1)).astype(dtype)
        values += rng.integers(0, 5, n), rng.normal(size=5).astype(dtype)
        with np.errstate(all="ignore"):
            right = expected(*values)
        for result, reference in zip(f(*values), right, strict=True):
            assert result.dtype == reference.dtype
            tolerance = 4e-15 if dtype == "float64" else 2e-6
            np.testing.assert_allclose(result, reference, rtol=tolerance, atol=tolerance)


def test_a_chain_may_work_in_place():
    x = ss.csr_matrix("x")
    state = pytensor.shared(np.linspace(-1, 1, 40))
    f = pytensor.function([x], x.sum(), updates=[(state, pt.exp(state) + 1)], mode="NUMBA")
    f(row([1.0], "float64"))
    np.testing.assert_allclose(state.get_value(), np.exp(np.linspace(-1, 1, 40)) + 1, rtol=1e-15)


def test_programs_without_sparse_variables_keep_their_code():
    d, x = pt.dmatrix("d"), ss.csr_matrix("x")
    chain = pt.exp(pt.tanh(d) * 2) + pt.log1p(d)
    dense = pytensor.function([d], [chain, chain.sum()], mode="NUMBA")
    mixed = pytensor.function([d, x], [chain, x.sum()], mode="NUMBA")
    assert composites(dense)
    assert not any(isinstance(op, VectorComposite | VectorMath) for op in composites(dense))
    assert any(isinstance(op, VectorComposite) for op in composites(mixed))


def test_integers_and_scalars_are_left_alone():
    x, n, s = ss.csr_matrix("x"), pt.lvector("n"), pt.dscalar("s")
    f = pytensor.function([x, n, s], [x.sum(), n * 2 + 1, pt.exp(s) * 2], mode="NUMBA")
    assert len(composites(f)) == 2
    assert not any(isinstance(op, VectorComposite) for op in composites(f))


def test_loops_over_vectors_get_hints(monkeypatch):
    from symsparse.backends import numba_math

    if numba_math._vectorized_with_hints is numba_math._vectorized:
        pytest.skip("hints are for hosts with AVX-512")
    hinted, original = [], numba_math._hint
    monkeypatch.setattr(numba_math, "_hint", lambda *args: hinted.append(original(*args)))
    x, d = ss.csr_matrix("x"), pt.dmatrix("d")
    with pytensor.config.change_flags(numba__cache=False):
        f = pytensor.function([x, d], [pt.exp(x.values), pt.exp(d) + 1, x.values * 2], mode="NUMBA")
        f(row(np.ones(5), "float64"), np.ones((2, 2)))
    assert len(hinted) == 1


def test_equal_functions_merge_and_others_do_not():
    x = pytensor.scalar.float64("x")
    exp, log = (VectorMath(op) for op in (pytensor.scalar.exp, pytensor.scalar.log))
    assert exp == VectorMath(pytensor.scalar.exp)
    assert hash(exp) == hash(VectorMath(pytensor.scalar.exp))
    assert exp != log
    assert exp(x).dtype == "float64"
    assert exp.impl(1.0) == np.exp(1.0)


def test_code_of_an_elementwise_operation_keeps_no_graph():
    """Numba keeps the code as long as the process lives, and the graph could hold a large constant."""
    from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

    import symsparse.backends.numba_math  # noqa: F401

    constant = pt.constant(np.ones(5))
    out = pt.sin(pt.cos(constant))
    code, _ = numba_funcify_and_cache_key(out.owner.op, node=out.owner)
    before = weakref.ref(constant.data)
    del constant, out
    gc.collect()
    assert before() is None, code
