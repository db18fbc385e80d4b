"""Lowering of matrix products."""

import pytensor.tensor as pt

from symsparse.backends.c import CKernel, integer
from symsparse.lowering.base import KernelOp, Parts, known, lowers, n_slices, same_index_dtype, times, vector
from symsparse.lowering.conversion import compress, densify
from symsparse.lowering.layout import to_format
from symsparse.ops.csm import shape_vector
from symsparse.ops.matmul import (
    Dot,
    StructuredDot,
    TrueDot,
    Usmm,
)


class CompressedDot(KernelOp, CKernel):
    """(values, indices, indptr, x, n_minor) -> product with a dense vector or matrix.

    ``gather`` sums over the minor axis (csr @ x), otherwise over the major axis (csc @ x).
    """

    __props__ = ("gather",)
    c_function = c_name = "dot"

    def __init__(self, gather):
        self.gather = gather

    def kernel_name(self, node):
        kind = "gather" if self.gather else "scatter"
        return f"matmul.{kind}_{'vector' if node.inputs[3].type.ndim == 1 else 'matrix'}"

    def outputs(self, values, indices, indptr, x, n_minor):
        n = n_slices(indptr) if self.gather else known(n_minor)
        return [(values.dtype, (n, *x.type.shape[1:]))]

    def infer_shape(self, node, shapes):
        n = shapes[2][0] - 1 if self.gather else node.inputs[4]
        return [(n, *shapes[3][1:])]

    def flops(self, node, shape):
        values, _, _, x, _ = node.inputs
        return times(2, *shape(values), *shape(x)[1:])

    def c_arguments(self, node, inputs):
        values, indices, indptr, x, n_minor = inputs
        gather = "true" if self.gather else "false"
        return indices, indptr, integer(node.inputs[4], n_minor), values, x, gather


class CompressedUsmm(KernelOp):
    """(alpha, values, indices, indptr, x, z, n_minor) -> ``alpha * product + z``; ``inplace`` adds to z itself."""

    __props__ = ("gather", "inplace")
    name = "usmm"

    def __init__(self, gather, inplace=False):
        self.gather, self.inplace = gather, inplace
        if inplace:
            self.destroy_map = {0: [5]}

    def kernel_name(self, node):
        kind = "gather" if self.gather else "scatter"
        return f"matmul.usmm_{kind}_{'vector' if node.inputs[4].type.ndim == 1 else 'matrix'}"

    def make_node(self, *inputs):
        return super().make_node(*inputs[:7], pt.constant(self.inplace))

    def outputs(self, alpha, values, indices, indptr, x, z, n_minor, inplace):
        return [(values.dtype, z.type.shape)]

    def infer_shape(self, node, shapes):
        return [shapes[5]]

    def flops(self, node, shape):
        values, x = node.inputs[1], node.inputs[4]
        return times(2, *shape(values), *shape(x)[1:])


class ProductPattern(KernelOp):
    """Patterns of a and b by rows -> canonical pattern of their product."""

    kernel = "spgemm.product_pattern"
    symbolic = True
    canonical = True

    def outputs(self, a_indices, a_indptr, b_indices, b_indptr, n_inner, n_minor):
        return [vector(a_indices), (a_indptr.dtype, a_indptr.type.shape)]


class Product(KernelOp):
    """Values and patterns of a and b by rows -> values and canonical pattern of their product, in one pass."""

    kernel = "spgemm.product"

    def outputs(self, a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, n_inner, n_minor):
        return [vector(a_values), vector(a_indices), (a_indptr.dtype, a_indptr.type.shape)]


class ProductValues(KernelOp):
    kernel = "spgemm.product_values"

    def outputs(self, a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, indices, indptr, n_minor):
        return [vector(a_values, indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[6]]

    def flops(self, node, shape):
        # A guess: each entry of a meets a row of b that is as long as the average.
        (n_a,), (n_b,), (n_indptr,) = (shape(node.inputs[i]) for i in (0, 3, 5))
        pairs = times(n_a, n_b)
        return None if pairs is None or n_indptr is None else 2 * pairs // max(1, n_indptr - 1)


def sparse_dense(x: Parts, y, dtype):
    """``x @ y`` for a dense vector or matrix."""
    if dtype == "bool":
        return pt.neq(sparse_dense(x, y, "int64"), 0)
    x, y = x.cast(dtype), pt.cast(y, dtype)
    return CompressedDot(x.format == "csr")(x.values, *x.pattern, y, x.n_minor)


def dense_sparse(x, y: Parts, dtype):
    """``x @ y`` for a dense vector or matrix x."""
    product = sparse_dense(y.transposed(), x.T, dtype)
    return product.T if x.type.ndim == 2 else product


def sparse_sparse(x: Parts, y: Parts, dtype) -> Parts:
    """``x @ y`` in the format of `x`, canonical."""
    if dtype == "bool":
        counts = sparse_sparse(x, y, "int64")
        return counts.with_values(pt.neq(counts.values, 0))
    if x.format == "csc":  # (x y).T = y.T x.T, and csc is the transposed csr
        return sparse_sparse(to_format(y, "csc").transposed(), x.transposed(), dtype).transposed()
    x, y = same_index_dtype(x.cast(dtype), to_format(y, "csr").cast(dtype))
    indices, indptr = ProductPattern()(*x.pattern, *y.pattern, x.n_minor, y.n_minor)
    values = ProductValues()(x.values, *x.pattern, y.values, *y.pattern, indices, indptr, y.n_minor)
    return Parts("csr", values, indices, indptr, shape_vector(x.sizes[0], y.sizes[1]))


def product(x, y, dtype):
    """``x @ y``: Parts for two sparse operands, otherwise dense."""
    if isinstance(x, Parts) and isinstance(y, Parts):
        return sparse_sparse(x, y, dtype)
    return sparse_dense(x, y, dtype) if isinstance(x, Parts) else dense_sparse(x, y, dtype)


@lowers(StructuredDot)
def lower_structured_dot(node, x, y):
    return product(x, y, node.outputs[0].dtype)


@lowers(Dot)
def lower_dot(node, x, y):
    result = product(x, y, node.outputs[0].dtype)
    return densify(result) if isinstance(result, Parts) else result


@lowers(TrueDot)
def lower_true_dot(node, x, y):
    type = node.outputs[0].type
    result = product(x, y, type.dtype)
    return result if isinstance(result, Parts) else compress(result, type.format, type.index_dtype)


@lowers(Usmm)
def lower_usmm(node, alpha, x, y, z):
    dtype = node.outputs[0].dtype
    result = product(x, y, dtype)
    result = densify(result) if isinstance(result, Parts) else result
    alpha = alpha.reshape(()) if alpha.type.ndim else alpha
    return alpha.astype(dtype) * result + z.astype(dtype)
