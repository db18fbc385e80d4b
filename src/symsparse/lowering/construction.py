"""Lowering of matrices made from diagonals, and of triangles."""

import numpy as np

from symsparse.lowering.base import KernelOp, Parts, known, lowers, vector
from symsparse.lowering.layout import taken
from symsparse.ops.base import equal, require
from symsparse.ops.construction import Diags, Triangle, diagonal_length
from symsparse.ops.csm import shape_vector


class DiagsPattern(KernelOp):
    """(offsets, sizes, index-like, by rows) -> pattern, and the places of its entries in the vector."""

    kernel = "construction.diags_pattern"
    symbolic = True
    canonical = True

    def outputs(self, offsets, n_major, n_minor, index_like, by_rows):
        n = known(n_major)
        return [vector(index_like), vector(index_like, None if n is None else n + 1), vector(index_like)]


class TrianglePattern(KernelOp):
    """(indices, indptr, k, below, carried) -> pattern of the entries on one side of a diagonal, and what they carry."""

    kernel = "construction.triangle_pattern"
    symbolic = True
    canonical = "as input"
    carries = ((4, 2),)

    def outputs(self, indices, indptr, k, below, carried):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(carried)]


@lowers(Triangle)
def lower_triangle(node, x, k):
    # By major and minor axis a csc matrix is its transpose: the other side of diagonal -k.
    by_rows = x.format == "csr"
    below = np.bool_(node.op.lower == by_rows)
    indices, indptr, values = taken(TrianglePattern(), x, k if by_rows else -k, below)
    return x._replace(values=values, indices=indices, indptr=indptr)


@lowers(Diags)
def lower_diags(node, values, lengths, n, m):
    op = node.op
    by_rows = op.format == "csr"
    indices, indptr, place = DiagsPattern()(
        np.array(op.offsets, dtype="int64"),
        *((n, m) if by_rows else (m, n)),
        np.zeros(0, dtype=op.index_dtype),
        np.bool_(by_rows),
    )
    # Beside the pattern, which is folded where the sizes are known.
    cause = "diags: the length of a diagonal does not fit the shape of the matrix"
    same = [
        equal(lengths[i], diagonal_length(n, m, k), f"{cause}: diagonal {k} has %d elements instead of %d")
        for i, k in enumerate(op.offsets)
    ]
    return Parts(op.format, require(values, *same)[place], indices, indptr, shape_vector(n, m))
