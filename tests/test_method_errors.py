"""What a mistake gets from methods and operators of sparse variables; `test_errors` has the same for functions."""

import inspect
import operator

import numpy as np
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.testing import reference_mode
from symsparse.variables import FrozenSparseVariable
from tests.mistakes import (
    AXIS,
    CUBES,
    D1,
    DIVISOR,
    DTYPE,
    DTYPE_NEEDED,
    EXTREME,
    FLAG,
    FORMAT_NEEDED,
    FULL,
    INDEX,
    INTEGER_VECTORS,
    INTEGERS,
    MATRICES,
    NAME,
    NEW,
    ORDER,
    OTHER,
    POWER,
    SCALARS,
    SIZES,
    SPARSE,
    VECTORS,
    WRONG,
    K,
    arg,
    assert_right,
    assert_says_all,
    const,
    mutations,
    outcome,
    run,
    sparse,
    value_of,
    walk,
)

#: method or operator: valid calls, as the arguments and keywords behind the matrix itself
CALLS: dict[str, list] = {}


def calls(names, *args, **kwargs):
    for name in names.split():
        CALLS.setdefault(name, []).append((args, kwargs))


LONG = MATRICES, VECTORS, INTEGER_VECTORS, SPARSE, CUBES  # what a product takes
FACTOR = arg(lambda: sparse("y"), SPARSE, MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS, "huge")
EQUAL = arg(
    const(FULL),
    set(WRONG)
    - {"array of strings", "array of objects", "dates", "half precision", "malformed"}
    - {"long doubles", "sparse of one dimension", "3-D array", "huge"},
)
VALUE = arg(const(FULL), "scipy", "bsr")

calls(
    "tocsr tocsc copy trace sqrt sqr square sin tan arcsin arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil "
    "floor trunc sgn sign log1p expm1 conj conjugate __neg__ __pos__ __abs__"
)
calls("toarray todense", structured=FLAG)
calls("asformat", FORMAT_NEEDED)
calls("astype", DTYPE_NEEDED)
calls("copy", name=NAME)
calls("zeros_like ones_like", dtype=DTYPE)
calls("transpose", axes=arg(const((1, 0)), "None", word=True))
calls("sum mean", axis=AXIS, dtype=DTYPE, keepdims=FLAG, sparse_grad=FLAG)
calls("max min", axis=AXIS, keepdims=FLAG)
calls("norm", ord=ORDER, axis=AXIS)
calls("diagonal", k=K)
calls("dot __matmul__", arg(lambda: sparse(shape=(4, 2)), *LONG))
calls("__rmatmul__", arg(lambda: pt.dmatrix("d"), *LONG))
calls("__add__ __radd__ __iadd__ __sub__ __rsub__ __isub__ eq neq __lt__ __le__ __gt__ __ge__", OTHER)
calls("__eq__ __ne__", EQUAL)
calls("multiply __mul__ __rmul__ __imul__", FACTOR)
calls("__truediv__", DIVISOR)
calls("power __pow__ __floordiv__ __mod__", POWER)
calls("maximum minimum", EXTREME)
calls("__getitem__", INDEX)
calls("set inc", NEW)
calls("with_values", D1)
calls("get_value")
calls("set_value", VALUE)

# What has no valid call: what it would give is dense, or no number.
REFUSING = "exp log sigmoid exp2 log2 log10 cos cosh arccos arccosh __bool__ __len__ __iter__".split()
calls(" ".join(REFUSING))
REFUSING += "__rtruediv__ __rpow__ __rfloordiv__ __rmod__ __setitem__".split()
calls("__rtruediv__ __rpow__ __rfloordiv__ __rmod__", arg(const(2.0)))
calls("__setitem__", arg(const(0)), arg(const(2.0)))

#: what errors call the operation, where that is not the method's own name: the function that does it
CALLED = {
    **{"toarray": "dense_from_sparse", "todense": "dense_from_sparse", "astype": "cast", "diagonal": "diag"},
    **{"tocsr": "asformat", "tocsc": "asformat", "zeros_like": "sp_zeros_like", "ones_like": "sp_ones_like"},
    **{name: f"sp_{name}" for name in ("sum", "mean", "max", "min")},
    **{"dot": "structured_dot", "matmul": "structured_dot", "multiply": "mul", "truediv": "true_div"},
    **{"floordiv": "floor_div", "pow": "power", "ne": "neq", "sign": "sgn", "sqr": "square"},
    **{"set": "set_subtensor", "inc": "inc_subtensor", "abs": "structured_abs"},
    **{name: "structured_conjugate" for name in ("conj", "conjugate")},
}

BINARY = "add sub mul matmul truediv floordiv mod pow".split()


def bare(name):
    """The name of an operator without underscores, and without what says on which side the matrix is."""
    if not name.startswith("__"):
        return name
    short = name.strip("_")
    return short[1:] if short[1:] in BINARY else short


#: Methods of a matrix of their own kind.
OWN = {
    **{"get_value": lambda: ss.shared(FULL), "set_value": lambda: ss.shared(FULL)},
    **{"set": lambda: sparse()[:2], "inc": lambda: sparse()[:2]},
}


def call(name, x=None):
    """What makes a call, of what stands behind the matrix: an operator is used as Python uses it."""
    if x is None:
        x = OWN.get(name, sparse)()
    if name in ("__len__", "__iter__", "__bool__"):
        return lambda: {"__len__": len, "__iter__": iter, "__bool__": bool}[name](x)
    if name.startswith("__r"):
        return lambda y: getattr(operator, bare(name))(y, x)
    if name.startswith("__i"):
        return lambda y: getattr(operator, name)(x, y)
    if name.startswith("__"):
        return lambda *args: getattr(operator, bare(name))(x, *args)
    return getattr(x, name)


def starts(name):
    """How an error may start: with the name of the operation, or as Python's own for what is no operand of anything."""
    short = bare(name)
    own = [f"{short}: ", f"{CALLED.get(short, short)}: "]
    if name == short:
        return own
    python = [f"'{sign}' not supported between instances of " for sign in ("<", "<=", ">", ">=")]
    return [*own, "unsupported operand type(s) for ", *python]


#: Operands on the left that answer themselves: text formats anything, SciPy and PyTensor raise errors of their own.
ANSWER = {
    **{"__mul__": {"str"}, "__rmul__": {"str"}, "__imul__": {"str"}, "__radd__": {"str"}},
    "__rmod__": {"str", *(name for name in WRONG if name.startswith("complex") and name[-1] == "D")},
    "__rpow__": {"scipy", "bsr", "long doubles", "malformed", "sparse of one dimension"},
}
#: Sizes of dense operands that fit a matrix of 3 rows and 4 columns.
FITTING = {"dot": (2, 4, 4), "__matmul__": (2, 4, 4), "__rmatmul__": (2, 3, 3)}


#: Methods of Python and PyTensor that nobody calls with operands; pytensor.tensor.dot calls two of them, as ``@``.
OTHERS = "__init__ __repr__ __str__ __deepcopy__ __dot__ __rdot__ signature".split()


def methods():
    """All methods and operators of sparse variables: what their classes define."""
    classes = ss.SparseVariable, ss.SparseConstant, ss.SparseSharedVariable, FrozenSparseVariable
    found = {name for cls in classes for name, member in vars(cls).items() if inspect.isfunction(member)}
    return {name for name in found if name.startswith("__") or not name.startswith("_")} - set(OTHERS)


def test_the_walk_leaves_no_method_out():
    in_place = {"__iadd__", "__isub__", "__imul__"}  # Python's own, for what has no such method
    assert methods() == set(CALLS) - in_place


@pytest.mark.parametrize("name", sorted(set(CALLS) - set(REFUSING)))
def test_valid_calls_are_valid(name):
    for args, kwargs in CALLS[name]:
        result = outcome(call(name), [a.make() for a in args], {key: a.make() for key, a in kwargs.items()})
        assert not isinstance(result, Exception), result
        assert result is not NotImplemented


@pytest.mark.parametrize("name", sorted(CALLS))
def test_wrong_arguments_are_refused_in_words(name):
    chosen = set(WRONG) - ANSWER.get(name, set())
    for _, result in walk(call(name), CALLS[name], starts(name), chosen):
        assert result is not NotImplemented


def test_frozen_matrices_take_what_fits():
    """Their methods are others than those of shared matrices."""
    for name in ("get_value", "set_value"):
        walk(call(name, ss.shared(FULL, frozen=True)), CALLS[name], starts(name))


def test_a_shared_matrix_does_not_become_nothing():
    """PyTensor lets a shared variable hold None, which a compiled function would take for a matrix."""
    for frozen in (False, True):
        with pytest.raises(TypeError, match=r"^set_value: .*NoneType"):
            ss.shared(FULL, frozen=frozen).set_value(None)


SELVES = {
    **{label: SPARSE[label] for label in ("csc", "complex sparse", "bool sparse", "int8 sparse")},
    **{"constant": lambda: ss.constant(FULL), "shared": lambda: ss.shared(FULL)},
    "frozen": lambda: ss.shared(FULL, frozen=True),
}


@pytest.mark.parametrize("label", SELVES)
def test_each_matrix_does_it_or_says_why_not(label):
    for name in set(CALLS) - set(REFUSING) - set(OWN):
        for args, kwargs in CALLS[name]:
            given = [a.make() for a in args], {key: a.make() for key, a in kwargs.items()}
            result = outcome(call(name, SELVES[label]()), *given)
            if isinstance(result, Exception):
                assert_says_all(result, starts(name), (label, name))


@pytest.mark.parametrize("name", ["sin", "exp"])
def test_one_argument_too_many(name):
    with pytest.raises(TypeError, match=f"{name}"):
        getattr(sparse(), name)(1, 2)


# -- what is accepted -------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(CALLS) - set(REFUSING) - {"__eq__", "__ne__"}))
def test_what_is_accepted_instead_is_right(name):
    """All wrong things: each is refused in words, or gives what the reference implementation does."""
    chosen = set(WRONG) - ANSWER.get(name, set())
    for where, result in walk(call(name), CALLS[name], starts(name), chosen):
        assert_right(where, result, FITTING.get(name, SIZES))


def dense(v, sizes):
    """The value of an operand, dense."""
    v = value_of(v, sizes) if isinstance(v, pt.Variable) else v
    return v.toarray() if sp.issparse(v) else v


SYMBOLS = [s for s in (*BINARY, "lt", "le", "gt", "ge") for s in (f"__{s}__", f"__r{s}__") if s in CALLS]


@pytest.mark.parametrize("name", [s for s in SYMBOLS if s not in REFUSING])
def test_operators_are_those_of_numpy(name):
    """Of all that an operator takes: the same in reference mode, and with dense operands."""
    x, sizes, compared = sparse(), FITTING.get(name, SIZES), 0
    for where, args, kwargs, _ in mutations(CALLS[name], set(WRONG) - ANSWER.get(name, set()) - {"nan"}):
        result = outcome(call(name, x), args, kwargs)
        if not isinstance(result, pt.Variable):
            continue
        got = run(result, reference_mode, sizes)
        if isinstance(got, Exception):
            assert "shape" in str(got) or "outside" in str(got), (where, got)
            continue
        expected = call(name, dense(x, sizes))(*(dense(a, sizes) for a in args))
        np.testing.assert_allclose(got.toarray() if sp.issparse(got) else got, expected, err_msg=where)
        compared += 1
    assert compared > 1
