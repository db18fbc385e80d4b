"""Arguments that are no operands: a name, a switch, a value."""

import numpy as np

from symsparse.types import brief


def legal_name(op, name):
    """A variable's name, or an error in the name of `op`."""
    if not (name is None or isinstance(name, str)):
        raise TypeError(
            f"{op}: the name must be a string, not {brief(name)}. Make a value symbolic with constant(A) or shared(A)."
        )
    return name


def legal_switch(op, name, value):
    """An argument that is True or False, or an error in the name of `op`: anything has some truth value in Python."""
    if not (isinstance(value, bool | np.bool_) or (type(value) is int and value in (0, 1))):
        raise TypeError(f"{op}: {name} must be True or False, not {brief(value)}.")
    return bool(value)


def legal_value(op, type, value, **how):
    """The SciPy value as one of this type; errors are in the name of `op`. The keywords are those of `filter`."""
    try:
        return type.filter(value, **how)
    except (TypeError, ValueError) as e:
        raise e.__class__(f"{op}: {e}") from None
