"""Products of two compressed matrices (SpGEMM), by rows.

A row of the product is gathered in a dense row of sums. Two levels of bits tell which of its elements are in use: one
bit for each column, and one for each word of such bits. Read in their order they give the columns sorted, and what is
read is left at zero for the next row; nothing is sorted, and no row costs more than its own entries.

Entries are made in a buffer for a run of rows, then appended to a result that grows: one pass, and memory for the
result and one row for each thread, not for all products.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from symsparse.kernels.base import KernelMemoryError, KernelValueError, kernel, loop, unsigned
from symsparse.kernels.layout import is_canonical
from symsparse.kernels.memory import empty, fits_memory, trimmed
from symsparse.kernels.threading import cut_into, run_chunks, threads_for

RUN = 1 << 16  # multiply-adds between two looks at the room that is left
RUN_OF_A_THREAD = 1 << 22  # ... and between two appends: each is a moment when all threads wait
DOUBLED = 1 << 25  # entries from which a result grows no faster than by doubling

TOO_MANY = "dot: the product has %d entries or more, too many for int32 indices; use index_dtype='int64'"

_SHIFT = np.uint64(6)  # 64 columns in a word, 64 words in a word of the upper level
_BIT = np.uint64(63)
_ONE = np.uint64(1)
_NONE = np.uint64(0)


@intrinsic
def _lowest_bit(context, word):
    """Place of the lowest set bit of a word that is not zero."""

    def codegen(context, builder, signature, args):
        count = ir.FunctionType(ir.IntType(64), [ir.IntType(64), ir.IntType(1)])
        function = cgutils.get_or_insert_function(builder.module, count, "llvm.cttz.i64")
        return builder.call(function, [args[0], ir.IntType(1)(1)])

    return types.uint64(types.uint64), codegen


@loop
def _work(a_indices, a_indptr, b_indptr):
    """Number of multiply-adds before each row; and of entries at least: the longest slice of b that a row meets.

    Those of a slice of b are as many different ones only if b stores none twice.
    """
    work = np.empty(len(a_indptr), dtype=np.int64)
    total, least = np.int64(0), np.int64(0)
    work[0] = 0
    for r in range(len(a_indptr) - 1):
        longest = np.int64(0)
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = np.int64(a_indices[k])
            length = np.int64(b_indptr[i + 1]) - np.int64(b_indptr[i])
            total += length
            longest = max(longest, length)
        work[r + 1] = total
        least += longest
    return work, least


@loop
def _row_after(work, row, amount):
    """The row at which so much work is done since a row; at least one row later, unless there is none."""
    low, high = row, len(work) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if work[middle] <= work[row] + amount:
            low = middle
        else:
            high = middle - 1
    return min(max(low, row + 1), len(work) - 1)


@loop
def _multiply(a, b, row, out, sizes, first, last):
    """Columns and values of the rows first..last into `out`; returns how many there are."""
    a_values, a_indices, a_indptr = a
    b_values, b_indices, b_indptr = b
    sums, words, upper = row
    columns, values = out
    at = 0
    for r in range(first, last):
        before = at
        low, high = np.int64(len(upper)), np.int64(-1)
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = np.int64(a_indices[k])
            factor = a_values[k]
            for m in range(b_indptr[i], b_indptr[i + 1]):
                c = np.uint64(b_indices[m])
                w = c >> _SHIFT
                bits = words[w]
                if bits == _NONE:
                    above = np.int64(w >> _SHIFT)
                    upper[above] |= _ONE << (w & _BIT)
                    low, high = min(low, above), max(high, above)
                words[w] = bits | (_ONE << (c & _BIT))
                sums[c] += factor * b_values[m]
        for u in range(low, high + 1):
            used = upper[u]
            upper[u] = _NONE
            while used != _NONE:
                w = (np.uint64(u) << _SHIFT) | _lowest_bit(used)
                used &= used - _ONE
                bits = words[w]
                words[w] = _NONE
                while bits != _NONE:
                    c = (w << _SHIFT) | _lowest_bit(bits)
                    bits &= bits - _ONE
                    columns[at] = c
                    values[at] = sums[c]
                    sums[c] = 0
                    at += 1
        sizes[r] = at - before
    return at


@loop
def _empty_row(n_minor, like):
    """What a row of the product is gathered in: sums, words of bits, and bits for the words."""
    return (
        np.zeros(n_minor, dtype=like.dtype),
        np.zeros(n_minor // 64 + 1, dtype=np.uint64),
        np.zeros(n_minor // 4096 + 1, dtype=np.uint64),
    )


@loop
def _capacity(made, done, total):
    """Room for the entries made by so much of all work, and for what is to come if it is like what has been.

    What is foreseen may be far too much, as where heavy rows come first: a large result at most doubles.
    """
    to_come = min(total - done, np.int64(1.1 * made * ((total - done) / max(1, done))) + RUN)
    return made + min(to_come, max(made, DOUBLED))


@loop
def _grown(out, used, size):
    new = empty(size, out.dtype)
    new[:used] = out[:used]
    return new


@loop
def _product_of_one_thread(a, b, n_minor, work, indptr):
    n = len(indptr) - 1
    row = _empty_row(n_minor, a[0])
    made, first = np.int64(0), np.int64(0)
    indices, values = empty(0, a[1].dtype), empty(0, a[0].dtype)
    while first < n:
        last = _row_after(work, first, RUN)
        most = min(work[last] - work[first], (last - first) * n_minor)
        if made + most > len(indices):
            size = made + most
            size += _capacity(made, work[first], work[n]) - made if first > 0 else 0
            indices, values = _grown(indices, made, size), _grown(values, made, size)
        made += _multiply(a, b, row, (indices[made:], values[made:]), indptr[1:], first, last)
        first = last
    return values, indices, made


@loop
def _run(first, last, a, b, sums, words, upper, run_indices, run_values, sizes, bounds, made):
    """The run of rows of each of the threads first..last, into buffers of its own."""
    for t in range(first, last):
        row, out = (sums[t], words[t], upper[t]), (run_indices[t], run_values[t])
        made[t + 1] = _multiply(a, b, row, out, sizes, bounds[t], bounds[t + 1])


@loop
def _append(first, last, indices, values, run_indices, run_values, made):
    for t in range(first, last):
        start, stop = made[t], made[t + 1]
        indices[start:stop] = run_indices[t, : stop - start]
        values[start:stop] = run_values[t, : stop - start]


@kernel
def product(a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, n_inner, n_minor):
    """Values, indices and indptr of the product of two compressed matrices (rows of a, rows of b), canonical."""
    if n_inner != len(b_indptr) - 1:
        raise KernelValueError("dot: the inner sizes %d and %d differ", n_inner, len(b_indptr) - 1)
    n = len(a_indptr) - 1
    indptr = np.zeros_like(a_indptr)
    a = a_values, unsigned(a_indices), unsigned(a_indptr)
    b = b_values, unsigned(b_indices), unsigned(b_indptr)
    work, least = _work(a[1], a[2], b[2])
    counted = indptr.dtype.type(least) == least
    fits = fits_memory(least, a_values.itemsize + a_indices.itemsize)
    if not (counted and fits) and is_canonical(b_indices, b_indptr):
        if not counted:
            raise KernelValueError(TOO_MANY, least)
        raise KernelMemoryError(
            "dot: the memory that is available cannot hold the product, which has %d entries or more", least
        )
    threads = threads_for(work[n])
    if threads == 1:
        values, indices, nnz = _product_of_one_thread(a, b, n_minor, work, indptr)
    else:
        sums = np.zeros((threads, n_minor), dtype=a_values.dtype)
        words = np.zeros((threads, n_minor // 64 + 1), dtype=np.uint64)
        upper = np.zeros((threads, n_minor // 4096 + 1), dtype=np.uint64)
        room = min(work[n], max(RUN_OF_A_THREAD, n_minor))
        run_indices = empty((threads, room), a[1].dtype)
        run_values = empty((threads, room), a_values.dtype)
        indices, values = empty(0, a[1].dtype), empty(0, a_values.dtype)
        bounds, made = np.zeros(threads + 1, dtype=np.int64), np.zeros(threads + 1, dtype=np.int64)
        each = cut_into(threads, threads)
        while bounds[threads] < n:
            bounds[0], made[0] = bounds[threads], made[threads]
            share = min(np.int64(RUN_OF_A_THREAD), (work[n] - work[bounds[0]]) // threads + 1)
            for t in range(threads):
                bounds[t + 1] = _row_after(work, bounds[t], share)
            run_chunks(
                _run, each, (a, b, sums, words, upper, run_indices, run_values, indptr[1:], bounds, made)
            )
            for t in range(threads):
                made[t + 1] += made[t]
            if made[threads] > len(indices):
                capacity = _capacity(made[threads], work[bounds[threads]], work[n])
                indices, values = _grown(indices, made[0], capacity), _grown(values, made[0], capacity)
            run_chunks(_append, each, (indices, values, run_indices, run_values, made))
        nnz = made[threads]
    if indptr.dtype.type(nnz) != nnz:
        raise KernelValueError(TOO_MANY, nnz)
    for r in range(n):
        indptr[r + 1] += indptr[r]
    return trimmed(values, nnz), trimmed(indices.view(a_indices.dtype), nnz), indptr


@kernel
def product_pattern(a_indices, a_indptr, b_indices, b_indptr, n_inner, n_minor):
    """Canonical pattern of the product of two compressed matrices (rows of a, rows of b)."""
    # Values of one byte, which nobody reads, instead of loops of its own.
    a_values, b_values = np.zeros(len(a_indices), np.uint8), np.zeros(len(b_indices), np.uint8)
    _, indices, indptr = product(
        a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, n_inner, n_minor
    )
    return indices, indptr


@kernel
def product_values(a_values, a_indices, a_indptr, b_values, b_indices, b_indptr, indices, indptr, n_minor):
    """Values of the product on its pattern."""
    a_indices, b_indices, indices = unsigned(a_indices), unsigned(b_indices), unsigned(indices)
    row = np.zeros(n_minor, dtype=a_values.dtype)
    out = empty(len(indices), a_values.dtype)
    for r in range(len(indptr) - 1):
        for k in range(a_indptr[r], a_indptr[r + 1]):
            i = np.int64(a_indices[k])
            factor = a_values[k]
            for m in range(b_indptr[i], b_indptr[i + 1]):
                row[b_indices[m]] += factor * b_values[m]
        for k in range(indptr[r], indptr[r + 1]):
            out[k] = row[indices[k]]
            row[indices[k]] = 0
    return out
