"""The cotangent law across ops: mixed formats, dense cotangents below a regular dot, sums of sparse and dense ones."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import random_sparse, reference_mode, verify_grad_sparse
from tests.ops.generate import lowered_mode

FORMATS = ["csr", "csc"]
# What may stand between a leaf and a product: each must take a cotangent of any kind.
LINKS = {
    "nothing": lambda x: x,
    "neg": lambda x: -x,
    "transpose": lambda x: x.T,
    "scaled": lambda x: 2 * x,
    "structured": ss.tanh,
    "sum with the other format": lambda x: (
        x + (ss.structured_exp(x).tocsc() if x.format == "csr" else x.tocsr() * 3)
    ),
    "product with the other format": lambda x: x * (x.tocsc() if x.format == "csr" else x.tocsr()),
    "col_scale": lambda x: ss.col_scale(x, pt.arange(1, x.shape[1] + 1) / 3.0),
    "row_scale": lambda x: ss.row_scale(x, pt.arange(1, x.shape[0] + 1) / 3.0),
    "remove0": ss.remove0,
    "clean": ss.clean,
    "rows": lambda x: x[[1, 1, 0]],
    "stacked": lambda x: ss.vstack([ss.tanh(x), x.T.T.tocsr(), 2 * x.tocsc()]),
    "triangle": lambda x: ss.tril(x, 1),
    "sampled": lambda x: ss.sample(ss.dot(x, x.T.toarray()), x @ x.T),
    "two paths": lambda x: x + ss.csr_from_dense(x.toarray() ** 2),
}


@pytest.mark.parametrize("product", [ss.dot, ss.structured_dot], ids=["dot", "structured_dot"])
@pytest.mark.parametrize("link", LINKS, ids=[name.replace(" ", "_") for name in LINKS])
def test_any_chain_below_a_product(link, product):
    """The gradient wrt stored values through a chain and a product, for csr and csc, against finite differences."""
    rng = np.random.default_rng(3)
    xs = [random_sparse(f, (4, 5), 0.5, gap=(0.1, 0.9), duplicates=f == "csc", rng=rng) for f in FORMATS]
    leaves = [pt.vector() for _ in xs]
    right = rng.uniform(size=(8, 3))
    loss = 0
    for x, leaf in zip(xs, leaves, strict=True):
        made = LINKS[link](ss.CSM(x.format)(leaf, x.indices, x.indptr, np.array(x.shape)))
        y = right[: (4 if link == "transpose" else 4 if link == "sampled" else 5)]
        out = product(made, y)
        loss = loss + (out**2).sum()
    function = pytensor.function(leaves, [loss, *pytensor.grad(loss, leaves)], mode=lowered_mode)
    slow = pytensor.function(leaves, [loss, *pytensor.grad(loss, leaves)], mode=reference_mode)
    start = [x.data for x in xs]
    for f in (function, slow):
        _, *found = f(*start)
        for i, g in enumerate(found):
            for k in range(len(start[i])):
                ends = []
                for h in (1e-6, -1e-6):
                    moved = [v.copy() for v in start]
                    moved[i][k] += h
                    ends.append(f(*moved)[0])
                np.testing.assert_allclose(g[k], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_values_under_the_other_format(format):
    """CSR(data, ...) below an op whose cotangent comes in csc, and the other way round: [0, 2, 7], not [0, 0, 7]."""
    x = sp.csr_array(np.array([[0.0, 1.0], [1.0, 1.0]])).asformat(format)
    weights = np.array([[3.0, 0.0], [2.0, 7.0]])
    v = pt.vector()
    made = ss.CSM(format)(v, x.indices, x.indptr, np.array(x.shape))
    zero = sp.csr_array((2, 2)).asformat("csc" if format == "csr" else "csr")
    for total in (ss.add(zero, made), ss.add(made, zero)):
        loss = ss.sp_sum(total * ss.constant(sp.csc_array(weights)))
        gradient = pytensor.function([v], pytensor.grad(loss, v))(x.data)
        rows, cols = x.tocoo().coords
        np.testing.assert_allclose(gradient, weights[rows, cols])


def test_sum_of_a_sparse_and_a_dense_cotangent():
    x, d = ss.csr_matrix("x", dtype="float64"), pt.matrix("d")
    loss = (
        ss.dot(x, d).sum() + ss.structured_dot(x, d).sum() + ss.sp_sum(ss.structured_exp(x), sparse_grad=True)
    )
    value, dense = random_sparse("csr", (3, 4), rng=0), np.random.default_rng(1).uniform(size=(4, 2))
    g = pytensor.function([x, d], pytensor.grad(loss, x))(value, dense)
    row = dense.sum(1)
    stored = value.toarray() != 0
    np.testing.assert_allclose(g, row + stored * (row + np.exp(value.toarray())))


MIXED = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "dot": lambda x, y: ss.dot(x.T, y),
    "sub mul": lambda x, y: (x - y) * ss.sp_ones_like(x),
}


@pytest.mark.parametrize("op", MIXED)
def test_mixed_formats_by_regular_verify_grad(op):
    rng = np.random.default_rng(5)
    point = [sp.csr_array(rng.uniform(0.2, 0.9, (4, 3))).asformat(f) for f in FORMATS]
    verify_grad_sparse(MIXED[op], point, structured=False)


@pytest.mark.parametrize("op", [*MIXED, "structured_dot"])
def test_mixed_formats_by_structured_verify_grad(op):
    rng = np.random.default_rng(5)
    point = [random_sparse(f, (4, 3), 0.9, gap=(0.2, 0.9), rng=rng) for f in FORMATS]
    verify_grad_sparse(MIXED.get(op, lambda x, y: x.T @ y), point, structured=True)


@pytest.mark.parametrize("op", [ss.structured_dot, ss.mul], ids=["structured_dot", "mul"])
def test_complex_cotangents_are_conjugated(op):
    """With G = dL/dRe + i dL/dIm, <G, dx> = Re(sum(conj(G) dx)): a pullback conjugates the other operand.

    PyTensor's `grad` refuses complex inputs, so the pullbacks are called themselves.
    """
    rng = np.random.default_rng(0)
    value = random_sparse("csr", (3, 3), dtype="complex128", rng=rng)
    dense, h = (rng.uniform(size=(3, 3)) + 1j * rng.uniform(size=(3, 3)) for _ in range(2))
    x, d, g = ss.csr_matrix(dtype="complex128"), pt.zmatrix(), pt.zmatrix()
    out = op(x, d)
    cotangent = g if out.type.ndim == 2 and not hasattr(out, "toarray") else ss.sample(g, x)
    gx, gd = out.owner.op.pullback([x, d], [out], [cotangent])
    gx, gd = pytensor.function([x, d, g], [gx, gd], mode=lowered_mode)(value, dense, h)

    def loss(a, b):
        made = a @ b if op is ss.structured_dot else a.toarray() * b
        return np.real(np.vdot(h, made))

    for direction, part in ((1, np.real), (1j, np.imag)):
        for k in range(value.nnz):
            a, b = value.copy(), value.copy()
            a.data[k] += 1e-6 * direction
            b.data[k] -= 1e-6 * direction
            np.testing.assert_allclose(part(gx.data[k]), (loss(a, dense) - loss(b, dense)) / 2e-6, rtol=1e-6)
        step = np.zeros((3, 3), complex)
        step[1, 1] = 1e-6 * direction
        answer = (loss(value, dense + step) - loss(value, dense - step)) / 2e-6
        np.testing.assert_allclose(part(gd[1, 1]), answer, rtol=1e-6, atol=1e-9)
