"""Rewriting grows with the graph, not with the number of paths through it."""

import time

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from tests.ops.generate import lowered_mode

# Linear work takes two to five seconds here; the exponential work that these tests guard against took minutes.
LIMIT = 60


def seconds(inputs, output):
    start = time.perf_counter()
    pytensor.function(inputs, output, mode=lowered_mode)
    return time.perf_counter() - start


def test_a_long_sum_of_different_patterns():
    xs = [ss.csr_matrix(f"x{i}") for i in range(25)]
    assert seconds(xs, sum(xs[1:], start=xs[0]).sum()) < LIMIT


def test_patterns_that_depend_on_each_other():
    a, b = x, y = ss.csr_matrix("a"), ss.csr_matrix("b")
    for _ in range(10):
        a, b = a + b, a * b
    assert seconds([x, y], (a + b).sum()) < LIMIT


def test_a_deep_expression_of_a_dense_form():
    x = ss.csr_matrix("x")
    h = x.toarray()
    for _ in range(22):
        h = pt.tanh(h) * h
    assert seconds([x], h.sum()) < LIMIT


@pytest.mark.slow
def test_a_deep_expression_that_is_gathered():
    x = ss.csr_matrix("x")
    u, v = pt.dmatrices("u", "v")
    i, j = pt.lvectors("i", "j")
    h = u @ v.T
    for _ in range(15):
        h = pt.tanh(h) * h
    gradient = pytensor.grad(h[i, j].sum(), u)
    assert seconds([x, u, v, i, j], gradient * x.sum()) < LIMIT


def test_a_deep_dense_expression_of_a_product():
    u, v = pt.dmatrices("u", "v")
    x = ss.csr_matrix("x")
    h = u @ v.T
    for _ in range(20):
        h = pt.tanh(h) * h
    assert seconds([u, v, x], (x * h).sum()) < LIMIT


def test_two_hundred_operations():
    """Under a second on an idle machine, of which most is PyTensor's: see docs/design.md."""
    x, c = ss.csr_matrix("x", dtype="float64"), ss.csc_matrix("c", dtype="float64")
    d = pt.dmatrix("d")
    h, total = x, 0
    for _ in range(20):
        h = ss.sin(h) * x - c.tocsr()
        total += ((h @ d) ** 2).sum() + (h.T @ d).sum() + ss.sp_sum(h * h)
        h = ss.col_scale(h, d[0])
    start = time.process_time()
    pytensor.function([x, c, d], total, mode=lowered_mode)
    assert time.process_time() - start < 10


def test_compiled_functions_do_not_grow_with_the_stored_entries():
    """A constant pattern is data: the same operations for ten entries and for ten thousand."""
    v, d = pt.dvector("v"), pt.dmatrix("d")
    graphs = []
    for n in (10, 10_000):
        a = ss.constant(sp.csr_array(sp.diags_array(np.arange(1.0, n)[: n - 1], offsets=1, shape=(n, n))))
        gram = a.T @ ss.diags(v) @ a
        loss = ss.sp_sum(ss.sin(gram + a)) + ((a @ d) ** 2).sum() + (a[[1, 2]] @ v).sum()
        f = pytensor.function([v, d], [loss, *pytensor.grad(loss, [v, d])], mode=lowered_mode)
        graphs.append([type(node.op) for node in f.maker.fgraph.toposort()])
    assert graphs[0] == graphs[1]
