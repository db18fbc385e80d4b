"""How a matrix is stored: transpose, format, order of indices, duplicates, explicit zeros."""

from symsparse.ops.base import (
    OTHER_FORMAT,
    SparseOp,
    apply,
    canonical,
    error,
    is_sparse,
    sparse_operand,
    typed,
)
from symsparse.types import brief, compressed, legal_format, sparse_formats


class Transpose(SparseOp):
    """``x.T``, in the other format: the same three arrays read the other way. Gradient regular: ``gx = g.T``."""

    __props__ = ()
    view_map = {0: [0]}
    multilinear = True

    def make_node(self, x):
        x = sparse_operand("transpose", x)
        return apply(self, [x], x.type.clone(format=OTHER_FORMAT[x.format], shape=x.type.shape[::-1]))

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        outputs[0][0] = compressed(OTHER_FORMAT[x.format], x.data, x.indices, x.indptr, x.shape[::-1])

    def infer_shape(self, node, shapes):
        return [shapes[0][::-1]]

    def cotangents(self, inputs, output, g):
        return [transpose(g) if is_sparse(g) else g.T]


class _SameMatrix(SparseOp):
    """The same matrix stored differently: the gradient is regular, ``gx = g``."""

    multilinear = True

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        return [g]


class AsFormat(_SameMatrix):
    """The same matrix in another format, with sorted indices."""

    __props__ = ("format",)

    def __init__(self, format):
        self.format = legal_format("asformat", format)

    def make_node(self, x):
        x = sparse_operand("asformat", x)
        return apply(self, [x], x.type.clone(format=self.format))

    def perform(self, node, inputs, outputs):
        outputs[0][0] = typed(node, inputs[0].asformat(self.format, copy=True))


class EnsureSortedIndices(_SameMatrix):
    """The same matrix with sorted indices within each major slice; duplicates stay.

    Parameters
    ----------
    inplace : bool
        Whether the op may sort its input instead of a copy.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace):
        self.inplace = bool(inplace)
        if self.inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, x):
        x = sparse_operand("ensure_sorted_indices", x)
        return apply(self, [x], x.type)

    def perform(self, node, inputs, outputs):
        x = inputs[0] if self.inplace else inputs[0].copy()
        x.sort_indices()
        outputs[0][0] = x


class SumDuplicates(_SameMatrix):
    """The same matrix in canonical form: sorted indices, each position stored at most once."""

    __props__ = ()
    view_map = {0: [0]}

    def make_node(self, x):
        x = sparse_operand("sum_duplicates", x)
        return apply(self, [x], x.type)

    def perform(self, node, inputs, outputs):
        outputs[0][0] = canonical(inputs[0])


class Remove0(_SameMatrix):
    """The same matrix without explicit zeros.

    Parameters
    ----------
    inplace : bool
        Whether the op may work on its input instead of a copy.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace=False):
        self.inplace = bool(inplace)
        if self.inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, x):
        x = sparse_operand("remove0", x)
        return apply(self, [x], x.type)

    def perform(self, node, inputs, outputs):
        x = inputs[0] if self.inplace else inputs[0].copy()
        x.eliminate_zeros()
        outputs[0][0] = x


def transpose(x):
    """Transposed matrix, in the other format.

    Parameters
    ----------
    x : sparse matrix (m, n)

    Returns
    -------
    sparse matrix (n, m)
        csc for a csr matrix and the other way round; nothing is copied.

    Notes
    -----
    Gradient: regular, ``gx = g.T``. O(1).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.transpose(ss.csr_matrix("x", dtype="float64", shape=(2, 3))).type
    SparseTensorType(csc, float64, shape=(3, 2))
    """
    return Transpose()(x)


def asformat(x, format):
    """The same matrix in csr or csc format.

    Parameters
    ----------
    x : sparse matrix (m, n)
    format : {"csr", "csc"}

    Returns
    -------
    sparse matrix (m, n)
        `x` itself if the format is its own; otherwise with sorted indices.

    Notes
    -----
    Gradient: regular, ``gx = g``. O(nnz + m + n).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.asformat(ss.csr_matrix("x"), "csc").format
    'csc'
    """
    x = sparse_operand("asformat", x)
    if not (isinstance(format, str) and format in sparse_formats):
        raise error(
            "asformat", [x], f"unsupported format {brief(format)}", "Choose 'csr' or 'csc'.", ValueError
        )
    return x if x.format == format else AsFormat(format)(x)


def ensure_sorted_indices(x):
    """The same matrix with sorted indices in each row (csr) or column (csc).

    Notes
    -----
    Entries stored twice stay; `sum_duplicates` adds them. Gradient: regular, ``gx = g``. O(nnz log nnz) at worst.

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.ensure_sorted_indices(ss.csr_matrix("x")).format
    'csr'
    """
    return EnsureSortedIndices(inplace=False)(x)


def sum_duplicates(x):
    """The same matrix in canonical form: sorted indices, each position stored at most once.

    Notes
    -----
    Free where the matrix is known to be canonical. Gradient: regular, ``gx = g``.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = sp.csr_array((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 1))
    >>> ss.sum_duplicates(x).eval().data
    array([3.])
    """
    return SumDuplicates()(x)


def remove0(x):
    """The same matrix without explicit zeros (NaN stays).

    Notes
    -----
    Gradient: regular, ``gx = g``. O(nnz).

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = sp.csr_array((np.array([0.0, 2.0]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    >>> ss.remove0(x).eval().nnz
    1
    """
    return Remove0()(x)


def clean(x):
    """The same matrix, canonical and without explicit zeros: duplicates summed, indices sorted, zeros dropped.

    Notes
    -----
    Gradient: regular, ``gx = g``. O(nnz) where the indices are sorted.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = sp.csr_array((np.array([2.0, -2.0]), np.array([1, 1]), np.array([0, 2])), shape=(1, 2))
    >>> ss.clean(x).eval().nnz
    0
    """
    return remove0(sum_duplicates(sparse_operand("clean", x)))


__all__ = [
    "AsFormat",
    "EnsureSortedIndices",
    "Remove0",
    "SumDuplicates",
    "Transpose",
    "asformat",
    "clean",
    "ensure_sorted_indices",
    "remove0",
    "sum_duplicates",
    "transpose",
]
