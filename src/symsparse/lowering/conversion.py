"""Lowering of conversions between dense and sparse, and of diagonals."""

import numpy as np
import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, known, lowers, n_slices, vector
from symsparse.lowering.csm import CheckPattern
from symsparse.ops.base import equal, require
from symsparse.ops.construction import diagonal_length
from symsparse.ops.conversion import (
    ConstructSparseFromList,
    DenseFromSparse,
    Diag,
    SparseFromDense,
    SquareDiagonal,
)
from symsparse.ops.csm import shape_vector


class Densify(KernelOp):
    """(values, indices, indptr, n_minor) -> dense n_major x n_minor."""

    kernel = "conversion.densify"

    def outputs(self, values, indices, indptr, n_minor):
        return [(values.dtype, (n_slices(indptr), known(n_minor)))]

    def infer_shape(self, node, shapes):
        return [(shapes[2][0] - 1, node.inputs[3])]


class Compress(KernelOp):
    """(dense, index-like) -> values, indices, indptr of its non-zero entries by rows."""

    kernel = "conversion.compress"
    canonical = True

    def outputs(self, dense, index_like):
        return [vector(dense), vector(index_like), vector(index_like)]


class Diagonal(KernelOp):
    kernel = "conversion.diagonal"

    def outputs(self, values, indices, indptr, n_minor, k):
        return [vector(values)]

    def infer_shape(self, node, shapes):
        return [(diagonal_length(shapes[2][0] - 1, node.inputs[3], known(node.inputs[4])),)]


def densify(x: Parts):
    """Dense matrix of `x`."""
    dense = Densify()(x.values, *x.pattern, x.n_minor)
    return dense if x.format == "csr" else dense.T


@lowers(DenseFromSparse)
def lower_dense_from_sparse(node, x):
    return densify(x)


@lowers(SparseFromDense)
def lower_sparse_from_dense(node, dense):
    return compress(dense, node.op.format, node.outputs[0].type.index_dtype)


def compress(dense, format, index_dtype="int32") -> Parts:
    """Sparse matrix of the non-zero entries of `dense`."""
    by_major = dense if format == "csr" else dense.T
    values, indices, indptr = Compress()(by_major, pt.constant([], dtype=index_dtype))
    return Parts(format, values, indices, indptr, shape_vector(*dense.shape))


@lowers(SquareDiagonal)
def lower_square_diagonal(node, v):
    n = v.shape[0]
    largest = np.iinfo(np.int32).max
    fitting = require(
        n, ("at_most", n, largest, "square_diagonal: %d rows do not fit int32 indices, which end at %d")
    )
    indptr = pt.arange(fitting + 1, dtype="int32")
    return Parts("csc", v, pt.arange(n, dtype="int32"), indptr, shape_vector(n, n))


@lowers(Diag)
def lower_diag(node, x):
    k = node.op.k if x.format == "csr" else -node.op.k
    return Diagonal()(x.values, *x.pattern, x.n_minor, pt.constant(k, dtype="int64"))


@lowers(ConstructSparseFromList)
def lower_construct_sparse_from_list(node, shape, values, ilist):
    # Column j of the result holds column j of the rows, in the order of their places.
    wrong = "construct_sparse_from_list: a shape has %d sizes instead of %d"
    shape = require(shape, equal(shape.shape[0], pt.constant(2), wrong))
    k, n = values.shape[0], values.shape[1]
    ilist = require(ilist, equal(ilist.shape[0], k, "construct_sparse_from_list: %d places for %d rows"))
    # The places are checked in their own dtype: narrowing first could make legal ones of them.
    order = pt.argsort(ilist)
    indices = pt.tile(ilist[order].astype("int64"), n)
    indptr = pt.arange(n + 1, dtype="int64") * k
    indices, indptr = CheckPattern()(indices, indptr, values.size, shape[1], shape[0])
    cause = "construct_sparse_from_list: too many values for int32 indices: %d, and these count to %d"
    rows = require(
        values[order], ("at_most", pt.maximum(values.size, shape[0]), np.iinfo(np.int32).max, cause)
    )
    return Parts("csc", rows.T.flatten(), indices.astype("int32"), indptr.astype("int32"), shape)
