"""Dense to sparse and back; matrices from a diagonal or from rows."""

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.tensor.type import TensorType

from symsparse.arguments import legal_switch
from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_sparse,
    operand,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.construction import Diags, diagonal_length, offset
from symsparse.ops.layout import asformat
from symsparse.types import SCIPY_CLASSES, SparseTensorType, integer_dtypes, legal_format


class DenseFromSparse(SparseOp):
    """Dense matrix of a sparse one.

    Parameters
    ----------
    structured : bool
        Gradient on x's pattern (``gx = g`` at the stored entries) instead of the regular ``gx = g``.
    """

    __props__ = ("structured",)
    multilinear = True

    def __init__(self, structured=True):
        self.structured = legal_switch("dense_from_sparse", "structured", structured)

    def make_node(self, x):
        x = sparse_operand("dense_from_sparse", x)
        return apply(self, [x], TensorType(x.dtype, x.type.shape))

    def perform(self, node, inputs, outputs):
        outputs[0][0] = inputs[0].toarray()

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        return [sampled(g, inputs[0]) if self.structured else g]


class SparseFromDense(SparseOp):
    """Sparse matrix of the non-zero entries of a dense one (NaN is not zero). Gradient: ``gx = toarray(g)``."""

    __props__ = ("format",)
    multilinear = True

    def __init__(self, format):
        self.format = legal_format("SparseFromDense", format)

    def make_node(self, x):
        x = dense_operand(f"{self.format}_from_dense", x, (0, 1, 2))
        if x.type.ndim < 2:
            x = pt.atleast_2d(x)
        return apply(self, [x], SparseTensorType(self.format, x.dtype, x.type.shape))

    def perform(self, node, inputs, outputs):
        outputs[0][0] = typed(node, SCIPY_CLASSES[self.format](inputs[0]))

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        # Regular: what this op leaves out is zero now, but moves with x. A cotangent that is sparse is zero elsewhere.
        return [g.toarray(structured=False) if is_sparse(g) else g]


def dense_from_sparse(x, structured=True):
    """Dense matrix of a sparse one; ``x.toarray()``.

    Parameters
    ----------
    x : sparse matrix (m, n)
        A dense tensor is returned as it is.
    structured : bool
        Gradient at the stored entries of `x` only (default), or the regular one.

    Returns
    -------
    dense matrix (m, n)
        Entries stored twice are summed.

    Notes
    -----
    Gradient: structured ``gx = g`` on x's pattern, or regular ``gx = g``. O(m n) time and memory.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.dense_from_sparse(sp.csr_array([[0.0, 5.0]])).eval()
    array([[0., 5.]])
    """
    x = operand("dense_from_sparse", x)
    return DenseFromSparse(structured)(x) if is_sparse(x) else x


def _from_dense(x, format):
    x = operand(f"{format}_from_dense", x)
    return asformat(x, format) if is_sparse(x) else SparseFromDense(format)(x)


def csr_from_dense(x):
    """Sparse matrix in csr format of the non-zero entries of a dense one.

    Parameters
    ----------
    x : dense matrix (m, n), vector (n,) or scalar
        Vectors and scalars become one row; a sparse matrix is converted to csr.

    Returns
    -------
    sparse matrix (m, n), csr

    Notes
    -----
    Gradient: the cotangent as a dense matrix; zero where the cotangent stores nothing. O(m n).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.csr_from_dense([[0.0, 5.0]]).eval().indices
    array([1], dtype=int32)
    """
    return _from_dense(x, "csr")


def csc_from_dense(x):
    """Sparse matrix in csc format of the non-zero entries of a dense one; see `csr_from_dense`."""
    return _from_dense(x, "csc")


class SquareDiagonal(SparseOp):
    """csc matrix with a vector on its diagonal. Gradient regular: ``gv = diag(g)``."""

    __props__ = ()
    multilinear = True

    def make_node(self, diag):
        v = dense_operand("square_diagonal", diag, (1,))
        return apply(self, [v], SparseTensorType("csc", v.dtype, v.type.shape * 2))

    def perform(self, node, inputs, outputs):
        (v,) = inputs
        n = len(v)
        outputs[0][0] = typed(node, sp.csc_array((v, np.arange(n), np.arange(n + 1)), shape=(n, n)))

    def infer_shape(self, node, shapes):
        return [(shapes[0][0], shapes[0][0])]

    def cotangents(self, inputs, output, g):
        return [diag(g) if is_sparse(g) else pt.diagonal(g)]


def square_diagonal(diag):
    """Square csc matrix with a vector on its diagonal.

    Parameters
    ----------
    diag : dense vector (n,)

    Returns
    -------
    sparse matrix (n, n), csc
        Every diagonal entry is stored, zeros too.

    Notes
    -----
    Gradient: regular, the diagonal of the cotangent. O(n).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.square_diagonal([1.0, 2.0]).eval().toarray()
    array([[1., 0.],
           [0., 2.]])
    """
    return SquareDiagonal()(diag)


class Diag(SparseOp):
    """The k-th diagonal of a matrix as a dense vector. Gradient regular: a diagonal matrix in x's format."""

    __props__ = ("k",)
    multilinear = True

    def __init__(self, k=0):
        self.k = offset("diag", k)

    def make_node(self, x):
        x = sparse_operand("diag", x)
        n, m = x.type.shape
        length = None if None in (n, m) else diagonal_length(n, m, self.k)
        return apply(self, [x], TensorType(x.dtype, (length,)))

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(inputs[0].diagonal(self.k), dtype=node.outputs[0].dtype)

    def infer_shape(self, node, shapes):
        n, m = shapes[0]
        return [(diagonal_length(n, m, self.k),)]

    def cotangents(self, inputs, output, g):
        x = inputs[0]
        return [Diags((self.k,), x.format, x.type.index_dtype)(g, pt.stack([g.shape[0]]), *x.shape)]


def diag(x, k=0):
    """Diagonal of a sparse matrix.

    Parameters
    ----------
    x : sparse matrix (m, n)
    k : int
        Which one: 0 the main diagonal, above it if positive, below it if negative.

    Returns
    -------
    dense vector
        Entries (i, i + k); none if the diagonal lies outside the matrix.

    Notes
    -----
    Gradient: regular, a sparse diagonal matrix. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.diag(sp.csr_array([[1.0, 2.0], [0.0, 3.0]])).eval()
    array([1., 3.])
    """
    return Diag(k)(x)


class ConstructSparseFromList(SparseOp):
    """csc matrix with dense rows at given places; rows with the same place are added.

    Inputs of the node: the shape vector of x, the rows, their places. Gradient regular, wrt the rows:
    ``gvalues = g[ilist]``.
    """

    __props__ = ()
    differentiable = (1,)
    multilinear = True

    def make_node(self, x, values, ilist):
        name = "construct_sparse_from_list"
        x = dense_operand(name, x, (1, 2))
        if x.type.ndim == 1 and x.dtype not in integer_dtypes:
            raise error(name, [x], "x must be a matrix, or the shape of one", "Pass shape as two integers.")
        shape = (
            pt.stack(list(x.shape)) if x.type.ndim == 2 else x
        )  # the shape itself when the node is rebuilt
        values = dense_operand(name, values, (2,))
        ilist = dense_operand(name, ilist, (1,))
        if ilist.dtype not in integer_dtypes:
            raise error(name, [ilist], "the places of the rows must be integers")
        static = x.type.shape if x.type.ndim == 2 else (None, values.type.shape[1])
        return apply(self, [shape, values, ilist], SparseTensorType("csc", values.dtype, static))

    def perform(self, node, inputs, outputs):
        shape, values, ilist = inputs
        if len(shape) != 2:
            raise ValueError(f"construct_sparse_from_list: a shape has {len(shape)} sizes instead of 2")
        k, n = values.shape
        if len(ilist) != k or n != shape[1]:
            raise ValueError(
                f"construct_sparse_from_list: {k} rows of {n} values do not fit {len(ilist)} places in a matrix of "
                f"shape {tuple(map(int, shape))}."
            )
        if k and (ilist.min() < 0 or ilist.max() >= shape[0]):
            raise ValueError(f"construct_sparse_from_list: a place is outside 0..{shape[0] - 1}.")
        coordinates = (np.repeat(ilist.astype(np.int64), n), np.tile(np.arange(n), k))
        result = sp.coo_array((values.ravel(), coordinates), shape=tuple(map(int, shape)))
        outputs[0][0] = typed(node, result.tocsc())

    def infer_shape(self, node, shapes):
        return [(node.inputs[0][0], node.inputs[0][1])]

    def cotangents(self, inputs, output, g):
        from symsparse.ops.indexing import get_item_list

        ilist = inputs[2]
        return [get_item_list(g, ilist).toarray(structured=False) if is_sparse(g) else g[ilist]]


def construct_sparse_from_list(x, values, ilist):
    """Csc matrix with dense rows at given places.

    Parameters
    ----------
    x : dense matrix (m, n)
        Only its shape is used.
    values : dense matrix (k, n)
        The rows.
    ilist : integer vector (k,)
        The place of each row; rows with the same place are added.

    Returns
    -------
    sparse matrix (m, n), csc, dtype of `values`

    Notes
    -----
    Gradient: regular wrt `values`, ``g[ilist]``; `x` is disconnected. O(k n + n).

    Examples
    --------
    >>> import numpy as np
    >>> import symsparse as ss
    >>> ss.construct_sparse_from_list(np.zeros((3, 2)), np.ones((2, 2)), [2, 2]).eval().toarray()
    array([[0., 0.],
           [0., 0.],
           [2., 2.]])
    """
    return ConstructSparseFromList()(x, values, ilist)


__all__ = [
    "ConstructSparseFromList",
    "DenseFromSparse",
    "Diag",
    "SparseFromDense",
    "SquareDiagonal",
    "construct_sparse_from_list",
    "csc_from_dense",
    "csr_from_dense",
    "dense_from_sparse",
    "diag",
    "square_diagonal",
]
