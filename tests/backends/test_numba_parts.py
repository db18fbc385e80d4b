"""Elementwise loops on several threads: the same numbers as in one piece, the same errors, in place where they were."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_and_cache_key
from pytensor.scalar.basic import UnaryScalarOp, upgrade_to_float
from pytensor.tensor.elemwise import Elemwise

import symsparse as ss
from symsparse.backends import numba_math, numba_parts
from symsparse.backends.numba_math import CHEAP, COSTLY
from symsparse.backends.numba_parts import GRAIN, MOST

SIZES = (0, 1, 7, 1000, 2 * COSTLY - 1, 2 * COSTLY, 2 * COSTLY + 17, 2 * CHEAP - 1, 2 * CHEAP + 33)
LIMITS = range(1, min(3, numba.config.NUMBA_NUM_THREADS) + 1)
ONE = sp.csr_array(np.ones((1, 1)))


@pytest.fixture
def threads():
    before = numba.get_num_threads()
    yield numba.set_num_threads
    numba.set_num_threads(before)


def compiled(inputs, outputs, **options):
    """A function of `inputs`, and of a sparse matrix that makes it one with loops of ours."""
    x = ss.csr_matrix("x")
    f = pytensor.function(
        [x, *inputs], [x.sum(), *outputs], mode="NUMBA", on_unused_input="ignore", **options
    )
    return lambda *values: f(ONE, *values)[1:]


def in_one_piece(monkeypatch, inputs, outputs, values):
    """Results of the same loops, not cut."""
    with monkeypatch.context() as patched, pytensor.config.change_flags(numba__cache=False):
        patched.setattr(numba_parts, "_can_be_cut", lambda given: False)
        f = compiled(inputs, outputs)
        return [f(*v) for v in values]


def check(monkeypatch, threads, inputs, outputs, values, single=()):
    """Outputs are those of one piece: all bits, but for the outputs in `single`, which are sums."""
    right = in_one_piece(monkeypatch, inputs, outputs, values)
    f = compiled(inputs, outputs)
    for v, expected in zip(values, right, strict=True):
        results = []
        for n in LIMITS:
            threads(n)
            results.append(f(*v))
        for k, reference in enumerate(expected):
            for result in results:
                assert result[k].dtype == reference.dtype
                if k in single:
                    rtol = 1e-4 if reference.dtype == "float32" else 1e-11
                    np.testing.assert_allclose(result[k], reference, rtol=rtol)
                else:
                    np.testing.assert_array_equal(result[k], reference)
                np.testing.assert_array_equal(result[k], results[0][k])  # sums, too


def drawn(n, dtype, seed=1):
    v = np.random.default_rng(seed).normal(size=n).astype(dtype)
    if n > 100:
        v[[3, n // 2, n - 1]] = 0.0, -np.inf, 1e-310
    return v


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_vectors(monkeypatch, threads, dtype):
    v, w, table = (pt.vector(name, dtype=dtype) for name in ("v", "w", "table"))
    one, s = pt.vector("one", dtype=dtype, shape=(1,)), pt.scalar("s", dtype=dtype)
    taken, flag = pt.vector("taken", dtype="int32"), pt.vector("flag", dtype="bool")
    count = pt.vector("count", dtype="int8")
    functions = [  # what one function computes is one loop
        [2 * v + 1, v * table[taken]],
        [
            pt.sigmoid(2 * pt.exp(v)),
            pt.exp(v) * w + one,
            pt.log1p(abs(v)) * s,
            pt.tanh(v - table[taken]) * table[taken],
            pt.switch(flag, pt.exp(v), v / (2 + abs(count))),
        ],
        [pt.exp(pt.sin(v)) ** 0.3],  # not in wide vectors
        [pt.inc_subtensor(pt.zeros(50, dtype)[taken], pt.exp(v))],  # in one piece
    ]

    def values(n, step=1):
        own = [drawn(n * abs(step), dtype, seed)[::step] for seed in (1, 2)]
        rng = np.random.default_rng(n)
        own += drawn(50, dtype), np.ones(1, dtype), np.asarray(0.3, dtype)
        return (
            *own,
            rng.integers(-50, 50, n).astype("int32"),
            rng.random(n) < 0.5,
            rng.integers(0, 9, n).astype("int8"),
        )

    given = [values(n) for n in SIZES] + [values(2 * CHEAP + 5, -3)]
    for outputs in functions:
        check(monkeypatch, threads, [v, w, table, one, s, taken, flag, count], outputs, given)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_reductions_to_one_number(monkeypatch, threads, dtype):
    v, w, d = pt.vector("v", dtype=dtype), pt.vector("w", dtype=dtype), pt.matrix("d", dtype=dtype)
    e = pt.exp(v)
    outputs = [
        *(pt.exp(w).max(), pt.tanh(w).min(), (3 * w).max()),
        *(pt.exp(d).max(), pt.exp(-(v**2)).sum(), pt.sqrt(abs(w) + 1).sum()),
        *(pt.sigmoid(v).sum(), e.sum(), e * 2, (1 + pt.exp(-30 - v**2)).prod(), pt.exp(d).sum()),
    ]
    rng = np.random.default_rng(3)
    shapes = [(1, 1), (5, 3), (2 * COSTLY, 2), (3, COSTLY)]
    given = [
        (drawn(n, dtype), drawn(n, dtype, 2), rng.normal(size=shapes[k % 4]).astype(dtype))
        for k, n in enumerate(SIZES[1:])
    ]
    check(monkeypatch, threads, [v, w, d], outputs, given, single=(4, 5, 6, 7, 9, 10))


def test_matrices(monkeypatch, threads):
    d, e, row, table = pt.dmatrix("d"), pt.dmatrix("e"), pt.drow("row"), pt.dmatrix("table")
    taken = pt.lvector("taken")
    functions = [
        [
            pt.exp(d - d.max(axis=1, keepdims=True)),
            pt.exp(d).sum(axis=1),
            d * row + e,
            pt.exp(row) * 2,
            pt.exp(table[taken]) * d,
        ],
        [pt.exp(d).sum(axis=0), pt.exp(d.T) * e.T, pt.exp(table[:, taken]) + 1],  # the first in one piece
    ]
    given = []
    for n, m in [(0, 5), (1, 1), (3, 2 * COSTLY), (COSTLY, 9), (2 * CHEAP + 3, 1), (1, 2 * COSTLY)]:
        for order in "CF":
            rng = np.random.default_rng(n)
            a, b, c = (np.asarray(rng.normal(size=(k, m)), order=order) for k in (n, n, 4))
            given.append((a, b, rng.normal(size=(1, m)), c, rng.integers(0, min(4, m), n)))
    for outputs in functions:
        check(monkeypatch, threads, [d, e, row, table, taken], outputs, given)


def test_a_loop_works_in_place(threads):
    v, w = pt.dvector("v"), pt.dvector("w")
    for expression, right in (
        (2 * v + w, lambda a, b: 2 * a + b),
        (pt.exp(v) * w, lambda a, b: np.exp(a) * b),
    ):
        f = compiled([pytensor.In(v, mutable=True), w], [pytensor.Out(expression, borrow=True)])
        for n in SIZES[1:]:
            for limit in LIMITS:
                threads(limit)
                a, b = np.linspace(-1, 1, n), np.linspace(2, 1, n)
                expected = right(a, b)
                (result,) = f(a, b)
                assert np.shares_memory(result, a)
                np.testing.assert_allclose(result, expected, rtol=1e-14, atol=1e-14)


def test_shapes_that_differ_are_refused(threads):
    v, w = pt.dvector("v"), pt.dvector("w")
    f = compiled([v, w], [pt.exp(v) * w])
    for limit in LIMITS:
        threads(limit)
        for n in (5, 3 * COSTLY):
            with pytest.raises(ValueError, match="incompatible shape"):
                f(np.ones(n), np.ones(n + 1))


class ThreadNumber(UnaryScalarOp):
    """Which thread computed an element, slowly; an error for negative numbers."""

    def impl(self, x):
        return x


@register_funcify_and_cache_key(ThreadNumber)
def _thread_number(op, node, **kwargs):
    @numba_njit
    def number(x):
        if x < 0:
            raise ValueError("this number is negative")
        for _ in range(300):
            x += np.sqrt(x)
        return numba.get_thread_id() + (1.0 if x < 0 else 0.0)

    return number, "thread number"


def thread_numbers():
    v = pt.dvector("v")
    return compiled([v], [Elemwise(ThreadNumber(upgrade_to_float, name="thread_number"))(v) + 1])


@pytest.fixture
def shared(monkeypatch):
    """Operations that are not PyTensor's own may run on threads."""
    monkeypatch.setattr(numba_math, "may_share", lambda op: True)
    with pytensor.config.change_flags(numba__cache=False):
        yield


def test_threads_that_are_used(threads, shared):
    f = thread_numbers()
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for limit in LIMITS:
        threads(limit)
        assert len(set(f(np.ones(2 * COSTLY - 1))[0])) == 1
        used = len(set(f(np.ones(20 * COSTLY))[0]))
        assert used <= limit
        assert used > 1 or limit == 1 or processors == 1  # TBB starts no threads on a single one


def test_errors_come_from_all_threads(threads, shared):
    f = thread_numbers()
    for limit in LIMITS:
        threads(limit)
        for n in (10, 4 * COSTLY):
            for k in (0, n // 2, n - 1, slice(None)):
                a = np.ones(n)
                a[k] = -1
                with pytest.raises(ValueError, match="this number is negative"):
                    f(a)
        assert f(np.ones(10))[0].min() >= 1


LOCKED = """
import sys, warnings
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, scipy.special, symsparse as ss
from pytensor.scalar import basic
from pytensor.tensor.elemwise import Elemwise

class InPython(basic.UnaryScalarOp):
    def impl(self, x):
        return x + 1

class Disguised(InPython):
    __module__ = basic.__name__

op = {"python": InPython, "disguised": Disguised}.get(sys.argv[1])
function = Elemwise(op(basic.upgrade_to_float, name="in_python")) if op else pt.psi
x = ss.csr_matrix("x")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    f = pytensor.function([x], 2 * function(x.values), mode="NUMBA")
    scipy.special.seterr(all="warn")
    A = sp.csr_array(np.full((1, 60_000), 1e-300))
    right = 2.0 if op else 2 * scipy.special.psi(1e-300)
    np.testing.assert_array_equal(f(A), np.full(60_000, right))
"""


@pytest.mark.parametrize("function", ["python", "disguised", "special"])
def test_threads_do_not_call_python(function):
    """They would wait for Python's lock, for ever."""
    done = subprocess.run(
        [sys.executable, "-c", LOCKED, function],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"NUMBA_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("n", [0, 1, GRAIN, 5 * GRAIN - 1, 2 * COSTLY, 2 * COSTLY + 1, 10**6, 10**12])
@pytest.mark.parametrize("width", [None, 1, 7])
def test_parts_cover_all_once(n, width):
    """The edges as they are computed in compiled code."""
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic
    def edges(context, n, width, number):
        def codegen(context, builder, signature, args):
            shape = args[:1] if width == types.none else args[:2]
            parts, threads = numba_parts._shares(builder, shape, COSTLY)
            first, last = numba_parts._edges(builder, shape, args[2], parts)
            return context.make_tuple(builder, signature.return_type, [parts, threads, first, last])

        return types.UniTuple(types.intp, 4)(n, width, number), codegen

    @numba.njit
    def run(n, width, number):
        return edges(n, width, number)

    parts, wanted, first, _ = run(n, width, 0)
    assert 1 <= parts <= MOST
    assert wanted == n * (width or 1) // COSTLY
    assert (parts > 1) == (wanted > 1)
    assert first == 0
    bounds = [0]
    for k in range(parts):
        _, _, first, last = run(n, width, k)
        assert first == bounds[-1]
        bounds.append(last)
        assert width is not None or first % GRAIN == 0
    assert bounds[-1] == n
    assert np.ptp(np.diff(bounds)) <= (2 * GRAIN if width is None else 1)


PROGRAM = """
import os, sys
if sys.argv[1] == "one":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
x = ss.csr_matrix("x")
f = pytensor.function([x], [pt.exp(x.values), pt.exp(-x.values).sum()], mode="NUMBA")
n = 300_000
A = sp.csr_array((np.arange(n) / n, np.arange(n), np.array([0, n])), shape=(1, n))
first = f(A)
def work():
    for limit in (1, 2, 3):
        ss.set_num_threads(limit)
        for result, right in zip(f(A), first, strict=True):
            if not (result == right).all():
                return False
    return abs(first[0] - np.exp(A.data)).max() < 1e-14
assert work()
if hasattr(os, "fork"):
    child = os.fork()
    if not child:
        os._exit(0 if work() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.parametrize("processors", ["all", "one"])
def test_other_processes(processors):
    """From the disk cache, with more threads than there may be processors, and after a fork."""
    if processors == "one" and not hasattr(os, "sched_setaffinity"):
        pytest.skip("no such call on this platform")
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, processors]
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=os.environ | {"NUMBA_NUM_THREADS": "3"}
        )
        assert done.returncode == 0, done.stderr
