"""How symbolic sparse matrices are made: inputs, constants, shared variables; the registries that make them."""

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.basic import _as_symbolic
from pytensor.compile.sharedvalue import shared_constructor
from pytensor.graph.basic import Apply, Variable

from symsparse.arguments import legal_name, legal_value
from symsparse.types import SCIPY_CLASSES, SparseTensorType, brief, legal_format, type_of
from symsparse.validation import converted
from symsparse.variables import (
    FrozenSparseVariable,
    SparseConstant,
    SparseSharedVariable,
    SparseVariable,
)


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
    return _input("matrix", format, name, dtype, shape, index_dtype)


def csr_matrix(name=None, dtype=None, shape=(None, None), index_dtype="int32"):
    """Symbolic sparse matrix in csr format; see `matrix`."""
    return _input("csr_matrix", "csr", name, dtype, shape, index_dtype)


def csc_matrix(name=None, dtype=None, shape=(None, None), index_dtype="int32"):
    """Symbolic sparse matrix in csc format; see `matrix`."""
    return _input("csc_matrix", "csc", name, dtype, shape, index_dtype)


def _input(op, format, name, dtype, shape, index_dtype):
    name = legal_name(op, name)
    try:
        type = SparseTensorType(format, "floatX" if dtype is None else dtype, shape, index_dtype=index_dtype)
    except (TypeError, ValueError) as e:
        raise e.__class__(str(e).replace("SparseTensorType:", f"{op}:", 1)) from None
    return type(name)


csr_array = csr_matrix
csc_array = csc_matrix
csr_dmatrix = SparseTensorType("csr", "float64")
csr_fmatrix = SparseTensorType("csr", "float32")
csc_dmatrix = SparseTensorType("csc", "float64")
csc_fmatrix = SparseTensorType("csc", "float32")


def _as_scipy(what, x):
    if not sp.issparse(x):
        raise TypeError(
            f"{what}: needs a SciPy sparse matrix or array, got {type(x).__name__}. Convert it first: "
            "scipy.sparse.csr_array(value)."
        )
    if x.ndim != 2:
        raise TypeError(
            f"{what}: needs two dimensions, got a {x.ndim}-D {type(x).__name__}. Reshape it: value.reshape((1, -1))."
        )
    return x if x.format in SCIPY_CLASSES else _converted(what, x, "csr")


def _converted(what, x, format):
    """A SciPy value in another format; errors are in the name of `what`."""
    try:
        return converted(x, format)
    except (TypeError, ValueError) as e:
        raise e.__class__(f"{what}: {e}") from None


def _type_of(what, x, **kwargs):
    """The type of a SciPy value; errors are in the name of `what`."""
    try:
        return type_of(x, **kwargs)
    except (TypeError, ValueError) as e:
        raise e.__class__(str(e).replace("SparseTensorType:", f"{what}:", 1)) from None


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

    A function that multiplies with the transpose of a constant, as the gradient of ``A @ x`` does, keeps a transposed
    copy of it, which is faster and takes as much memory again.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.constant(sp.eye_array(3, format="csr"))
    SparseConstant{csr, float64, shape=(3, 3), nnz=3}
    """
    return _constant("constant", x, name)


def _constant(op, x, name):
    type = _type_of(op, _as_scipy(op, x))
    return SparseConstant(type, legal_value(op, type, x).copy(), legal_name(op, name))


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
    if not (ndim is None or (isinstance(ndim, int) and ndim == 2)):
        raise TypeError(f"as_sparse_variable: a sparse matrix has 2 dimensions, not ndim={brief(ndim)}.")
    if kwargs:
        raise TypeError(f"as_sparse_variable: unknown arguments {sorted(kwargs)}.")
    if isinstance(x, Apply):
        if len(x.outputs) != 1:
            raise TypeError(f"as_sparse_variable: {x} has {len(x.outputs)} outputs; pass one of them.")
        x = x.outputs[0]
    name = legal_name("as_sparse_variable", name)
    if isinstance(x, Variable):
        if not isinstance(_ours(x).type, SparseTensorType):
            raise TypeError(
                f"as_sparse_variable: {x} of type {x.type} is not sparse. Convert it with csr_from_dense(x) or "
                "csc_from_dense(x)."
            )
        return x
    return _constant("as_sparse_variable", x, name)


as_sparse = as_sparse_variable


def as_sparse_or_tensor_variable(x, name=None):
    """Symbolic variable from anything: sparse from SciPy sparse values, dense from the rest."""
    return symbolic("as_sparse_or_tensor_variable", x, name)


def symbolic(op, x, name=None):
    """`x` as a symbolic variable, sparse or dense; if it cannot be one, an error in the name of `op`."""
    name = legal_name(op, name)
    if isinstance(x, Variable):
        return _ours(x)
    if sp.issparse(x):
        return _constant(op, x, name)
    if isinstance(x, int) and 2**63 <= x < 2**64:
        x = np.uint64(x)  # PyTensor makes an int64 of it, which wraps around
    try:
        return pt.as_tensor_variable(x, name=name)
    except (TypeError, ValueError, NotImplementedError, OverflowError) as e:  # PyTensor has many
        why = (str(e).splitlines() or [""])[0].rstrip(".")
        raise TypeError(
            f"{op}: a {type(x).__name__} is no tensor ({why}). Pass a number, a NumPy array, a SciPy sparse array, or "
            "a symbolic variable."
        ) from None


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
    value, name = _as_scipy("shared", value), legal_name("shared", name)
    if format is not None:
        value = _converted("shared", value, legal_format("shared", format))
    if frozen:
        return _frozen(value, name, strict, allow_downcast, borrow)
    type = _type_of("shared", value, shape=(None, None) if shape is None else shape)
    value = legal_value("shared", type, value)
    return SparseSharedVariable(
        type, value if borrow else value.copy(), strict=strict, allow_downcast=allow_downcast, name=name
    )


def _frozen(value, name, strict, allow_downcast, borrow):
    type = _type_of("shared", value)
    value = legal_value("shared", type, value)
    values = pt.sharedvar.tensor_constructor(
        value.data,
        name=None if name is None else f"{name}.values",
        strict=strict,
        allow_downcast=allow_downcast,
        borrow=borrow,
    )
    pattern = (pt.constant(value.indices.copy()), pt.constant(value.indptr.copy()))
    shape = pt.constant(np.array(value.shape, dtype="int64"))
    from symsparse.ops.csm import CSM  # ops stand on this module

    node = CSM(type.format, trusted=True).make_node(values, *pattern, shape)
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
        "the vector of its stored values, or what symsparse has for it: ss.sin(x), ss.structured_exp(x), x.sum(), "
        "symsparse.pushforward. A state of a loop is x.values, too."
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
            if isinstance(other, sp.sparray):  # spmatrix stays pytensor.sparse's, as in the registries above
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
