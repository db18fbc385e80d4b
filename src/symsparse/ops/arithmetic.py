"""Sums, products and scalings of sparse matrices with sparse and dense operands."""

import numbers

import numpy as np
import pytensor.tensor as pt
from pytensor.scalar import upcast
from pytensor.tensor.type import TensorType

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    coordinates,
    dense_operand,
    error,
    is_sparse,
    merged_shape,
    negative,
    operand,
    pattern_keys,
    require_equal,
    sampled,
    sparse_operand,
    typed,
    wider_index,
    zero_cotangent,
)
from symsparse.ops.broadcasting import broadcast_shape, broadcast_value, sparse_summed_to, summed_to
from symsparse.ops.elementwise import neg
from symsparse.types import compressed


class _SparseSparse(SparseOp):
    """Elementwise op of two sparse matrices; the result has the format of the first."""

    __props__ = ()
    differentiable = (0, 1)
    name = ""

    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), sparse_operand(self.name, y)
        shape = merged_shape(self.name, x, y)
        type = x.type.clone(dtype=upcast(x.dtype, y.dtype), shape=shape, index_dtype=wider_index(x, y))
        return apply(self, [x, y], type)

    def infer_shape(self, node, shapes):
        return [shapes[0]]


class AddSS(_SparseSparse):
    """Sum of two sparse matrices on the union of their patterns. Gradient regular: ``g, g``."""

    name = "add"

    def perform(self, node, inputs, outputs):
        x, y = (canonical(v) for v in inputs)
        require_equal("add", "shapes", x.shape, y.shape)
        y = y.asformat(x.format)
        keys = [pattern_keys(v) for v in (x, y)]
        union = np.union1d(*keys)
        values = np.zeros(len(union), dtype=node.outputs[0].dtype)
        for key, v in zip(keys, (x, y), strict=True):
            values[np.searchsorted(union, key)] += v.data.astype(values.dtype)
        rows, cols = coordinates(union, x.shape[1])
        outputs[0][0] = typed(node, from_coordinates(x.format, values, rows, cols, x.shape))

    def cotangents(self, inputs, output, g):
        return [g, g]

    def tangent(self, inputs, output, tangents):
        tx, ty = tangents
        if tx is None or ty is None:
            other = inputs[0] if tx is None else inputs[1]
            given = ty if tx is None else tx
            return add(zero_cotangent(other), given) if tx is None else add(given, zero_cotangent(other))
        return add(tx, ty)


def from_coordinates(format, values, rows, cols, shape):
    """Compressed matrix from coordinates, each given once; explicit zeros are kept."""
    major, minor, n_major = (rows, cols, shape[0]) if format == "csr" else (cols, rows, shape[1])
    order = np.lexsort((minor, major))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(major, minlength=n_major))])
    return compressed(format, values[order], minor[order], indptr, shape)


class AddSSData(_SparseSparse):
    """Sum of two sparse matrices of one format, dtype and pattern, by adding their values.

    Patterns are checked: different ones are a ValueError. Gradient structured.
    """

    name = "add_s_s_data"

    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), sparse_operand(self.name, y)
        if (x.format, x.dtype) != (y.format, y.dtype):
            raise error(
                self.name, [x, y], "needs one format and one dtype", "Use add(x, y), which takes any."
            )
        merged_shape(self.name, x, y)
        return super().make_node(x, y)

    def perform(self, node, inputs, outputs):
        x, y = inputs
        if not (
            x.shape == y.shape and np.array_equal(x.indptr, y.indptr) and np.array_equal(x.indices, y.indices)
        ):
            raise ValueError("add_s_s_data: the operands have different patterns; use add(x, y).")
        outputs[0][0] = typed(
            node, compressed(x.format, x.data + y.data, x.indices.copy(), x.indptr.copy(), x.shape)
        )

    def cotangents(self, inputs, output, g):
        return [sampled(g, x) for x in inputs]

    def tangent(self, inputs, output, tangents):
        tx, ty = (
            zero if t is None else t for t, zero in zip(tangents, map(zeros_on_pattern, inputs), strict=True)
        )
        return add(sampled(tx, inputs[0]), sampled(ty, inputs[1]))


def zeros_on_pattern(x):
    return x.ones_like() * np.zeros((), dtype=x.dtype)


class AddSD(SparseOp):
    """Sum of a sparse matrix and a dense matrix or vector, dense. Gradient: g on x's pattern (structured), and g."""

    __props__ = ()
    differentiable = (0, 1)

    def make_node(self, x, y):
        x, y = sparse_operand("add", x), dense_operand("add", y, (1, 2))
        shape = broadcast_shape("add", x, y)
        return apply(self, [x, y], TensorType(upcast(x.dtype, y.dtype), shape))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        full = broadcast_value("add", x.shape, node.inputs[1], y)
        outputs[0][0] = np.asarray(x.toarray() + full, dtype=node.outputs[0].dtype)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        return [sampled(g, inputs[0]), summed_to(g, inputs[1])]

    def tangent(self, inputs, output, tangents):
        tx, ty = tangents
        if tx is None:
            return pt.zeros_like(output) + ty
        dense = tx.toarray() if is_sparse(tx) else tx
        return (dense if ty is None else dense + ty).astype(output.dtype)


class MulSS(_SparseSparse):
    """Elementwise product of two sparse matrices on the intersection of their patterns.

    Gradient regular: ``y * g, x * g``, which are sparse whatever g is.
    """

    name = "mul"
    multilinear = True

    def perform(self, node, inputs, outputs):
        x, y = (canonical(v) for v in inputs)
        require_equal("mul", "shapes", x.shape, y.shape)
        kx, ky = pattern_keys(x), pattern_keys(y)
        common = np.intersect1d(kx, ky)
        factors = []
        for key, v in ((kx, x), (ky, y)):
            order = np.argsort(key)
            factors.append(v.data[order][np.searchsorted(key[order], common)].astype(node.outputs[0].dtype))
        rows, cols = coordinates(common, x.shape[1])
        outputs[0][0] = typed(node, from_coordinates(x.format, factors[0] * factors[1], rows, cols, x.shape))

    def cotangents(self, inputs, output, g):
        x, y = inputs
        return [mul(y.conj(), g), mul(x.conj(), g)]


class MulSD(SparseOp):
    """Product of the stored entries of x with a dense scalar, vector or matrix; the result has x's pattern.

    Gradient: ``y * g`` and, summed over the axes along which y broadcasts, ``x * g``.
    """

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True
    name = "mul"
    ndims: tuple[int, ...] = (0, 1, 2)
    function = staticmethod(np.multiply)

    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), dense_operand(self.name, y, self.ndims)
        shape = broadcast_shape(self.name, x, y)
        return apply(self, [x, y], x.type.clone(dtype=self.result_dtype(x, y), shape=shape))

    @staticmethod
    def result_dtype(x, y):
        """Dtype of the result, from the operands."""
        return upcast(x.dtype, y.dtype)

    def perform(self, node, inputs, outputs):
        x, y = inputs
        dtype = node.outputs[0].dtype
        factor = broadcast_value(self.name, x.shape, node.inputs[1], y)[x.tocoo().coords]
        with np.errstate(all="ignore"):
            values = self.function(x.data.astype(dtype), factor.astype(dtype))
        outputs[0][0] = compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, y = inputs
        conj_y = pt.conj(y) if y.dtype.startswith("complex") else y
        return [g * conj_y, sparse_summed_to(mul(x.conj(), g), y)]


class TrueDivSD(MulSD):
    """Quotient of the stored entries of x and a dense vector or matrix; the result has x's pattern.

    Gradient: ``g / y`` and, summed over the axes along which y broadcasts, ``-x g / y^2``.
    """

    multilinear = False
    name = "true_div"
    function = staticmethod(np.true_divide)

    @staticmethod
    def result_dtype(x, y):
        return pt.true_div(pt.scalar(dtype=x.dtype), pt.scalar(dtype=y.dtype)).dtype

    def cotangents(self, inputs, output, g):
        y = inputs[1]
        conj_y = pt.conj(y) if y.dtype.startswith("complex") else y
        slope = mul(output.conj(), g)  # x g / y, on x's pattern whatever g is
        gx = self(g, conj_y) if is_sparse(g) else g / conj_y
        return [gx, -sparse_summed_to(self(slope, conj_y), y)]

    def tangent(self, inputs, output, tangents):
        # d(x / y) = dx / y - (x / y) dy / y
        y = inputs[1]
        tx, ty = tangents
        terms = []
        if tx is not None:
            terms.append(self(tx, y))
        if ty is not None:
            terms.append(-self(mul(output, ty), y))
        return sum(terms[1:], start=terms[0])


class MulSV(MulSD):
    """Product of a sparse matrix (m, n) and a dense vector (n,) along the columns. Gradient as `MulSD`."""

    name = "mul_s_v"
    ndims = (1,)


mul_s_v = MulSV()
add_s_s_data = AddSSData()


# -- dispatch ---------------------------------------------------------------------------------------------------


def pair(op, x, y):
    """Both operands made symbolic; at least one must be sparse."""
    x, y = operand(op, x), operand(op, y)
    if not (is_sparse(x) or is_sparse(y)):
        raise error(op, [x, y], "needs a sparse operand", f"Use pytensor.tensor.{op} for two dense ones.")
    return x, y


def add(x, y):
    """Sum of two matrices, at least one of them sparse; ``x + y``.

    Parameters
    ----------
    x, y : sparse matrix (m, n), or dense matrix or vector that broadcasts to it
        A dense matrix (m, n), (m, 1), (1, n), or vector (n,). Scalars are an error, except for 0: the sum
        would be dense without a dense operand. Write ``x.toarray() + s`` or ``structured_add(x, s)``.

    Returns
    -------
    sparse matrix (m, n) if both are sparse, in the format of `x`, on the union of the patterns; otherwise dense.

    Notes
    -----
    Gradient: regular ``g, g`` for two sparse matrices; with a dense operand structured for the sparse one.
    O(nnz), or O(m n) with a dense operand.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> (ss.constant(sp.csr_array([[1.0, 0.0]])) + sp.csc_array([[0.0, 2.0]])).eval().toarray()
    array([[1., 2.]])
    """
    for a, b in ((x, y), (y, x)):
        if isinstance(a, numbers.Number) and a == 0 and not isinstance(b, numbers.Number):
            return sparse_operand("add", b)
    x, y = pair("add", x, y)
    if is_sparse(x) and is_sparse(y):
        return AddSS()(x, y)
    _refuse_scalar("add", x, y)
    return AddSD()(x, y) if is_sparse(x) else AddSD()(y, x)


def _refuse_scalar(op, x, y):
    """A sparse matrix plus or minus a scalar is dense, although no operand is."""
    if (is_sparse(x) and is_sparse(y)) or 0 not in (x.type.ndim, y.type.ndim):
        return
    sign = {"add": "+", "sub": "-"}[op]
    dense = f"x.toarray() {sign} s" if is_sparse(x) else f"s {sign} x.toarray()"
    stored = {"+": "structured_add(x, s)", "-": "structured_add(x, -s)"}[sign]
    raise error(
        op,
        [x, y],
        f"a sparse matrix {sign} a scalar would be dense",
        f"Write {dense}, or {stored} for the stored entries only.",
    )


def sub(x, y):
    """Difference of two matrices, at least one of them sparse; ``x - y``. See `add`.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sub(sp.csr_array([[1.0, 0.0]]), sp.csr_array([[0.0, 2.0]])).eval().toarray()
    array([[ 1., -2.]])
    """
    if isinstance(y, numbers.Number) and y == 0:
        return sparse_operand("sub", x)
    if isinstance(x, numbers.Number) and x == 0:
        return neg(y)
    x, y = pair("sub", x, y)
    _refuse_scalar("sub", x, y)
    # Errors have the name that the user wrote.
    if is_sparse(x) and is_sparse(y):
        merged_shape("sub", x, y)
    else:
        broadcast_shape("sub", *((x, y) if is_sparse(x) else (y, x)))
    dtype = upcast(x.dtype, y.dtype)
    if dtype == "bool":
        raise error("sub", [x, y], "bool has no difference", "Cast one operand first: x.astype('int8').")
    if y.dtype != dtype:  # before the sign is turned: minus an unsigned integer wraps around
        y = y.astype(dtype)
    return add(x, neg(y) if is_sparse(y) else negative(y))


def mul(x, y):
    """Elementwise product of two matrices, at least one of them sparse; ``x * y``.

    Parameters
    ----------
    x, y : sparse matrix (m, n), or dense operand that broadcasts to it
        A dense scalar, vector (n,), or matrix (m, n), (m, 1), (1, n).

    Returns
    -------
    sparse matrix (m, n)
        Two sparse matrices: in the format of `x`, on the intersection of the patterns. A sparse and a dense one: with
        the pattern of the sparse one. Positions that are not stored stay zero, whatever the dense operand holds there.

    Notes
    -----
    Gradient: ``y * g`` and ``x * g``, summed over broadcast axes; sparse for a sparse operand unless g is dense
    and so is the other operand. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.mul(sp.csr_array([[1.0, 0.0, 3.0]]), [1.0, 2.0, 3.0]).eval().toarray()
    array([[1., 0., 9.]])
    """
    x, y = pair("mul", x, y)
    if is_sparse(x) and is_sparse(y):
        return MulSS()(x, y)
    x, y = (x, y) if is_sparse(x) else (y, x)
    return MulSD()(x, y)


subtract, multiply = sub, mul

__all__ = [
    "AddSD",
    "AddSS",
    "AddSSData",
    "MulSD",
    "MulSS",
    "MulSV",
    "TrueDivSD",
    "add",
    "add_s_s_data",
    "mul",
    "mul_s_v",
    "multiply",
    "sub",
    "subtract",
]
