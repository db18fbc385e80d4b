"""Second derivatives and forward mode through the ops that had none: the gradients' own ops above all.

Each case is a scalar of dense leaves, once written with sparse ops and once with dense ones. Gradients,
Hessian-vector products and directional derivatives of both must agree.
"""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import random_sparse
from tests.faults.modes import MODES

PATTERN = random_sparse("csr", (4, 5), 0.6, rng=1)
ROWS, COLUMNS = PATTERN.tocoo().coords
MAJOR = random_sparse("csc", (4, 5), 0.6, rng=2)
START = {
    "v": np.random.default_rng(3).uniform(0.2, 0.9, PATTERN.nnz),
    "u": np.random.default_rng(4).uniform(0.2, 0.9, PATTERN.nnz),
    "w": np.random.default_rng(5).uniform(0.2, 0.9, (5, 3)),
    "b": np.random.default_rng(6).uniform(0.2, 0.9, (4, 3)),
    "s": np.random.default_rng(7).uniform(0.2, 0.9, 5),
    "a": np.array(0.7),
}
LEAVES = {name: pt.tensor(name, dtype="float64", shape=value.shape) for name, value in START.items()}
v, u, w, b, s, a = LEAVES.values()
INDICES, INDPTR = pt.constant(PATTERN.indices), pt.constant(PATTERN.indptr)
STORED = np.zeros(PATTERN.shape)
STORED[ROWS, COLUMNS] = 1.0


def sparse(values):
    return ss.CSR(values, PATTERN.indices, PATTERN.indptr, np.array(PATTERN.shape))


def full(values):
    return pt.zeros(PATTERN.shape)[ROWS, COLUMNS].set(values)


def ends(values):
    """A scalar that is curved in each value, and in which values of one column meet."""
    return (values**3).sum() + (values.sum(axis=0) ** 2).sum()


other, P = ss.constant(MAJOR), ss.constant(PATTERN)
X, D = sparse(v), full(v)
# name: (with sparse ops, with dense ops, leaves)
CHAINS = {
    "structured_exp and a product": (
        ((ss.structured_exp(X) @ w) ** 2).sum(),
        (((pt.exp(D) * STORED) @ w) ** 2).sum(),
        "vw",
    ),
    "regular product below tanh and a transpose": (
        (ss.dot(ss.tanh(X).T, b) ** 2).sum(),
        ((pt.tanh(D).T @ b) ** 2).sum(),
        "vb",
    ),
    "sparse products": (
        ends((X @ sparse(u).T).toarray()),
        ends(D @ full(u).T),
        "vu",
    ),
    "true_dot": (ends(ss.true_dot(X, w).toarray()), ends(D @ w), "vw"),
    "csm_grad": (
        ends(ss.csm_grad(*ss.csm_properties(P), *ss.csm_properties(ss.square(sparse(u)) + other.tocsr()))),
        ends(u**2 + MAJOR.toarray()[ROWS, COLUMNS]),
        "u",
    ),
    "sampling_dot": (
        ends(ss.sampling_dot(b, w, X).values),
        ends(v * (b @ w.T)[ROWS, COLUMNS]),
        "vwb",
    ),
    "structured_dot_grad": (
        ends(ss.structured_dot_grad(P, w, b).values),
        ends((b @ w.T)[ROWS, COLUMNS]),
        "wb",
    ),
    "sdg_csr": (ends(ss.sdg_csr(INDICES, INDPTR, w, b)), ends((b @ w.T)[ROWS, COLUMNS]), "wb"),
    "sdg_csc": (
        ends(ss.sdg_csc(INDICES, INDPTR, b, w)),
        ends((w @ b.T)[COLUMNS, ROWS]),
        "wb",
    ),
    "rows": (ends(ss.square(X)[[2, 0, 2]].toarray()), ends((D**2)[[2, 0, 2]]), "v"),
    "get_item_list_grad": (
        ends(ss.get_item_list_grad(P, [1, 0, 1, 3], ss.square(sparse(u))).toarray()),
        ends(pt.zeros((4, 5))[np.array([1, 0, 1, 3])].inc(full(u) ** 2)),
        "u",
    ),
    "usmm": (ends(ss.usmm(a, ss.sin(X), w, b)), ends(a * (pt.sin(D) @ w) + b), "vwba"),
    "usmm from the left": (ends(ss.usmm(a, w.T, X.T, b.T)), ends(a * (w.T @ D.T) + b.T), "vwba"),
    "add_s_s_data": (
        ends(ss.add_s_s_data(ss.square(X), ss.sin(sparse(u))).values),
        ends(v**2 + pt.sin(u)),
        "vu",
    ),
    "mul_s_v": (ends(ss.mul_s_v(X, s).toarray()), ends(D * s), "vs"),
    "structured_add_s_v": (ends(ss.structured_add_s_v(X, s).toarray()), ends((D + s) * STORED), "vs"),
    "scalings": (
        ends(ss.row_scale(ss.col_scale(X, s), b[:, 0]).toarray()),
        ends(D * s * b[:, :1]),
        "vsb",
    ),
    "sums of two formats": (
        ends((ss.square(X) + other * sparse(u)).toarray()),
        ends(D**2 + MAJOR.toarray() * full(u)),
        "vu",
    ),
    "sums along axes": (
        ends(ss.sp_sum(X * a, axis=0)) + ends(ss.sp_sum(ss.square(X), axis=1, sparse_grad=True)),
        ends((D * a).sum(0)) + ends((D**2).sum(1)),
        "va",
    ),
    "division": (ends((X / (1 + b[:, :1])).toarray() / (2 + a)), ends(D / (1 + b[:, :1]) / (2 + a)), "vba"),
    "to dense and back": (
        ends(ss.csc_from_dense(w * w).toarray(structured=False)) + ends(ss.diag(ss.square(X))),
        ends(w * w) + ends(pt.diagonal(D**2)),
        "vw",
    ),
    "placed rows": (
        ends(ss.construct_sparse_from_list(np.zeros((6, 3)), w, [5, 0, 5, 2, 1]).toarray()),
        ends(pt.zeros((6, 3))[np.array([5, 0, 5, 2, 1])].inc(w)),
        "w",
    ),
}


def derivatives(loss, leaves, directions):
    grads = pytensor.grad(loss, leaves)
    along = sum((g * d).sum() for g, d in zip(grads, directions, strict=True))
    return [*grads, *pytensor.grad(along, leaves, disconnected_inputs="ignore"), along]


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("chain", CHAINS, ids=[name.replace(" ", "_") for name in CHAINS])
def test_first_second_and_forward_derivatives_are_those_of_the_dense_expression(chain, mode):
    with_sparse, with_dense, names = CHAINS[chain]
    leaves = [LEAVES[name] for name in names]
    rng = np.random.default_rng(8)
    directions = [pt.constant(rng.uniform(-1, 1, START[name].shape)) for name in names]
    forward = pytensor.gradient.pushforward(with_sparse, leaves, directions, use_op_pushforward=True)
    outputs = [with_sparse, *derivatives(with_sparse, leaves, directions), forward]
    answers = [with_dense, *derivatives(with_dense, leaves, directions)]
    values = [START[name] for name in names]
    got = pytensor.function(leaves, outputs, mode=mode, on_unused_input="ignore")(*values)
    wanted = pytensor.function(leaves, answers, mode="FAST_COMPILE", on_unused_input="ignore")(*values)
    for i, (found, answer) in enumerate(zip(got, [*wanted, wanted[-1]], strict=True)):
        assert not sp.issparse(found)
        np.testing.assert_allclose(found, answer, rtol=1e-8, atol=1e-9, err_msg=f"output {i}")
