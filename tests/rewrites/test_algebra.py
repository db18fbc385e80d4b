"""Each rewrite by value and gradient, by the graph it leaves, and by cases where it must not fire."""

import numpy as np
import pytensor
import pytensor.printing
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.graph.basic import equal_computations
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.utils import rewrite_graph

import symsparse as ss
from symsparse.ops.elementwise import Cast
from symsparse.rewrites.base import REWRITES, algebra_db
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

N = 5
BOTH = lowered_mode, reference_mode
X, Y, Z = (
    ss.csr_matrix("X", dtype="float64"),
    ss.csc_matrix("Y", dtype="float64"),
    ss.csr_matrix("Z", dtype="float64"),
)
D, E = pt.dmatrices("D", "E")
V, W = pt.dvectors("V", "W")
S = pt.dscalar("S")
WIDE = pt.tensor("WIDE", dtype="float64", shape=(N, 400))
THIN, FLAT = (
    pt.tensor(name, dtype="float64", shape=shape) for name, shape in (("THIN", (N, 2)), ("FLAT", (2, 400)))
)
SQUARE = ss.csr_matrix("SQUARE", dtype="float64", shape=(N, N))
INPUTS = [X, Y, Z, D, E, V, W, S, WIDE, THIN, FLAT, SQUARE]


def values(seed=0, **kinds):
    rng = np.random.default_rng(seed)
    kinds = {"duplicates": True, "unsorted_indices": True, "explicit_zero": True, **kinds}
    matrices = [random_sparse(f, (N, N), gap=(-1, 1), rng=rng, **kinds) for f in ("csr", "csc", "csr")]
    sizes = [(N, N), (N, N), N, N, (), (N, 400), (N, 2), (2, 400)]
    dense = [np.asarray(rng.normal(size=size)) for size in sizes]
    return [*matrices, *dense, random_sparse("csr", (N, N), gap=(-1, 1), rng=rng, **kinds)]


K = ss.constant(random_sparse("csr", (N, N), rng=5))
TALL = ss.constant(random_sparse("csr", (N, 400), density=0.9, rng=6))
READ_TWICE = X @ Y
DENSE_PRODUCT = D @ E
DENSE = X.toarray()
CONVERTED = X.tocsc()
INTEGERS = ss.cast(X * 10, "int64")
ZEROS, OPEN = pt.zeros((N, N)), pt.zeros(D.shape)
FULL = ss.constant(
    sp.csr_array((np.array([2.0, -1.0, 0.5, 3.0, 0.0]), np.arange(N), np.arange(N + 1)), shape=(N, N))
)
HALF = ss.constant(sp.csr_array(sp.diags_array([2.0, -1.0, 0.5, 3.0, 0.0])))  # stores no zero
FROZEN = ss.shared(FULL.data, frozen=True)
LABELS = pt.argmax(D, axis=1)
ROWS, COLUMNS = [0, 4, 4, -2, 0], [1, 0, -1, 3, 1]
MANY_PAIRS = pt.constant(np.arange(300) % N), pt.constant(np.arange(300))

# name: (expressions where it fires, expressions where it must not)
CASES = {
    "double_transpose": ([ss.transpose(ss.transpose(X))], [X.T, ss.transpose(ss.neg(X.T))]),
    "double_negation": ([ss.neg(ss.neg(X))], [-X, -ss.sin(-X)]),
    "dense_of_sparse_of_dense": (
        [ss.csr_from_dense(D).toarray()],
        [DENSE, ss.tanh(ss.csr_from_dense(D)).toarray()],
    ),
    "cast_to_own_dtype": ([Cast("float64")(X)], [ss.cast(X, "float32")]),
    "canonical_of_canonical": (
        [
            ss.sum_duplicates(v)
            for v in (ss.tanh(X), X + Y, (X * Z).T, X @ Z, ss.sample(D, X), ss.clean(X), K)
        ],
        [ss.sum_duplicates(v) for v in (X, -X, X * 2, X + ss.sp_zeros_like(X), X.tocsc())],
    ),
    "sorted_of_canonical": ([ss.ensure_sorted_indices(ss.tanh(X))], [ss.ensure_sorted_indices(-X)]),
    "remove0_of_remove0": (
        [ss.remove0(ss.remove0(X)), ss.remove0(ss.csr_from_dense(D)), ss.remove0(-ss.clean(X).T)],
        [
            ss.remove0(v)
            for v in (X, ss.remove0(X) * 1e-300, ss.sum_duplicates(ss.remove0(X)), ss.sin(ss.clean(X)))
        ],
    ),
    "format_of_format": ([X.tocsc().tocsr()], [X.tocsc(), ss.tanh(X.tocsc()).tocsr()]),
    "format_that_does_not_matter": (
        [CONVERTED @ D, ss.dot(X.tocsc(), V), X.tocsc().toarray(), X.tocsc().sum(), ss.diag(X.tocsc())],
        [X.tocsc() @ Y, X.tocsc() + Y, X.tocsc().T, K.tocsc() @ D, CONVERTED.sum() + (CONVERTED * Y).sum()],
    ),
    "formats_of_sum": (
        [X + Y + Z.T, X + Y + Z + Y, X + Y + Z.T.tocsr()],
        [X + Y, X + Z + Y, X + Y + ss.cast(Z.T, "float32"), X + (X + Y) * 2 + Z.T],
    ),
    "format_of_result": (
        [(K + Y) @ D, (K * Y).sum(), (K @ Y).toarray()],
        [K + Y, (X + Y) @ D, (K + Y).T, (Y + K) @ D, (K + Z) @ D],
    ),
    "dense_product_of_densified": (
        [DENSE @ D, pt.dot(D, Y.toarray()), pt.dot(DENSE, Y.toarray()), DENSE @ V],
        [pt.dot(DENSE + 1, D), (DENSE * D) @ E],
    ),
    "product_with_densified": ([X @ Y.toarray(), ss.dot(DENSE, Y)], [X @ (Y.toarray() + 1)]),
    "dense_form_of_product": (
        [ss.true_dot(X, D).toarray(), ss.true_dot(X, Y).toarray()],
        [(X @ Y).toarray()],
    ),
    "sum_of_densified": (
        [
            DENSE.sum(),
            Y.toarray().sum(axis=0),
            DENSE.sum(axis=-1, keepdims=True),
            INTEGERS.toarray().sum(),
            DENSE.mean(),
        ],
        [pt.exp(DENSE).sum(), DENSE.max(), DENSE.prod(axis=0)],
    ),
    "sum_of_sparse_of_dense": (
        [ss.sp_sum(ss.csr_from_dense(D)), ss.sp_sum(ss.csc_from_dense(D), 1)],
        [ss.sp_sum(X)],
    ),
    "diagonal_of_densified": (
        [pt.diagonal(DENSE), pt.diagonal(DENSE, 1), pt.diagonal(Y.toarray(), 2, axis1=1, axis2=0)],
        [pt.diagonal(DENSE + 1)],
    ),
    "index_of_densified": (
        [
            DENSE[1],
            DENSE[-1, 2],
            DENSE[1:4, ::-1],
            DENSE[:, [0, 0, 3]],
            DENSE[[1, 2], [0, -1]],
            Y.toarray()[[4, 1]],
        ],
        [pt.tanh(DENSE[0]) @ (DENSE + 1), DENSE[None], DENSE[pt.gt(D, 0)], DENSE[np.array([[0, 1], [2, 3]])]],
    ),
    "transpose_of_densified": ([DENSE.T], [DENSE[:, :, None], (DENSE + 1).T]),
    "fill_like_densified": (
        [pt.second(DENSE * D, S[None, None])],
        [pt.second(D, S[None, None]), pt.second(DENSE, D)],
    ),
    "function_of_densified": (
        [
            DENSE**2,
            pt.tanh(DENSE),
            DENSE > 0.5,
            DENSE * 3,
            2 * DENSE,
            DENSE / 2,
            DENSE.astype("float32"),
            abs(DENSE),
        ],
        [pt.exp(DENSE), DENSE + 1, DENSE**0, DENSE * S, DENSE >= 0, DENSE**D, DENSE * np.inf, pt.cos(DENSE)],
    ),
    "sum_with_densified": (
        [DENSE + D, D - DENSE, DENSE - D, DENSE + Y.toarray(), DENSE - Y.toarray()],
        [DENSE + V, DENSE * D, pt.tanh(DENSE + D @ E), DENSE + D.astype("complex128"), D + E],
    ),
    "product_with_densified_elementwise": (
        [
            (DENSE * D).sum(),
            (DENSE * (D @ E.T)).sum(axis=0),
            (DENSE * Y.toarray()).sum(),
            ((DENSE * D) ** 2 * E).sum(),
        ],
        [
            DENSE * D,
            DENSE * D + 1,
            pt.exp(DENSE * D).sum(),
            (DENSE * D).max(),
            DENSE[0][None] * D,
        ],
    ),
    "scalar_out_of_product": (
        [(X * 2.0) @ V, (-X) @ V, (0.5 * X).T @ V, (TALL * 2.0) @ TALL.T.toarray()],
        [(X * S) @ V, (X * 2.0) @ D, (X * np.inf) @ V, (X * V) @ V, (TALL.T * 2.0) @ WIDE, ss.sin(X) @ V],
    ),
    "column_scale_out_of_product": (
        [ss.col_scale(X, W) @ V, ss.row_scale(X, W).T @ V],
        [ss.row_scale(X, W) @ V, ss.col_scale(X, W) @ D, ss.col_scale(X, W).T @ V],
    ),
    "product_with_diagonal": (
        [
            ss.square_diagonal(W) @ X,
            X @ ss.diags(W),
            ss.diags(W) @ D,
            ss.square_diagonal(W).T @ V,
            Y @ ss.square_diagonal(W),
            FULL @ X,
            Y @ FULL.T,
            FROZEN @ D,
            D @ FROZEN,
            ss.true_dot(X, FROZEN.tocsc()),
            ss.dot(X, FROZEN),
            ss.CSC(pt.specify_shape(W, (N,)), FULL.data.indices, FULL.data.indptr, (N, N)) @ V,
        ],
        [
            ss.diags(W, 1, shape=(N, N)) @ X,
            ss.diags(W, 0, shape=(N, N + 1)).T @ X,
            X @ Y,
            HALF @ X,  # a row that is not stored is no row of zeros
            ss.constant(sp.csr_array(sp.eye_array(N, N + 1))) @ D,
            K @ X,
            ss.constant(FULL.data[::-1]) @ D,
            ss.constant(sp.csr_array((N, N))) @ D,
            ss.diags(W) @ pt.specify_shape(D, (1, None)),  # an error, which must not become a broadcast
            ss.CSC(W, FULL.data.indices, FULL.data.indptr, (N, N)) @ D,
        ],
    ),
    "diagonal_of_product": (
        [
            ss.diag(X @ X.T),
            ss.diag(SQUARE @ K),
            ss.trace(K @ SQUARE),
            pt.diagonal(SQUARE @ pt.specify_shape(D, (N, N))),
            pt.diagonal(pt.specify_shape(D, (N, N)) @ SQUARE),
            ss.diag(ss.sample(D @ E, ss.square_diagonal(V))),
            ss.diag(ss.sample(X @ Y, ss.diags(V))),
            ss.diag(ss.sample(ss.dot(D, Y), FULL)),
        ],
        [
            ss.diag(X @ Y),  # perhaps not square
            ss.diag(SQUARE @ K, 1),
            ss.diag(READ_TWICE) + READ_TWICE.sum(),
            ss.diag(ss.sample(D @ E, HALF)),
            ss.diag(ss.sample(D + E, FULL)),
            pt.diagonal(pt.specify_shape(D @ E, (N, N))) + X.sum(),
        ],
    ),
    "gather_of_product": (
        [
            (D @ E)[ROWS, COLUMNS] + X.sum(),
            pt.tanh(D @ E.T + V[:, None])[ROWS, COLUMNS] @ (X @ V),
            (D @ (E * 2)).T[ROWS, COLUMNS] + X.sum(),
            ((D @ E)[ROWS, COLUMNS] - (D @ E)[COLUMNS, ROWS]) * X.sum(),
        ],
        [
            (D @ E)[ROWS, COLUMNS],  # nothing is sparse here
            DENSE_PRODUCT[ROWS, COLUMNS] + DENSE_PRODUCT.max() + X.sum(),
            (D @ E)[ROWS] + X.sum(),
            (D @ E)[ROWS, 1:3] + X.sum(),
            (D @ E)[np.array([ROWS]), np.array([COLUMNS])] + X.sum(),
            (D * E)[ROWS, COLUMNS] + X.sum(),
            (THIN @ FLAT)[MANY_PAIRS] + X.sum(),  # 2,000 elements, 300 of which are wanted
        ],
    ),
    "shape_of_gather": (
        [
            pt.shape(D[pt.arange(LABELS.shape[0]), LABELS]) * X.nnz,
            D[pt.arange(LABELS.shape[0]), LABELS].mean() + X.sum(),
        ],
        [
            D[pt.arange(LABELS.shape[0]), LABELS].mean(),  # nothing is sparse here
            D[pt.arange(D.shape[0]), LABELS].mean() + X.sum(),
            D[pt.arange(1, LABELS.shape[0]), LABELS[1:]].mean() + X.sum(),
            D[pt.arange(0, LABELS.shape[0], 2), LABELS[::2]].mean() + X.sum(),
            D[pt.arange(LABELS.shape[0]), LABELS[:1]].mean() + X.sum(),
            D[LABELS, LABELS].mean() + X.sum(),
        ],
    ),
    "scattered_into_zeros": (
        [
            (pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) @ D) + X.sum(),
            (D @ pt.inc_subtensor(OPEN[ROWS, COLUMNS], S).T) + X.sum(),
            (pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) * D).sum(axis=0) + X.sum(),
            (pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) - pt.inc_subtensor(OPEN[COLUMNS, ROWS], W)) @ D
            + X.sum(),
        ],
        [
            pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) @ D,
            pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) + X.sum(),
            (pt.inc_subtensor(OPEN[ROWS, COLUMNS], V) + D) @ E + X.sum(),
            pt.exp(pt.inc_subtensor(OPEN[ROWS, COLUMNS], V)).sum() + X.sum(),
            pt.set_subtensor(OPEN[ROWS, COLUMNS], V) @ D + X.sum(),
            pt.inc_subtensor(D[ROWS, COLUMNS], V) @ E + X.sum(),
            pt.inc_subtensor(OPEN[ROWS], D) @ E + X.sum(),
            pt.inc_subtensor(ZEROS[ROWS, COLUMNS], V) @ D + X.sum(),  # 25 elements for 5
        ],
    ),
    "product_with_column": (
        [X @ V[:, None], ss.dot(Y, V[:, None])],
        [X @ V, X @ D, X @ pt.stack([V, V], axis=1)],
    ),
    "sample_of_converted": (
        [
            ss.sample(ss.csr_from_dense(D), X),
            ss.sample(DENSE, Y),
            ss.sample(X.tocsc(), Y),
            ss.sample(ss.clean(X), Z),
        ],
        [ss.sample(D, X), ss.sample(X, Y)],
    ),
    "sample_of_linear": (
        [
            ss.sample(X + Y, Z),
            ss.sample(X + D, Y),
            ss.sample(-X, Z),
            ss.sample(X * D, Y),
            ss.sample(X.T, Y),
            ss.sample(ss.col_scale(X, W), Z),
        ],
        [ss.sample(ss.sin(X), Z), ss.sample(X * Y, Z), ss.sample(ss.cast(X, "int32"), Z)],
    ),
    "sampled_product": (
        [
            *(
                ss.sample(product, p)
                for p in (Z, Y)
                for product in (X @ Y, X @ D, ss.dot(D, Y), ss.dot(X, Y))
            ),
            ss.sample((X @ Y).T, Z),
            ss.sample(ss.true_dot(D, X), Z),
        ],
        [
            ss.sample(READ_TWICE, Z) + READ_TWICE,
            ss.sample(D @ E, X),
            ss.sample(ss.sin(X @ Y), Z),
            ss.sample(X @ ss.diags(V), Z),
        ],
    ),
    "sample_of_diagonal": (
        [ss.sample(pt.diag(V), X), ss.sample(pt.diag(V[1:], 1), Y), ss.sample(pt.diag(V[2:], -2), X)],
        [ss.sample(pt.diag(V) + 1, X)],
    ),
    "sample_of_incremented": (
        [
            ss.sample(pt.inc_subtensor(ZEROS[1:3], D[1:3]), X),
            ss.sample(pt.inc_subtensor(ZEROS[[1, 1, 3]], D[:3]), Y),
            ss.sample(
                pt.inc_subtensor(ZEROS[[1, 1, 3], [0, 0, 2]], V[:3]) + pt.inc_subtensor(ZEROS[2, 3], S) + D, X
            ),
            ss.sample(pt.inc_subtensor(ZEROS[2], V).T, X),
        ],
        [
            ss.sample(pt.inc_subtensor(D[1:3], E[1:3]), X),
            ss.sample(pt.set_subtensor(ZEROS[[1, 1]], D[:2]), X),
        ],
    ),
    "cheapest_order": (
        [
            X @ Y @ V,
            (X @ Y).T @ V,
            X @ Y @ Z @ V,
            (X @ Y) @ (D @ V),
            X @ (THIN @ FLAT),
            K @ (K @ WIDE),
        ],
        [
            READ_TWICE @ V + READ_TWICE.sum(),
            INTEGERS @ INTEGERS @ V.astype("int64"),
            X @ (Y @ V),
            X @ D,
            D @ E @ V,
        ],
    ),
}


def after(out):
    return rewrite_graph(out, custom_rewrite=algebra_db.query("+fast_run"), clone=True)


def fires(out, name):
    """Whether a rewrite changes a graph. Inputs are constants of a clone, so that graphs can be compared."""
    if not isinstance(out, pytensor.graph.basic.Variable):
        raise TypeError(out)
    copy = clone_replace([out], copy_inputs_over=True)[0]
    fgraph = pytensor.graph.fg.FunctionGraph(inputs_of(copy), [copy], clone=False)
    before = clone_replace([copy])[0]
    algebra_db.query(f"+symsparse_{name}").rewrite(fgraph)
    return not equal_computations([fgraph.outputs[0]], [before])


def inputs_of(out):
    from pytensor.graph.traversal import graph_inputs

    return [v for v in dict.fromkeys(graph_inputs([out])) if not isinstance(v, pytensor.graph.basic.Constant)]


def test_every_rewrite_has_a_case_and_a_docstring():
    elsewhere = {"symsparse_usmm", "symsparse_usmm_inplace", "symsparse_transposed_copy"}
    assert {f"symsparse_{name}" for name in CASES} == set(REWRITES) - elsewhere
    for name, rewrite in REWRITES.items():
        first = rewrite.__doc__.splitlines()[0]
        assert first.endswith((".", ":")) or "=" in first, (
            f"{name}: the first line of the docstring is the identity"
        )


@pytest.mark.parametrize("name", CASES)
def test_it_fires(name):
    for out in CASES[name][0]:
        assert fires(out, name), pytensor.printing.pprint(out)
        assert after(out).type.dtype == out.type.dtype


@pytest.mark.parametrize("name", CASES)
def test_it_must_not_fire(name):
    for out in CASES[name][1]:
        assert not fires(out, name), pytensor.printing.pprint(out)


def with_gradients(out):
    """An expression and, if it has any, its gradients."""
    if out.dtype not in ("float64",):
        return [out]
    loss = ss.sp_sum(ss.sin(out)) if isinstance(out, ss.variables.SparseVariable) else pt.sin(out).sum()
    return [out, *pytensor.grad(loss, inputs_of(loss), disconnected_inputs="ignore")]


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_stay(name):
    outputs = [v for out in CASES[name][0] for v in with_gradients(out)]
    functions = [pytensor.function(INPUTS, outputs, mode=mode, on_unused_input="ignore") for mode in BOTH]
    for given in (values(), values(1, density=0.0), values(2, duplicates=False, unsorted_indices=False)):
        for out, found, expected in zip(outputs, *(f(*given) for f in functions), strict=True):
            assert found.dtype == expected.dtype == out.type.dtype
            if sp.issparse(found):
                assert found.format == expected.format
            single = {"rtol": 1e-6} if found.dtype == "float32" else {}
            assert_same_matrix(found, expected, **single)


def test_patterns_stay():
    """Sparse results store what they would: explicit zeros too."""
    outputs = [
        out for cases, _ in CASES.values() for out in cases if isinstance(out, ss.variables.SparseVariable)
    ]
    found, expected = (
        pytensor.function(INPUTS, outputs, mode=mode, on_unused_input="ignore")(*values()) for mode in BOTH
    )
    for f, e in zip(found, expected, strict=True):
        ones = [sp.csr_array((np.ones(m.nnz), m.indices, m.indptr), shape=m.shape) for m in (f, e)]
        np.testing.assert_array_equal((ones[0].toarray() > 0), (ones[1].toarray() > 0))


@pytest.mark.parametrize(
    ("name", "dtype"), [("float32", "float32"), ("complex", "complex128"), ("int8", "int8")]
)
def test_other_dtypes(name, dtype):
    x, y, d = ss.csr_matrix("x", dtype=dtype), ss.csc_matrix("y", dtype=dtype), pt.matrix("d", dtype=dtype)
    dense = x.toarray()
    outputs = [
        dense.sum(),
        dense.sum(axis=0),
        (dense * d).sum(),
        (dense * y.toarray()).sum(),
        dense + d,
        d - dense,
    ]
    outputs += [
        dense @ d,
        dense * 3,
        dense[1:],
        (x @ y) @ d,
        ss.sample(x @ y, x),
        ss.sample(x @ d, y),
        -x @ d[:, 0],
    ]
    outputs += [
        (dense > 1).sum() if dtype != "complex128" else dense.sum(),
        ss.square_diagonal(d[0]) @ x,
        x + y + x.T,
    ]
    rng = np.random.default_rng(0)
    given = [random_sparse(f, (N, N), dtype=dtype, gap=(0, 4), rng=rng) for f in ("csr", "csc")]
    given.append((4 * rng.normal(size=(N, N))).astype(dtype))
    found, expected = (pytensor.function([x, y, d], outputs, mode=mode)(*given) for mode in BOTH)
    for out, f, e in zip(outputs, found, expected, strict=True):
        assert f.dtype == e.dtype == out.type.dtype
        assert_same_matrix(f, e, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, N), (N, 0), (0, 0), (1, N)])
def test_empty_shapes(shape):
    x, d = ss.csr_matrix("x", dtype="float64"), pt.dmatrix("d")
    dense = x.toarray()
    outputs = [
        dense.sum(),
        dense.sum(axis=1),
        (dense * d).sum(),
        dense.T @ d,
        (x @ x.T) @ d,
        ss.sample(d @ x.T @ d, x),
    ]
    outputs += [ss.sample(x @ x.T @ x, x), (dense**2).sum(axis=0), dense[:0], dense[:, 1:], x + x.T.tocsr().T]
    loss = sum(pt.as_tensor(v.sum()) for v in outputs)
    outputs += pytensor.grad(loss, [x, d])
    given = random_sparse("csr", shape, rng=0), np.ones(shape)
    found, expected = (pytensor.function([x, d], outputs, mode=mode)(*given) for mode in BOTH)
    for f, e in zip(found, expected, strict=True):
        assert f.shape == e.shape
        assert_same_matrix(f, e)


def test_what_is_not_stored_multiplies_nothing():
    """NaN and infinity: the only entries that change are those that sparse algebra leaves out."""
    given = values()
    given[3][0, 0], given[3][1, 2], given[0].data[:2] = np.nan, np.inf, (np.inf, np.nan)
    outputs = [
        DENSE + D,
        D - DENSE,
        DENSE.sum(axis=0),
        DENSE**2,
        DENSE[1],
        ss.sample(X @ Y, Z),
        ss.sample(X @ D, Z),
    ]
    outputs += [
        ss.col_scale(X, W) @ V,
        -X @ V,
        X @ V[:, None],
        ss.square_diagonal(W) @ X,
        ss.sample(X + Y, Z),
    ]
    functions = [
        pytensor.function(INPUTS, outputs, mode=m, on_unused_input="ignore")
        for m in (lowered_mode, reference_mode)
    ]
    with np.errstate(all="ignore"):
        for found, expected in zip(*(f(*given) for f in functions), strict=True):
            assert_same_matrix(found, expected)


def test_a_rewrite_can_be_left_out():
    from symsparse.lowering.conversion import Densify

    for name, out in (("sum_of_densified", DENSE.sum()), ("diagonal_of_densified", pt.diagonal(DENSE))):
        steps = [
            [type(node.op) for node in pytensor.function([X], out, mode=mode).maker.fgraph.toposort()]
            for mode in (lowered_mode, lowered_mode.excluding(f"symsparse_{name}"))
        ]
        assert Densify not in steps[0]
        assert Densify in steps[1]


def test_dense_graphs_are_left_alone():
    """Rewrites visit graphs that have nothing sparse in them, too."""
    out = ((D @ E).sum(axis=0)[1:] ** 2).sum() + pt.diagonal(D * E)[0] + D.T[0, 0] + (D + E - 1).sum()
    out += pt.diagonal(D @ E).sum() + ((D @ E)[ROWS, COLUMNS] ** 2).sum()
    out += pytensor.grad(out, D).sum()
    assert not any(fires(out, name) for name in CASES)


@pytest.mark.parametrize("pattern", ["int32", "int64"])
@pytest.mark.parametrize("dense", [None, 0, 1])
def test_a_sampled_product_has_the_widest_indices(pattern, dense):
    x, y = (ss.csr_matrix(name, dtype="float64", index_dtype="int64") for name in "xy")
    p = ss.csc_matrix("p", dtype="float64", index_dtype=pattern)
    factors = [x, y]
    if dense is not None:
        factors[dense] = pt.dmatrix("d")
    out = ss.sample(factors[0] @ factors[1], p)
    assert fires(out, "sampled_product")
    a, b, c = (random_sparse("csr", (5, 5), rng=n) for n in range(3))
    with pytensor.config.change_flags(on_opt_error="raise"):
        f = pytensor.function([*factors, p], out, mode=lowered_mode)
    values = [m.toarray() if k == dense else m for k, m in enumerate((a, b))]
    found = f(*values, c)
    assert_same_matrix(found, sp.csc_array(a @ b).multiply(c.astype(bool)))
    assert found.indices.dtype == out.type.index_dtype == ("int64" if dense is None else pattern)


def test_a_conversion_that_is_needed_anyway_stays_in_sums():
    """Taken for one that can go, it made the rewrite of formats put the same sum in its own place for ever."""
    x = ss.csr_matrix("x", dtype="float64")
    c = x.tocsc()
    outputs = [c @ c, c - x, c + 2 * x + c]
    a = random_sparse("csr", (5, 5), rng=0)
    f = pytensor.function([x], outputs, mode=lowered_mode)
    for found, expected in zip(f(a), (a @ a, 0 * a, 4 * a), strict=True):
        assert_same_matrix(found, expected)
