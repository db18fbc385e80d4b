"""Selecting rows, columns and submatrices, and placing their cotangents."""

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.graph.basic import Constant

from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_sparse,
    sampled,
    sparse_operand,
    typed,
    wider_index,
)
from symsparse.ops.layout import transpose
from symsparse.types import integer_dtypes

# -- one axis ---------------------------------------------------------------------------------------------------
#
# What is selected along an axis is a tuple of symbolic integers: (start, stop, step) or (vector,).

END = 2**62  # beyond each end of every axis, and far enough from overflow to be added to a size
EVERYTHING = tuple(pt.constant(n, dtype="int64") for n in (0, END, 1))


def is_everything(chosen):
    """Whether a selection surely takes the whole axis as it is."""
    return len(chosen) == 3 and all(
        isinstance(v, Constant) and v.data == e.data for v, e in zip(chosen, EVERYTHING, strict=True)
    )


def slice_range(chosen, n):
    """Symbolic first position and number of the positions that a slice takes of n, as in NumPy."""
    start, stop, step = chosen
    n = pt.as_tensor(n, dtype="int64")
    if all(isinstance(v, Constant) for v in (n, *chosen)):
        taken = range(int(n.data))[slice(*(int(v.data) for v in chosen))]
        return tuple(pt.constant(v, dtype="int64") for v in (taken.start, len(taken)))
    # Negative bounds count from the end. Then they are cut to 0..n, or to -1..n-1 for steps backwards.
    backwards = pt.lt(step, 0)
    low = pt.switch(backwards, pt.constant(-1, dtype="int64"), pt.constant(0, dtype="int64"))
    first, last = (pt.clip(pt.switch(v < 0, v + n, v), low, n + low) for v in (start, stop))
    towards = pt.switch(backwards, step + 1, step - 1)  # rounds up
    return first, pt.maximum((last - first + towards) // step, pt.constant(0, dtype="int64"))


def selected_size(chosen, n):
    """Symbolic size of what is selected of an axis of size n."""
    return (
        chosen[0].shape[0] if len(chosen) == 1 else n if is_everything(chosen) else slice_range(chosen, n)[1]
    )


def positions(chosen, n):
    """The selected positions of an axis of size n, as a vector."""
    if len(chosen) == 1:
        return chosen[0]
    first, size = slice_range(chosen, n)
    return first + chosen[2] * pt.arange(size)


def _static_size(chosen, n):
    if len(chosen) == 1:
        return chosen[0].type.shape[0]
    if is_everything(chosen):
        return n
    if not all(isinstance(v, Constant) for v in chosen):
        return None
    start, stop, step = (int(v.data) for v in chosen)
    if n is not None:
        return len(range(n)[start:stop:step])
    empty = (start < 0) == (stop < 0) and (stop - start) * step <= 0
    return 0 if empty else None


def index_vector(op, index):
    """A vector of integers that selects along an axis."""
    if isinstance(index, list) and not index:
        index = np.zeros(0, dtype="int64")
    index = dense_operand(op, index, (1,))
    if index.dtype not in integer_dtypes:
        raise error(op, [index], "the indices must be a vector of integers", "Cast them to int64.")
    return index


def within(op, index, n):
    """Reference check of index values: the positions 0..n-1 that they name."""
    outside = index[(index < -n) | (index >= n)]
    if len(outside):
        raise IndexError(f"{op}: index {outside[0]} is outside an axis of size {n}")
    index = index.astype(np.int64)
    return np.where(index < 0, index + n, index)


def _positions(chosen, n):
    """Reference selection of a slice: its positions, of which there may be too many where it is everything."""
    taken = range(n)[chosen]
    return slice(None) if taken == range(n) else np.arange(taken.start, taken.stop, taken.step)


# -- submatrices ------------------------------------------------------------------------------------------------


class GetItem2d(SparseOp):
    """Rows and columns of a sparse matrix. Gradient structured: g at the stored entries of the selection.

    Parameters
    ----------
    rows, columns : {"slice", "list"}
        How they are given, in the inputs that follow the matrix: a slice as three scalars (start, stop, step), a list
        as one vector.
    """

    __props__ = ("rows", "columns")
    multilinear = True

    def __init__(self, rows="slice", columns="slice"):
        if not {rows, columns} <= {"slice", "list"}:
            raise ValueError(f"GetItem2d: {rows!r} and {columns!r} are not among 'slice' and 'list'.")
        self.rows, self.columns = rows, columns

    def split(self, index):
        """What is selected along the rows and along the columns, from the inputs that follow the matrix."""
        n = 3 if self.rows == "slice" else 1
        return tuple(index[:n]), tuple(index[n:])

    def make_node(self, x, *index):
        x = sparse_operand("get_item_2d", x)
        made = []
        for chosen in self.split(index):
            if len(chosen) == 1:
                made.append((index_vector("get_item_2d", chosen[0]),))
            else:
                made.append(tuple(pt.as_tensor(v, dtype="int64", ndim=0) for v in chosen))
        shape = tuple(_static_size(c, n) for c, n in zip(made, x.type.shape, strict=True))
        return apply(self, [x, *made[0], *made[1]], x.type.clone(shape=shape))

    def perform(self, node, inputs, outputs):
        x, *index = inputs
        rows, columns = (
            _positions(slice(*map(int, c)), n) if len(c) == 3 else within("getitem", c[0], n)
            for c, n in zip(self.split(index), x.shape, strict=True)
        )
        outputs[0][0] = typed(node, x[rows][:, columns])

    def infer_shape(self, node, shapes):
        chosen = self.split(node.inputs[1:])
        return [tuple(selected_size(c, n) for c, n in zip(chosen, shapes[0], strict=True))]

    def cotangents(self, inputs, output, g):
        x, *index = inputs
        rows, columns = self.split(index)
        return [placed(x, rows, columns, sampled(g, output))]


def select(x, rows, columns):
    """The submatrix of these rows and columns, each (start, stop, step) or (vector,)."""
    if len(rows) == 1 and is_everything(columns):
        return GetItemList()(x, *rows)
    return GetItem2d(*("slice" if len(c) == 3 else "list" for c in (rows, columns)))(x, *rows, *columns)


def placed(x, rows, columns, y):
    """A matrix of x's shape and format with the sparse y at these rows and columns; the adjoint of `select`."""
    if not is_everything(columns):
        like = x if is_everything(rows) else select(x, rows, EVERYTHING)  # only its shape is used
        at = positions(columns, x.shape[1])
        y = transpose(GetItemListGrad()(transpose(like), at, transpose(y)))
    if not is_everything(rows):
        y = GetItemListGrad()(x, positions(rows, x.shape[0]), y)
    return y


class GetItemList(SparseOp):
    """Rows of a sparse matrix, in any order, repeated or not. Gradient structured: rows of g added at their places."""

    __props__ = ()
    multilinear = True

    def make_node(self, x, index):
        x, index = sparse_operand("get_item_list", x), index_vector("get_item_list", index)
        return apply(self, [x, index], x.type.clone(shape=(index.type.shape[0], x.type.shape[1])))

    def perform(self, node, inputs, outputs):
        x, index = inputs
        outputs[0][0] = typed(node, x.tocsr()[within("getitem", index, x.shape[0])])

    def infer_shape(self, node, shapes):
        return [(shapes[1][0], shapes[0][1])]

    def cotangents(self, inputs, output, g):
        x, index = inputs
        return [GetItemListGrad()(x, index, sampled(g, output))]


class GetItemListGrad(SparseOp):
    """A matrix of x's shape and format with the rows of the sparse gz added at the places `index`."""

    __props__ = ()
    differentiable = (2,)
    multilinear = True

    def make_node(self, x, index, gz):
        name = "get_item_list_grad"
        x, index, gz = sparse_operand(name, x), index_vector(name, index), sparse_operand(name, gz)
        return apply(self, [x, index, gz], x.type.clone(dtype=gz.dtype, index_dtype=wider_index(x, gz)))

    def perform(self, node, inputs, outputs):
        x, index, gz = inputs
        n, k = x.shape[0], gz.shape[0]
        if len(index) != k or gz.shape[1] != x.shape[1]:
            raise ValueError(
                f"get_item_list_grad: shapes do not fit: {x.shape}, {len(index)} rows and {gz.shape}."
            )
        rows, columns = gz.tocoo().coords
        places = within("get_item_list_grad", index, n)[rows]
        outputs[0][0] = typed(
            node, sp.coo_array((gz.data, (places, columns)), shape=x.shape).asformat(x.format)
        )

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        return [get_item_list(g, inputs[1]) if is_sparse(g) else g[inputs[1]]]


get_item_list_grad = GetItemListGrad()


# -- functions --------------------------------------------------------------------------------------------------


def get_item_2d(x, index):
    """Rows and columns of a sparse matrix; ``x[a:b, c:d]``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    index : slice, vector of integers or mask, or tuple of two of them
        Bounds and steps are integers, symbolic integers or None, with NumPy's meaning. A single one selects rows.

    Returns
    -------
    sparse matrix
        Format and dtype of `x`; always two-dimensional.

    Notes
    -----
    Gradient: structured, the cotangent at the stored entries of the selection, added up where a row or column is
    repeated. O(m + n) and the stored entries: those of the selected rows of a csr, columns of a csc matrix.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> x[:, ::-1].eval().toarray()
    array([[2., 0., 1.],
           [0., 3., 0.]])
    """
    from symsparse.ops.subscripts import getitem

    selected = getitem(x, index)
    if not is_sparse(selected):
        raise error(
            "get_item_2d", [x], "an integer index gives a dense result", "Use slices; x[i:i + 1] is row i."
        )
    return selected


def get_item_list(x, index):
    """Rows of a sparse matrix; ``x[index]``.

    Parameters
    ----------
    x : sparse matrix (m, n)
    index : integer vector (k,)
        Negative ones count from the end; out of range is an IndexError.

    Returns
    -------
    sparse matrix (k, n)
        Format and dtype of `x`.

    Notes
    -----
    Gradient: structured, the cotangent at the stored entries of the rows; repeated rows add up, other rows store
    nothing. O(nnz of the result) for csr, O(nnz(x) + m) more for csc.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> x[[1, 1]].eval().toarray()
    array([[0., 2.],
           [0., 2.]])
    """
    return GetItemList()(x, index)


__all__ = [
    "GetItem2d",
    "GetItemList",
    "GetItemListGrad",
    "get_item_2d",
    "get_item_list",
    "get_item_list_grad",
]
