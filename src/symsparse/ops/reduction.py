"""Sums of a sparse matrix."""

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.type import TensorType

from symsparse.ops.base import SparseOp, apply, sampled, sparse_operand
from symsparse.types import discrete_dtypes, uint_dtypes


def normalized_axis(op, axis):
    """None, 0 or 1 from any legal axis of a matrix."""
    if axis is None or (isinstance(axis, tuple | list) and sorted(a % 2 for a in axis) == [0, 1]):
        return None
    if isinstance(axis, tuple | list) and len(axis) == 1:
        axis = axis[0]
    if not isinstance(axis, int | np.integer) or not -2 <= axis < 2:
        raise ValueError(f"{op}: axis {axis!r} is not one of None, 0, 1, -1, -2.")
    return int(axis) % 2


def sum_dtype(dtype):
    """What NumPy sums this dtype to: the widest integer for integers and bool."""
    if dtype not in discrete_dtypes:
        return dtype
    return "uint64" if dtype in uint_dtypes else "int64"


class SpSum(SparseOp):
    """Sum of all entries or along an axis, dense.

    Parameters
    ----------
    axis : {None, 0, 1, -1, -2}
    sparse_grad : bool
        Structured gradient (the cotangent on x's pattern) instead of the regular one (spread over all positions).
    """

    __props__ = ("axis", "sparse_grad")
    multilinear = True

    def __init__(self, axis=None, sparse_grad=True):
        self.axis = normalized_axis("sp_sum", axis)
        self.sparse_grad = bool(sparse_grad)

    def make_node(self, x):
        x = sparse_operand("sp_sum", x)
        shape = () if self.axis is None else (x.type.shape[1 - self.axis],)
        return apply(self, [x], TensorType(sum_dtype(x.dtype), shape))

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        dtype = node.outputs[0].dtype
        if self.axis is None:
            outputs[0][0] = np.asarray(x.data.sum(dtype=dtype))
        else:  # SciPy's own sum along an axis sorts its operand in place
            total = np.zeros(x.shape[1 - self.axis], dtype=dtype)
            np.add.at(total, x.tocoo().coords[1 - self.axis], x.data.astype(dtype))
            outputs[0][0] = total

    def infer_shape(self, node, shapes):
        return [() if self.axis is None else (shapes[0][1 - self.axis],)]

    def cotangents(self, inputs, output, g):
        # Every position of a row (column) gets the cotangent of its sum. The broadcast is symbolic: sampling it or
        # multiplying by a sparse matrix reads only the entries it needs.
        x = inputs[0]
        spread = {None: lambda: g, 0: lambda: g[None, :], 1: lambda: g[:, None]}[self.axis]()
        spread = pt.alloc(spread, *x.shape)
        return [sampled(spread, x) if self.sparse_grad else spread]


def sp_sum(x, axis=None, sparse_grad=False):
    """Sum of a sparse matrix or along an axis.

    Parameters
    ----------
    x : sparse matrix (m, n)
    axis : {None, 0, 1, -1, -2}
    sparse_grad : bool
        Ask for the structured gradient.

    Returns
    -------
    dense scalar, or vector (n,) for axis 0, (m,) for axis 1
        dtype of `x`; integers and bool are summed in (and declared as) 64 bits, as NumPy does.

    Notes
    -----
    Gradient: regular by default, ``gx_ij = g`` (``g_j``, ``g_i``) at every position, which stays symbolic
    until somebody reads it densely; with ``sparse_grad=True`` structured, the same at the stored entries only. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_sum(sp.csr_array([[1.0, 0.0], [2.0, 5.0]]), axis=1).eval()
    array([1., 7.])
    """
    return SpSum(axis, sparse_grad)(x)


__all__ = ["SpSum", "normalized_axis", "sp_sum", "sum_dtype"]
