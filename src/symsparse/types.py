"""The type of a sparse matrix: format, dtype, index dtype, static shape; what a value is, and its check at the door.

A run-time value is a SciPy sparse array (``csr_array`` or ``csc_array``). `SparseTensorType.filter` is the door:
it brings anything SciPy calls sparse into that form and validates it once per object. Behind the door kernels
trust what they get.
"""

import operator
import reprlib

import numpy as np
import pytensor
import scipy.sparse as sp
from pytensor.graph.basic import Variable
from pytensor.graph.type import HasDataType, HasShape, Type
from pytensor.scalar import upcast

from symsparse.validation import compressed_arrays, converted, malformed

uint_dtypes = ["uint8", "uint16", "uint32", "uint64"]
int_dtypes = ["int8", "int16", "int32", "int64"]
integer_dtypes = int_dtypes + uint_dtypes
discrete_dtypes = ["bool", *integer_dtypes]
float_dtypes = ["float32", "float64"]
complex_dtypes = ["complex64", "complex128"]
continuous_dtypes = float_dtypes + complex_dtypes
all_dtypes = discrete_dtypes + continuous_dtypes
index_dtypes = ["int32", "int64"]

sparse_formats = ["csc", "csr"]

SCIPY_CLASSES = {"csr": sp.csr_array, "csc": sp.csc_array}
# SciPy's constructor costs 10-15 us in checks; filling __dict__ costs 0.5 us. It is safe only as long as these are
# all the attributes that a fresh array has.
_FILLABLE = all(
    cls((1, 1)).__dict__.keys() == {"_shape", "maxprint", "data", "indices", "indptr"}
    for cls in SCIPY_CLASSES.values()
)
_MAXPRINT = getattr(sp.csr_array((1, 1)), "maxprint", 50)
CHECKED = "_symsparse_checked"  # the attribute: (data, indices, indptr, is canonical)
PICKLE_FORMAT = 1  # grows when an older version could not read, or would misread, what this one pickles
_SCIPY_FACTS = ("_has_sorted_indices", "_has_canonical_format")


def brief(x):
    """`x` in an error message: one line, and a short one."""
    return " ".join(_repr.repr(x).split())


_repr = reprlib.Repr(maxother=60, maxstring=60)


def legal_format(op, format):
    """`format`, or an error in the name of `op`."""
    if not (isinstance(format, str) and format in SCIPY_CLASSES):
        raise ValueError(f"{op}: unsupported format {brief(format)}; choose one of {sparse_formats}.")
    return format


def legal_dtype(op, dtype, choice=tuple(all_dtypes), what="dtype"):
    """The name of a dtype, one of `choice`, or an error in the name of `op`; "floatX" is PyTensor's setting."""
    found = None
    # NumPy would read None as float64, and take anything that has a dtype itself.
    if isinstance(dtype, str | type | np.dtype):
        try:
            found = pytensor.config.floatX if str(dtype) == "floatX" else np.dtype(dtype).name
        except (TypeError, ValueError):  # no dtype of NumPy
            pass
    if found not in choice:
        raise TypeError(f"{op}: unsupported {what} {brief(found or dtype)}; choose one of {list(choice)}.")
    return found


def compressed(format, data, indices, indptr, shape):
    """A SciPy sparse array around these very arrays, without SciPy's checks."""
    cls = SCIPY_CLASSES[format]
    if not _FILLABLE:
        return cls((data, indices, indptr), shape=shape)
    matrix = cls.__new__(cls)
    fields = matrix.__dict__
    fields["_shape"] = shape
    fields["maxprint"] = _MAXPRINT
    fields["data"] = data
    fields["indices"] = indices
    fields["indptr"] = indptr
    return matrix


def in_container(value, container):
    """A SciPy sparse array, or the same arrays as a ``csr_matrix`` or ``csc_matrix`` for container "matrix"."""
    if container == "array":
        return value
    cls = sp.csr_matrix if value.format == "csr" else sp.csc_matrix
    return cls((value.data, value.indices, value.indptr), shape=value.shape, copy=False)


def pattern_keys(value):
    """Row-major position of each stored entry; as Python's integers, which are slow, where int64 cannot count them."""
    rows, cols = value.tocoo().coords
    n, m = map(int, value.shape)
    return rows.astype(np.int64 if n * m <= np.iinfo(np.int64).max else object) * m + cols


def _plain(array, dtype):
    """The vector itself if it has this dtype, lies in one piece and is aligned; else a copy that does."""
    if array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, dtype, ["C", "A"])


class SparseTensorType(Type, HasDataType, HasShape):
    """The type of a symbolic sparse matrix.

    Parameters
    ----------
    format : {"csr", "csc"}
        Compressed rows or compressed columns.
    dtype : str or numpy.dtype
        Of the stored values: bool, any integer, float32/64, complex64/128, or ``"floatX"``.
    shape : tuple of int or None
        Static shape; None where unknown.
    name : str, optional
        Not part of the type's identity.
    broadcastable : None
        Kept for compatibility; a sparse matrix never broadcasts.
    index_dtype : {"int32", "int64"}
        Of ``indices`` and ``indptr``. Values with other index dtypes are converted when they fit, and refused
        when they don't.

    Examples
    --------
    >>> from symsparse import SparseTensorType
    >>> SparseTensorType("csr", "float32", shape=(None, 3))
    SparseTensorType(csr, float32, shape=(?, 3))
    """

    __props__ = ("format", "dtype", "shape", "index_dtype")
    ndim = 2
    broadcastable = (False, False)
    filter_checks_isfinite = False

    def __init__(self, format, dtype, shape=None, name=None, broadcastable=None, *, index_dtype="int32"):
        op = type(self).__name__
        format, dtype = legal_format(op, format), legal_dtype(op, dtype)
        index_dtype = legal_dtype(op, index_dtype, index_dtypes, "index dtype")
        shape = _legal_shape(op, shape)
        if not (broadcastable is None or broadcastable in ((False, False), [False, False])):
            raise ValueError(
                f"{op}: a sparse matrix never broadcasts: broadcastable={broadcastable} is not possible."
            )
        if index_dtype == "int32" and any(n is not None and n > np.iinfo(np.int32).max for n in shape):
            raise ValueError(f"{op}: shape {shape} does not fit int32 indices; pass index_dtype='int64'.")
        self.format = format
        self.dtype = dtype
        self.shape = shape
        self.index_dtype = index_dtype
        self.name = name
        self.numpy_dtype = np.dtype(dtype)
        self.numpy_index_dtype = np.dtype(index_dtype)
        self._cls = SCIPY_CLASSES[format]
        self._any_shape = shape == (None, None)

    def clone(self, *, format=None, dtype=None, shape=None, index_dtype=None, **kwargs):
        """A copy of this type with some properties changed."""
        return type(self)(
            format or self.format,
            dtype or self.dtype,
            self.shape if shape is None else shape,
            index_dtype=index_dtype or self.index_dtype,
            **kwargs,
        )

    # -- pickles ------------------------------------------------------------------------------------------------

    def __getstate__(self):
        return self.__dict__ | {"symsparse_format": PICKLE_FORMAT}

    def __setstate__(self, state):
        # Every pickle of ours holds a type: graphs, constants, shared variables and functions alike.
        found = state.get("symsparse_format", 1)
        if found > PICKLE_FORMAT:
            raise ValueError(
                f"This was pickled by a newer version of symsparse (format {found}; this one reads up to "
                f"{PICKLE_FORMAT}). Upgrade symsparse to load it."
            )
        self.__dict__.update((name, value) for name, value in state.items() if name != "symsparse_format")

    # -- values -------------------------------------------------------------------------------------------------

    def filter(self, value, strict=False, allow_downcast=None):
        """Bring `value` to this type; validate it the first time this object is seen."""
        if type(value) is self._cls:
            fields = value.__dict__
            indices = fields["indices"]
            # The mark holds the very arrays that were checked: SciPy's own methods replace them when they change.
            mark = fields.get(CHECKED)
            if (
                mark is not None
                and mark[0] is fields["data"]
                and mark[1] is indices
                and mark[2] is fields["indptr"]
                # ... but not those of a matrix that shares its arrays with this one.
                and mark[2].item(-1) == len(indices)
                and mark[0].dtype == self.numpy_dtype
                and indices.dtype == self.numpy_index_dtype
                and (self._any_shape or self.admits(value.shape))
            ):
                return value
        return self._filter_slowly(value, strict, allow_downcast)

    def _filter_slowly(self, value, strict, allow_downcast):
        if isinstance(value, Variable):
            raise TypeError(f"{self} needs a value, got the symbolic variable {value}.")
        if not sp.issparse(value):
            raise TypeError(
                f"{self} needs a SciPy sparse matrix or array, got {type(value).__name__}. "
                f"Convert it first: scipy.sparse.{self.format}_array(value)."
            )
        if value.ndim != 2:
            raise TypeError(f"{self} needs two dimensions, got a {value.ndim}-D {type(value).__name__}.")
        if not self.admits(value.shape):
            raise TypeError(f"A value of shape {tuple(value.shape)} does not fit {self}.")
        if getattr(value, "dtype", None) is None:  # SciPy asks the values
            raise malformed(value, "values is not a vector")
        if value.dtype.kind not in "biufc":
            raise TypeError(f"{self} cannot hold {value.dtype} values: they are no numbers.")
        if value.dtype != self.numpy_dtype:
            lossless = value.dtype.name in all_dtypes and upcast(self.dtype, value.dtype.name) == self.dtype
            into_real = value.dtype.kind == "c" and self.dtype not in complex_dtypes
            if strict or into_real or not (lossless or allow_downcast):
                way_out = (
                    "take their real part first" if into_real else "cast them or pass allow_downcast=True"
                )
                raise TypeError(
                    f"{self} cannot hold {value.dtype} values"
                    + (" when strict=True." if strict else f" without loss; {way_out}.")
                )
        if value.format != self.format:
            if strict:
                raise TypeError(f"{self} got a {value.format} value, and strict=True forbids to convert it.")
            value = converted(value, self.format)
        given = value
        shape = tuple(map(int, value.shape))
        data, indices, indptr = compressed_arrays(value)
        if max(*shape, len(data)) > np.iinfo(self.numpy_index_dtype).max:
            raise TypeError(
                f"A value of shape {shape} with {len(data)} stored entries does not fit the int32 indices of "
                f"{self}; declare it with index_dtype='int64'."
            )
        if data.dtype == bool:
            # True + True is True, but behind a cast to numbers two stored entries would count twice.
            summed = self._cls((data, indices, indptr), shape=shape, copy=True)
            if not summed.has_canonical_format:
                summed.sum_duplicates()
                data, indices, indptr = summed.data, summed.indices, summed.indptr
        data = _plain(data, self.numpy_dtype)
        indices, indptr = _plain(indices, self.numpy_index_dtype), _plain(indptr, self.numpy_index_dtype)
        if not (
            type(given) is self._cls
            and data is given.data
            and indices is given.indices
            and indptr is given.indptr
        ):
            value = compressed(self.format, data, indices, indptr, shape)
        # What SciPy remembers of order and duplicates may be about arrays that have been replaced since.
        for fact in _SCIPY_FACTS:
            value.__dict__.pop(fact, None)
        value.__dict__[CHECKED] = (data, indices, indptr, bool(value.has_canonical_format))
        return value

    def admits(self, shape):
        """Whether a value of this shape agrees with the static shape."""
        return all(s is None or s == n for s, n in zip(self.shape, shape, strict=True))

    @classmethod
    def may_share_memory(cls, a, b):
        def arrays(x):
            return (
                (x.data, x.indices, x.indptr) if sp.issparse(x) else (x,) if isinstance(x, np.ndarray) else ()
            )

        return any(np.may_share_memory(p, q) for p in arrays(a) for q in arrays(b))

    @staticmethod
    def values_eq(a, b):
        """Whether two values are stored alike, entry for entry."""
        return (
            a.format == b.format
            and a.shape == b.shape
            and a.dtype == b.dtype
            and np.array_equal(a.indptr, b.indptr)
            and np.array_equal(a.indices, b.indices)
            and np.array_equal(a.data, b.data, equal_nan=a.dtype.kind in "fc")
        )

    @staticmethod
    def values_eq_approx(a, b, allow_remove_inf=False, allow_remove_nan=False, rtol=None, atol=None):
        """Whether two values are the same matrix, floats up to rounding; NaN equals NaN, stored zeros do not count."""
        if not (sp.issparse(a) and sp.issparse(b)) or a.shape != b.shape or a.dtype != b.dtype:
            return False
        single = a.dtype.itemsize <= 4 if a.dtype.kind == "f" else a.dtype == np.complex64
        rtol = (1e-5 if single else 1e-9) if rtol is None else rtol
        atol = (1e-5 if single else 1e-10) if atol is None else atol
        keys, values = [], []
        for x in (a, b):
            x = x.tocoo(copy=True)
            x.sum_duplicates()
            key = pattern_keys(x)
            order = np.argsort(key, kind="stable")
            keys.append(key[order])
            values.append(x.data[order])
        union = np.union1d(*keys)
        full = np.zeros((2, len(union)), dtype=a.dtype)
        for row, key, data in zip(full, keys, values, strict=True):
            row[np.searchsorted(union, key)] = data
        if a.dtype.kind not in "fc":
            return np.array_equal(full[0], full[1])
        return bool(np.allclose(full[0], full[1], rtol=rtol, atol=atol, equal_nan=True))

    # -- variables ----------------------------------------------------------------------------------------------

    def in_same_class(self, otype):
        return (
            isinstance(otype, SparseTensorType)
            and (self.format, self.dtype, self.index_dtype) == (otype.format, otype.dtype, otype.index_dtype)
            and all(s is None or o is None or s == o for s, o in zip(self.shape, otype.shape, strict=True))
        )

    def is_super(self, otype):
        return self.in_same_class(otype) and all(
            s is None or s == o for s, o in zip(self.shape, otype.shape, strict=True)
        )

    def filter_variable(self, other, allow_convert=True):
        if not isinstance(other, Variable):
            return self.constant_type(type=self, data=self.filter(other))
        if self.is_super(other.type):
            return other
        converted = self.convert_variable(other) if allow_convert else None
        if converted is None:
            raise TypeError(
                f"Cannot use {other} of type {other.type} as a {self}. Cast or convert it first "
                f"(x.astype(dtype), x.tocsr(), x.tocsc(), csr_from_dense(x))."
            )
        return converted

    def convert_variable(self, var):
        if self.is_super(var.type):
            return var
        if self.in_same_class(var.type):
            from symsparse.ops.csm import SpecifyShape

            return SpecifyShape(self.shape)(var)
        return None

    def __repr__(self):
        wide = "" if self.index_dtype == "int32" else f", index_dtype={self.index_dtype}"
        return f"SparseTensorType({self.format}, {self.dtype}, shape={_shape_text(self.shape)}{wide})"

    __str__ = __repr__


def _legal_shape(op, shape):
    """A static shape as a pair of integers or None."""
    if shape is None:
        return (None, None)
    if isinstance(shape, set | frozenset | dict):  # without an order
        shape = ()
    try:
        sizes = tuple(None if n is None else operator.index(n) for n in shape)
    except (TypeError, ValueError, NotImplementedError):  # what cannot be iterated says so in many ways
        raise TypeError(
            f"{op}: a shape is a pair of integers, or None where they are unknown, not {brief(shape)}."
        ) from None
    if len(sizes) != 2 or any(n is not None and n < 0 for n in sizes):
        raise ValueError(
            f"{op}: a sparse matrix has two dimensions of size >= 0, not shape={sizes}. (A loop cannot stack sparse "
            "matrices: in a scan, pass x.values and build the matrix inside with CSR or CSC.)"
        )
    return sizes


def _shape_text(shape):
    return (
        f"({', '.join('?' if n is None else str(n) for n in shape)})" if None in shape else str(tuple(shape))
    )


def type_of(value, format=None, shape=None):
    """The narrowest `SparseTensorType` that holds a SciPy value; formats other than csr and csc become csr."""
    format = format or (value.format if value.format in SCIPY_CLASSES else "csr")
    # SciPy reads `nnz` from an indptr that nobody has checked yet.
    stored = np.size(value.data) if value.format in SCIPY_CLASSES else value.nnz
    wide = max(*value.shape, stored) > np.iinfo(np.int32).max
    return SparseTensorType(
        format, value.dtype, value.shape if shape is None else shape, index_dtype="int64" if wide else "int32"
    )
