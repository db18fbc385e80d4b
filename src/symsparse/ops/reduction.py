"""Sums, means, extremes and norms of a sparse matrix."""

import numbers

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.type import TensorType

from symsparse.arguments import legal_switch
from symsparse.ops.base import SparseOp, apply, error, sampled, sparse_operand
from symsparse.ops.csm import replaced_values
from symsparse.types import (
    brief,
    complex_dtypes,
    continuous_dtypes,
    discrete_dtypes,
    legal_dtype,
    uint_dtypes,
)


def normalized_axis(op, axis):
    """None, 0 or 1 from any legal axis of a matrix."""
    if axis is None:
        return None
    given = list(axis) if isinstance(axis, tuple | list) else [axis]
    # NumPy takes no bool for an axis either.
    if all(isinstance(a, int | np.integer) and not isinstance(a, bool) and -2 <= a < 2 for a in given):
        named = sorted(int(a) % 2 for a in given)
        if named == [0, 1]:
            return None
        if len(named) == 1:
            return named[0]
    raise ValueError(f"{op}: axis {brief(axis)} is not one of None, 0, 1, -1, -2.")


def sum_dtype(dtype):
    """What NumPy sums this dtype to: the widest integer for integers and bool."""
    if dtype not in discrete_dtypes:
        return dtype
    return "uint64" if dtype in uint_dtypes else "int64"


def reduced_dtype(op, x, dtype):
    """The dtype that is asked for a reduction of `x`."""
    dtype = legal_dtype(op, dtype)
    if x.dtype in complex_dtypes and dtype not in complex_dtypes:
        raise error(op, [x], f"a complex matrix has no {dtype} result", "Take the real part of the result.")
    return dtype


class SpSum(SparseOp):
    """Sum of all entries or along an axis, dense.

    Parameters
    ----------
    axis : {None, 0, 1, -1, -2}
    sparse_grad : bool
        Structured gradient (the cotangent on x's pattern) instead of the regular one (spread over all positions).
    """

    __props__ = ("axis", "sparse_grad")
    multilinear = True

    def __init__(self, axis=None, sparse_grad=True):
        self.axis = normalized_axis("sp_sum", axis)
        self.sparse_grad = legal_switch("sp_sum", "sparse_grad", sparse_grad)

    def make_node(self, x):
        x = sparse_operand("sp_sum", x)
        shape = () if self.axis is None else (x.type.shape[1 - self.axis],)
        return apply(self, [x], TensorType(sum_dtype(x.dtype), shape))

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        dtype = node.outputs[0].dtype
        if self.axis is None:
            outputs[0][0] = np.asarray(x.data.sum(dtype=dtype))
        else:  # SciPy's own sum along an axis sorts its operand in place
            total = np.zeros(x.shape[1 - self.axis], dtype=dtype)
            np.add.at(total, x.tocoo().coords[1 - self.axis], x.data.astype(dtype))
            outputs[0][0] = total

    def infer_shape(self, node, shapes):
        return [() if self.axis is None else (shapes[0][1 - self.axis],)]

    def cotangents(self, inputs, output, g):
        # Every position of a row (column) gets the cotangent of its sum. The broadcast is symbolic: sampling it or
        # multiplying by a sparse matrix reads only the entries it needs.
        x = inputs[0]
        everywhere = spread(g, x, self.axis)
        return [sampled(everywhere, x) if self.sparse_grad else everywhere]


def spread(reduced, x, axis):
    """What a reduction of `x` gave, at each position that went into it; a dense matrix that stays symbolic."""
    if axis is not None:
        reduced = pt.expand_dims(reduced, axis)
    return pt.alloc(reduced, *x.shape)


def sp_sum(x, axis=None, sparse_grad=False):
    """Sum of a sparse matrix or along an axis.

    Parameters
    ----------
    x : sparse matrix (m, n)
    axis : {None, 0, 1, -1, -2}
    sparse_grad : bool
        Ask for the structured gradient.

    Returns
    -------
    dense scalar, or vector (n,) for axis 0, (m,) for axis 1
        dtype of `x`; integers and bool are summed in (and declared as) 64 bits, as NumPy does.

    Notes
    -----
    Gradient: regular by default, ``gx_ij = g`` (``g_j``, ``g_i``) at every position, which stays symbolic
    until somebody reads it densely; with ``sparse_grad=True`` structured, the same at the stored entries only. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_sum(sp.csr_array([[1.0, 0.0], [2.0, 5.0]]), axis=1).eval()
    array([1., 7.])
    """
    return SpSum(axis, sparse_grad)(x)


def sp_mean(x, axis=None, sparse_grad=False, dtype=None):
    """Mean over all positions, stored or not, of a sparse matrix or along an axis; ``x.mean()``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    axis : {None, 0, 1, -1, -2}
    sparse_grad : bool
        Ask for the structured gradient.
    dtype : str, optional
        Of the result.

    Returns
    -------
    dense scalar, or vector (n,) for axis 0, (m,) for axis 1
        dtype of `x`; float64 for integers and bool.

    Notes
    -----
    Gradient: that of `sp_sum` divided by the number of positions. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_mean(sp.csr_array([[1.0, 0.0], [2.0, 5.0]]), axis=1).eval()
    array([0.5, 3.5])
    """
    x = sparse_operand("sp_mean", x)
    axis = normalized_axis("sp_mean", axis)
    total = sp_sum(x, axis, legal_switch("sp_mean", "sparse_grad", sparse_grad))
    if dtype is not None:
        dtype = reduced_dtype("sp_mean", x, dtype)
    else:
        dtype = total.dtype if total.dtype in continuous_dtypes else "float64"
    n, m = x.shape
    count = n.astype("float64") * m if axis is None else (n, m)[axis]  # n * m may not fit int64
    return total.astype(dtype) / count.astype(dtype)


class _SpExtreme(SparseOp):
    """Largest or smallest entry, of all positions (stored or not) or along an axis, dense.

    Parameters
    ----------
    axis : {None, 0, 1, -1, -2}
    """

    __props__ = ("axis",)
    name: str
    largest: bool

    def __init__(self, axis=None):
        self.axis = normalized_axis(self.name, axis)

    def make_node(self, x):
        x = sparse_operand(self.name, x)
        if x.dtype in complex_dtypes:
            raise error(
                self.name, [x], "complex numbers have no order", "Take abs(x) or the real part first."
            )
        shape = () if self.axis is None else (x.type.shape[1 - self.axis],)
        return apply(self, [x], TensorType(x.dtype, shape))

    def perform(self, node, inputs, outputs):
        sizes = inputs[0].shape if self.axis is None else inputs[0].shape[self.axis : self.axis + 1]
        if 0 in sizes:
            raise ValueError(
                f"{self.name}: a matrix of shape {inputs[0].shape} has no extreme along axis {self.axis} (zero-size "
                "array to reduction operation which has no identity)."
            )
        reduce = np.max if self.largest else np.min
        outputs[0][0] = np.asarray(reduce(inputs[0].toarray(), axis=self.axis))

    def infer_shape(self, node, shapes):
        return [() if self.axis is None else (shapes[0][1 - self.axis],)]

    def _at_extreme(self, x, output, entries):
        """The sparse `entries`, which have x's canonical pattern, where x is equal to its extreme; zero elsewhere."""
        extreme = sampled(spread(output, x, self.axis), x)
        reached = pt.eq(sampled(x, x).values, extreme.values)
        return replaced_values(entries, pt.switch(reached, entries.values, 0))

    # The derivative of the extreme wrt an entry that reaches it is taken to be 1, also where several do, as PyTensor's
    # `max` has it. An extreme that is an entry which is not stored has no stored entry to send its cotangent to.

    def cotangents(self, inputs, output, g):
        x = inputs[0]
        return [self._at_extreme(x, output, sampled(spread(g, x, self.axis), x))]

    def tangent(self, inputs, output, tangents):
        x = inputs[0]
        return sp_sum(self._at_extreme(x, output, sampled(tangents[0], x)), self.axis, sparse_grad=True)


class SpMax(_SpExtreme):
    __doc__ = _SpExtreme.__doc__
    name, largest = "sp_max", True


class SpMin(_SpExtreme):
    __doc__ = _SpExtreme.__doc__
    name, largest = "sp_min", False


def sp_max(x, axis=None):
    """Largest entry of a sparse matrix or along an axis, zeros that are not stored included; ``x.max()``.

    Parameters
    ----------
    x : sparse matrix (m, n)
        Real, integer or bool.
    axis : {None, 0, 1, -1, -2}

    Returns
    -------
    dense scalar, or vector (n,) for axis 0, (m,) for axis 1
        dtype of `x`. NaN where a NaN takes part. Along an axis of size 0 a ValueError at run time, as in NumPy.

    Notes
    -----
    Gradient: structured, ``gx_ij = g`` (``g_j``, ``g_i``) at each stored entry that is equal to the extreme, zero at
    the others. Entries that tie all get the whole cotangent, as in `pytensor.tensor.max`. O(nnz + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_max(sp.csr_array([[-1.0, 0.0], [2.0, 5.0]]), axis=1).eval()
    array([0., 5.])
    """
    return SpMax(axis)(x)


def sp_min(x, axis=None):
    """Smallest entry of a sparse matrix or along an axis, zeros that are not stored included; ``x.min()``.

    See `sp_max`, of which all else holds too.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_min(sp.csr_array([[1.0, 0.0], [2.0, 5.0]]), axis=1).eval()
    array([0., 2.])
    """
    return SpMin(axis)(x)


def trace(x):
    """Sum of the main diagonal; ``x.trace()``.

    Parameters
    ----------
    x : sparse matrix (m, n)
        Need not be square.

    Returns
    -------
    dense scalar
        dtype of `x`; integers and bool are summed in 64 bits, as NumPy does.

    Notes
    -----
    Gradient: regular, g on the main diagonal; a sparse diagonal matrix. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> float(ss.trace(sp.csr_array([[1.0, 2.0], [0.0, 3.0]])).eval())
    4.0
    """
    from symsparse.ops.conversion import diag

    return diag(sparse_operand("trace", x)).sum()


def norm(x, ord=None, axis=None):
    """Norm of a sparse matrix, or of each of its columns or rows; ``x.norm()``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    ord : {None, "fro", 1, -1, 2, inf, -inf}
        Of a matrix: Frobenius (None, "fro"), largest or smallest sum of absolute values of a column (1, -1) or of a
        row (inf, -inf). The spectral norm (2, -2) needs a singular value decomposition, which there is none of.
        Along an axis: Euclidean (None, 2), sum of absolute values (1), the largest or smallest of them (inf, -inf).
    axis : {None, 0, 1, -1, -2}
        Norms of the columns (0) or rows (1).

    Raises
    ------
    ValueError
        At run time, as in `numpy.linalg.norm`, where the largest or smallest of no columns (1, -1), of no rows
        (inf, -inf), or along an axis of size 0 (inf, -inf), is asked for.

    Returns
    -------
    dense scalar, or vector (n,) for axis 0, (m,) for axis 1
        Real: float32 for float32 and complex64, float64 for everything else.

    Notes
    -----
    Gradient: structured, ``g x_k / norm`` for Frobenius and Euclidean norms, ``g sign(x_k)`` for the
    others, where the column, row or entry is the one that counts; those that tie all get it. Where the norm is not
    differentiable because of a zero (a norm of 0, an entry of 0) the gradient is 0. O(nnz + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.norm(sp.csr_array([[3.0, 0.0], [4.0, 1.0]]), axis=0).eval()
    array([5., 1.])
    """
    from symsparse.ops.conversion import csr_from_dense

    x = sparse_operand("norm", x)
    axis = normalized_axis("norm", axis)
    if x.dtype in discrete_dtypes:
        x = x.astype("float64")
    if not (ord is None or isinstance(ord, str | numbers.Real)):
        raise error(
            "norm", [x, ord], "ord must be a number, 'fro' or None", "Pass 1, -1, inf or -inf.", ValueError
        )
    if isinstance(ord, str) and ord == "fro" and axis is None:
        ord = None
    if ord is None or (ord == 2 and axis is not None):
        return _square_root(sp_sum(_squared_size(x), axis, sparse_grad=True))
    if ord not in (1, -1, np.inf, -np.inf) or (ord == -1 and axis is not None):
        what, known = "a matrix", "None, 'fro', 1, -1, inf, -inf"
        if axis is not None:
            what, known = "the rows or columns", "None, 2, 1, inf, -inf"
        raise error(
            "norm",
            [x],
            f"ord={brief(ord)} of {what} is not one of {known}",
            "For others take numpy.linalg.norm of the dense matrix.",
            ValueError,
        )
    size = abs(x)
    if axis is None:
        sums = sp_sum(size, 0 if abs(ord) == 1 else 1, sparse_grad=True)
        # Through a matrix of one row, since PyTensor's own max of nothing is an error in some of its modes only.
        sums = csr_from_dense(sums)
        return sp_max(sums) if ord > 0 else sp_min(sums)
    if ord == 1:
        return sp_sum(size, axis, sparse_grad=True)
    return sp_max(size, axis) if ord > 0 else sp_min(size, axis)


def _squared_size(x):
    x = sampled(x, x)
    v = x.values
    return replaced_values(x, pt.real(v) ** 2 + pt.imag(v) ** 2 if x.dtype in complex_dtypes else v**2)


def _square_root(s):
    """Square root with the derivative 0 at 0, where that of `pytensor.tensor.sqrt` is infinite."""
    zero = pt.eq(s, 0)
    return pt.switch(zero, s, pt.sqrt(pt.switch(zero, pt.ones_like(s), s)))


__all__ = ["SpSum", "norm", "normalized_axis", "sp_max", "sp_mean", "sp_min", "sp_sum", "sum_dtype", "trace"]
