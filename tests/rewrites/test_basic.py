"""Each rewrite by value, by the graph it leaves, and by a case where it must not fire."""

import numpy as np
import pytensor.tensor as pt
import pytest
from pytensor.graph.rewriting.utils import rewrite_graph

import symsparse as ss
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense
from symsparse.ops.elementwise import Cast, Neg
from symsparse.ops.layout import SumDuplicates, Transpose
from symsparse.rewrites.base import algebra_db
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode

X, D = ss.csr_matrix("x", dtype="float64"), pt.matrix("d")
VALUES = {X: random_sparse("csr", (3, 3), rng=0), D: np.random.default_rng(1).uniform(size=(3, 3))}

# what: (expression, ops that must be gone, expression where they must stay)
CASES = {
    "double transpose": (X.T.T, Transpose, X.T),
    "double negation": (ss.neg(ss.neg(X)), Neg, -X),
    "dense of sparse of dense": (
        ss.csr_from_dense(D).toarray(),
        (SparseFromDense, DenseFromSparse),
        X.toarray(),
    ),
    "canonical of canonical": (ss.neg(ss.sum_duplicates(ss.sum_duplicates(X))), (), ss.sum_duplicates(X)),
    "cast to own dtype": (Cast("float64")(X), Cast, ss.cast(X, "float32")),
    "densified factor": (pt.dot(X.toarray(), D), DenseFromSparse, pt.dot(X.toarray() + 1, D)),
    "densified factor on the right": (
        pt.dot(D, X.toarray()),
        DenseFromSparse,
        pt.dot(D, ss.tanh(X).toarray() + 1),
    ),
}


def rewritten(out):
    return rewrite_graph(out, custom_rewrite=algebra_db.query("+fast_run"), clone=True)


def ops(out):
    nodes, todo = [], [out]
    while todo:
        v = todo.pop()
        if v.owner is not None:
            nodes.append(v.owner.op)
            todo.extend(v.owner.inputs)
    return nodes


def value(out):
    inputs = {v: VALUES[v] for v in VALUES}
    return out.eval({v: a for v, a in inputs.items() if v in pytensor_inputs(out)}, mode=reference_mode)


def pytensor_inputs(out):
    from pytensor.graph.traversal import explicit_graph_inputs

    return set(explicit_graph_inputs([out]))


@pytest.mark.parametrize("case", CASES)
def test_rewrite(case):
    expression, gone, kept = CASES[case]
    after = rewritten(expression)
    assert not [op for op in ops(after) if gone and isinstance(op, gone)]
    assert after.type.dtype == expression.type.dtype
    assert_same_matrix(value(expression), rewritten_value(expression))
    if gone:
        assert [op for op in ops(rewritten(kept)) if isinstance(op, gone)], "fired where it must not"


def rewritten_value(expression):
    """The rewritten graph is a clone: evaluate it on the inputs of the same names."""
    after = rewritten(expression)
    by_name = {v.name: a for v, a in VALUES.items()}
    return after.eval({v: by_name[v.name] for v in pytensor_inputs(after)}, mode=reference_mode)


def test_canonical_form_is_taken_once():
    after = rewritten(ss.sum_duplicates(ss.sum_duplicates(X)))
    assert [type(op) for op in ops(after)] == [SumDuplicates]


def test_a_sparse_sparse_product_of_densified_factors_stays_dense():
    out = pt.dot(X.toarray(), (X * 2).toarray())
    after = rewritten(out)
    assert after.type == out.type
    assert_same_matrix(rewritten_value(out), VALUES[X].toarray() @ (2 * VALUES[X].toarray()))
