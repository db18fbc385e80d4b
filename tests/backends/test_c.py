"""The C linker: the C++ kernels on every dtype, index width, layout and ugly pattern, and whole graphs of every op."""

import functools
import gc
import itertools
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.compile.mode import OPT_FAST_RUN, Mode

import symsparse as ss
from symsparse.backends import c
from symsparse.lowering.matmul import CompressedDot
from symsparse.lowering.sampling import SDDMM
from symsparse.testing import assert_same_matrix, random_sparse, reference_mode
from symsparse.types import all_dtypes, index_dtypes
from tests.kernels.patterns import PATTERNS, RICH, assert_same, laid_out, pattern, values, with_nonfinite
from tests.ops.generate import expected, lowered_mode, other, symbolic, values as operand_values
from tests.ops.table import CASES

needs_compiler = pytest.mark.skipif(
    not pytensor.config.cxx, reason="PyTensor found no C++ compiler (config.cxx is empty)"
)
C = Mode("c", None).excluding("symsparse_lowering")  # the whole graph in one C module, as it was written
CVM = Mode("cvm", OPT_FAST_RUN)


def runs_in_c(function, op_type):
    """Whether all nodes of these ops are C thunks, not calls of ``perform``."""
    chosen = [
        hasattr(thunk, "cthunk")
        for node, thunk in zip(function.vm.nodes, function.vm.thunks, strict=True)
        if isinstance(node.op, op_type)
    ]
    assert chosen, f"no {op_type} in the graph"
    return all(chosen)


# -- the kernels ------------------------------------------------------------------------------------------------


@functools.cache
def all_kernels(dtype, index_dtype):
    """Every op with C code, in one function of (pattern, values, dense operands by major and by minor axis)."""
    indices, indptr = pt.vector(dtype=index_dtype), pt.vector(dtype=index_dtype)
    n_minor = pt.scalar(dtype="int64")
    v, x_major, x_minor = (pt.vector(dtype=dtype) for _ in range(3))
    a, b = pt.matrix(dtype=dtype), pt.matrix(dtype=dtype)
    outputs = [
        CompressedDot(True)(v, indices, indptr, x_minor, n_minor),
        CompressedDot(False)(v, indices, indptr, x_major, n_minor),
        CompressedDot(True)(v, indices, indptr, b, n_minor),
        CompressedDot(False)(v, indices, indptr, a, n_minor),
        SDDMM()(indices, indptr, a, b, n_minor),
        ss.sdg_csr(indices, indptr, b, a),
        ss.sdg_csc(indices, indptr, a, b),
    ]
    return pytensor.function([indices, indptr, n_minor, v, x_major, x_minor, a, b], outputs, mode=C)


@np.errstate(all="ignore")
def check_kernels(p, v, a, b):
    """All ops against sums over the stored entries: what is not stored multiplies nothing, not even NaN."""
    dtype = v.dtype
    gathered = np.zeros((p.n_major, a.shape[1]), dtype)
    scattered = np.zeros((p.n_minor, a.shape[1]), dtype)
    sampled = np.zeros(p.nnz, dtype)
    for r, i, k in p.entries:
        gathered[r] += v[k] * b[i]
        scattered[i] += v[k] * a[r]
        for j in range(a.shape[1]):
            sampled[k] += a[r, j] * b[i, j]
    if a.shape[1]:
        x_major, x_minor = a[:, 0], b[:, 0]
        wanted = [gathered[:, 0], scattered[:, 0]]
    else:
        x_major, x_minor = np.zeros(p.n_major, dtype), np.zeros(p.n_minor, dtype)
        wanted = [np.zeros(p.n_major, dtype), np.zeros(p.n_minor, dtype)]
    wanted += [gathered, scattered, sampled, sampled, sampled]
    inputs = [*p.arrays, v, x_major, x_minor, a, b]
    before = [x.tobytes() for x in inputs]
    run = all_kernels(dtype.name, p.indices.dtype.name)
    found = run(*p.arrays, p.n_minor, v, x_major, x_minor, a, b)
    assert [x.tobytes() for x in inputs] == before
    for got, want in zip(found, wanted, strict=True):
        assert_same(got, want, dtype)


def extreme(x):
    """The same with the largest and smallest integers among it: they overflow and wrap, as NumPy's do."""
    x = x.copy()
    x.flat[::3], x.flat[1::3] = np.iinfo(x.dtype).max, np.iinfo(x.dtype).min
    return x


DEFAULT = [("float64", "int32"), ("complex64", "int64"), ("int16", "int32"), ("bool", "int64")]


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "index_dtype"),
    [
        pytest.param(*kind, marks=() if kind in DEFAULT else pytest.mark.slow)
        for kind in itertools.product(all_dtypes, index_dtypes)
    ],
)
def test_kernels(dtype, index_dtype):
    layouts = itertools.cycle(("C", "F", "strided", "read-only"))
    for name, width in itertools.product(PATTERNS, (0, 1, 3)):
        layout = next(layouts)
        p = PATTERNS[name].as_kind(index_dtype, layout)
        v, a, b = (
            laid_out(values(shape, dtype, seed=seed), layout)
            for seed, shape in enumerate([(p.nnz,), (p.n_major, width), (p.n_minor, width)])
        )
        check_kernels(p, v, a, b)
    p = RICH.as_kind(index_dtype, "C")
    v, a, b = values(p.nnz, dtype), values((p.n_major, 3), dtype, 1), values((p.n_minor, 3), dtype, 2)
    for layout in ("C", "F", "strided"):
        check_kernels(p, v, laid_out(a, layout), laid_out(b, "F"))
    once = np.broadcast_to(a[:, :1], a.shape), np.broadcast_to(b[0], b.shape)  # strides of zero
    check_kernels(p, np.broadcast_to(v[-1:], v.shape), *once)
    if v.dtype.kind in "iu":
        check_kernels(p, extreme(v), extreme(a), extreme(b))
    if v.dtype.kind in "fc":
        for i in range(3):
            check_kernels(p, *(with_nonfinite(x) if i == j else x for j, x in enumerate((v, a, b))))


@needs_compiler
def test_results_are_new_and_right_call_after_call():
    p, other_p = RICH, PATTERNS["tall"]
    for q in (p, other_p, p):
        shape = q.nnz, (q.n_major, 2), (q.n_minor, 2)
        check_kernels(q, *(values(s, "float64", i) for i, s in enumerate(shape)))
    v, a, b = (values(s, "float64", 1) for s in (p.nnz, (p.n_major, 2), (p.n_minor, 2)))
    arguments = (*p.arrays, p.n_minor, v, a[:, 0], b[:, 0], a, b)
    first = all_kernels("float64", "int32")(*arguments)
    kept = [x.copy() for x in first]
    again = all_kernels("float64", "int32")(*(x * 0 if i > 2 else x for i, x in enumerate(arguments)))
    for x, y, z in zip(first, kept, again, strict=True):
        np.testing.assert_array_equal(x, y)
        assert not np.shares_memory(x, z)


@needs_compiler
def test_references_are_given_back():
    p = RICH.as_kind("int32", "strided")
    v, a, b = (laid_out(values(s, "float64"), "F") for s in (p.nnz, (p.n_major, 2), (p.n_minor, 2)))
    arguments = [*p.arrays, np.array(p.n_minor), v, a[:, 0], b[:, 0], a, b]
    run = all_kernels("float64", "int32")
    run(*arguments)
    before = [sys.getrefcount(x) for x in arguments]
    for _ in range(5):
        with pytest.raises(ValueError, match="malformed"):
            run(p.indices, p.indptr * 2, *arguments[2:])
        with pytest.raises(ValueError, match=r"do not fit|differ"):
            run(*arguments[:-2], a[1:], b)
        outs = run(*arguments)
    gc.collect()  # errors hold their frames in cycles
    assert [sys.getrefcount(x) for x in arguments] == before
    alone = [np.zeros(3)]
    assert sys.getrefcount(outs[0]) == sys.getrefcount(alone[0]) + 1  # PyTensor keeps the last results


@needs_compiler
@pytest.mark.parametrize(
    ("b_dtype", "g_dtypes"),
    [
        ("float64", ["float32"]),
        ("float32", ["float64", "int8", "complex128"]),
        *(pytest.param(dtype, all_dtypes, marks=pytest.mark.slow) for dtype in all_dtypes),
    ],
)
def test_operands_of_two_dtypes_are_multiplied_in_that_of_the_result(b_dtype, g_dtypes):
    """The predecessors read a float32 array as doubles here."""
    b, gs = values((4, 3), b_dtype, 1), [values((5, 3), dtype, 2) for dtype in g_dtypes]
    p = pattern([[3, 0, 3], [], [2], [1, 1], [0]], 4)
    i, q, b_in = pt.ivector(), pt.vector(dtype="uint8"), pt.matrix(dtype=b_dtype)
    gs_in = [pt.matrix(dtype=dtype) for dtype in g_dtypes]
    outs = [ss.sdg_csr(i, q, b_in, g) for g in gs_in]
    found = pytensor.function([i, q, b_in, *gs_in], outs, mode=C)(p.indices, p.indptr.astype("uint8"), b, *gs)
    for got, out, g in zip(found, outs, gs, strict=True):
        wide = "complex128" if "complex" in out.dtype else "float64"
        answer = (g.astype(wide) @ b.T.astype(wide))[p.majors, p.indices]
        assert_same(got, answer, out.dtype)


SOUND = {"indices": [0, 2, 1], "indptr": [0, 2, 3], "v": 3, "n_minor": 3, "a": (2, 4), "b": (3, 4)}
BROKEN = {
    "index too large": {"indices": [0, 3, 1]},
    "index negative": {"indices": [0, -1, 1]},
    "index far away": {"indices": [0, 2**31 - 1, 1]},
    "indptr falls": {"indptr": [0, 4, 3]},
    "indptr negative": {"indptr": [0, -1, 3]},
    "indptr starts late": {"indptr": [1, 2, 3]},
    "indptr ends early": {"indptr": [0, 2, 2]},
    "indptr ends late": {"indptr": [0, 2, 4]},
    "indptr empty": {"indptr": []},
    "too many rows": {"a": (3, 4)},
    "too few rows": {"a": (1, 4)},
    "minor too short": {"b": (2, 4)},
    "minor too long": {"b": (4, 4)},
    "inner sizes": {"a": (2, 5)},
    "inner size one": {"a": (2, 1)},
    "values missing": {"v": 2},
    "negative size": {"n_minor": -3},
}


SIZES = {"minor too short", "minor too long", "values missing", "negative size"}
PATTERN_FAULTS = {name for name in BROKEN if name.startswith("ind")}
OPS = {
    # each with the faults that it can see: `gather` never reads a
    "gather": (
        lambda i, p, n, v, a, b: CompressedDot(True)(v, i, p, b, n),
        PATTERN_FAULTS | SIZES,
    ),
    "scatter": (
        lambda i, p, n, v, a, b: CompressedDot(False)(v, i, p, a, n),
        PATTERN_FAULTS | {"too many rows", "too few rows", "values missing", "negative size"},
    ),
    "sddmm": (
        lambda i, p, n, v, a, b: SDDMM()(i, p, a, b, n),
        set(BROKEN) - {"values missing"},
    ),
    "StructuredDotGradCSR": (
        lambda i, p, n, v, a, b: ss.sdg_csr(i, p, b, a),
        PATTERN_FAULTS
        | {"too many rows", "too few rows", "inner sizes", "inner size one", "minor too short"},
    ),
    "StructuredDotGradCSC": (
        lambda i, p, n, v, a, b: ss.sdg_csc(i, p, a, b),
        PATTERN_FAULTS
        | {"too many rows", "too few rows", "inner sizes", "inner size one", "minor too short"},
    ),
}


@pytest.mark.parametrize(
    ("op", "mode"),
    [
        *(pytest.param(op, C, marks=needs_compiler, id=f"{op}-c") for op in OPS),
        # the Numba kernels behind the other ops trust their patterns: the ops that made them have checked
        *(
            pytest.param(op, mode, id=f"{op}-{name}")
            for op in OPS
            if "Grad" in op
            for name, mode in (("reference", reference_mode), ("lowered", lowered_mode))
        ),
    ],
)
def test_malformed_input_is_an_error_and_not_a_wild_read(op, mode):
    build, faults = OPS[op]
    i, p, v = pt.ivector(), pt.ivector(), pt.dvector()
    n, a, b = pt.lscalar(), pt.dmatrix(), pt.dmatrix()
    f = pytensor.function([i, p, n, v, a, b], build(i, p, n, v, a, b), mode=mode, on_unused_input="ignore")

    def run(indices, indptr, v, n_minor, a, b):
        ints = (np.array(x, dtype="int32") for x in (indices, indptr))
        return f(*ints, n_minor, *(np.ones(shape) for shape in (v, a, b)))

    for fault in faults:
        with pytest.raises(ValueError, match=r"[Mm]alformed|do not fit|differ|values, but"):
            run(**(SOUND | BROKEN[fault]))
    assert (run(**SOUND) > 0).all()


# -- graphs -----------------------------------------------------------------------------------------------------


def products(format, dtype="float64", dense="float64"):
    """structured_dot (matrix, vector, from the left) and sampling_dot, with all their gradients."""
    x, p = ss.matrix(format, dtype=dtype), ss.matrix(other(format), dtype=dtype)
    w, u, left, b = (
        pt.matrix(dtype=dense),
        pt.vector(dtype=dense),
        pt.matrix(dtype=dense),
        pt.matrix(dtype=dense),
    )
    outs = [ss.structured_dot(x, w), ss.structured_dot(x, u), ss.structured_dot(left, x)]
    sampled = ss.sampling_dot(outs[0], b, p)
    loss = sum((o**2).sum() for o in outs) + ss.sp_sum(sampled * sampled)
    inputs = [x, p, w, u, left, b]
    return inputs, [*outs, sampled, *pytensor.grad(loss, inputs)]


def product_values(format, dtype="float64", dense="float64", **ugly):
    rng = np.random.default_rng(3)
    ugly = {"density": 0.6, **ugly}
    x = random_sparse(format, (5, 4), dtype=dtype, rng=1, **ugly)
    p = random_sparse(other(format), (5, 6), dtype=dtype, rng=2, **ugly)
    return [x, p, *(rng.normal(size=s).astype(dense) for s in ((4, 3), 4, (2, 5), (6, 3)))]


def assert_agree(found, wanted, symbols, rtol=1e-10):
    for got, want, symbol in zip(found, wanted, symbols, strict=True):
        assert got.dtype == want.dtype == symbol.dtype
        if sp.issparse(want):
            assert got.format == want.format
            np.testing.assert_array_equal(got.indices, want.indices)
            np.testing.assert_array_equal(got.indptr, want.indptr)
            got, want = got.data, want.data
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol)


@needs_compiler
@pytest.mark.parametrize("format", ["csr", pytest.param("csc", marks=pytest.mark.slow)])
def test_products_and_their_gradients(format):
    inputs, outputs = products(format)
    fast = pytensor.function(inputs, outputs, mode=CVM)
    assert runs_in_c(fast, CompressedDot)
    assert runs_in_c(fast, SDDMM)
    slow = pytensor.function(inputs, outputs, mode=reference_mode)
    for ugly in (
        {},
        {"duplicates": True, "unsorted_indices": True},
        {"explicit_zero": True},
        {"density": 0.0},
    ):
        arguments = product_values(format, **ugly)
        for layout in ("C", "F", "strided"):
            chosen = [x if sp.issparse(x) else laid_out(x, layout) for x in arguments]
            assert_agree(fast(*chosen), slow(*arguments), outputs)


@needs_compiler
@pytest.mark.parametrize(
    ("dtype", "dense"),
    [
        ("float64", "float32"),
        pytest.param("float32", "float64", marks=pytest.mark.slow),
        pytest.param("complex64", "float64", marks=pytest.mark.slow),
        pytest.param("int32", "float32", marks=pytest.mark.slow),
    ],
)
def test_the_gradient_of_mixed_dtypes(dtype, dense):
    """csr float64 @ float32: its gradient was garbage in the predecessors' C code."""
    x, w = ss.csr_matrix(dtype=dtype), pt.matrix(dtype=dense)
    out = ss.structured_dot(x, w)
    outputs = [out, *out.owner.op.pullback([x, w], [out], [out])]
    value, _, dense_value, *_ = product_values("csr", dtype, dense)
    fast = pytensor.function([x, w], outputs, mode=CVM)
    assert runs_in_c(fast, CompressedDot)
    assert runs_in_c(fast, SDDMM)
    slow = pytensor.function([x, w], outputs, mode=reference_mode)
    assert_agree(fast(value, dense_value), slow(value, dense_value), outputs, rtol=1e-5)


@needs_compiler
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_structured_dot_grad_runs_as_written_where_nothing_lowers_it(format):
    mode = CVM.excluding("symsparse_lowering", "symsparse_algebra")
    value = random_sparse(format, (5, 4), 0.6, duplicates=True, unsorted_indices=True, rng=1)
    rng = np.random.default_rng(2)
    b, g = np.asfortranarray(rng.normal(size=(4, 3))), rng.normal(size=(5, 6))[:, ::-2]
    i, p, bs, gs = pt.ivector(), pt.ivector(), pt.dmatrix(), pt.dmatrix()
    op = {"csr": ss.sdg_csr, "csc": ss.sdg_csc}[format]
    f = pytensor.function([i, p, bs, gs], op(i, p, bs, gs), mode=mode)
    assert runs_in_c(f, type(op))
    answer = (g @ b.T)[value.tocoo().coords]
    np.testing.assert_allclose(f(value.indices, value.indptr, b, g), answer, rtol=1e-12)


def linked(linker, compiler, inputs, outputs):
    mode = Mode(linker, OPT_FAST_RUN)
    if not compiler:  # PyTensor leaves these rewrites out if it finds no compiler when it is imported
        mode = mode.excluding("cxx_only")
    with pytensor.config.change_flags(cxx=pytensor.config.cxx if compiler else ""):
        return pytensor.function(inputs, outputs, mode=mode, on_unused_input="ignore")


@pytest.mark.parametrize(
    ("linker", "compiler"), [("cvm", False), ("vm", False), ("py", False)], ids=["cvm", "vm", "py"]
)
def test_products_without_a_compiler(linker, compiler):
    inputs, outputs = products("csc")
    f = linked(linker, compiler, inputs, outputs)
    if linker != "py":
        assert not runs_in_c(f, CompressedDot | SDDMM)
    slow = pytensor.function(inputs, outputs, mode=reference_mode)
    arguments = product_values("csc", duplicates=True)
    assert_agree(f(*arguments), slow(*arguments), outputs)


def test_a_dtype_that_no_sparse_matrix_has_is_refused():
    i, p, b, g = pt.ivector(), pt.ivector(), pt.matrix(dtype="float16"), pt.matrix(dtype="float16")
    with pytest.raises(TypeError, match="float16 is no dtype that symsparse knows"):
        ss.sdg_csr(i, p, b, g)


def smoke_cases():
    """One case in eight by default. The slow run has all, and what multiplies with a compiler too."""
    found = []
    for n, case in enumerate(CASES):
        for k, linker in enumerate(("cvm", "vm", "py")):
            marks = [] if n % 8 == k else [pytest.mark.slow]
            found.append(pytest.param(case, linker, False, marks=marks, id=f"{case.name}-{linker}"))
        if n % 8 == 0 or any(word in case.name for word in ("dot", "usmm", "sample")):
            marks = [needs_compiler, pytest.mark.slow]
            found.append(pytest.param(case, "cvm", True, marks=marks, id=f"{case.name}-compiler"))
    return found


@pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS")  # for the dense products of others
@pytest.mark.parametrize(("case", "linker", "compiler"), smoke_cases())
def test_every_op_runs_under_every_linker(case, linker, compiler):
    sparse = [operand for operand in case.operands if operand.sparse]
    same = any(operand.same_pattern_as is not None for operand in sparse)
    formats = ["csr", *("csr" if same else "csc" for _ in sparse[1:])]
    inputs = symbolic(case, formats)
    out = case.build(*inputs)
    wrt = [x for x, o in zip(inputs, case.operands, strict=True) if o.dtype == "float64"]
    dense = out.toarray(structured=False) if ss.ops.base.is_sparse(out) else out
    grads = pytensor.grad((dense**2).sum(), wrt, disconnected_inputs="ignore") if case.gradient else []
    outputs = [out, *grads]
    f = linked(linker, compiler, inputs, outputs)
    slow = pytensor.function(inputs, outputs, mode=reference_mode, on_unused_input="ignore")
    for variant in ("plain", "duplicates", "nothing_stored"):
        operands = operand_values(case, formats, variant)
        found, wanted = f(*operands), slow(*operands)
        assert_same_matrix(found[0], expected(case, operands), err_msg=variant, **case.tolerance)
        for got, want in zip(found[1:], wanted[1:], strict=True):
            assert got.dtype == want.dtype
            got, want = (x.toarray() if sp.issparse(x) else x for x in (got, want))
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9, err_msg=variant)


# -- what the predecessors' C code got wrong --------------------------------------------------------------------


def test_adding_to_a_dense_matrix_of_any_layout():
    """AddSD in C was wrong for Fortran order and for duplicates."""
    x, y = ss.csr_matrix(dtype="float64"), pt.dmatrix()
    f = linked("cvm", True, [x, y], ss.add(x, y))
    value = random_sparse("csr", (4, 5), 0.6, duplicates=True, unsorted_indices=True, rng=1)
    dense = np.random.default_rng(2).normal(size=(4, 5))
    for layout in ("C", "F", "strided"):
        np.testing.assert_allclose(f(value, laid_out(dense, layout)), value.toarray() + dense)


@pytest.mark.parametrize("op", ["add", "mul"])
@pytest.mark.parametrize("format", ["csr", "csc"])
def test_mismatched_shapes_raise(op, format):
    """AddSD and MulSD in C read and wrote out of bounds."""
    x, y = ss.matrix(format, dtype="float64"), pt.dmatrix()
    f = linked("cvm", True, [x, y], getattr(ss, op)(x, y))
    value = random_sparse(format, (4, 5), 0.9, rng=1)
    for shape in ((3, 5), (4, 4), (5, 4), (40, 50)):
        with pytest.raises(ValueError, match=r"differ|do not fit"):
            f(value, np.ones(shape))


# -- what it costs where it is not wanted -----------------------------------------------------------------------


def test_no_c_is_made_for_numba(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the C linker was asked")

    for method in ("c_code", "c_support_code", "c_code_cache_version"):
        monkeypatch.setattr(c.CKernel, method, refuse)
    monkeypatch.setattr(c, "source", refuse)
    x, w = ss.csr_matrix(dtype="float64"), pt.dmatrix()
    constant = ss.constant(sp.eye_array(3, format="csr"))
    folded = ss.structured_dot(constant, pt.constant(np.ones((3, 2))))
    f = pytensor.function([x, w], ss.structured_dot(x, w) + folded)
    value = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(f(sp.eye_array(3, format="csr"), value), value + 1)


def test_the_version_of_the_code_changes_with_its_source(monkeypatch):
    version = c.source_version()
    assert version
    assert all(isinstance(part, int) for part in version)
    assert ss.sdg_csr.c_code_cache_version() == SDDMM().c_code_cache_version() == version
    monkeypatch.setattr(c, "source", lambda: "// another text")
    assert c.source_version.__wrapped__() != version
