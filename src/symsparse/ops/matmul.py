"""Matrix products: regular, structured, sparse, sampled, and added to a dense matrix."""

import numpy as np
import pytensor.tensor as pt
from pytensor.scalar import upcast
from pytensor.tensor.type import TensorType

from symsparse.ops.base import (
    SparseOp,
    apply,
    conjugate,
    dense_operand,
    error,
    is_sparse,
    lookup,
    operand,
    sampled,
    sparse_operand,
    typed,
    wider_index,
)
from symsparse.ops.broadcasting import is_stack, stacked_product
from symsparse.ops.conversion import SparseFromDense
from symsparse.ops.layout import transpose
from symsparse.ops.sampling import sampling_dot
from symsparse.ops.values import sp_ones_like
from symsparse.types import SparseTensorType, compressed


def _product_shape(op, x, y):
    """Static shape of x @ y, checked where it is known."""
    xs, ys = x.type.shape, y.type.shape
    inner = xs[-1], ys[0]
    if None not in inner and inner[0] != inner[1]:
        raise error(
            op,
            [x, y],
            f"the inner sizes {inner[0]} and {inner[1]} differ",
            "The columns of the first must be as many as the rows of the second.",
            ValueError,
        )
    return (*xs[:-1], *ys[1:])


def _check_product(op, x, y):
    if x.shape[-1] != y.shape[0]:
        raise ValueError(f"{op}: the inner sizes differ: shapes {tuple(x.shape)} and {tuple(y.shape)}.")


def _product_value(x, y, dtype):
    """Reference product; operands are cast first, so that the declared dtype is the computed one.

    SciPy drops entries of a sparse product that come out as zero. The pattern of a product is that of its operands
    here, whatever they hold: a gradient needs those entries.
    """
    product = x.astype(dtype) @ y.astype(dtype)
    if isinstance(product, np.ndarray):
        return product
    pattern = (_count_pattern(x) @ _count_pattern(y)).asformat(x.format)
    pattern.sort_indices()
    return compressed(x.format, lookup(product, pattern), pattern.indices, pattern.indptr, pattern.shape)


def _count_pattern(x):
    return compressed(x.format, np.ones(len(x.data)), x.indices, x.indptr, x.shape)


def _dense_product(g, y):
    """Regular cotangent ``g @ y.T`` of x in ``x @ y``, for dense operands of any rank."""
    g = g if g.type.ndim == 2 else g[:, None]
    y = y if y.type.ndim == 2 else y[:, None]
    return pt.dot(g, y.T)


class Dot(SparseOp):
    """Product with a dense result. Gradient regular: ``g @ y.T``, ``x.T @ g``, both dense."""

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True

    def make_node(self, x, y):
        x, y = operand("dot", x), operand("dot", y)
        if not (is_sparse(x) or is_sparse(y)):
            raise error(
                "dot", [x, y], "needs a sparse operand", "Use pytensor.tensor.dot for two dense ones."
            )
        for v in (x, y):
            if not is_sparse(v):
                dense_operand("dot", v, (1, 2))
        return apply(self, [x, y], TensorType(upcast(x.dtype, y.dtype), _product_shape("dot", x, y)))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        _check_product("dot", x, y)
        product = _product_value(x, y, node.outputs[0].dtype)
        outputs[0][0] = np.asarray(product if isinstance(product, np.ndarray) else product.toarray())

    def infer_shape(self, node, shapes):
        return [(*shapes[0][:-1], *shapes[1][1:])]

    def cotangents(self, inputs, output, g):
        x, y = (conjugate(v) for v in inputs)
        # <g, dx @ y> = <g @ y.T, dx>  and  <g, x @ dy> = <x.T @ g, dy>
        if is_sparse(x) and is_sparse(y):
            return [dot(g, y.T), dot(x.T, g)]
        if is_sparse(x):
            return [_dense_product(g, y), dot(x.T, g)]
        gy = _dense_product(x, g) if x.type.ndim == 1 else pt.dot(x.T, g)
        return [dot(g, y.T), gy]


class StructuredDot(SparseOp):
    """Product of a sparse matrix with a sparse one (sparse result) or a dense one (dense result).

    Gradient structured: for x ``g @ y.T`` at x's stored entries, for y ``x.T @ g`` (at y's entries if y is sparse).
    """

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True

    def make_node(self, a, b):
        x, y = sparse_operand("structured_dot", a), operand("structured_dot", b)
        dtype = upcast(x.dtype, y.dtype)
        if is_sparse(y):
            shape = _product_shape("structured_dot", x, y)
            return apply(
                self, [x, y], SparseTensorType(x.format, dtype, shape, index_dtype=wider_index(x, y))
            )
        dense_operand("structured_dot", y, (1, 2))
        return apply(self, [x, y], TensorType(dtype, _product_shape("structured_dot", x, y)))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        _check_product("structured_dot", x, y)
        product = _product_value(x, y, node.outputs[0].dtype)
        if is_sparse(node.outputs[0]):
            product = typed(node, product)
        outputs[0][0] = product

    def infer_shape(self, node, shapes):
        return [(shapes[0][0], *shapes[1][1:])]

    def cotangents(self, inputs, output, g):
        x, y = inputs
        cx, cy = conjugate(x), conjugate(y)
        if not is_sparse(y):
            g_columns, y_columns = (v if v.type.ndim == 2 else v[:, None] for v in (g, cy))
            return [sampling_dot(g_columns, y_columns, sp_ones_like(x, "bool")), structured_dot(cx.T, g)]
        # x_ik enters out_ij through y_kj: where x_ik and y_kj are stored, out_ij is, so sampling g loses nothing.
        g = sampled(g, output)
        return [sampled(structured_dot(g, cy.T), x), sampled(structured_dot(cx.T, g), y)]


class TrueDot(SparseOp):
    """Product stored sparsely, whatever the operands. Gradient regular: ``g @ y.T``, ``x.T @ g``, sparse.

    Parameters
    ----------
    grad_preserves_dense : bool
        Give a dense operand a dense cotangent.
    """

    __props__ = ("grad_preserves_dense",)
    differentiable = (0, 1)
    multilinear = True

    def __init__(self, grad_preserves_dense=True):
        self.grad_preserves_dense = bool(grad_preserves_dense)

    def make_node(self, x, y):
        x, y = sparse_operand("true_dot", x), operand("true_dot", y)
        if not is_sparse(y):
            dense_operand("true_dot", y, (2,))
        shape = _product_shape("true_dot", x, y)
        index_dtype = wider_index(x, y) if is_sparse(y) else x.type.index_dtype
        return apply(
            self, [x, y], SparseTensorType(x.format, upcast(x.dtype, y.dtype), shape, index_dtype=index_dtype)
        )

    def perform(self, node, inputs, outputs):
        x, y = inputs
        _check_product("true_dot", x, y)
        product = _product_value(x, y, node.outputs[0].dtype)
        if isinstance(product, np.ndarray):
            product = type(x)(product)
        outputs[0][0] = typed(node, product)

    def infer_shape(self, node, shapes):
        return [(shapes[0][0], shapes[1][1])]

    def cotangents(self, inputs, output, g):
        x, y = inputs
        cx, cy = conjugate(x), conjugate(y)
        if is_sparse(g):
            gx, gy = true_dot(g, cy.T), true_dot(cx.T, g)
        else:
            gx = SparseFromDense(x.format)(_dense_product(g, cy) if not is_sparse(y) else dot(g, cy.T))
            gy = dot(cx.T, g)
            gy = SparseFromDense(y.format)(gy) if is_sparse(y) else gy
        if not is_sparse(y):
            if self.grad_preserves_dense:
                gy = gy.toarray(structured=False) if is_sparse(gy) else gy
            elif not is_sparse(gy):
                gy = SparseFromDense(x.format)(gy)
        return [gx, gy]


class Usmm(SparseOp):
    """``alpha * x @ y + z``, dense. Gradient: structured for a sparse x or y.

    ``galpha = sum(g * (x @ y))``, ``gx = alpha * g @ y.T`` and ``gy = alpha * x.T @ g`` at the stored entries of a
    sparse operand, ``gz = g``.
    """

    __props__ = ()
    differentiable = (0, 1, 2, 3)

    def make_node(self, alpha, x, y, z):
        name = "usmm"
        alpha, x, y = operand(name, alpha), operand(name, x), operand(name, y)
        for v in (x, y):
            if not is_sparse(v):
                dense_operand(name, v, (1, 2))
        z = dense_operand(name, z, (1, 2))
        if is_sparse(alpha) or any(n != 1 for n in alpha.type.shape):
            raise error(
                name,
                [alpha],
                "alpha must be a scalar, or have size 1 in every (static) dimension",
                "Write alpha[0], or scale x or y first.",
            )
        if not (is_sparse(x) or is_sparse(y)):
            raise error(name, [x, y], "needs a sparse factor", "Use pytensor.tensor.dot for two dense ones.")
        shape = _product_shape(name, x, y)
        if len(shape) != z.type.ndim:
            raise error(
                name, [x, y, z], "the product and z differ in rank", "z must have the shape of x @ y."
            )
        dtype = upcast(alpha.dtype, x.dtype, y.dtype, z.dtype)
        product = TensorType(dtype, shape)()
        merged = tuple(
            a if a is not None else b
            for a, b in zip(shape, z.type.shape, strict=True)
            if _agree(name, product, z, a, b)
        )
        return apply(self, [alpha, x, y, z], TensorType(dtype, merged))

    def perform(self, node, inputs, outputs):
        alpha, x, y, z = inputs
        dtype = node.outputs[0].dtype
        _check_product("usmm", x, y)
        product = _product_value(x, y, dtype)
        product = product if isinstance(product, np.ndarray) else product.toarray()
        if product.shape != z.shape:
            raise ValueError(f"usmm: the product has shape {product.shape}, z has {z.shape}.")
        outputs[0][0] = np.asarray(np.asarray(alpha, dtype).item() * product + z, dtype=dtype)

    def infer_shape(self, node, shapes):
        return [shapes[3]]

    def cotangents(self, inputs, output, g):
        alpha, x, y, _ = inputs
        scalar = conjugate(alpha.reshape(())) if alpha.type.ndim else conjugate(alpha)
        product = _structured_product(x, y)
        galpha = (g * conjugate(product)).sum().reshape(alpha.shape if alpha.type.ndim else ())
        op = product.owner.op if not is_sparse(x) or not is_sparse(y) else None
        if op is None:  # sparse @ sparse, dense result
            cx, cy = conjugate(x), conjugate(y)
            gx, gy = sampled(dot(scalar * g, cy.T), x), sampled(dot(cx.T, scalar * g), y)
        elif is_sparse(x):
            gx, gy = StructuredDot().cotangents([x, y], product, scalar * g)
        else:
            gy, gx = (_transposed(v) for v in StructuredDot().cotangents([y.T, x.T], product, (scalar * g).T))
        return [galpha, gx, gy, g]

    def tangent(self, inputs, output, tangents):
        alpha, x, y, z = inputs
        terms = []
        zero = pt.zeros_like(z)
        for i, t in enumerate(tangents[:3]):
            if t is not None:
                moved = [alpha, x, y]
                moved[i] = t
                terms.append(usmm(*moved, zero))
        if tangents[3] is not None:
            terms.append(tangents[3])
        return sum(terms[1:], start=terms[0])


def _agree(op, product, z, a, b):
    if None not in (a, b) and a != b:
        raise error(
            op,
            [product, z],
            "the product and z differ in shape",
            "z must have the shape of x @ y.",
            ValueError,
        )
    return True


def _transposed(v):
    return transpose(v) if is_sparse(v) else v.T


def _structured_product(x, y):
    product = structured_dot(x, y)
    return product.toarray() if is_sparse(product) else product


usmm = Usmm()


def dot(x, y):
    """Matrix product with a dense result and a regular gradient.

    Parameters
    ----------
    x, y : sparse matrix, dense matrix or dense vector; at least one sparse
        A dense operand with more dimensions is a stack of matrices, as in `numpy.matmul`.

    Returns
    -------
    dense matrix, vector or stack of matrices
        dtype of both upcast.

    Notes
    -----
    Gradient: regular, ``gx = g @ y.T``, ``gy = x.T @ g``: dense, of the size of x even if x is sparse. It stays
    symbolic until somebody reads it densely: sampled on a sparse pattern it costs what `sampling_dot` costs. Use
    ``x @ y`` (`structured_dot`) for a gradient with x's pattern. O(nnz k) for k columns.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.dot(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]), [3.0, 4.0]).eval()
    array([3., 8.])
    """
    x, y = operand("dot", x, np.inf), operand("dot", y, np.inf)
    return stacked_product(dot, x, y) if is_stack(x, y) else Dot()(x, y)


def structured_dot(x, y):
    """Matrix product with a structured gradient; ``x @ y``, ``x.dot(y)``, ``pytensor.tensor.dot(x, y)``.

    Parameters
    ----------
    x, y : sparse matrix, dense matrix or dense vector; at least one sparse
        A dense operand with more dimensions is a stack of matrices, as in `numpy.matmul`.

    Returns
    -------
    sparse matrix in the format of `x` (canonical) if both are sparse, otherwise dense

    Notes
    -----
    Gradient: structured; a sparse operand gets a sparse cotangent on its own pattern,
    ``gx = (g @ y.T)`` at the stored entries of x, and a dense one gets ``x.T @ g``. O(nnz k) both ways.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.structured_dot(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]), [3.0, 4.0]).eval()
    array([3., 8.])
    """
    x, y = operand("structured_dot", x, np.inf), operand("structured_dot", y, np.inf)
    if is_stack(x, y):
        return stacked_product(structured_dot, x, y)
    if 0 in (x.type.ndim, y.type.ndim):
        raise error("structured_dot", [x, y], "a scalar has no matrix product", "Write x * s.")
    if is_sparse(x):
        return StructuredDot()(x, y)
    if not is_sparse(y):
        raise error(
            "structured_dot", [x, y], "needs a sparse operand", "Use pytensor.tensor.dot for two dense ones."
        )
    dense_operand("structured_dot", x, (1, 2))
    _product_shape("structured_dot", x, y)
    product = StructuredDot()(transpose(y), x.T)
    return product.T if x.type.ndim == 2 else product


def true_dot(x, y, grad_preserves_dense=True):
    """Matrix product stored sparsely, with a regular gradient.

    Parameters
    ----------
    x, y : sparse matrix or dense matrix; at least one sparse
        A product with a dense matrix is full, and stored so.
    grad_preserves_dense : bool
        Give a dense operand a dense cotangent; otherwise a sparse one.

    Returns
    -------
    sparse matrix in the format of the sparse operand (of `x` if both are)

    Notes
    -----
    Gradient: regular, ``g @ y.T`` and ``x.T @ g``, stored sparsely for sparse operands.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.true_dot(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]), [[3.0], [4.0]]).eval().toarray()
    array([[3.],
           [8.]])
    """
    x, y = operand("true_dot", x), operand("true_dot", y)
    op = TrueDot(grad_preserves_dense)
    if is_sparse(x):
        return op(x, y)
    if not is_sparse(y):
        raise error(
            "true_dot", [x, y], "needs a sparse operand", "Use pytensor.tensor.dot for two dense ones."
        )
    dense_operand("true_dot", x, (2,))
    return transpose(op(transpose(y), x.T))


__all__ = [
    "Dot",
    "StructuredDot",
    "TrueDot",
    "Usmm",
    "dot",
    "structured_dot",
    "true_dot",
    "usmm",
]
