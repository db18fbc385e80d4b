"""Sparse matrices wherever PyTensor meets them: functions, updates, copies, pickles, inner graphs, operators."""

import pickle

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.compile.builders import OpFromGraph
from pytensor.compile.io import In, Out
from pytensor.conditional.op import ifelse
from pytensor.graph.basic import equal_computations
from pytensor.graph.replace import clone_replace, graph_replace

import symsparse as ss
from symsparse.types import SCIPY_CLASSES

DENSE = np.array([[1.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, -0.25]])
OTHER = np.array([[0.0, 2.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 5.0, 0.0, 0.0]])
FORMATS = ["csr", "csc"]


def example(format="csr", dense=DENSE):
    return SCIPY_CLASSES[format](dense)


def same(got, expected, format=None):
    """Whether a result has this value, and is a SciPy sparse array of this format (dense without one)."""
    if format is not None:
        assert type(got) is SCIPY_CLASSES[format]
        got = got.toarray()
    assert isinstance(got, np.ndarray | np.number)
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    return True


# -- functions --------------------------------------------------------------------------------------------------


def test_functions_take_and_return_sparse_matrices():
    x, y = ss.csr_matrix("x"), ss.csc_matrix("y", dtype="float32")
    f = pytensor.function([x, y], [x, y, 2.0 * x, y.T, x.sum()])
    for A, B in (
        (example(), example("csc").astype("float32")),
        (sp.lil_matrix(DENSE), sp.coo_array(DENSE.astype("f"))),
    ):
        a, b, double, transposed, total = f(A, B)
        assert same(a, DENSE, "csr")
        assert same(b, DENSE, "csc")
        assert same(double, 2 * DENSE, "csr")
        assert same(transposed, DENSE.T, "csr")
        assert same(total, DENSE.sum())
        assert b.dtype == transposed.dtype == "float32"
    for wrong, kind, message in (
        (DENSE, TypeError, "needs a SciPy sparse"),
        (sp.csr_array(DENSE, dtype="complex64"), TypeError, "complex64"),
    ):
        with pytest.raises(kind, match=message):
            f(wrong, example("csc").astype("float32"))
    A = example()
    A.indices = A.indices + 10
    with pytest.raises(ValueError, match="Malformed csr matrix"):
        f(A, example("csc").astype("float32"))
    with pytest.raises(TypeError, match="without loss"):
        f(example(), example("csc"))


def test_input_and_output_wrappers():
    x = ss.csr_matrix("x", dtype="float32")
    f = pytensor.function([In(x, allow_downcast=True)], Out(x * np.float32(2), borrow=True))
    assert same(f(example()), 2 * DENSE, "csr")
    assert same(f(x=example()), 2 * DENSE, "csr")
    with pytest.raises(TypeError, match="strict"):
        pytensor.function([In(x, strict=True)], x.sum())(example())


@pytest.mark.parametrize("how", ["readonly", "strided", "wide", "unsorted", "duplicates", "unaligned"])
def test_every_legal_layout_gives_the_right_answer(how):
    x, v = ss.csr_matrix("x"), pt.vector("v")
    A = sp.csr_array(OTHER)
    if how == "readonly":
        for array in (A.data, A.indices, A.indptr):
            array.flags.writeable = False
    elif how == "strided":
        A.data, A.indices = np.repeat(A.data, 2)[::2], np.repeat(A.indices, 2)[::2]
    elif how == "wide":
        A.indices, A.indptr = A.indices.astype("int64"), A.indptr.astype("int64")
    elif how == "unsorted":
        A = sp.csr_array((A.data[[1, 0, 2, 3]], A.indices[[1, 0, 2, 3]], A.indptr), shape=A.shape)
    elif how == "duplicates":
        A = sp.csr_array((np.repeat(A.data, 2) / 2, np.repeat(A.indices, 2), 2 * A.indptr), shape=A.shape)
    else:
        A.data = np.frombuffer(b"\0" + A.data.tobytes(), dtype="uint8")[1:].view("float64")
    before = A.copy()
    f = pytensor.function([x, v], [x @ v, x**2, x + x.T.T, x * 2.0, x.T])
    for _ in range(2):
        product, square, double, twice, transposed = f(A, np.arange(4.0))
        assert same(product, OTHER @ np.arange(4.0))
        assert same(square, OTHER**2, "csr")
        assert same(double, 2 * OTHER, "csr")
        assert same(twice, 2 * OTHER, "csr")
        assert same(transposed, OTHER.T, "csc")
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(A, name), getattr(before, name))


def test_a_value_may_change_between_calls():
    x = ss.csr_matrix("x")
    f = pytensor.function([x], [x**2, x.sum()])
    A = example()
    assert same(f(A)[0], DENSE**2, "csr")
    A.data *= 2
    assert same(f(A)[0], (2 * DENSE) ** 2, "csr")
    with pytest.warns(sp.SparseEfficiencyWarning):
        A[1, 1] = 1.0
    assert same(f(A)[1], 2 * DENSE.sum() + 1)
    A.data, A.indices = A.data[::-1].copy(), A.indices[::-1].copy()
    A.indptr = np.array([0, 2, 2, 5], dtype="int32")
    assert same(f(A)[0], A.toarray() ** 2, "csr")
    A.resize((2, 3))
    assert same(f(A)[0], A.toarray() ** 2, "csr")


def test_givens_eval_and_replacements():
    x, y, d = ss.csr_matrix("x"), ss.csr_matrix("y", shape=(3, 4)), pt.matrix("d")
    z = x @ d
    f = pytensor.function([y, d], z, givens={x: 2 * y})
    D = np.arange(8.0).reshape(4, 2)
    assert same(f(example(), D), 2 * DENSE @ D)
    assert same(pytensor.function([d], z, givens={x: example()})(D), DENSE @ D)
    narrowed = pytensor.function([x], (2 * y).sum(), givens={y: x})  # x's static shape is unknown
    assert same(narrowed(example()), 2 * DENSE.sum())
    assert same(z.eval({x: example(), d: D}), DENSE @ D)
    assert same((x + x).eval({x: sp.csr_matrix(DENSE)}), 2 * DENSE, "csr")
    for replaced in (clone_replace(z, {x: y}), graph_replace(z, {x: y})):
        assert equal_computations([replaced], [y @ d])
        assert not equal_computations([replaced], [z])
    with pytest.raises(TypeError, match="Cannot use"):
        clone_replace(z, {x: ss.csc_matrix("c")})
    assert equal_computations([ss.constant(example()) @ d], [ss.constant(example()) @ d])
    assert not equal_computations([ss.constant(example()) @ d], [ss.constant(2 * example()) @ d])


@pytest.mark.parametrize("format", FORMATS)
def test_updates_of_shared_variables(format):
    w = ss.shared(example(format), name="w")
    frozen = ss.shared(example(format), name="frozen", frozen=True)
    x = ss.matrix(format, "x")
    step = pytensor.function(
        [x], [w.sum(), frozen.sum()], updates=[(w, w * 2.0 + x), (frozen.values, frozen.values * 3.0)]
    )
    assert same(np.array(step(example(format, OTHER))), [DENSE.sum(), DENSE.sum()])
    assert same(w.get_value(), 2 * DENSE + OTHER, format)
    assert same(frozen.get_value(), 3 * DENSE, format)
    assert same(np.array(step(example(format, 0 * OTHER))), [(2 * DENSE + OTHER).sum(), 3 * DENSE.sum()])
    assert same(w.get_value(), 4 * DENSE + 2 * OTHER, format)
    assert same(frozen.get_value(), 9 * DENSE, format)
    w.set_value(example(format, OTHER))
    frozen.set_value(example(format))
    assert same(np.array(step(example(format))), [OTHER.sum(), DENSE.sum()])


def test_swapping_updates_and_updates_with_an_input():
    a, b, x = ss.shared(example(), name="a"), ss.shared(example(dense=OTHER), name="b"), ss.csr_matrix("x")
    swap = pytensor.function([], [a, b], updates=[(a, b), (b, a)])
    old_a, old_b = swap()
    assert same(old_a, DENSE, "csr")
    assert same(old_b, OTHER, "csr")
    assert same(a.get_value(), OTHER, "csr")
    assert same(b.get_value(), DENSE, "csr")
    set_ = pytensor.function([x], [], updates=[(a, x)])
    A = example()
    set_(A)
    A.data[:], A.indices[:] = 7, 0
    assert same(a.get_value(), DENSE, "csr")
    with pytest.raises(TypeError):
        pytensor.function([], [], updates=[(a, ss.csc_matrix("y"))])


# -- copies and pickles -----------------------------------------------------------------------------------------


def test_graphs_and_functions_pickle():
    x, d = ss.csr_matrix("x", shape=(3, None)), pt.matrix("d")
    c, s = ss.constant(example()), ss.shared(example("csc"), name="s")
    w = ss.shared(example(), name="w", frozen=True)
    z = (x + c + s + w) @ d
    D = np.arange(8.0).reshape(4, 2)
    x2, d2, z2 = pickle.loads(pickle.dumps((x, d, z)))
    assert x2.type == x.type
    assert z2.type == z.type
    assert same(z2.eval({x2: example(), d2: D}), 4 * DENSE @ D)
    f = pytensor.function([x, d], z, updates=[(s, s * 2.0)])
    g = pickle.loads(pickle.dumps(f))
    assert same(f(example(), D), 4 * DENSE @ D)
    assert same(g(example(), D), 4 * DENSE @ D)
    assert same(g(example(), D), 5 * DENSE @ D), "the copy has its own state"
    assert same(s.get_value(), 2 * DENSE, "csc")


def test_functions_copy():
    x, s = ss.csr_matrix("x"), ss.shared(example(), name="s")
    other = ss.shared(example(dense=OTHER), name="other")
    f = pytensor.function([x], [x + s], updates=[(s, s * 2.0)])
    linked, apart, swapped = f.copy(share_memory=True), f.copy(), f.copy(swap={s: other})
    assert same(f(example())[0], 2 * DENSE, "csr")
    assert same(linked(example())[0], 3 * DENSE, "csr")
    assert same(apart(example())[0], 5 * DENSE, "csr")
    assert same(swapped(example())[0], DENSE + OTHER, "csr")
    assert same(other.get_value(), 2 * OTHER, "csr")
    assert same(f.copy(delete_updates=True)(example())[0], 9 * DENSE, "csr")
    assert same(s.get_value(), 8 * DENSE, "csr")


# -- inner graphs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inline", [False, True])
def test_op_from_graph(inline):
    x, d = ss.csr_matrix("x"), pt.matrix("d")
    op = OpFromGraph([x, d], [(x * x) @ d, 3.0 * x.T], inline=inline)
    product, tripled = op(x, d)
    assert tripled.type == x.T.type
    gx, gd = pytensor.grad(product.sum() + tripled.sum(), [x, d])
    if isinstance(gx, ss.SparseVariable):
        gx = gx.toarray(structured=False)
    D = np.arange(8.0).reshape(4, 2)
    got = pytensor.function([x, d], [product, tripled, gx, gd])(example(), D)
    assert same(got[0], DENSE**2 @ D)
    assert same(got[1], 3 * DENSE.T, "csc")
    at_entries = DENSE != 0
    assert same(got[2][at_entries], (2 * DENSE * D.sum(1) + 3)[at_entries])
    assert same(got[3], np.outer((DENSE**2).sum(0), np.ones(2)))


def test_ifelse():
    c, x, y = pt.bscalar("c"), ss.csr_matrix("x"), ss.csr_matrix("y")
    z, total = ifelse(c, (x * 2.0, x.sum()), (x + y, y.sum()))
    assert z.type == x.type
    f = pytensor.function([c, x, y], [z, total])
    for flag, expected in ((1, (2 * DENSE, DENSE.sum())), (0, (DENSE + OTHER, OTHER.sum()))):
        got = f(flag, example(), example(dense=OTHER))
        assert same(got[0], expected[0], "csr")
        assert same(got[1], expected[1])
    g = pytensor.function([c, x, y], pytensor.grad((ifelse(c, x, 3.0 * y) * x).sum(), y).toarray())
    at_entries = OTHER != 0
    assert same(g(0, example(), example(dense=OTHER))[at_entries], 3 * DENSE[at_entries])
    assert same(g(1, example(), example(dense=OTHER))[at_entries], 0 * DENSE[at_entries])


# -- nothing aliases at the boundary ----------------------------------------------------------------------------


def spoil(A):
    """Overwrite every array of a result in place, as a careless caller may."""
    for array in (A.data, A.indices, A.indptr):
        array[:] = 0


OWNERS = {
    "input": lambda A: (ss.matrix(A.format, "x"), A),
    "constant": lambda A: ((c := ss.constant(A)), c.data),
    "shared": lambda A: ((s := ss.shared(A)), s.get_value(borrow=True)),
    "frozen": lambda A: ((s := ss.shared(A, frozen=True)), s.get_value(borrow=True)),
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("owner", OWNERS)
def test_results_alias_neither_their_source_nor_each_other(owner, format):
    A = example(format)
    v, source = OWNERS[owner](A)
    outputs = [v, v.T, 2.0 * v, v.copy(), v.astype("float32"), v.ones_like(), ss.clean(v), v * np.ones(4)]
    expected = [DENSE, DENSE.T, 2 * DENSE, DENSE, DENSE, DENSE != 0, DENSE, DENSE]
    inputs = [v] if owner == "input" else []
    f = pytensor.function(inputs, [*outputs, v.values, v.indices, v.indptr])
    for _ in range(3):
        *results, values, indices, indptr = f(*[A] * len(inputs))
        for array in (values, indices, indptr):
            array[:] = 0
        for i, (got, want) in enumerate(zip(results, expected, strict=True)):
            assert same(got, want, got.format), i
            spoil(got)  # the results behind it must not change
        assert same(source, DENSE, format)


def test_updated_shared_variables_alias_nothing():
    w, v, x = ss.shared(example(), name="w"), ss.shared(example(), name="v"), ss.csr_matrix("x")
    step = pytensor.function([x], [w * 3.0, x.sqr()], updates=[(w, w * 2.0), (v, x * 5.0)])
    A = example()
    for n in range(3):
        tripled, squared = step(A)
        assert same(tripled, 3 * 2**n * DENSE, "csr")
        assert same(squared, DENSE**2, "csr")
        spoil(tripled)
        spoil(squared)
        assert same(w.get_value(), 2 ** (n + 1) * DENSE, "csr")
        assert same(v.get_value(), 5 * DENSE, "csr")
    spoil(A)
    assert same(v.get_value(), 5 * DENSE, "csr")
    spoil(v.get_value(borrow=True))
    assert same(w.get_value(), 8 * DENSE, "csr")
