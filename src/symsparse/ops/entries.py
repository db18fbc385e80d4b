"""Single entries of a matrix as a dense scalar or vector, and a matrix with values at given positions."""

import numpy as np
import scipy.sparse as sp
from pytensor.tensor.type import TensorType

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    is_sparse,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.indexing import index_vector, within
from symsparse.types import SCIPY_CLASSES, integer_dtypes


class GetItem2Lists(SparseOp):
    """Entries of a sparse matrix at pairs of a row and a column, dense. Gradient structured: g added at x's entries."""

    __props__ = ()
    multilinear = True

    def make_node(self, x, ind1, ind2):
        name = "get_item_2lists"
        x, i, j = sparse_operand(name, x), index_vector(name, ind1), index_vector(name, ind2)
        size = _common_size(name, [x, i, j], i, j)
        return apply(self, [x, i, j], TensorType(x.dtype, (size,)))

    def perform(self, node, inputs, outputs):
        outputs[0][0] = _entries("getitem", *inputs)

    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def cotangents(self, inputs, output, g):
        x, i, j = inputs
        return [sampled(GetItem2ListsGrad()(x, i, j, g), x)]


class GetItem2ListsGrad(SparseOp):
    """A matrix of x's shape and format with the elements of the vector gz added at the positions (ind1, ind2)."""

    __props__ = ()
    differentiable = (3,)
    multilinear = True

    def make_node(self, x, ind1, ind2, gz):
        name = "get_item_2lists_grad"
        x, i, j, gz = (
            sparse_operand(name, x),
            index_vector(name, ind1),
            index_vector(name, ind2),
            dense_operand(name, gz, (1,)),
        )
        _common_size(name, [i, j, gz], i, j, gz)
        return apply(self, [x, i, j, gz], x.type.clone(dtype=gz.dtype))

    def perform(self, node, inputs, outputs):
        x, i, j, gz = inputs
        # Mostly the gradient of x[i, j], or an update of it: that is what the user wrote.
        at = _pairs("getitem", x, i, j)
        if len(i) != len(gz):
            raise ValueError(
                f"get_item_2lists_grad: the numbers of pairs and values differ: {len(i)} and {len(gz)}."
            )
        outputs[0][0] = typed(node, SCIPY_CLASSES[x.format](sp.coo_array((gz, at), shape=x.shape)))

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        _, i, j, _ = inputs
        return [GetItem2Lists()(g, i, j) if is_sparse(g) else g[i, j]]


class GetItemScalar(SparseOp):
    """The entry of a sparse matrix at one row and one column, dense. Gradient structured: g at that entry of x."""

    __props__ = ()
    multilinear = True

    def make_node(self, x, i, j):
        x = sparse_operand("get_item_scalar", x)
        index = [dense_operand("get_item_scalar", v, (0,)) for v in (i, j)]
        for v in index:
            if v.dtype not in integer_dtypes:
                raise error(
                    "get_item_scalar", [x, v], "a row or column must be an integer", "Cast it to int64."
                )
        return apply(self, [x, *index], TensorType(x.dtype, ()))

    def perform(self, node, inputs, outputs):
        x, i, j = inputs
        outputs[0][0] = _entries("getitem", x, np.atleast_1d(i), np.atleast_1d(j)).reshape(())

    def infer_shape(self, node, shapes):
        return [()]

    def cotangents(self, inputs, output, g):
        x, i, j = inputs
        return [sampled(GetItem2ListsGrad()(x, i[None], j[None], g[None]), x)]


def _common_size(op, operands, *vectors):
    sizes = {v.type.shape[0] for v in vectors} - {None}
    if len(sizes) > 1:
        raise error(
            op, operands, "the vectors differ in length", "Pass one element for each pair.", IndexError
        )
    return next(iter(sizes), None)


def _pairs(op, x, i, j):
    """Reference: rows and columns of pairs, counted from the start."""
    if len(i) != len(j):
        raise IndexError(f"{op}: {len(i)} rows and {len(j)} columns do not pair.")
    return within(op, i, x.shape[0]), within(op, j, x.shape[1])


def _entries(op, x, i, j):
    """Reference: the entries of x at the pairs."""
    i, j = _pairs(op, x, i, j)
    stored = canonical(x).tocoo()
    entries = dict(zip(zip(*(c.tolist() for c in stored.coords), strict=True), stored.data, strict=True))
    found = [entries.get(at, 0) for at in zip(i.tolist(), j.tolist(), strict=True)]
    return np.array(found, dtype=x.dtype)


get_item_2lists_grad = GetItem2ListsGrad()


def get_item_scalar(x, index):
    """One entry of a sparse matrix; ``x[i, j]``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    index : tuple of two integers or symbolic integers
        Negative ones count from the end; out of range is an IndexError.

    Returns
    -------
    dense scalar
        dtype of `x`; zero where nothing is stored, the sum where a position is stored twice.

    Notes
    -----
    Gradient: structured, the cotangent at that entry of x's pattern, zero if `x` does not store it.
    O(log nnz) where `x` is canonical; its gradient O(nnz + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> float(x[-1, 1].eval())
    2.0
    """
    if not (isinstance(index, tuple | list) and len(index) == 2):
        raise error("get_item_scalar", [x, index], "the index must be a pair of integers", "Write x[i, j].")
    i, j = index
    return GetItemScalar()(x, i, j)


def get_item_2lists(x, ind1, ind2):
    """Entries of a sparse matrix at pairs of a row and a column; ``x[ind1, ind2]``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    ind1, ind2 : integer vectors (k,)
        Rows and columns. Negative ones count from the end; out of range is an IndexError.

    Returns
    -------
    dense vector (k,)
        dtype of `x`; zero where nothing is stored.

    Notes
    -----
    Gradient: structured, the cotangent on x's pattern; repeated pairs add up. O(k log nnz) where `x` is canonical;
    its gradient O(k + nnz + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> x[[0, 0, 1], [0, 1, 1]].eval()
    array([1., 0., 2.])
    """
    return GetItem2Lists()(x, ind1, ind2)


__all__ = [
    "GetItem2Lists",
    "GetItem2ListsGrad",
    "GetItemScalar",
    "get_item_2lists",
    "get_item_2lists_grad",
    "get_item_scalar",
]
