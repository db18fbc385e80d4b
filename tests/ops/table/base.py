"""The form of the op table: operands, and one case for each op."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


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
    refuses: tuple = ()  # variants that are a ValueError at run time
    nonempty: bool = False  # needs at least one row and one column


CASES: list[Case] = []


def case(name, build, operands, oracle, **kwargs):
    CASES.append(Case(name, build, tuple(operands), oracle, **kwargs))


def on_stored(function):
    """The oracle of a structured function."""

    def oracle(x, *scalars):
        with np.errstate(all="ignore"):
            return np.where(x.stored, function(x.dense, *scalars), 0)

    return oracle
