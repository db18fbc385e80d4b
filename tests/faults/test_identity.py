"""Two ops are equal exactly if they mean the same: a merge of nodes, a copy or a pickle changes no meaning."""

import copy
import inspect
import pickle

import numpy as np
import pytensor
import pytensor.scalar as ps
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.graph.op import Op
from pytensor.printing import Print

import symsparse as ss
from symsparse.ops.base import SparseOp
from symsparse.testing import reference_mode
from tests.ops.generate import lowered_mode

# Two meanings of each argument by which ops differ.
MEANINGS = {
    "format": ("csr", "csc"),
    "dtype": ("float32", "float64"),
    "index_dtype": ("int32", "int64"),
    "out_type": ("float32", "int8"),
    "axis": (0, 1),
    "shape": ((2, None), (2, 3)),
    "scalar_op": (ps.sin, ps.exp),
    "rows": ("slice", "list"),
    "columns": ("slice", "list"),
    "offsets": ((0, 1), (0, 2)),
    "k": (0, 1),
    "exc_type": (ValueError, IndexError),
    "msg": ("one", "other"),
    "checks": ((("equal", "%d, %d"),), (("at_most", "%d, %d"),)),
    "print_op": (Print("one"), Print("other")),
    "factors": ("sparse_sparse", "sparse_dense"),
    "original": (ps.exp, ps.log),
}
FLAGS = ("structured", "sparse_grad", "inplace", "grad_preserves_dense", "trusted", "gather", "lower")
MEANINGS.update(dict.fromkeys(FLAGS, (False, True)))
WITHOUT_MEANING = {"kmap"}  # None or an error
BY_CONTENT = {"LargeConstant", "VectorComposite"}  # equal where what they hold is; see their own test


def op_classes():
    found, todo = set(), [Op]
    while todo:
        todo.extend(new := [cls for cls in todo.pop().__subclasses__() if cls not in found])
        found.update(new)
    ours = [c for c in found if c.__module__.startswith("symsparse") and not c.__name__.startswith("_")]
    ours = [c for c in ours if c.__name__ not in BY_CONTENT]
    return sorted((c for c in ours if not inspect.isabstract(c)), key=lambda c: (c.__module__, c.__name__))


OPS = op_classes()
IDS = [cls.__name__ for cls in OPS]


def arguments(cls):
    return [name for name in inspect.signature(cls).parameters if name not in WITHOUT_MEANING]


def variants(cls):
    """One instance, and for each argument another that differs in it alone."""
    names = arguments(cls)
    assert set(names) <= set(MEANINGS), f"Write two values of each argument of {cls.__name__} into MEANINGS."
    first = {name: MEANINGS[name][0] for name in names}
    return [cls(**first), *(cls(**{**first, name: MEANINGS[name][1]}) for name in names)]


@pytest.mark.parametrize("cls", OPS, ids=IDS)
def test_every_argument_of_an_op_is_part_of_its_identity(cls):
    assert set(arguments(cls)) <= set(cls.__props__)


@pytest.mark.parametrize("cls", OPS, ids=IDS)
def test_equal_flags_make_equal_ops_and_different_flags_do_not(cls):
    """The old `SparseFromDense`, `DenseFromSparse`, `SpSum` and `TrueDot` were equal whatever their flags."""
    made, again = variants(cls), variants(cls)
    for i, op in enumerate(made):
        for j, other in enumerate(again):
            assert (op == other) == (i == j), (op, other)
        assert hash(op) == hash(again[i])
        assert str(op)


@pytest.mark.parametrize("cls", OPS, ids=IDS)
def test_copies_and_pickles_keep_the_flags(cls):
    for op in variants(cls):
        for twin in (pickle.loads(pickle.dumps(op)), copy.copy(op), copy.deepcopy(op)):
            assert twin == op
            assert type(twin) is cls
            assert [getattr(twin, name) for name in cls.__props__] == [
                getattr(op, name) for name in cls.__props__
            ]
            assert getattr(twin, "destroy_map", {}) == getattr(op, "destroy_map", {})


def test_ops_of_different_classes_are_never_equal():
    made = [cls() for cls in OPS if not arguments(cls)]
    assert sum(isinstance(op, SparseOp) for op in made) > 20
    assert len(set(made)) == len(made)


def test_ops_that_hold_something_are_equal_where_it_is():
    from symsparse.backends.numba_constants import LargeConstant
    from symsparse.lowering.vector_math import vector_composite

    def composite(op):
        return vector_composite(op, [ps.float64("x")])

    made = [LargeConstant(np.arange(3)), LargeConstant(np.arange(3.0)), composite(ps.exp), composite(ps.log)]
    again = [LargeConstant(np.arange(3)), LargeConstant(np.arange(3.0)), composite(ps.exp), composite(ps.log)]
    for i, op in enumerate(made):
        assert [op == other for other in again] == [i == j for j in range(len(again))]
        assert hash(op) == hash(again[i]) == hash(pickle.loads(pickle.dumps(op)))
        assert pickle.loads(pickle.dumps(op)) == op


MODES = {"lowered": lowered_mode, "reference": reference_mode}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_variants_of_an_op_in_one_graph_stay_apart(mode):
    """The merge of equal nodes took the csr for the csc matrix, and one kind of gradient for the other."""
    d, x = pt.dmatrix("d"), ss.csr_matrix("x")
    value = sp.csr_array(np.array([[1.0, 0.0], [0.0, 2.0]]))
    rows, columns = ss.csr_from_dense(d), ss.csc_from_dense(d)
    kinds = []
    for structured in (True, False):
        kinds.append(pytensor.grad(x.toarray(structured=structured).sum(), x))
        kinds.append(pytensor.grad(ss.sp_sum(x, axis=0, sparse_grad=structured).sum(), x))
    f = pytensor.function([d, x], [rows, columns, *kinds], mode=mode)
    a, b, *gradients = f(value.toarray(), value)
    assert (a.format, b.format) == ("csr", "csc")
    for structured, regular in zip(gradients[:2], gradients[2:], strict=True):
        np.testing.assert_array_equal(structured.toarray(), np.eye(2))
        np.testing.assert_array_equal(regular, np.ones((2, 2)))


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_both_settings_of_grad_preserves_dense_give_their_gradient(mode):
    """The flag was no part of the op's identity, and without it the gradient of the dense operand came out as zero."""
    x, d = ss.csr_matrix("x"), pt.dmatrix("d")
    value, dense = sp.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]])), np.arange(1.0, 7).reshape(3, 2)
    made = [
        pytensor.grad(ss.true_dot(x, d, grad_preserves_dense=flag).sum(), d, return_disconnected="raise")
        for flag in (True, False)
    ]
    for got in pytensor.function([x, d], made, mode=mode)(value, dense):
        got = got.toarray() if sp.issparse(got) else got
        np.testing.assert_allclose(got, value.toarray().T @ np.ones((2, 2)))
    assert made[0].type.ndim == 2
    assert not isinstance(made[0], ss.SparseVariable)


def test_empty_constants_merge_and_their_dtypes_are_told_apart():
    empty = [ss.constant(sp.csr_array((2, 3), dtype=dtype)) for dtype in ("float64", "float64", "float32")]
    a, b, c = (x.signature() for x in empty)
    assert a == b
    assert a != c


@pytest.mark.parametrize("scale", [1e-9, 1e-300])
def test_constants_that_differ_by_little_stay_apart(scale):
    """Constants were merged when they were close in the sum of their entries: the second product was the first."""
    d = pt.dmatrix("d")
    small = [ss.constant(sp.csr_array(np.array([[k * scale, 0.0]]))) for k in (1, 3)]
    for mode in MODES.values():
        one, three = pytensor.function([d], [x @ d for x in small], mode=mode)(np.ones((2, 1)))
        assert (one[0, 0], three[0, 0]) == (scale, 3 * scale)
