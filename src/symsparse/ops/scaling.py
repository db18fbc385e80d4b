"""A vector along the rows or columns of a sparse matrix: scaling, and adding at the stored entries."""

import pytensor.tensor as pt
from pytensor.scalar import upcast

from symsparse.ops.arithmetic import mul, zeros_on_pattern
from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    require_equal,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.broadcasting import broadcast_shape, broadcast_value, sparse_summed_to
from symsparse.ops.reduction import sp_sum
from symsparse.types import compressed


class ColScaleCSC(SparseOp):
    """``x_ij * s_j``; csr too. Gradient structured: ``g * s``, ``sum_i x_ij g_ij``."""

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True
    name, axis = "col_scale", 1

    def make_node(self, x, s):
        x, s = sparse_operand(self.name, x), dense_operand(self.name, s, (1,))
        n, k = x.type.shape[self.axis], s.type.shape[0]
        if None not in (n, k) and n != k:
            what = "column" if self.axis else "row"
            raise error(self.name, [x, s], f"the vector needs one element per {what}", kind=ValueError)
        shape = tuple(k if i == self.axis and n is None else n for i, n in enumerate(x.type.shape))
        return apply(self, [x, s], x.type.clone(dtype=upcast(x.dtype, s.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, s = inputs
        require_equal(self.name, "sizes of the axis and of the vector", x.shape[self.axis], len(s))
        dtype = node.outputs[0].dtype
        values = x.data.astype(dtype) * s.astype(dtype)[x.tocoo().coords[self.axis]]
        outputs[0][0] = compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, s = inputs
        g = sampled(g, x)
        conj_s = pt.conj(s) if s.dtype.startswith("complex") else s
        return [type(self)()(g, conj_s), sp_sum(mul(x.conj(), g), axis=1 - self.axis, sparse_grad=True)]


class RowScaleCSC(ColScaleCSC):
    """``x_ij * s_i``; csr too. Gradient structured: ``g * s``, ``sum_j x_ij g_ij``."""

    name, axis = "row_scale", 0


class StructuredAddSV(SparseOp):
    """``x_ij + v_j`` at the stored entries of x. Gradient structured: ``g``, ``sum_i g_ij``."""

    __props__ = ()
    differentiable = (0, 1)

    def make_node(self, x, y):
        x, v = sparse_operand("structured_add_s_v", x), dense_operand("structured_add_s_v", y, (1,))
        shape = broadcast_shape("structured_add_s_v", x, v)
        return apply(self, [x, v], x.type.clone(dtype=upcast(x.dtype, v.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, v = canonical(inputs[0]), inputs[1]
        dtype = node.outputs[0].dtype
        added = broadcast_value("structured_add_s_v", x.shape, node.inputs[1], v)[x.tocoo().coords]
        values = x.data.astype(dtype) + added.astype(dtype)
        outputs[0][0] = typed(node, compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape))

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, v = inputs
        g = sampled(g, x)
        return [g, sparse_summed_to(g, v)]

    def tangent(self, inputs, output, tangents):
        x = inputs[0]
        tx = zeros_on_pattern(x) if tangents[0] is None else sampled(tangents[0], x)
        return tx if tangents[1] is None else structured_add_s_v(tx, tangents[1])


structured_add_s_v = StructuredAddSV()


def col_scale(x, s):
    """Columns of a sparse matrix times the elements of a vector, ``x_ij * s_j``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    s : dense vector (n,)

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`, dtype of both upcast.

    Notes
    -----
    Gradient: structured, ``g * s`` on x's pattern and ``gs_j = sum_i x_ij g_ij``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.col_scale(sp.csc_array([[1.0, 1.0]]), [2.0, 3.0]).eval().toarray()
    array([[2., 3.]])
    """
    return ColScaleCSC()(x, s)


def row_scale(x, s):
    """Rows of a sparse matrix times the elements of a vector, ``x_ij * s_i``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    s : dense vector (m,)

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`, dtype of both upcast.

    Notes
    -----
    Gradient: structured, ``g * s`` on x's pattern and ``gs_i = sum_j x_ij g_ij``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.row_scale(sp.csr_array([[1.0, 1.0], [0.0, 1.0]]), [2.0, 3.0]).eval().toarray()
    array([[2., 2.],
           [0., 3.]])
    """
    return RowScaleCSC()(x, s)


__all__ = ["ColScaleCSC", "RowScaleCSC", "StructuredAddSV", "col_scale", "row_scale", "structured_add_s_v"]
