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
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.type import TensorType

from symsparse.backends.numba import cache_key
from symsparse.lowering.base import KernelOp
from symsparse.lowering.boundary import viewed
from symsparse.ops.base import SparseOp

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
    """A function of compiled code that returns the array."""
    array, digest = op.array, op.digest
    typ = types.Array(from_dtype(array.dtype), array.ndim, op.order)

    def read(context):
        def codegen(context, builder, signature, args):
            # A graph that comes from the disk cache has the symbol, but not yet its address.
            context.active_code_library._reload_init.add(functools.partial(publish, digest))
            symbol = publish(digest)
            slot = builder.module.globals.get(symbol)
            if slot is None:
                slot = ir.GlobalVariable(builder.module, cgutils.voidptr_t, symbol)
            made = make_array(typ)(context, builder)
            sizes, strides = (
                [context.get_constant(types.intp, n) for n in many] for many in (array.shape, array.strides)
            )
            populate_array(
                made,
                data=builder.bitcast(builder.load(slot), made.data.type),
                shape=sizes,
                strides=strides,
                itemsize=context.get_constant(types.intp, array.itemsize),
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
    if not any(isinstance(node.op, KernelOp | SparseOp) for node in fgraph.apply_nodes):
        return
    # PyTensor copies outputs that are constants, or views of them, and would not know these.
    exposed = {v for out in fgraph.outputs for v in viewed(out)}
    for v in list(fgraph.variables):
        large = isinstance(v, Constant) and isinstance(v.type, TensorType) and v.data.nbytes > LARGE
        if large and v not in exposed:
            new = LargeConstant(v.data)()
            fgraph.replace(v, new, import_missing=True, reason="symsparse_large_constants")
