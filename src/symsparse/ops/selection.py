"""Selecting: the larger or smaller of two entries, entries by a condition, rows with a row-sparse gradient."""

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.subtensor import AdvancedSubtensor
from pytensor.tensor.type import TensorType

from symsparse.ops.arithmetic import _SparseSparse, add, pair
from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    is_sparse,
    lookup,
    merged_shape,
    negated,
    operand,
    require_equal,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.broadcasting import broadcast_shape
from symsparse.ops.conversion import construct_sparse_from_list
from symsparse.ops.csm import replaced_values
from symsparse.ops.elementwise import StructuredElemwise
from symsparse.ops.indexing import get_item_list
from symsparse.types import complex_dtypes, compressed, integer_dtypes, uint_dtypes

_NUMBERS = int | float | complex | np.number | np.bool

# -- maximum and minimum ----------------------------------------------------------------------------------------


class _ExtremeSS(_SparseSparse):
    """Elementwise extreme of two sparse matrices on the union of their patterns; what is not stored is zero.

    Gradient structured: at each stored entry of x where x is chosen, ties included, and of y where y is.
    """

    scalar_op: ps.ScalarOp

    def make_node(self, x, y):
        node = super().make_node(x, y)
        if node.outputs[0].dtype in complex_dtypes:
            raise error(self.name, node.inputs, "complex numbers have no order")
        return node

    def perform(self, node, inputs, outputs):
        x, y = (canonical(v) for v in inputs)
        require_equal(self.name, "shapes", x.shape, y.shape)
        a, b = (compressed(v.format, np.ones(v.nnz), v.indices, v.indptr, v.shape) for v in (x, y))
        union = canonical((a + b).asformat(x.format))
        dtype = node.outputs[0].dtype
        values = getattr(np, self.name)(*(lookup(v, union).astype(dtype) for v in (x, y)))
        outputs[0][0] = typed(node, compressed(x.format, values, union.indices, union.indptr, x.shape))

    def _chosen(self, inputs, output):
        """Whether x is chosen at each entry of x's canonical pattern, and whether y is at those of y's."""
        x, y = (v.astype(output.dtype) for v in inputs)
        x_first = self._is_first(sampled(x, x).values, sampled(y, x).values)
        y_last = negated(self._is_first(sampled(x, y).values, sampled(y, y).values))
        return x_first, y_last

    def _is_first(self, x, y):
        return (pt.ge if self.scalar_op == ps.maximum else pt.le)(x, y) | pt.isnan(x)

    def cotangents(self, inputs, output, g):
        # out = x where chosen, else y: each operand gets g where it is the one, on its own pattern.
        return [_masked(c, sampled(g, v)) for c, v in zip(self._chosen(inputs, output), inputs, strict=True)]

    def tangent(self, inputs, output, tangents):
        terms = []
        for chosen, x, t in zip(self._chosen(inputs, output), inputs, tangents, strict=True):
            terms.append(x.zeros_like(output.dtype) if t is None else _masked(chosen, sampled(t, x)))
        return add(*terms)


def _masked(mask, x):
    """The canonical sparse `x` where the vector `mask` is true; elsewhere zeros are stored."""
    return replaced_values(x, pt.switch(mask, x.values, np.zeros((), x.dtype)))


class MaximumSS(_ExtremeSS):
    __doc__ = _ExtremeSS.__doc__
    name, scalar_op = "maximum", ps.maximum


class MinimumSS(_ExtremeSS):
    __doc__ = _ExtremeSS.__doc__
    name, scalar_op = "minimum", ps.minimum


def _scalar_like(op, x, s):
    """The Python number `s` with the dtype that NumPy computes in beside the matrix `x`; other things as they are."""
    if not isinstance(s, _NUMBERS):
        return s
    try:
        return np.asarray(s, dtype=np.result_type(np.dtype(x.dtype), s))
    except OverflowError:
        raise error(op, [x], f"its dtype cannot hold {s}", "Cast the matrix first.", OverflowError) from None


def _extreme(op, x, y):
    """Dispatch by operands: two sparse matrices, or one and a scalar that keeps zeros at zero."""
    if isinstance(x, _NUMBERS):
        x, y = y, x  # symmetric
    if isinstance(y, _NUMBERS):
        x = sparse_operand(op.name, x)
        y = _scalar_like(op.name, x, y)
    x, y = pair(op.name, x, y)
    if is_sparse(x) and is_sparse(y):
        return op(x, y)
    if not is_sparse(x):
        x, y = y, x
    if isinstance(y, Constant) and y.type.ndim == 0:
        keeps_zero = getattr(np, op.name)(np.zeros((), y.dtype), y.data) == 0
        cause = f"the result would be dense, since {op.name}(0, {y.data}) is not 0"
    else:
        keeps_zero = False
        cause = "the result would be dense" if y.type.ndim else "cannot know whether zeros stay zero"
    if not keeps_zero:
        instead = f"Write pytensor.tensor.{op.name}(x.toarray(), y)"
        if not y.type.ndim:
            instead += f", or structured_{op.name}(x, c) for the stored entries only"
        raise error(op.name, [x, y], cause, f"{instead}.")
    return StructuredElemwise(op.scalar_op)(x, y)


def maximum(x, y):
    """Elementwise maximum of two sparse matrices; ``x.maximum(y)``.

    Parameters
    ----------
    x, y : sparse matrix (m, n)
        One of them may be a constant scalar c <= 0 instead. What else would make the result dense is an error.

    Returns
    -------
    sparse matrix (m, n)
        In the format of `x`, on the union of the patterns (with a scalar, that of the matrix). Positions that one
        matrix does not store are zeros of it. Results of zero are stored. NaN where one of the two is NaN.

    Notes
    -----
    Gradient: structured. ``gx = g`` at the stored entries of x where ``x >= y`` or x is NaN, ``gy = g`` at those of y
    elsewhere: where both are equal the first has it all, as in `pytensor.tensor.maximum`. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.maximum(sp.csr_array([[1.0, -2.0, 0.0]]), sp.csr_array([[3.0, 0.0, -1.0]])).eval().toarray()
    array([[3., 0., 0.]])
    """
    return _extreme(MaximumSS(), x, y)


def minimum(x, y):
    """Elementwise minimum of two sparse matrices, or of one and a constant scalar c >= 0; ``x.minimum(y)``.

    See `maximum`, of which all else holds with the order reversed.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.minimum(sp.csr_array([[1.0, -2.0, 0.0]]), 0).eval().toarray()
    array([[ 0., -2.,  0.]])
    """
    return _extreme(MinimumSS(), x, y)


# -- where ------------------------------------------------------------------------------------------------------


def where(condition, x, y=0):
    """Stored entries of `x` where a condition holds, `y` where it does not.

    Parameters
    ----------
    condition : sparse matrix (m, n), or dense scalar, vector (n,) or matrix (m, n), (m, 1), (1, n)
        What is not zero is true; what a sparse condition does not store is false.
    x : sparse matrix (m, n)
    y : scalar or sparse matrix (m, n)
        A scalar is put at the stored entries of `x` where the condition fails; positions that `x` does not store
        stay zero. With a sparse matrix the result is `numpy.where` of the dense forms.

    Returns
    -------
    sparse matrix (m, n)
        In the format of `x`, on its pattern, or on the union of the patterns for a sparse `y`; entries stored twice
        are summed first. Zeros that are put in are stored; see `remove0`.

    Notes
    -----
    Gradient: structured. ``gx = g`` at the stored entries of x where the condition holds, else 0; the reverse for y
    (summed if it is a scalar). The branch that is not taken has no influence, be it NaN or infinite. Zero wrt the
    condition. O(nnz): a dense condition is read at the stored entries only, so that
    ``where(u @ v.T > 0, x)`` forms no m x n matrix.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = sp.csr_array([[1.0, 0.0, 3.0]])
    >>> ss.where([True, True, False], x, -1).eval().toarray()
    array([[ 1.,  0., -1.]])
    """
    # PyTensor makes no variable of a Python bool, to catch a mistaken ==.
    condition = operand("where", np.asarray(condition) if isinstance(condition, bool) else condition)
    x = sparse_operand("where", x)
    # 0, the default, is a zero of any dtype; bool included, with which NumPy would compute in integers.
    y = np.zeros((), x.dtype) if isinstance(y, _NUMBERS) and y == 0 else _scalar_like("where", x, y)
    y = operand("where", y)
    if is_sparse(y):
        merged_shape("where", x, y)
        kept, put = sampled(x, x), sampled(y, y)
        return add(_masked(_holds(condition, kept), kept), _masked(negated(_holds(condition, put)), put))
    if y.type.ndim != 0:
        raise error(
            "where",
            [condition, x, y],
            "y must be a scalar or sparse",
            "Write pytensor.tensor.where(condition, x.toarray(), y), or sample(y, x) for its values at x's entries.",
        )
    x = sampled(x, x)
    return replaced_values(x, pt.switch(_holds(condition, x), x.values, y))


def _holds(condition, x):
    """The condition at the entries of the canonical sparse `x`, a bool vector."""
    if is_sparse(condition):
        merged_shape("where", condition, x)
    else:
        broadcast_shape("where", x, condition)
        if condition.type.ndim < 2 or 1 in condition.type.shape:
            condition = pt.alloc(condition, *x.shape)  # stays symbolic: it is only sampled
    found = sampled(condition, x).values
    return found if found.dtype == "bool" else pt.neq(found, 0)


# -- rows with a row-sparse gradient ----------------------------------------------------------------------------


class SparseGradRows(SparseOp):
    """``m[index]`` of a dense matrix. Gradient regular, a sparse csc matrix that stores the rows `index`."""

    __props__ = ()
    multilinear = True

    def make_node(self, m, index):
        m, index = dense_operand("sparse_grad", m, (2,)), dense_operand("sparse_grad", index, (1,))
        return apply(self, [m, index], TensorType(m.dtype, (index.type.shape[0], m.type.shape[1])))

    def perform(self, node, inputs, outputs):
        m, index = inputs
        outputs[0][0] = m[index]

    def infer_shape(self, node, shapes):
        return [(shapes[1][0], shapes[0][1])]

    def cotangents(self, inputs, output, g):
        # out_k = m[index_k], so gm adds g_k to row index_k. Only a leaf can do with a sparse cotangent: the op that
        # made m expects a dense one.
        m, index = inputs
        if m.owner is not None:
            return [pt.zeros_like(m)[index].inc(g)]
        if index.dtype not in uint_dtypes:
            index = index.astype("int64")
            index = pt.switch(index < 0, index + m.shape[0], index)
        return [construct_sparse_from_list(m, g, index)]

    def tangent(self, inputs, output, tangents):
        t, index = tangents[0], inputs[1]
        return get_item_list(t, index).toarray(structured=False) if is_sparse(t) else t[index]


def sparse_grad(var):
    """The same rows ``m[index]`` of a dense matrix, with a row-sparse gradient with respect to the matrix.

    For look-ups in large tables, such as embeddings: where `m` has many rows of which few are used, the gradient
    takes the memory of these few.

    Parameters
    ----------
    var : dense matrix (k, n)
        ``m[index]`` with a dense matrix m (N, n) and an integer vector `index` (k,).

    Returns
    -------
    dense matrix (k, n)
        Equal to `var`.

    Raises
    ------
    TypeError
        If `var` is anything else.

    Notes
    -----
    Gradient: regular. For an input or shared variable m it is a sparse csc matrix (N, n) that stores the rows of the
    cotangent at the places `index`, rows with the same place added: O(k n) memory. If m is used in other ways too,
    terms add up, and the sum with a dense one is dense. If m is itself computed, its cotangent is dense. So is that
    of a loop: inside a `scan` it is what plain ``m[index]`` has. ``m - rate * g`` is an update of m with such a
    gradient.

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> import symsparse as ss
    >>> m = pt.matrix("m")
    >>> loss = ss.sparse_grad(m[[0, 2]]).sum()
    >>> pytensor.grad(loss, m).type
    SparseTensorType(csc, float64, shape=(?, ?))
    """
    node = var.owner if isinstance(var, Variable) else None
    if node is not None and isinstance(node.op, AdvancedSubtensor):
        m, *index = node.inputs
        rows = node.op.idx_list in ((0,), (0, slice(None)))
        if rows and m.type.ndim == 2 and index[0].type.ndim == 1 and index[0].dtype in integer_dtypes:
            return SparseGradRows()(m, index[0])
    raise error(
        "sparse_grad",
        [var],
        "takes m[index] with a dense matrix m and an integer vector index",
        "Look a matrix of indices up with sparse_grad(m[index.ravel()]), and reshape the result.",
    )


__all__ = ["maximum", "minimum", "sparse_grad", "where"]
