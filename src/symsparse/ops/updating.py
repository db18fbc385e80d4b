"""A matrix with a selection replaced or increased: ``x[index].set(y)`` and ``x[index].inc(y)``."""

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Constant, Variable
from pytensor.scalar import upcast

from symsparse.ops.arithmetic import add
from symsparse.ops.base import (
    Check,
    Holds,
    Require,
    SparseOp,
    apply,
    canonical,
    equal,
    error,
    is_sparse,
    merged_shape,
    operand,
    pattern_keys,
    require,
    require_equal,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.csm import CSM, replaced_values, shape_vector
from symsparse.ops.entries import GetItem2Lists, GetItem2ListsGrad, GetItemScalar
from symsparse.ops.indexing import EVERYTHING, GetItem2d, GetItemList, placed, select
from symsparse.ops.layout import asformat, sum_duplicates
from symsparse.types import compressed


class Without(SparseOp):
    """The entries of x at positions where p stores none. Gradient structured: g at those entries.

    What is left out is dropped, not multiplied by zero: NaN does not stay behind. The values of p are not read.
    """

    __props__ = ()
    multilinear = True

    def make_node(self, x, p):
        x, p = sparse_operand("without", x), sparse_operand("without", p)
        return apply(self, [x, p], x.type.clone(shape=merged_shape("without", x, p)))

    def perform(self, node, inputs, outputs):
        x, p = canonical(inputs[0]), inputs[1]
        require_equal("without", "shapes", x.shape, p.shape)
        kept = ~np.isin(pattern_keys(x), pattern_keys(p))
        before = np.concatenate([[0], np.cumsum(kept)])
        result = compressed(x.format, x.data[kept], x.indices[kept], before[x.indptr], x.shape)
        outputs[0][0] = typed(node, result)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        # A projection onto a part of x's positions, which is its own adjoint.
        x, p = inputs
        return [self(sampled(g, x), p)]


def set_subtensor(x, y):
    """A matrix with a selection of it replaced.

    Parameters
    ----------
    x : a selection ``a[...]`` of a sparse matrix `a`
        As `a` is indexed: a submatrix, a row or column, pairs, or one entry. For a submatrix ``a[...].set(y)`` is the
        same; the others are dense variables, which have no such method for it.
    y : sparse or dense, of the size of the selection
        Broadcast as NumPy does along axes that are known to have size 1 when the graph is built. A submatrix takes a
        sparse or dense matrix, or a scalar; the others are dense.
        Of a dtype that that of `a` can hold.

    Returns
    -------
    sparse matrix, of the shape, format and dtype of `a`
        Entries of `a` in the selection are gone, whatever they were. A sparse `y` is stored as it is, a dense one at
        each position of the selection, zeros too; the number 0 stores nothing. Where a position is selected more than
        once, the last value wins.

    Notes
    -----
    Gradient: wrt `a` structured, the cotangent outside the selection; wrt `y` the cotangent in the selection, zero
    for values that were overwritten by later ones. O(nnz(a) + size of y + m + n).

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> a = ss.constant(sp.csr_array([[1.0, np.nan], [0.0, 2.0]]))
    >>> ss.set_subtensor(a[0], [0.0, 5.0]).eval().toarray()
    array([[0., 5.],
           [0., 2.]])
    >>> a[:, 1:].set(0).eval().toarray()
    array([[1., 0.],
           [0., 0.]])
    """
    name = "set_subtensor"
    a, chosen, y = _update(name, x, y)
    if _pairs(chosen):
        at = sum_duplicates(GetItem2ListsGrad()(a, *chosen, pt.zeros(chosen[0].shape, dtype="int8")))
        rest = Without()(a, at)
        return rest if y is None else add(rest, _last_values(name, at, chosen, y))
    rows, columns = chosen
    rest = Without()(a, placed(a, rows, columns, x))
    if y is None:
        return rest
    y = _as_submatrix(name, x, y)
    if not _distinct(rows, a.type.shape[0]):
        at, last = _last_of_each(rows[0], a.shape[0], y.shape[0])
        rows, y = (at,), select(y, (last,), EVERYTHING)
    if not _distinct(columns, a.type.shape[1]):
        at, last = _last_of_each(columns[0], a.shape[1], y.shape[1])
        columns, y = (at,), select(y, EVERYTHING, (last,))
    return add(rest, placed(a, rows, columns, y))


def inc_subtensor(x, y):
    """A matrix with a selection of it increased.

    Parameters
    ----------
    x : a selection ``a[...]`` of a sparse matrix `a`
    y : sparse or dense, of the size of the selection
        As in `set_subtensor`.

    Returns
    -------
    sparse matrix, of the shape, format and dtype of `a`
        On the union of a's entries and what is added. Where a position is selected more than once, all values are
        added.

    Notes
    -----
    Gradient: regular wrt `a`, ``g``; wrt `y` the cotangent in the selection. O(nnz(a) + size of y + m + n).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> a = ss.constant(sp.csr_array([[1.0, 0.0], [0.0, 2.0]]))
    >>> a[[0, 0]].inc([[1.0, 2.0], [3.0, 4.0]]).eval().toarray()
    array([[5., 6.],
           [0., 2.]])
    """
    name = "inc_subtensor"
    a, chosen, y = _update(name, x, y)
    if y is None:
        return a
    if _pairs(chosen):
        return add(a, GetItem2ListsGrad()(a, *chosen, _as_vector(name, y, chosen[0].shape[0])))
    rows, columns = chosen
    return add(a, placed(a, rows, columns, _as_submatrix(name, x, y)))


def _update(op, x, y):
    """The matrix behind a selection, what is selected, and `y` in its dtype; y is None for the number 0."""
    selecting = x.owner.op if hasattr(x, "owner") and x.owner is not None else None
    if isinstance(selecting, GetItem2d):
        a, *index = x.owner.inputs
        chosen = selecting.split(index)
    elif isinstance(selecting, GetItemList):
        a, rows = x.owner.inputs
        chosen = ((rows,), EVERYTHING)
    elif isinstance(selecting, GetItem2Lists | GetItemScalar):
        a, *chosen = x.owner.inputs
        chosen = tuple(v.reshape((1,)) if v.type.ndim == 0 else v for v in chosen)
    else:
        raise error(
            op,
            [x],
            "the first operand is no selection of a sparse matrix",
            f"Write {op}(a[...], y) with a sparse a; for a dense one use pytensor.tensor.{op}.",
        )
    if isinstance(y, int | float | complex | np.generic):
        if y == 0:
            return a, chosen, None
        # A Python number has no width of its own, a NumPy number has.
        y = pt.constant(y, dtype=np.result_type(np.dtype(a.dtype), y).name)
    y = operand(op, y)
    if upcast(a.dtype, y.dtype) != a.dtype:
        raise error(
            op,
            [a, y],
            f"{a.dtype} cannot hold {y.dtype} without loss",
            "Cast one of them with astype(dtype).",
        )
    if y.type.ndim > x.type.ndim or (is_sparse(y) and not is_sparse(x)):
        raise error(
            op, [x, y], "the new values do not fit the selection", "Give a dense tensor of its dimensions."
        )
    return a, chosen, y if y.dtype == a.dtype else y.astype(a.dtype)


def _pairs(chosen):
    """Whether these are a vector of rows and one of columns, and no selections along the axes."""
    return isinstance(chosen[0], Variable)


def _as_submatrix(op, x, y):
    """`y` as a sparse matrix of x's format; sizes that are statically 1 are broadcast to those of x."""
    if y.type.ndim < 2:
        y = pt.atleast_2d(y)
    broadcast = [n == 1 and size != 1 for n, size in zip(y.type.shape, x.type.shape, strict=True)]
    for n, size, b in zip(y.type.shape, x.type.shape, broadcast, strict=True):
        if not b and None not in (n, size) and n != size:
            raise error(
                op, [x, y], "the shapes of the selection and of the new values differ", kind=ValueError
            )
    if is_sparse(y):
        chosen = [
            (pt.zeros((size,), dtype="int64"),) if b else EVERYTHING
            for size, b in zip(x.shape, broadcast, strict=True)
        ]
        return asformat(select(y, *chosen) if any(broadcast) else y, x.format)
    if any(broadcast):
        sizes = (size if b else n for n, size, b in zip(y.shape, x.shape, broadcast, strict=True))
        y = pt.alloc(y, *sizes)
    return _stored(op, y, x)


def _stored(op, y, like):
    """A dense matrix with each of its positions stored, zeros too: its pattern does not depend on its values."""
    index_dtype = like.type.index_dtype
    n, m = y.shape if like.format == "csr" else y.shape[::-1]
    cause = f"{op}: the new values are too many for {index_dtype} indices: %d, and these count to %d"
    indptr = require(pt.arange(n + 1) * m, ("at_most", n * m, np.iinfo(index_dtype).max, cause))
    indices = pt.tile(pt.arange(m), n)
    values = (y if like.format == "csr" else y.T).flatten()
    pattern = (v.astype(index_dtype) for v in (indices, indptr))
    return CSM(like.format, trusted=True)(values, *pattern, shape_vector(*y.shape))


def _as_vector(op, y, size):
    """`y` as a vector with an element for each of the selected pairs."""
    if y.type.ndim == 0 or y.type.shape[0] == 1:
        return pt.alloc(y if y.type.ndim == 0 else y[0], size)
    return y


def _last_values(op, at, pairs, y):
    """The pattern of `at` with the last value of y for each of its positions."""
    size = pairs[0].shape[0]
    y = _as_vector(op, y, size)
    places = GetItem2Lists()(replaced_values(at, pt.arange(at.nnz)), *pairs)
    last = pt.zeros((at.nnz,), dtype="int64")[places].set(pt.arange(size))
    same = equal(
        y.shape[0], size, f"{op}: the numbers of new values and of their positions differ: %d and %d"
    )
    return replaced_values(at, y[require(last, same)])


def _last_of_each(index, n, size):
    """The distinct positions that a vector names, in order, and which of its elements names each last.

    The elements stand for the rows (columns) of the new values, of which there are `size`.
    """
    inside = Check(IndexError, "set_subtensor: an index is outside the sparse matrix")
    index = inside(index, pt.all(pt.ge(index, -n) & pt.lt(index, n)))
    cause = (
        "set_subtensor: the shapes of the selection and of the new values differ: %d and %d rows (columns)"
    )
    index = require(index, equal(index.shape[0], size, cause))
    last = pt.full((n,), pt.constant(-1, dtype="int64"))[index].set(pt.arange(index.shape[0]))
    at = Holds()(last >= 0)
    return at, last[at]


def _distinct(chosen, n):
    """Whether a selection along an axis of static size n surely names each position once."""
    if len(chosen) == 3:
        return True
    index = chosen[0]
    while index.owner is not None and isinstance(index.owner.op, Check | Require):
        index = index.owner.inputs[0]
    if isinstance(index, Constant):
        named = index.data
        if n is not None:
            named = np.where(named < 0, named + n, named)
        return len(np.unique(named)) == len(named) and (not len(named) or named.min() >= 0 or named.max() < 0)
    return index.owner is not None and isinstance(index.owner.op, Holds)


__all__ = ["Without", "inc_subtensor", "set_subtensor"]
