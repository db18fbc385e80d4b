"""Operands for the op table: symbolic ones, ugly values for them, and finite differences of the oracle."""

import zlib

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.compile.mode import OPT_FAST_RUN, Mode
from pytensor.link.basic import PerformLinker

import symsparse as ss
from symsparse.testing import random_sparse
from tests.ops.table import Matrix

# Lowered and rewritten, but run node by node in Python: the kernels without the compilation of a graph.
lowered_mode = Mode(PerformLinker(), OPT_FAST_RUN).excluding("fusion")

# name: (sizes of m, n, k; how the sparse operands are stored)
VARIANTS = {
    "plain": ((5, 4, 3), {}),
    "wide": ((3, 7, 2), {}),
    "unsorted": ((4, 5, 2), {"unsorted_indices": True}),
    "duplicates": ((5, 4, 3), {"duplicates": True, "unsorted_indices": True}),
    "duplicates_in_one": ((4, 5, 3), {"duplicates": True, "first_only": True}),
    "explicit_zeros": ((4, 4, 3), {"explicit_zero": True}),
    "nothing_stored": ((3, 4, 2), {"density": 0.0}),
    "full": ((3, 4, 2), {"density": 1.0}),
    "no_rows": ((0, 4, 2), {}),
    "no_columns": ((4, 0, 2), {}),
    "one_row": ((1, 5, 1), {}),
    "one_column": ((5, 1, 1), {}),
}


def other(format):
    return "csc" if format == "csr" else "csr"


def symbolic(case, formats):
    """A symbolic variable for each operand; `formats` are those of the sparse ones, in turn."""
    formats = iter(formats)
    made = []
    for operand in case.operands:
        if operand.sparse:
            made.append(ss.matrix(next(formats), dtype=operand.dtype))
        else:
            shape = operand.static or (None,) * len(operand.sizes)
            made.append(pt.tensor(dtype=operand.dtype, shape=shape))
    return made


def values(case, formats, variant, **changes):
    """Values for the operands of a case."""
    (m, n, k), ugly = VARIANTS[variant]
    if not m and any(operand.dtype == "int64" for operand in case.operands):
        k = 0  # no row to choose
    ugly = {"density": 0.4, **ugly, **changes}
    first_only = ugly.pop("first_only", False)
    rng = np.random.default_rng(zlib.crc32(f"{case.name} {variant}".encode()))
    formats = iter(formats)
    made = []
    for operand in case.operands:
        shape = tuple({"m": m, "n": n, "k": k, "1": 1}[c] for c in operand.sizes)
        if operand.sparse:
            format = next(formats)
            if operand.same_pattern_as is not None:
                value = made[operand.same_pattern_as].copy()
                value.data[:] = rng.uniform(case.low, case.high, len(value.data))
            else:
                kind = {} if first_only and any(map(sp.issparse, made)) else ugly
                value = random_sparse(format, shape, gap=(case.low, case.high), rng=rng, **kind)
        elif operand.dtype == "int64":
            value = rng.integers(0, max(m, 1), shape)
        else:
            value = rng.uniform(case.low, case.high, shape)
        made.append(value)
    return made


def as_oracle_sees(value, dense=None):
    """A sparse value as a `Matrix`; a dense one as it is."""
    if not sp.issparse(value):
        return value if dense is None else dense
    stored = np.zeros(value.shape, dtype=bool)
    stored[value.tocoo().coords] = True
    return Matrix(value.toarray() if dense is None else dense, stored)


def expected(case, operands):
    """The oracle's answer."""
    return np.asarray(case.oracle(*(as_oracle_sees(v) for v in operands)))


def finite_difference(case, operands, i, weight, step=1e-6):
    """Gradient of sum(weight * oracle) wrt the dense form of operand i; NaN where the operand cannot move."""
    value = operands[i]
    dense = value.toarray() if sp.issparse(value) else np.array(value, dtype="float64")
    result = np.zeros(dense.shape)
    for at in np.ndindex(dense.shape):
        ends = []
        for h in (step, -step):
            moved = dense.copy()
            moved[at] += h
            seen = [as_oracle_sees(v, moved if j == i else None) for j, v in enumerate(operands)]
            ends.append((np.asarray(case.oracle(*seen)) * weight).sum())
        result[at] = (ends[0] - ends[1]) / (2 * step)
    return result
