"""Every op of the table: forward against dense NumPy, pullback against finite differences, in both modes."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.ops.base import canonical, is_sparse
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import VARIANTS, expected, finite_difference, lowered_mode, other, symbolic, values
from tests.ops.table import CASES

IDS = [case.name for case in CASES]


def formats_of(case, format, mixed):
    """The formats of the sparse operands: the first as given, the others alike or not."""
    n = sum(operand.sparse for operand in case.operands)
    same = any(operand.same_pattern_as is not None for operand in case.operands)
    return [format] + [other(format) if mixed and not same else format] * (n - 1)


def dense_form(out):
    return out.toarray(structured=False) if is_sparse(out) else out


def gradients(case, inputs, out, weight, sparse_weight):
    """Gradients under a dense cotangent, and (for sparse results) under a sparse one of another format and pattern."""
    wrt = [x for x, operand in zip(inputs, case.operands, strict=True) if operand.dtype == "float64"]
    losses = [(dense_form(out) * weight).sum()]
    if is_sparse(out):
        losses.append(ss.sp_sum(out * sparse_weight))
    return wrt, [pytensor.grad(loss, wrt, disconnected_inputs="ignore") for loss in losses]


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("format", "mode"),
    [("csr", None), ("csc", lowered_mode), pytest.param("csc", None, marks=SLOW)],
    ids=["csr-numba", "csc-lowered", "csc-numba"],
)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_forward_and_pullback(case, format, mode):
    formats = formats_of(case, format, mixed=format == "csc")
    inputs = symbolic(case, formats)
    out = case.build(*inputs)
    weight = pt.tensor(dtype="float64", shape=(None,) * out.ndim)
    sparse_weight = ss.matrix(other(out.format), dtype="float64") if is_sparse(out) else None
    weights = [weight] + ([sparse_weight] if is_sparse(out) else [])
    wrt, grads = gradients(case, inputs, out, weight, sparse_weight) if case.gradient else ([], [])
    outputs = [out, pt.stack([pt.constant(0), *out.shape])[1:], *(g for gs in grads for g in gs)]
    arguments = [*inputs, *weights]
    fast = pytensor.function(arguments, outputs, mode=mode, on_unused_input="ignore")
    slow = pytensor.function(arguments, outputs, mode=reference_mode, on_unused_input="ignore")

    for variant, (sizes, _) in VARIANTS.items():
        if case.nonempty and 0 in sizes:
            continue
        operands = values(case, formats, variant)
        before = [v.copy() for v in operands]
        answer = expected(case, operands)
        rng = np.random.default_rng(1)
        chosen = [rng.uniform(0.5, 1.5, answer.shape)]
        if is_sparse(out):
            chosen.append(random_sparse(other(out.format), answer.shape, 0.6, gap=(0.5, 1.5), rng=rng))
        if variant in case.refuses:
            for function in (fast, slow):
                with pytest.raises(ValueError, match="zero-size"):
                    function(*operands, *chosen)
            continue
        for function in (fast, slow):
            got = function(*operands, *chosen)
            check_value(case, out, got[0], answer, variant)
            assert tuple(got[1]) == answer.shape, variant
            smooth = case.smooth_at_zero or variant != "explicit_zeros"
            if grads and smooth:
                found = got[-sum(map(len, grads)) :]
                for gs, chosen_weight in zip(grads, chosen, strict=False):
                    check_gradients(case, operands, wrt, inputs, gs, found[: len(gs)], chosen_weight, variant)
                    found = found[len(gs) :]
        for v, old in zip(operands, before, strict=True):  # nobody touches what the user gave
            if sp.issparse(v):
                for a, b in ((v.data, old.data), (v.indices, old.indices), (v.indptr, old.indptr)):
                    np.testing.assert_array_equal(a, b)
            else:
                np.testing.assert_array_equal(v, old)


def check_value(case, out, got, answer, variant):
    __tracebackhide__ = True
    if is_sparse(out):
        assert_well_formed(got, out.type)
    else:
        assert got.dtype == out.dtype, variant
    assert got.shape == answer.shape, variant
    assert_same_matrix(got, answer, err_msg=variant, **case.tolerance)


def check_gradients(case, operands, wrt, inputs, symbols, found, weight, variant):
    dense_weight = weight.toarray() if sp.issparse(weight) else weight
    for x, symbol, got in zip(wrt, symbols, found, strict=True):
        i = inputs.index(x)
        value = operands[i]
        label = f"gradient wrt operand {i} ({variant})"
        answer = finite_difference(case, operands, i, dense_weight)
        dense = got.toarray() if sp.issparse(got) else got
        assert dense.shape == answer.shape, label
        tolerance = {"rtol": 1e-5, "atol": 1e-6, **({"rtol": 2e-3, "atol": 2e-2} if case.tolerance else {})}
        if is_sparse(symbol):
            assert_well_formed(got, symbol.type)
        if i in case.structured:
            assert symbol.format == x.format, label
            pattern = canonical(value)
            np.testing.assert_array_equal(got.indices, pattern.indices, err_msg=label)
            np.testing.assert_array_equal(got.indptr, pattern.indptr, err_msg=label)
        if sp.issparse(value) and i not in case.regular:  # right at the stored entries, at least
            stored = np.zeros(value.shape, bool)
            stored[value.tocoo().coords] = True
            dense, answer = dense[stored], answer[stored]
        np.testing.assert_allclose(dense, answer, err_msg=label, **tolerance)
