"""Symbolic sparse matrices: variables, constants, shared variables, their operators and methods."""

import copy
import hashlib
import numbers

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.tensor.shape import Shape_i

from symsparse.arguments import legal_name, legal_switch, legal_value
from symsparse.settings import config
from symsparse.types import SparseTensorType, brief, discrete_dtypes, in_container


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
        twin = _ops().AsFormat(self.format)(self)
        twin.name = legal_name("copy", name)
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
        if axes is not None and not (isinstance(axes, tuple | list) and list(axes) == [1, 0]):
            raise ValueError(
                f"transpose: a sparse matrix has two axes to swap, axes=(1, 0), not axes={brief(axes)}; got "
                f"({self._described()}). Write x.T."
            )
        return self.T

    # -- reductions ---------------------------------------------------------------------------------------------

    def sum(self, axis=None, dtype=None, keepdims=False, sparse_grad=False):
        """Sum of the matrix or along an axis, dense; see `sp_sum`."""
        x = self
        if dtype is not None:
            dtype = _ops().reduced_dtype("sp_sum", self, dtype)
            if dtype == "bool" or (dtype in discrete_dtypes and self.dtype not in discrete_dtypes):
                x = self.astype(dtype)  # NumPy, too, casts before it sums
        total = _ops().sp_sum(x, axis=axis, sparse_grad=sparse_grad)
        return _keepdims("sp_sum", total if dtype is None else total.astype(dtype), axis, keepdims)

    def mean(self, axis=None, dtype=None, keepdims=False, sparse_grad=False):
        """Mean over all positions (stored or not) of the matrix or along an axis, dense; see `sp_mean`."""
        mean = _ops().sp_mean(self, axis, sparse_grad, dtype)
        return _keepdims("sp_mean", mean, axis, keepdims)

    def max(self, axis=None, keepdims=False):
        """Largest entry (stored or not) of the matrix or along an axis, dense; see `sp_max`."""
        largest = _ops().sp_max(self, axis)
        return _keepdims("sp_max", largest, axis, keepdims)

    def min(self, axis=None, keepdims=False):
        """Smallest entry (stored or not) of the matrix or along an axis, dense; see `sp_min`."""
        smallest = _ops().sp_min(self, axis)
        return _keepdims("sp_min", smallest, axis, keepdims)

    def trace(self):
        """Sum of the main diagonal; see `trace`."""
        return _ops().trace(self)

    def norm(self, ord=None, axis=None):
        """Norm of the matrix, or of its columns or rows; see `norm`."""
        return _ops().norm(self, ord, axis)

    def diagonal(self, k=0):
        """The k-th diagonal as a dense vector; see `diag`."""
        return _ops().diag(self, k)

    # -- products -----------------------------------------------------------------------------------------------

    def dot(self, other):
        """Matrix product with a structured gradient; see `structured_dot`."""
        return _ops().structured_dot(self, other)

    def __matmul__(self, other):
        return _binary("structured_dot", self, other)

    def __rmatmul__(self, other):
        return _binary("structured_dot", other, self)

    def __dot__(self, other):  # pytensor.tensor.dot looks for this and __rdot__
        product = _binary("structured_dot", self, other)
        # numpy.dot, unlike numpy.matmul, has the rows of the left operand before a stack on the right
        stacked = product is not NotImplemented and product.ndim > 2
        return pt.moveaxis(product, -2, 0) if stacked else product

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

    def multiply(self, other):
        """Elementwise product; see `mul`."""
        return _ops().mul(self, other)

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

    def power(self, other):
        """Elementwise power; see `power`."""
        return _ops().power(self, other)

    def maximum(self, other):
        """Elementwise maximum; see `maximum`."""
        return _ops().maximum(self, other)

    def minimum(self, other):
        """Elementwise minimum; see `minimum`."""
        return _ops().minimum(self, other)

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
        """What NumPy would select, of one or two indices: slices, integers, vectors of integers, masks, all of them
        also symbolic, or ``numpy.ix_``.

        Submatrices are sparse, in this format: ``x[a:b, ::c]``, ``x[rows]``, ``x[:, mask]``, ``x[i:i + 1]``. Dense
        are a row ``x[i]``, a column ``x[:, j]``, pairs ``x[rows, columns]``, and an entry ``x[i, j]``. See
        `get_item_2d`, `get_item_list`, `get_item_2lists`, `get_item_scalar` for gradients and cost.
        """
        return _ops().getitem(self, index)

    def set(self, y):
        """For a submatrix ``a[...]``: a with it replaced; see `set_subtensor`, which takes dense selections too."""
        return _ops().set_subtensor(self, y)

    def inc(self, y):
        """For a submatrix ``a[...]``: a with it increased; see `inc_subtensor`, which takes dense selections too."""
        return _ops().inc_subtensor(self, y)

    def with_values(self, values):
        """This pattern with other stored values; see `with_values`."""
        return _ops().with_values(self, values)

    def __setitem__(self, index, y):
        raise TypeError(
            f"setitem: a symbolic sparse matrix cannot be changed; got ({self._described()}). Write "
            "x = set_subtensor(x[index], y), or inc_subtensor for x[index] += y."
        )

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
    method.__qualname__ = f"SparseVariable.{method.__name__}"
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
    method.__qualname__ = f"SparseVariable.{name}"
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


def _keepdims(op, reduced, axis, keepdims):
    if not legal_switch(op, "keepdims", keepdims):
        return reduced
    if axis is None:
        return reduced[None, None]
    return reduced[None, :] if _ops().normalized_axis(op, axis) == 0 else reduced[:, None]


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

    def get_value(self, borrow=False, return_internal_type=False):
        """The current matrix; with ``borrow=True`` it shares its memory with this variable."""
        return in_container(super().get_value(borrow, return_internal_type), config.container)

    def set_value(self, new_value, borrow=False):
        """Replace the matrix; with ``borrow=True`` the new one is kept itself, not a copy of it."""
        held = self.container
        how = {"strict": bool(held.strict), "allow_downcast": held.allow_downcast}
        super().set_value(legal_value("set_value", self.type, new_value, **how), borrow)


class FrozenSparseVariable(SparseVariable):
    """A sparse matrix whose pattern is fixed and whose values live in the dense shared vector ``.values``."""

    def __init__(self, type, owner, index=None, name=None):
        super().__init__(type, owner, index, name)

    def get_value(self, borrow=False):
        """The current matrix; with ``borrow=True`` it shares its memory with this variable."""
        values, indices, indptr, shape = self.owner.inputs
        stored = sp.csr_array if self.format == "csr" else sp.csc_array
        parts = (values.get_value(borrow=True), indices.data, indptr.data)
        value = stored(parts, shape=tuple(shape.data), copy=not borrow)
        return in_container(value, config.container)

    def set_value(self, value, borrow=False):
        """Replace the values; the new matrix must have the same pattern."""
        new = legal_value("set_value", self.type, value)
        old = self.get_value(borrow=True)
        if old.has_sorted_indices and not new.has_sorted_indices:
            new = new.sorted_indices()
        if not (np.array_equal(new.indices, old.indices) and np.array_equal(new.indptr, old.indptr)):
            raise ValueError(
                f"set_value: the pattern of {self!r} is frozen, and the new value has another one. "
                "Use symsparse.shared(value) without frozen=True for a matrix whose pattern changes."
            )
        self.owner.inputs[0].set_value(new.data, borrow=borrow)


SparseTensorType.variable_type = SparseVariable
SparseTensorType.constant_type = SparseConstant
