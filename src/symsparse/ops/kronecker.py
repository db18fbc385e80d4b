"""Kronecker products."""

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.scalar import upcast
from pytensor.tensor.type import TensorType

from symsparse.ops.base import dense_operand, error, is_sparse, operand, sparse_operand, wider_index
from symsparse.ops.csm import CSM, shape_vector
from symsparse.ops.layout import sum_duplicates
from symsparse.ops.stacking import MAX_INT32, index_dtype_for, size
from symsparse.types import legal_format


class KronPattern(Op):
    """Pattern of the Kronecker product of two canonical matrices, and the factors of each of its entries.

    Outputs: indices, indptr, and for each entry the numbers of the entries of x and of y whose product it is.
    """

    __props__ = ("format", "index_dtype")
    canonical = True

    def __init__(self, format, index_dtype):
        self.format, self.index_dtype = format, index_dtype

    def make_node(self, x, y):
        x, y = sparse_operand("kron", x), sparse_operand("kron", y)
        return Apply(self, [x, y], [TensorType(self.index_dtype, (None,))() for _ in range(4)])

    def perform(self, node, inputs, outputs):
        x, y = inputs
        shape = tuple(n * m for n, m in zip(x.shape, y.shape, strict=True))
        if self.index_dtype == "int32" and max(*shape, x.nnz * y.nnz) > MAX_INT32:
            raise ValueError("kron: the result does not fit int32 indices; use index_dtype='int64'.")
        rows, columns = (
            (a[:, None].astype("int64") * n + b).ravel()
            for a, b, n in zip(x.tocoo().coords, y.tocoo().coords, y.shape, strict=True)
        )
        major, minor, n_major = (
            (rows, columns, shape[0]) if self.format == "csr" else (columns, rows, shape[1])
        )
        order = np.lexsort((minor, major))
        indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=n_major))])
        found = (minor[order], indptr, *np.divmod(order, max(y.nnz, 1)))
        for storage, v in zip(outputs, found, strict=True):
            storage[0] = v.astype(self.index_dtype)

    def connection_pattern(self, node):
        return [[False] * 4] * 2

    def pushforward(self, inputs, outputs, tangents):
        return [disconnected_type() for _ in outputs]

    def infer_shape(self, node, shapes):
        x, y = node.inputs
        nnz = x.nnz * y.nnz
        axis = 0 if self.format == "csr" else 1
        return [(nnz,), (shapes[0][axis] * shapes[1][axis] + 1,), (nnz,), (nnz,)]


def kron(A, B, format=None):
    """Kronecker product of two matrices, at least one of them sparse.

    Parameters
    ----------
    A : sparse or dense matrix (m, n)
    B : sparse or dense matrix (p, q)
    format : {"csr", "csc"}, optional
        That of the first sparse operand by default.

    Returns
    -------
    sparse matrix (m p, n q)
        One entry for each pair of stored entries; all entries of a dense operand count, zeros too.

    Notes
    -----
    Gradient: structured for a sparse operand, at its stored entries ``gA_ij = sum_kl B_kl g[i p + k, j q + l]``, and
    for B alike. O(nnz(A) nnz(B)), the size of the result.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.kron(sp.eye_array(2, format="csr"), [[1.0, 2.0]]).eval().toarray()
    array([[1., 2., 0., 0.],
           [0., 0., 1., 2.]])
    """
    operands = [operand("kron", v) for v in (A, B)]
    sparse = [v for v in operands if is_sparse(v)]
    if not sparse:
        raise error(
            "kron", operands, "needs a sparse operand", "Use pytensor.tensor.linalg.kron for two dense ones."
        )
    format = sparse[0].format if format is None else legal_format("kron", format)
    # Each value is a product of two stored ones, so canonical operands give a canonical product. The gradient is that
    # of dense vectors: a scatter of g's values at the entries.
    x, y = (
        sum_duplicates(v)
        if is_sparse(v)
        else _full(dense_operand("kron", v, (2,)), format, wider_index(*sparse))
        for v in operands
    )
    static = [
        None if None in sizes else sizes[0] * sizes[1]
        for sizes in zip(x.type.shape, y.type.shape, strict=True)
    ]
    indices, indptr, of_x, of_y = KronPattern(format, index_dtype_for((x, y), static))(x, y)
    shape = (pt.as_tensor(size(x, axis) * size(y, axis), dtype="int64") for axis in (0, 1))
    values = (x.values[of_x] * y.values[of_y]).astype(upcast(x.dtype, y.dtype))
    return CSM(format, trusted=True)(values, indices, indptr, shape_vector(*shape))


def _full(x, format, index_dtype):
    """A dense matrix as a sparse one that stores every entry."""
    # Where this many entries wrap around in int32 indices, `KronPattern` counts them and raises before it reads any.
    n_major, n_minor = x.shape if format == "csr" else x.shape[::-1]
    indptr = (pt.arange(n_major + 1) * n_minor).astype(index_dtype)
    indices = pt.tile(pt.arange(n_minor, dtype=index_dtype), n_major)
    values = (x if format == "csr" else x.T).flatten()
    return CSM(format, trusted=True)(
        values, indices, indptr, shape_vector(*(pt.as_tensor(size(x, i), dtype="int64") for i in (0, 1)))
    )


__all__ = ["kron"]
