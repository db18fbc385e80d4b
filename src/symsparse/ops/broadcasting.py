"""How a dense scalar, vector or matrix broadcasts against a sparse matrix, and how its cotangent is summed back."""

import numpy as np

from symsparse.ops.base import (
    error,
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
