"""The edge of Numba: sparse arrays as structs, kernels inlined in PyTensor's functions, cheap calls."""

import hashlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, lower_cast, lower_constant
from numba.extending import (
    NativeValue,
    box,
    intrinsic,
    make_attribute_wrapper,
    models,
    overload,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)
from pytensor.compile.ops import DeepCopyOp, TypeCastingOp
from pytensor.conditional.op import IfElse
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import (
    numba_funcify_and_cache_key,
    numba_njit,
    register_funcify_default_op_cache_key,
)
from pytensor.link.numba.dispatch.compile_ops import numba_deepcopy
from pytensor.tensor.shape import Shape_i

from symsparse.backends.numba_kernels import callable_kernel
from symsparse.kernels import fingerprint
from symsparse.kernels.base import KernelIndexError, KernelValueError
from symsparse.lowering.base import KernelOp
from symsparse.lowering.container import AsMatrix
from symsparse.lowering.patterns import HasCanonicalFormat
from symsparse.lowering.random import RandomKernel
from symsparse.ops.base import INDEX_ERRORS, Require
from symsparse.ops.csm import CSM, CSMProperties
from symsparse.types import SparseTensorType, compressed, in_container

# -- the struct -------------------------------------------------------------------------------------------------


_ARRAYS = ("data", "indices", "indptr")


class SparseStruct(types.Type):
    """A csr or csc array: data, indices, indptr, sizes, and whether it is canonical."""

    def __init__(self, format, data, indices, indptr):
        self.format, self.data, self.indices, self.indptr = format, data, indices, indptr
        super().__init__(f"symsparse_{format}({data}, {indices}, {indptr})")

    def unify(self, typingctx, other):
        """The struct that holds both: branches may differ in layout and in whether arrays are read-only."""
        if not isinstance(other, SparseStruct) or other.format != self.format:
            return None
        fields = [typingctx.unify_pairs(getattr(self, f), getattr(other, f)) for f in _ARRAYS]
        return None if None in fields else SparseStruct(self.format, *fields)

    def can_convert_to(self, typingctx, other):
        if not isinstance(other, SparseStruct) or other.format != self.format:
            return None
        costs = [typingctx.can_convert(getattr(self, f), getattr(other, f)) for f in _ARRAYS]
        return None if None in costs else max(costs)


_SCALARS = (("n", types.int64), ("m", types.int64), ("canonical", types.boolean))

for _field in (*_ARRAYS, *(name for name, _ in _SCALARS)):
    make_attribute_wrapper(SparseStruct, _field, _field)


@register_model(SparseStruct)
class _SparseModel(models.StructModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, [(f, getattr(fe_type, f)) for f in _ARRAYS] + list(_SCALARS))


_struct_types: dict = {}


def struct_type(format, value, context):
    """The struct type of anything with data, indices and indptr."""
    arrays = value.data, value.indices, value.indptr
    key = (format, *((a.dtype, a.flags.num) for a in arrays))
    found = _struct_types.get(key)
    if found is None:
        data, *pattern = (typeof_impl(a, context) for a in arrays)
        # No graph writes to a pattern: one that is read-only needs no code of its own.
        found = _struct_types[key] = SparseStruct(format, data, *(a.copy(readonly=False) for a in pattern))
    return found


typeof_impl.register(sp.csr_array)(lambda value, context: struct_type("csr", value, context))
typeof_impl.register(sp.csc_array)(lambda value, context: struct_type("csc", value, context))


@unbox(SparseStruct)
def _unbox(typ, obj, c):
    struct = cgutils.create_struct_proxy(typ)(c.context, c.builder)
    failed = cgutils.false_bit
    for field in _ARRAYS:
        array = c.pyapi.object_getattr_string(obj, field)
        native = c.unbox(getattr(typ, field), array)
        setattr(struct, field, native.value)
        failed = c.builder.or_(failed, native.is_error)
        c.pyapi.decref(array)
    shape = c.pyapi.object_getattr_string(obj, "shape")
    for i, field in enumerate(("n", "m")):
        native = c.unbox(types.int64, c.pyapi.tuple_getitem(shape, i))  # a borrowed reference
        setattr(struct, field, native.value)
        failed = c.builder.or_(failed, native.is_error)
    c.pyapi.decref(shape)
    flag = c.pyapi.object_getattr_string(obj, "has_canonical_format")
    native = c.unbox(types.boolean, flag)
    struct.canonical = native.value
    c.pyapi.decref(flag)
    return NativeValue(struct._getvalue(), is_error=c.builder.or_(failed, native.is_error))


def _box_csr(data, indices, indptr, n, m):
    return compressed("csr", data, indices, indptr, (n, m))


def _box_csc(data, indices, indptr, n, m):
    return compressed("csc", data, indices, indptr, (n, m))


@box(SparseStruct)
def _box(typ, val, c):
    return _boxed(typ, val, c, _box_csr if typ.format == "csr" else _box_csc)


def _boxed(typ, val, c, make):
    struct = cgutils.create_struct_proxy(typ)(c.context, c.builder, value=val)
    parts = [c.box(getattr(typ, f), getattr(struct, f)) for f in _ARRAYS]
    parts += [c.box(types.int64, struct.n), c.box(types.int64, struct.m)]
    function = c.pyapi.unserialize(c.pyapi.serialize_object(make))
    result = c.pyapi.call_function_objargs(function, parts)
    for part in (*parts, function):
        c.pyapi.decref(part)
    return result


class MatrixStruct(SparseStruct):
    """The struct of an output that Python gets as a csr_matrix or csc_matrix."""

    def __init__(self, struct):
        super().__init__(struct.format, struct.data, struct.indices, struct.indptr)
        self.name = f"matrix_{struct.name}"


register_model(MatrixStruct)(_SparseModel)


def _box_csr_matrix(data, indices, indptr, n, m):
    return in_container(compressed("csr", data, indices, indptr, (n, m)), "matrix")


def _box_csc_matrix(data, indices, indptr, n, m):
    return in_container(compressed("csc", data, indices, indptr, (n, m)), "matrix")


@box(MatrixStruct)
def _box_matrix(typ, val, c):
    return _boxed(typ, val, c, _box_csr_matrix if typ.format == "csr" else _box_csc_matrix)


@intrinsic
def as_matrix(typingctx, x):
    return MatrixStruct(x)(x), lambda context, builder, sig, args: impl_ret_borrowed(
        context, builder, sig.return_type, args[0]
    )


@lower_cast(SparseStruct, SparseStruct)
def _cast(context, builder, from_type, to_type, value):
    old = cgutils.create_struct_proxy(from_type)(context, builder, value=value)
    new = cgutils.create_struct_proxy(to_type)(context, builder)
    for field in _ARRAYS:
        array = context.cast(builder, getattr(old, field), getattr(from_type, field), getattr(to_type, field))
        setattr(new, field, array)
    for field, _ in _SCALARS:
        setattr(new, field, getattr(old, field))
    return new._getvalue()


def _maker(format):
    def make(typingctx, data, indices, indptr, n, m):
        typ = SparseStruct(format, data, indices, indptr)

        def codegen(context, builder, sig, args):
            struct = cgutils.create_struct_proxy(typ)(context, builder)
            struct.data, struct.indices, struct.indptr, struct.n, struct.m = args
            struct.canonical = cgutils.false_bit  # nobody asks a struct made here: its facts are in the graph
            return impl_ret_borrowed(context, builder, typ, struct._getvalue())

        return typ(data, indices, indptr, types.int64, types.int64), codegen

    make.__name__ = f"make_{format}"
    return intrinsic(make)


make_csr, make_csc = _maker("csr"), _maker("csc")


@lower_constant(SparseStruct)
def _constant(context, builder, typ, value):
    struct = cgutils.create_struct_proxy(typ)(context, builder)
    for field in _ARRAYS:
        setattr(
            struct, field, context.make_constant_array(builder, getattr(typ, field), getattr(value, field))
        )
    struct.n, struct.m = (context.get_constant(types.int64, n) for n in value.shape)
    struct.canonical = context.get_constant(types.boolean, bool(value.has_canonical_format))
    return struct._getvalue()


@overload(np.shape)
def _shape(x):
    if isinstance(x, SparseStruct):
        return lambda x: (x.n, x.m)


@overload(numba_deepcopy)
def _deepcopy(x):
    if isinstance(x, SparseStruct):
        make = make_csr if x.format == "csr" else make_csc
        return lambda x: make(x.data.copy(), x.indices.copy(), x.indptr.copy(), x.n, x.m)


@overload_method(SparseStruct, "copy")  # PyTensor's ifelse copies the branch that it takes
def _copy(x):
    return lambda x: numba_deepcopy(x)


# -- ops --------------------------------------------------------------------------------------------------------


_own_source = hashlib.sha256(
    b"".join(p.read_bytes() for p in sorted(Path(__file__).parent.glob("*.py")))
).hexdigest()


def cache_key(*facts):
    """Cache salt: what a function bakes in and PyTensor's own key does not know, and our sources."""
    return int(hashlib.sha256(repr((fingerprint, _own_source, facts)).encode()).hexdigest()[:15], 16)


def _arguments(inputs):
    """Names of the parameters of a function, and the values that a kernel gets: scalars are arrays in a graph."""
    names = [f"x{i}" for i in range(len(inputs))]
    scalars = [getattr(x.type, "ndim", None) == 0 for x in inputs]
    values = [f"{name}.item()" if scalar else name for name, scalar in zip(names, scalars, strict=True)]
    return ", ".join(names), ", ".join(values)


@register_funcify_default_op_cache_key(KernelOp)
def _funcify_kernel_op(op, node, **kwargs):
    names, values = _arguments(node.inputs)
    call = f"kernel({values})"
    if node.outputs[0].type.ndim == 0:
        call = f"np.asarray({call})"
    kernel = callable_kernel(op.kernel_name(node), len(node.inputs))
    function = compile_numba_function_src(
        f"def run({names}):\n    return {call}\n", "run", {"kernel": kernel, "np": np}
    )
    ranks = [x.type.ndim for x in (*node.inputs, *node.outputs)]
    return numba_njit(function), cache_key(op.kernel_name(node), ranks)


@register_funcify_default_op_cache_key(RandomKernel)
def _funcify_random_kernel(op, node, **kwargs):
    names, values = _arguments(node.inputs)
    drawn = ", ".join(f"y{i}" for i in range(1, len(node.outputs)))
    copy = "" if op.inplace else "x0 = copy(x0); "
    function = compile_numba_function_src(
        f"def run({names}):\n    {copy}{drawn} = kernel({values})\n    return x0, {drawn}\n",
        "run",
        {"kernel": callable_kernel(op.kernel_name(node), len(node.inputs)), "copy": numba_deepcopy},
    )
    ranks = [x.type.ndim for x in node.inputs[1:]]
    return numba_njit(function), cache_key(op.kernel_name(node), op.inplace, ranks)


@register_funcify_default_op_cache_key(CSMProperties)
def _funcify_properties(op, node, **kwargs):
    @numba_njit
    def properties(x):
        return x.data, x.indices, x.indptr, np.array([x.n, x.m])

    return properties, cache_key("properties")


@register_funcify_default_op_cache_key(HasCanonicalFormat)
def _funcify_has_canonical_format(op, node, **kwargs):
    @numba_njit
    def has_canonical_format(x):
        return np.asarray(x.canonical)

    return has_canonical_format, cache_key("canonical")


# A signed and an unsigned number would be compared as floats.
_WITHIN = "(n >= 0 or n >= -m) and (n < 0 or np.uint64(n) < np.uint64(m))"
_HOLDS = {"equal": "n == m", "same_length": "n == m", "at_most": "n <= m", "within": _WITHIN}


@register_funcify_default_op_cache_key(Require)
def _funcify_require(op, node, **kwargs):
    names, lines = ["v"], []
    for i, (relation, message) in enumerate(op.checks):
        names += [f"n{i}", f"m{i}"]
        kind = "KernelIndexError" if relation in INDEX_ERRORS else "KernelValueError"
        lines += [
            f"    n, m = n{i}.item(), m{i}.item()",
            f"    if not ({_HOLDS[relation]}):",
            f"        raise {kind}({message!r}, n, m)",
        ]
    function = compile_numba_function_src(
        "\n".join([f"def run({', '.join(names)}):", *lines, "    return v\n"]),
        "run",
        # What an error shows needs the module where it is raised. Without its name the disk cache cannot find it again.
        {
            "__name__": __name__,
            "np": np,
            "KernelIndexError": KernelIndexError,
            "KernelValueError": KernelValueError,
        },
    )
    return numba_njit(function), cache_key("require", op.checks)


@register_funcify_default_op_cache_key(CSM)
def _funcify_csm(op, node, **kwargs):
    if not op.trusted:
        raise TypeError(
            f"{op} was not lowered, so its pattern would not be checked; do not exclude symsparse_lowering."
        )
    make = make_csr if op.format == "csr" else make_csc

    @numba_njit
    def csm(data, indices, indptr, shape):
        return make(np.ascontiguousarray(data), indices, indptr, shape[0], shape[1])

    return csm, cache_key("csm")


@register_funcify_default_op_cache_key(AsMatrix)
def _funcify_as_matrix(op, node, **kwargs):
    @numba_njit
    def matrix(x):
        return as_matrix(x)

    return matrix, cache_key("matrix")


def _salt(op_type):
    """Give the sparse instances of one of PyTensor's own ops a key of their own.

    The cache directory is shared by all environments: an index entry of a dense op that mentioned our struct type
    could not be read by an environment without symsparse.
    """
    original = numba_funcify_and_cache_key.dispatch(op_type)

    def salted(op, node=None, **kwargs):
        function, key = original(op, node=node, **kwargs)
        sparse = node is not None and any(
            isinstance(v.type, SparseTensorType) for v in (*node.inputs, *node.outputs)
        )
        return function, f"{key}_symsparse_{cache_key('struct')}" if sparse and key is not None else key

    numba_funcify_and_cache_key.register(op_type)(salted)


for _op_type in (DeepCopyOp, TypeCastingOp, IfElse, Shape_i):
    _salt(_op_type)
