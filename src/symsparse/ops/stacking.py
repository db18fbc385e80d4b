"""Matrices made of blocks: beside each other, along the diagonal, in a grid."""

from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from pytensor.graph.basic import Variable
from pytensor.scalar import upcast

from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_sparse,
    operand,
    typed,
    wider_index,
    zero_cotangent,
)
from symsparse.ops.conversion import SparseFromDense
from symsparse.ops.elementwise import cast
from symsparse.ops.layout import asformat
from symsparse.ops.values import no_entries
from symsparse.types import SparseTensorType, complex_dtypes, legal_dtype, legal_format

MAX_INT32 = np.iinfo(np.int32).max


def size(x, axis):
    """A size as an integer where it is known, symbolic otherwise."""
    n = x.type.shape[axis]
    return x.shape[axis] if n is None else n


def added(sizes):
    """Static sum of static sizes; None if one is unknown."""
    return None if None in sizes else sum(sizes)


def index_dtype_for(blocks, shape):
    """The index dtype of a result of this static shape: wide if a block is, or if a known size needs it."""
    large = any(n is not None and n > MAX_INT32 for n in shape)
    return "int64" if large else wider_index(*blocks)


# -- stacks -----------------------------------------------------------------------------------------------------


class _Stack(SparseOp):
    """Blocks put together without overlap.

    It is linear in all blocks together, and its adjoint cuts the cotangent where the blocks are. Dense blocks are
    converted, and all are cast to the dtype of the result, when the node is made.
    """

    __props__ = ("format", "dtype")
    differentiable = None
    name = ""
    ndims: tuple[int, ...] = (2,)  # of dense blocks

    def __init__(self, format=None, dtype=None):
        self.format = "csc" if format is None else legal_format(self.name, format)
        self.dtype = None if dtype is None else legal_dtype(self.name, dtype)

    def make_node(self, *blocks):
        if not blocks:
            raise ValueError(f"{self.name}: needs at least one block, got an empty list.")
        made = [operand(self.name, b) for b in blocks]
        dtype = self.dtype or upcast(*(b.dtype for b in made))
        if dtype not in complex_dtypes and any(b.dtype in complex_dtypes for b in made):
            raise error(self.name, made, f"complex blocks have no {dtype} values", "Take their real parts.")
        made = [cast(b if is_sparse(b) else self._sparse(b), dtype) for b in made]
        shape = self.static_shape(made)
        index_dtype = index_dtype_for(made, shape)
        return apply(self, made, SparseTensorType(self.format, dtype, shape, index_dtype=index_dtype))

    def _sparse(self, block):
        return SparseFromDense(self.format)(dense_operand(self.name, block, self.ndims))

    def static_shape(self, blocks):
        """Static shape of the result; an error where sizes surely differ."""
        raise NotImplementedError

    def places(self, blocks):
        """The rows and columns of each block, as slices."""
        raise NotImplementedError

    def require_fit(self, node, blocks, axes):
        """Raise unless the sizes along these axes and the number of entries fit the output's index dtype."""
        sizes = [sum(x.shape[axis] for x in blocks) for axis in axes]
        if (
            node.outputs[0].type.index_dtype == "int32"
            and max(*sizes, sum(x.nnz for x in blocks)) > MAX_INT32
        ):
            raise ValueError(
                f"{self.name}: the result does not fit int32 indices; use blocks with index_dtype='int64'."
            )

    def cotangents(self, inputs, output, g):
        found = []
        for x, place in zip(inputs, self.places(inputs), strict=True):
            gx = g[place]
            found.append(asformat(gx, x.format) if is_sparse(gx) else gx)
        return found

    def tangent(self, inputs, output, tangents):
        given = [zero_cotangent(x) if t is None else t for x, t in zip(inputs, tangents, strict=True)]
        return type(self)(self.format, output.dtype)(*given)


class HStack(_Stack):
    """Sparse matrix of blocks beside each other. Gradient regular: the columns of g that belong to each block.

    Parameters
    ----------
    format : {"csc", "csr"}, optional
        csc by default.
    dtype : str, optional
        Of the result; that of all blocks upcast by default.

    Examples
    --------
    >>> import symsparse as ss
    >>> x, y = ss.csr_matrix("x", shape=(3, 2)), ss.csc_matrix("y", shape=(3, 4))
    >>> ss.HStack()(x, y).type.shape
    (3, 6)
    """

    name = "hstack"
    axis = 1

    def static_shape(self, blocks):
        other = {x.type.shape[1 - self.axis] for x in blocks} - {None}
        if len(other) > 1:
            what = "rows" if self.axis else "columns"
            raise error(
                self.name,
                blocks,
                f"the blocks differ in their numbers of {what}",
                f"All must have the same {what}.",
                ValueError,
            )
        shape = [added([x.type.shape[self.axis] for x in blocks])] * 2
        shape[1 - self.axis] = other.pop() if other else None
        return tuple(shape)

    def perform(self, node, inputs, outputs):
        if len({x.shape[1 - self.axis] for x in inputs}) > 1:
            raise ValueError(f"{self.name}: shapes do not fit: {', '.join(str(x.shape) for x in inputs)}.")
        self.require_fit(node, inputs, [self.axis])
        stack = sp.hstack if self.axis else sp.vstack
        outputs[0][0] = typed(node, stack(inputs, format=self.format))

    def infer_shape(self, node, shapes):
        shape = list(shapes[0])
        shape[self.axis] = sum((s[self.axis] for s in shapes[1:]), start=shapes[0][self.axis])
        return [tuple(shape)]

    def places(self, blocks):
        start = 0
        for x in blocks:
            stop = start + size(x, self.axis)
            yield (slice(None), slice(start, stop)) if self.axis else (slice(start, stop), slice(None))
            start = stop

    def cotangents(self, inputs, output, g):
        # In this format each block is a contiguous piece of a sparse g; in the other all of g is read for each.
        if is_sparse(g):
            g = asformat(g, "csc" if self.axis else "csr")
        return super().cotangents(inputs, output, g)


class VStack(HStack):
    """Sparse matrix of blocks below each other. Gradient regular: the rows of g that belong to each block.

    Parameters
    ----------
    format : {"csc", "csr"}, optional
        csc by default.
    dtype : str, optional
        Of the result; that of all blocks upcast by default.
    """

    name = "vstack"
    axis = 0


class BlockDiag(_Stack):
    """Sparse matrix of blocks along the diagonal. Gradient regular: the part of g that belongs to each block."""

    name = "block_diag"
    ndims = (0, 1, 2)

    def static_shape(self, blocks):
        return tuple(added([x.type.shape[axis] for x in blocks]) for axis in (0, 1))

    def perform(self, node, inputs, outputs):
        self.require_fit(node, inputs, (0, 1))
        outputs[0][0] = typed(node, sp.block_diag(inputs, format=self.format))

    def infer_shape(self, node, shapes):
        return [tuple(sum((s[axis] for s in shapes[1:]), start=shapes[0][axis]) for axis in (0, 1))]

    def places(self, blocks):
        row = column = 0
        for x in blocks:
            below, beside = row + size(x, 0), column + size(x, 1)
            yield slice(row, below), slice(column, beside)
            row, column = below, beside


def _listed(op, blocks, grid=False):
    # A set has no order, and what else can be iterated is a matrix, or no list by intention.
    one = isinstance(blocks, Variable | np.ndarray | str | dict | set | frozenset) or sp.issparse(blocks)
    if one or not isinstance(blocks, Iterable):
        raise error(
            op, [blocks], "needs a list of blocks", f"Write {op}({'[[x, y]]' if grid else '[x, y]'})."
        )
    return list(blocks)


def hstack(blocks, format=None, dtype=None):
    """Sparse matrix of blocks beside each other.

    Parameters
    ----------
    blocks : list of sparse or dense matrices (m, n_i)
        At least one; any mix of formats and dtypes.
    format : {"csc", "csr"}, optional
        csc by default.
    dtype : str, optional
        Of the result; that of all blocks upcast by default.

    Returns
    -------
    sparse matrix (m, sum of n_i)
        The stored entries of sparse blocks, and the non-zero ones of dense blocks.

    Raises
    ------
    ValueError
        Without blocks, or if their numbers of rows differ: at once where both are known, otherwise when the function
        runs. Also if the result needs int64 indices and no block has them.

    Notes
    -----
    Gradient: regular, the columns of the cotangent that belong to each block; zero for integer blocks.
    O(nnz + m + n); one pass less where a block has the result's format.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.hstack([sp.csr_array([[1.0], [0.0]]), [[2.0], [3.0]]]).eval().toarray()
    array([[1., 2.],
           [0., 3.]])
    """
    return HStack(format, dtype)(*_listed("hstack", blocks))


def vstack(blocks, format=None, dtype=None):
    """Sparse matrix (sum of m_i, n) of blocks (m_i, n) below each other.

    See `hstack`, of which all else holds with rows and columns exchanged.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.vstack([sp.csr_array([[1.0, 0.0]]), sp.csc_array([[0.0, 2.0]])], format="csr").eval().toarray()
    array([[1., 0.],
           [0., 2.]])
    """
    return VStack(format, dtype)(*_listed("vstack", blocks))


def block_diag(mats, format=None, dtype=None):
    """Sparse matrix of blocks along the diagonal.

    Parameters
    ----------
    mats : list of sparse or dense matrices (m_i, n_i)
        At least one; any mix of formats and dtypes. Vectors are rows, scalars are 1 x 1.
    format : {"csc", "csr"}, optional
        csc by default.
    dtype : str, optional
        Of the result; that of all blocks upcast by default.

    Returns
    -------
    sparse matrix (sum of m_i, sum of n_i)
        The stored entries of sparse blocks, and the non-zero ones of dense blocks.

    Notes
    -----
    Gradient: regular, the part of the cotangent that belongs to each block; zero for integer blocks. O(nnz + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.block_diag([sp.csr_array([[1.0, 2.0]]), 3.0]).eval().toarray()
    array([[1., 2., 0.],
           [0., 0., 3.]])
    """
    return BlockDiag(format, dtype)(*_listed("block_diag", mats))


def block_array(blocks, *, format=None, dtype=None):
    """Sparse matrix of a grid of blocks.

    Parameters
    ----------
    blocks : list of lists of sparse or dense matrices or None
        The rows of the grid, of one length. None is a block without entries, whose sizes are those of its
        neighbours.
    format : {"csc", "csr"}, optional
        csc by default.
    dtype : str, optional
        Of the result; that of all blocks upcast by default.

    Returns
    -------
    sparse matrix

    Raises
    ------
    ValueError
        If a row or column of the grid is all None, or if sizes do not fit.

    Notes
    -----
    Gradient: regular, the part of the cotangent that belongs to each block; see `hstack` and `vstack`, of which it
    is made.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = sp.csr_array([[1.0, 2.0]])
    >>> ss.block_array([[None, x], [x.T, None]]).eval().toarray()
    array([[0., 1., 2.],
           [1., 0., 0.],
           [2., 0., 0.]])
    """
    name = "block_array"
    grid = [
        [None if b is None else operand(name, b) for b in _listed(name, row, True)]
        for row in _listed(name, blocks, True)
    ]
    if not grid or not grid[0] or len({len(row) for row in grid}) > 1:
        raise ValueError(
            f"{name}: needs rows of one length, at least 1; got {[len(row) for row in grid]} blocks. None stands for a "
            "block without entries."
        )
    given = [b for row in grid for b in row if b is not None]
    for b in given:
        if not is_sparse(b):
            dense_operand(name, b, (2,))
    heights = [_common_size(f"row {i}", row, 0) for i, row in enumerate(grid)]
    widths = [_common_size(f"column {j}", column, 1) for j, column in enumerate(zip(*grid, strict=True))]
    dtype = upcast(*(b.dtype for b in given)) if dtype is None else legal_dtype(name, dtype)
    if dtype not in complex_dtypes and any(b.dtype in complex_dtypes for b in given):
        raise error(name, given, f"complex blocks have no {dtype} values", "Take their real parts.")
    format = None if format is None else legal_format(name, format)
    rows = [
        hstack(
            [
                no_entries("csr", "bool", "int32", n, m) if b is None else b
                for b, m in zip(row, widths, strict=True)
            ],
            format,
            dtype,
        )
        for row, n in zip(grid, heights, strict=True)
    ]
    return vstack(rows, format, dtype)


def _common_size(what, blocks, axis):
    """The size that these blocks share; known if that of one of them is."""
    sizes = [size(b, axis) for b in blocks if b is not None]
    if not sizes:
        raise ValueError(
            f"block_array: all blocks of {what} are None, so its size is unknown. Pass a sparse matrix that stores "
            "nothing for one of them."
        )
    return next((n for n in sizes if isinstance(n, int)), sizes[0])


__all__ = [
    "BlockDiag",
    "HStack",
    "VStack",
    "block_array",
    "block_diag",
    "hstack",
    "vstack",
]
