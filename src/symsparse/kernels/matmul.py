"""Products of compressed with dense matrices (SpMV, SpMM)."""

import numpy as np
from numba.extending import overload

from symsparse.kernels.base import KernelValueError, kernel, loop, unsigned
from symsparse.kernels.gathers import gathered_dot
from symsparse.kernels.memory import empty, zeros
from symsparse.kernels.threading import cut, cut_for, cut_into, run_chunks, threads_for
from symsparse.kernels.tiles import for_tiles, gather_onto_rows, gather_rows, scatter_rows, with_tiles

MISFIT = "dot: the inner sizes differ: %d of the sparse and %d of the other operand"
MANY = 8  # entries for each row of the outputs that threads have of their own
TURNS = 2  # chunks of rows for each thread in a phase
WIDE = 8  # columns that are worth a thread of their own: one vector of float64


@loop
def _gather_vector(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        out[r] = gathered_dot(values, indices, indptr[r], indptr[r + 1], x)


@kernel
def gather_vector(values, indices, indptr, x, n_minor):
    """``out[major] = sum values * x[minor]``: csr @ x."""
    if len(x) != n_minor:
        raise KernelValueError(MISFIT, n_minor, len(x))
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = empty(len(indptr) - 1, values.dtype)
    run_chunks(_gather_vector, cut_for(len(indices), indptr), (values, indices, indptr, x, out))
    return out


@loop
def _scatter_vector(t, _, values, indices, indptr, x, out, parts, bounds):
    """What thread t adds, into an output of its own."""
    own = out
    if t > 0:
        own = parts[t - 1]
        own[:] = 0
    for r in range(bounds[t], bounds[t + 1]):
        factor = x[r]
        for k in range(indptr[r], indptr[r + 1]):
            own[indices[k]] += values[k] * factor


@loop
def _add_parts(first, last, out, parts):
    """Add what each thread has, in the order of the threads, so that a result does not depend on who was first."""
    for t in range(len(parts)):
        for k in range(first, last):
            out[k] += parts[t, k]


@kernel
def scatter_vector(values, indices, indptr, x, n_minor):
    """``out[minor] += values * x[major]``: csc @ x."""
    if len(x) != len(indptr) - 1:
        raise KernelValueError(MISFIT, len(indptr) - 1, len(x))
    indices, indptr = unsigned(indices), unsigned(indptr)
    threads = threads_for(len(indices) - 2 * n_minor)  # each thread adds into an output of its own
    out = zeros(n_minor, values.dtype)
    parts = empty((threads - 1, n_minor), values.dtype)
    tasks = cut_into(threads, threads)
    run_chunks(_scatter_vector, tasks, (values, indices, indptr, x, out, parts, cut(indptr, threads)))
    if threads > 1:
        run_chunks(_add_parts, cut_into(n_minor, threads), (out, parts))
    return out


@loop
def _gather_plain(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        out[r] = 0
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[r, j] += factor * x[c, j]


_gather_matrix = with_tiles(_gather_plain, gather_rows)


@kernel
def gather_matrix(values, indices, indptr, x, n_minor):
    """``out[major, :] = sum values * x[minor, :]``: csr @ X."""
    if x.shape[0] != n_minor:
        raise KernelValueError(MISFIT, n_minor, x.shape[0])
    values, indices, indptr, x = for_tiles(values, unsigned(indices), unsigned(indptr), x)
    out = empty((len(indptr) - 1, x.shape[1]), values.dtype)
    run_chunks(_gather_matrix, cut_for(len(indices) * x.shape[1], indptr), (values, indices, indptr, x, out))
    return out


@loop
def _scatter_plain(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[c, j] += factor * x[r, j]


_scatter_rows = with_tiles(_scatter_plain, scatter_rows)


@loop
def _scatter_matrix(t, _, phase, threads, values, indices, indptr, x, out, parts, bounds):
    """Task t: rows that nobody writes beside, or columns of its own, or rows into an output of its own."""
    left, right, own, rows = 0, out.shape[1], out, bounds
    if len(parts) > 0:
        rows = bounds[t : t + 2]
        if t > 0:
            own = parts[t - 1]
            own[:] = 0
    elif len(bounds) > 2:
        rows = bounds[2 * t + phase : 2 * t + phase + 2]
    elif threads > 1:
        left = right * t // threads // WIDE * WIDE
        right = right if t == threads - 1 else right * (t + 1) // threads // WIDE * WIDE
    run_chunks(_scatter_rows, rows, (values, indices, indptr, x[:, left:right], own[:, left:right]))


@loop
def _worth_parts(threads, nnz, n_minor):
    """Whether outputs of threads' own are small beside the work: then they pay, even where each could have columns."""
    return nnz >= MANY * (threads - 1) * n_minor


@loop
def _are_apart(bounds, indices, indptr, rows):
    """Whether no chunk of rows writes where the one before the last wrote, or before that, as in banded matrices.

    Only so many rows of each chunk are read.
    """
    top = np.full(2, -1, np.int64)
    for b in range(len(bounds) - 1):
        start = np.int64(indptr[bounds[b]])
        stop = np.int64(indptr[min(bounds[b] + rows, bounds[b + 1])])
        if start < stop:
            low = high = np.int64(indices[start])
            for k in range(start, stop):
                low, high = min(low, np.int64(indices[k])), max(high, np.int64(indices[k]))
            if low <= top[b % 2]:
                return False
            top[b % 2] = high
    return True


@loop
def _scatter(values, indices, indptr, x, out):
    """Add the product to `out`.

    Threads add every other chunk of rows, then the chunks between them, where chunks so far apart do not meet. Else
    each has an output of its own where these are small beside the work, or columns of its own.
    """
    n_minor, width = out.shape
    threads = threads_for(len(indices) * width)
    tasks, phases, n_parts = threads, 1, 0
    bounds = cut(indptr, 1 if threads == 1 else 2 * TURNS * threads)
    if threads > 1:
        n_major = len(indptr) - 1
        if _are_apart(bounds, indices, indptr, 1) and _are_apart(bounds, indices, indptr, n_major):
            tasks, phases = TURNS * threads, 2
        elif _worth_parts(threads, len(indices), n_minor) or width < threads * WIDE:
            n_parts, bounds = threads - 1, cut(indptr, threads)
        else:
            bounds = cut(indptr, 1)
    parts = empty((n_parts, n_minor, width), values.dtype)
    for phase in range(phases):
        given = phase, threads, values, indices, indptr, x, out, parts, bounds
        run_chunks(_scatter_matrix, cut_into(tasks, tasks), given)
    if n_parts > 0:
        size = n_minor * width
        run_chunks(_add_parts, cut_into(size, threads), (out.reshape(-1), parts.reshape((n_parts, size))))


@kernel
def scatter_matrix(values, indices, indptr, x, n_minor):
    """``out[minor, :] += values * x[major, :]``: csc @ X."""
    if x.shape[0] != len(indptr) - 1:
        raise KernelValueError(MISFIT, len(indptr) - 1, x.shape[0])
    values, indices, indptr, x = for_tiles(values, unsigned(indices), unsigned(indptr), x)
    out = zeros((n_minor, x.shape[1]), values.dtype)
    _scatter(values, indices, indptr, x, out)
    return out


# -- z + alpha * (a @ x) ----------------------------------------------------------------------------------------


def _own(z, inplace):
    """An array to add to: `z` itself if it may be destroyed, and is laid out as the loops need it; else a copy."""
    raise TypeError("for compiled code only")


@overload(_own)
def _own_overload(z, inplace):
    if z.mutable and z.layout == "C":
        return lambda z, inplace: z if inplace else z.copy()
    return lambda z, inplace: z.copy()


@loop
def _check_sum(a_major, a_minor, x, z, gather):
    n, inner = (a_major, a_minor) if gather else (a_minor, a_major)
    if len(x) != inner:
        raise KernelValueError("usmm: the inner sizes differ: %d and %d", inner, len(x))
    if len(z) != n or x.shape[1:] != z.shape[1:]:
        raise KernelValueError("usmm: the product and z differ in shape: %d and %d rows", n, len(z))


@loop
def _start(alpha, values, z, inplace):
    """Scaled values, the result, and where to add them up.

    A factor that is not finite scales the finished product, and so makes NaN of the zeros of empty rows: it gets an
    array of its own to add up in.
    """
    factor = values.dtype.type(alpha)
    out = _own(z, inplace)
    if np.isfinite(factor):
        return factor * values, out, out
    return values.copy(), out, np.zeros_like(out)


@loop
def _finish(alpha, values, out, total):
    factor = values.dtype.type(alpha)
    if not np.isfinite(factor):
        out += factor * total


@loop
def _gather_onto_vector(first, last, factor, values, indices, indptr, x, out):
    for r in range(first, last):
        out[r] += factor * gathered_dot(values, indices, indptr[r], indptr[r + 1], x)


@kernel
def usmm_gather_vector(alpha, values, indices, indptr, x, z, n_minor, inplace):
    """``z[major] + alpha * sum values * x[minor]``: csr."""
    _check_sum(len(indptr) - 1, n_minor, x, z, True)
    indices, indptr = unsigned(indices), unsigned(indptr)
    out = _own(z, inplace)
    given = values.dtype.type(alpha), values, indices, indptr, x, out
    run_chunks(_gather_onto_vector, cut_for(len(indices), indptr), given)
    return out


@kernel
def usmm_scatter_vector(alpha, values, indices, indptr, x, z, n_minor, inplace):
    """``z[minor] += alpha * values * x[major]``: csc."""
    _check_sum(len(indptr) - 1, n_minor, x, z, False)
    indices, indptr = unsigned(indices), unsigned(indptr)
    scaled, out, total = _start(alpha, values, z, inplace)
    threads = threads_for(len(indices) - 2 * n_minor)  # each thread adds into an output of its own
    parts = empty((threads - 1, n_minor), values.dtype)
    tasks = cut_into(threads, threads)
    run_chunks(_scatter_vector, tasks, (scaled, indices, indptr, x, total, parts, cut(indptr, threads)))
    if threads > 1:
        run_chunks(_add_parts, cut_into(n_minor, threads), (total, parts))
    _finish(alpha, values, out, total)
    return out


@loop
def _gather_onto_plain(first, last, values, indices, indptr, x, out):
    for r in range(first, last):
        for k in range(indptr[r], indptr[r + 1]):
            factor = values[k]
            c = indices[k]
            for j in range(out.shape[1]):
                out[r, j] += factor * x[c, j]


_gather_onto_matrix = with_tiles(_gather_onto_plain, gather_onto_rows)


@kernel
def usmm_gather_matrix(alpha, values, indices, indptr, x, z, n_minor, inplace):
    """``z[major, :] + alpha * sum values * x[minor, :]``: csr."""
    _check_sum(len(indptr) - 1, n_minor, x, z, True)
    scaled, out, total = _start(alpha, values, z, inplace)
    scaled, indices, indptr, x = for_tiles(scaled, unsigned(indices), unsigned(indptr), x)
    bounds = cut_for(len(indices) * x.shape[1], indptr)
    run_chunks(_gather_onto_matrix, bounds, (scaled, indices, indptr, x, total))
    _finish(alpha, values, out, total)
    return out


@kernel
def usmm_scatter_matrix(alpha, values, indices, indptr, x, z, n_minor, inplace):
    """``z[minor, :] += alpha * values * x[major, :]``: csc."""
    _check_sum(len(indptr) - 1, n_minor, x, z, False)
    scaled, out, total = _start(alpha, values, z, inplace)
    scaled, indices, indptr, x = for_tiles(scaled, unsigned(indices), unsigned(indptr), x)
    _scatter(scaled, indices, indptr, x, total)
    _finish(alpha, values, out, total)
    return out
