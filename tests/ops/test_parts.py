"""Matrices from parts and parts of matrices: vectors are compared as they are stored."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import symsparse as ss
from symsparse.testing import assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode, other

UGLY = {
    "plain": {},
    "unsorted": {"unsorted_indices": True},
    "duplicates": {"duplicates": True, "unsorted_indices": True},
    "empty": {"density": 0.0},
}
MODES = {"numba": None, "lowered": lowered_mode, "reference": reference_mode}
modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
ugly = pytest.mark.parametrize("kind", UGLY)
formats = pytest.mark.parametrize("format", ["csr", "csc"])


def entries(value):
    """Row, column and value of each entry, in the order in which they are stored."""
    rows, cols = value.tocoo().coords
    return rows, cols, value.data


@modes
@ugly
@formats
def test_properties_show_the_stored_layout_untouched(format, kind, mode):
    value = random_sparse(format, (4, 5), rng=1, **{"density": 0.5, **UGLY[kind]})
    x = ss.matrix(format, "x", dtype="float64")
    data, indices, indptr, shape = pytensor.function([x], ss.csm_properties(x), mode=mode)(value)
    np.testing.assert_array_equal(data, value.data)
    np.testing.assert_array_equal(indices, value.indices)
    np.testing.assert_array_equal(indptr, value.indptr)
    np.testing.assert_array_equal(shape, value.shape)
    assert (data.dtype, indices.dtype, indptr.dtype, shape.dtype) == ("float64", "int32", "int32", "int64")


@modes
@ugly
@formats
def test_a_matrix_from_symbolic_parts(format, kind, mode):
    value = random_sparse(format, (4, 5), rng=1, **{"density": 0.5, **UGLY[kind]})
    v, i, p = pt.dvector(), pt.ivector(), pt.ivector()
    made = ss.CSM(format)(v, i, p, np.array(value.shape))
    f = pytensor.function([v, i, p], [made, ss.square(made)], mode=mode)
    got, squared = f(value.data, value.indices, value.indptr)
    assert_well_formed(got, made.type)
    for a, b in zip(entries(got), entries(value), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(squared.toarray(), value.toarray() ** 2)


@modes
@pytest.mark.parametrize(
    ("indices", "indptr", "n_values"),
    [
        ([0, 9], [0, 1, 2], 2),
        ([0, -1], [0, 1, 2], 2),
        ([0, 1], [0, 2, 1], 2),
        ([0, 1], [1, 1, 2], 2),
        ([0, 1], [0, 1, 3], 2),
        ([0, 1], [0, 1], 2),
        ([0, 1], [0, 1, 2], 3),
    ],
)
def test_malformed_parts_are_refused(indices, indptr, n_values, mode):
    v, i, p = pt.dvector(), pt.lvector(), pt.lvector()
    f = pytensor.function([v, i, p], ss.CSR(v, i, p, np.array([2, 3])), mode=mode)
    with pytest.raises(ValueError, match=r"[Mm]alformed"):
        f(np.ones(n_values), np.array(indices), np.array(indptr))
    if n_values == 2:  # a constant pattern is refused at the line that states it
        with pytest.raises(ValueError, match=r"[Mm]alformed"):
            ss.CSR(v, np.array(indices), np.array(indptr), np.array([2, 3]))


@modes
@ugly
@formats
def test_csm_grad_looks_each_entry_up(format, kind, mode):
    x = random_sparse(format, (4, 5), rng=1, **{"density": 0.5, **UGLY[kind]})
    g = random_sparse(format, (4, 5), rng=2, density=0.6, duplicates=True)
    xs, gs = ss.matrix(format, dtype="float64"), ss.matrix(format, dtype="float64")
    out = ss.csm_grad(*ss.csm_properties(xs), *ss.csm_properties(gs))
    got = pytensor.function([xs, gs], out, mode=mode)(x, g)
    rows, cols, _ = entries(x)
    np.testing.assert_allclose(got, g.toarray()[rows, cols])


@modes
@formats
def test_gradient_of_a_structured_dot_from_vectors(format, mode):
    a = random_sparse(format, (4, 5), rng=1)
    b, g = (np.random.default_rng(i).uniform(size=s) for i, s in enumerate(((5, 3), (4, 3))))
    i, p, bs, gs, h = pt.ivector(), pt.ivector(), pt.dmatrix(), pt.dmatrix(), pt.dvector()
    out = {"csr": ss.sdg_csr, "csc": ss.sdg_csc}[format](i, p, bs, gs)
    grads = pytensor.grad((out * h).sum(), [bs, gs])
    weights = np.random.default_rng(5).uniform(size=a.nnz)
    got, gb, gg = pytensor.function([i, p, bs, gs, h], [out, *grads], mode=mode)(
        a.indices, a.indptr, b, g, weights
    )
    rows, cols, _ = entries(a)
    np.testing.assert_allclose(got, (g @ b.T)[rows, cols])
    weighted = a.copy()
    weighted.data = weights
    np.testing.assert_allclose(gb, weighted.T @ g)
    np.testing.assert_allclose(gg, weighted @ b)


@formats
def test_the_cotangent_of_csm_may_have_any_format(format):
    """The silent wrong gradient of the predecessors: a cotangent of the other format, and one that is dense."""
    value = random_sparse(format, (4, 5), rng=1)
    v = pt.dvector()
    made = ss.CSM(format)(v, value.indices, value.indptr, np.array(value.shape))
    weights = random_sparse(other(format), (4, 5), 0.7, rng=3)
    losses = [
        ss.sp_sum(made * ss.constant(weights)),
        (made.toarray(structured=False) * weights.toarray()).sum(),
    ]
    rows, cols, _ = entries(value)
    for loss in losses:
        got = pytensor.function([v], pytensor.grad(loss, v), mode=lowered_mode)(value.data)
        np.testing.assert_allclose(got, weights.toarray()[rows, cols])


S = pt.dscalar("s")
V = pt.dvector("v")
#: functions of a matrix x, whose entries s scales, by the stored values, and the same of x alone
OF_STORED_VALUES = {
    "values": (lambda x: x.values.sum(), lambda x: x.sum()),
    "scaled": (lambda x: (x * S).values.sum(), lambda x: (x * S).sum()),
    "rows scaled": (lambda x: ss.row_scale(x, V).values.sum(), lambda x: (x * V[:, None]).sum()),
    "another format": (lambda x: x.asformat(other(x.format)).values.sum(), lambda x: x.sum()),
    "stacked": (lambda x: ss.hstack([x, -2 * x]).values.sum(), lambda x: -x.sum()),
    "rows": (lambda x: x[1:].values.sum(), lambda x: x[1:].sum()),
    "other values": (
        lambda x: ss.sp_sum(ss.sin(x.with_values(x.values * 3))),
        lambda x: ss.sp_sum(ss.sin(x * 3)),
    ),
    "beside others": (
        lambda x: x.values.sum() + ss.sp_sum(ss.sin(x)),
        lambda x: x.sum() + ss.sp_sum(ss.sin(x)),
    ),
}


@pytest.mark.parametrize("name", OF_STORED_VALUES)
@ugly
@formats
def test_functions_of_stored_values_have_the_gradients_of_the_matrix(format, kind, name):
    x = ss.matrix(format, dtype="float64")
    value = random_sparse(format, (4, 5), rng=0, **{"density": 0.6, **UGLY[kind]})
    given = [value, 2.0, np.arange(4.0)]
    outputs = []
    for function in OF_STORED_VALUES[name]:
        gradients = pytensor.grad(function(x), [x, S, V], disconnected_inputs="ignore")
        outputs.append([ss.sample(gradients[0], ss.sp_ones_like(x)).toarray(), *gradients[1:]])
    for mode in (lowered_mode, reference_mode):
        f = pytensor.function([x, S, V], [*outputs[0], *outputs[1]], mode=mode, on_unused_input="ignore")
        found = f(*given)
        for got, expected in zip(found[:3], found[3:], strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
