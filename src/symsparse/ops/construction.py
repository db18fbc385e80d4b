"""Matrices made from sizes and diagonals, and triangles of others."""

import operator

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.graph.basic import Constant, Variable
from pytensor.raise_op import CheckAndRaise
from pytensor.scalar import upcast

from symsparse.ops.base import SparseOp, apply, dense_operand, error, is_sparse, sparse_operand, typed
from symsparse.ops.csm import CSM, shape_vector
from symsparse.ops.layout import asformat
from symsparse.types import integer_dtypes, sparse_formats

MAX_INT32 = np.iinfo(np.int32).max


# -- from diagonals ---------------------------------------------------------------------------------------------


def _size(op, n):
    """A size as an integer, or as a symbolic int64 scalar that is checked when the function runs."""
    if isinstance(n, Constant):
        n = n.data
    if isinstance(n, Variable):
        if n.type.ndim or n.dtype not in integer_dtypes:
            raise error(op, [n], "a size must be an integer")
        return _check(f"{op}: a size is negative")(n.astype("int64"), pt.ge(n, 0))
    try:
        n = operator.index(n)
    except TypeError:
        raise error(op, [n], "a size must be an integer") from None
    if n < 0:
        raise ValueError(f"{op}: a size must not be negative, got {n}.")
    return n


def _offset(op, k):
    """The number of a diagonal as an integer."""
    if isinstance(k, Constant):
        k = k.data
    try:
        return operator.index(k)
    except TypeError:
        raise error(
            op, [k], "the number of a diagonal must be an integer that is known when the graph is built"
        ) from None


def _format(op, format):
    if format not in (None, *sparse_formats):
        raise ValueError(f"{op}: unsupported format {format!r}; choose one of {sparse_formats}.")
    return format or "csr"


def _check(message):
    return CheckAndRaise(ValueError, message)


def diagonal_length(n, m, k):
    """Length of the k-th diagonal of an n x m matrix, for integers or symbolic sizes."""
    least, most = (min, max) if isinstance(n, int) and isinstance(m, int) else (pt.minimum, pt.maximum)
    return most(least(n + min(k, 0), m - max(k, 0)), 0)


def banded(op, diagonals, offsets, n, m, format, index_dtype="int32"):
    """The n x m matrix with these diagonals: vectors of one dtype, each of the length of its diagonal.

    The pattern is made of dense vectors only, in O((n or m) times the number of diagonals), so that it is folded where
    the sizes are known; and the gradient is that of `CSM`, the cotangent along the diagonals.
    """
    lengths = [diagonal_length(n, m, k) for k in offsets]
    if isinstance(n, int) and isinstance(m, int):
        if max(n, m, sum(lengths)) > MAX_INT32:
            index_dtype = "int64"
    elif index_dtype == "int32":
        fits = pt.le(pt.maximum(pt.maximum(n, m), sum(lengths)), MAX_INT32)
        n = _check(f"{op}: the matrix does not fit int32 indices")(pt.as_tensor(n, dtype="int64"), fits)
    # By major and minor axis, from the lowest diagonal to the highest: this sorts the entries of each major slice.
    n_major, n_minor, sign = (n, m, 1) if format == "csr" else (m, n, -1)
    order = sorted(range(len(offsets)), key=lambda i: sign * offsets[i])
    starts = pt.cumsum(pt.stack([0, *(lengths[i] for i in order)]))[:-1]
    major = pt.arange(n_major, dtype="int64")[:, None]
    minor = major + np.array([sign * offsets[i] for i in order], dtype="int64")
    stored = (minor >= 0) & (minor < n_minor)
    kept = pt.flatnonzero(stored)
    place = (starts + pt.minimum(major, minor)).flatten()[kept]
    indptr = pt.concatenate([pt.zeros(1, dtype="int64"), pt.cumsum(stored.sum(axis=1, dtype="int64"))])
    return CSM(format, trusted=True)(
        pt.join(0, *(diagonals[i] for i in order))[place],
        minor.flatten()[kept].astype(index_dtype),
        indptr.astype(index_dtype),
        shape_vector(pt.as_tensor(n, dtype="int64"), pt.as_tensor(m, dtype="int64")),
    )


def eye(m, n=None, k=0, dtype=None, format=None):
    """Sparse matrix with ones on one diagonal.

    Parameters
    ----------
    m : int or integer scalar
        Number of rows.
    n : int or integer scalar, optional
        Number of columns; `m` by default.
    k : int
        Which diagonal: 0 the main one, above it if positive, below it if negative.
    dtype : str, optional
        ``config.floatX`` by default.
    format : {"csr", "csc"}, optional
        csr by default.

    Returns
    -------
    sparse matrix (m, n)

    Notes
    -----
    Gradient: there is nothing to differentiate. O(m + n).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.eye(2, 3, k=1, dtype="int8").eval().toarray()
    array([[0, 1, 0],
           [0, 0, 1]], dtype=int8)
    """
    m = _size("eye", m)
    n = m if n is None else _size("eye", n)
    k = _offset("eye", k)
    dtype = pytensor.config.floatX if dtype is None or str(dtype) == "floatX" else np.dtype(dtype).name
    ones = pt.ones((diagonal_length(m, n, k),), dtype=dtype)
    return banded("eye", [ones], [k], m, n, _format("eye", format))


def diags(diagonals, offsets=0, shape=None, format=None, dtype=None):
    """Sparse matrix from its diagonals.

    Parameters
    ----------
    diagonals : list of dense vectors or scalars
        One for each offset; for a single offset also the vector itself. With a `shape`, scalars and vectors of
        (static) length 1 are repeated along their diagonals.
    offsets : int or list of int
        Where: 0 is the main diagonal, k > 0 the k-th above it, k < 0 below it.
    shape : tuple of int or integer scalars, optional
        (m, n); by default the square matrix that the first diagonal fits.
    format : {"csr", "csc"}, optional
        csr by default.
    dtype : str, optional
        Of the result; that of the diagonals upcast by default.

    Returns
    -------
    sparse matrix (m, n)
        Every entry of the diagonals is stored, zeros too.

    Raises
    ------
    ValueError
        If an offset occurs twice or lies outside the matrix, or a diagonal has not its length: at once where sizes are
        known, otherwise when the function runs.

    Notes
    -----
    Gradient: regular, for each diagonal the cotangent along it. O((m + n) times the number of diagonals).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.diags([1.0, [2.0, 3.0]], offsets=[0, 1], shape=(3, 3)).eval().toarray()
    array([[1., 2., 0.],
           [0., 1., 3.],
           [0., 0., 1.]])
    """
    op = "diags"
    if np.ndim(offsets) == 0:
        offsets = [offsets]
        one = isinstance(diagonals, list | tuple) and len(diagonals) == 1 and _rank(op, diagonals[0])
        diagonals = diagonals if one else [diagonals]
    offsets = [_offset(op, k) for k in offsets]
    diagonals = [dense_operand(op, d, (0, 1)) for d in diagonals]
    if not diagonals or len(diagonals) != len(offsets):
        raise ValueError(
            f"{op}: needs one offset for each diagonal, at least one; got {len(diagonals)} diagonals and "
            f"{len(offsets)} offsets."
        )
    if len(set(offsets)) < len(offsets):
        raise ValueError(f"{op}: the offsets {offsets} repeat; add the diagonals instead.")
    if shape is None:
        first = diagonals[0]
        length = 1 if first.type.ndim == 0 else first.type.shape[0]
        n = m = (first.shape[0] if length is None else length) + abs(offsets[0])
    else:
        n, m = (_size(op, size) for size in ((shape[0], shape[1]) if isinstance(shape, Variable) else shape))
    dtype = dtype or upcast(*(d.dtype for d in diagonals))
    vectors = [_along(op, d.astype(dtype), k, n, m) for d, k in zip(diagonals, offsets, strict=True)]
    return banded(op, vectors, offsets, n, m, _format(op, format))


def _rank(op, d):
    return dense_operand(op, d, (0, 1)).type.ndim


def _along(op, d, k, n, m):
    """The vector of the k-th diagonal of an n x m matrix: `d`, repeated if its length is 1, else of that length."""
    if all(isinstance(v, int) for v in (n, m)) and (k > m or -k > n):
        raise ValueError(f"{op}: diagonal {k} lies outside a matrix of shape {(n, m)}.")
    length = diagonal_length(n, m, k)
    size = 1 if d.type.ndim == 0 else d.type.shape[0]
    if size == 1:
        return pt.alloc(d.reshape(()), length)
    if isinstance(length, int) and size is not None:
        if size != length:
            raise ValueError(
                f"{op}: diagonal {k} of a matrix of shape {(n, m)} has {length} elements, but {size} were given."
            )
        return d
    return _check(f"{op}: the length of diagonal {k} does not fit the shape")(d, pt.eq(d.shape[0], length))


# -- triangles --------------------------------------------------------------------------------------------------


class Triangle(SparseOp):
    """Entries at or below (`lower`), or at or above, the k-th diagonal. Gradient regular: that triangle of g."""

    __props__ = ("lower",)
    multilinear = True

    def __init__(self, lower):
        self.lower = bool(lower)

    def make_node(self, x, k):
        name = "tril" if self.lower else "triu"
        x, k = sparse_operand(name, x), dense_operand(name, k, (0,))
        if k.dtype not in integer_dtypes:
            raise error(name, [x, k], "the number of the diagonal must be an integer")
        return apply(self, [x, k.astype("int64")], x.type)

    def perform(self, node, inputs, outputs):
        x, k = inputs
        outputs[0][0] = typed(node, (sp.tril if self.lower else sp.triu)(x, int(k), format=x.format))

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        x, k = inputs
        if is_sparse(g):
            return [asformat(self(g, k), x.format)]
        # Row and column numbers that broadcast: where this is only sampled, no mask of the full size is formed.
        n, m = x.shape
        diagonal = pt.arange(m)[None, :] - pt.arange(n)[:, None]
        return [pt.switch(pt.le(diagonal, k) if self.lower else pt.ge(diagonal, k), g, np.zeros((), g.dtype))]


def tril(A, k=0, format=None):
    """Lower triangle of a sparse matrix: the stored entries at or below a diagonal.

    Parameters
    ----------
    A : sparse matrix (m, n)
    k : int or integer scalar
        The diagonal: 0 is the main one, above it if positive, below it if negative.
    format : {"csr", "csc"}, optional
        That of `A` by default.

    Returns
    -------
    sparse matrix (m, n)

    Notes
    -----
    Gradient: regular, ``gA = tril(g, k)``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.tril(sp.csr_array([[1.0, 2.0], [3.0, 4.0]])).eval().toarray()
    array([[1., 0.],
           [3., 4.]])
    """
    return _triangle(True, A, k, format)


def triu(A, k=0, format=None):
    """Upper triangle of a sparse matrix: the stored entries at or above a diagonal.

    Parameters
    ----------
    A : sparse matrix (m, n)
    k : int or integer scalar
        The diagonal: 0 is the main one, above it if positive, below it if negative.
    format : {"csr", "csc"}, optional
        That of `A` by default.

    Returns
    -------
    sparse matrix (m, n)

    Notes
    -----
    Gradient: regular, ``gA = triu(g, k)``. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.triu(sp.csr_array([[1.0, 2.0], [3.0, 4.0]]), k=1).eval().toarray()
    array([[0., 2.],
           [0., 0.]])
    """
    return _triangle(False, A, k, format)


def _triangle(lower, x, k, format):
    triangle = Triangle(lower)(x, k)
    return triangle if format is None else asformat(triangle, format)


__all__ = ["diags", "eye", "tril", "triu"]
