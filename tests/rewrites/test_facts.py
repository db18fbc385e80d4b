"""Facts about patterns at work: diagonal constants, ones, programs on constant patterns."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.lowering.reduction import SumMajor
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

N = 6
VECTOR, MATRIX = np.arange(1.0, N + 1), np.arange(3.0 * N).reshape(N, 3)
HALF = random_sparse("csr", (N, N), 0.4, rng=0)
x, v, d = ss.csr_matrix("x", dtype="float64"), pt.dvector("v"), pt.dmatrix("d")


def compiled(inputs, outputs, mode=lowered_mode):
    return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")


def steps(f, *kinds):
    return [node for node in f.maker.fgraph.toposort() if isinstance(node.op, kinds or KernelOp)]


def kernels(f):
    return [node.op.kernel_name(node) for node in steps(f)]


def same(inputs, outputs, *given):
    """The function of the lowered graph, after its results were compared with those of the reference."""
    f, reference = (compiled(inputs, outputs, mode) for mode in (lowered_mode, reference_mode))
    for found, expected in zip(f(*given), reference(*given), strict=True):
        assert_same_matrix(found, expected)
    return f


# -- diagonal matrices ------------------------------------------------------------------------------------------


def test_a_diagonal_that_is_frozen_scales():
    diagonal = ss.shared(sp.csr_array(sp.diags_array(VECTOR)), frozen=True)
    outputs = [diagonal @ x, x @ diagonal, diagonal @ d, diagonal.T @ v]
    loss = sum(
        (pt.sin(out.values if isinstance(out, ss.variables.SparseVariable) else out)).sum() for out in outputs
    )
    outputs += pytensor.grad(loss, [diagonal, x, d, v])
    given = random_sparse("csr", (N, N), rng=3, duplicates=True, unsorted_indices=True), MATRIX, VECTOR
    f = same([x, d, v], outputs, *given)
    assert not [name for name in kernels(f) if name.startswith(("matmul", "spgemm"))]


def test_shapes_that_do_not_fit_stay_errors():
    """Where a product is an error, a scaling must not broadcast."""
    row, column = pt.row("row", dtype="float64"), pt.col("column", dtype="float64")
    for inputs, out, given in (
        ([v, row], ss.diags(v) @ row, (np.ones(3), np.ones((1, 4)))),
        ([v, column], column @ ss.diags(v), (np.ones(3), np.ones((4, 1)))),
        ([v, d, x], ss.diag(ss.sample(d @ d.T, ss.diags(v))), (np.ones(3), np.ones((4, 2)), HALF)),
        ([v, d], ss.diags(v) @ d, (np.ones(3), np.ones((1, 4)))),
        ([d], ss.constant(sp.csr_array([[2.0]])) @ d, (np.ones((3, 4)),)),
    ):
        with pytest.raises(ValueError, match=r"inner sizes|shapes|broadcast|Incompatible"):
            compiled(inputs, out)(*given)


# -- ones -------------------------------------------------------------------------------------------------------


def test_sums_of_ones_are_read_off_the_pattern():
    ugly = random_sparse("csr", (4, 5), rng=4, duplicates=True, unsorted_indices=True, explicit_zero=True)
    ones, known = (
        ss.sp_ones_like(x),
        ss.constant(sp.csr_array((np.ones(3), [0, 2, 1], [0, 2, 2, 3]), shape=(3, 3))),
    )
    outputs = [
        ones.sum(axis=1),
        ones.sum(),
        ones.T.sum(axis=0),
        known.sum(axis=1),
        known.astype("int8").sum(),
    ]
    f = same([x], outputs, ugly)
    assert not steps(f, SumMajor)
    assert [out.type.dtype for out in outputs] == [found.dtype for found in f(ugly)]
    other = same([x], [(2 * ones).sum(axis=1), ss.sp_ones_like(x).sum(axis=0)], ugly)
    assert steps(other, SumMajor)


# -- programs on constant patterns ------------------------------------------------------------------------------


@pytest.mark.parametrize("frozen", [True, False])
def test_a_weighted_gram_matrix_on_a_constant_pattern_is_a_program_on_values(frozen):
    value = random_sparse("csr", (8, N), 0.4, rng=5)
    a = ss.shared(value, frozen=True) if frozen else ss.constant(value)
    gram = a.T @ ss.diags(v) @ a
    loss = ss.sp_sum(ss.sin(gram) * gram)
    wrt = [v, a] if frozen else [v]
    f = same([v], [gram, loss, *pytensor.grad(loss, wrt)], np.arange(1.0, 9))
    assert not [node for node in steps(f) if node.op.symbolic]
    names = kernels(f)
    assert names.count("spgemm.product_values") == 1
    # Neither sums over equal entries, nor searches for entries: patterns that are equal are known to be.
    assert not {
        "layout.sum_into",
        "sampling.take_or_zero",
        "conversion.diagonal",
        "spgemm.product",
    }.intersection(names)
    explained = ss.explain(f, np.arange(8.0))
    assert not explained.symbolic
    assert not explained.densifications
    assert "spgemm.product_pattern" in explained.folded


def test_rows_of_a_frozen_matrix():
    """Constant rows are chosen at compile time; rows that come with a call are chosen in each, which explain says."""
    frozen, rows = (
        ss.shared(random_sparse("csr", (8, N), 0.4, rng=5), name="A", frozen=True),
        pt.lvector("rows"),
    )
    f = same([v], [frozen[[3, 1, 1]] @ v, frozen[2:7:2].sum(axis=0)], VECTOR)
    explained = ss.explain(f)
    assert not explained.symbolic
    assert {"indexing.take_pattern", "indexing.slice_pattern"} <= set(explained.folded)
    f = same([rows], [frozen[rows].sum()], np.array([3, 1, 1]))
    explained = ss.explain(f, np.array([3, 1, 1]))
    (step,) = explained.symbolic
    assert (step.kernel, step.pattern) == ("indexing.take_pattern", "constant")
    assert "1 symbolic phase per call" in explained.summary
    assert [step.op for step in explained.steps if step.phase == "values"][-1] == "on values: sum"


def test_explain_reads_kernels_of_many_operands():
    """Kernels that take a sparse or a dense factor, and one whose parameter is only called like a vector."""
    y = ss.csr_matrix("y", dtype="float64")
    outputs = [ss.sample(x @ y, x), ss.sample(x @ d, y), pytensor.grad((x[[0, 1], [1, 1]] ** 2).sum(), x)]
    f = same([x, y, d], outputs, HALF, HALF, np.ones((N, N)))
    explained = ss.explain(f, HALF, HALF, np.ones((N, N)))
    sampled = [step for step in explained.steps if step.kernel.startswith("sampling.sample_")]
    assert len(sampled) == 2
    for step in sampled:
        assert f"nnz {HALF.nnz} of {N} x {N}" in step.sparse
        assert "input x" in step.pattern
