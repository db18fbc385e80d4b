"""A sparse matrix from its parts, and its parts: CSM, CSMProperties and their derivatives."""

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.tensor.basic import MakeVector
from pytensor.tensor.type import TensorType

from symsparse.ops.base import (
    SparseOp,
    apply,
    dense_operand,
    error,
    is_disconnected,
    is_sparse,
    lookup,
    merged_shape,
    sampled,
    sparse_operand,
)
from symsparse.types import (
    SparseTensorType,
    compressed,
    integer_dtypes,
    legal_format,
)
from symsparse.validation import check_pattern


def _numbers(op, part, what):
    part = dense_operand(op, part, (0, 1, 2))
    if part.type.ndim != 1:
        raise error(op, [part], f"{what} must be a vector", "Index or reshape it.")
    return part


def _integers(op, part, what):
    part = dense_operand(op, part, (0, 1, 2))
    if part.type.ndim != 1 or part.dtype not in integer_dtypes:
        raise error(op, [part], f"{what} must be a vector of integers", "Reshape it, or cast it to int32.")
    return part


def _vector(dtype, size=None):
    return TensorType(dtype, (size,))()


class CSM(SparseOp):
    """A sparse matrix from values, indices, indptr and shape.

    Parameters
    ----------
    format : {"csr", "csc"}
    kmap : None
        Kept for compatibility; anything but None is an error.
    trusted : bool
        Leave out the check of the pattern. Only for patterns that come from a checked matrix.

    Notes
    -----
    Gradient: wrt the values only, regular: for each entry the cotangent at its position,
    ``csm_grad(values, indices, indptr, shape, *csm_properties(g))``.
    """

    __props__ = ("format", "trusted")
    view_map = {0: [0]}
    multilinear = True

    def __init__(self, format, kmap=None, trusted=False):
        if kmap is not None:
            raise ValueError(
                "CSM: kmap is not supported; index the values vector instead: CSM(format)(v[kmap], ...)."
            )
        self.format = legal_format("CSM", format)
        self.trusted = trusted

    def make_node(self, data, indices, indptr, shape):
        data = _numbers("CSM", data, "the values")
        indices, indptr, shape = (
            _integers("CSM", part, what)
            for part, what in ((indices, "indices"), (indptr, "indptr"), (shape, "shape"))
        )
        index_dtype = "int64" if "int64" in (indices.dtype, indptr.dtype) else "int32"
        if index_dtype == "int64" and all(isinstance(p, Constant) for p in (indices, indptr, shape)):
            # Out-of-range indices are left to the check of the pattern: narrowing would make legal ones of them.
            sizes = (indices.data.size, *indptr.data[-1:], *shape.data, indices.data.max(initial=0))
            fits = max(sizes) <= np.iinfo(np.int32).max and indices.data.min(initial=0) >= 0
            index_dtype = "int32" if fits else "int64"
        if any(p.dtype in ("uint32", "uint64") for p in (indices, indptr)):
            index_dtype = "int64"
        indices, indptr = (
            p if p.dtype == index_dtype else _cast_index(p, index_dtype) for p in (indices, indptr)
        )
        if shape.dtype != "int64":
            shape = shape.astype("int64")
        static = static_shape(shape)
        pattern = (indices, indptr, shape)
        if not self.trusted and all(
            isinstance(p, Constant) for p in pattern
        ):  # an error at the user's own line
            check_pattern(
                self.format, len(indices.data), indices.data, indptr.data, tuple(map(int, shape.data))
            )
        return apply(
            self,
            [data, indices, indptr, shape],
            SparseTensorType(self.format, data.dtype, static, index_dtype=index_dtype),
        )

    def perform(self, node, inputs, outputs):
        data, indices, indptr, shape = inputs
        if len(shape) != 2:
            raise ValueError(f"CSM: shape must have two elements, got {len(shape)}.")
        shape = tuple(map(int, shape))
        if not self.trusted:
            check_pattern(self.format, len(data), indices, indptr, shape)
            if max(shape) > np.iinfo(indices.dtype).max:
                raise ValueError(f"CSM: the shape {shape} does not fit int32 indices; pass int64 indices.")
        outputs[0][0] = compressed(self.format, np.ascontiguousarray(data), indices, indptr, shape)

    def infer_shape(self, node, shapes):
        return [(node.inputs[3][0], node.inputs[3][1])]

    def connection_pattern(self, node):
        return [[True], [False], [False], [False]]

    def cotangents(self, inputs, output, g):
        # The pattern of the output is one that was checked.
        pattern = inputs[1:] if self.trusted else CSMProperties()(output)[1:]
        return [csm_grad(inputs[0], *pattern, *csm_properties(_of_format(g, output)))]


def _cast_index(part, dtype):
    return pt.constant(part.data.astype(dtype)) if isinstance(part, Constant) else part.astype(dtype)


def static_shape(shape):
    """The sizes that are known when the graph is built of a symbolic shape vector."""
    if isinstance(shape, Constant):
        return tuple(int(n) for n in shape.data) if len(shape.data) == 2 else _bad_shape(shape)
    if shape.type.shape[0] not in (None, 2):
        _bad_shape(shape)
    owner = shape.owner
    if owner is not None and isinstance(owner.op, MakeVector):
        return tuple(int(n.data) if isinstance(n, Constant) else None for n in owner.inputs)
    return (None, None)


def _bad_shape(shape):
    raise error("CSM", [shape], "shape must have two elements", "Pass (rows, columns).", ValueError)


CSR = CSM("csr")
CSC = CSM("csc")


class CSMProperties(Op):
    """Values, indices, indptr and shape of a sparse matrix, as it is stored.

    Gradient: wrt the values, regular: ``CSM(format)(g, indices, indptr, shape)``, so the cotangent has x's pattern.
    Where x stores several values for one position, its element is the mean of theirs.
    """

    __props__ = ()
    view_map = {0: [0], 1: [0], 2: [0]}

    def __init__(self, kmap=None):
        if kmap is not None:
            raise ValueError("CSMProperties: kmap is not supported; index the values vector instead.")

    def make_node(self, csm):
        x = sparse_operand("csm_properties", csm)
        n_major = x.type.shape[0 if x.format == "csr" else 1]
        index_dtype = x.type.index_dtype
        return Apply(
            self,
            [x],
            [
                _vector(x.dtype),
                _vector(index_dtype),
                _vector(index_dtype, None if n_major is None else n_major + 1),
                _vector("int64", 2),
            ],
        )

    def perform(self, node, inputs, out):
        (x,) = inputs
        out[0][0], out[1][0], out[2][0] = x.data, x.indices, x.indptr
        out[3][0] = np.array(x.shape, dtype="int64")

    def connection_pattern(self, node):
        return [[True, False, False, False]]

    def pullback(self, inputs, outputs, cotangents):
        g = cotangents[0]
        return [disconnected_type() if is_disconnected(g) else _mean_of_duplicates(inputs[0], g)]

    def pushforward(self, inputs, outputs, tangents):
        (t,) = tangents
        rest = [disconnected_type() for _ in range(3)]
        return [disconnected_type(), *rest] if is_disconnected(t) else [sampled_values(t, inputs[0]), *rest]


def _mean_of_duplicates(x, g):
    """The matrix whose element is g[k] where x stores an entry k; the mean of g where it stores several.

    Entries stored twice add up, so a function of the matrix has one derivative with respect to each of them, and that
    is its derivative with respect to the element. As they stand, matrices of g would have their sum there.
    """
    from symsparse.ops.layout import sum_duplicates

    total, count = (sum_duplicates(replaced_values(x, v)) for v in (g, pt.ones_like(g)))
    return replaced_values(total, total.values / count.values)


class CSMGrad(SparseOp):
    """The cotangent of the values of `CSM`: for each stored entry of x, the sum of g at its position.

    Inputs are the parts of x and of g, both in one format. Linear in g's values; structured.
    """

    __props__ = ()
    differentiable = (4,)
    multilinear = True

    def __init__(self, kmap=None):
        if kmap is not None:
            raise ValueError("CSMGrad: kmap is not supported; index the values vector instead.")

    def make_node(self, x_data, x_indices, x_indptr, x_shape, g_data, g_indices, g_indptr, g_shape):
        parts = [x_data, x_indices, x_indptr, x_shape, g_data, g_indices, g_indptr, g_shape]
        parts = [(_integers if i % 4 else _numbers)("csm_grad", p, f"input {i}") for i, p in enumerate(parts)]
        return Apply(self, parts, [_vector(parts[4].dtype, parts[0].type.shape[0])])

    def perform(self, node, inputs, outputs):
        # Formats do not matter as long as both are alike: read both as csr.
        if len(inputs[2]) != len(inputs[6]) or tuple(inputs[3]) != tuple(inputs[7]):
            raise ValueError(f"csm_grad: shapes differ: {tuple(inputs[3])} and {tuple(inputs[7])}.")
        shape = (len(inputs[2]) - 1, int(max([0, *inputs[3]])))
        check_pattern("csr", len(inputs[1]), inputs[1], inputs[2], shape)
        check_pattern("csr", len(inputs[4]), inputs[5], inputs[6], shape)
        x = compressed("csr", inputs[0], inputs[1], inputs[2], shape)
        g = compressed("csr", inputs[4], inputs[5], inputs[6], shape)
        outputs[0][0] = lookup(g, x)

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def cotangents(self, inputs, output, g):
        # out = x's entries looked up in g; the transposed map takes h at x's entries back to g's entries.
        return [csm_grad(*inputs[4:], g, *inputs[1:4])]


csm_grad = CSMGrad()


def csm_properties(csm):
    """Values, indices, indptr and shape of a sparse matrix, as it is stored.

    Parameters
    ----------
    csm : sparse matrix (m, n)

    Returns
    -------
    data : vector (nnz,) of the matrix's dtype
    indices, indptr : vectors of its index dtype
    shape : int64 vector (2,)

    Notes
    -----
    Nothing is copied, sorted or summed. Gradient: regular, wrt `data` alone; where `csm` stores several values for one
    position, the mean of theirs.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> data, indices, indptr, shape = ss.csm_properties(sp.eye_array(2, format="csr"))
    >>> indptr.eval()
    array([0, 1, 2], dtype=int32)
    """
    return _properties("csm_properties", csm)


def _properties(op, csm):
    x = sparse_operand(op, csm)
    if x.owner is not None and isinstance(x.owner.op, CSM) and x.owner.op.trusted:
        return list(x.owner.inputs)
    return CSMProperties()(x)


def csm_data(csm):
    """Values of a sparse matrix; see `csm_properties`."""
    return _properties("csm_data", csm)[0]


def csm_indices(csm):
    """Minor indices of a sparse matrix; see `csm_properties`."""
    return _properties("csm_indices", csm)[1]


def csm_indptr(csm):
    """Bounds of the major slices of a sparse matrix; see `csm_properties`."""
    return _properties("csm_indptr", csm)[2]


def csm_shape(csm):
    """Shape of a sparse matrix as an int64 vector; see `csm_properties`."""
    return _properties("csm_shape", csm)[3]


def replaced_values(x, values):
    """`with_values` without its check, for values that are surely as many as the stored entries."""
    _, indices, indptr, shape = csm_properties(x)
    if not isinstance(shape, Constant) and None not in x.type.shape:
        shape = pt.constant(np.array(x.type.shape, dtype="int64"))
    return CSM(x.format, trusted=True)(values, indices, indptr, shape)


def sampled_values(g, x):
    """Values of `g` at the entries of `x` as they are stored."""
    return csm_grad(*csm_properties(x), *csm_properties(_of_format(g, x)))


def _of_format(g, x):
    """The cotangent `g` of `x` as a canonical sparse matrix in x's format.

    A cotangent may be dense or of the other format. And it must be canonical before its values are read: they are no
    function of the matrix where a position is stored twice, so that a second derivative through them would be wrong.
    """
    from symsparse.ops.layout import sum_duplicates

    return sum_duplicates(g) if is_sparse(g) and g.format == x.format else sampled(g, x)


def shape_vector(n, m):
    """The int64 vector (n, m)."""
    if isinstance(n, Constant) and isinstance(m, Constant):
        return pt.constant(np.array([n.data, m.data], dtype="int64"))
    return pt.stack([pt.as_tensor(n, dtype="int64"), pt.as_tensor(m, dtype="int64")])


class SpecifyShape(SparseOp):
    """The same matrix, with a static shape that is checked at run time."""

    __props__ = ("shape",)
    view_map = {0: [0]}
    multilinear = True

    def __init__(self, shape):
        self.shape = shape

    def make_node(self, x):
        x = sparse_operand("specify_shape", x)
        wanted = x.type.clone(shape=self.shape)()
        return apply(self, [x], x.type.clone(shape=merged_shape("specify_shape", x, wanted)))

    def perform(self, node, inputs, outputs):
        if not node.outputs[0].type.admits(inputs[0].shape):
            raise ValueError(
                f"specify_shape: a matrix of shape {inputs[0].shape} does not fit {node.outputs[0].type}."
            )
        outputs[0][0] = inputs[0]

    def infer_shape(self, node, shapes):
        return [
            tuple(pt.constant(s) if s is not None else n for s, n in zip(self.shape, shapes[0], strict=True))
        ]

    def cotangents(self, inputs, output, g):
        return [g]


__all__ = [
    "CSC",
    "CSM",
    "CSR",
    "CSMGrad",
    "CSMProperties",
    "csm_data",
    "csm_grad",
    "csm_indices",
    "csm_indptr",
    "csm_properties",
    "csm_shape",
]
