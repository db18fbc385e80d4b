"""Pullbacks of PyTensor's ops with inner graphs or branches, where a cotangent or an output is sparse.

Both ops assume dense cotangents of the output's own type. Their pullbacks are extended for sparse variables only.
"""

import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.conditional.op import IfElse, ifelse
from pytensor.gradient import disconnected_type

from symsparse.ops.base import is_disconnected, is_sparse
from symsparse.ops.conversion import csc_from_dense, csr_from_dense
from symsparse.types import continuous_dtypes


def _as_type_of(x, g):
    """The cotangent `g` of `x` in x's own format: an inner graph knows its cotangents by their types alone."""
    if not is_sparse(x) or is_disconnected(g):
        return g
    if not is_sparse(g):
        g = (csr_from_dense if x.format == "csr" else csc_from_dense)(g)
    g = g.asformat(x.format)
    return g.astype(x.dtype) if x.dtype in continuous_dtypes else g


def _op_from_graph_pullback(original, self, inputs, outputs, cotangents):
    return original(
        self, inputs, outputs, [_as_type_of(x, g) for x, g in zip(outputs, cotangents, strict=True)]
    )


def _if_else_pullback(original, self, inputs, outputs, cotangents):
    if not any(map(is_sparse, (*outputs, *cotangents))):
        return original(self, inputs, outputs, cotangents)
    condition = inputs[0]
    found: dict[bool, list] = {True: [], False: []}
    for g in cotangents:
        for branch in (True, False):
            if is_disconnected(g):
                found[branch].append(disconnected_type())
                continue
            zero = g.zeros_like() if is_sparse(g) else pt.zeros_like(g)
            found[branch].append(ifelse(condition, g, zero) if branch else ifelse(condition, zero, g))
    return [condition.zeros_like(dtype="float64"), *found[True], *found[False]]


def _extend(op, rule):
    original = op.pullback
    op.pullback = lambda self, inputs, outputs, cotangents: rule(original, self, inputs, outputs, cotangents)


_extend(OpFromGraph, _op_from_graph_pullback)
_extend(IfElse, _if_else_pullback)
