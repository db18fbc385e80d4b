"""Products: scalings, diagonal matrices, columns, samples."""

import math

from pytensor.graph.basic import Constant
from pytensor.tensor.elemwise import DimShuffle

from symsparse.ops.arithmetic import MulSD, TrueDivSD
from symsparse.ops.base import is_sparse
from symsparse.ops.construction import Diags
from symsparse.ops.conversion import SquareDiagonal
from symsparse.ops.elementwise import Neg
from symsparse.ops.layout import AsFormat, Transpose, asformat, sum_duplicates
from symsparse.ops.matmul import Dot, StructuredDot, TrueDot
from symsparse.ops.scaling import ColScaleCSC, col_scale, row_scale
from symsparse.rewrites.base import (
    is_finite_constant,
    known_nnz,
    made_by,
    read_once,
    rewrites,
)

# -- factors ----------------------------------------------------------------------------------------------------


def _fewer(x, out):
    """Whether a dense product is known to have fewer elements than the sparse factor x, or likely, as a vector."""
    nnz, shape = known_nnz(x), out.type.shape
    if nnz is not None and None not in shape:
        return math.prod(shape) < nnz
    return out.type.ndim == 1


@rewrites(StructuredDot, Dot)
def scalar_out_of_product(fgraph, node):
    """(c * x) @ d = c * (x @ d) and (-x) @ d = -(x @ d), where the product has fewer elements than x.

    That is known from shapes and constants, or taken for granted where d is a vector. In a sum, the factor then
    becomes the alpha of `usmm`. Only a c that is known to be finite: an infinite one would make NaN of empty rows.
    """
    x, d = node.inputs
    if not is_sparse(x) or is_sparse(d) or not read_once(fgraph, x) or not _fewer(x, node.outputs[0]):
        return None
    transposed = made_by(x, Transpose)
    inner = x.owner.inputs[0] if transposed else x
    if transposed and not read_once(fgraph, inner):
        return None
    if made_by(inner, Neg):
        bare, scale = inner.owner.inputs[0], lambda product: -product
    elif made_by(inner, MulSD) and not made_by(inner, TrueDivSD) and _is_scalar(inner.owner.inputs[1]):
        bare, c = inner.owner.inputs
        if not is_finite_constant(c) or bare.dtype != inner.dtype:
            return None
        scale = c.reshape(()).__mul__
    else:
        return None
    return scale(type(node.op)()(bare.T if transposed else bare, d))


def _is_scalar(v):
    return all(n == 1 for n in v.type.shape)


@rewrites(StructuredDot, Dot)
def column_scale_out_of_product(fgraph, node):
    """col_scale(x, w) @ v = x @ (w * v) and row_scale(x, w).T @ v = x.T @ (w * v), for a vector v.

    One multiplication for each element of v in the place of one for each entry of x.
    """
    x, v = node.inputs
    if not is_sparse(x) or is_sparse(v) or v.type.ndim != 1 or not read_once(fgraph, x):
        return None
    transposed = made_by(x, Transpose)
    inner = x.owner.inputs[0] if transposed else x
    axis = 0 if transposed else 1
    if not read_once(fgraph, inner) or not made_by(inner, ColScaleCSC) or inner.owner.op.axis != axis:
        return None
    bare, w = inner.owner.inputs
    if w.dtype != v.dtype or inner.dtype != bare.dtype != v.dtype:
        return None
    return type(node.op)()(bare.T if transposed else bare, w * v)


# -- diagonal matrices ------------------------------------------------------------------------------------------


def diagonal_of(x):
    """The vector on the diagonal of a sparse variable that is known to be square and diagonal; else None."""
    while made_by(x, Transpose, AsFormat):
        x = x.owner.inputs[0]
    if made_by(x, SquareDiagonal):
        return x.owner.inputs[0]
    if made_by(x, Diags) and x.owner.op.offsets == (0,):
        v, _, n, m = x.owner.inputs
        if n is m or (isinstance(n, Constant) and isinstance(m, Constant) and n.data == m.data):
            return v
    return None


@rewrites(StructuredDot, Dot, TrueDot)
def product_with_diagonal(fgraph, node):
    """diag(w) @ x = row_scale(x, w), x @ diag(w) = col_scale(x, w), and diag(w) @ d = w[:, None] * d for a dense d.

    Numbers, entries and format are those of the product.
    """
    a, b = node.inputs
    out = node.outputs[0]
    w, v = (diagonal_of(u) if is_sparse(u) else None for u in node.inputs)
    if not is_sparse(out):
        if w is not None and not is_sparse(b):
            return w * b if b.type.ndim == 1 else w[:, None] * b
        if v is not None and not is_sparse(a):
            return a * v
        return None
    if not (is_sparse(a) and is_sparse(b)) or (w is None and v is None):
        return None
    scaled = row_scale(sum_duplicates(b), w) if w is not None else col_scale(sum_duplicates(a), v)
    return asformat(scaled, out.format)


# -- columns ----------------------------------------------------------------------------------------------------


@rewrites(StructuredDot, Dot)
def product_with_column(fgraph, node):
    """X @ v[:, None] = (x @ v)[:, None]: the loop over a vector has no loop over columns."""
    x, d = node.inputs
    if not is_sparse(x) or is_sparse(d) or d.type.ndim != 2 or not made_by(d, DimShuffle):
        return None
    (v,) = d.owner.inputs
    if v.type.ndim != 1 or tuple(d.owner.op.new_order) != (0, "x"):
        return None
    return type(node.op)()(x, v)[:, None]
