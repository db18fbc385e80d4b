"""Lowering of triangles."""

import numpy as np

from symsparse.lowering.base import KernelOp, lowers, vector
from symsparse.ops.construction import Triangle


class TrianglePattern(KernelOp):
    """(indices, indptr, k, below) -> pattern of the entries on one side of a diagonal, and where they come from."""

    kernel = "construction.triangle_pattern"
    canonical = "as input"

    def outputs(self, indices, indptr, k, below):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


@lowers(Triangle)
def lower_triangle(node, x, k):
    # By major and minor axis a csc matrix is its transpose: the other side of diagonal -k.
    by_rows = x.format == "csr"
    below = np.bool_(node.op.lower == by_rows)
    indices, indptr, kept = TrianglePattern()(*x.pattern, k if by_rows else -k, below)
    return x._replace(values=x.values[kept], indices=indices, indptr=indptr)
