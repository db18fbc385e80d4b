"""The product of a sparse row with a dense vector, by vector instructions that gather what the indices point at.

Left alone, LLVM gathers in long rows only, four vectors at a time, and takes what is left over one by one: all of a row
of ten entries. Here the last vector of a row is masked. Values are asked for ahead of the loop over them, which
the processor does by itself only within a page. Measured on a Xeon (Sapphire Rapids): 1.0 to 1.3 times as fast, and
more where another machine shares the processor. For float32 and float64 on hosts with AVX-512, but not on AMD's, where
single loads are faster than gathers.
"""

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

from symsparse.kernels.base import loop
from symsparse.kernels.tiles import I1, I32, I64, POINTER, Row

LANES = 8  # more were slower in rows of 5 and 10 entries, and no faster in long ones
AHEAD = 2048  # bytes between the prefetch and the use of values


def _host_gathers():
    if config.BOUNDSCHECK:  # gathers read by pointers, which nothing can check
        return False
    name = config.CPU_NAME or get_host_cpu_name()
    features = config.CPU_FEATURES
    wide = get_host_cpu_features().get("avx512f", False) if features is None else "+avx512f" in features
    return wide and not name.startswith("znver")


HOST_GATHERS = _host_gathers()


def _pointers(builder, row, x, indices):
    """Addresses of the elements of `x` that a vector of unsigned indices points at."""
    wide = ir.VectorType(I64, row.lanes)
    if indices.type != wide:
        indices = builder.zext(indices, wide)
    shift = ir.Constant(wide, [row.size.bit_length() - 1] * row.lanes)
    base = row.splat(builder.ptrtoint(x, I64))
    return builder.inttoptr(
        builder.add(base, builder.shl(indices, shift)), ir.VectorType(row.element.as_pointer(), row.lanes)
    )


def _multiply_add(builder, row, values, indices, x, k, total):
    """``total + values[k:] * x[indices[k:]]`` for a vector of entries."""
    at = builder.gep(indices, [k])
    bits = at.type.pointee.width
    at = builder.bitcast(at, ir.VectorType(at.type.pointee, row.lanes).as_pointer())
    if row.rest is None:
        mask = ir.Constant(ir.VectorType(I1, row.lanes), [1] * row.lanes)
        where = builder.load(at, align=bits // 8)
    else:
        mask = row.mask
        where = row.load_masked(at, f"v{row.lanes}i{bits}")
    zero = ir.Constant(row.type, [0.0] * row.lanes)
    pointers = _pointers(builder, row, x, where)
    name = f"llvm.masked.gather.{row.name}.v{row.lanes}p0"
    gather = row.intrinsic(name, row.type, [pointers.type, I32, mask.type, row.type])
    gathered = builder.call(gather, [pointers, I32(row.size), mask, zero])
    return row.multiply_add(row.load(builder.gep(values, [k]))[0], gathered, total)


@intrinsic
def _gathered_dot(context, values, indices, start, stop, x):
    def codegen(context, builder, signature, args):
        first_value, first_index, first_x = (
            context.make_array(signature.args[n])(context, builder, args[n]).data for n in (0, 1, 4)
        )
        start, stop = args[2:4]
        row = Row(context, builder, values.dtype, 1, None, LANES)
        sums = cgutils.alloca_once_value(builder, row.zeros()[0])

        def add(row, k):
            total = builder.load(sums)
            builder.store(_multiply_add(builder, row, first_value, first_index, first_x, k, total), sums)

        whole = builder.and_(builder.sub(stop, start), I64(-row.lanes))
        middle = builder.add(start, whole)
        prefetch = row.intrinsic("llvm.prefetch.p0", ir.VoidType(), [POINTER, I32, I32, I32])
        with cgutils.for_range_slice(builder, start, middle, I64(row.lanes), I64, inc=True) as (k, _):
            later = builder.gep(builder.bitcast(builder.gep(first_value, [k]), POINTER), [I64(AHEAD)])
            builder.call(prefetch, [later, I32(0), I32(3), I32(1)])
            add(row, k)
        with builder.if_then(builder.icmp_signed("<", middle, stop)):
            rest = Row(context, builder, values.dtype, 0, builder.sub(stop, middle), LANES)
            add(rest, middle)
        return row.total(builder.load(sums))

    return values.dtype(values, indices, types.intp, types.intp, x), codegen


@loop(fastmath={"reassoc", "contract"})  # so that LLVM takes several sums side by side, and vectors of them
def _plain_dot(values, indices, start, stop, x):
    total = values.dtype.type(0)
    for k in range(start, stop):
        total += values[k] * x[indices[k]]
    return total


def gathered_dot(values, indices, start, stop, x):
    """``sum values[k] * x[indices[k]]`` over start <= k < stop, for unsigned indices."""
    raise TypeError("for compiled code only")


@overload(gathered_dot)
def _gathered_dot_overload(values, indices, start, stop, x):
    dense = all(a.layout == "C" for a in (values, indices, x))
    if HOST_GATHERS and dense and values.dtype == x.dtype and values.dtype in (types.float32, types.float64):
        return lambda values, indices, start, stop, x: _gathered_dot(values, indices, start, stop, x)
    return lambda values, indices, start, stop, x: _plain_dot(values, indices, start, stop, x)
