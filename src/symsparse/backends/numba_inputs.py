"""Sparse inputs handed to Numba as named tuples.

PyTensor calls its compiled function with ``*args``. Numba recognises a tuple of arrays in C, but one SciPy object
among them makes it type the whole tuple in Python, which costs 20 us a call. It does recognise named tuples in C. So
the inputs of the graph are replaced late by variables of a type whose values are named tuples, and whose Numba type
is the same struct.
"""

from typing import Any, NamedTuple

from numba.extending import typeof_impl
from pytensor.compile.sharedvalue import SharedVariable

from symsparse.backends.numba import struct_type
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


class NumbaInputType(SparseTensorType):
    """The type of a sparse input of a function compiled by Numba."""

    def filter(self, value, strict=False, allow_downcast=None):
        fields = super().filter(value, strict, allow_downcast).__dict__
        data, indices, indptr, canonical = fields[CHECKED]
        return _TUPLES[self.format](data, indices, indptr, fields["_shape"], canonical)

    def is_super(self, otype):
        return SparseTensorType(self.format, self.dtype, self.shape, index_dtype=self.index_dtype).is_super(
            otype
        )


def swap_inputs(fgraph):
    """Replace the sparse inputs of a graph by inputs of `NumbaInputType`, as PyTensor's JAX linker does with RNGs."""
    for old in list(fgraph.inputs):
        if type(old.type) is not SparseTensorType or isinstance(old, SharedVariable):
            continue
        type_ = old.type
        new = NumbaInputType(type_.format, type_.dtype, type_.shape, index_dtype=type_.index_dtype)(old.name)
        fgraph.replace_all([(old, new)], import_missing=True, reason="symsparse_swap_inputs")
        index = fgraph.inputs.index(old)
        fgraph.remove_input(index, reason="symsparse_swap_inputs")
        if new in fgraph.inputs:
            fgraph.inputs.remove(new)
        fgraph.inputs.insert(index, new)
