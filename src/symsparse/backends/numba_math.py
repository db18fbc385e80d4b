"""Numba code of elementwise operations that LLVM turns into wide vector code, with outputs in huge pages.

PyTensor compiles an elementwise operation, with the gathers and sums fused into it, by one intrinsic that allocates the
outputs and emits the loops. For operations made by `symsparse.lowering.vector_math` the same code runs here with two of
its names replaced: loops run in parts, on several threads where they are long, with hints for LLVM's vectoriser, which
would else use half of an AVX-512 register, and large outputs ask for huge pages. What is inlined in the loop is
compiled here as one function.
"""

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import types
from numba.core.config import CPU_FEATURES
from numba.extending import intrinsic
from pytensor import config
from pytensor.graph.basic import Apply
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch import elemwise, vectorize_codegen
from pytensor.link.numba.dispatch.basic import (
    numba_funcify_and_cache_key,
    numba_njit,
    register_funcify_and_cache_key,
)
from pytensor.scalar import basic
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.rewriting.fused_elemwise import FusedElemwise
from pytensor.tensor.rewriting.scalarize import ScalarizedElemwise

from symsparse.backends.numba import cache_key
from symsparse.backends.numba_parts import in_parts, with_names
from symsparse.kernels import vector_math
from symsparse.kernels.memory import LARGE, MADV_HUGEPAGE, advise
from symsparse.kernels.threading import WORTH_A_THREAD
from symsparse.lowering.vector_math import VectorComposite, VectorMath

# -- the loops --------------------------------------------------------------------------------------------------

HINTS = {
    "vectorize.width": 8,  # LLVM takes 4 of its own accord; float32 is computed in float64
    "interleave.count": 2,  # vectors at a time: the steps of a function wait for each other
}


# Elements worth a thread. Two threads broke even at 60,000 elements of 2 x + 1 and at 20,000 of exp(x). They are used
# for 200,000 and 50,000, where they gained a third or more.
CHEAP, COSTLY = WORTH_A_THREAD, WORTH_A_THREAD // 4


def _host_has_avx512():
    if CPU_FEATURES is not None:
        return "+avx512f" in CPU_FEATURES
    return get_host_cpu_features().get("avx512f", False)


def _hint(builder, branch):
    """Tell LLVM how to vectorise the loop that this branch closes, on hosts with AVX-512."""
    nodes = [
        builder.module.add_metadata([f"llvm.loop.{name}", ir.IntType(32)(value)])
        for name, value in HINTS.items()
    ]
    branch.set_metadata("llvm.loop", builder.module.add_metadata(nodes, self_ref=True))


def _emit_loops(loops, **given):
    """PyTensor's loops as they are."""
    loops(**given)


def _emit_hinted_loop(loops, *, builder, **given):
    """PyTensor's loops; that over a vector with hints.

    Not those over matrices, whose rows may be shorter than two wide vectors.
    """
    before = set(builder.function.blocks)
    loops(builder=builder, **given)
    heads = [b for b in builder.function.blocks if b not in before and b.name.startswith("for.cond")]
    if len(heads) == 1:
        for block in builder.function.blocks:
            branch = block.terminator
            if (
                block not in before
                and branch is not None
                and branch.opname == "br"
                and heads[0] in branch.operands
            ):
                _hint(builder, branch)


def _make_outputs(context, builder, *args, update_outputs=None, **kwargs):
    arrays, kinds = vectorize_codegen.make_outputs(
        context, builder, *args, update_outputs=update_outputs, **kwargs
    )
    inputs = args[4]
    reused = {id(a) for a in (*inputs, *(written for written, _ in (update_outputs or {}).values()))}
    for array, kind in zip(arrays, kinds, strict=True):
        if id(array) in reused:
            continue
        size = builder.mul(array.nitems, array.itemsize)
        with builder.if_then(builder.icmp_signed(">=", size, size.type(LARGE)), likely=False):
            signature, emit = advise._defn(None, kind, types.intp)
            emit(context, builder, signature, [array._getvalue(), size.type(MADV_HUGEPAGE)])
    return arrays, kinds


def _intrinsic(**names):
    original = vectorize_codegen._vectorized._defn
    return intrinsic(prefer_literal=True)(with_names(original, make_outputs=_make_outputs, **names))


_vectorized = _intrinsic()
_vectorized_cheap = _intrinsic(make_loop_call=in_parts(_emit_loops, CHEAP))
_vectorized_costly = _intrinsic(make_loop_call=in_parts(_emit_loops, COSTLY))
_vectorized_with_hints = (
    _intrinsic(make_loop_call=in_parts(_emit_hinted_loop, COSTLY))
    if _host_has_avx512()
    else _vectorized_costly
)


def _ours(op):
    """The `VectorComposite` inside an elementwise operation, if there is one."""
    if isinstance(op, Elemwise):
        return op.scalar_op if isinstance(op.scalar_op, VectorComposite) else None
    found = [_ours(node.op) for node in op.fgraph.apply_nodes if isinstance(node.op, Elemwise)]
    return found[0] if found else None


# What LLVM surely vectorises. It complains on stderr where it is told to and cannot.
STRAIGHT = (
    VectorMath,
    *(basic.Add, basic.Sub, basic.Mul, basic.TrueDiv, basic.Neg, basic.Reciprocal, basic.Sqr, basic.Sqrt),
    *(basic.Abs, basic.Switch, basic.LT, basic.LE, basic.GT, basic.GE, basic.EQ, basic.NEQ),
    *(basic.Cast, basic.Identity, basic.Second),
)


def _steps(op):
    return [node.op for node in _ours(op).fgraph.apply_nodes]


def is_cheap(op):
    """Whether memory bounds the loop, not what is computed for an element."""
    return all(isinstance(s, STRAIGHT) and not isinstance(s, VectorMath) for s in _steps(op))


def may_share(op):
    """Whether other threads may compute elements: not where Python is called, or scipy.special, which may call Python.

    They would wait for Python's lock, which the thread that waits for them holds.
    """
    basics = basic.__name__
    return all(
        isinstance(s, VectorMath)
        or (type(s).__module__ == basics and not isinstance(s, basic.ScalarInnerGraphOp))
        for s in _steps(op)
    )


def elements_a_thread(op):
    """How many elements of this loop are worth a thread; None where it runs on one."""
    if _ours(op) is None or not may_share(op):
        return None
    if isinstance(op, FusedElemwise):
        (inner,) = (node for node in op.fgraph.apply_nodes if isinstance(node.op, Elemwise))
        scatters = any(entry is not None for entry in op.indexed_outputs)
        kept = [
            set(range(inner.outputs[0].type.ndim)) - {*r[1]}
            for r in op.reduced_outputs or ()
            if r is not None
        ]
        if scatters or any(axes and 0 not in axes for axes in kept):
            return None
    return CHEAP if is_cheap(op) else COSTLY


def deserves_hints(op):
    """Whether elements of the loop cost enough for the widest vectors, and nothing stands in their way."""
    steps = _steps(op)
    if not any(isinstance(s, VectorMath) for s in steps) or not all(isinstance(s, STRAIGHT) for s in steps):
        return False
    if not isinstance(op, FusedElemwise):
        return True
    sums = [reduction for reduction in op.reduced_outputs or () if reduction is not None]
    only_sums = all(isinstance(reduction[0], basic.Add) for reduction in sums)
    scatters = any(entry is not None for entry in op.indexed_outputs)
    return only_sums and (config.numba__fastmath or not sums) and not scatters


def _register(op_type, function):
    original = numba_funcify_and_cache_key.dispatch(op_type)
    plain = with_names(function, _vectorized=_vectorized)
    cheap = with_names(function, _vectorized=_vectorized_cheap)
    costly = with_names(function, _vectorized=_vectorized_costly)
    hinted = with_names(function, _vectorized=_vectorized_with_hints)

    @register_funcify_and_cache_key(op_type)
    def funcify(op, node=None, **kwargs):
        node = alone(node)
        if _ours(op) is None:
            return original(op, node=node, **kwargs)
        if not may_share(op):
            return plain(op, node=node, **kwargs)
        code = hinted if deserves_hints(op) else cheap if is_cheap(op) else costly
        compiled, key = code(op, node=node, **kwargs)
        if key is None:  # PyTensor calls Python where it has no code of its own, and then gives no key
            return plain(op, node=node, **kwargs)
        return compiled, key


def alone(node):
    """This node without the graph around it.

    PyTensor's code of an elementwise operation keeps its node, Numba keeps this code as long as the process lives, and
    a node leads to all that it is computed from: to constant matrices, too.
    """
    return Apply(node.op, [v.type() for v in node.inputs], [v.type() for v in node.outputs])


_register(Elemwise, elemwise.numba_funcify_Elemwise)
for _op_type in (FusedElemwise, ScalarizedElemwise):
    _register(_op_type, elemwise.numba_funcify_FusedElemwise)

# -- what is in them --------------------------------------------------------------------------------------------


@register_funcify_and_cache_key(VectorMath)
def _funcify_vector_math(op, node, **kwargs):
    dtype = node.inputs[0].dtype
    functions = vector_math.FUNCTIONS if dtype == "float64" else vector_math.FUNCTIONS_32
    return functions[op.function], str(cache_key(op.function, dtype))


@register_funcify_and_cache_key(VectorComposite)
def _funcify_vector_composite(op, node, **kwargs):
    """One function of the whole chain, always inlined.

    PyTensor's own calls a function for each step, and LLVM leaves a call where it is long: then nothing is vectorised.
    """
    names = {v: f"x{i}" for i, v in enumerate(op.fgraph.inputs)}
    arguments = ", ".join(names.values())
    scope, lines, keys = {}, [], []

    def listed(variables):
        for v in variables:
            if v not in names:  # a constant
                names[v] = f"c{len(names)}"
                scope[names[v]] = v.data
                keys.append((v.dtype, v.data.tobytes()))
        return ", ".join(names[v] for v in variables)

    for i, step in enumerate(op.fgraph.toposort()):
        scope[f"f{i}"], key = numba_funcify_and_cache_key(step.op, node=step, **kwargs)
        keys.append(key)
        names.update((v, f"y{i}_{k}") for k, v in enumerate(step.outputs))
        given = listed(step.inputs)
        lines.append(f"    {listed(step.outputs)} = f{i}({given})\n")
    source = f"def chain({arguments}):\n{''.join(lines)}    return {listed(op.fgraph.outputs)}\n"
    function = numba_njit(compile_numba_function_src(source, "chain", scope), forceinline=True)
    return function, None if None in keys else str(cache_key(source, keys))
