"""Sparse inputs handed to Numba as named tuples.

PyTensor calls its compiled function with ``*args``. Numba recognises a tuple of arrays in C, but one SciPy object
among them makes it type the whole tuple in Python, which costs 20 us a call. It does recognise named tuples in C. So
the inputs of the graph are replaced late by variables of types of our own, whose values reach Numba as named tuples,
and whose Numba type is the same struct.

The value of an ordinary input becomes a named tuple at the door. A shared variable's value is seen by others, and is
replaced by updates and by ``set_value``: its storage keeps the SciPy array, and a view of the storage makes the tuple
at each call.
"""

from typing import Any, NamedTuple

from numba.extending import typeof_impl
from pytensor.compile.ops import DeepCopyOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.link.numba.linker import NumbaLinker
from pytensor.tensor.shape import Shape_i

from symsparse.backends.numba import struct_type
from symsparse.ops.csm import CSMProperties
from symsparse.types import CHECKED, SparseTensorType


class CSRInput(NamedTuple):
    data: Any
    indices: Any
    indptr: Any
    shape: Any
    has_canonical_format: bool


class CSCInput(NamedTuple):
    data: Any
    indices: Any
    indptr: Any
    shape: Any
    has_canonical_format: bool


_TUPLES = {"csr": CSRInput, "csc": CSCInput}

typeof_impl.register(CSRInput)(lambda value, context: struct_type("csr", value, context))
typeof_impl.register(CSCInput)(lambda value, context: struct_type("csc", value, context))


class _SwappedType(SparseTensorType):
    """A `SparseTensorType` under another name, by which the linker knows an input that was swapped."""

    def is_super(self, otype):
        return SparseTensorType(self.format, self.dtype, self.shape, index_dtype=self.index_dtype).is_super(
            otype
        )


class NumbaInputType(_SwappedType):
    """The type of a sparse input of a function compiled by Numba."""

    def filter(self, value, strict=False, allow_downcast=None):
        fields = super().filter(value, strict, allow_downcast).__dict__
        data, indices, indptr, canonical = fields[CHECKED]
        return _TUPLES[self.format](data, indices, indptr, fields["_shape"], canonical)


class NumbaSharedType(_SwappedType):
    """The type of a sparse shared variable in a function compiled by Numba."""


class SharedStorage:
    """The storage of a sparse shared variable, read as Numba takes it."""

    __slots__ = ("asks_canonical", "make", "storage")

    def __init__(self, format, storage, asks_canonical):
        self.make, self.storage, self.asks_canonical = _TUPLES[format], storage, asks_canonical

    def __getitem__(self, index):
        value = self.storage[index]
        fields = value.__dict__
        # SciPy keeps this fact with the object, but looks at the whole pattern of an object that is new.
        canonical = self.asks_canonical and bool(value.has_canonical_format)
        return self.make(fields["data"], fields["indices"], fields["indptr"], fields["_shape"], canonical)


def _asks_canonical(fgraph, variable):
    """Whether the graph may read more of an input than its arrays and its shape."""
    return any(
        not isinstance(getattr(client, "op", None), CSMProperties | Shape_i | DeepCopyOp)
        for client, _ in fgraph.clients.get(variable, ())
    )


_create_thunk_inputs = NumbaLinker.create_thunk_inputs


def _create_thunk_inputs_with_views(self, storage_map):
    inputs = _create_thunk_inputs(self, storage_map)
    return [
        SharedStorage(v.type.format, storage, _asks_canonical(self.fgraph, v))
        if isinstance(v.type, NumbaSharedType)
        else storage
        for v, storage in zip(self.fgraph.inputs, inputs, strict=True)
    ]


NumbaLinker.create_thunk_inputs = _create_thunk_inputs_with_views


def swap_inputs(fgraph):
    """Replace the sparse inputs of a graph by inputs of types of our own, as PyTensor's JAX linker does with RNGs."""
    for old in list(fgraph.inputs):
        if type(old.type) is not SparseTensorType:
            continue
        type_ = old.type
        swapped = NumbaSharedType if isinstance(old, SharedVariable) else NumbaInputType
        new = swapped(type_.format, type_.dtype, type_.shape, index_dtype=type_.index_dtype)(old.name)
        fgraph.replace_all([(old, new)], import_missing=True, reason="symsparse_swap_inputs")
        index = fgraph.inputs.index(old)
        fgraph.remove_input(index, reason="symsparse_swap_inputs")
        if new in fgraph.inputs:
            fgraph.inputs.remove(new)
        fgraph.inputs.insert(index, new)
