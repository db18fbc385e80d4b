"""Register tiles: up to four LLVM vectors of a dense row that stay in registers while a sparse row passes by.

A plain loop loads and stores the dense row anew for each stored entry. A tile holds it for the whole sparse row,
multiplies and adds in one instruction, and asks for dense rows before they are needed: where the indices lead is known
ahead, but not to the hardware. A vector has 64 bytes; LLVM cuts it where registers are narrower. The last columns go
through masked loads and stores. Tiles are for float32 and float64, on hosts that have masks (AVX2 or AVX-512);
everything else goes through the plain loops of the callers, which LLVM vectorises as it can.
"""

import contextlib
import functools

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import cgutils, config, types
from numba.extending import intrinsic, overload

from symsparse.kernels.base import loop

VECTOR_BYTES = 64
CACHE_LINE = 64
AHEAD = 8  # entries between the prefetch and the use of a dense row; 4 to 16 measured alike

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
POINTER = ir.IntType(8).as_pointer()


def _host_has_masks():
    if config.BOUNDSCHECK:  # tiles read by pointers, which nothing can check
        return False
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


class Row:
    """Loads and stores of one tile of a dense row: full vectors, then perhaps a masked one of `rest` elements."""

    def __init__(self, context, builder, dtype, full, rest, lanes=None):
        self.builder, self.full, self.rest = builder, full, rest
        self.element = context.get_value_type(dtype)
        self.size = dtype.bitwidth // 8
        self.lanes = lanes or VECTOR_BYTES // self.size
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
            loaded.append(self.load_masked(self.address(base, self.full), self.name))
        return loaded

    def load_masked(self, at, name):
        """A vector of `rest` elements from a pointer to one, then zeros; `name` is LLVM's for its type."""
        vector = at.type.pointee
        mask = ir.VectorType(I1, self.lanes)
        f = self.intrinsic(f"llvm.masked.load.{name}.p0", vector, [at.type, I32, mask, vector])
        return self.builder.call(f, [at, I32(1), self.mask, ir.Constant(vector, None)])

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


class _Matrix:
    """A dense or flat array in generated code: elements by the number of a row and the step between rows."""

    def __init__(self, context, builder, typ, value, offset=None):
        array = context.make_array(typ)(context, builder, value)
        self.builder, self.data = builder, array.data if offset is None else builder.gep(array.data, [offset])
        if typ.ndim == 2:
            stride = builder.extract_value(array.strides, 0)
            self.step = builder.sdiv(stride, array.itemsize)

    def row(self, r):
        return self.builder.gep(self.data, [self.builder.mul(r, self.step)])

    def place(self, k):
        return self.builder.gep(self.data, [k])

    def __getitem__(self, k):
        x = self.builder.load(self.place(k))
        return self.builder.zext(x, I64) if isinstance(x.type, ir.IntType) and x.type != I64 else x


def _tile(full, masked, body):
    """An intrinsic over the entries of the major slices first..last.

    It covers the columns from `offset`: `full` vectors of them and perhaps a masked one for the `rest`. `fresh` says
    that nothing has been added to the output yet.
    """

    @intrinsic
    def tile(context, first, last, left, indices, indptr, right, out, offset, rest, fresh):
        n = types.intp
        signature = types.void(n, n, left, indices, indptr, right, out, n, n, types.boolean)

        def codegen(context, builder, signature, args):
            def matrix(k, offset=None):
                return _Matrix(context, builder, signature.args[k], args[k], offset)

            row = Row(context, builder, signature.args[6].dtype, full, args[8] if masked else None)
            nnz = context.make_array(signature.args[3])(context, builder, args[3]).nitems
            entries = _Entries(builder, matrix(3), matrix(4), builder.sub(nnz, I64(1)), row)
            with cgutils.for_range_slice(builder, args[0], args[1], I64(1), I64, inc=True) as (r, _):
                body(builder, row, entries, r, matrix, args[7], args[9])
            return context.get_dummy_value()

        return signature, codegen

    return tile


class _Entries:
    """The stored entries of a major slice."""

    def __init__(self, builder, indices, indptr, last, row):
        self.builder, self.indices, self.indptr, self.last, self.row = builder, indices, indptr, last, row

    @contextlib.contextmanager
    def of(self, r, dense, write=0):
        """A loop over stored entries: gives k and the address of its row of `dense`, and asks for a later one."""
        builder = self.builder
        start, stop = self.indptr[r], self.indptr[builder.add(r, I64(1))]
        with cgutils.for_range_slice(builder, start, stop, I64(1), I64, inc=True) as (k, _):
            later = builder.add(k, I64(AHEAD))
            later = builder.select(builder.icmp_signed("<", later, self.last), later, self.last)
            self.row.prefetch(dense.row(self.indices[later]), write)
            yield k, dense.row(self.indices[k])


def _gather(builder, row, entries, r, matrix, offset, fresh, onto=False):
    """``out[r] = sum values[k] * x[indices[k]]``, or ``out[r] += ...``."""
    values, x, out = matrix(2), matrix(5, offset), matrix(6, offset)
    starts = row.load(out.row(r)) if onto else row.zeros()
    sums = [cgutils.alloca_once_value(builder, start) for start in starts]
    with entries.of(r, x) as (k, base):
        factor = row.splat(values[k])
        for place, loaded in zip(sums, row.load(base), strict=True):
            builder.store(row.multiply_add(factor, loaded, builder.load(place)), place)
    row.store([builder.load(place) for place in sums], out.row(r))


def _scatter(builder, row, entries, r, matrix, offset, fresh):
    """``out[indices[k]] += values[k] * x[r]``."""
    values, x, out = matrix(2), matrix(5, offset), matrix(6, offset)
    loaded = row.load(x.row(r))
    with entries.of(r, out, write=1) as (k, base):
        factor = row.splat(values[k])
        row.store([row.multiply_add(factor, x, y) for x, y in zip(loaded, row.load(base), strict=True)], base)


def _dot(builder, row, entries, r, matrix, offset, fresh):
    """``out[k] = a[r] . b[indices[k]]``."""
    a, b, out = matrix(2, offset), matrix(5, offset), matrix(6)
    loaded = row.load(a.row(r))
    with entries.of(r, b) as (k, base):
        sums = [None, None]  # two chains: an addition need not wait for the one before
        for n, (x, y) in enumerate(zip(loaded, row.load(base), strict=True)):
            s = sums[n % 2]
            sums[n % 2] = builder.fmul(x, y) if s is None else row.multiply_add(x, y, s)
        total = row.total(sums[0] if sums[1] is None else builder.fadd(*sums))
        before = builder.select(fresh, ir.Constant(total.type, 0.0), out[k])
        builder.store(builder.fadd(before, total), out.place(k))


def _covering(body):
    """A loop over major slices in tiles, strip by strip."""
    four = _tile(4, False, body)
    zero, one, two, three = (_tile(n, True, body) for n in range(4))

    @loop
    def cover(first, last, left, indices, indptr, right, out):
        rest, lanes, offset = right.shape[1], VECTOR_BYTES // right.itemsize, 0
        while rest >= 4 * lanes:
            four(first, last, left, indices, indptr, right, out, offset, 0, offset == 0)
            offset, rest = offset + 4 * lanes, rest - 4 * lanes
        n = rest - (rest - 1) // lanes * lanes
        if rest > 3 * lanes:
            three(first, last, left, indices, indptr, right, out, offset, n, offset == 0)
        elif rest > 2 * lanes:
            two(first, last, left, indices, indptr, right, out, offset, n, offset == 0)
        elif rest > lanes:
            one(first, last, left, indices, indptr, right, out, offset, n, offset == 0)
        elif rest > 0:
            zero(first, last, left, indices, indptr, right, out, offset, n, offset == 0)

    return cover


gather_rows, scatter_rows, dot_rows = map(_covering, (_gather, _scatter, _dot))
gather_onto_rows = _covering(functools.partial(_gather, onto=True))


def with_tiles(plain, in_tiles):
    """The loop `plain`, in whose place `run_chunks` calls `in_tiles` if the dtype has them."""

    def suited_to(arguments):
        _, _, left, _, _, right, out = arguments
        return in_tiles if has_tiles(left, right, out) else plain

    plain.suited_to = suited_to
    return plain


@loop
def _side_by_side(x):
    if x.shape[-1] <= 1 or x.strides[-1] == x.itemsize:
        return x
    return np.ascontiguousarray(x)


def for_tiles(left, indices, indptr, right):
    """The arrays as tiles need them, with the elements of a row or vector side by side: themselves, or copies.

    For rows in another layout, tiles of a copy were 3 to 14 times as fast as plain loops over the original.
    """
    raise TypeError("for compiled code only")


@overload(for_tiles)
def _for_tiles(left, indices, indptr, right):
    if not has_tiles(left, right) or all(a.layout == "C" for a in (left, indices, indptr, right)):
        return lambda left, indices, indptr, right: (left, indices, indptr, right)
    return lambda left, indices, indptr, right: (
        _side_by_side(left),
        _side_by_side(indices),
        _side_by_side(indptr),
        _side_by_side(right),
    )
