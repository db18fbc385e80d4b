"""Products with constants that scatter: on lowered graphs, where constants are folded and a transpose is gone."""

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.compile import optdb
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import copy_stack_trace, in2out, node_rewriter

from symsparse.lowering.base import known, memory_of
from symsparse.lowering.matmul import CompressedDot
from symsparse.rewrites.base import REWRITES

LARGEST_COPY = 1 << 30  # bytes


@node_rewriter([CompressedDot])
def transposed_copy(fgraph, node):
    """x.T @ d = y @ d, where y is x.T stored by rows: rows of a constant are summed up, nothing is scattered.

    So for d @ x, for csc matrices, and in the gradient of x @ d; threads then need no outputs of their own. The copy is
    made once, when a function is compiled, and takes as much memory as x; none of more than 1 GiB is made. A symmetric
    x, such as a Laplacian, is its own copy, and ``x @ d + x.T @ d`` has one product.

    It does not fire for frozen matrices, whose values may change.
    """
    values, indices, indptr, d, n_minor = node.inputs
    if node.op.gather or not all(isinstance(v, Constant) for v in (values, indices, indptr, n_minor)):
        return None
    if sum(v.data.nbytes for v in (values, indices, indptr)) > LARGEST_COPY:
        return None
    copied, n_major = _transposed(values, indices, indptr, n_minor)
    product = CompressedDot(gather=True)(*copied, d, n_major)
    copy_stack_trace(node.outputs[0], product)
    return [product]


def _transposed(values, indices, indptr, n_minor):
    """A constant matrix compressed along its other axis, and the size of that."""
    n_major = len(indptr.data) - 1
    memory = memory_of(values)
    key = "transposed", id(indices), id(indptr), known(n_minor)
    if key not in memory:
        x = sp.csr_array((values.data, indices.data, indptr.data), shape=(n_major, known(n_minor))).tocsc()
        copies = x.data, *(a.astype(indptr.dtype, copy=False) for a in (x.indices, x.indptr))
        # Zeros may differ in sign.
        same = all(np.array_equal(v.data, a) for v, a in zip((values, indices, indptr), copies, strict=True))
        # With the vectors whose addresses are in the key.
        memory[key] = indices, indptr, None if same else tuple(map(pt.constant, copies))
    copied = memory[key][2] or (values, indices, indptr)
    return copied, pt.constant(n_major, dtype=n_minor.dtype)


# After canonicalisation (1), which folds what is computed of constants; equal products are merged afterwards (1.2).
_NAME = "symsparse_transposed_copy"
optdb.register(_NAME, in2out(transposed_copy, name=_NAME), "fast_run", position=1.1)
REWRITES[_NAME] = transposed_copy
