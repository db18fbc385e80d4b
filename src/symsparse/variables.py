"""Symbolic sparse matrices: variables, constants, shared variables, their operators and methods."""

import copy
import hashlib
import numbers

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.basic import _as_symbolic
from pytensor.compile.sharedvalue import SharedVariable, shared_constructor
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.tensor.shape import Shape_i

from symsparse.types import SparseTensorType, type_of


class SparseVariable(Variable):
    """A symbolic sparse matrix in csr or csc format.

    Operators follow NumPy and SciPy's sparse arrays: ``*`` is elementwise, ``@`` is the matrix product. What keeps a
    matrix sparse stays sparse; what would make it dense raises an error that says what to write instead.
    ``==`` and ``!=`` between two variables are Python identity, as everywhere in PyTensor; use `eq` and `neq`.

    Examples
    --------
    >>> import symsparse as ss
    >>> x = ss.csr_matrix("x", dtype="float64", shape=(None, 3))
    >>> x
    x{csr, float64, shape=(?, 3)}
    >>> (x.T @ x).format
    'csc'
    """

    __array_priority__ = 1001  # NumPy and SciPy operands on the left defer to us
    __array_ufunc__ = None
    __hash__ = Variable.__hash__

    # -- what it is ---------------------------------------------------------------------------------------------

    format = property(lambda self: self.type.format, doc="'csr' or 'csc'.")
    dtype = property(lambda self: self.type.dtype, doc="dtype of the stored values.")
    ndim = property(lambda self: 2, doc="Always 2.")

    @property
    def shape(self):
        """Tuple of two scalars: constants where the size is known, symbolic otherwise."""
        return tuple(
            Shape_i(i)(self) if n is None else pt.constant(n, dtype="int64")
            for i, n in enumerate(self.type.shape)
        )

    @property
    def values(self):
        """Vector of the stored values (SciPy's ``.data``), differentiable."""
        return _ops().csm_data(self)

    @property
    def indices(self):
        """Vector of minor indices (columns of a csr, rows of a csc matrix)."""
        return _ops().csm_indices(self)

    @property
    def indptr(self):
        """Vector of the bounds of each major slice in `values` and `indices`."""
        return _ops().csm_indptr(self)

    @property
    def nnz(self):
        """Number of stored entries, explicit zeros included."""
        return self.indices.shape[0]

    size = property(lambda self: self.nnz, doc="Number of stored entries, as in SciPy.")

    def __repr__(self):
        label = self.name if self.name is not None else str(self) if self.owner else type(self).__name__
        return f"{label}{{{self._described()}}}"

    def _described(self):
        text = repr(self.type)
        return text[text.index("(") + 1 : -1]

    # -- conversions --------------------------------------------------------------------------------------------

    def toarray(self, structured=True):
        """Dense matrix; see `dense_from_sparse`."""
        return _ops().dense_from_sparse(self, structured=structured)

    todense = toarray

    def tocsr(self):
        """This matrix in csr format."""
        return _ops().asformat(self, "csr")

    def tocsc(self):
        """This matrix in csc format."""
        return _ops().asformat(self, "csc")

    def asformat(self, format):
        """This matrix in the given format."""
        return _ops().asformat(self, format)

    def astype(self, dtype):
        """This matrix with its values cast; see `cast`."""
        return _ops().cast(self, dtype)

    def copy(self, name=None):
        """This matrix again, as a new variable."""
        twin = _ops().with_values(self, self.values.copy())
        twin.name = name
        return twin

    def zeros_like(self, dtype=None):
        """No stored entry, same shape and format."""
        return _ops().sp_zeros_like(self, dtype)

    def ones_like(self, dtype=None):
        """Ones at the stored entries."""
        return _ops().sp_ones_like(self, dtype)

    @property
    def T(self):
        """Transposed matrix, in the other format; costs nothing."""
        return _ops().transpose(self)

    def transpose(self, axes=None):
        """Transposed matrix, in the other format; costs nothing."""
        if axes not in (None, (1, 0), [1, 0]):
            raise ValueError(f"transpose: a sparse matrix has two axes to swap, not axes={axes}.")
        return self.T

    # -- reductions ---------------------------------------------------------------------------------------------

    def sum(self, axis=None, dtype=None, keepdims=False, sparse_grad=False):
        """Sum of the matrix or along an axis, dense; see `sp_sum`."""
        total = _ops().sp_sum(self, axis=axis, sparse_grad=sparse_grad)
        if dtype is not None:
            total = total.astype(dtype)
        return _keepdims(total, axis) if keepdims else total

    def mean(self, axis=None, dtype=None, keepdims=False, sparse_grad=False):
        """Mean over all positions (stored or not) of the matrix or along an axis, dense."""
        total = self.sum(axis=axis, sparse_grad=sparse_grad)
        if dtype is None:
            dtype = total.dtype if total.dtype.startswith(("float", "complex")) else "float64"
        n, m = self.shape
        axis = _ops().normalized_axis("mean", axis)
        count = n * m if axis is None else (n, m)[axis]
        mean = total.astype(dtype) / count.astype(dtype)
        return _keepdims(mean, axis) if keepdims else mean

    def diagonal(self):
        """Main diagonal as a dense vector; see `diag`."""
        return _ops().diag(self)

    # -- products -----------------------------------------------------------------------------------------------

    def dot(self, other):
        """Matrix product with a structured gradient; see `structured_dot`."""
        return _ops().structured_dot(self, other)

    def __matmul__(self, other):
        return _binary("structured_dot", self, other)

    def __rmatmul__(self, other):
        return _binary("structured_dot", other, self)

    __dot__ = __matmul__  # pytensor.tensor.dot looks for these two
    __rdot__ = __rmatmul__

    # -- arithmetic ---------------------------------------------------------------------------------------------

    def __neg__(self):
        return _ops().neg(self)

    def __pos__(self):
        return self

    def __abs__(self):
        return _ops().structured_abs(self)

    def __add__(self, other):
        return _binary("add", self, other)

    def __radd__(self, other):
        return _binary("add", other, self)

    def __sub__(self, other):
        return _binary("sub", self, other)

    def __rsub__(self, other):
        return _binary("sub", other, self)

    def __mul__(self, other):
        return _binary("mul", self, other)

    def __rmul__(self, other):
        return _binary("mul", other, self)

    multiply = __mul__

    def __truediv__(self, other):
        return _binary("true_div", self, other)

    def __rtruediv__(self, other):
        return _binary("true_div", other, self)

    def __floordiv__(self, other):
        return _binary("floor_div", self, other)

    def __rfloordiv__(self, other):
        return _binary("floor_div", other, self)

    def __mod__(self, other):
        return _binary("mod", self, other)

    def __rmod__(self, other):
        return _binary("mod", other, self)

    def __pow__(self, other):
        return _binary("power", self, other)

    def __rpow__(self, other):
        return _binary("power", other, self)

    power = __pow__

    # -- comparisons --------------------------------------------------------------------------------------------

    def __lt__(self, other):
        return _binary("lt", self, other)

    def __le__(self, other):
        return _binary("le", self, other)

    def __gt__(self, other):
        return _binary("gt", self, other)

    def __ge__(self, other):
        return _binary("ge", self, other)

    def __eq__(self, other):
        # PyTensor keeps variables in lists and dicts: between variables == has to stay Python identity.
        if isinstance(other, np.ndarray | numbers.Number) or sp.issparse(other):
            return _ops().eq(self, other)
        return NotImplemented

    def __ne__(self, other):
        if isinstance(other, np.ndarray | numbers.Number) or sp.issparse(other):
            return _ops().neq(self, other)
        return NotImplemented

    def eq(self, other):
        """Elementwise ``self == other``; see `eq`."""
        return _ops().eq(self, other)

    def neq(self, other):
        """Elementwise ``self != other``; see `neq`."""
        return _ops().neq(self, other)

    def __getitem__(self, index):
        return _ops().getitem(self, index)

    # -- what it is not -----------------------------------------------------------------------------------------

    def __bool__(self):
        raise TypeError(
            "A symbolic sparse matrix has no truth value; compare the values that a function returns."
        )

    def __len__(self):
        raise TypeError("The length of a sparse matrix is ambiguous; use x.shape[0] or x.nnz.")

    def __iter__(self):
        raise TypeError("A symbolic sparse matrix cannot be iterated; select its rows with x[[i]].")


def _structured_method(name):
    def method(self):
        return getattr(_ops(), name)(self)

    method.__name__ = name.removeprefix("structured_")
    method.__doc__ = f"Elementwise on the stored entries; see `{name}`."
    return method


_FUNCTIONS_ONLY = ("sigmoid",)  # of those below: tensors have no such method


def _densifying_method(name, structured):
    def method(self, *args, **kwargs):
        dense = (
            f"x.toarray().{name}()" if name not in _FUNCTIONS_ONLY else f"pytensor.tensor.{name}(x.toarray())"
        )
        instead = f", or {structured}(x) to apply it to the stored entries only" if structured else ""
        raise TypeError(
            f"{name}: the result would be dense, since {name}(0) is not 0; got ({self._described()}). "
            f"Write {dense}{instead}."
        )

    method.__name__ = name
    method.__doc__ = f"Raise an error: {name}(0) is not 0, so the result would be dense."
    return method


for _name in (
    "sqrt sqr square sin tan arcsin arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil floor trunc sgn sign "
    "log1p expm1 conj conjugate"
).split():
    setattr(SparseVariable, _name, _structured_method(_name))
for _name in "exp log sigmoid".split():
    setattr(SparseVariable, _name, _densifying_method(_name, f"structured_{_name}"))
for _name in "exp2 log2 log10 cos cosh arccos arccosh".split():
    setattr(SparseVariable, _name, _densifying_method(_name, None))


def _ops():
    from symsparse import ops  # ops import this module: the arrow back is taken at the first call

    return ops


def _binary(name, left, right):
    """Apply a function of two operands; let Python try the other operand where this one is of a foreign kind."""
    known = Variable | np.ndarray | np.generic | numbers.Number | list | tuple
    for operand in (left, right):
        if not (isinstance(operand, known) or sp.issparse(operand)):
            return NotImplemented
    return getattr(_ops(), name)(left, right)


def _keepdims(reduced, axis):
    if axis is None:
        return reduced[None, None]
    return reduced[None, :] if _ops().normalized_axis("sum", axis) == 0 else reduced[:, None]


class SparseConstant(SparseVariable, Constant):
    """A sparse matrix whose value is known when the graph is built.

    Two constants are merged only if they are stored alike to the last bit.
    """

    def __init__(self, type, data, name=None):
        data = type.filter(data)
        Constant.__init__(self, type.clone(shape=data.shape), data, name)

    def signature(self):
        """Type and digest of the stored arrays: equal if and only if the constants are."""
        digest = getattr(self.tag, "digest", None)
        if digest is None:
            digest = hashlib.sha256()
            for array in (self.data.data, self.data.indices, self.data.indptr):
                digest.update(np.ascontiguousarray(array))
            digest = self.tag.digest = digest.hexdigest()
        return (SparseConstant, self.type, digest)

    def __str__(self):
        return self.name or f"SparseConstant{{{self._described()}, nnz={self.data.nnz}}}"

    def __repr__(self):
        return str(self)

    def __deepcopy__(self, memo):
        twin = SparseConstant(self.type, copy.deepcopy(self.data, memo), self.name)
        memo[id(self)] = twin
        return twin


class SparseSharedVariable(SharedVariable, SparseVariable):
    """A sparse matrix that lives between calls: pattern and values may both change."""


class FrozenSparseVariable(SparseVariable):
    """A sparse matrix whose pattern is fixed and whose values live in the dense shared vector ``.values``."""

    def __init__(self, type, owner, index=None, name=None):
        super().__init__(type, owner, index, name)

    def get_value(self, borrow=False):
        """The current matrix; with ``borrow=True`` it shares its memory with this variable."""
        values, indices, indptr, shape = self.owner.inputs
        stored = sp.csr_array if self.format == "csr" else sp.csc_array
        parts = (values.get_value(borrow=True), indices.data, indptr.data)
        return stored(parts, shape=tuple(shape.data), copy=not borrow)

    def set_value(self, value, borrow=False):
        """Replace the values; the new matrix must have the same pattern."""
        new = self.type.filter(value)
        old = self.get_value(borrow=True)
        if old.has_sorted_indices and not new.has_sorted_indices:
            new = new.sorted_indices()
        if not (np.array_equal(new.indices, old.indices) and np.array_equal(new.indptr, old.indptr)):
            raise ValueError(
                f"The pattern of {self!r} is frozen, and the new value has another one. "
                "Use symsparse.shared(value) without frozen=True for a matrix whose pattern changes."
            )
        self.owner.inputs[0].set_value(new.data, borrow=borrow)


SparseTensorType.variable_type = SparseVariable
SparseTensorType.constant_type = SparseConstant


# -- constructors -----------------------------------------------------------------------------------------------


def matrix(format, name=None, dtype=None, shape=(None, None), index_dtype="int32"):
    """Symbolic sparse matrix.

    Parameters
    ----------
    format : {"csr", "csc"}
    name : str, optional
    dtype : str, optional
        ``config.floatX`` by default.
    shape : tuple of int or None
        Static shape where it is known.
    index_dtype : {"int32", "int64"}

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.matrix("csc", "x", dtype="float32")
    x{csc, float32, shape=(?, ?)}
    """
    return SparseTensorType(format, dtype or "floatX", shape, index_dtype)(name)


def csr_matrix(name=None, dtype=None, shape=(None, None), index_dtype="int32"):
    """Symbolic sparse matrix in csr format; see `matrix`."""
    return matrix("csr", name, dtype, shape, index_dtype)


def csc_matrix(name=None, dtype=None, shape=(None, None), index_dtype="int32"):
    """Symbolic sparse matrix in csc format; see `matrix`."""
    return matrix("csc", name, dtype, shape, index_dtype)


csr_array = csr_matrix
csc_array = csc_matrix
csr_dmatrix = SparseTensorType("csr", "float64")
csr_fmatrix = SparseTensorType("csr", "float32")
csc_dmatrix = SparseTensorType("csc", "float64")
csc_fmatrix = SparseTensorType("csc", "float32")


def _as_scipy(what, x):
    if not sp.issparse(x):
        raise TypeError(f"{what}: needs a SciPy sparse matrix or array, got {type(x).__name__}.")
    if x.ndim != 2:
        raise TypeError(f"{what}: needs two dimensions, got a {x.ndim}-D {type(x).__name__}.")
    return x


def _ours(x):
    """The variable `x`, unless it is a sparse matrix of `pytensor.sparse`, whose type passes for a dense one."""
    if hasattr(x.type, "format") and not isinstance(x.type, SparseTensorType):
        raise TypeError(
            f"{x} of type {x.type} belongs to pytensor.sparse; make it with symsparse.{x.type.format}_matrix or "
            "symsparse.shared"
        )
    return x


def constant(x, name=None):
    """Symbolic constant from a SciPy sparse matrix or array of any format (others than csr and csc become csr).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.constant(sp.eye_array(3, format="csr"))
    SparseConstant{csr, float64, shape=(3, 3), nnz=3}
    """
    type = type_of(_as_scipy("constant", x))
    return SparseConstant(type, type.filter(x).copy(), name)


def as_sparse_variable(x, name=None, ndim=None, **kwargs):
    """Symbolic sparse matrix from a sparse variable, an Apply with one output, or a SciPy sparse matrix or array.

    Parameters
    ----------
    x : SparseVariable, Apply, or SciPy sparse matrix or array
    name : str, optional
        Of the new constant.
    ndim : int, optional
        2, if given.

    Raises
    ------
    TypeError
        If `x` is not sparse.
    """
    if ndim not in (None, 2):
        raise TypeError(f"as_sparse_variable: a sparse matrix has 2 dimensions, not ndim={ndim}.")
    if kwargs:
        raise TypeError(f"as_sparse_variable: unknown arguments {sorted(kwargs)}.")
    if isinstance(x, Apply):
        if len(x.outputs) != 1:
            raise TypeError(f"as_sparse_variable: {x} has {len(x.outputs)} outputs; pass one of them.")
        x = x.outputs[0]
    if isinstance(x, Variable):
        if not isinstance(_ours(x).type, SparseTensorType):
            raise TypeError(
                f"as_sparse_variable: {x} of type {x.type} is dense. Convert it with csr_from_dense(x) or "
                "csc_from_dense(x)."
            )
        return x
    return constant(_as_scipy("as_sparse_variable", x), name)


as_sparse = as_sparse_variable


def as_sparse_or_tensor_variable(x, name=None):
    """Symbolic variable from anything: sparse from SciPy sparse values, dense from the rest."""
    if isinstance(x, Variable):
        return _ours(x)
    return constant(x, name) if sp.issparse(x) else pt.as_tensor_variable(x, name=name)


def shared(
    value, name=None, strict=False, allow_downcast=None, borrow=False, format=None, frozen=False, shape=None
):
    """Sparse matrix that lives between calls of compiled functions.

    Parameters
    ----------
    value : SciPy sparse matrix or array
        Copied unless ``borrow=True``.
    name : str, optional
    strict, allow_downcast, borrow
        As in `pytensor.shared`.
    format : {"csr", "csc"}, optional
        Convert the value to this format first.
    frozen : bool
        Keep the pattern as a constant and only the values in a (dense) shared vector, ``result.values``. All work on
        patterns then happens at compile time, and a call costs what a dense call costs. Update it with
        ``updates=[(x.values, new_values)]``.
    shape : tuple, optional
        Static shape; unknown by default, and the shape of the value when frozen.

    Examples
    --------
    >>> import pytensor
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> w = ss.shared(sp.eye_array(3, format="csr"), name="w", frozen=True)
    >>> step = pytensor.function([], w.sum(), updates=[(w.values, w.values * 2)])
    >>> float(step()), float(step())
    (3.0, 6.0)
    """
    value = _as_scipy("shared", value)
    if format is not None:
        value = value.asformat(format)
    if frozen:
        return _frozen(value, name, strict, allow_downcast, borrow)
    type = type_of(value, shape=(None, None) if shape is None else shape)
    value = type.filter(value)
    return SparseSharedVariable(
        type, value if borrow else value.copy(), strict=strict, allow_downcast=allow_downcast, name=name
    )


def _frozen(value, name, strict, allow_downcast, borrow):
    type = type_of(value)
    value = type.filter(value)
    values = pt.sharedvar.tensor_constructor(
        value.data,
        name=None if name is None else f"{name}.values",
        strict=strict,
        allow_downcast=allow_downcast,
        borrow=borrow,
    )
    pattern = (pt.constant(value.indices.copy()), pt.constant(value.indptr.copy()))
    shape = pt.constant(np.array(value.shape, dtype="int64"))
    node = _ops().CSM(type.format, trusted=True).make_node(values, *pattern, shape)
    frozen = FrozenSparseVariable(node.outputs[0].type, node, 0, name)
    node.outputs[0] = frozen
    return frozen


# -- registries: sparse arrays are ours wherever PyTensor meets them; spmatrix stays pytensor.sparse's ----------


@_as_symbolic.register(sp.csr_array)
@_as_symbolic.register(sp.csc_array)
def _as_symbolic_sparse(x, **kwargs):
    return constant(x)


@shared_constructor.register(sp.csr_array)
@shared_constructor.register(sp.csc_array)
def _shared_sparse(value, name=None, strict=False, allow_downcast=None, **kwargs):
    return shared(value, name, strict, allow_downcast, **kwargs)


@pt._as_tensor_variable.register(SparseVariable)
def _sparse_is_not_dense(x, name=None, ndim=None, **kwargs):
    raise TypeError(
        f"The sparse matrix {x!r} cannot be used as a dense tensor. Use x.toarray() for a dense matrix, x.values for "
        "the vector of its stored values, or the function of the same name in symsparse."
    )


def _defer_to_sparse():
    """Make dense operators that do not defer to a sparse right operand do so.

    TensorVariable's ``+ - * % **`` return NotImplemented for an operand that is not a tensor, so Python asks the
    sparse operand next; ``@ / //`` and the comparisons raise instead. A SciPy operand beside a dense variable would
    be tried as a tensor: it becomes a sparse constant.
    """
    from pytensor.tensor.variable import _tensor_py_operators as dense

    def deferring(name):
        original = getattr(dense, name)

        def method(self, other):
            if isinstance(other, SparseVariable):
                return NotImplemented
            if sp.issparse(other):
                mirrored = _MIRRORED.get(name) or (
                    f"__{name[3:]}" if name.startswith("__r") else f"__r{name[2:]}"
                )
                return getattr(constant(other), mirrored)(self)
            return original(self, other)

        method.__name__ = name
        method._defers_to_sparse = True  # type: ignore[attr-defined]
        return method

    if not hasattr(dense.__matmul__, "_defers_to_sparse"):
        for name in ("__matmul__", "__rmatmul__", "__truediv__", "__rtruediv__", "__floordiv__", *_MIRRORED):
            setattr(dense, name, deferring(name))
        for name in ("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__"):
            setattr(dense, name, deferring(name))


_MIRRORED = {"__lt__": "__gt__", "__le__": "__ge__", "__gt__": "__lt__", "__ge__": "__le__"}
_defer_to_sparse()
