"""Sampling a matrix on a sparse pattern: the structured half of the cotangent law."""

import numpy as np

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    is_sparse,
    lookup,
    merged_shape,
    operand,
    require_equal,
    sparse_operand,
    typed,
    wider_index,
)
from symsparse.types import compressed


class Sample(SparseOp):
    """``g`` (dense, or sparse in any format) at the stored entries of the sparse ``x``.

    The result has x's format and canonical pattern and g's dtype. It is linear in g and does not depend on x's
    values. With P the projection onto x's pattern, <h, P g> = <P h, g>, so P is its own adjoint.
    """

    __props__ = ()
    multilinear = True

    def make_node(self, g, x):
        g, x = operand("Sample", g), sparse_operand("Sample", x)
        shape = merged_shape("Sample", x, g)
        index_dtype = wider_index(g, x) if is_sparse(g) else x.type.index_dtype
        return apply(self, [g, x], x.type.clone(dtype=g.dtype, shape=shape, index_dtype=index_dtype))

    def perform(self, node, inputs, outputs):
        g, x = inputs
        require_equal("Sample", "shapes", g.shape, x.shape)
        pattern = canonical(x)
        values = g[pattern.tocoo().coords] if isinstance(g, np.ndarray) else lookup(g, pattern)
        result = compressed(x.format, values, pattern.indices.copy(), pattern.indptr.copy(), x.shape)
        outputs[0][0] = typed(node, result)

    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def cotangents(self, inputs, output, g):
        # <h, P u> = <P h, u>: sparse on x's pattern, stored densely only if u is dense.
        u, x = inputs
        projected = self(g, x)
        return [projected if is_sparse(u) else projected.toarray(structured=False)]


def sample(g, x):
    """A dense or sparse matrix at the stored entries of another.

    Parameters
    ----------
    g : dense or sparse matrix (m, n)
        What to sample; any format.
    x : sparse matrix (m, n)
        Where to sample it. Its values do not matter; entries stored twice count once.

    Returns
    -------
    sparse matrix (m, n)
        Format of `x`, dtype of `g`. A stored position of `x` where `g` stores nothing becomes an explicit zero.

    Notes
    -----
    Gradient: structured wrt `g`, the cotangent on the same pattern. O(nnz(x)), plus O(nnz(g)) if `g` is sparse.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sample(np.arange(4.0).reshape(2, 2), ss.constant(sp.eye_array(2, format="csr"))).eval().toarray()
    array([[0., 0.],
           [0., 3.]])
    """
    return Sample()(g, x)


__all__ = ["Sample", "sample"]
