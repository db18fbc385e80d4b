"""Gathers of products of dense matrices and their gradients: nothing of the size of the product is formed."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.tensor.subtensor import AdvancedIncSubtensor

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.lowering.conversion import Densify
from symsparse.lowering.sampling import SDDMM
from symsparse.rewrites.base import is_dense_product
from symsparse.testing import random_sparse, reference_mode
from tests.ops.generate import lowered_mode

M, N, K, PAIRS = 30, 40, 3, 60
x = ss.csr_matrix("x", dtype="float64")
i, j = pt.lvectors("i", "j")
r, b = pt.dvectors("r", "b")


def factors(static):
    sizes = ((M, K), (N, K)) if static else ((None, None),) * 2
    return [pt.tensor(name, dtype="float64", shape=shape) for name, shape in zip("uv", sizes, strict=True)]


#: what is read of u and v
READ = {
    "product": lambda u, v: (u @ v.T)[i, j],
    "transposed": lambda u, v: (v @ u.T).T[i, j],
    "function": lambda u, v: pt.sigmoid(u @ v.T + b[None, :])[i, j],
    "two gathers": lambda u, v: (u @ v.T)[i, j] - (u @ v.T)[i, j[::-1]],
    "scaled": lambda u, v: (2 * (u @ v.T))[i, j] ** 2,
    "constant pairs": lambda u, v: (u @ v.T)[np.arange(PAIRS) % M, np.arange(PAIRS) % N - N // 2],
}


def model(name, static=False):
    u, v = factors(static)
    loss = ((READ[name](u, v) - r) ** 2).sum()
    outputs = [loss, *pytensor.grad(loss, [u, v, b], disconnected_inputs="ignore")]
    return [u, v, i, j, r, b], outputs


def given():
    rng = np.random.default_rng(0)
    u, v, values, bias = (rng.normal(size=size) for size in ((M, K), (N, K), PAIRS, N))
    return [u, v, rng.integers(-M, M, PAIRS), rng.integers(-N, N, PAIRS), values, bias]


def formed(f):
    """Nodes that make a matrix as large as the product, or would."""
    nodes = f.maker.fgraph.toposort()
    products = [n for n in nodes if is_dense_product(n.op) or type(n.op).__name__.startswith(("Dot", "Gemm"))]
    large = [n for n in nodes if isinstance(n.op, AdvancedIncSubtensor) and n.outputs[0].type.ndim == 2]
    return products + large + [n for n in nodes if isinstance(n.op, Densify)]


def symbolic(f):
    return [n for n in f.maker.fgraph.toposort() if isinstance(n.op, KernelOp) and n.op.symbolic]


def compiled(inputs, outputs, mode=lowered_mode):
    return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")


@pytest.mark.parametrize("static", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READ)
def test_values_and_gradients_without_the_product(name, static):
    inputs, outputs = model(name, static)
    a = random_sparse("csr", (4, 4), rng=0)
    # x makes it a program of ours
    f, reference = (
        compiled([*inputs, x], [*outputs, x.sum()], mode) for mode in (lowered_mode, reference_mode)
    )
    assert not formed(f)
    assert [n for n in f.maker.fgraph.toposort() if isinstance(n.op, SDDMM)]
    for found, expected in zip(f(*given(), a), reference(*given(), a), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_constant_pairs_of_known_sizes_are_sorted_when_compiled():
    inputs, outputs = model("constant pairs", static=True)
    f = compiled([*inputs, x], [*outputs, x.sum()])
    assert not formed(f)
    assert not symbolic(f)


def test_forward_and_backward_share_the_pattern():
    inputs, outputs = model("product")
    assert len(symbolic(compiled([*inputs, x], [*outputs, x.sum()]))) == 1


def test_programs_without_sparse_matrices_stay_as_they_are():
    inputs, outputs = model("function")
    f = compiled(inputs, outputs)
    assert formed(f)
    assert not [n for n in f.maker.fgraph.toposort() if isinstance(n.op, KernelOp)]


def test_pairs_from_a_sparse_matrix():
    """Row and column of each stored entry: the values are those of `sampling_dot`."""
    u, v = factors(static=False)
    rows = pt.repeat(pt.arange(x.shape[0]), pt.diff(x.indptr))
    gathered = (u @ v.T)[rows, x.indices]
    g = pytensor.grad((gathered * x.values).sum(), [u, v])
    f = compiled([u, v, x], [gathered, *g])
    assert not formed(f)
    u, v, a = *given()[:2], random_sparse("csr", (M, N), 0.1, rng=1)
    for found, expected in zip(f(u, v, a), ((u @ v.T)[a.nonzero()], a @ v, a.T @ u), strict=True):
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("change", [(2, M), (3, -N - 1), (3, None)])
def test_pairs_that_do_not_fit_are_errors(change):
    inputs, outputs = model("product")
    f = compiled([*inputs, x], [outputs[0], x.sum()])
    arguments = given()
    at, what = change
    arguments[at] = (
        arguments[at][:-1] if what is None else np.where(np.arange(PAIRS) == 5, what, arguments[at])
    )
    with pytest.raises(IndexError):
        f(*arguments, random_sparse("csr", (4, 4), rng=0))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "complex128", "int32"])
def test_dtypes(dtype):
    u, v = pt.matrix("u", dtype=dtype), pt.matrix("v", dtype=dtype)
    out = (u @ v.T)[i, j]
    f = compiled([u, v, i, j, x], [out, x.sum()])
    assert not formed(f)
    p, q = (np.round(4 * a).astype(dtype) for a in given()[:2])
    found = f(p, q, *given()[2:4], random_sparse("csr", (4, 4), rng=0))[0]
    assert found.dtype == out.dtype == dtype
    np.testing.assert_allclose(found, (p @ q.T)[tuple(given()[2:4])])


def test_no_pairs():
    inputs, outputs = model("product")
    arguments = given()
    for at in (2, 3, 4):
        arguments[at] = arguments[at][:0]
    found = compiled([*inputs, x], [*outputs, x.sum()])(*arguments, random_sparse("csr", (4, 4), rng=0))
    assert found[0] == 0
    assert not found[1].any()


def test_values_that_are_not_as_many_as_their_positions():
    _, v = factors(static=False)
    scattered = pt.inc_subtensor(pt.zeros((M, N))[i, j], r) @ v
    f = compiled([v, i, j, r, x], [scattered, x.sum()])
    assert not formed(f)
    _, v, rows, columns, values, _ = given()
    for wrong in (values[:-1], np.append(values, 1.0)):
        with pytest.raises(ValueError, match="inc_subtensor"):
            f(v, rows, columns, wrong, random_sparse("csr", (4, 4), rng=0))
