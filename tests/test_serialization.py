"""Pickle, cloudpickle and copies of all that is ours, in other processes, and from other versions."""

import copy
import pickle

import cloudpickle
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse import types
from symsparse.testing import assert_same_matrix, reference_mode
from tests.ops.generate import lowered_mode

A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
WAYS = {
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "oldest protocol": lambda x: pickle.loads(pickle.dumps(x, protocol=2)),
    "cloudpickle": lambda x: cloudpickle.loads(cloudpickle.dumps(x)),
    "deepcopy": copy.deepcopy,
}
MODES = {"reference": reference_mode, "lowered": lowered_mode}
pytestmark = pytest.mark.parametrize("way", WAYS)


def graph():
    x, v = ss.csr_matrix("x", dtype="float64", shape=(2, 3)), pt.dvector("v")
    c, s, f = ss.constant(A), ss.shared(A, name="s"), ss.shared(A, name="f", frozen=True)
    out = ss.structured_dot((x + c) * s, f.T).sum(axis=1) + x @ v
    return x, v, s, f, out


def test_variables_and_graphs(way):
    x, v, s, f, out = WAYS[way](graph())
    assert x.type == ss.SparseTensorType("csr", "float64", (2, 3))
    assert (x.name, s.name, f.name) == ("x", "s", "f")
    assert_same_matrix(s.get_value(), A)
    assert_same_matrix(f.get_value(), A)
    D = A.toarray()
    want = ((2 * D) * D @ D.T).sum(1) + D @ [1, 2, 3]
    np.testing.assert_allclose(pytensor.function([x, v], out, mode=reference_mode)(A, [1.0, 2.0, 3.0]), want)
    f.values.set_value(2 * f.values.get_value())  # still the values of this very matrix
    assert_same_matrix(f.get_value(), 2 * A)


def test_types_and_constants(way):
    for made in (ss.csr_dmatrix, ss.SparseTensorType("csc", "bool", (None, 3), index_dtype="int64")):
        assert WAYS[way](made) == made
        assert hash(WAYS[way](made)) == hash(made)
    c = ss.constant(A, name="c")
    twin = WAYS[way](c)
    assert twin.signature() == c.signature()
    assert twin.name == "c"
    assert_same_matrix(twin.data, A)
    assert not np.shares_memory(twin.data.data, c.data.data)


@pytest.mark.parametrize("mode", [*MODES, pytest.param("numba", marks=pytest.mark.slow)])
def test_compiled_functions(way, mode):
    x, v, _, f, out = graph()
    function = pytensor.function(
        [x, v], out, mode=MODES.get(mode, "NUMBA"), updates=[(f.values, f.values + 1)]
    )
    twin = WAYS[way](function)
    first, again = (function(A, [1.0, 2.0, 3.0]) for _ in range(2))
    np.testing.assert_allclose(twin(A, [1.0, 2.0, 3.0]), first)
    np.testing.assert_allclose(twin(A, [1.0, 2.0, 3.0]), again)
    assert (first != again).any()


def test_a_value_that_was_checked_is_checked_again_in_its_copy(way):
    """The mark of the door names arrays by identity: it must not survive where the arrays do not."""
    B = A.copy()
    ss.csr_dmatrix.filter(B)
    twin = WAYS[way](B)
    twin.indices = twin.indices + 10
    with pytest.raises(ValueError, match="outside"):
        ss.csr_dmatrix.filter(twin)
    twin = WAYS[way](B)
    twin.indices[0] = 77  # in place: what was copied is not what was checked
    mark = twin.__dict__.get("_symsparse_checked")
    assert mark is None or mark[1] is twin.indices


def test_a_newer_version_says_so(way, monkeypatch):
    """Whatever it pickled: each pickle of ours holds a type."""
    if way == "deepcopy":
        return
    x, v, s, f, out = graph()
    things = [
        ss.csr_dmatrix,
        x,
        out,
        ss.constant(A),
        s,
        f,
        pytensor.function([x, v], out, mode=reference_mode),
    ]
    dump = {
        "pickle": pickle.dumps,
        "oldest protocol": lambda thing: pickle.dumps(thing, protocol=2),
        "cloudpickle": cloudpickle.dumps,
    }[way]
    with monkeypatch.context() as patch:
        patch.setattr(types, "PICKLE_FORMAT", types.PICKLE_FORMAT + 1)
        newer = [dump(thing) for thing in things]
    for data in newer:
        with pytest.raises(ValueError, match="newer version of symsparse"):
            pickle.loads(data)


def test_types_of_before_pickles_had_a_format(way):
    state = {k: v for k, v in ss.csr_dmatrix.__getstate__().items() if k != "symsparse_format"}
    blank = ss.SparseTensorType.__new__(ss.SparseTensorType)
    blank.__setstate__(state)
    assert WAYS[way](blank) == ss.csr_dmatrix


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_errors_of_compiled_functions(way, mode):
    """As pools of processes send them back."""
    x, v, i = ss.csr_matrix("x", dtype="float64"), pt.dvector("v"), pt.lscalar("i")
    for out, kind in ((x @ v, ValueError), (x[i] @ v, IndexError)):
        function = pytensor.function([x, v, i], out, mode=mode, on_unused_input="ignore")
        with pytest.raises(kind) as found:
            function(A, np.ones(9 if kind is ValueError else 3), 7)
        twin = WAYS[way](found.value)
        assert type(twin) is type(found.value)
        assert str(twin) == str(found.value)
        assert "9" in str(twin) or kind is IndexError
