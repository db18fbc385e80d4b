"""Sampling a matrix, or a product of matrices, on a sparse pattern: the structured half of the cotangent law."""

import numpy as np
from pytensor.graph.basic import Apply
from pytensor.scalar import upcast
from pytensor.tensor.type import TensorType

from symsparse.backends.c import CKernel
from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    conjugate,
    dense_operand,
    error,
    is_sparse,
    lookup,
    merged_shape,
    operand,
    require_equal,
    sampled,
    sparse_operand,
    typed,
    wider_index,
)
from symsparse.types import compressed, integer_dtypes
from symsparse.validation import check_pattern


class Sample(SparseOp):
    """``g`` (dense, or sparse in any format) at the stored entries of the sparse ``x``.

    The result has x's format and canonical pattern and g's dtype. It is linear in g and does not depend on x's
    values. With P the projection onto x's pattern, <h, P g> = <P h, g>, so P is its own adjoint.
    """

    __props__ = ()
    multilinear = True

    def make_node(self, g, x):
        g, x = operand("sample", g), sparse_operand("sample", x)
        if not is_sparse(g):
            dense_operand("sample", g, (2,))
        shape = merged_shape("sample", x, g)
        index_dtype = wider_index(g, x) if is_sparse(g) else x.type.index_dtype
        return apply(self, [g, x], x.type.clone(dtype=g.dtype, shape=shape, index_dtype=index_dtype))

    def perform(self, node, inputs, outputs):
        g, x = inputs
        require_equal("sample", "shapes", g.shape, x.shape)
        pattern = canonical(x)
        values = g[pattern.tocoo().coords] if isinstance(g, np.ndarray) else lookup(g, pattern)
        result = compressed(x.format, values, pattern.indices.copy(), pattern.indptr.copy(), x.shape)
        outputs[0][0] = typed(node, result)

    def infer_shape(self, node, shapes):
        return [shapes[1]]

    def cotangents(self, inputs, output, g):
        # <h, P u> = <P h, u>: sparse on x's pattern, stored densely only if u is dense.
        u, x = inputs
        projected = self(g, x)
        return [projected if is_sparse(u) else projected.toarray(structured=False)]


def sample(g, x):
    """A dense or sparse matrix at the stored entries of another.

    Parameters
    ----------
    g : dense or sparse matrix (m, n)
        What to sample; any format.
    x : sparse matrix (m, n)
        Where to sample it. Its values do not matter; entries stored twice count once.

    Returns
    -------
    sparse matrix (m, n)
        Format of `x`, dtype of `g`. A stored position of `x` where `g` stores nothing becomes an explicit zero.

    Notes
    -----
    Gradient: structured wrt `g`, the cotangent on the same pattern. O(nnz(x)), plus O(nnz(g)) if `g` is sparse.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.sample(np.arange(4.0).reshape(2, 2), ss.constant(sp.eye_array(2, format="csr"))).eval().toarray()
    array([[0., 0.],
           [0., 3.]])
    """
    return Sample()(g, x)


class SamplingDot(SparseOp):
    """``p * (x @ y.T)`` computed at the stored entries of p only.

    Gradient: ``(p * g) @ y``, ``(p * g).T @ x``, and for p structured ``g * (x @ y.T)`` at p's entries.
    """

    __props__ = ()
    differentiable = (0, 1, 2)
    multilinear = True

    def make_node(self, x, y, p):
        name = "sampling_dot"
        x, y, p = dense_operand(name, x, (2,)), dense_operand(name, y, (2,)), sparse_operand(name, p)
        (m, k), (n, k_y), (pm, pn) = x.type.shape, y.type.shape, p.type.shape
        for a, b, what in (
            (k, k_y, "x and y differ in their columns"),
            (m, pm, "x and p differ in their rows"),
            (n, pn, "the rows of y are not the columns of p"),
        ):
            if None not in (a, b) and a != b:
                raise error(
                    name, [x, y, p], what, "The shapes must be (m, k), (n, k) and (m, n).", ValueError
                )
        shape = (pm if pm is not None else m, pn if pn is not None else n)
        return apply(self, [x, y, p], p.type.clone(dtype=upcast(x.dtype, y.dtype, p.dtype), shape=shape))

    def perform(self, node, inputs, outputs):
        x, y, p = inputs
        if x.shape[1] != y.shape[1] or (x.shape[0], y.shape[0]) != p.shape:
            raise ValueError(f"sampling_dot: shapes do not fit: {x.shape}, {y.shape} and {p.shape}.")
        dtype = node.outputs[0].dtype
        rows, cols = p.tocoo().coords
        sampled_product = (x.astype(dtype)[rows] * y.astype(dtype)[cols]).sum(1)
        values = p.data.astype(dtype) * sampled_product.astype(dtype)
        outputs[0][0] = compressed(p.format, values, p.indices.copy(), p.indptr.copy(), p.shape)

    def infer_shape(self, node, shapes):
        return [shapes[2]]

    def cotangents(self, inputs, output, g):
        from symsparse.ops.matmul import structured_dot

        x, y, p = inputs
        cx, cy = conjugate(x), conjugate(y)
        weighted = conjugate(p) * g  # sparse on p's pattern, whatever g is
        return [
            structured_dot(weighted, cy),
            structured_dot(weighted.T, cx),
            sampling_dot(cx, cy, sampled(g, p)),
        ]


class SampledProduct(SparseOp):
    """``x @ y`` at the stored entries of p, for x or y sparse: `Sample` of a product that is never formed.

    The compiler puts it in the place of the two. Gradient: that of the two.
    """

    __props__ = ()
    differentiable = (0, 1)
    multilinear = True

    def make_node(self, x, y, p):
        x, y, p = operand("dot", x), operand("dot", y), sparse_operand("sample", p)
        sizes = zip(p.type.shape, (x.type.shape[0], y.type.shape[1]), strict=True)
        shape = tuple(a if a is not None else b for a, b in sizes)
        index_dtype = wider_index(x, y, p) if is_sparse(x) and is_sparse(y) else p.type.index_dtype
        type = p.type.clone(dtype=upcast(x.dtype, y.dtype), shape=shape, index_dtype=index_dtype)
        return apply(self, [x, y, p], type)

    def perform(self, node, inputs, outputs):
        x, y, p = inputs
        if x.shape[1] != y.shape[0] or (x.shape[0], y.shape[1]) != p.shape:
            raise ValueError(f"dot: shapes do not fit: {x.shape}, {y.shape} and {p.shape}.")
        p = canonical(p)
        dtype = node.outputs[0].dtype
        product = x.astype(dtype) @ y.astype(dtype)
        values = product[p.tocoo().coords] if isinstance(product, np.ndarray) else lookup(product, p)
        outputs[0][0] = typed(node, compressed(p.format, values, p.indices.copy(), p.indptr.copy(), p.shape))

    def infer_shape(self, node, shapes):
        return [shapes[2]]

    def cotangents(self, inputs, output, g):
        from symsparse.ops.matmul import dot

        x, y, p = inputs
        g = sampled(g, p)
        return [dot(g, conjugate(y).T), dot(conjugate(x).T, g)]


class _StructuredDotGrad(SparseOp, CKernel):
    """Cotangent of the values of the sparse operand of a structured dot: ``g @ b.T`` at its entries."""

    __props__ = ()
    differentiable = (2, 3)
    multilinear = True
    format: str
    c_function = "sddmm"

    def make_node(self, a_indices, a_indptr, b, g_ab):
        name = type(self).__name__
        indices, indptr = (dense_operand(name, v, (1,)) for v in (a_indices, a_indptr))
        b, g = (dense_operand(name, v, (2,)) for v in (b, g_ab))
        for v in (indices, indptr):
            if v.dtype not in integer_dtypes:
                raise error(name, [v], "indices and indptr must be integers", "Cast them to int32.")
        dtype = upcast(b.dtype, g.dtype)
        return Apply(self, [indices, indptr, b, g], [TensorType(dtype, (indices.type.shape[0],))()])

    def perform(self, node, inputs, outputs):
        indices, indptr, b, g = inputs
        name = type(self).__name__
        require_equal(name, "the columns of b and g", b.shape[1], g.shape[1])
        check_pattern(self.format, len(indices), indices, indptr, (len(g), len(b)))
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        rows, cols = (major, indices) if self.format == "csr" else (indices, major)
        outputs[0][0] = (g[rows] * b[cols]).sum(1).astype(node.outputs[0].dtype)

    def c_arguments(self, node, inputs):
        indices, indptr, b, g = inputs
        major, minor = (g, b) if self.format == "csr" else (b, g)
        return indices, indptr, f"PyArray_DIM({minor}, 0)", major, minor

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, h):
        # out_k = g[i_k] . b[j_k]: with H the sparse matrix of values h, gb = H.T @ g and gg = H @ b.
        from symsparse.ops.csm import CSM, shape_vector
        from symsparse.ops.matmul import structured_dot

        indices, indptr, b, g = inputs
        sparse = CSM(self.format)(h, indices, indptr, shape_vector(g.shape[0], b.shape[0]))
        return [structured_dot(sparse.T, conjugate(g)), structured_dot(sparse, conjugate(b))]


class StructuredDotGradCSC(_StructuredDotGrad):
    """Values of ``g @ b.T`` at the entries of a csc pattern (indices, indptr)."""

    format = "csc"


class StructuredDotGradCSR(_StructuredDotGrad):
    """Values of ``g @ b.T`` at the entries of a csr pattern (indices, indptr)."""

    format = "csr"


sdg_csc, sdg_csr = StructuredDotGradCSC(), StructuredDotGradCSR()


def structured_dot_grad(sparse_A, dense_B, ga):
    """Structured cotangent of `sparse_A` in ``sparse_A @ dense_B``: ``ga @ dense_B.T`` at its stored entries.

    Parameters
    ----------
    sparse_A : sparse matrix (m, n)
    dense_B : dense matrix (n, k)
    ga : dense matrix (m, k)
        Cotangent of the product.

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `sparse_A`.

    Notes
    -----
    Gradient: with H the cotangent, ``H @ dense_B`` and ``H.T @ ga``. O(nnz k).

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.structured_dot_grad(sp.csr_array([[0.0, 1.0]]), np.ones((2, 3)), np.ones((1, 3))).eval().toarray()
    array([[0., 3.]])
    """
    from symsparse.ops.values import sp_ones_like

    name = "structured_dot_grad"
    x, b, g = (
        sparse_operand(name, sparse_A),
        dense_operand(name, dense_B, (2,)),
        dense_operand(name, ga, (2,)),
    )
    (m, n), (n_b, k), (m_g, k_g) = x.type.shape, b.type.shape, g.type.shape
    if any(None not in (a, b_) and a != b_ for a, b_ in ((m, m_g), (n, n_b), (k, k_g))):
        raise error(
            name, [x, b, g], "the shapes do not fit", "They must be (m, n), (n, k) and (m, k).", ValueError
        )
    return sampling_dot(g, b, sp_ones_like(x, "bool"))


def sampling_dot(x, y, p):
    """Product of two dense matrices at the stored entries of a sparse one: ``p * (x @ y.T)``.

    Parameters
    ----------
    x : dense matrix (m, k)
    y : dense matrix (n, k)
    p : sparse matrix (m, n)

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `p`; dtype of all three upcast.

    Notes
    -----
    Gradient: ``(p * g) @ y`` and ``(p * g).T @ x``, dense; wrt p structured, ``g * (x @ y.T)`` at p's entries.
    O(nnz(p) k): no m x n matrix is formed (SDDMM).

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> p = sp.csr_array([[0.0, 1.0], [0.0, 0.0]])
    >>> ss.sampling_dot(np.ones((2, 3)), np.ones((2, 3)), p).eval().toarray()
    array([[0., 3.],
           [0., 0.]])
    """
    return SamplingDot()(x, y, p)


__all__ = [
    "Sample",
    "SamplingDot",
    "StructuredDotGradCSC",
    "StructuredDotGradCSR",
    "sample",
    "sampling_dot",
    "sdg_csc",
    "sdg_csr",
    "structured_dot_grad",
]
