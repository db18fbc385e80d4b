"""The user's line on sparse variables: through gradients, and in what PyTensor itself prints."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import symsparse as ss
from symsparse.testing import random_sparse
from symsparse.tracing import described_op, label_of, origin_of, user_line
from tests.ops.generate import lowered_mode

X, W = ss.csr_matrix("x"), pt.dmatrix("w")


def here(v):
    line = user_line(v)
    assert line.file == __file__
    return line.text


def test_lines_of_ops_and_of_gradients():
    product = ss.tanh(X) @ W
    assert here(product) == "product = ss.tanh(X) @ W"
    gradient = pytensor.grad(product.sum(), X)
    assert here(gradient) == "gradient = pytensor.grad(product.sum(), X)"
    regular = pytensor.grad(ss.dot(X, W).sum(), X)
    assert here(regular) == "regular = pytensor.grad(ss.dot(X, W).sum(), X)"
    draws = ss.poisson(X)
    assert here(draws) == "draws = ss.poisson(X)"


def test_pytensor_shows_the_line_of_a_failing_op():
    f = pytensor.function([X, W], X @ W, mode=lowered_mode)
    verbose = pytensor.config.change_flags(exception_verbosity="medium")
    with verbose, pytest.raises(ValueError, match=r"f = pytensor\.function"):
        f(random_sparse("csr", (3, 4), rng=0), np.zeros((5, 2)))


def test_no_lines_without_traces():
    with pytensor.config.change_flags(traceback__limit=0):
        assert user_line(X @ W) is None


def test_names():
    assert label_of(X.T.T) == label_of(X) == "x"
    assert label_of(X[[1, 2]].T) == "x[...].T"
    assert label_of(ss.tanh(X)) == ""
    assert described_op((X + X).owner.op) == "add"
    assert described_op(X.toarray().owner.op) == "toarray"
    assert described_op(X.tocsc().owner.op) == "tocsc"
    assert described_op(ss.structured_exp(X).owner.op) == "exp"
    assert origin_of(X[1:, [0, 1]].owner).operands == ("x csr", "slice", "dense")
    assert origin_of(X[[0, 1]].owner).operands == ("x csr", "dense")
