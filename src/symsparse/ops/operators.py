"""Python's operators beyond ``+ - * @``: division, power, remainder. What would be dense is refused."""

import numpy as np
import pytensor.scalar as ps
from pytensor.graph.basic import Constant

from symsparse.ops.arithmetic import TrueDivSD, pair
from symsparse.ops.base import (
    error,
    is_sparse,
)
from symsparse.ops.elementwise import StructuredElemwise, structured_pow


def true_div(x, y):
    """Quotient of a sparse matrix and a dense scalar, vector or matrix, at the stored entries; ``x / y``.

    Notes
    -----
    Positions that are not stored stay zero, even where `y` is zero. Gradient as `mul`.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.true_div(sp.csr_array([[1.0, 0.0]]), 2).eval().toarray()
    array([[0.5, 0. ]])
    """
    x, y = pair("true_div", x, y)
    if not is_sparse(x) or is_sparse(y):
        raise error(
            "true_div",
            [x, y],
            "dividing by a sparse matrix divides by its zeros",
            "Write x / y.toarray(), or mul(x, structured_pow(y, -1)) for the stored entries only.",
        )
    if y.type.ndim == 0:
        return StructuredElemwise(ps.true_div)(x, y)
    return TrueDivSD()(x, y)


def _zero_preserving(name, scalar_op, x, y, instead):
    """``f(x, s)`` at the stored entries, for a scalar s with f(0, s) = 0."""
    x, y = pair(name, x, y)
    if not is_sparse(x) or is_sparse(y) or y.type.ndim != 0:
        raise error(name, [x, y], "takes a sparse matrix and a scalar", instead)
    if not isinstance(y, Constant):
        raise error(name, [x, y], "cannot know whether zeros stay zero with a symbolic scalar", instead)
    function = getattr(np, scalar_op.nfunc_spec[0])
    try:
        with np.errstate(all="ignore"):
            at_zero = function(np.zeros((), dtype=x.dtype), y.data)
    except TypeError:
        raise error(name, [x, y], "not defined for these dtypes") from None
    if not at_zero == 0:
        raise error(name, [x, y], f"the result would be dense, since it is {at_zero} where x is 0", instead)
    return StructuredElemwise(scalar_op)(x, y)


def power(x, y):
    """``x ** s`` for a constant scalar s > 0; `structured_pow` takes any s, for the stored entries only.

    Notes
    -----
    Gradient: structured, as `structured_pow`.

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.power(ss.csr_matrix("x", dtype="float64"), 2).type
    SparseTensorType(csr, float64, shape=(?, ?))
    """
    base, exponent = pair("power", x, y)
    if (
        is_sparse(base)
        and isinstance(exponent, Constant)
        and not is_sparse(exponent)
        and exponent.type.ndim == 0
    ):
        if exponent.data.dtype.kind != "c" and exponent.data > 0:
            return structured_pow(base, exponent)
    instead = "Write structured_pow(x, s) for the stored entries, or x.toarray() ** s."
    if is_sparse(exponent):
        instead = "Write s ** x.toarray()." if not is_sparse(base) else "Write x.toarray() ** y.toarray()."
    raise error(
        "power", [base, exponent], "only a sparse matrix to a constant power > 0 stays sparse", instead
    )


def floor_div(x, y):
    """``x // s`` for a constant scalar s.

    Notes
    -----
    Gradient: structured, zero.

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.floor_div(ss.csr_matrix("x", dtype="float64"), 2).type
    SparseTensorType(csr, float64, shape=(?, ?))
    """
    instead = "Write structured_monoid(pytensor.tensor.int_div)(x, s), or x.toarray() // s."
    return _zero_preserving("floor_div", ps.int_div, x, y, instead)


def mod(x, y):
    """``x % s`` for a constant scalar s.

    Notes
    -----
    Gradient: structured, ``gx = g`` at the stored entries.

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.mod(ss.csr_matrix("x", dtype="float64"), 2.0).type
    SparseTensorType(csr, float64, shape=(?, ?))
    """
    instead = "Write structured_monoid(pytensor.tensor.mod)(x, s), or x.toarray() % s."
    return _zero_preserving("mod", ps.mod, x, y, instead)


__all__ = ["floor_div", "mod", "power", "true_div"]
