"""Large outputs: in huge pages, and refused where they surely do not fit the memory that is there.

The first touch of a huge page costs one page fault for 2 MB instead of one for 4 KB. NumPy's allocator asks for huge
pages itself, Numba's does not; with an output of 80 MB that made a factor of 2 to 5.

The system refuses a request that is larger than all memory. It grants smaller ones, whatever is in use already, and
swaps or ends the process when they are written to.
"""

import contextlib
import ctypes
import re
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic

from symsparse.kernels.base import loop

LARGE = 1 << 22  # bytes from which it is worth a system call, as in NumPy
FRESH = 1 << 25  # bytes from which malloc always gives fresh pages
HUGE_PAGE = 1 << 21
MADV_DONTNEED, MADV_HUGEPAGE = 4, 14
WORTH_ASKING = 1 << 30  # bytes from which the system is asked how much there is: 0.1 ms
_LARGEST = 2**63 - 1


@intrinsic
def advise(context, array, advice):
    """Advise the system (Linux) on the whole huge pages within a contiguous array: where they start and stop, in bytes.

    (0, 0) where the advice was refused, and on other systems.
    """
    result = UniTuple(types.intp, 2)

    def codegen(context, builder, signature, args):
        word = cgutils.intp_t
        if sys.platform != "linux":  # no madvise at all, or one that knows no such advice
            return context.make_tuple(builder, result, [word(0), word(0)])
        made = context.make_array(array)(context, builder, args[0])
        address = builder.ptrtoint(made.data, word)
        mask = word(-HUGE_PAGE)
        start = builder.and_(builder.add(address, word(HUGE_PAGE - 1)), mask)
        stop = builder.and_(builder.add(address, builder.mul(made.nitems, made.itemsize)), mask)
        # By its symbol in libc, so that the code can be kept on disk.
        symbol = ir.FunctionType(cgutils.int32_t, [word, word, cgutils.int32_t])
        madvise = cgutils.get_or_insert_function(builder.module, symbol, "madvise")
        advice = builder.trunc(args[1], cgutils.int32_t)
        refused = cgutils.is_not_null(
            builder, builder.call(madvise, [start, builder.sub(stop, start), advice])
        )
        edges = [builder.select(refused, word(0), builder.sub(e, address)) for e in (start, stop)]
        return context.make_tuple(builder, result, edges)

    return result(array, types.intp), codegen


@intrinsic
def clear(context, array, start, stop):
    """Zeros in the bytes from start to stop of a contiguous array: one call, where a slice is compiled as a loop."""

    def codegen(context, builder, signature, args):
        data = builder.bitcast(context.make_array(array)(context, builder, args[0]).data, cgutils.voidptr_t)
        cgutils.memset(builder, builder.gep(data, [args[1]]), builder.sub(args[2], args[1]), 0)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), codegen


@loop
def empty(shape, dtype):
    """``numpy.empty`` for compiled code."""
    out = np.empty(shape, dtype)
    if out.nbytes >= LARGE:  # at least one whole huge page lies within
        advise(out, MADV_HUGEPAGE)
    return out


@loop
def zeros(shape, dtype):
    """``numpy.zeros`` for compiled code."""
    out = empty(shape, dtype)
    start, stop = 0, 0
    if out.nbytes >= FRESH:  # Linux drops the pages and gives new ones full of zeros: once is enough
        start, stop = advise(out, MADV_DONTNEED)
    clear(out, 0, start)
    clear(out, stop, out.nbytes)
    return out


@loop
def trimmed(buffer, n):
    """The first `n` elements: of the buffer itself, where what is behind them is little or goes back to the system.

    Little is a third of them. Linux takes back the pages of more, which costs less than a copy of the elements.
    """
    if len(buffer) - n <= n // 3:
        return buffer[:n]
    if buffer.nbytes >= LARGE:
        start, stop = advise(buffer[n:], MADV_DONTNEED)
        if (len(buffer) - n) * buffer.itemsize - (stop - start) <= 2 * HUGE_PAGE and stop > start:
            return buffer[:n]
    out = empty(n, buffer.dtype)
    out[:] = buffer[:n]
    return out


def available():
    """Bytes that can be used without swapping, in this machine and in its container; 2**63 - 1 where nobody says."""
    left = _LARGEST
    with contextlib.suppress(OSError, ValueError, IndexError):
        left = 1024 * int(re.findall(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())[0])
    with contextlib.suppress(OSError, ValueError, IndexError):
        own = re.findall(r"(?m)^0::/(.*)$", Path("/proc/self/cgroup").read_text())[0]
        for group in {Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup", own)}:
            with contextlib.suppress(OSError, ValueError):  # no limit
                limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
                cached = re.findall(r"(?m)^(?:in)?active_file (\d+)$", (group / "memory.stat").read_text())
                left = min(left, limit - used + sum(map(int, cached)))
    return left


_SYMBOL = "symsparse.available_memory"
_asked = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: available())  # lives as long as code that may call it
llvm.add_symbol(_SYMBOL, ctypes.cast(_asked, ctypes.c_void_p).value)


@intrinsic
def _available(context):
    """`available` by a symbol, so that the code can be kept on disk. Python's lock is taken for the call."""

    def codegen(context, builder, signature, args):
        symbol = ir.FunctionType(ir.IntType(64), [])
        return builder.call(cgutils.get_or_insert_function(builder.module, symbol, _SYMBOL), [])

    return types.int64(), codegen


@loop
def fits_memory(count, itemsize):
    """Whether so many elements, each of which will surely be written, find memory without swapping."""
    size = np.float64(count) * itemsize
    return size < WORTH_ASKING or size <= _available()
