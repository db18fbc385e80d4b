"""Matrices made from sizes and diagonals, and triangles of others."""

import operator

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import upcast
from pytensor.tensor.type import TensorType

from symsparse.ops.arithmetic import from_coordinates
from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_sparse,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.layout import asformat
from symsparse.types import SparseTensorType, brief, integer_dtypes, legal_dtype, legal_format

MAX_INT32 = np.iinfo(np.int32).max


# -- from diagonals ---------------------------------------------------------------------------------------------


class Diags(SparseOp):
    """n x m matrix from the vector of its diagonals, joined from the lowest to the highest, and their lengths.

    Parameters
    ----------
    offsets : tuple of int
        The numbers of the diagonals, ascending.
    format : {"csr", "csc"}
    index_dtype : {"int32", "int64"}

    Notes
    -----
    Gradient: regular, wrt the vector: g along the diagonals.
    """

    __props__ = ("offsets", "format", "index_dtype")
    multilinear = True

    def __init__(self, offsets, format, index_dtype="int32"):
        self.offsets, self.format, self.index_dtype = tuple(offsets), format, index_dtype

    def make_node(self, values, lengths, n, m):
        values, lengths = dense_operand("diags", values, (1,)), dense_operand("diags", lengths, (1,))
        n, m = (pt.as_tensor(v, dtype="int64") for v in (n, m))
        shape = tuple(int(v.data) if isinstance(v, Constant) else None for v in (n, m))
        type = SparseTensorType(self.format, values.dtype, shape, index_dtype=self.index_dtype)
        return apply(self, [values, lengths, n, m], type)

    def perform(self, node, inputs, outputs):
        values, lengths, n, m = inputs
        if min(n, m) < 0:
            raise ValueError(f"diags: a size is negative: {(int(n), int(m))}.")
        wanted = [diagonal_length(int(n), int(m), k) for k in self.offsets]
        if lengths.tolist() != wanted:
            raise ValueError(
                f"diags: diagonals {self.offsets} of a matrix of shape {(int(n), int(m))} have {wanted} elements, but "
                f"{lengths.tolist()} were given."
            )
        if self.index_dtype == "int32" and max(n, m, len(values)) > MAX_INT32:
            raise ValueError("diags: the matrix does not fit int32 indices.")
        rows, columns = (
            np.concatenate(
                [np.arange(size) + max(side * k, 0) for size, k in zip(lengths, self.offsets, strict=True)]
            )
            for side in (-1, 1)
        )
        outputs[0][0] = typed(node, from_coordinates(self.format, values, rows, columns, (n, m)))

    def infer_shape(self, node, shapes):
        return [tuple(node.inputs[2:])]

    def cotangents(self, inputs, output, g):
        from symsparse.ops.conversion import diag

        if not is_sparse(g):  # not pt.diagonal(g), which would form what sampling need not
            g = sampled(g, output)
        return [pt.join(0, *(diag(g, k) for k in self.offsets))]


def diagonal_length(n, m, k):
    """Length of the k-th diagonal of an n x m matrix, for integers or symbolic sizes."""
    least, most = (min, max) if isinstance(n, int) and isinstance(m, int) else (pt.minimum, pt.maximum)
    return most(least(n + min(k, 0), m - max(k, 0)), 0)


def _size(op, n):
    """A size as an integer where it is known, otherwise as a symbolic int64 scalar."""
    if isinstance(n, Constant):
        n = n.data
    if isinstance(n, Variable):
        if not isinstance(n.type, TensorType) or n.type.ndim or n.dtype not in integer_dtypes:
            raise error(op, [n], "a size must be an integer", "Cast it to int64.")
        return n.astype("int64")
    try:
        size = operator.index(n)
    except TypeError:
        raise error(op, [n], "a size must be an integer", "Pass an int.") from None
    if not 0 <= size <= np.iinfo(np.int64).max:
        raise ValueError(f"{op}: a size must not be negative and fit 64 bits, got {brief(n)}.")
    return size


def offset(op, k):
    """The number of a diagonal as an integer."""
    try:
        found = operator.index(k.data if isinstance(k, Constant) else k)
    except TypeError:
        found = None
    if found is None:
        raise error(
            op,
            [k],
            "the number of a diagonal must be an integer that is known when the graph is built",
            "Pass an int.",
        )
    if abs(found) > np.iinfo(np.int64).max:
        raise ValueError(f"{op}: no matrix has a diagonal {found}; its number must fit 64 bits.")
    return found


def _built(op, vectors, offsets, n, m, format):
    """The matrix with these vectors, all of one dtype, as its diagonals."""
    format = "csr" if format is None else legal_format(op, format)
    wide = any(isinstance(v, int) and v > MAX_INT32 for v in (n, m))
    order = sorted(range(len(offsets)), key=offsets.__getitem__)
    lengths = pt.stack([vectors[i].shape[0] for i in order])
    make = Diags([offsets[i] for i in order], format, "int64" if wide else "int32")
    return make(pt.join(0, *(vectors[i] for i in order)), lengths, n, m)


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
    k = offset("eye", k)
    dtype = legal_dtype("eye", "floatX" if dtype is None else dtype)
    ones = pt.ones((diagonal_length(m, n, k),), dtype=dtype)
    return _built("eye", [ones], [k], m, n, format)


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
    if not isinstance(offsets, list | tuple | range) and not (
        isinstance(offsets, np.ndarray) and offsets.ndim
    ):
        offsets = [offsets]
        one = isinstance(diagonals, list | tuple) and len(diagonals) == 1 and _rank(op, diagonals[0])
        diagonals = diagonals if one else [diagonals]
    offsets = [offset(op, k) for k in offsets]
    if not isinstance(diagonals, list | tuple) and not (isinstance(diagonals, np.ndarray) and diagonals.ndim):
        raise error(
            op, [diagonals], "needs a list of diagonals, one for each offset", f"Write {op}([v, w], [0, 1])."
        )
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
        n, m = _two_sizes(op, shape)
    dtype = upcast(*(d.dtype for d in diagonals)) if dtype is None else legal_dtype(op, dtype)
    vectors = [_along(op, d.astype(dtype), k, n, m) for d, k in zip(diagonals, offsets, strict=True)]
    return _built(op, vectors, offsets, n, m, format)


def _two_sizes(op, shape):
    if isinstance(shape, Variable) and isinstance(shape.type, TensorType) and shape.type.ndim == 1:
        if shape.dtype in integer_dtypes and shape.type.shape[0] in (None, 2):
            return shape[0].astype("int64"), shape[1].astype("int64")
    elif isinstance(shape, list | tuple) and len(shape) == 2:
        return tuple(_size(op, size) for size in shape)
    raise error(op, [shape], "the shape must be a pair of integers", "Write shape=(rows, columns).")


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
    if isinstance(length, int) and size not in (None, length):
        raise ValueError(
            f"{op}: diagonal {k} of a matrix of shape {(n, m)} has {length} elements, but {size} were given."
        )
    return d


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
            raise error(name, [x, k], "the number of the diagonal must be an integer", "Cast it to int64.")
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
    if format is not None:
        legal_format("tril" if lower else "triu", format)
    triangle = Triangle(lower)(x, k)
    return triangle if format is None else asformat(triangle, format)


__all__ = ["diags", "eye", "tril", "triu"]
