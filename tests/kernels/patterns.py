"""Patterns that break careless kernels, values for them, and a call that watches what a kernel does to its inputs."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pattern:
    """Indices and indptr of a compressed matrix, by major and minor axis."""

    indices: np.ndarray
    indptr: np.ndarray
    n_minor: int

    @property
    def arrays(self):
        return self.indices, self.indptr

    @property
    def n_major(self):
        return len(self.indptr) - 1

    @property
    def nnz(self):
        return len(self.indices)

    @property
    def shape(self):
        return self.n_major, self.n_minor

    @property
    def majors(self):
        """The major index of each entry."""
        return np.repeat(np.arange(self.n_major), np.diff(self.indptr))

    @property
    def entries(self):
        """(major, minor, place) of each entry, as Python integers."""
        return list(zip(self.majors.tolist(), self.indices.tolist(), range(self.nnz), strict=True))

    @property
    def places(self):
        """The place of each entry, as a kernel that picks entries takes it along."""
        return np.arange(self.nnz, dtype=self.indices.dtype)

    @property
    def rows(self):
        """The indices of each major slice, as lists."""
        return [self.indices[a:b].tolist() for a, b in zip(self.indptr[:-1], self.indptr[1:], strict=True)]

    def canonical(self):
        return pattern([sorted(set(row)) for row in self.rows], self.n_minor, self.indices.dtype)

    def as_kind(self, index_dtype, layout):
        indices, indptr = (laid_out(a.astype(index_dtype), layout) for a in self.arrays)
        return Pattern(indices, indptr, self.n_minor)

    def dense(self, values):
        out = np.zeros(self.shape, dtype=values.dtype)
        with np.errstate(invalid="ignore", over="ignore"):
            for r, c, k in self.entries:
                out[r, c] += values[k]
        return out


def pattern(rows, n_minor, index_dtype="int32"):
    """The pattern whose major slices hold these minor indices."""
    indices = np.array([c for row in rows for c in row], dtype=index_dtype)
    indptr = np.cumsum([0, *map(len, rows)]).astype(index_dtype)
    return Pattern(indices, indptr, n_minor)


def random_pattern(shape, seed, density=0.6):
    """Unsorted, with duplicates, and with empty rows where there are enough of them."""
    n, m = shape
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, max(2, int(m * density) + 1), n) if m else np.zeros(n, int)
    sizes[::4] = 0
    return pattern([rng.integers(0, m, size).tolist() for size in sizes], m)


PATTERNS = {
    "plain": pattern([[], [0, 3, 6], [2], [], [1, 3, 4, 6], []], 8),
    "full": pattern([[0, 1, 2]] * 4, 3),
    "unsorted": pattern([[3, 0, 6], [], [5, 4], [1, 6, 2, 0]], 7),
    "duplicates": pattern([[0, 0, 2], [], [1, 1, 1, 4], [3]], 6),
    "unsorted duplicates": pattern([[3, 0, 3], [5, 5, 0, 5, 1], [], [2, 4, 2], [1]], 7),
    "one position": pattern([[], [2] * 5, []], 4),
    "no rows": pattern([], 5),
    "no columns": pattern([[]] * 4, 0),
    "no rows, no columns": pattern([], 0),
    "nothing stored": pattern([[]] * 3, 4),
    "one row": pattern([[0, 2, 4]], 5),
    "one row, falling": pattern([[4, 3, 1]], 5),
    "one column": pattern([[0], [], [0], [0, 0]], 1),
    "one by one": pattern([[0]], 1),
    "tall": random_pattern((60, 5), seed=1),
    "long rows": random_pattern((5, 400), seed=2),  # longer than what a sort hands to insertion
}
CANONICAL = {name: p.canonical() for name, p in PATTERNS.items()}
RICH = PATTERNS["unsorted duplicates"]


def is_canonical(p):
    return all(row == sorted(set(row)) for row in p.rows)


def values(n, dtype, seed=0):
    """Small whole numbers, some of them zero: their sums and products are exact in every dtype."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    shape = n if isinstance(n, tuple) else (n,)
    out = rng.integers(0 if dtype.kind in "ub" else -3, 2 if dtype.kind == "b" else 4, shape).astype(dtype)
    if dtype.kind == "c":
        out.imag = rng.integers(-3, 4, shape)
    return out


def with_nonfinite(x):
    """The same with NaN and both infinities among it."""
    x = x.copy()
    x.flat[::5], x.flat[1::7], x.flat[2::7] = np.nan, np.inf, -np.inf
    return x


def laid_out(x, layout):
    """An equal array, laid out in memory as "C", "F", "read-only" or "strided"."""
    if layout == "strided":  # every second element of every axis, backwards
        room = np.zeros([2 * n for n in x.shape], dtype=x.dtype)
        view = room[tuple(slice(None, None, -2) for _ in x.shape)]
        view[...] = x
        return view
    x = np.array(x, order="F" if layout == "F" else "C")
    x.flags.writeable = layout != "read-only"
    return x


def arrays(xs):
    return [x for x in (xs if isinstance(xs, tuple | list) else (xs,)) if isinstance(x, np.ndarray)]


def call(kernel, *args, writeable=True):
    """Outputs of a kernel, once it is sure that it left its inputs alone and that its outputs are its own."""
    inputs = arrays(args)
    before = [x.tobytes() for x in inputs]
    result = kernel(*args)
    if [x.tobytes() for x in inputs] != before:
        raise AssertionError("the kernel changed an input")
    outputs = arrays(result)
    for i, out in enumerate(outputs):
        if any(np.shares_memory(out, other) for other in (*inputs, *outputs[:i])):
            raise AssertionError(f"output {i} shares memory with an input or another output")
        if writeable and not out.flags.writeable:
            raise AssertionError(f"output {i} is read-only")
    return result


def assert_same(actual, expected, dtype):
    """Equal, NaN for NaN, with exactly this dtype and the expected shape."""
    np.testing.assert_array_equal(actual, np.asarray(expected).astype(dtype), strict=True)


def assert_pattern(actual, expected):
    """Equal indices and indptr, with the same dtypes."""
    for a, e in zip(actual, expected.arrays, strict=True):
        assert_same(a, e, e.dtype)
