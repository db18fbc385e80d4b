"""The edge of the C linker: ops whose kernel also exists in C++.

PyTensor's C linker asks an op for its code by methods, so the ops that have some inherit them from here. Nothing is
read or compiled until that linker asks; without a compiler it calls ``perform``.
"""

import functools
import hashlib
from pathlib import Path

from pytensor.link.c.op import COp

_UNSIGNED = {f"{sign}int{bits}": f"npy_uint{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
_C_TYPES = {
    "bool": "bool",
    **_UNSIGNED,
    "float32": "npy_float32",
    "float64": "npy_float64",
    "complex64": "symsparse::cplx<npy_float32>",
    "complex128": "symsparse::cplx<npy_float64>",
}


@functools.cache
def source():
    """The C++ kernels."""
    return Path(__file__).with_name("c_kernels.hpp").read_text(encoding="utf-8")


@functools.cache
def source_version():
    """A number that changes whenever the kernels, or the code here that calls them, do."""
    own = Path(__file__).read_text(encoding="utf-8")
    return (int(hashlib.sha256((source() + own).encode()).hexdigest()[:12], 16),)


def integer(x, name):
    """The value of the integer scalar `x`, which C calls `name`."""
    return f"*(const {x.type.dtype_specs()[1]} *) PyArray_DATA({name})"


class CKernel(COp):
    """Base of the ops with one output that the C linker compiles to a call of one function of ``c_kernels.hpp``."""

    c_function: str
    c_name: str | None = None  # in errors; None: the name of the class

    def c_arguments(self, node, inputs):
        """What the function gets, in C: indices, indptr, the size of the minor axis, and the rest."""
        raise NotImplementedError

    def c_support_code(self, **kwargs):
        return source()

    def c_code_cache_version(self):
        return source_version()

    def c_code(self, node, name, inputs, outputs, sub):
        type = node.outputs[0].type
        if type.dtype not in _C_TYPES:
            raise NotImplementedError(f"{self} has no C code for {type.dtype}")  # PyTensor then calls perform
        function = f"symsparse::{self.c_function}<{_C_TYPES[type.dtype]}>"
        op = f'"{self.c_name or self.__class__.__name__}"'
        arguments = ", ".join([op, type.dtype_specs()[2], *self.c_arguments(node, inputs)])
        (out,) = outputs
        return f"""
        Py_XDECREF({out});
        {out} = {function}({arguments});
        if ({out} == NULL) {{ {sub["fail"]} }}
        """
