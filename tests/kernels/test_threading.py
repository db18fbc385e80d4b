"""Work cut for threads: every slice once, and results that do not depend on the number of threads."""

import concurrent.futures
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.kernels import layout, matmul, reduction, sampling, scaling, threading
from symsparse.kernels.base import loop
from symsparse.kernels.threading import WORTH_A_THREAD, cut, run_chunks
from tests.kernels.patterns import PATTERNS, Pattern, values


def many_rows(n=20_000, m=700, seed=4):
    """Rows of very different length, many of them empty: 240,000 entries."""
    rng = np.random.default_rng(seed)
    lengths = np.where(np.arange(n) % 3, 12, 0) + np.where(np.arange(n) < 100, 800, 0)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype("int32")
    return Pattern(rng.integers(0, m, indptr[-1]).astype("int32"), indptr, m)


@pytest.fixture
def threads():
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


@pytest.mark.parametrize("chunks", [1, 2, 3, 16])
@pytest.mark.parametrize("p", [*PATTERNS.values(), many_rows()])
def test_chunks_cover_every_slice_once(p, chunks):
    bounds = cut(p.indptr, chunks)
    assert len(bounds) == chunks + 1
    assert bounds[0] == 0
    assert bounds[-1] == p.n_major
    assert (np.diff(bounds) >= 0).all()


def test_chunks_are_alike_in_entries_and_slices():
    p = many_rows()
    bounds = cut(p.indptr, 8)
    work = np.diff(p.indptr[bounds]) + np.diff(bounds)
    assert work.max() < 1.1 * work.mean()


def test_small_work_is_not_shared(threads):
    @numba.njit
    def threads_for(work):
        return threading.threads_for(work)

    threads(2)
    assert threads_for(0) == threads_for(WORTH_A_THREAD) == 1
    assert threads_for(2 * WORTH_A_THREAD) == threads_for(10**12) == 2
    threads(1)
    assert threads_for(10**12) == 1


@loop
def note(first, last, seen, runners):
    for k in range(first, last):
        seen[k] += 1
        runners[k] = numba.get_thread_id()
        for _ in range(20_000):  # long enough for other threads to wake up
            seen[k] += 1
            seen[k] -= 1


@numba.njit(nogil=True)
def note_all(bounds):
    seen, runners = np.zeros(bounds[-1], np.int64), np.zeros(bounds[-1], np.int64)
    run_chunks(note, bounds, (seen, runners))
    return seen, runners


@pytest.mark.parametrize("bounds", [[0, 7], [0, 0, 3, 3, 10], [0], [0, 0], range(101)])
def test_each_chunk_runs_once_on_no_more_threads_than_set(threads, bounds):
    threads(2)
    seen, runners = note_all(np.array(bounds, dtype="int64"))
    assert (seen == 1).all()
    assert len(set(runners.tolist())) <= 2


def test_chunks_within_chunks_and_from_several_python_threads(threads):
    if numba.threading_layer() == "workqueue":
        pytest.skip("Numba's own threads cannot do this")

    @loop
    def outer(first, last, bounds, out):
        for k in range(first, last):
            run_chunks(note, bounds, (out[k], np.empty_like(out[k])))

    @numba.njit(nogil=True)
    def nested(rows, bounds):
        out = np.zeros((len(rows) - 1, bounds[-1]), np.int64)
        run_chunks(outer, rows, (bounds, out))
        return out

    threads(2)
    assert (nested(np.arange(5), np.arange(9)) == 1).all()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for seen, _ in pool.map(note_all, [np.arange(33)] * 12):
            assert (seen == 1).all()


def test_a_chunk_that_fails_is_noticed(threads):
    @loop
    def fail(first, last, where):
        if first == where:
            raise MemoryError

    @numba.njit
    def run(bounds, where):
        run_chunks(fail, bounds, (where,))

    for n in (1, 2, 50):
        run(np.arange(n + 1), n)
        # The build with checked bounds cannot tell what a chunk failed at.
        with pytest.raises(IndexError if numba.config.BOUNDSCHECK else MemoryError, match="buffer"):
            run(np.arange(n + 1), n - 1)


def test_public_names(threads):
    ss.set_num_threads(1)
    assert ss.get_num_threads() == numba.get_num_threads() == 1
    ss.set_num_threads(2)
    assert ss.get_num_threads() == numba.get_num_threads() == 2
    for n in (0, numba.config.NUMBA_NUM_THREADS + 1):
        with pytest.raises(ValueError, match=f"set_num_threads: {n} is not between"):
            ss.set_num_threads(n)


@pytest.mark.parametrize("width", [5, 40])  # fewer and more columns than make a thread's share
@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_threads_change_nothing_but_rounding(threads, dtype, width):
    p = many_rows()
    v = values(p.nnz, dtype, seed=5)
    x, y = values((p.n_minor, width), dtype, seed=6), values((p.n_major, width), dtype, seed=7)
    run = {
        "gather": lambda: matmul.gather_matrix(v, *p.arrays, x, p.n_minor),
        "scatter": lambda: matmul.scatter_matrix(v, *p.arrays, y, p.n_minor),
        "sddmm": lambda: sampling.sddmm(*p.arrays, y, x, p.n_minor),
        "gather vector": lambda: matmul.gather_vector(v, *p.arrays, x[:, 0].copy(), p.n_minor),
        "scatter vector": lambda: matmul.scatter_vector(v, *p.arrays, y[:, 0].copy(), p.n_minor),
        "row sums": lambda: reduction.sum_major(v, p.indptr),
        "scale rows": lambda: scaling.scale_major(v, y[:, 0].copy(), p.indptr),
        "scale columns": lambda: scaling.scale_minor(v, x[:, 0].copy(), p.indices, p.n_minor),
        "scale both": lambda: scaling.scale_both(
            v, y[:, 0].copy(), p.indptr, x[:, 0].copy(), p.indices, p.n_minor
        ),
    }
    assert p.nnz > 2 * layout.MANY * p.n_minor  # enough to count with two threads
    for part, name in enumerate(("indices", "indptr", "values")):
        run[f"transposed {name}"] = lambda part=part: layout.transpose_pattern(*p.arrays, p.n_minor, v)[part]
    for name, kernel in run.items():
        threads(1)
        alone = kernel()
        threads(2)
        together = kernel()
        np.testing.assert_array_equal(kernel(), together, err_msg=name)  # the same at every run
        if "scatter" not in name or dtype == "int64":
            np.testing.assert_array_equal(together, alone, err_msg=name)
        else:
            np.testing.assert_allclose(together, alone, rtol=1e-9, atol=1e-9, err_msg=name)


def banded(name):
    """A matrix with 26 entries in a row, all near the diagonal; or one whose chunks of rows meet."""
    columns = np.clip(np.arange(4000)[:, None] + np.linspace(-13, 13, 26).astype("int32"), 0, 3999)
    counts = np.full(4000, 26)
    if name == "one entry far off":
        columns[3000, 7] = 5
    elif name == "backwards":
        columns = columns[::-1]
    elif name == "empty rows":
        columns, counts[1::2] = columns[::2], 0
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype("int32")
    return sp.csr_array(
        (values(indptr[-1], "float64"), columns.ravel().astype("int32"), indptr), shape=(4000, 4000)
    )


@pytest.mark.parametrize("width", [5, 40])
@pytest.mark.parametrize("name", ["banded", "one entry far off", "backwards", "empty rows"])
def test_scatters_of_chunks_that_do_not_meet(threads, name, width):
    a = banded(name)
    apart = matmul._are_apart(cut(a.indptr, 8), a.indices, a.indptr, 4000)
    assert apart == (name in ("banded", "empty rows"))
    x, z = values((4000, width), "float64", seed=1), values((4000, width), "float64", seed=2)
    for n in (1, 2):
        threads(n)
        found = matmul.scatter_matrix(a.data, a.indices, a.indptr, x, 4000)
        np.testing.assert_allclose(found, a.T @ x, rtol=1e-9, atol=1e-9)
        for _ in range(5):
            again = matmul.scatter_matrix(a.data, a.indices, a.indptr, x, 4000)
            np.testing.assert_array_equal(again, found)  # the same at every run
        onto = matmul.usmm_scatter_matrix(2.0, a.data, a.indices, a.indptr, x, z, 4000, False)
        np.testing.assert_allclose(onto, z + 2 * (a.T @ x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("processors", ["all", "one"])
def test_a_fork_after_parallel_work_can_work_too(processors):
    program = """
import os, sys
if sys.argv[1] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np
from symsparse.kernels.matmul import gather_vector
n = 400_000
v, i, p = np.ones(n), np.zeros(n, 'int32'), np.arange(0, n + 1, 4, dtype='int32')
x = np.ones(1)
def work(): return gather_vector(v, i, p, x, 1).sum() == n
assert work()
child = os.fork()
if not child:
    sys.exit(0 if work() else 1)  # by the way that takes down the threading layer
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    if not hasattr(os, "fork" if processors == "all" else "sched_setaffinity"):
        pytest.skip("no such call on this platform")
    command = [sys.executable, "-W", "ignore", "-c", program, processors]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
