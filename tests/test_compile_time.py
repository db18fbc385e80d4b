"""Rewriting grows with the graph, not with the number of paths through it."""

import time

import pytensor
import pytensor.tensor as pt

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
    for _ in range(25):
        h = pt.tanh(h) * h
    assert seconds([x], h.sum()) < LIMIT


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
