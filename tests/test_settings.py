"""`symsparse.config`: dense forms that nobody asked for, and the class of the matrices that are handed out."""

import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.container import AsMatrix
from symsparse.testing import random_sparse, reference_mode
from tests.ops.generate import lowered_mode

X, Y = ss.csr_matrix("x", dtype="float64"), ss.csr_matrix("y", dtype="float64", shape=(1000, 2000))
W, D = pt.dmatrix("w"), pt.dmatrix("d")
INPUTS = [X, Y, W, D]


def grad(loss, wrt=X):
    return pytensor.grad(loss.sum(), wrt)


ALLOWED = {
    "toarray": lambda: X.toarray(),
    "sum with a dense matrix": lambda: X + D,
    "comparison with a dense matrix": lambda: X > D,
    "dot of two sparse matrices": lambda: ss.dot(X, Y),
    "gradient on the pattern": lambda: grad((X @ W) ** 2),
    "regular gradient that is only sampled": lambda: ss.sample(grad(ss.dot(X, W) ** 2), X),
    "regular gradient of a sum, summed": lambda: (grad(X) ** 2).sum(),
    "comparison that is false at zero": lambda: ss.lt(X, Y),
    "gradient of a dense operand": lambda: grad(X * D, D),
    "from dense": lambda: ss.csr_from_dense(D) @ W,
    "only the shape is read": lambda: X.toarray().shape[0],
    "shape of a regular gradient": lambda: grad(ss.dot(X, W) ** 2).shape[0],
    "dense form that a rewrite removes": lambda: pt.dot(X.toarray(), W),
}
SILENT = {
    "regular gradient": (lambda: grad(ss.dot(X, W) ** 2), "regular gradient with respect to x"),
    "its norm": (lambda: (grad(ss.dot(X, W) ** 2) ** 2).sum(), "regular gradient with respect to x"),
    "regular gradient of a sum": (lambda: 2 * grad(X), "regular gradient with respect to x"),
    "comparison that holds at zero": (lambda: ss.eq(X, Y), r"eq\(x csr, y csr\)"),
    "dense product behind a sparse one": (lambda: ss.true_dot(X, W), r"true_dot\(x csr, w\)"),
    "known size": (lambda: grad(ss.dot(Y, W) ** 2, Y), r"dense 1,000 x 2,000 float64, 16 MB"),
}


def compiled(out, mode=lowered_mode):
    return pytensor.function(INPUTS, out, mode=mode, on_unused_input="ignore")


@pytest.mark.parametrize("case", ALLOWED)
def test_what_was_asked_for_is_allowed(case):
    with ss.config.change_flags(densify="raise"):
        compiled(ALLOWED[case]())


@pytest.mark.parametrize("mode", [lowered_mode, reference_mode], ids=["lowered", "reference"])
@pytest.mark.parametrize("case", SILENT)
def test_what_nobody_asked_for(case, mode):
    make, what = SILENT[case]
    out = make()
    compiled(out, mode)  # by default all is allowed
    with ss.config.change_flags(densify="warn"), pytest.warns(ss.DensificationWarning, match=what) as caught:
        compiled(out, mode)
    with ss.config.change_flags(densify="raise"), pytest.raises(ss.DensificationError, match=what) as raised:
        compiled(out, mode)
    # Both show the line that wrote it, and what to write instead.
    for text in (str(caught[0].message), str(raised.value)):
        assert "test_settings.py:" in text
        assert any(word in text for word in ("structured_dot", "neq", "x @ y"))
    assert caught[0].filename == __file__


def test_all_dense_forms_are_in_one_error():
    with ss.config.change_flags(densify="raise"), pytest.raises(ss.DensificationError) as raised:
        compiled([SILENT["regular gradient"][0](), ss.eq(X, Y)])
    assert "regular gradient" in str(raised.value)
    assert "eq(x csr" in str(raised.value)


def test_settings_are_checked_and_restored():
    with pytest.raises(ValueError, match="densify"):
        ss.config.densify = "sometimes"
    assert ss.config.densify == "allow"
    with pytest.raises(ZeroDivisionError), ss.config.change_flags(densify="warn", container="matrix"):
        raise ZeroDivisionError
    assert (ss.config.densify, ss.config.container) == ("allow", "array")
    assert not hasattr(pytensor.config, "densify")


def test_flags_from_the_environment():
    code = "import symsparse; print(symsparse.config.densify, symsparse.config.container)"
    environment = {**os.environ, "SYMSPARSE_FLAGS": "densify=warn,container=matrix"}
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["warn", "matrix"]


# -- container --------------------------------------------------------------------------------------------------

A = random_sparse("csr", (4, 5), rng=0)
CLASSES = {"array": (sp.csr_array, sp.csc_array), "matrix": (sp.csr_matrix, sp.csc_matrix)}


def arrays(value):
    return value.data, value.indices, value.indptr


@pytest.mark.parametrize("mode", [None, lowered_mode, reference_mode], ids=["numba", "lowered", "reference"])
def test_outputs_are_matrices_where_that_was_set_at_compilation(mode):
    s = ss.shared(A)
    outputs = [X * 2, X, X.T, X, ss.constant(A), s * 3.0, s]
    with ss.config.change_flags(container="matrix"):
        f = pytensor.function([X], outputs, updates=[(s, s * 2.0)], mode=mode)
    got = f(A)
    assert [type(v) for v in got] == [CLASSES["matrix"][v.format == "csc"] for v in got]
    for value, expected in zip(got, [A * 2, A, A.T, A, A, A * 3, A], strict=True):
        np.testing.assert_array_equal(value.toarray(), expected.toarray())
    # Results are the caller's own, and the shared variable holds an array as ever.
    values = [A, s.get_value(borrow=True), *got]
    for i, one in enumerate(values):
        for other in values[:i]:
            assert not any(np.shares_memory(p, q) for p in arrays(one) for q in arrays(other))
    assert type(s.container.value) is sp.csr_array
    np.testing.assert_array_equal(f(A)[5].toarray(), 6 * A.toarray())


def test_arrays_cost_nothing():
    f = pytensor.function([X], X * 2, mode=lowered_mode)
    assert not [node for node in f.maker.fgraph.apply_nodes if isinstance(node.op, AsMatrix)]
    assert type(f(A)) is sp.csr_array


def test_get_value_hands_out_the_container():
    for s in (ss.shared(A), ss.shared(A, frozen=True), ss.shared(A.tocsc(), frozen=True)):
        for container, classes in CLASSES.items():
            with ss.config.change_flags(container=container):
                value = s.get_value()
                assert type(value) is classes[s.format == "csc"]
                s.set_value(value)
                np.testing.assert_array_equal(value.toarray(), A.toarray())
                assert not np.shares_memory(value.data, s.get_value(borrow=True).data)


def test_matrices_may_come_in():
    with ss.config.change_flags(container="matrix"):
        assert type((X * 2).eval({X: sp.csr_matrix(A)}, mode=lowered_mode)) is sp.csr_matrix
