"""Scaling along both axes is one pass over the stored values, and stays what it was where that is not possible."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import symsparse as ss
from symsparse.lowering.layout import RepeatMajor, TakeMinor
from symsparse.lowering.scaling import Scale
from symsparse.testing import random_sparse
from tests.ops.generate import lowered_mode

N, M = 5, 7


def kinds(f):
    return [type(node.op).__name__ for node in f.maker.fgraph.toposort() if isinstance(node.op, Scale)]


@pytest.fixture(params=["csr", "csc"])
def x(request):
    return ss.matrix(request.param, "x")


def scaled(x, mode=lowered_mode):
    u, v = pt.vector("u"), pt.vector("v")
    inputs, outputs = (
        [x, u, v],
        [x * u[:, None], x * v, ss.col_scale(ss.row_scale(x, u), v), x * v * u[:, None] / 2],
    )
    return pytensor.function(inputs, outputs, mode=mode)


def test_values_and_graph(x):
    f = scaled(x)
    a = random_sparse(x.format, (N, M), rng=1)
    u, v = np.arange(1.0, N + 1), np.arange(2.0, M + 2)
    d = a.toarray()
    rows, columns = d * u[:, None], d * v
    for result, expected in zip(f(a, u, v), [rows, columns, rows * v, rows * v / 2], strict=True):
        np.testing.assert_allclose(result.toarray(), expected, rtol=1e-15)
    assert sorted(set(kinds(f))) == ["ScaleBoth", "ScaleMajor", "ScaleMinor"]
    assert not any(isinstance(node.op, RepeatMajor | TakeMinor) for node in f.maker.fgraph.toposort())
    with pytest.raises(ValueError, match="the shapes do not fit"):
        f(a, u[:-1], v)


def test_other_dtypes_are_multiplied_by_pytensor(x):
    u = pt.fvector("u")
    f = pytensor.function([x, u], ss.row_scale(x, u), mode=lowered_mode)
    a = random_sparse(x.format, (N, M), rng=1)
    np.testing.assert_allclose(f(a, np.ones(N, "float32")).toarray(), a.toarray())
    assert not kinds(f)


def test_compiled(x):
    f = scaled(x, "NUMBA")
    reference = scaled(x)
    rng = np.random.default_rng(2)
    for shape in [(N, M), (0, M), (N, 0), (1, 1), (40, 30)]:
        a, u, v = random_sparse(x.format, shape, rng=3), rng.normal(size=shape[0]), rng.normal(size=shape[1])
        for result, expected in zip(f(a, u, v), reference(a, u, v), strict=True):
            np.testing.assert_allclose(result.toarray(), expected.toarray(), rtol=1e-14)
