"""What is known about sparse variables with a constant pattern: constants, frozen matrices, and what has such parts.

Facts are looked up once and kept with the constant index vectors, as those of lowering are.
"""

import numpy as np
from pytensor.graph.basic import Constant

from symsparse.lowering.base import memory_of, parts
from symsparse.ops.base import is_sparse
from symsparse.ops.construction import Diags
from symsparse.ops.conversion import SquareDiagonal
from symsparse.ops.csm import CSM
from symsparse.ops.layout import AsFormat, EnsureSortedIndices, SumDuplicates, Transpose
from symsparse.rewrites.base import made_by


def with_constant_pattern(x):
    """Parts of a sparse variable whose pattern is constant, and surely that of its values; None if it is not so."""
    if isinstance(x, Constant):
        return parts(x)
    if not made_by(x, CSM):
        return None
    values, indices, indptr, shape = x.owner.inputs
    if not all(isinstance(v, Constant) for v in (indices, indptr, shape)):
        return None
    return parts(x) if x.owner.op.trusted or values.type.shape[0] == len(indices.data) else None


def diagonal_of(x):
    """The vector on the diagonal of a square sparse variable that surely stores it and nothing else; else None."""
    if x is None or not is_sparse(x):
        return None
    while made_by(x, Transpose, AsFormat, EnsureSortedIndices, SumDuplicates):
        x = x.owner.inputs[0]
    if made_by(x, SquareDiagonal):
        return x.owner.inputs[0]
    if made_by(x, Diags) and x.owner.op.offsets == (0,):
        v, _, n, m = x.owner.inputs
        same = n is m or (isinstance(n, Constant) and isinstance(m, Constant) and n.data == m.data)
        return v if same else None
    p = with_constant_pattern(x)
    return p.values if p is not None and _is_diagonal(p, x.type.shape) else None


def _is_diagonal(p, shape):
    n = len(p.indptr.data) - 1
    if shape != (n, n) or len(p.indices.data) != n:
        return False
    memory = memory_of(p.indices)
    if memory.get("diagonal", (None,))[0] is not p.indptr:
        # All indices are there, each in a slice of its own.
        found = np.array_equal(p.indices.data, np.arange(n)) and np.array_equal(
            p.indptr.data, np.arange(n + 1)
        )
        memory["diagonal"] = p.indptr, found
    return memory["diagonal"][1]
