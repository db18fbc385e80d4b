"""Other values on the pattern of a matrix: given ones, sampled ones, ones, nothing."""

import numpy as np
import pytensor.tensor as pt

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    equal,
    error,
    require,
    sparse_operand,
    typed,
)
from symsparse.ops.csm import CSM, csm_properties, replaced_values, shape_vector
from symsparse.types import compressed, continuous_dtypes, legal_dtype


def with_values(x, values):
    """The pattern of a sparse matrix with other values; ``x.with_values(values)``.

    Parameters
    ----------
    x : sparse matrix (m, n)
        Its values are not read.
    values : dense vector (nnz,)
        One for each stored entry, in the order of ``x.values``; an error at run time if there are more or fewer.

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`, as it is stored: unsorted if `x` is, explicit zeros and duplicates too. dtype of
        `values`.

    Notes
    -----
    Gradient: wrt `values`, the cotangent at each entry; `x` itself has none, only what `values` is made of:
    ``x.with_values(f(x.values))`` has a structured one. O(1).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x = ss.constant(sp.csr_array([[0.0, 5.0], [7.0, 0.0]]))
    >>> x.with_values([1, 2]).eval().toarray()
    array([[0, 1],
           [2, 0]])
    """
    x, values = sparse_operand("with_values", x), dense_operand("with_values", values, (1,))
    _, indices, indptr, _ = csm_properties(x)
    size, nnz = values.type.shape[0], indices.type.shape[0]
    if None not in (size, nnz) and size != nnz:
        raise error(
            "with_values",
            [x, values],
            f"the pattern has {nnz} entries",
            "Pass one value for each.",
            ValueError,
        )
    # The check hangs on the pattern: what is differentiable stays free of it.
    same = equal(
        values.shape[0],
        indices.shape[0],
        "with_values: the number of values is not that of the stored entries: %d and %d",
    )
    made = replaced_values(x, values)
    return made.owner.op(values, require(indices, same), require(indptr, same), made.owner.inputs[3])


class OnesLike(SparseOp):
    """Ones on the canonical pattern of x."""

    __props__ = ("dtype",)

    def __init__(self, dtype):
        self.dtype = legal_dtype("sp_ones_like", dtype)

    def make_node(self, x):
        x = sparse_operand("sp_ones_like", x)
        return apply(self, [x], x.type.clone(dtype=self.dtype))

    def perform(self, node, inputs, outputs):
        x = canonical(inputs[0])
        outputs[0][0] = typed(
            node, compressed(x.format, np.ones(x.nnz), x.indices.copy(), x.indptr.copy(), x.shape)
        )

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        return [sp_zeros_like(inputs[0], _continuous(inputs[0].dtype))]

    def tangent(self, inputs, output, tangents):
        return sp_zeros_like(output)


def _continuous(dtype):
    return dtype if dtype in continuous_dtypes else "float64"


def sp_ones_like(x, dtype=None):
    """Ones at the stored entries of a sparse matrix.

    Parameters
    ----------
    x : sparse matrix (m, n)
    dtype : str, optional
        That of `x` by default.

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`; explicit zeros become ones, entries stored twice become one.

    Notes
    -----
    Gradient: zero.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_ones_like(sp.csr_array([[0.0, 5.0]])).eval().toarray()
    array([[0., 1.]])
    """
    x = sparse_operand("sp_ones_like", x)
    return OnesLike(x.dtype if dtype is None else dtype)(x)


def sp_zeros_like(x, dtype=None):
    """No stored entry, in the shape and format of a sparse matrix.

    Parameters
    ----------
    x : sparse matrix (m, n)
    dtype : str, optional
        That of `x` by default.

    Returns
    -------
    sparse matrix (m, n)

    Notes
    -----
    Gradient: zero (disconnected).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sp_zeros_like(sp.csr_array([[0.0, 5.0]])).eval().nnz
    0
    """
    x = sparse_operand("sp_zeros_like", x)
    dtype = x.dtype if dtype is None else legal_dtype("sp_zeros_like", dtype)
    return no_entries(x.format, dtype, x.type.index_dtype, *x.shape)


def no_entries(format, dtype, index_dtype, n, m):
    """The n x m matrix that stores nothing."""
    n, m = pt.as_tensor(n, dtype="int64"), pt.as_tensor(m, dtype="int64")
    return CSM(format, trusted=True)(
        pt.constant(np.zeros(0, dtype=dtype)),
        pt.constant(np.zeros(0, dtype=index_dtype)),
        pt.zeros(((n if format == "csr" else m) + 1,), dtype=index_dtype),
        shape_vector(n, m),
    )


__all__ = ["sp_ones_like", "sp_zeros_like", "with_values"]
