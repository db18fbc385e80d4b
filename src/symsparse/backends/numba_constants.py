"""Large constants of compiled graphs, read through a symbol that names their contents.

Numba builds small constants into machine code. A large one it would address where it lies in this process, and code
that holds an address is not kept on disk: each process would compile the graph again. A large pattern, or a map that
was folded from one, is therefore an op without inputs here. Its code reads the address of the array from a slot that
belongs to the digest of the array, and the slot is filled before the code is loaded.
"""

import ctypes
import functools
import hashlib
import weakref
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from pytensor.compile.ops import deep_copy_op
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.type import TensorType

from symsparse.backends.numba import cache_key
from symsparse.lowering.base import KernelOp
from symsparse.lowering.boundary import viewed
from symsparse.ops.base import SparseOp, is_sparse
from symsparse.ops.csm import CSM

LARGE = 1_000_000  # bytes: from here Numba does not build an array into code

# Equal arrays are one array as long as any function uses it, so that the slot of the digest is right for all of them.
# Slots stay: code may have been linked to them.
_arrays: Any = weakref.WeakValueDictionary()
_slots: dict[str, ctypes.c_void_p] = {}


class LargeConstant(Op):
    """A constant array as an op without inputs."""

    __props__ = ("digest",)

    def __init__(self, array):
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            array = np.ascontiguousarray(array)
        self.order = "C" if array.flags.c_contiguous else "F"
        said = repr((array.dtype.str, array.shape, self.order)).encode()
        self.digest = hashlib.sha256(said + hashlib.sha256(array.ravel("K")).digest()).hexdigest()
        self.array = _arrays.setdefault(self.digest, array)

    def __reduce__(self):
        return LargeConstant, (self.array,)

    def make_node(self):
        return Apply(self, [], [TensorType(self.array.dtype.name, self.array.shape)()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = self.array

    def __str__(self):
        return f"LargeConstant{{{self.array.dtype}, shape={self.array.shape}}}"


def publish(digest):
    """Give the slot of this digest to LLVM, under a symbol."""
    slot = _slots.setdefault(digest, ctypes.c_void_p())
    symbol = f"symsparse.constant.{digest}"
    llvm.add_symbol(symbol, ctypes.addressof(slot))
    return symbol


def reader(op):
    """A function of compiled code that returns the array. It holds no reference: Numba never lets go of a function."""
    digest, layout, itemsize = op.digest, (op.array.shape, op.array.strides), op.array.itemsize
    typ = types.Array(from_dtype(op.array.dtype), op.array.ndim, op.order)

    def read(context):
        def codegen(context, builder, signature, args):
            # A graph that comes from the disk cache has the symbol, but not yet its address.
            context.active_code_library._reload_init.add(functools.partial(publish, digest))
            symbol = publish(digest)
            slot = builder.module.globals.get(symbol)
            if slot is None:
                slot = ir.GlobalVariable(builder.module, cgutils.voidptr_t, symbol)
            made = make_array(typ)(context, builder)
            sizes, strides = ([context.get_constant(types.intp, n) for n in many] for many in layout)
            populate_array(
                made,
                data=builder.bitcast(builder.load(slot), made.data.type),
                shape=sizes,
                strides=strides,
                itemsize=context.get_constant(types.intp, itemsize),
                meminfo=None,
            )
            return impl_ret_untracked(context, builder, typ, made._getvalue())

        return typ(), codegen

    return intrinsic(read)


@register_funcify_default_op_cache_key(LargeConstant)
def _funcify_large_constant(op, node, **kwargs):
    _slots.setdefault(op.digest, ctypes.c_void_p()).value = op.array.ctypes.data
    read = reader(op)

    @numba_njit
    def large_constant():
        return read()

    return large_constant, cache_key("large constant")


def swap_large_constants(fgraph):
    """Read the large constants of a graph of sparse operations through symbols."""
    large = [v for v in fgraph.variables if isinstance(v, Constant) and _is_large(v)]
    ours = any(isinstance(node.op, KernelOp | SparseOp) for node in fgraph.apply_nodes)
    if not ours and not any(map(is_sparse, large)):
        return
    # PyTensor copies outputs that are constants, or views of them, but would not know these.
    for i, out in enumerate(fgraph.outputs):
        if not set(large).isdisjoint(viewed(out)):
            client = fgraph.get_output_client(i)
            fgraph.change_node_input(*client, deep_copy_op(out), import_missing=True, reason=_REASON)
    for v in large:
        fgraph.replace(v, _swapped(v), import_missing=True, reason=_REASON)


_REASON = "symsparse_large_constants"


def _arrays_of(v):
    value = v.data
    return (value.data, value.indices, value.indptr) if is_sparse(v) else (value,)


def _is_large(v):
    dense_or_sparse = isinstance(v.type, TensorType) or is_sparse(v)
    return dense_or_sparse and max(a.nbytes for a in _arrays_of(v)) > LARGE


def _swapped(v):
    arrays = [LargeConstant(a)() for a in _arrays_of(v)]
    return CSM(v.format, trusted=True)(*arrays, np.array(v.data.shape)) if is_sparse(v) else arrays[0]
