"""How a dense scalar, vector or matrix broadcasts against a sparse matrix, and how its cotangent is summed back."""

import numpy as np
import pytensor.tensor as pt

from symsparse.ops.base import (
    error,
    is_sparse,
)
from symsparse.ops.reduction import sp_sum


def broadcast_shape(op, x, y):
    """Static shape of x (a matrix) elementwise y (0-D, 1-D or 2-D, sizes 1 broadcast); x's axes never do."""
    own = x.type.shape
    for axis, size in zip(range(-y.type.ndim, 0), y.type.shape, strict=True):
        if size not in (None, 1) and own[axis] not in (None, size):
            raise error(
                op,
                [x, y],
                "shapes do not fit",
                "The dense operand may have size 1 where it broadcasts.",
                ValueError,
            )
    if y.type.ndim == 2:
        return tuple(
            a if a is not None else (b if b != 1 else None) for a, b in zip(own, y.type.shape, strict=True)
        )
    return own


def broadcast_value(op, x_shape, node_y, y):
    """`y` broadcast to the matrix's shape; only sizes that are 1 in the graph broadcast."""
    for axis, static in zip(range(-y.ndim, 0), node_y.type.shape, strict=True):
        if static != 1 and y.shape[axis] != x_shape[axis]:
            raise ValueError(f"{op}: shapes do not fit: {tuple(x_shape)} and {y.shape}.")
    return np.broadcast_to(y, x_shape)


def summed_to(g, y):
    """The dense cotangent `g` of a matrix summed over the axes along which `y` was broadcast."""
    if y.type.ndim == 0:
        return g.sum()
    if y.type.ndim == 1:
        return g.sum(0, keepdims=True)[0] if y.type.shape[0] != 1 else g.sum()[None]
    for axis, size in enumerate(y.type.shape):
        if size == 1:
            g = g.sum(axis, keepdims=True)
    return g


def sparse_summed_to(g, y):
    """The sparse cotangent `g` of a matrix as a dense cotangent of `y`, summed where `y` was broadcast."""
    if y.type.ndim == 0:
        return sp_sum(g, sparse_grad=True)
    if y.type.ndim == 1:
        return (
            sp_sum(g, axis=0, sparse_grad=True) if y.type.shape[0] != 1 else sp_sum(g, sparse_grad=True)[None]
        )
    if y.type.shape == (1, 1):
        return sp_sum(g, sparse_grad=True)[None, None]
    if y.type.shape[0] == 1:
        return sp_sum(g, axis=0, sparse_grad=True)[None, :]
    if y.type.shape[1] == 1:
        return sp_sum(g, axis=1, sparse_grad=True)[:, None]
    return g.toarray(structured=False)


def is_stack(x, y):
    """Whether one operand is sparse and the other a dense array of more than two dimensions."""
    return is_sparse(x) != is_sparse(y) and max(x.type.ndim, y.type.ndim) > 2


def stacked_product(product, x, y):
    """``x @ y`` of a sparse matrix and a stack of dense ones, as numpy.matmul has it, from one product of matrices.

    The dimensions in front are folded into the columns of y, or the rows of x.
    """
    if is_sparse(x):
        *batch, n, k = _sizes(y)
        folded = product(x, pt.moveaxis(y, -2, 0).reshape((n, _times(*batch, k))))
        return pt.moveaxis(folded.reshape((_sizes(folded)[0], *batch, k)), 0, -2)
    *batch, k, n = _sizes(x)
    folded = product(x.reshape((_times(*batch, k), n)), y)
    return folded.reshape((*batch, k, _sizes(folded)[1]))


def _sizes(x):
    return [x.shape[i] if n is None else n for i, n in enumerate(x.type.shape)]


def _times(*sizes):
    total = 1
    for n in sizes:
        total = total * n
    return total
