"""Register tiles: up to four LLVM vectors of a dense row that stay in registers while a sparse row passes by.

A plain loop loads and stores the dense row anew for each stored entry. A tile holds it for the whole sparse row,
multiplies and adds in one instruction, and asks for dense rows before they are needed: where the indices lead is known
ahead, but not to the hardware. A vector has 64 bytes; LLVM cuts it where registers are narrower. The last columns go
through masked loads and stores. Tiles are for float32 and float64, on hosts that have masks (AVX2 or AVX-512);
everything else goes through the plain loops of the callers, which LLVM vectorises as it can.
"""

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

VECTOR_BYTES = 64
CACHE_LINE = 64
AHEAD = 8  # entries between the prefetch and the use of a dense row; 4 to 16 measured alike

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()


def _host_has_masks():
    if config.CPU_FEATURES is not None:  # the user's choice, for code that moves to other machines
        return "+avx2" in config.CPU_FEATURES or "+avx512f" in config.CPU_FEATURES
    features = get_host_cpu_features()
    return features.get("avx2", False) or features.get("avx512f", False)


HOST_HAS_MASKS = _host_has_masks()


def has_tiles(*arrays):
    """Whether there are tiles for these Numba array types."""
    return (
        HOST_HAS_MASKS
        and arrays[0].dtype in (types.float32, types.float64)
        and all(a.dtype == arrays[0].dtype for a in arrays)
    )


class _Row:
    """Loads and stores of one tile of a dense row: full vectors, then perhaps a masked one of `rest` elements."""

    def __init__(self, context, builder, dtype, full, rest):
        self.builder, self.full, self.rest = builder, full, rest
        self.element = context.get_value_type(dtype)
        self.size = dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.size
        self.type = ir.VectorType(self.element, self.lanes)
        self.name = f"v{self.lanes}f{dtype.bitwidth}"
        if rest is not None:
            count = builder.trunc(rest, I32)
            lane = ir.Constant(ir.VectorType(I32, self.lanes), list(range(self.lanes)))
            self.mask = builder.icmp_unsigned("<", lane, self.splat(count))

    @property
    def vectors(self):
        return self.full + (self.rest is not None)

    def intrinsic(self, name, result, arguments):
        return cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(result, arguments), name)

    def splat(self, scalar):
        vector = ir.VectorType(scalar.type, self.lanes)
        one = self.builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
        lanes = ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)

    def zeros(self):
        return [ir.Constant(self.type, [0.0] * self.lanes)] * self.vectors

    def address(self, base, n):
        at = self.builder.gep(base, [I64(n * self.lanes)])
        return self.builder.bitcast(at, self.type.as_pointer())

    def load(self, base):
        loaded = [self.builder.load(self.address(base, n), align=self.size) for n in range(self.full)]
        if self.rest is not None:
            mask = ir.VectorType(I1, self.lanes)
            name = f"llvm.masked.load.{self.name}.p0"
            f = self.intrinsic(name, self.type, [self.type.as_pointer(), I32, mask, self.type])
            zero = ir.Constant(self.type, [0.0] * self.lanes)
            loaded.append(
                self.builder.call(f, [self.address(base, self.full), I32(self.size), self.mask, zero])
            )
        return loaded

    def store(self, values, base):
        for n in range(self.full):
            self.builder.store(values[n], self.address(base, n), align=self.size)
        if self.rest is not None:
            mask = ir.VectorType(I1, self.lanes)
            name = f"llvm.masked.store.{self.name}.p0"
            f = self.intrinsic(name, ir.VoidType(), [self.type, self.type.as_pointer(), I32, mask])
            at = self.address(base, self.full)
            self.builder.call(f, [values[self.full], at, I32(self.size), self.mask])

    def multiply_add(self, x, y, z):
        f = self.intrinsic(f"llvm.fma.{self.name}", self.type, [self.type] * 3)
        return self.builder.call(f, [x, y, z])

    def total(self, vector):
        f = self.intrinsic(f"llvm.vector.reduce.fadd.{self.name}", self.element, [self.element, self.type])
        return self.builder.call(f, [ir.Constant(self.element, -0.0), vector], fastmath=("reassoc",))

    def prefetch(self, base, write):
        f = self.intrinsic("llvm.prefetch.p0", ir.VoidType(), [POINTER, I32, I32, I32])
        for n in range(0, self.vectors * self.lanes * self.size, CACHE_LINE):
            at = self.builder.bitcast(self.builder.gep(base, [I64(n // self.size)]), POINTER)
            self.builder.call(f, [at, I32(write), I32(3), I32(1)])


def _pointer(context, builder, typ, value):
    return context.make_array(typ)(context, builder, value).data


def _entries(builder, indices, bounds, dense, step, row, write):
    """Loop over stored entries k: yields k and the address of its row of `dense`, and prefetches a later one."""
    start, stop, end = bounds
    last = builder.sub(end, I64(1))

    def address(k):
        i = builder.load(builder.gep(indices, [k]))
        i = i if i.type == I64 else builder.zext(i, I64)
        return builder.gep(dense, [builder.mul(i, step)])

    with cgutils.for_range_slice(builder, start, stop, I64(1), I64, inc=True) as (k, _):
        later = builder.add(k, I64(AHEAD))
        later = builder.select(builder.icmp_signed("<", later, last), later, last)
        row.prefetch(address(later), write)
        yield k, address(k)


def _tile(full, masked, body):
    """An intrinsic over the entries start..stop of a sparse row; `rest` is the number of masked columns."""

    @intrinsic
    def tile(context, indices, left, start, stop, end, right, offset, step, out, out_offset, rest):
        n = types.intp
        signature = types.void(indices, left, n, n, n, right, n, n, out, n, n)

        def codegen(context, builder, signature, args):
            typ = signature.args
            i, a, b, o = (_pointer(context, builder, typ[k], args[k]) for k in (0, 1, 5, 8))
            row = _Row(context, builder, typ[8].dtype, full, args[10] if masked else None)
            body(builder, row, i, a, args[2:5], builder.gep(b, [args[6]]), args[7], o, args[9])
            return context.get_dummy_value()

        return signature, codegen

    return tile


def _gather(builder, row, indices, values, bounds, dense, step, out, out_offset):
    """``out[:] = sum values[k] * dense[indices[k], :]``."""
    sums = [cgutils.alloca_once_value(builder, zero) for zero in row.zeros()]
    for k, base in _entries(builder, indices, bounds, dense, step, row, 0):
        factor = row.splat(builder.load(builder.gep(values, [k])))
        for place, x in zip(sums, row.load(base), strict=True):
            builder.store(row.multiply_add(factor, x, builder.load(place)), place)
    row.store([builder.load(place) for place in sums], builder.gep(out, [out_offset]))


def _scatter(builder, row, indices, values, bounds, dense, step, out, out_offset):
    """``out[indices[k], :] += values[k] * dense[:]``; `step` is that of out."""
    xs = row.load(dense)
    out = builder.gep(out, [out_offset])
    for k, base in _entries(builder, indices, bounds, out, step, row, 1):
        factor = row.splat(builder.load(builder.gep(values, [k])))
        new = [row.multiply_add(factor, x, y) for x, y in zip(xs, row.load(base), strict=True)]
        row.store(new, base)


def _dot(builder, row, indices, a, bounds, b, step, out, a_offset):
    """``out[k] += a[:] . b[indices[k], :]``."""
    xs = row.load(builder.gep(a, [a_offset]))
    for k, base in _entries(builder, indices, bounds, b, step, row, 0):
        sums = [None, None]  # two chains: an addition need not wait for the one before
        for n, (x, y) in enumerate(zip(xs, row.load(base), strict=True)):
            s = sums[n % 2]
            sums[n % 2] = builder.fmul(x, y) if s is None else row.multiply_add(x, y, s)
        vector = sums[0] if sums[1] is None else builder.fadd(*sums)
        place = builder.gep(out, [k])
        builder.store(builder.fadd(builder.load(place), row.total(vector)), place)


def _covering(body):
    """A function that covers `width` columns with tiles; `offset` and `out_offset` say where they begin."""
    four = _tile(4, False, body)
    zero, one, two, three = (_tile(n, True, body) for n in range(4))

    @numba.njit(error_model="numpy")
    def cover(indices, left, start, stop, right, offset, step, out, out_offset, width):
        lanes = VECTOR_BYTES // right.itemsize
        end = len(indices)
        while width >= 4 * lanes:
            four(indices, left, start, stop, end, right, offset, step, out, out_offset, 0)
            offset, out_offset, width = offset + 4 * lanes, out_offset + 4 * lanes, width - 4 * lanes
        if width > 3 * lanes:
            three(indices, left, start, stop, end, right, offset, step, out, out_offset, width - 3 * lanes)
        elif width > 2 * lanes:
            two(indices, left, start, stop, end, right, offset, step, out, out_offset, width - 2 * lanes)
        elif width > lanes:
            one(indices, left, start, stop, end, right, offset, step, out, out_offset, width - lanes)
        elif width > 0:
            zero(indices, left, start, stop, end, right, offset, step, out, out_offset, width)

    return cover


gather_row, scatter_row, dot_row = map(_covering, (_gather, _scatter, _dot))


def with_tiles(plain, in_tiles):
    """A function for compiled code that works on the major slices first..last: in tiles if the dtype has them."""

    def rows(left, indices, indptr, right, out, first, last):
        raise TypeError("for compiled code only")

    @overload(rows)
    def choose(left, indices, indptr, right, out, first, last):
        chosen = in_tiles if has_tiles(left, right, out) else plain

        def run(left, indices, indptr, right, out, first, last):
            chosen(left, indices, indptr, right, out, first, last)

        return run

    return rows


@numba.njit
def _side_by_side(x):
    if x.shape[-1] <= 1 or x.strides[-1] == x.itemsize:
        return x
    return np.ascontiguousarray(x)


def for_tiles(left, indices, right):
    """The arrays as tiles need them, with the elements of a row or vector side by side: themselves, or copies.

    For rows in another layout, tiles of a copy were 3 to 14 times as fast as plain loops over the original.
    """
    raise TypeError("for compiled code only")


@overload(for_tiles)
def _for_tiles(left, indices, right):
    if not has_tiles(left, right):
        return lambda left, indices, right: (left, indices, right)
    return lambda left, indices, right: (_side_by_side(left), _side_by_side(indices), _side_by_side(right))
