"""Products: scalings, diagonal matrices, columns, samples."""

import math

import pytensor.tensor as pt
from pytensor.tensor.basic import ExtractDiag
from pytensor.tensor.elemwise import DimShuffle

from symsparse.lowering.base import check
from symsparse.ops.arithmetic import MulSD, TrueDivSD, mul
from symsparse.ops.base import is_sparse
from symsparse.ops.conversion import Diag
from symsparse.ops.elementwise import Neg
from symsparse.ops.layout import Transpose, asformat, sum_duplicates
from symsparse.ops.matmul import Dot, StructuredDot, TrueDot
from symsparse.ops.reduction import sp_sum
from symsparse.ops.sampling import Sample, SampledProduct
from symsparse.ops.scaling import ColScaleCSC, col_scale, row_scale
from symsparse.rewrites.base import (
    is_dense_product,
    is_dense_transpose,
    is_finite_constant,
    known_nnz,
    made_by,
    read_once,
    rewrites,
)
from symsparse.rewrites.facts import diagonal_of

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


@rewrites(StructuredDot, Dot, TrueDot)
def product_with_diagonal(fgraph, node):
    """diag(w) @ x = row_scale(x, w), x @ diag(w) = col_scale(x, w), and diag(w) @ d = w[:, None] * d for a dense d.

    Diagonal are ``diags(w)``, ``square_diagonal(w)``, constants and frozen matrices that store the whole diagonal and
    nothing else, and their transposes. Numbers, entries and format are those of the product.
    """
    a, b = node.inputs
    out = node.outputs[0]
    w, v = map(diagonal_of, node.inputs)
    if not is_sparse(out):
        # What is an error must not become a broadcast.
        if w is not None and not is_sparse(b) and w.type.broadcastable[0] == b.type.broadcastable[0]:
            return w * b if b.type.ndim == 1 else w[:, None] * b
        if v is not None and not is_sparse(a) and v.type.broadcastable[0] == a.type.broadcastable[-1]:
            return a * v
    if not (is_sparse(a) and is_sparse(b)) or (w is None and v is None):
        return None
    scaled = row_scale(sum_duplicates(b), w) if w is not None else col_scale(sum_duplicates(a), v)
    return asformat(scaled, out.format) if is_sparse(out) else scaled.toarray()


@rewrites(Diag, ExtractDiag)
def diagonal_of_product(fgraph, node):
    """diag(x @ y) = (x * y.T).sum(axis=1): of a product its diagonal alone, and so its trace.

    With a sparse factor. And diag(sample(x @ y, p)) for any factors, where p is diagonal: the gradient of the w of
    ``diags(w)`` in a product. It does not fire if something else reads the product, or if it may not be square.
    """
    if isinstance(node.op, Diag):
        main = node.op.k == 0
    else:
        main = (node.op.offset, node.op.axis1, node.op.axis2) == (0, 0, 1)
    found = _product(fgraph, node.inputs[0]) if main else None
    if found is None:
        return None
    x, y, p = found
    w, dtype = diagonal_of(p), node.inputs[0].dtype
    if dtype == "bool" or (w is None and (p is not None or not _is_square(x, y))):
        return None
    y = y.T
    if len({tuple(n == 1 for n in v.type.shape) for v in (x, y)}) > 1:  # what is an error would broadcast
        return None
    if is_sparse(x) or is_sparse(y):
        x, y = x.astype(dtype), y.astype(dtype)
        if not is_sparse(x) or (x.format == "csc" and is_sparse(y)):
            x, y = y, x  # the product has the format of the first: csr rows are summed up as they are stored
        diagonal = sp_sum(mul(x, y), axis=1)
    elif w is None:
        return None
    else:
        diagonal = (x * y).sum(axis=1)
    if w is None or (w.type.shape[0] is not None and w.type.shape == diagonal.type.shape):
        return diagonal
    fits = check("sample: the shapes of the product and of the sparse matrix differ")
    return fits(diagonal, pt.eq(w.shape[0], diagonal.shape[0]))


def _product(fgraph, g, p=None):
    """Factors of the product of matrices of which `g` is all that is read, and the pattern at which it is sampled."""
    if not read_once(fgraph, g) or g.owner is None:
        return None
    op, inputs = g.owner.op, g.owner.inputs
    if isinstance(op, Transpose) or is_dense_transpose(g):  # it has the same diagonal
        return _product(fgraph, inputs[0], p)
    if isinstance(op, Sample) and p is None:
        return _product(fgraph, *inputs)
    if isinstance(op, SampledProduct) and p is None:
        return inputs
    if isinstance(op, StructuredDot | Dot | TrueDot) or is_dense_product(op):
        return (*inputs, p) if all(v.type.ndim == 2 for v in inputs) else None
    return None


def _is_square(x, y):
    """Whether ``x @ y`` surely is."""
    for a, b in ((x, y), (y, x)):
        if (made_by(a, Transpose) or is_dense_transpose(a)) and a.owner.inputs[0] is b:
            return True
    n, m = x.type.shape[0], y.type.shape[1]
    return n is not None and n == m


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
