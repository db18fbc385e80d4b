"""What is known about patterns before any call, by `pattern_of` and by what is left of a graph."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.graph.basic import Constant

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode, values
from tests.ops.table import CASES

A = random_sparse("csr", (6, 6), 0.4, rng=0)
UGLY = random_sparse("csr", (6, 6), 0.4, rng=1, unsorted_indices=True, duplicates=True)


def frozen(value, name=None):
    return ss.shared(value, name=name, frozen=True)


def test_of_an_input():
    x = ss.csr_matrix("x", shape=(None, 5))
    known = ss.pattern_of(x)
    assert known.source == "input x"
    assert known.same_as == ("x",)
    assert known.shape == (None, 5)
    assert known.format == "csr"
    assert {known.nnz, known.sorted, known.canonical, known.symmetric, known.diagonal} == {None}
    assert not known.ones
    # What keeps the pattern, and what does not.
    assert ss.pattern_of(-x.T.T * 2).same_as == ("x",)
    assert ss.pattern_of(x.T).same_as == ("x",)  # the same index vectors, read by columns
    assert ss.pattern_of(ss.shared(A, name="s")).source == "shared s"
    sine = ss.pattern_of(ss.sin(x))
    assert (sine.source, sine.canonical, sine.sorted, sine.same_as) == (
        "input x, made canonical",
        True,
        True,
        (),
    )
    assert ss.pattern_of(ss.sp_ones_like(x)).ones
    union = ss.pattern_of(x + ss.csr_matrix("y"))
    assert (union.source, union.canonical) == ("computed per call (union_pattern)", True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (A, {"sorted": True, "canonical": True, "symmetric": False, "diagonal": False}),
        (UGLY, {"sorted": False, "canonical": False}),
        (sp.csr_array(A + A.T), {"symmetric": True}),
        (sp.csr_array(sp.eye_array(4)), {"symmetric": True, "diagonal": True, "canonical": True, "nnz": 4}),
        (sp.csr_array((2, 3)), {"symmetric": False, "diagonal": True, "canonical": True, "nnz": 0}),
        (random_sparse("csr", (5, 5), 0.5, rng=2, duplicates=True), {"sorted": True, "canonical": False}),
    ],
)
def test_facts_of_constant_patterns(value, expected):
    for x in (ss.constant(value), frozen(value)):
        known = ss.pattern_of(x)
        assert known.source == "constant"
        assert known.nnz == value.nnz
        assert {name: getattr(known, name) for name in expected} == expected


def test_facts_through_ops():
    a, b = frozen(A, "a"), frozen(UGLY, "b")
    assert ss.pattern_of(a + a.T).symmetric
    assert ss.pattern_of(a + b).nnz == (abs(A) + abs(UGLY)).nnz
    assert ss.pattern_of(a @ b).canonical
    assert ss.pattern_of(ss.sin(b)).canonical
    assert ss.pattern_of(ss.ensure_sorted_indices(b)).sorted
    assert ss.pattern_of(ss.csr_from_dense(pt.dmatrix())).canonical
    assert ss.pattern_of(ss.square_diagonal(pt.dvector())).canonical
    assert ss.pattern_of(ss.square_diagonal(np.arange(3.0))).diagonal
    assert ss.pattern_of(a @ a).source == "derived from constants"
    assert ss.pattern_of(sp.eye_array(3, format="csr")).ones


def test_facts_spare_work():
    x = ss.csr_matrix("x")
    sorted_twice = ss.ensure_sorted_indices(ss.ensure_sorted_indices(x))
    cleaned = ss.remove0(ss.sin(x))
    f = pytensor.function(
        [x], [sorted_twice, ss.sin(cleaned), ss.ensure_sorted_indices(cleaned)], mode=lowered_mode
    )
    left = [
        node.op.kernel
        for node in f.maker.fgraph.apply_nodes
        if isinstance(node.op, KernelOp) and node.op.symbolic
    ]
    assert sorted(left) == [
        "layout.canonical_pattern",
        "layout.nonzero_pattern",
        "layout.positions",
        "layout.sort_pattern",
    ]
    ugly = random_sparse("csr", (5, 6), rng=3, unsorted_indices=True, duplicates=True, explicit_zero=True)
    slow = pytensor.function(
        [x], [sorted_twice, ss.sin(cleaned), ss.ensure_sorted_indices(cleaned)], mode=reference_mode
    )
    for got, expected in zip(f(ugly), slow(ugly), strict=True):
        assert_same_matrix(got, expected)
    v = pt.dvector("v")
    diagonal = pytensor.function([v], ss.sin(ss.square_diagonal(v)), mode=lowered_mode)
    assert not [node for node in diagonal.maker.fgraph.apply_nodes if isinstance(node.op, KernelOp)]
    np.testing.assert_array_equal(diagonal(np.arange(3.0)).toarray(), np.diag(np.sin(np.arange(3.0))))


def test_a_pattern_as_text():
    text = str(ss.pattern_of(frozen(A)))
    assert "6 x 6" in text
    assert "canonical  yes" in text
    assert "symmetric  no" in text


# The values of a matrix, or a dense operand, decide the pattern.
DECIDED_IN_A_CALL = set(
    "neq_sparse lt_sparse gt_sparse remove0 clean get_item_2d_mask kron_dense hstack_dense_twice block_diag "
    "block_array set_subtensor_rows_dense inc_subtensor_submatrix_row".split()
) | {"get_item_2lists_grad", "inc_subtensor_pairs"}  # how many values there are is known in a call


def test_no_symbolic_phase_is_left_for_constant_patterns():
    """All ops of the table on frozen matrices: in one graph, whose values are those of the reference mode."""
    inputs, arguments, outputs, names = [], [], [], []
    for case in CASES:
        n_sparse = sum(operand.sparse for operand in case.operands)
        if not n_sparse or case.name in DECIDED_IN_A_CALL:
            continue
        formats = [("csr", "csc")[i % 2] for i in range(n_sparse)]
        if any(operand.same_pattern_as is not None for operand in case.operands):
            formats = ["csr"] * n_sparse
        made = []
        for operand, value in zip(case.operands, values(case, formats, "plain"), strict=True):
            if operand.sparse:
                made.append(frozen(value))
            elif operand.dtype == "int64":
                made.append(pt.constant(value))
            else:
                made.append(
                    pt.tensor(dtype=operand.dtype, shape=operand.static or (None,) * len(operand.sizes))
                )
                inputs.append(made[-1])
                arguments.append(value)
        outputs.append(case.build(*made))
        names.append(case.name)
    assert len(names) > 150
    fast = pytensor.function(inputs, outputs, mode=lowered_mode, on_unused_input="ignore")
    left = [n for n in fast.maker.fgraph.toposort() if isinstance(n.op, KernelOp) and n.op.symbolic]
    assert not [n.op.kernel_name(n) for n in left]
    slow = pytensor.function(inputs, outputs, mode=reference_mode, on_unused_input="ignore")
    for name, got, expected in zip(names, fast(*arguments), slow(*arguments), strict=True):
        try:
            assert_same_matrix(got, expected)
        except AssertionError as e:
            raise AssertionError(name) from e


def test_work_on_constants_is_done_once(monkeypatch):
    from symsparse.lowering.arithmetic import UnionPattern

    runs = []
    perform = UnionPattern.perform
    monkeypatch.setattr(UnionPattern, "perform", lambda *args: (runs.append(1), perform(*args))[1])
    a, b = ss.constant(A), ss.constant(UGLY)
    c = pt.dscalar()
    pytensor.function(
        [c], [(a * c + b).T @ np.ones(6), (a * c + b).shape[0], (a + b * c).sum()], mode=lowered_mode
    )
    assert len(runs) == 1
    assert isinstance(a, Constant)
