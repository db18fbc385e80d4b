"""What a mistake gets: an error of Python's own kinds that names the function, what it got, and the way out.

The walk takes every public function, and in a valid call of it puts one wrong thing after the other in the place of
each argument. What is accepted instead is run, and has to be right.
"""

import inspect
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.graph.op import Op

import symsparse as ss
from symsparse.testing import reference_mode
from tests.mistakes import (
    ANY,
    AXIS,
    CUBES,
    D0,
    D1,
    D2,
    D12,
    DIVISOR,
    DTYPE,
    DTYPE_NEEDED,
    EXTREME,
    FLAG,
    FORMAT,
    FORMAT_NEEDED,
    FULL,
    I0,
    I1,
    INDEX,
    INTEGER_VECTORS,
    INTEGERS,
    MATRICES,
    NAME,
    NEW,
    ORDER,
    OTHER,
    POWER,
    QUICK,
    RNG,
    SCALARS,
    SHALF,
    SHAPE,
    SPARSE,
    STACK,
    VECTORS,
    K,
    S,
    arg,
    assert_right,
    const,
    outcome,
    sparse,
    walk,
)
from tests.ops.generate import lowered_mode

CALLS: dict[str, list] = {}
#: What errors call a function that stands for another: an instance of an op has the name of the function.
CALLED = {
    "CSR": "CSM",
    "CSC": "CSM",
    "as_sparse": "as_sparse_variable",
    "conj": "structured_conjugate",
    "conjugate": "structured_conjugate",
    "get_item_2d": "getitem",
    "multiply": "mul",
    "subtract": "sub",
    "sdg_csc": "StructuredDotGradCSC",
    "sdg_csr": "StructuredDotGradCSR",
    "sign": "sgn",
    "sqr": "square",
    **{f"{f}_{k}binomial": "binomial" for f in ("csr", "csc") for k in "fd"},
}
for _name, _short in {
    **{"equal": "eq", "not_equal": "neq", "less_than": "lt"},
    **{"greater_than": "gt", "less_equal": "le", "greater_equal": "ge"},
}.items():
    CALLED |= {f"{_name}_s_s": _short, f"{_name}_s_d": _short}


def calls(names, *args, **kwargs):
    for name in names.split():
        CALLS.setdefault(name, []).append((args, kwargs))


calls(
    "arcsin arcsinh arctan arctanh bcast ccast ceil clean conj conjugate csm_data csm_indices csm_indptr "
    "csm_properties csm_shape dcast deg2rad ensure_sorted_indices expm1 fcast floor icast lcast log1p neg rad2deg "
    "remove0 rint sgn sign sin sinh sqr sqrt square structured_abs structured_conjugate structured_exp structured_log "
    "structured_sigmoid sum_duplicates tan tanh trace transpose trunc wcast zcast pattern_of",
    S,
)
calls("sp_max sp_min", S, axis=AXIS)
calls("sp_sum", S, axis=AXIS, sparse_grad=FLAG)
calls("sp_mean", S, axis=AXIS, dtype=DTYPE, sparse_grad=FLAG)
calls("norm", S, ord=ORDER, axis=AXIS)
calls("sp_ones_like sp_zeros_like", S, dtype=DTYPE)
calls("diag", S, k=K)
calls("tril triu", S, k=arg(const(0), INTEGERS, "out of range", word=True), format=FORMAT)
DENSE_TOO = arg(sparse, SPARSE, MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS)
calls("csr_from_dense csc_from_dense", DENSE_TOO)
calls("dense_from_sparse", DENSE_TOO, structured=FLAG)
calls("asformat", S, FORMAT_NEEDED)
calls("cast", S, DTYPE_NEEDED)
calls("add sub subtract lt le gt ge eq neq", OTHER, OTHER)
calls("mul multiply", ANY, S)
calls("true_div", S, DIVISOR)
calls("maximum minimum", EXTREME, EXTREME)
calls("add_s_s_data", S, arg(lambda: sparse("y"), "sparse", "scipy", "bsr"))
calls(" ".join(n for n in CALLED if n.endswith("_s_s")), S, arg(lambda: sparse("y"), SPARSE))
calls(" ".join(n for n in CALLED if n.endswith("_s_d")), S, D12)
calls("power floor_div mod", S, POWER)
calls("structured_add structured_minimum structured_maximum", S, arg(const(2.0), SCALARS, INTEGERS))
calls("structured_pow", S, arg(const(2.0), SCALARS, INTEGERS))
calls("mul_s_v structured_add_s_v col_scale row_scale", S, D1)
calls("dot structured_dot", STACK, SHALF)
calls("dot structured_dot", S, STACK)
calls("true_dot", arg(sparse, SPARSE, MATRICES), arg(lambda: pt.dmatrix("d"), SPARSE, MATRICES))
calls("usmm", D0, S, arg(lambda: pt.dmatrix("d"), SPARSE, MATRICES), D2)
calls("sampling_dot", D2, D2, S)
calls("structured_dot_grad", S, D2, D2)
calls("sample", arg(lambda: pt.dmatrix("d"), SPARSE, MATRICES), S)
calls("sdg_csr sdg_csc", I1, I1, D2, D2)
calls("CSR CSC", D1, I1, I1, I1)
calls("csm_grad", *[D1, I1, I1, I1] * 2)
calls("construct_sparse_from_list", arg(lambda: pt.dmatrix("d"), MATRICES, INTEGER_VECTORS), D2, I1)
calls("square_diagonal", D1)
calls(
    "diags",
    arg(const([1.0, 2.0]), "array", "2-D array"),
    arg(const([0, 1]), "int", "minus", "out of range", "negative pair", word=True),
    shape=arg(const((4, 4)), "integer 1-D", "None", word=True),
    format=FORMAT,
    dtype=DTYPE,
)
calls("eye", arg(const(3), INTEGERS), n=arg(const(3), INTEGERS, "None"), k=K, dtype=DTYPE, format=FORMAT)
calls("kron", S, arg(lambda: pt.dmatrix("d"), SPARSE, MATRICES), format=FORMAT)
calls(
    "hstack vstack block_diag",
    arg(lambda: [sparse(), pt.dmatrix("d")], "list of matrices", "ragged", "generator"),
    format=FORMAT,
    dtype=DTYPE,
)
calls("block_array", arg(lambda: [[sparse(), None], [None, sparse()]]), format=FORMAT, dtype=DTYPE)
calls("get_item_2d", S, INDEX)
calls("get_item_list", S, I1)
calls("get_item_2lists", S, I1, I1)
calls("get_item_scalar", S, arg(const((0, 1)), "twice", "negative pair", word=True))
calls("get_item_list_grad", S, I1, arg(lambda: sparse(shape=(2, 4)), SPARSE))
calls("get_item_2lists_grad", S, I1, I1, D1)
calls(
    "set_subtensor inc_subtensor",
    arg(lambda: sparse()[:2]),
    NEW,
)
calls("where", ANY, S, arg(const(0.0), SCALARS, INTEGERS, SPARSE, "huge"))
calls("sparse_grad", arg(lambda: pt.dmatrix("m")[pt.lvector("i")]))
calls("with_values", S, D1)
calls("multinomial", arg(const(3), INTEGERS, INTEGER_VECTORS), S, rng=RNG)
calls("poisson", S, rng=RNG)
calls(
    "csr_dbinomial csr_fbinomial csc_dbinomial csc_fbinomial",
    I0,
    arg(const(0.5), SCALARS, INTEGERS),
    arg(const((3, 4)), "integer 1-D"),
    rng=RNG,
)
calls("structured_monoid", arg(lambda: pt.cos))
calls("explain", arg(lambda: pytensor.function([v := pt.dvector()], v, mode=reference_mode)))
calls(
    "as_sparse as_sparse_variable", S, name=NAME, ndim=arg(const(2), "None", "int", "out of range", word=True)
)
calls(
    "as_sparse_or_tensor_variable",
    arg(
        sparse, SPARSE, MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS, CUBES, "half precision", "rng"
    ),
    name=NAME,
)
calls("constant", arg(const(FULL), "scipy", "bsr"), name=NAME)
calls("shared", arg(const(FULL), "scipy", "bsr"), name=NAME, format=FORMAT, shape=SHAPE)
calls("matrix", FORMAT_NEEDED, NAME, DTYPE, SHAPE, arg(const("int64"), word=True))
calls("csr_matrix csc_matrix csr_array csc_array", NAME, DTYPE, SHAPE, arg(const("int64"), word=True))
CALLED |= {"csr_array": "csr_matrix", "csc_array": "csc_matrix"}
calls("SparseTensorType", FORMAT_NEEDED, DTYPE_NEEDED, SHAPE, index_dtype=arg(const("int64"), word=True))
calls("set_num_threads", arg(const(1), "int", "out of range", word=True))


_X = sparse()
calls(
    "pushforward",
    arg(lambda: (_X * _X).sum()),
    arg(const(_X), "complex sparse"),
    arg(sparse, SPARSE, MATRICES, VECTORS, INTEGER_VECTORS, "list of matrices"),
)

#: Public, and nothing that is called with operands.
OBJECTS = {
    "DensificationError",
    "DensificationWarning",
    "SparseConstant",
    "SparseSharedVariable",
    "SparseVariable",
}
OBJECTS |= {f"{format}_{kind}matrix" for format in ("csr", "csc") for kind in "df"} | {"get_num_threads"}


def test_the_walk_leaves_nobody_out():
    public = {name for name in ss.__all__ if callable(getattr(ss, name))}
    # The classes of ops: a function or an instance above makes each of their nodes.
    classes = {n for n in public if inspect.isclass(getattr(ss, n)) and issubclass(getattr(ss, n), Op)}
    assert public - classes == set(CALLS) | OBJECTS


def _starts(name):
    return f"{name}: ", f"{CALLED.get(name, name)}: "


@pytest.mark.parametrize("name", sorted(CALLS))
def test_valid_calls_are_valid(name):
    for args, kwargs in CALLS[name]:
        result = outcome(
            getattr(ss, name), [a.make() for a in args], {key: a.make() for key, a in kwargs.items()}
        )
        assert not isinstance(result, Exception), result
    if name == "set_num_threads":
        ss.set_num_threads(ss.threads._numba().config.NUMBA_NUM_THREADS)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_wrong_arguments_are_refused_in_words(name):
    walk(getattr(ss, name), CALLS[name], _starts(name), QUICK)


RANDOM = "poisson multinomial csr_dbinomial csr_fbinomial csc_dbinomial csc_fbinomial".split()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CALLS) - set(RANDOM)))
def test_what_is_accepted_instead_is_right(name):
    """All wrong things: each is refused in words, or gives what the reference implementation does."""
    for where, result in walk(getattr(ss, name), CALLS[name], _starts(name)):
        assert_right(where, result)


# -- sizes that are known at run time only ----------------------------------------------------------------------


def _unknown(*formats_or_ranks):
    made = []
    for kind in formats_or_ranks:
        made.append(
            ss.matrix(kind) if isinstance(kind, str) else pt.tensor(shape=(None,) * kind, dtype="float64")
        )
    return made


A34, A43, A52 = (
    sp.random_array(s, density=0.6, format="csr", rng=np.random.default_rng(2))
    for s in ((3, 4), (4, 3), (5, 2))
)
#: name: (inputs, graph, values, numbers that the text must show)
AT_RUN_TIME: dict[str, Any] = {
    "add": (_unknown("csr", "csc"), lambda x, y: x + y, (A34, A43), ()),
    "mul": (_unknown("csr", "csr"), lambda x, y: x * y, (A34, A52), ("3", "5")),
    "maximum": (_unknown("csr", "csr"), ss.maximum, (A34, A52), ("3", "5")),
    "lt": (_unknown("csr", "csr"), ss.lt, (A34, A52), ("3", "5")),
    "dense add": (_unknown("csr", 2), lambda x, y: ss.add(x, y), (A34, np.ones((3, 7))), ("4", "7")),
    "dense lt": (_unknown("csc", 1), ss.lt, (A34, np.ones(7)), ("4", "7")),
    "mul or": (_unknown("csr", 2), lambda x, y: x * y, (A34, np.ones((3, 7))), ("4", "7")),
    "dot": (_unknown("csr", 1), lambda x, y: x @ y, (A34, np.ones(7)), ("4", "7")),
    "dot of columns": (_unknown("csc", 2), lambda x, y: x @ y, (A34, np.ones((7, 2))), ("4", "7")),
    "dot of two": (_unknown("csr", "csr"), lambda x, y: x @ y, (A34, A52), ("4", "5")),
    "usmm": (
        _unknown("csr", 2, 2),
        lambda x, y, z: ss.usmm(2.0, x, y, z),
        (A34, np.ones((7, 2)), np.ones((3, 2))),
        ("4", "7"),
    ),
    "sampling_dot": (
        _unknown("csr", 2, 2),
        lambda p, x, y: ss.sampling_dot(x, y, p),
        (A34, np.ones((3, 2)), np.ones((9, 2))),
        ("9", "4"),
    ),
    "sample": (_unknown("csr", "csr"), ss.sample, (A34, A52), ("3", "5")),
    "sample of a product": (
        _unknown("csr", "csc", "csr"),
        lambda x, y, p: ss.sample(x @ y, p),
        (A34, sp.csc_array(np.ones((99, 4))), sp.csr_array(np.ones((3, 4)))),
        ("4", "99"),
    ),
    "sample of a mixed product": (
        _unknown("csr", 2, "csr"),
        lambda x, y, p: ss.sample(x @ y, p),
        (A34, np.ones((99, 4)), sp.csr_array(np.ones((3, 4)))),
        ("4", "99"),
    ),
    "sample of a wide product": (
        _unknown(2, "csc", "csr"),
        lambda x, y, p: ss.sample(x @ y, p),
        (np.ones((3, 5)), sp.csc_array(np.ones((5, 7))), sp.csr_array(np.ones((3, 4)))),
        ("7", "4"),
    ),
    "row_scale": (_unknown("csr", 1), lambda x, v: ss.row_scale(x, v), (A34, np.ones(99)), ("99", "3")),
    "col_scale": (_unknown("csr", 1), lambda x, v: ss.col_scale(x, v), (A34, np.ones(99)), ("99", "4")),
    "getitem of more rows than columns": (
        ["csr", pt.lvector("i"), pt.lvector("j")],
        lambda x, i, j: pt.grad(x[i, j].sum(), x),
        (A34, np.array([0, 1]), np.array([0, 1, 2])),
        ("2", "3"),
    ),
    "hstack": (_unknown("csr", "csc"), lambda x, y: ss.hstack([x, y]), (A34, A52), ("3", "5")),
    "vstack": (_unknown("csr", "csc"), lambda x, y: ss.vstack([x, y]), (A34, A52), ("4", "2")),
    "with_values": (_unknown("csr", 1), ss.with_values, (A34, np.ones(99)), ("99", str(A34.nnz))),
    "CSM": (_unknown(1), lambda v: ss.CSR(v, [0, 1], [0, 1, 2], [2, 2]), (np.ones(99),), ("99", "2")),
    "CSM pattern": (
        [pt.vector("v", dtype="float64"), pt.ivector("i")],
        lambda v, i: ss.CSR(v, i, [0, 1, 2], [2, 2]),
        (np.ones(2), np.array([0, 9], "int32")),
        ("9", "2"),
    ),
    "getitem": (["csr", pt.lvector("i")], lambda x, i: x[i], (A34, np.array([0, 7])), ("7", "3")),
    "getitem of columns": (
        ["csr", pt.lvector("i")],
        lambda x, i: x[:, i],
        (A34, np.array([0, -7])),
        ("7", "4"),
    ),
    "getitem of a row": (["csr", pt.lscalar("i")], lambda x, i: x[i], (A34, np.array(7)), ("7", "3")),
    "getitem of pairs": (["csr", pt.lvector("i")], lambda x, i: x[i, i], (A34, np.array([0, 3])), ("3",)),
    "getitem of a mask": (
        ["csr", pt.vector("i", dtype="bool")],
        lambda x, i: x[i],
        (A34, np.ones(7, bool)),
        ("7", "3"),
    ),
    "set_subtensor": (
        ["csr", pt.lvector("i"), pt.dmatrix("y")],
        lambda x, i, y: ss.set_subtensor(x[i], y),
        (A34, np.array([0, 0]), np.ones((3, 4))),
        ("2", "3"),
    ),
    "diags": (_unknown(1), lambda v: ss.diags([v], [0], shape=(4, 4)), (np.ones(9),), ("9", "4")),
    "square": (["csr"], lambda x: x.norm(np.inf), (sp.csr_array((0, 4)),), ("zero-size",)),
}
_KNOWN_AS = {
    "dense add": "add",
    "dense lt": "lt",
    "mul or": "mul",
    "dot": "dot|structured_dot",
    "square": "sp_max",
}


def at_run_time(case):
    inputs, build, values, numbers = AT_RUN_TIME[case]
    inputs = [ss.matrix(v) if isinstance(v, str) else v for v in inputs]
    return inputs, build(*inputs), values, numbers


def assert_shows_sizes(case, mode):
    inputs, out, values, numbers = at_run_time(case)
    function = pytensor.function(inputs, out, mode=mode)
    with pytest.raises((ValueError, IndexError)) as caught:
        function(*values)
    text = str(caught.value).split("\n")[0]
    # One kernel serves all products; what a pattern is checked by is no op.
    names = (*_KNOWN_AS.get(case, case.split()[0]).split("|"), "dot", "Malformed")
    assert any(name in text.split(":")[0] for name in names), text
    assert all(number in text for number in numbers), text


_COSTLY = ("dot of two", "dot of columns", "set_subtensor", "usmm", "sampling_dot")  # kernels to compile


@pytest.mark.parametrize("case", AT_RUN_TIME)
def test_the_reference_shows_the_sizes(case):
    assert_shows_sizes(case, reference_mode)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow) if c in _COSTLY else c for c in AT_RUN_TIME]
)
def test_kernels_show_the_sizes(case):
    assert_shows_sizes(case, lowered_mode)


@pytest.mark.slow
@pytest.mark.parametrize("case", AT_RUN_TIME)
def test_compiled_code_shows_the_sizes(case):
    assert_shows_sizes(case, None)
