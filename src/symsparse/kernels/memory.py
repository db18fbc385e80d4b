"""Large outputs in huge pages: their first touch costs one page fault for 2 MB instead of one for 4 KB.

NumPy's allocator asks for huge pages itself, Numba's does not; with an output of 80 MB that made a factor of 2 to 5.
"""

import sys

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from symsparse.kernels.base import loop

LARGE = 1 << 22  # bytes from which it is worth a system call, as in NumPy
HUGE_PAGE = 1 << 21
MADV_HUGEPAGE = 14


@intrinsic
def _ask_for_huge_pages(context, array):
    """Tell the kernel (Linux) about the huge pages that lie wholly within a contiguous array; elsewhere do nothing."""

    def codegen(context, builder, signature, args):
        if sys.platform != "linux":  # no madvise at all, or one that knows no such advice
            return context.get_dummy_value()
        made = context.make_array(array)(context, builder, args[0])
        address = builder.ptrtoint(made.data, cgutils.intp_t)
        stop = builder.add(address, builder.mul(made.nitems, made.itemsize))
        mask = cgutils.intp_t(-HUGE_PAGE)
        start = builder.and_(builder.add(address, cgutils.intp_t(HUGE_PAGE - 1)), mask)
        size = builder.sub(builder.and_(stop, mask), start)
        # By its symbol in libc, so that the code can be kept on disk. Refused advice changes nothing.
        symbol = ir.FunctionType(cgutils.int32_t, [cgutils.intp_t, cgutils.intp_t, cgutils.int32_t])
        madvise = cgutils.get_or_insert_function(builder.module, symbol, "madvise")
        builder.call(madvise, [start, size, cgutils.int32_t(MADV_HUGEPAGE)])
        return context.get_dummy_value()

    return types.void(array), codegen


@loop
def empty(shape, dtype):
    """``numpy.empty`` for compiled code."""
    out = np.empty(shape, dtype)
    if out.nbytes >= LARGE:  # at least one whole huge page lies within
        _ask_for_huge_pages(out)
    return out


@loop
def zeros(shape, dtype):
    """``numpy.zeros`` for compiled code."""
    out = empty(shape, dtype)
    out[...] = 0
    return out


@loop
def trimmed(buffer, n):
    """The first `n` elements: of the buffer itself where that holds on to less than a third more than is needed."""
    if len(buffer) - n <= n // 3:
        return buffer[:n]
    out = empty(n, buffer.dtype)
    out[:] = buffer[:n]
    return out
