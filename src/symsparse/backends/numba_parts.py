"""Loops over elements in parts, which threads share.

PyTensor's generator of loops emits them here into a function for one part: it is compiled once, and small work is one
part. How work is cut depends on the shapes, not on the number of threads, and so does the order in which numbers are
added: results are the same bit by bit for any number of threads.
"""

import inspect
from types import FunctionType

from llvmlite import ir
from numba.core import cgutils, types
from pytensor.link.numba.dispatch import vectorize_codegen

from symsparse.kernels.threading import CHUNKS_A_THREAD, call_chunks

MOST = 256  # parts
GRAIN = 64  # parts of a vector begin at multiples: which elements are computed together does not depend on the cut
FIELDS = "data", "shape", "strides"  # of arrays, as far as loops use them

_SIGNATURE = inspect.signature(vectorize_codegen.make_loop_call)


def with_names(function, **names):
    """The same code with other values of some of its globals."""
    scope = {**function.__globals__, **names}
    return FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )


class _FirstLoopFrom:
    """Numba's `cgutils`, but the first loop begins at `start`."""

    def __init__(self, start):
        self.start = start

    def __getattr__(self, name):
        return getattr(cgutils, name)

    def for_range(self, builder, count):
        start, self.start = self.start, None
        return cgutils.for_range(builder, count, start)


def _can_be_cut(given):
    """Whether what is written along the first axis lies apart, or is reduced to single numbers."""
    single = given.get("scalar_reductions") or {}
    apart = all(i in single or not edge[0] for i, edge in enumerate(given["output_bc"]) if edge)
    return bool(given["iter_shape"]) and apart and not any(given.get("output_write_spec") or ())


def _smaller(builder, a, b):
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _shares(builder, shape, worth):
    """How many parts the elements are cut into, and how many threads they are worth."""
    total = shape[0]
    for length in shape[1:]:
        total = builder.mul(total, length)
    word = total.type
    parts = _smaller(builder, builder.sdiv(total, word(worth // CHUNKS_A_THREAD)), word(MOST))
    parts = _smaller(builder, parts, shape[0])
    threads = builder.sdiv(total, word(worth))
    return builder.select(builder.icmp_signed("<=", threads, word(1)), word(1), parts), threads


def _edges(builder, shape, number, parts):
    """Where a part begins and ends along the first axis."""
    word = number.type
    grain = word(GRAIN if len(shape) == 1 else 1)
    grains = builder.sdiv(shape[0], grain)
    after = builder.add(number, word(1))
    first, last = (builder.mul(builder.sdiv(builder.mul(grains, b), parts), grain) for b in (number, after))
    return first, builder.select(builder.icmp_signed("==", after, parts), shape[0], last)


def _reduce_parts(context, builder, given, cells, parts):
    """Reduce what the parts were reduced to, in their order."""
    for (i, (reducer, _)), cell in zip(given["scalar_reductions"].items(), cells, strict=True):
        dtype, total = given["output_types"][i].dtype, given["outputs"][i].data
        model = context.data_model_manager[dtype]
        builder.store(builder.load(cell), total)
        with cgutils.for_range(builder, parts, parts.type(1)) as loop:
            places = total, builder.gep(cell, [loop.index])
            both = (model.from_data(builder, builder.load(p)) for p in places)
            reduced = vectorize_codegen._combine_scalar_reduction(builder, reducer, dtype, *both)
            builder.store(model.as_data(builder, reduced), total)
            end = builder.basic_block
        # In order, and quick to compile.
        plain = [["llvm.loop.vectorize.enable", ir.IntType(1)(0)], ["llvm.loop.unroll.disable"]]
        nodes = [builder.module.add_metadata(node) for node in plain]
        end.terminator.set_metadata("llvm.loop", builder.module.add_metadata(nodes, self_ref=True))


def in_parts(emit_loops, worth):
    """What takes the place of PyTensor's `make_loop_call`, for loops of which `worth` elements are worth a thread.

    ``emit_loops(loops, **given)`` calls ``loops``, which is `make_loop_call` for one part.
    """

    def emit(*args, **kwargs):
        given = _SIGNATURE.bind(*args, **kwargs).arguments
        if not _can_be_cut(given):
            emit_loops(vectorize_codegen.make_loop_call, **given)
            return
        context, builder, shape = given["context"], given["builder"], list(given["iter_shape"])
        constants = list(given["constant_inputs"])
        groups = {name: list(given.get(name) or ()) for name in ("inputs", "outputs", "idx_arrays")}
        reduced = [given["outputs"][i] for i in given.get("scalar_reductions") or ()]
        # An output that is computed in place is the object that its input is: here, and in the part.
        arrays = {id(a): a for group in groups.values() for a in group if not any(a is r for r in reduced)}
        cells = [cgutils.alloca_once(builder, a.data.type.pointee, MOST) for a in reduced]
        parts, threads = _shares(builder, shape, worth)
        fields = [getattr(a, field) for a in arrays.values() for field in FIELDS]
        task = [parts, *shape, *constants, *fields, *cells]
        convention, arguments = context.call_conv, (types.intp, types.voidptr)

        def emit_part(caller, number, task):
            kind = convention.get_function_type(types.none, arguments)
            part = ir.Function(builder.module, kind, builder.module.get_unique_name("symsparse.part"))
            part.linkage = "internal"
            inner = ir.IRBuilder(part.append_basic_block("entry"))
            here, place = convention.get_arguments(part)
            values = iter(cgutils.unpack_tuple(inner, inner.load(inner.bitcast(place, task.type))))
            parts, *extent = (next(values) for _ in range(1 + len(shape)))
            scalars = [next(values) for _ in constants]
            own = {key: type(a)(context, inner) for key, a in arrays.items()}
            for array in own.values():
                for field in FIELDS:
                    setattr(array, field, next(values))
            for a in reduced:
                own[id(a)] = type(a)(context, inner)
                own[id(a)].data = inner.gep(next(values), [here])
            first, last = _edges(inner, extent, here, parts)
            changed = {name: [own[id(a)] for a in group] for name, group in groups.items()}
            changed |= {"builder": inner, "iter_shape": [last, *extent[1:]], "constant_inputs": scalars}
            loops = with_names(vectorize_codegen.make_loop_call, cgutils=_FirstLoopFrom(first))
            emit_loops(loops, **given | changed)
            convention.return_value(inner, context.get_dummy_value())
            passed = [number, caller.bitcast(task, cgutils.voidptr_t)]
            return convention.call_function(caller, part, types.none, arguments, passed)[0]

        status = call_chunks(context, builder, parts, task, emit_part, threads)
        with cgutils.if_unlikely(builder, status.is_error):
            convention.return_status_propagate(builder, status)
        if reduced:
            _reduce_parts(context, builder, given, cells, parts)

    return emit
