"""Intel MKL's inspector-executor by ctypes: handles made and optimised beforehand, and output buffers used again.

The other contenders allocate their results, so this one has an advantage where the result is large; how much of one
shows in the variant that allocates, too.
"""

import ctypes
import os
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

NOT_TRANSPOSED, TRANSPOSED = 10, 11
ROW_MAJOR = 101
EXPECTED_CALLS = 1000


class Description(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("mode", ctypes.c_int), ("diag", ctypes.c_int)]


GENERAL = Description(20, 0, 0)


def load():
    """MKL from this environment's lib folder, where the wheel puts it."""
    if "MKL_RT" not in os.environ:
        found = sorted(Path(sys.prefix).glob("lib/libmkl_rt.so*")) + sorted(
            Path(sys.prefix).glob("Library/bin/mkl_rt*.dll")
        )
        if not found:
            raise ImportError("no mkl_rt library in this environment")
        os.environ["MKL_RT"] = str(found[-1])
    return ctypes.CDLL(os.environ["MKL_RT"])


def start(threads):
    global mkl
    mkl = load()
    mkl.MKL_Set_Num_Threads(threads)
    return {"mkl": version("mkl")}


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def checked(status):
    if status:
        raise RuntimeError(f"MKL returned status {status}")


class Handle:
    def __init__(self, A, operation, columns):
        self.A, self.operation = A, operation
        self.letter, self.real = ("d", ctypes.c_double) if A.dtype == np.float64 else ("s", ctypes.c_float)
        self.handle = ctypes.c_void_p()
        sizes = ctypes.c_int(A.shape[0]), ctypes.c_int(A.shape[1])
        arrays = map(address, (A.indptr, A.indptr[1:], A.indices, A.data))
        checked(self.function("create_csr")(ctypes.byref(self.handle), 0, *sizes, *arrays))
        if columns:
            hint = operation, GENERAL, ROW_MAJOR, columns, EXPECTED_CALLS
            status = mkl.mkl_sparse_set_mm_hint(self.handle, *hint)
        else:
            status = mkl.mkl_sparse_set_mv_hint(self.handle, operation, GENERAL, EXPECTED_CALLS)
        if status != 6:  # not supported: MKL has no better way for this operation
            checked(status)
        checked(mkl.mkl_sparse_optimize(self.handle))

    def function(self, name):
        return getattr(mkl, f"mkl_sparse_{self.letter}_{name}")

    def vector(self, x, fresh):
        shape = self.A.shape[self.operation == TRANSPOSED]
        call, one, zero = self.function("mv"), self.real(1), self.real(0)
        arguments = self.operation, one, self.handle, GENERAL, address(x), zero
        return multiplying(lambda out: call(*arguments, address(out)), shape, x.dtype, fresh)

    def matrix(self, X, fresh):
        k = X.shape[1]
        shape = self.A.shape[self.operation == TRANSPOSED], k
        call, one, zero = self.function("mm"), self.real(1), self.real(0)
        arguments = self.operation, one, self.handle, GENERAL, ROW_MAJOR, address(X), k, k, zero
        return multiplying(lambda out: call(*arguments, address(out), k), shape, X.dtype, fresh)


def multiplying(call, shape, dtype, fresh):
    used_again = np.empty(shape, dtype)

    def run():
        out = np.empty(shape, dtype) if fresh else used_again
        checked(call(out))
        return out

    return run


def kernels(fresh):
    return {
        "spmv": lambda o: Handle(o.A, NOT_TRANSPOSED, 0).vector(o.x, fresh),
        "spmvT": lambda o: Handle(o.A, TRANSPOSED, 0).vector(o.z, fresh),
        "spmm": lambda o: Handle(o.A, NOT_TRANSPOSED, o.k).matrix(o.X, fresh),
        "spmmT": lambda o: Handle(o.A, TRANSPOSED, o.k).matrix(o.Z, fresh),
    }


BUILD = {"mkl handles": kernels(fresh=False), "mkl handles, allocating": kernels(fresh=True)}


def plain(result, o):
    return (result,)
