"""Reductions along one axis of what a kernel made are fused loops, and give what PyTensor's own reductions give."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.scalar.basic import Identity
from pytensor.tensor.elemwise import CAReduce, Elemwise

import symsparse as ss
from symsparse.testing import random_sparse

x, w = ss.csr_matrix("x", dtype="float32"), pt.fmatrix("w")
KINDS = {"max": np.max, "min": np.min, "sum": np.sum}


@pytest.fixture(scope="module")
def compiled():
    product = x @ w
    return pytensor.function(
        [x, w], [getattr(pt, kind)(product, axis=axis) for kind in KINDS for axis in (0, 1)]
    )


def test_no_general_reduction_and_no_copy_is_left(compiled):
    ops = [node.op for node in compiled.maker.fgraph.apply_nodes]
    assert not [op for op in ops if isinstance(op, CAReduce)]
    assert not [op for op in ops if isinstance(op, Elemwise) and isinstance(op.scalar_op, Identity)]


@pytest.mark.parametrize(("n", "m", "k"), [(5, 4, 3), (1, 4, 1), (30, 20, 19)])
@pytest.mark.parametrize("with_nan", [False, True])
def test_values(compiled, n, m, k, with_nan):
    A = random_sparse("csr", (n, m), 0.5, dtype="float32", rng=1)
    W = np.random.default_rng(2).normal(size=(m, k)).astype("float32")
    if with_nan:
        W[0, 0] = np.nan
    results = iter(compiled(A, W))
    for reduce in KINDS.values():
        for axis in (0, 1):
            expected = reduce(A @ W, axis=axis)
            found = next(results)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_what_it_leaves_alone():
    def reductions(output):
        f = pytensor.function([x, w], [output, x @ w])
        return [node.op for node in f.maker.fgraph.apply_nodes if isinstance(node.op, CAReduce)]

    assert len(reductions(w.max(axis=1))) == 1  # an input may lie in any order
    assert len(reductions((x @ w).T.max(axis=1))) <= 1
    assert len(reductions((x @ w).max())) == 1
