"""Matrices from sizes and diagonals, triangles: what the table does not ask."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

modes = pytest.mark.parametrize("mode", [lowered_mode, reference_mode], ids=["lowered", "reference"])


@modes
def test_eye(mode):
    m, n = pt.iscalar("m"), pt.lscalar("n")
    arguments = [(m, n, 0), (m, n, 2), (m, 4, -1), (3, n, 9), (m, None, 1), (m, n, -9)]
    outputs = [ss.eye(*a, format=f) for a in arguments for f in (None, "csc")]
    f = pytensor.function([m, n], outputs, mode=mode)
    for sizes in ((3, 5), (5, 2), (0, 3), (1, 0)):
        rows = [
            (sizes[0], sizes[1]),
            (sizes[0], sizes[1]),
            (sizes[0], 4),
            (3, sizes[1]),
            (sizes[0], sizes[0]),
            sizes,
        ]
        got = f(*sizes)
        for i, (shape, (_, _, k)) in enumerate(zip(rows, arguments, strict=True)):
            for value, out in zip(got[2 * i : 2 * i + 2], outputs[2 * i : 2 * i + 2], strict=True):
                assert_well_formed(value, out.type)
                assert_same_matrix(value, np.eye(*shape, k=k))
    with pytest.raises(ValueError, match="negative"):
        f(3, -1)


def test_eye_declares_what_it_is_told():
    assert ss.eye(3, 4).type == ss.SparseTensorType("csr", "floatX", (3, 4))
    assert ss.eye(3, dtype="int8", format="csc").type == ss.SparseTensorType("csc", "int8", (3, 3))
    assert ss.eye(pt.constant(3), np.int64(2)).type.shape == (3, 2)
    assert ss.eye(2**31, 1).type.index_dtype == "int64"
    n = pt.lscalar()
    wide = pytensor.function([n], ss.eye(n, 0), mode=lowered_mode)
    with pytest.raises(ValueError, match="int32"):
        wide(2**31)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: ss.eye(-1), "eye: .*negative"),
        (lambda: ss.eye(2.0), "eye: .*integer"),
        (lambda: ss.eye(pt.dscalar()), "eye: .*integer"),
        (lambda: ss.eye(3, k=pt.lscalar()), "eye: .*known when the graph is built"),
        (lambda: ss.eye(3, format="coo"), "eye: .*'coo'"),
        (lambda: ss.diags([], []), "diags: .*0 diagonals"),
        (lambda: ss.diags([[1.0], [2.0]], [0]), "diags: .*2 diagonals and 1 offsets"),
        (lambda: ss.diags([[1.0], [2.0]], [1, 1]), r"diags: .*\[1, 1\] repeat"),
        (lambda: ss.diags([1.0, 2.0], [0, 0.5], shape=(2, 2)), "diags: .*integer"),
        (lambda: ss.diags([[1.0, 2.0]], [0], shape=(3, 3)), r"diags: diagonal 0 .*3 elements, but 2"),
        (
            lambda: ss.diags([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [0, 1]),
            "diags: diagonal 1 .*2 elements, but 3",
        ),
        (lambda: ss.diags([1.0], [4], shape=(3, 3)), "diags: diagonal 4 lies outside"),
        (lambda: ss.diags([np.ones((2, 2))], [0]), "diags: .*1-D"),
        (lambda: ss.diags([ss.csr_matrix()], [0]), "diags: .*dense"),
        (lambda: ss.tril(pt.matrix()), "tril: .*sparse"),
        (lambda: ss.triu(ss.csr_matrix(), 0.5), "triu: .*integer"),
        (lambda: ss.tril(ss.csr_matrix(), format="coo"), "'coo'"),
    ],
)
def test_errors(call, match):
    with pytest.raises((TypeError, ValueError), match=match):
        call()


@modes
def test_diags_as_scipy_has_it(mode):
    v, w, s, n = pt.vector("v"), pt.vector("w"), pt.scalar("s"), pt.lscalar("n")
    shape = pt.lvector("shape")
    cases = [
        (ss.diags([v, w], [0, -1]), lambda v, w, s: sp.diags_array([v, w], offsets=[0, -1])),
        (ss.diags(v), lambda v, w, s: sp.diags_array(v)),
        (ss.diags([v], -1), lambda v, w, s: sp.diags_array([v], offsets=[-1])),
        (
            ss.diags([1.0, -2.0, s], [-1, 0, 1], shape=(n, n)),
            lambda v, w, s: sp.diags_array([1, -2, s], offsets=[-1, 0, 1], shape=(4, 4)),
        ),
        (
            ss.diags([w, s], [1, 0], shape=shape),
            lambda v, w, s: sp.diags_array([w, s], offsets=[1, 0], shape=(4, 4)),
        ),
        (
            ss.diags([[1, 2], [3]], [0, 1], shape=(2, 3), dtype="float32"),
            lambda v, w, s: sp.diags_array([[1, 2], [3]], offsets=[0, 1], shape=(2, 3), dtype="float32"),
        ),
    ]
    values = np.array([1.0, 0.0, 3.0, 4.0]), np.array([5.0, 6.0, 7.0]), 8.0
    f = pytensor.function([v, w, s, n, shape], [c for c, _ in cases], mode=mode)
    for (out, answer), got in zip(cases, f(*values, 4, [4, 4]), strict=True):
        assert_well_formed(got, out.type)
        assert_same_matrix(got, answer(*values))
    assert f(*values, 4, [4, 4])[1].nnz == 4  # zeros on a diagonal are stored
    for bad in ((values[0], values[0], 8.0, 4, [4, 4]), (*values, 4, [4, 3]), (*values, -1, [4, 4])):
        with pytest.raises(ValueError, match="diags: "):
            f(*bad)


def test_a_diagonal_of_unknown_length_is_not_repeated():
    v = pt.vector("v")
    f = pytensor.function([v], ss.diags([v], [0], shape=(3, 3)), mode=lowered_mode)
    with pytest.raises(ValueError, match="length"):
        f(np.ones(1))


def test_constant_patterns_are_folded():
    from symsparse.lowering.base import KernelOp

    v = pt.dvector("v")
    made = ss.diags([v, 1.0], [0, 1], shape=(5, 5))
    f = pytensor.function([v], [made, ss.eye(4), ss.tril(made, -1), made.T.tocsc()])
    assert not [node for node in f.maker.fgraph.toposort() if isinstance(node.op, KernelOp)]
    assert_same_matrix(f(np.arange(5.0))[0], np.diag(np.arange(5.0)) + np.eye(5, k=1))


@modes
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_triangles_and_diagonals_of_any_number(format, mode):
    x, k = ss.matrix(format, dtype="int8", index_dtype="int64"), pt.iscalar()
    value = random_sparse(format, (4, 6), dtype="int8", rng=0, index_dtype="int64", duplicates=True)
    other = {"csr": "csc", "csc": "csr"}[format]
    outputs = [
        ss.tril(x, k),
        ss.triu(x, k),
        ss.tril(x, k, format=other),
        *(x.diagonal(j) for j in (-5, -1, 2, 6)),
    ]
    f = pytensor.function([x, k], outputs, mode=mode)
    for number in (-9, -4, -1, 0, 1, 3, 9):
        got = f(value, number)
        for one, out in zip(got[:3], outputs, strict=False):
            assert_well_formed(one, out.type)
        dense = value.toarray()
        assert_same_matrix(got[0], np.tril(dense, number))
        assert_same_matrix(got[1], np.triu(dense, number))
        assert_same_matrix(got[2], np.tril(dense, number))
        for one, j in zip(got[3:], (-5, -1, 2, 6), strict=True):
            np.testing.assert_array_equal(one, value.diagonal(j))
            assert one.dtype == "int8"
