"""Threads, pools of processes, forks, interrupts and limits of memory, with compiled functions."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

PRELUDE = """
import os, sys, threading, time
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
rng = np.random.default_rng(0)
n = 60_000
indices = rng.integers(0, n, n * 8).astype("int32")
A = sp.csr_array((rng.normal(size=n * 8), indices, np.arange(0, n * 8 + 1, 8, dtype="int32")), shape=(n, n))
v = rng.normal(size=n)
X, w = ss.csr_matrix("X", dtype="float64"), pt.dvector("w")
f = pytensor.function([X, w], [X @ w, X.T @ w])
want = A @ v, A.T @ v
def right(f):
    got = f(A, v)
    return all(np.allclose(a, b) for a, b in zip(got, want))
assert right(f)
"""

FORK = """
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(0 if right(f) and right(f.copy()) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert right(f)
"""

THREADS = """
seconds = float(sys.argv[1])
end, calls, wrong = time.monotonic() + seconds, [], []
def work():
    g, count = f.copy(), 0
    while time.monotonic() < end or not count:
        if not right(g):
            wrong.append(count)
        count += 1
    calls.append(count)
threads = [threading.Thread(target=work) for _ in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert len(calls) == 8 and not wrong, (calls, wrong)
first = f(A, v)
for _ in range(5):  # the same at every run, to the last bit
    for a, b in zip(f(A, v), first):
        np.testing.assert_array_equal(a, b)
import numba
numba.set_num_threads(1)
for a, b in zip(f(A, v), first):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)
"""

# As samplers do it: a density and its gradient, compiled here, go as a pickle to workers that take steps with them.
SAMPLERS = """
import cloudpickle, multiprocessing, numba
from concurrent.futures import ProcessPoolExecutor
from tests.test_processes import sample
if __name__ == "__main__":  # forkserver and spawn import this module
    B = ss.shared(sp.random_array((50, n), density=1e-4, format="csc", rng=rng), name="B")
    mean = ss.constant(A) @ w  # of more than a megabyte
    logp = -((mean - v) ** 2).sum() / n - (ss.tanh(B) @ w).sum() ** 2 - (ss.csc_from_dense(w[None]) * 2).sum()
    payload = cloudpickle.dumps(pytensor.function([w], [logp, pytensor.grad(logp, w)]))
    want = [sample(payload, seed) for seed in range(4)]
    assert len(set(total for total, *_ in want)) == 4
    for method in sys.argv[1].split(","):
        if method == "loky":
            import joblib
            with joblib.parallel_config(backend="loky", inner_max_num_threads=2):
                got = joblib.Parallel(n_jobs=2)(joblib.delayed(sample)(payload, seed) for seed in range(4))
        else:
            context = multiprocessing.get_context(method)
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                got = list(pool.map(sample, [payload] * 4, range(4)))
        assert np.allclose([g[0] for g in got], [s[0] for s in want], rtol=1e-9), (method, got, want)
        assert os.getpid() not in [pid for _, pid, *_ in got]
        limit = 2 if method == "loky" else numba.config.NUMBA_NUM_THREADS
        assert all(threads <= limit and tasks <= limit for *_, threads, tasks in got), (method, got)
"""

# As schedulers of tasks do it: many threads that call, each with a copy, and the threads of the kernels below them.
NESTED = """
from concurrent.futures import ThreadPoolExecutor
from tests.test_processes import tasks
f(A, v)
before = tasks()
def work(f):
    assert all(right(f) for _ in range(20))
    return tasks()
with ThreadPoolExecutor(8) as pool:
    most = max(pool.map(work, [f.copy() for _ in range(32)]))
assert most - before <= 8 + 4, (before, most)  # the callers, and one set of threads for all of them
"""

INTERRUPT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for delay in (0.05, 0.1, 0.2):
    threading.Timer(delay, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        while True:
            f(A, v)
    except KeyboardInterrupt:
        pass
    except SystemError as e:  # where Numba was interrupted while it made a result
        while not isinstance(e, KeyboardInterrupt):
            e = e.__cause__ or e.__context__
    else:
        raise SystemExit("not interrupted")
    assert right(f)
"""

MEMORY = """
import resource
S, Y = ss.csr_matrix("S", dtype="float64"), ss.csr_matrix("Y", dtype="float64")
g = pytensor.function([S, Y], ss.structured_dot(S, Y).sum())
dense = pytensor.function([S], S.toarray())
limit = 6 << 30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for make in (
    lambda: dense(sp.csr_array((2_000_000, 2_000_000))),  # 29 TiB: refused whatever the limit is
    lambda: dense(sp.csr_array((100_000, 100_000))),  # 75 GiB
    lambda: g(sp.csr_array(np.ones((46_000, 1))), sp.csr_array(np.ones((1, 46_000)))),  # 2.1e9 entries
    lambda: dense(sp.csr_array((1, 2**31 - 1))),  # 16 GiB
):
    try:
        make()
    except MemoryError as e:
        continue
    raise SystemExit("no MemoryError")
try:
    g(sp.csr_array(np.ones((50_000, 1))), sp.csr_array(np.ones((1, 50_000))))  # 2.5e9 entries
except ValueError as e:
    assert "index_dtype='int64'" in str(e), e
else:
    raise SystemExit("wrapped around")
assert right(f)
"""


def tasks():
    """Threads of this process, of Python and of others."""
    return len(os.listdir("/proc/self/task")) if sys.platform.startswith("linux") else 0


def sample(payload, seed):
    """A few steps of a sampler with a pickled function: the sum of densities; process, threads to use, threads made."""
    warnings.simplefilter("error")
    import cloudpickle
    import numba

    before = tasks()
    function = cloudpickle.loads(payload)
    rng = np.random.default_rng(seed)
    position, total = np.zeros(60_000), 0.0
    for _ in range(5):
        logp, gradient = function(position)
        position = position + 1e-2 * gradient + rng.normal(size=len(position))
        total += float(logp)
    return total, os.getpid(), numba.get_num_threads(), tasks() - before


def run(program, *arguments, **changes):
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + program, *arguments]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env={**os.environ, **changes}, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] or done.returncode


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_children_of_a_process_that_used_threads():
    run(FORK, NUMBA_NUM_THREADS="4")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="fork and forkserver as on Unix")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "loky"])
def test_pools_of_samplers(method):
    run(SAMPLERS, method, NUMBA_NUM_THREADS="4")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads as on Linux")
def test_threads_below_threads_are_not_multiplied():
    run(NESTED, NUMBA_NUM_THREADS="4")


@pytest.mark.parametrize("seconds", ["1.5", pytest.param("60", marks=pytest.mark.slow)])
def test_threads_with_copies_of_one_function(seconds):
    run(THREADS, seconds, NUMBA_NUM_THREADS="4")


@pytest.mark.skipif(sys.platform == "win32", reason="signals as on Unix")
def test_an_interrupt_leaves_the_process_usable():
    run(INTERRUPT)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as on Linux")
def test_what_is_too_large_is_a_memory_error():
    run(MEMORY)
