"""Selecting rows."""

import numpy as np

from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_sparse,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.types import SCIPY_CLASSES, integer_dtypes


def _rows(op, index):
    if isinstance(index, list) and not index:
        index = np.zeros(0, dtype="int64")
    index = dense_operand(op, index, (1,))
    if index.dtype not in integer_dtypes:
        raise error(op, [index], "the rows must be a vector of integers")
    return index


class GetItemList(SparseOp):
    """Rows of a sparse matrix, in any order, repeated or not. Gradient structured: rows of g added at their places."""

    __props__ = ()
    multilinear = True

    def make_node(self, x, index):
        x, index = sparse_operand("get_item_list", x), _rows("get_item_list", index)
        return apply(self, [x, index], x.type.clone(shape=(index.type.shape[0], x.type.shape[1])))

    def perform(self, node, inputs, outputs):
        x, index = inputs
        n = x.shape[0]
        if len(index) and (index.min() < -n or index.max() >= n):
            raise IndexError(f"get_item_list: a row is outside the {n} rows of the matrix.")
        outputs[0][0] = typed(node, x.tocsr()[index.astype(np.int64)])

    def infer_shape(self, node, shapes):
        return [(shapes[1][0], shapes[0][1])]

    def cotangents(self, inputs, output, g):
        x, index = inputs
        return [GetItemListGrad()(x, index, sampled(g, output))]

    def tangent(self, inputs, output, tangents):
        return get_item_list(tangents[0], inputs[1])


class GetItemListGrad(SparseOp):
    """A matrix of x's shape and format with the rows of the sparse gz added at the places `index`."""

    __props__ = ()
    differentiable = (2,)
    multilinear = True

    def make_node(self, x, index, gz):
        name = "get_item_list_grad"
        x, index, gz = sparse_operand(name, x), _rows(name, index), sparse_operand(name, gz)
        return apply(self, [x, index, gz], x.type.clone(dtype=gz.dtype))

    def perform(self, node, inputs, outputs):
        x, index, gz = inputs
        n, k = x.shape[0], gz.shape[0]
        if len(index) != k or gz.shape[1] != x.shape[1]:
            raise ValueError(
                f"get_item_list_grad: shapes do not fit: {x.shape}, {len(index)} rows and {gz.shape}."
            )
        places = np.where(index < 0, index + n, index)
        selection = SCIPY_CLASSES["csr"]((np.ones(k, dtype=gz.dtype), (places, np.arange(k))), shape=(n, k))
        result = (selection @ gz).asformat(x.format)
        result.sort_indices()
        outputs[0][0] = typed(node, result)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        return [get_item_list(g, inputs[1]) if is_sparse(g) else g[inputs[1]]]


get_item_list_grad = GetItemListGrad()


def get_item_list(x, index):
    """Rows of a sparse matrix; ``x[index]``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    index : integer vector (k,)
        Negative ones count from the end; out of range is an IndexError.

    Returns
    -------
    sparse matrix (k, n)
        Format and dtype of `x`.

    Notes
    -----
    Gradient: structured, the cotangent at the stored entries of the rows; repeated rows add up, other rows store
    nothing. O(nnz of the result) for csr, O(nnz(x)) for csc.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> x[[1, 1]].eval().toarray()
    array([[0., 2.],
           [0., 2.]])
    """
    return GetItemList()(x, index)


def getitem(x, index):
    """``x[index]`` for a list, array or vector of rows."""
    if isinstance(index, list | np.ndarray) or getattr(getattr(index, "type", None), "ndim", None) == 1:
        return get_item_list(x, index)
    raise error(
        "getitem",
        [x],
        f"index {index!r} is not supported",
        "Select rows with a list, array or integer vector.",
    )


__all__ = ["GetItemList", "GetItemListGrad", "get_item_list", "get_item_list_grad", "getitem"]
