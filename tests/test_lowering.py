"""What a compiled graph consists of: no symbolic phase of a constant pattern, no copied pattern, fused loops."""

import gc

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import OPT_FAST_RUN, Mode
from pytensor.link.basic import PerformLinker
from pytensor.tensor.blas import Dot22, Gemm
from pytensor.tensor.math import Dot
from pytensor.tensor.rewriting.fused_elemwise import FusedElemwise

import symsparse as ss
from symsparse.lowering import patterns
from symsparse.lowering.arithmetic import IntersectionPattern, Union, UnionPattern, UnionValues
from symsparse.lowering.base import KernelOp
from symsparse.lowering.conversion import Densify
from symsparse.lowering.indexing import RunPattern
from symsparse.lowering.layout import CanonicalPattern, Positions, TransposePattern
from symsparse.lowering.matmul import CompressedDot, Product, ProductPattern, ProductValues
from symsparse.lowering.sampling import SDDMM, Locate
from symsparse.ops.base import SparseOp, is_sparse
from symsparse.ops.csm import CSM, CSMProperties
from symsparse.testing import random_sparse
from tests.ops.generate import lowered_mode


def ops(function):
    return [node.op for node in function.maker.fgraph.toposort()]


def count(function, *kinds):
    return sum(isinstance(op, kinds) for op in ops(function))


@pytest.fixture
def a():
    return random_sparse("csr", (5, 6), rng=1)


@pytest.fixture
def b():
    return random_sparse("csr", (5, 6), rng=2)


def test_every_sparse_op_is_lowered(a):
    x = ss.csr_matrix("x")
    f = pytensor.function([x], [ss.tanh(-x + x * 2).T @ x, (x @ x.T).sum(axis=0)])
    assert not [op for op in ops(f) if isinstance(op, SparseOp) and not isinstance(op, CSM)]
    f(a)


def test_symbolic_phases_of_constant_patterns_run_at_compile_time_only(a, b, monkeypatch):
    runs = []
    for op in (UnionPattern, IntersectionPattern, ProductPattern, TransposePattern):
        perform = op.perform
        monkeypatch.setattr(
            op, "perform", lambda self, *args, _p=perform: (runs.append(type(self)), _p(self, *args))[1]
        )
    y, c = pt.vector("y"), pt.scalar("c")
    x, z = ss.constant(a), ss.shared(b, frozen=True)
    f = pytensor.function([y, c], [(x + c * z) @ y, (x * z) @ y, (x.T @ z).sum(axis=1), x.tocsc() * c])
    assert {UnionPattern, IntersectionPattern, ProductPattern, TransposePattern} <= set(runs)
    assert not count(f, UnionPattern, IntersectionPattern, ProductPattern, TransposePattern, CanonicalPattern)
    runs.clear()
    v = np.arange(6.0)
    got = f(v, 2.0)
    assert not runs
    np.testing.assert_allclose(got[0], (a + 2 * b) @ v)
    np.testing.assert_allclose(got[1], a.multiply(b) @ v)
    np.testing.assert_allclose(got[2], (a.T @ b).sum(axis=1))
    np.testing.assert_allclose(got[3].toarray(), 2 * a.toarray())


def test_ops_that_keep_the_pattern_share_its_vectors(a):
    x = ss.csr_matrix("x")
    chain = ss.tanh(ss.sin(x) * 2) * x + x
    f = pytensor.function([x], chain)
    assert not count(f, UnionPattern, IntersectionPattern)
    (out,) = f.maker.fgraph.outputs
    # The only copy is the one at the boundary, which makes the result the caller's own.
    assert [type(v.owner.op).__name__ for v in out.owner.inputs[1:3]] == ["DeepCopyOp"] * 2
    np.testing.assert_allclose(f(a).toarray(), np.tanh(2 * np.sin(a.toarray())) * a.toarray() + a.toarray())


def test_elementwise_chain_and_its_sum_are_one_loop(a):
    x = ss.shared(a, frozen=True)
    f = pytensor.function([], ss.sp_sum(ss.structured_exp(ss.sin(x) * 3)))
    assert [type(op) for op in ops(f)] == [FusedElemwise]
    np.testing.assert_allclose(f(), np.exp(3 * np.sin(a.data)).sum())


def test_transposes_cost_nothing(a):
    x, y = ss.csr_matrix("x"), pt.vector("y")
    f = pytensor.function([x, y], x.T.T.T @ y)
    assert not count(f, TransposePattern)
    assert count(f, CompressedDot) == 1
    np.testing.assert_allclose(f(a, np.arange(5.0)), a.T @ np.arange(5.0))


def test_gradient_of_a_product_is_a_sampled_product(a):
    x, d = ss.csr_matrix("x"), pt.matrix("d")
    for product in (ss.dot, ss.structured_dot):
        loss = (product(ss.tanh(x), d) ** 2).sum()
        f = pytensor.function([x, d], pytensor.grad(loss, x))
        assert count(f, SDDMM) == 1
        assert not count(f, Dot, Dot22, Gemm, Densify)


@pytest.mark.parametrize(
    "cotangent",
    [
        lambda g, y: -pt.dot(g, y.T) * 2,
        lambda g, y: pt.dot(y, g.T).T,
        lambda g, y: pt.dot(g, y.T) + pt.dot(g * 2, y.T),
        lambda g, y: pt.dot(g, y.T) * g[:, 0][:, None] + y[:, 0],
    ],
    ids=["elementwise", "transposed", "sum", "broadcast"],
)
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_sampling_reaches_through_dense_expressions(cotangent, format):
    x, g, y = ss.matrix(format, "x"), pt.matrix("g"), pt.matrix("y")
    value = random_sparse(format, (5, 6), rng=1)
    f = pytensor.function([x, g, y], [ss.sample(cotangent(g, y), x), x * cotangent(g, y)])
    assert count(f, SDDMM) >= 1
    assert not count(f, Dot, Dot22, Gemm)
    rng = np.random.default_rng(0)
    gv, yv = rng.uniform(size=(5, 3)), rng.uniform(size=(6, 3))
    dense = cotangent(pt.as_tensor(gv), pt.as_tensor(yv)).eval()
    sampled, product = f(value, gv, yv)
    np.testing.assert_allclose(sampled.toarray(), dense * (value.toarray() != 0))
    np.testing.assert_allclose(product.toarray(), dense * value.toarray())


def test_regular_gradient_of_a_sum_is_not_formed_when_only_sampled(a):
    x, v = ss.csr_matrix("x"), pt.vector("v")
    loss = (ss.tanh(x).sum(axis=1) * v).sum() + ss.sp_sum(ss.sin(x)) + ss.tanh(x).sum(axis=0).sum()
    f = pytensor.function([x, v], pytensor.grad(loss, x))
    assert all(
        out.type.ndim < 2 or is_sparse(out) for node in f.maker.fgraph.apply_nodes for out in node.outputs
    )
    v_value = np.arange(5.0)
    d = a.toarray()
    expected = (1 - np.tanh(d) ** 2) * (v_value[:, None] + 1) + np.cos(d)
    np.testing.assert_allclose(f(a, v_value).toarray(), expected * (d != 0))


def test_a_shape_is_known_without_the_matrix():
    x, y, d = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.matrix("d")
    made = [
        x + y,
        x @ y.T,
        x @ d,
        ss.tanh(x).T,
        x[[0, 0, 1]],
        x.toarray(),
        x.sum(axis=0),
        ss.sampling_dot(d, d, x),
    ]
    made += [
        ss.csr_from_dense(d),
        ss.col_scale(x, d[0]),
        x.tocsc(),
        ss.true_dot(x, d),
        ss.square_diagonal(d[0]),
    ]
    f = pytensor.function([x, y, d], [n for v in made for n in v.shape], on_unused_input="ignore")
    assert not count(f, KernelOp, SparseOp)


def test_canonical_form_is_free_where_it_is_known(a):
    x = ss.constant(a)
    y = ss.csr_from_dense(pt.matrix("d"))
    for made in (x, y, x + y, x * y, x @ y.T, y[[0, 1]]):
        f = pytensor.function(
            [], ss.structured_exp(made), givens={y.owner.inputs[0]: a.toarray()}, on_unused_input="ignore"
        )
        assert not count(f, CanonicalPattern), made


def test_one_pattern_is_made_canonical_once(a):
    """Parts of a matrix that is still to be lowered wait for it: what is known of its pattern is not asked again."""
    x, u, v = ss.csr_matrix("x"), pt.matrix("u"), pt.matrix("v")
    y = ss.where(pt.gt(u @ v.T, 0), x)
    loss = ss.sp_sum(y * y)
    f = pytensor.function([x, u, v], [loss, *pytensor.grad(loss, [x, u])], mode=lowered_mode)
    assert count(f, CanonicalPattern) == count(f, SDDMM) == 1
    assert not count(f, Dot, Dot22, Locate)


def test_a_kernel_op_in_python_and_in_numba_is_the_same_loop(a):
    x = ss.csr_matrix("x")
    out = [x.tocsc(), x @ x.T, ss.sp_sum(x, axis=0), x.toarray()]
    for mode in ("FAST_COMPILE", pytensor.compile.Mode("vm", "fast_run")):
        f = pytensor.function([x], out, mode=mode)
        assert count(f, KernelOp) or count(f, CSMProperties)
        got = f(a)
        np.testing.assert_allclose(got[0].toarray(), a.toarray())
        np.testing.assert_allclose(got[1].toarray(), (a @ a.T).toarray())
        np.testing.assert_allclose(got[2], a.sum(axis=0))
        np.testing.assert_allclose(got[3], a.toarray())


# All rewrites, and nothing to compile but kernels.
python_mode = Mode(PerformLinker(), OPT_FAST_RUN)


def test_what_serves_one_vector_of_values_is_done_in_one_pass(a, b):
    x, y, v = ss.csr_matrix("x"), ss.csr_matrix("y"), pt.lvector("v")
    rows = np.array([3, 0, 3, 1])
    cases = {
        "sum": (x + y, lambda a, b: a + b),
        "product": (x * y, lambda a, b: a * b),
        "format": (x.tocsc(), lambda a, b: a),
        "rows": (x[v], lambda a, b: a[rows]),
        "columns": (x[:, v], lambda a, b: a[:, rows]),
        "slices": (x[::-2, 1:4], lambda a, b: a[::-2, 1:4]),
        "nonzero": (ss.remove0(x), lambda a, b: a),
        "matrix product": ((x + y) @ (x * y).T, lambda a, b: (a + b) @ (a * b).T),
    }
    f = pytensor.function([x, y, v], [out for out, _ in cases.values()], mode=python_mode)
    assert not count(f, Positions, UnionPattern, UnionValues, ProductPattern, ProductValues)
    # One sum, whose result is read by the matrix product too.
    assert (count(f, Union), count(f, Product)) == (1, 1)
    for got, (name, (_, expected)) in zip(f(a, b, rows), cases.items(), strict=True):
        np.testing.assert_allclose(got.toarray(), expected(a.toarray(), b.toarray()), err_msg=name)


def test_a_map_that_serves_two_vectors_of_values_is_made_once(a, b):
    x, y, u = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.vector("u")
    other = x * u[None, :]  # on the pattern of x
    outs = [x.tocsc(), other.tocsc(), x @ y.T, other @ y.T]
    f = pytensor.function([x, y, u], outs, mode=python_mode)
    assert (count(f, TransposePattern), count(f, Positions)) == (1, 1)
    # The second product multiplies on the pattern that the first one found.
    assert (count(f, Product), count(f, ProductValues), count(f, ProductPattern)) == (1, 1, 0)
    scale = np.arange(1.0, 7)
    c = (a * scale).tocsr()
    for got, expected in zip(f(a, b.tocsc(), scale), [a, c, a @ b.T, c @ b.T], strict=True):
        np.testing.assert_allclose(got.toarray(), expected.toarray())


def test_values_that_depend_on_the_pattern_wait_for_it(a, b):
    x, y = ss.csr_matrix("x"), ss.csr_matrix("y")
    stored = (x @ y.T).indices.shape[0].astype("float64")
    united = (x + y).indices.shape[0].astype("float64")
    converted = x.tocsc().indices.sum().astype("float64")
    outs = [x.with_values(x.values * stored) @ y.T, x.with_values(x.values * united) + y]
    outs += [x.with_values(x.values * converted).tocsc()]
    f = pytensor.function([x, y], outs, mode=python_mode)
    expected = [a * (a @ b.T).nnz @ b.T, a * (a + b).nnz + b, a * a.tocsc().indices.sum()]
    for got, want in zip(f(a, b), expected, strict=True):
        np.testing.assert_allclose(got.toarray(), want.toarray())


def test_rows_that_follow_each_other_are_not_copied_for_a_product(a):
    x, y, i = ss.csr_matrix("x"), pt.vector("y"), pt.lscalar("i")
    f = pytensor.function([x, y, i], x[i : i + 2] @ y, mode=python_mode)
    assert count(f, RunPattern) == 1
    assert not count(f, Positions)
    np.testing.assert_allclose(f(a, np.arange(6.0), 1), a.toarray()[1:3] @ np.arange(6.0))


def test_what_is_known_of_patterns_goes_with_their_graph():
    gc.collect()
    before = len(patterns._structures), len(patterns._keys)
    x, y = ss.csr_matrix("x"), ss.csr_matrix("y")
    shared = ss.structured_dot(x, y)
    sums = [shared + shared * 2, ss.structured_dot(x, y) * 3 + shared]  # equal patterns: no union
    f = pytensor.function([x, y], sums, mode=python_mode)
    assert not count(f, Union, UnionPattern)
    assert len(patterns._structures) > before[0]
    del x, y, shared, sums, f
    gc.collect()
    assert len(patterns._structures) <= before[0]
    assert len(patterns._keys) <= before[1]
