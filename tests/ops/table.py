"""The op table: for every op what it computes, in dense NumPy. The tests of this folder are generated from it."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
import scipy.special

import symsparse as ss


class Matrix(NamedTuple):
    """A sparse operand as the oracle sees it: its dense form, and where it stores entries."""

    dense: np.ndarray
    stored: np.ndarray


@dataclass(frozen=True)
class Operand:
    """Sizes by letters: "mn" is a matrix of m rows and n columns, "" a scalar."""

    sizes: str
    sparse: bool
    static: tuple | None = None
    same_pattern_as: int | None = None
    dtype: str = "float64"


def S(sizes="mn", **kwargs):
    return Operand(sizes, True, **kwargs)


def D(sizes, **kwargs):
    return Operand(sizes, False, **kwargs)


@dataclass(frozen=True)
class Case:
    """One op: ``build`` on symbolic operands must give what ``oracle`` gives on dense ones."""

    name: str
    build: Any
    operands: tuple
    oracle: Any
    low: float = -0.9
    high: float = 0.9
    smooth_at_zero: bool = True
    gradient: bool = True
    structured: tuple = ()  # operands whose cotangent must have their own pattern
    regular: tuple = ()  # operands whose cotangent must be right at every position
    tolerance: dict = field(default_factory=dict)
    integer: bool = False  # the result is an integer whatever the operands


CASES: list[Case] = []


def case(name, build, operands, oracle, **kwargs):
    CASES.append(Case(name, build, tuple(operands), oracle, **kwargs))


def on_stored(function):
    """The oracle of a structured function."""

    def oracle(x, *scalars):
        with np.errstate(all="ignore"):
            return np.where(x.stored, function(x.dense, *scalars), 0)

    return oracle


# -- elementwise ------------------------------------------------------------------------------------------------

for name, function in {
    "structured_sigmoid": scipy.special.expit,
    "structured_exp": np.exp,
    "sin": np.sin,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "arcsinh": np.arcsinh,
    "tanh": np.tanh,
    "arctanh": np.arctanh,
    "rad2deg": np.rad2deg,
    "deg2rad": np.deg2rad,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "square": np.square,
    "structured_conjugate": np.conjugate,
}.items():
    bounded = {"low": -0.2, "high": 0.2} if name in ("arcsin", "arctanh") else {}  # duplicates add up
    kind = () if name == "structured_conjugate" else (0,)
    case(name, getattr(ss, name), [S()], on_stored(function), structured=kind, **bounded)
for name, function in {
    "structured_abs": np.abs,
    "sgn": np.sign,
    "rint": np.rint,
    "ceil": np.ceil,
    "floor": np.floor,
    "trunc": np.trunc,
}.items():
    case(name, getattr(ss, name), [S()], on_stored(function), structured=(0,), smooth_at_zero=False)
for name, function in {"structured_log": np.log, "sqrt": np.sqrt}.items():
    case(name, getattr(ss, name), [S()], on_stored(function), structured=(0,), low=0.1, smooth_at_zero=False)
for name, function in {
    "structured_pow": np.power,
    "structured_minimum": np.minimum,
    "structured_maximum": np.maximum,
    "structured_add": np.add,
}.items():
    case(
        name,
        getattr(ss, name),
        [S(), D("")],
        on_stored(function),
        structured=(0,),
        low=0.1,
        smooth_at_zero=False,
    )
case(
    "structured_monoid",
    lambda x: ss.structured_monoid(pt.cos)(x),
    [S()],
    on_stored(np.cos),
    structured=(0,),
)
case("neg", ss.neg, [S()], lambda x: -x.dense, regular=(0,))
case(
    "cast", lambda x: ss.cast(x, "float32"), [S()], lambda x: x.dense, tolerance={"rtol": 1e-5, "atol": 1e-5}
)

# -- layout -----------------------------------------------------------------------------------------------------

case("transpose", ss.transpose, [S()], lambda x: x.dense.T, regular=(0,))
case("asformat_csr", lambda x: ss.asformat(x, "csr"), [S()], lambda x: x.dense, regular=(0,))
case("asformat_csc", lambda x: ss.asformat(x, "csc"), [S()], lambda x: x.dense, regular=(0,))
for name in ("ensure_sorted_indices", "sum_duplicates", "remove0", "clean"):
    case(name, getattr(ss, name), [S()], lambda x: x.dense, regular=(0,))

# -- conversion -------------------------------------------------------------------------------------------------

case("dense_from_sparse", ss.dense_from_sparse, [S()], lambda x: x.dense, structured=(0,))
case(
    "dense_from_sparse_regular", lambda x: x.toarray(structured=False), [S()], lambda x: x.dense, regular=(0,)
)
case("csr_from_dense", ss.csr_from_dense, [D("mn")], lambda d: d)
case("csc_from_dense", ss.csc_from_dense, [D("mn")], lambda d: d)
case("csr_from_vector", ss.csr_from_dense, [D("n")], lambda d: d[None])
case("square_diagonal", ss.square_diagonal, [D("n")], np.diag)
case("diag", ss.diag, [S()], lambda x: np.diag(x.dense), regular=(0,))
case(
    "construct_sparse_from_list",
    lambda x, rows, places: ss.construct_sparse_from_list(x, rows, places),
    [D("mn"), D("kn"), D("k", dtype="int64")],
    lambda x, rows, places: (np.arange(x.shape[0])[:, None] == places) @ rows,
)
case("sp_ones_like", ss.sp_ones_like, [S()], lambda x: x.stored * 1.0)
case("sp_zeros_like", ss.sp_zeros_like, [S()], lambda x: x.dense * 0, gradient=False)
case("sample_dense", ss.sample, [D("mn"), S()], lambda g, x: g * x.stored)
case("sample_sparse", ss.sample, [S(), S()], lambda g, x: g.dense * x.stored)

# -- arithmetic -------------------------------------------------------------------------------------------------

case("add_sparse", ss.add, [S(), S()], lambda x, y: x.dense + y.dense, regular=(0, 1))
case("add_same_pattern", ss.add, [S(), S(same_pattern_as=0)], lambda x, y: x.dense + y.dense, regular=(0, 1))
case(
    "add_s_s_data",
    ss.add_s_s_data,
    [S(), S(same_pattern_as=0)],
    lambda x, y: x.dense + y.dense,
    structured=(0, 1),
)
case("sub_sparse", ss.sub, [S(), S()], lambda x, y: x.dense - y.dense, regular=(0, 1))
case("sub_dense_sparse", ss.sub, [D("mn"), S()], lambda y, x: y - x.dense, structured=(1,))
case("mul_sparse", ss.mul, [S(), S()], lambda x, y: x.dense * y.dense)
case("mul_same", lambda x: x * x, [S()], lambda x: x.dense**2)
for label, operand in {
    "matrix": D("mn"),
    "vector": D("n"),
    "row": D("1n", static=(1, None)),
    "column": D("m1", static=(None, 1)),
}.items():
    case(f"add_{label}", ss.add, [S(), operand], lambda x, y: x.dense + y, structured=(0,))
    case(f"sub_{label}", ss.sub, [S(), operand], lambda x, y: x.dense - y, structured=(0,))
    case(f"mul_{label}", ss.mul, [S(), operand], lambda x, y: x.dense * y)
    case(f"mul_{label}_left", ss.mul, [operand, S()], lambda y, x: x.dense * y)
case("mul_scalar", ss.mul, [S(), D("")], lambda x, y: x.dense * y)
case("mul_one_by_one", ss.mul, [S(), D("11", static=(1, 1))], lambda x, y: x.dense * y)
case("true_div_scalar", lambda x, y: x / y, [S(), D("")], lambda x, y: x.dense / y, low=0.2)
case("true_div_matrix", lambda x, y: x / y, [S(), D("mn")], lambda x, y: x.dense / y, low=0.2)
case("power", lambda x: x**3, [S()], lambda x: x.dense**3, structured=(0,))
case("floor_div", lambda x: x // 0.25, [S()], lambda x: x.dense // 0.25, smooth_at_zero=False)
case("mod", lambda x: x % 0.25, [S()], lambda x: x.dense % 0.25, smooth_at_zero=False)
case("col_scale", ss.col_scale, [S(), D("n")], lambda x, s: x.dense * s, structured=(0,))
case("row_scale", ss.row_scale, [S(), D("m")], lambda x, s: x.dense * s[:, None], structured=(0,))
case("mul_s_v", ss.mul_s_v, [S(), D("n")], lambda x, v: x.dense * v)
case("structured_add_s_v", ss.structured_add_s_v, [S(), D("n")], on_stored(np.add), structured=(0,))

# -- comparisons ------------------------------------------------------------------------------------------------

for name, function in {
    "eq": np.equal,
    "neq": np.not_equal,
    "lt": np.less,
    "gt": np.greater,
    "le": np.less_equal,
    "ge": np.greater_equal,
}.items():
    build = getattr(ss, name)
    flags = {"integer": True, "gradient": False}
    case(f"{name}_sparse", build, [S(), S()], lambda x, y, f=function: f(x.dense, y.dense), **flags)
    case(f"{name}_dense", build, [S(), D("mn")], lambda x, y, f=function: f(x.dense, y), **flags)
    case(f"{name}_dense_left", build, [D("mn"), S()], lambda y, x, f=function: f(y, x.dense), **flags)
case("gt_scalar", lambda x: x > 0.2, [S()], lambda x: x.dense > 0.2, integer=True, gradient=False)
case("neq_scalar", lambda x: x != 0, [S()], lambda x: x.dense != 0, integer=True, gradient=False)

# -- products ---------------------------------------------------------------------------------------------------

for name in ("dot", "structured_dot"):
    build = getattr(ss, name)
    kind = {"regular": (0,)} if name == "dot" else {"structured": (0,)}
    left_kind = {"regular": (1,)} if name == "dot" else {"structured": (1,)}
    both = {"regular": (0, 1)} if name == "dot" else {"structured": (0, 1)}
    case(f"{name}_matrix", build, [S(), D("nk")], lambda x, y: x.dense @ y, **kind)
    case(f"{name}_vector", build, [S(), D("n")], lambda x, y: x.dense @ y, **kind)
    case(f"{name}_matrix_left", build, [D("km"), S()], lambda y, x: y @ x.dense, **left_kind)
    case(f"{name}_vector_left", build, [D("m"), S()], lambda y, x: y @ x.dense, **left_kind)
    case(f"{name}_sparse", build, [S(), S("nk")], lambda x, y: x.dense @ y.dense, **both)
case("true_dot_matrix", ss.true_dot, [S(), D("nk")], lambda x, y: x.dense @ y)
case("true_dot_matrix_left", ss.true_dot, [D("km"), S()], lambda y, x: y @ x.dense)
case("true_dot_sparse", ss.true_dot, [S(), S("nk")], lambda x, y: x.dense @ y.dense)
case(
    "true_dot_sparse_gradient",
    lambda x, y: ss.true_dot(x, y, grad_preserves_dense=False),
    [S(), D("nk")],
    lambda x, y: x.dense @ y,
)
case(
    "sampling_dot",
    ss.sampling_dot,
    [D("mk"), D("nk"), S()],
    lambda x, y, p: p.dense * (x @ y.T),
    structured=(2,),
)
case("usmm", ss.usmm, [D(""), S(), D("nk"), D("mk")], lambda a, x, y, z: a * x.dense @ y + z, structured=(1,))
case(
    "usmm_left",
    ss.usmm,
    [D(""), D("km"), S(), D("kn")],
    lambda a, x, y, z: a * x @ y.dense + z,
    structured=(2,),
)
case("usmm_sparse", ss.usmm, [D(""), S(), S("nk"), D("mk")], lambda a, x, y, z: a * x.dense @ y.dense + z)

# -- reductions and indexing ------------------------------------------------------------------------------------

for axis in (None, 0, 1, -1):
    for sparse_grad in (False, True):
        case(
            f"sp_sum_axis_{axis}{'_structured' if sparse_grad else ''}",
            lambda x, a=axis, s=sparse_grad: ss.sp_sum(x, axis=a, sparse_grad=s),
            [S()],
            lambda x, a=axis: x.dense.sum(a),
            **({"structured": (0,)} if sparse_grad else {"regular": (0,)}),
        )
case(
    "mean",
    lambda x: x.mean(axis=0),
    [S()],
    lambda x: x.dense.sum(0) * np.divide(1.0, x.dense.shape[0] or np.nan),
)
case(
    "get_item_list",
    ss.get_item_list,
    [S(), D("k", dtype="int64")],
    lambda x, rows: x.dense[rows],
)
case(
    "structured_dot_grad",
    ss.structured_dot_grad,
    [S(), D("nk"), D("mk")],
    lambda x, b, g: (g @ b.T) * x.stored,
)
