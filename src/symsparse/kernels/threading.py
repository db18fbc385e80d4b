"""How work is cut for threads, and Intel TBB, whose wheel puts its library where Numba does not look."""

import ctypes
import functools
import importlib.metadata
import sys
from pathlib import Path

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.callconv import errcode_t, excinfo_ptr_t
from numba.core.types.misc import unliteral
from numba.extending import intrinsic
from numba.np.ufunc.parallel import _launch_threads

from symsparse.kernels.base import loop

WORTH_A_THREAD = (
    100_000  # multiply-adds; a parallel region costs 2 us with TBB, and milliseconds where cores are busy
)
CHUNKS_A_THREAD = 8  # so that no thread waits long for the slowest


@functools.cache
def launch_threads():
    """Start Numba's threading layer, if nobody has yet, and keep it to the end of the process.

    When Python drops the TBB layer at exit, it waits for the first task that it gave to its workers. After a ``fork()``
    that task is lost if no worker had taken it, as none does in a process that is bound to one processor: it would
    wait forever.
    """
    _launch_threads()
    layer = sys.modules.get("numba.np.ufunc.tbbpool")
    if layer is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layer))


@intrinsic
def get_num_threads(context):
    """``numba.get_num_threads()`` by its symbol: Numba's own holds an address, and such code is not cached."""
    launch_threads()

    def codegen(context, builder, signature, args):
        symbol = ir.FunctionType(cgutils.intp_t, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, symbol, "get_num_threads"), [])

    return types.intp(), codegen


@loop
def threads_for(work):
    """How many threads to use for so many multiply-adds."""
    worth = work // WORTH_A_THREAD
    if worth <= 1:
        return 1
    threads = get_num_threads()
    return threads if threads < worth else worth


@loop
def cut(indptr, chunks):
    """Bounds of chunks of major slices that are alike in stored entries and slices together."""
    n = len(indptr) - 1
    total = np.int64(indptr[n]) + n
    bounds = np.empty(chunks + 1, np.int64)
    bounds[0] = 0
    for b in range(1, chunks):
        low, high = bounds[b - 1], n
        while low < high:
            middle = (low + high) // 2
            if np.int64(indptr[middle]) + middle < total * b // chunks:
                low = middle + 1
            else:
                high = middle
        bounds[b] = low
    bounds[chunks] = n
    return bounds


@loop
def cut_for(work, indptr):
    """Bounds of the chunks in which so many multiply-adds are shared: one where they are worth no thread."""
    chunks = threads_for(work)
    if chunks > 1:
        chunks *= CHUNKS_A_THREAD
    return cut(indptr, chunks)


@loop
def cut_into(n, chunks):
    """Bounds of so many chunks of `n` elements, alike in size; of one element each where there are as many."""
    bounds = np.empty(chunks + 1, np.int64)
    for b in range(chunks + 1):
        bounds[b] = n * b // chunks
    return bounds


@loop
def cut_evenly(n):
    """Bounds of the chunks in which `n` elements are shared: one where they are worth no thread."""
    chunks = threads_for(n)
    if chunks > 1:
        chunks *= CHUNKS_A_THREAD
    return cut_into(n, chunks)


def call_chunks(context, builder, chunks, task, emit_chunk, most=None):
    """Emit calls of what ``emit_chunk(builder, number, task)`` emits for each number below `chunks`.

    It gets a pointer to a struct of the values in `task`, and returns Numba's status of a call. One chunk runs here and
    now, and so do all if one thread is set. Else they run on threads of Numba's threading layer, by the function under
    its ``prange``: on as many as are set, but not more than `most`. Chunks must not write to the same places.
    Returns the status of a chunk that failed, if any did.
    """
    launch_threads()
    # Code that comes from the disk cache needs the symbols of the threading layer too.
    context.active_code_library._reload_init.add(launch_threads)
    word, pointer = cgutils.intp_t, cgutils.voidptr_t
    words = word.as_pointer()
    code = cgutils.alloca_once_value(builder, ir.Constant(errcode_t, 0))
    raised = cgutils.alloca_once_value(builder, cgutils.get_null_value(excinfo_ptr_t))
    whole = cgutils.pack_struct(builder, [code, raised, cgutils.pack_struct(builder, task)])
    place = builder.bitcast(cgutils.alloca_once_value(builder, whole), pointer)

    # void chunk(char **args, intp *dimensions, intp *steps, void *data): a ufunc on the numbers of the chunks.
    # The layer adds `steps` for each chunk to the null pointer in `args`, which so becomes the first number.
    kind = ir.FunctionType(ir.VoidType(), [pointer.as_pointer(), words, words, pointer])
    chunk = ir.Function(builder.module, kind, builder.module.get_unique_name("symsparse.chunk"))
    chunk.linkage = "internal"
    chunk.attributes.add("noinline")  # so that it is compiled once
    inner = ir.IRBuilder(chunk.append_basic_block("entry"))
    first = inner.ptrtoint(inner.load(chunk.args[0]), word)
    stop = inner.add(first, inner.load(chunk.args[1]))
    given = inner.bitcast(chunk.args[3], whole.type.as_pointer())
    parts = [cgutils.gep_inbounds(inner, given, 0, k) for k in range(3)]
    with cgutils.for_range_slice(inner, first, stop, word(1), word, inc=True) as (number, _):
        status = emit_chunk(inner, number, parts[2])
        with cgutils.if_unlikely(inner, status.is_error):
            inner.store(status.excinfoptr, inner.load(parts[1]))
            inner.store(status.code, inner.load(parts[0]))
    inner.ret_void()

    none, one = builder.inttoptr(word(0), pointer), word(1)
    arrays, dimensions, steps = (cgutils.alloca_once_value(builder, v) for v in (none, chunks, one))
    limit = cgutils.alloca_once_value(builder, one)
    with builder.if_then(builder.icmp_signed(">", chunks, one)):
        symbol = ir.FunctionType(word, [])
        threads = cgutils.get_or_insert_function(builder.module, symbol, "get_num_threads")
        builder.store(builder.call(threads, []), limit)
    limit = builder.load(limit)
    if most is not None:
        limit = builder.select(builder.icmp_signed("<", most, limit), most, limit)
    with builder.if_else(builder.icmp_signed("<=", limit, one)) as (alone, together):
        with alone:
            builder.call(chunk, [arrays, dimensions, steps, place])
        with together:
            layer = ir.FunctionType(ir.VoidType(), [pointer] * 5 + [word] * 3)
            run = cgutils.get_or_insert_function(builder.module, layer, "numba_parallel_for")
            what = [builder.bitcast(v, pointer) for v in (chunk, arrays, dimensions, steps, place)]
            builder.call(run, [*what, word(0), one, limit])
    return context.call_conv._get_return_status(builder, builder.load(code), builder.load(raised))


@intrinsic
def run_chunks(context, body, bounds, args):
    """Call ``body(bounds[b], bounds[b + 1], *args)`` for each b.

    Going to the threading layer directly spares half of the compilation of a ``prange``, chunks are handed out as
    threads become free, and no lock of Python is taken. Chunks must not write to the same places.
    """
    n = types.intp
    arguments = (n, n, *map(unliteral, args))
    chosen = body.dispatcher.suited_to(arguments)
    called = context.resolve_function_type(types.Dispatcher(chosen), arguments, {})

    def codegen(context, builder, signature, given):
        compiled = chosen.overloads[called.args]
        context.add_linking_libs([compiled.library])
        word = cgutils.intp_t
        made = context.make_array(bounds)(context, builder, given[1])

        def emit_chunk(inner, number, task):
            edges, values = cgutils.unpack_tuple(inner, inner.load(task))
            edge = [inner.load(inner.gep(edges, [k])) for k in (number, inner.add(number, word(1)))]
            values = cgutils.unpack_tuple(inner, values)
            status, _ = context.call_internal_no_propagate(inner, compiled.fndesc, called, [*edge, *values])
            return status

        chunks = builder.sub(made.nitems, word(1))
        status = call_chunks(context, builder, chunks, [made.data, given[2]], emit_chunk)
        with cgutils.if_unlikely(builder, status.is_error):
            # All that a loop can fail at, but in the build of the tests. The errors themselves stay with their threads.
            failure: tuple = MemoryError, ("not enough memory for the buffers of threads",)
            if config.BOUNDSCHECK:
                failure = IndexError, ("an index is out of bounds, or a buffer of a thread found no memory",)
            context.call_conv.return_user_exc(builder, *failure)
        return context.get_dummy_value()

    return types.void(body, bounds, args), codegen


def find_tbb():
    """Path of the TBB library of the installed ``tbb`` wheel, or None."""
    names = {"linux": "libtbb.so.12", "win32": "tbb12.dll"}
    try:
        files = importlib.metadata.files("tbb") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(f.locate())) for f in files if f.name == names.get(sys.platform)]
    return next((str(p) for p in paths if p.exists()), None)


def load_tbb():
    """Load TBB for all, before Numba chooses a threading layer. Its threads survive ``fork()``, GNU OpenMP's do not."""
    path = find_tbb()
    if path is not None:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:  # Numba falls back to another layer
            return None
    return path
