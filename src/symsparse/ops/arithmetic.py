"""Sums, products and scalings of sparse matrices with sparse and dense operands."""

import numbers

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor.type import TensorType

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    is_sparse,
    merged_shape,
    operand,
    pattern_keys,
    require_equal,
    sampled,
    sparse_operand,
    typed,
    upcast,
    wider_index,
    zero_cotangent,
)
from symsparse.ops.elementwise import StructuredElemwise, neg, structured_pow
from symsparse.ops.reduction import sp_sum
from symsparse.types import compressed


def _broadcast_shape(op, x, y):
    """Static shape of x (a matrix) elementwise y (0-D, 1-D or 2-D, sizes 1 broadcast); x's axes never do."""
    own = x.type.shape
    for axis, size in zip(range(-y.type.ndim, 0), y.type.shape, strict=True):
        if size not in (None, 1) and own[axis] not in (None, size):
            raise error(
                op,
                [x, y],
                "shapes do not fit",
                "The dense operand may have size 1 where it broadcasts.",
                ValueError,
            )
    if y.type.ndim == 2:
        return tuple(
            a if a is not None else (b if b != 1 else None) for a, b in zip(own, y.type.shape, strict=True)
        )
    return own


def _broadcast_value(op, x_shape, node_y, y):
    """`y` broadcast to the matrix's shape; only sizes that are 1 in the graph broadcast."""
    for axis, static in zip(range(-y.ndim, 0), node_y.type.shape, strict=True):
        if static != 1 and y.shape[axis] != x_shape[axis]:
            raise ValueError(f"{op}: shapes do not fit: {tuple(x_shape)} and {y.shape}.")
    return np.broadcast_to(y, x_shape)


def _summed_to(g, y):
    """The dense cotangent `g` of a matrix summed over the axes along which `y` was broadcast."""
    if y.type.ndim == 0:
        return g.sum()
    if y.type.ndim == 1:
        return g.sum(0, keepdims=True)[0] if y.type.shape[0] != 1 else g.sum()[None]
    for axis, size in enumerate(y.type.shape):
        if size == 1:
            g = g.sum(axis, keepdims=True)
    return g


def _sparse_summed_to(g, y):
    """The sparse cotangent `g` of a matrix as a dense cotangent of `y`, summed where `y` was broadcast."""
    if y.type.ndim == 0:
        return sp_sum(g, sparse_grad=True)
    if y.type.ndim == 1:
        return (
            sp_sum(g, axis=0, sparse_grad=True) if y.type.shape[0] != 1 else sp_sum(g, sparse_grad=True)[None]
        )
    if y.type.shape == (1, 1):
        return sp_sum(g, sparse_grad=True)[None, None]
    if y.type.shape[0] == 1:
        return sp_sum(g, axis=0, sparse_grad=True)[None, :]
    if y.type.shape[1] == 1:
        return sp_sum(g, axis=1, sparse_grad=True)[:, None]
    return g.toarray(structured=False)


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
        rows, cols = np.divmod(union, max(x.shape[1], 1))
        outputs[0][0] = typed(node, _from_coo(x.format, values, rows, cols, x.shape))

    def cotangents(self, inputs, output, g):
        return [g, g]

    def tangent(self, inputs, output, tangents):
        tx, ty = tangents
        if tx is None or ty is None:
            other = inputs[0] if tx is None else inputs[1]
            given = ty if tx is None else tx
            return add(zero_cotangent(other), given) if tx is None else add(given, zero_cotangent(other))
        return add(tx, ty)


def _from_coo(format, values, rows, cols, shape):
    """Compressed matrix from sorted-by-row coordinates, explicit zeros kept."""
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
            zero if t is None else t for t, zero in zip(tangents, map(_zeros_on_pattern, inputs), strict=True)
        )
        return add(sampled(tx, inputs[0]), sampled(ty, inputs[1]))


def _zeros_on_pattern(x):
    return x.ones_like() * np.zeros((), dtype=x.dtype)


class AddSD(SparseOp):
    """Sum of a sparse matrix and a dense matrix or vector, dense. Gradient: g on x's pattern (structured), and g."""

    __props__ = ()
    differentiable = (0, 1)

    def make_node(self, x, y):
        x, y = sparse_operand("add", x), dense_operand("add", y, (1, 2))
        shape = _broadcast_shape("add", x, y)
        return apply(self, [x, y], TensorType(upcast(x.dtype, y.dtype), shape))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        full = _broadcast_value("add", x.shape, node.inputs[1], y)
        outputs[0][0] = np.asarray(x.toarray() + full, dtype=node.outputs[0].dtype)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        return [sampled(g, inputs[0]), _summed_to(g, inputs[1])]

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
        rows, cols = np.divmod(common, max(x.shape[1], 1))
        outputs[0][0] = typed(node, _from_coo(x.format, factors[0] * factors[1], rows, cols, x.shape))

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

    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), dense_operand(self.name, y, self.ndims)
        shape = _broadcast_shape(self.name, x, y)
        return apply(self, [x, y], x.type.clone(dtype=upcast(x.dtype, y.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        dtype = node.outputs[0].dtype
        factor = _broadcast_value(self.name, x.shape, node.inputs[1], y)[x.tocoo().coords]
        with np.errstate(all="ignore"):
            values = x.data.astype(dtype) * factor.astype(dtype)
        outputs[0][0] = compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, y = inputs
        conj_y = pt.conj(y) if y.dtype.startswith("complex") else y
        return [g * conj_y, _sparse_summed_to(mul(x.conj(), g), y)]


class MulSV(MulSD):
    """Product of a sparse matrix (m, n) and a dense vector (n,) along the columns. Gradient as `MulSD`."""

    name = "mul_s_v"
    ndims = (1,)


class ColScaleCSC(SparseOp):
    """``x_ij * s_j``; csr too. Gradient structured: ``g * s``, ``sum_i x_ij g_ij``."""

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True
    name, axis = "col_scale", 1

    def make_node(self, x, s):
        x, s = sparse_operand(self.name, x), dense_operand(self.name, s, (1,))
        n, k = x.type.shape[self.axis], s.type.shape[0]
        if None not in (n, k) and n != k:
            what = "column" if self.axis else "row"
            raise error(self.name, [x, s], f"the vector needs one element per {what}", kind=ValueError)
        shape = tuple(k if i == self.axis and n is None else n for i, n in enumerate(x.type.shape))
        return apply(self, [x, s], x.type.clone(dtype=upcast(x.dtype, s.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, s = inputs
        require_equal(self.name, "sizes of the axis and of the vector", x.shape[self.axis], len(s))
        dtype = node.outputs[0].dtype
        values = x.data.astype(dtype) * s.astype(dtype)[x.tocoo().coords[self.axis]]
        outputs[0][0] = compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, s = inputs
        g = sampled(g, x)
        conj_s = pt.conj(s) if s.dtype.startswith("complex") else s
        return [type(self)()(g, conj_s), sp_sum(mul(x.conj(), g), axis=1 - self.axis, sparse_grad=True)]


class RowScaleCSC(ColScaleCSC):
    """``x_ij * s_i``; csr too. Gradient structured: ``g * s``, ``sum_j x_ij g_ij``."""

    name, axis = "row_scale", 0


class StructuredAddSV(SparseOp):
    """``x_ij + v_j`` at the stored entries of x. Gradient structured: ``g``, ``sum_i g_ij``."""

    __props__ = ()
    differentiable = (0, 1)

    def make_node(self, x, y):
        x, v = sparse_operand("structured_add_s_v", x), dense_operand("structured_add_s_v", y, (1,))
        shape = _broadcast_shape("structured_add_s_v", x, v)
        return apply(self, [x, v], x.type.clone(dtype=upcast(x.dtype, v.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, v = canonical(inputs[0]), inputs[1]
        dtype = node.outputs[0].dtype
        added = _broadcast_value("structured_add_s_v", x.shape, node.inputs[1], v)[x.tocoo().coords]
        values = x.data.astype(dtype) + added.astype(dtype)
        outputs[0][0] = typed(node, compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape))

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, v = inputs
        g = sampled(g, x)
        return [g, _sparse_summed_to(g, v)]

    def tangent(self, inputs, output, tangents):
        x = inputs[0]
        tx = _zeros_on_pattern(x) if tangents[0] is None else sampled(tangents[0], x)
        return tx if tangents[1] is None else structured_add_s_v(tx, tangents[1])


structured_add_s_v = StructuredAddSV()
mul_s_v = MulSV()
add_s_s_data = AddSSData()


# -- dispatch ---------------------------------------------------------------------------------------------------


def _pair(op, x, y):
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
    x, y = _pair("add", x, y)
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
    x, y = _pair("sub", x, y)
    _refuse_scalar("sub", x, y)
    return add(x, neg(y) if is_sparse(y) else -y)


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
    x, y = _pair("mul", x, y)
    if is_sparse(x) and is_sparse(y):
        return MulSS()(x, y)
    x, y = (x, y) if is_sparse(x) else (y, x)
    return MulSD()(x, y)


def true_div(x, y):
    """Quotient of a sparse matrix and a dense scalar, vector or matrix, at the stored entries; ``x / y``.

    Notes
    -----
    Positions that are not stored stay zero, even where `y` is zero. Gradient as `mul`.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.true_div(sp.csr_array([[1.0, 0.0]]), 2).eval().toarray()
    array([[0.5, 0. ]])
    """
    x, y = _pair("true_div", x, y)
    if not is_sparse(x) or is_sparse(y):
        raise error(
            "true_div",
            [x, y],
            "dividing by a sparse matrix divides by its zeros",
            "Write x / y.toarray(), or mul(x, structured_pow(y, -1)) for the stored entries only.",
        )
    if y.type.ndim == 0:
        return StructuredElemwise(ps.true_div)(x, y)
    return mul(x, pt.true_div(np.ones((), dtype=y.dtype), y))


def _zero_preserving(name, scalar_op, x, y, instead):
    """``f(x, s)`` at the stored entries, for a scalar s with f(0, s) = 0."""
    x, y = _pair(name, x, y)
    if not is_sparse(x) or is_sparse(y) or y.type.ndim != 0:
        raise error(name, [x, y], "takes a sparse matrix and a scalar", instead)
    if not isinstance(y, Constant):
        raise error(name, [x, y], "cannot know whether zeros stay zero with a symbolic scalar", instead)
    function = getattr(np, scalar_op.nfunc_spec[0])
    with np.errstate(all="ignore"):
        at_zero = function(np.zeros((), dtype=x.dtype), y.data)
    if not at_zero == 0:
        raise error(name, [x, y], f"the result would be dense, since it is {at_zero} where x is 0", instead)
    return StructuredElemwise(scalar_op)(x, y)


def power(x, y):
    """``x ** s`` for a constant scalar s > 0; see `structured_pow` for the stored entries and any s."""
    base, exponent = _pair("power", x, y)
    if (
        is_sparse(base)
        and isinstance(exponent, Constant)
        and not is_sparse(exponent)
        and exponent.type.ndim == 0
    ):
        if exponent.data.dtype.kind != "c" and exponent.data > 0:
            return structured_pow(base, exponent)
    instead = "Write structured_pow(x, s) for the stored entries, or x.toarray() ** s."
    if is_sparse(exponent):
        instead = "Write s ** x.toarray()." if not is_sparse(base) else "Write x.toarray() ** y.toarray()."
    raise error(
        "power", [base, exponent], "only a sparse matrix to a constant power > 0 stays sparse", instead
    )


def floor_div(x, y):
    """``x // s`` for a constant scalar s."""
    instead = "Write structured_monoid(pytensor.tensor.int_div)(x, s), or x.toarray() // s."
    return _zero_preserving("floor_divide", ps.int_div, x, y, instead)


def mod(x, y):
    """``x % s`` for a constant scalar s."""
    instead = "Write structured_monoid(pytensor.tensor.mod)(x, s), or x.toarray() % s."
    return _zero_preserving("mod", ps.mod, x, y, instead)


def col_scale(x, s):
    """Columns of a sparse matrix times the elements of a vector, ``x_ij * s_j``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    s : dense vector (n,)

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`, dtype of both upcast.

    Notes
    -----
    Gradient: structured, ``g * s`` on x's pattern and ``gs_j = sum_i x_ij g_ij``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.col_scale(sp.csc_array([[1.0, 1.0]]), [2.0, 3.0]).eval().toarray()
    array([[2., 3.]])
    """
    return ColScaleCSC()(x, s)


def row_scale(x, s):
    """Rows of a sparse matrix times the elements of a vector, ``x_ij * s_i``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    s : dense vector (m,)

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`, dtype of both upcast.

    Notes
    -----
    Gradient: structured, ``g * s`` on x's pattern and ``gs_i = sum_j x_ij g_ij``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.row_scale(sp.csr_array([[1.0, 1.0], [0.0, 1.0]]), [2.0, 3.0]).eval().toarray()
    array([[2., 2.],
           [0., 3.]])
    """
    return RowScaleCSC()(x, s)


subtract, multiply = sub, mul

__all__ = [
    "AddSD",
    "AddSS",
    "AddSSData",
    "ColScaleCSC",
    "MulSD",
    "MulSS",
    "MulSV",
    "RowScaleCSC",
    "StructuredAddSV",
    "add",
    "add_s_s_data",
    "col_scale",
    "floor_div",
    "mod",
    "mul",
    "mul_s_v",
    "multiply",
    "power",
    "row_scale",
    "structured_add_s_v",
    "sub",
    "subtract",
    "true_div",
]
