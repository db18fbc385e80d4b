"""Wrong things, which of them an argument takes, and what an error must say: for walks over functions and methods."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.graph.traversal import explicit_graph_inputs

import symsparse as ss
from symsparse.ops.base import is_sparse
from symsparse.testing import assert_same_matrix, reference_mode
from tests.ops.generate import lowered_mode

ALLOWED = (TypeError, ValueError, IndexError, OverflowError)
FULL = sp.csr_array(np.arange(1.0, 13).reshape(3, 4))


def malformed():
    A = FULL.copy()
    A.indices = A.indices + 10
    return A


def sparse(name="x", dtype="float64", shape=(3, 4), format="csr"):
    return ss.matrix(format, name, dtype, shape)


# -- wrong things -----------------------------------------------------------------------------------------------

# What no argument takes, but for the few that say so.
NEVER = {
    "str": lambda: "a",
    "object": object,
    "dict": lambda: {1: 2},
    "ragged": lambda: [[1, 2], [3]],
    "generator": lambda: (i for i in range(3)),
    "array of strings": lambda: np.array(["a", "b"]),
    "array of objects": lambda: np.array([object()]),
    "dates": lambda: np.array(["2020-01-01"], dtype="datetime64[D]"),
    "half precision": lambda: np.ones((3, 4), "float16"),
    "long doubles": lambda: sp.csr_array(np.ones((3, 4), "longdouble")),
    "sparse of one dimension": lambda: sp.coo_array(np.ones(4)),
    "malformed": malformed,
    "rng": lambda: pt.random.shared_rng(seed=1),
    "slice": lambda: slice(0, 2),
    "type": lambda: pt.dmatrix,
    "function": lambda: np.sin,
    "class": lambda: float,
    "node": lambda: ss.CSMProperties().make_node(sparse()),
    "list of matrices": lambda: [FULL],
    "huge": lambda: 2**70,
}
SPARSE = {
    "sparse": sparse,
    "csc": lambda: sparse(format="csc"),
    "scipy": lambda: FULL,
    "bsr": lambda: sp.bsr_array(FULL.toarray()),
    "other shape": lambda: sparse(shape=(7, 9)),
    "complex sparse": lambda: sparse(dtype="complex128"),
    "bool sparse": lambda: sparse(dtype="bool"),
    "int8 sparse": lambda: sparse(dtype="int8"),
}
SCALARS = {
    "0-D": lambda: pt.dscalar("s"),
    "number": lambda: 1.5,
    "nan": lambda: float("nan"),
    "complex number": lambda: 2j,
    "complex 0-D": lambda: pt.zscalar("s"),
}
INTEGERS = {"int": lambda: 2, "minus": lambda: -1, "integer 0-D": lambda: pt.lscalar("i")}
VECTORS = {
    "1-D": lambda: pt.dvector("v"),
    "array": lambda: np.ones(4),
    "complex 1-D": lambda: pt.zvector("v"),
    "bool 1-D": lambda: pt.vector("v", dtype="bool"),
}
INTEGER_VECTORS = {"integer 1-D": lambda: pt.lvector("i")}
MATRICES = {
    "2-D": lambda: pt.dmatrix("m"),
    "2-D array": lambda: np.ones((3, 4)),
    "complex 2-D": lambda: pt.zmatrix("m"),
    "integer 2-D": lambda: pt.lmatrix("m"),
}
CUBES = {"3-D": lambda: pt.dtensor3("t"), "3-D array": lambda: np.ones((2, 3, 4))}
NOTHING = {"None": lambda: None}
WRONG: dict[str, Any] = {
    **NEVER,
    **SPARSE,
    **SCALARS,
    **INTEGERS,
    **VECTORS,
    **INTEGER_VECTORS,
    **MATRICES,
    **CUBES,
    **NOTHING,
}
# Of words and numbers: formats, dtypes, axes, shapes.
WORDS: dict[str, Any] = {
    "unknown word": lambda: "csx",
    "bsr word": lambda: "bsr",
    "float16": lambda: "float16",
    "out of range": lambda: 2,
    "tuple": lambda: (0, 1, 2),
    "twice": lambda: (0, 0),
    "empty tuple": tuple,
    "negative pair": lambda: (-1, 2),
    "inf": lambda: float("inf"),
}
QUICK = [
    *(
        "str",
        "object",
        "ragged",
        "array of objects",
        "half precision",
        "malformed",
        "sparse of one dimension",
    ),
    *("type", "huge", "other shape", "complex sparse", "complex number", "1-D", "2-D", "3-D", "None"),
]


@dataclass
class Arg:
    """An argument of a valid call, and which wrong things it must refuse."""

    make: Any
    refuses: frozenset
    word: bool = False


def arg(make, *accepted, word=False):
    """An argument that accepts these groups of things, or single ones by name; all others it must refuse."""
    names: set = set()
    for group in accepted:
        names |= {group} if isinstance(group, str) else set(group)
    everything = WRONG | WORDS if word else WRONG
    return Arg(make, frozenset(everything) - names, word)


def const(value):
    return lambda: value


S = arg(sparse, SPARSE)
SHALF = arg(lambda: sparse(shape=(4, 2)), SPARSE)
D2 = arg(lambda: pt.dmatrix("d"), MATRICES)
D12 = arg(lambda: pt.dmatrix("d"), MATRICES, VECTORS, INTEGER_VECTORS)
D1 = arg(lambda: pt.dvector("v"), VECTORS, INTEGER_VECTORS)
D0 = arg(lambda: pt.dscalar("s"), SCALARS, INTEGERS)
NUMBER = arg(const(2.0), SCALARS, INTEGERS, "huge")
DENSE = arg(lambda: pt.dmatrix("d"), MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS, "None")
ANY = arg(
    lambda: pt.dmatrix("d"), MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS, SPARSE
)  # a pair that is legal
STACK = arg(lambda: pt.dmatrix("d"), MATRICES, VECTORS, INTEGER_VECTORS, SPARSE, CUBES)
I1 = arg(lambda: pt.lvector("i"), INTEGER_VECTORS)
I0 = arg(const(1), INTEGERS)
SHAPE = arg(const((3, 4)), "None", "twice", word=True)
FORMAT = arg(const("csr"), "None", word=True)
FORMAT_NEEDED = arg(const("csc"), word=True)
DTYPE = arg(const("float32"), "None", "class", word=True)
DTYPE_NEEDED = arg(const("float32"), "class", word=True)
AXIS = arg(const(0), "None", "minus", word=True)
FLAG = arg(const(False))
ORDER = arg(const(1), "int", "minus", "out of range", "None", "inf", word=True)
K = arg(const(0), "int", "minus", "out of range", word=True)
NAME = arg(const("x"), "None", "str", "unknown word", "bsr word", "float16", word=True)
RNG = arg(lambda: pt.random.shared_rng(seed=1), "rng", "None")
OTHER = arg(lambda: sparse("y"), SPARSE, MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS)
EXTREME = arg(lambda: sparse("y"), SPARSE, SCALARS, INTEGERS, "huge")
DIVISOR = arg(lambda: pt.dmatrix("d"), MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS)
POWER = arg(const(2.0), "number", "int", "minus")
NEW = arg(const(1.0), MATRICES, VECTORS, INTEGER_VECTORS, SCALARS, INTEGERS, SPARSE, "huge")
INDEX = arg(const(slice(0, 2)), "slice", INTEGER_VECTORS, "bool 1-D", INTEGERS)

# -- what an error must say -------------------------------------------------------------------------------------

_SHOWN = ("got ", "not ", "unsupported ", "is no ", "needs ", "outside", "shape", "have ", "has ", "repeat")


def assert_says_all(error, starts, where):
    """Fail unless an error is of an allowed kind, and its text starts with one of these and shows what it got."""
    text = str(error)
    kinds = (*ALLOWED, pytensor.gradient.DisconnectedInputError)
    assert type(error) in kinds, (where, repr(error))
    assert text.startswith(tuple(starts)), (where, text)
    assert any(word in text for word in _SHOWN), (where, text)
    assert len(text) < 900, (where, text)


def outcome(function, args, kwargs):
    """What a call returns, or the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return function(*args, **kwargs)
        except Exception as error:
            return error


def mutations(calls, chosen=None):
    """(where, arguments, keywords, whether it must be refused) of each call with one wrong argument."""
    for args, kwargs in calls:
        slots = [*enumerate(args), *kwargs.items()]
        for slot, spec in slots:
            for label, make in {**WRONG, **(WORDS if spec.word else {})}.items():
                if chosen is not None and label not in chosen and label not in WORDS:
                    continue
                positional = [a.make() for a in args]
                named = {key: a.make() for key, a in kwargs.items()}
                (named if isinstance(slot, str) else positional)[slot] = make()
                yield f"{slot}: {label}", positional, named, label in spec.refuses


def walk(function, calls, starts, chosen=None):
    """Make each wrong call; (where, result) of those that are accepted. `starts` is how errors may start."""
    accepted = []
    for where, args, kwargs, refused in mutations(calls, chosen):
        result = outcome(function, args, kwargs)
        if isinstance(result, Exception):
            assert_says_all(result, starts, where)
        else:
            assert not refused, (where, result)
            accepted.append((where, result))
    return accepted


SIZES = (2, 3, 4)


def value_of(v, sizes=SIZES):
    """A value for a symbolic input; the last of these sizes are those of its axes that are not known."""
    if is_sparse(v):
        shape = [4 if n is None else n for n in v.type.shape]
        return sp.random_array(shape, density=0.5, format=v.format, rng=np.random.default_rng(1)).astype(
            v.dtype
        )
    free = sizes[3 - v.type.ndim :]
    shape = [free[i] if n is None else n for i, n in enumerate(v.type.shape)]
    return np.ones(shape, v.dtype)


def run(out, mode, sizes=SIZES):
    """The value of a graph, or the error."""
    inputs = [v for v in explicit_graph_inputs([out]) if hasattr(v.type, "dtype")]
    try:
        with np.errstate(all="ignore"):
            return pytensor.function(inputs, out, mode=mode)(*(value_of(v, sizes) for v in inputs))
    except ALLOWED as error:
        return error


def assert_right(where, result, sizes=SIZES):
    """What was accepted gives the same, compiled and in reference mode: a value, or an error of one kind."""
    for out in result if isinstance(result, list | tuple) else [result]:
        if not isinstance(out, pt.Variable) or not hasattr(out.type, "dtype") or out.owner is None:
            continue
        expected, got = (run(out, mode, sizes) for mode in (reference_mode, lowered_mode))
        if isinstance(expected, Exception):
            same_kind = isinstance(got, type(expected)) or isinstance(expected, type(got))
            assert same_kind, (where, expected, got)
        else:
            assert_same_matrix(got, expected, err_msg=where)
