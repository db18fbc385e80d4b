"""Stacks, block matrices, Kronecker products: errors, dtypes, index widths, and what the lowered graphs consist of."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.lowering.layout import CanonicalPattern, IsCanonical, TransposePattern
from symsparse.lowering.stacking import ConcatenatePattern, InterleavePattern
from symsparse.ops.base import SparseOp, is_sparse
from symsparse.ops.csm import CSM
from symsparse.testing import assert_same_matrix, assert_well_formed, random_sparse, reference_mode
from tests.ops.generate import lowered_mode

MODES = [lowered_mode, reference_mode]
modes = pytest.mark.parametrize("mode", MODES, ids=["lowered", "reference"])
STACKS = {"hstack": ss.hstack, "vstack": ss.vstack, "block_diag": ss.block_diag}
stacks = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
A = random_sparse("csr", (3, 3), rng=0)
B = random_sparse("csc", (3, 3), rng=1)


def count(function, *kinds):
    return sum(isinstance(node.op, kinds) for node in function.maker.fgraph.toposort())


def test_the_ops_work_with_their_defaults():
    x, y = ss.csr_matrix("x"), ss.csc_matrix("y", dtype="float32")
    for made, answer in ((ss.HStack()(x, y), sp.hstack([A, B])), (ss.VStack()(x, y), sp.vstack([A, B]))):
        assert (made.format, made.dtype) == ("csc", pytensor.scalar.upcast(x.dtype, "float32"))
        got = pytensor.function([x, y], made, mode=lowered_mode)(A, B.astype("float32"))
        assert_same_matrix(got, answer, rtol=1e-6)
    assert ss.HStack("csr", "float32")(x, y).type == ss.hstack([x, y], "csr", "float32").type
    assert ss.hstack([x, y], dtype="floatX").dtype == pytensor.config.floatX


def test_static_shapes():
    x, y = ss.csr_matrix(shape=(3, 2)), ss.csc_matrix(shape=(None, 4))
    assert ss.hstack([x, y]).type.shape == (3, 6)
    assert ss.vstack([x.T, y.T]).type.shape == (6, 3)
    assert ss.block_diag([x, y, 1.0]).type.shape == (None, 7)
    assert ss.block_diag([x, np.ones(3)]).type.shape == (4, 5)
    assert ss.kron(x, y).type.shape == (None, 8)
    assert ss.block_array([[x, None], [None, x]]).type.shape == (6, 4)


@modes
@stacks
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_duplicates_in_one_block_only(stack, format, mode):
    """The pattern of a stack is canonical only if those of all its blocks are."""
    x, y = ss.csr_matrix(), ss.csr_matrix()
    twice = sp.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 1))
    once = sp.csr_array([[5.0]])
    made = stack([x, y], format=format)
    gradients = pytensor.grad((made.toarray() ** 2).sum(), [x, y])
    f = pytensor.function(
        [x, y], [*gradients, *(pytensor.grad(g.sum(), [x, y])[k] for k, g in enumerate(gradients))], mode=mode
    )
    for blocks in ((twice, once), (once, twice), (twice, twice)):
        for got, block, second in zip(f(*blocks), blocks * 2, (False, False, True, True), strict=True):
            assert_same_matrix(got, np.full((1, 1), 2.0) if second else 2 * block.toarray())
            assert got.nnz == 1


@modes
def test_vstack_is_the_transposed_hstack_of_transposes(mode):
    x, y, d = ss.csr_matrix(), ss.csc_matrix(), pt.matrix()
    D = np.eye(3)
    pairs = [
        (ss.vstack([x, y, d]), ss.hstack([x.T, y.T, d.T]).T),
        (ss.block_diag([x, y]), ss.block_array([[x, None], [None, y]])),
        (ss.kron(x, y), ss.kron(x.T, y.T).T),
        (ss.kron(ss.eye(2), x), ss.block_diag([x, x])),
        (ss.vstack([x]), x),
        (ss.hstack([y], "csr"), y),
        (ss.vstack([d, x], "csr"), ss.vstack([ss.csr_from_dense(d), x])),
        (ss.kron(d, x, "csc"), ss.kron(ss.csr_from_dense(d), x)),
    ]
    outputs = [side for pair in pairs for side in pair]
    got = pytensor.function([x, y, d], outputs, mode=mode)(A, B, D)
    for one, other in zip(got[::2], got[1::2], strict=True):
        assert_same_matrix(one, other)


@stacks
@modes
def test_dtypes(stack, mode):
    dtypes = ["bool", "int8", "uint8", "int64", "float32", "complex64"]
    blocks = [ss.csr_matrix(dtype=d) for d in dtypes]
    values = [random_sparse("csr", (3, 3), dtype=d, rng=i) for i, d in enumerate(dtypes)]
    outputs = [stack(blocks[:n], format=f) for n in range(1, 7) for f in ("csr", "csc")]
    outputs += [stack(blocks[1:4], dtype="float32"), stack(blocks[:5], dtype="int16")]
    outputs += [ss.kron(a, b) for a, b in zip(blocks, [*blocks[1:], blocks[0]], strict=True)]
    assert [out.dtype for out in outputs[:12:2]] == [
        "bool",
        "int8",
        "int16",
        "int64",
        "float64",
        "complex128",
    ]
    got = pytensor.function(blocks, outputs, mode=mode)(*values)
    for value, out in zip(got, outputs, strict=True):
        assert_well_formed(value, out.type)
    dense = [v.toarray().astype(complex) for v in values]
    if stack is ss.hstack:
        assert_same_matrix(got[10], np.hstack(dense), rtol=1e-6)
    for value, a, b in zip(got[14:], dense, [*dense[1:], dense[0]], strict=True):
        answer = np.kron(a, b)
        np.testing.assert_allclose(
            value.toarray(), answer if value.dtype.kind == "c" else answer.real.astype(value.dtype), rtol=1e-6
        )


def test_complex_blocks_do_not_become_real():
    x = ss.csr_matrix(dtype="complex128")
    with pytest.raises(TypeError, match=r"hstack: complex .*csr, complex128"):
        ss.hstack([x, x], dtype="float64")


@stacks
def test_integer_blocks_have_zero_gradients(stack):
    x, i = ss.csr_matrix(dtype="float64"), ss.csc_matrix(dtype="int8")
    integers = random_sparse("csc", (3, 3), dtype="int8", rng=3)
    for blocks in ([x, i], [i, i]):
        loss = ss.sp_sum(stack(blocks), sparse_grad=True) * 1.0
        g = pytensor.grad(loss, i, disconnected_inputs="ignore")
        value = pytensor.function([x, i], g, mode=lowered_mode, on_unused_input="ignore")(A, integers)
        assert_same_matrix(value, np.zeros((3, 3)))


@modes
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_wide_indices(format, mode):
    x, y = ss.csr_matrix(index_dtype="int64"), ss.csc_matrix()
    outputs = [stack([x, y], format=format) for stack in STACKS.values()]
    outputs += [ss.kron(x, y, format), ss.kron(y, x, format), ss.kron(x, pt.ones((2, 2)), format)]
    outputs += [ss.tril(x), ss.block_array([[x, None], [None, y]], format=format)]
    outputs += [pytensor.grad(ss.sp_sum(out**2, sparse_grad=True), x) for out in outputs]
    assert all(out.type.index_dtype == "int64" for out in outputs if is_sparse(out))
    values = (random_sparse("csr", (3, 3), rng=0, index_dtype="int64"), B)
    for out, got in zip(outputs, pytensor.function([x, y], outputs, mode=mode)(*values), strict=True):
        assert_well_formed(got, out.type)


def test_known_sizes_widen_the_indices_and_others_are_refused():
    n = 2**30 + 1
    tall = ss.constant(sp.csc_array((np.ones(1), [n - 1], [0, 1]), shape=(n, 1)))
    made = ss.vstack([tall, tall])
    assert made.type.index_dtype == "int64"
    assert ss.kron(tall, np.ones((2, 1))).type.index_dtype == "int64"
    for mode in MODES:
        value = pytensor.function([], made, mode=mode)()
        assert_well_formed(value, made.type)
        assert value.indices.tolist() == [n - 1, 2 * n - 1]
    x = ss.csc_matrix(dtype="float64")
    for out in (ss.vstack([x, x]), ss.block_diag([x, x]), ss.kron(x, ss.eye(2))):
        assert out.type.index_dtype == "int32"
        for mode in MODES:
            with pytest.raises(ValueError, match="int64"):
                pytensor.function([x], out, mode=mode)(tall.data)


def test_what_cannot_be_stacked_is_refused_at_once():
    x, y = ss.csr_matrix(shape=(3, 2)), ss.csc_matrix(shape=(4, 5), dtype="float32")
    for name, stack in STACKS.items():
        with pytest.raises(ValueError, match=f"{name}: .*empty"):
            stack([])
        with pytest.raises(ValueError, match=f"{name}: .*'coo'"):
            stack([x], format="coo")
        with pytest.raises(TypeError, match=rf"{name}: needs a list .*{name}\(\[x, y\]\)"):
            stack(x)
    with pytest.raises(ValueError, match=r"hstack: .*rows.*csr.*\(3, 2\).*csc.*\(4, 5\)"):
        ss.hstack([x, y])
    with pytest.raises(ValueError, match=r"vstack: .*columns"):
        ss.vstack([x, y])
    for bad in (pt.vector(), 1.0):
        with pytest.raises(TypeError, match=r"hstack: .*2-D"):
            ss.hstack([x, bad])
    with pytest.raises(TypeError, match=r"kron: needs a sparse"):
        ss.kron(np.ones((2, 2)), pt.matrix())
    with pytest.raises(TypeError, match=r"kron: .*2-D"):
        ss.kron(x, pt.vector())
    with pytest.raises(ValueError, match=r"kron: .*'coo'"):
        ss.kron(x, x, format="coo")


def test_grids_with_unknown_sizes_are_refused():
    x = ss.csr_matrix(shape=(3, 2))
    with pytest.raises(ValueError, match="row 1 are None"):
        ss.block_array([[x, x], [None, None]])
    with pytest.raises(ValueError, match="column 0 are None"):
        ss.block_array([[None, x], [None, x]])
    for bad in ([], [[]], [[x], [x, x]]):
        with pytest.raises(ValueError, match="rows of one length"):
            ss.block_array(bad)
    with pytest.raises(ValueError, match="hstack: "):
        ss.block_array([[x, ss.csr_matrix(shape=(4, 2))]])


@modes
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_sizes_that_differ_at_run_time(format, mode):
    x, y, d = ss.csr_matrix(), ss.csc_matrix(), pt.matrix()
    wide, square = random_sparse("csr", (3, 4), rng=1), random_sparse("csc", (3, 3), rng=2)
    for name, swap in (("hstack", lambda v: v.T), ("vstack", lambda v: v)):
        for blocks in ([x, y, y], [y, x], [d, y]):
            f = pytensor.function(
                [x, y, d], STACKS[name](blocks, format=format), mode=mode, on_unused_input="ignore"
            )
            with pytest.raises(ValueError, match=f"{name}: "):
                f(swap(wide), swap(square), swap(wide.toarray()))


def test_a_lazy_cotangent_is_cut_before_it_is_formed():
    """Everything that is m x n stays a formula: through each kind of stack, nested, for products and sums."""
    x, y, d, v = ss.csr_matrix("x"), ss.csc_matrix("y"), pt.matrix("d"), pt.vector("v")
    sines = [ss.sin(x), ss.sin(y)]
    grid = ss.block_array([[sines[0], None], [None, sines[1]]])
    loss = (ss.dot(ss.hstack(sines), d) ** 2).sum() + (ss.dot(grid, d) ** 2).sum()
    loss += (ss.hstack(sines, "csr").sum(axis=1) * v).sum() + ss.vstack(sines).sum() * 2
    loss += (ss.dot(ss.tril(grid, 1), d) ** 3).sum() + (ss.dot(ss.block_diag(sines).T, d) ** 2).sum()
    grads = pytensor.grad(loss, [x, y])
    fast, slow = (pytensor.function([x, y, d, v], grads, mode=mode) for mode in MODES)
    n = 3
    values = [A, B, np.random.default_rng(0).uniform(size=(2 * n, 2)), np.arange(1.0, n + 1)]
    for got, answer in zip(fast(*values), slow(*values), strict=True):
        assert_same_matrix(got, answer)

    # Every dense matrix of the lowered graph is narrow: as wide as d, or a vector that broadcasts.
    fgraph = pytensor.function([x, y, d, v], grads, mode=lowered_mode.excluding("inplace")).maker.fgraph
    made = [out for node in fgraph.toposort() for out in node.outputs]
    shapes = [out.shape for out in made if not is_sparse(out) and out.type.ndim == 2]
    shapes = pytensor.function(fgraph.inputs, shapes, mode=lowered_mode, on_unused_input="ignore")(*values)
    assert shapes
    assert all(1 in shape or 2 in shape for shape in shapes), shapes


def test_patterns_of_constants_are_folded_and_shared():
    x, y = (ss.shared(v, frozen=True) for v in (A, B))
    outputs = [ss.hstack([x, y]), ss.vstack([x, y]), ss.block_diag([x, y]), ss.kron(x, y), ss.tril(x)]
    outputs.append(ss.structured_exp(ss.block_array([[x, None], [x.T, y]])))
    f = pytensor.function([], outputs)
    assert not count(f, KernelOp)
    answers = [sp.hstack([A, B]), sp.vstack([A, B]), sp.block_diag([A, B]), sp.kron(A, B), sp.tril(A)]
    for got, answer in zip(f(), answers, strict=False):
        assert_same_matrix(got, answer)


def test_canonical_blocks_make_canonical_stacks():
    x, y = (ss.csr_from_dense(pt.matrix(n)) for n in "xy")
    inputs = [v.owner.inputs[0] for v in (x, y)]
    outputs = [
        ss.structured_exp(stack([x, y], format=f)) for stack in STACKS.values() for f in ("csr", "csc")
    ]
    outputs += [ss.structured_exp(ss.kron(x, y)), ss.structured_exp(ss.tril(ss.hstack([x, y])))]
    outputs += [ss.structured_exp(ss.diags([inputs[0][0], 1.0], [1, 0], shape=(4, 4)))]
    f = pytensor.function(inputs, outputs, mode=lowered_mode)
    assert not count(f, CanonicalPattern, IsCanonical)
    # And where it is not known of a block, it is asked of that block.
    z = ss.csr_matrix("z")
    g = pytensor.function([z, *inputs], ss.structured_exp(ss.vstack([x, z, y])), mode=lowered_mode)
    doubled = random_sparse("csr", (2, 3), duplicates=True, rng=0)
    assert count(g, CanonicalPattern) == 1
    assert not count(g, IsCanonical)
    got = g(doubled, A.toarray(), B.toarray())
    dense = np.vstack([A.toarray(), doubled.toarray(), B.toarray()])
    assert_same_matrix(got, np.where(dense != 0, np.exp(dense), 0))


def test_equal_patterns_are_recognised():
    x, y = ss.csr_matrix("x"), ss.csr_matrix("y")
    total = ss.hstack([ss.sin(x), ss.tan(y)], "csr") + ss.hstack([ss.tan(x), ss.sin(y)], "csr")
    f = pytensor.function([x, y], total, mode=lowered_mode)
    assert count(f, InterleavePattern) == 1
    assert_same_matrix(f(A, A), sp.hstack([A.tan() + A.sin()] * 2))


def test_every_op_is_lowered_and_nothing_is_converted_without_need():
    x, y = ss.csr_matrix("x"), ss.csr_matrix("y")
    f = pytensor.function([x, y], ss.vstack([x, y], "csr"), mode=lowered_mode)
    assert count(f, ConcatenatePattern) == 1
    assert not count(f, TransposePattern, InterleavePattern)
    made = [
        ss.block_array([[x, None], [None, y]]),
        ss.kron(x, y),
        ss.tril(x, 1),
        ss.eye(x.shape[0]),
        x.diagonal(1),
    ]
    g = pytensor.function([x, y], made, mode=lowered_mode)
    assert not [
        n for n in g.maker.fgraph.toposort() if isinstance(n.op, SparseOp) and not isinstance(n.op, CSM)
    ]
