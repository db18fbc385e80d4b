"""Large constants of compiled graphs: a second process compiles nothing, and memory is held as long as needed."""

import gc
import os
import pickle
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp

import symsparse as ss
from symsparse.backends.numba_constants import LARGE, LargeConstant, _arrays

N = 150_000  # rows: an indptr of int32 takes more than half of LARGE, values take more than all of it


def diagonal(values):
    return sp.csr_array((values, np.arange(N, dtype="int32"), np.arange(N + 1, dtype="int32")), shape=(N, N))


def nearly_diagonal(values):
    """A zero is stored beside the diagonal, so that a product with this matrix is not seen to scale."""
    A = diagonal(values)
    A.data, A.indices = np.insert(A.data, 1, 0), np.insert(A.indices, 1, 1)
    A.indptr[1:] += 1
    return A


PROGRAM = """
import numpy as np, pytensor, pytensor.tensor as pt
from numba.core.compiler import CompilerBase
import symsparse as ss
from tests.backends.test_numba_constants import N, nearly_diagonal
names, compile_extra = [], CompilerBase.compile_extra
CompilerBase.compile_extra = lambda self, function: names.append(function) or compile_extra(self, function)
v = np.random.default_rng(0).normal(size=N)
y = pt.dvector("y")
scale = pt.constant(v)
f = pytensor.function([y], ss.constant(nearly_diagonal(v)) @ (y * scale))
np.testing.assert_allclose(f(v), v * v * v)
print(len(names))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    flags = f'base_compiledir="{tmp_path / "pytensor"}"'
    environment = {**os.environ, "PYTENSOR_FLAGS": flags}
    compiled = []
    for _ in range(2):
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        compiled.append(int(done.stdout))
    assert compiled[0] > 0
    assert compiled[1] == 0


def function_of(values):
    y = pt.dvector("y")
    return pytensor.function([y], ss.constant(nearly_diagonal(values)) @ y)


def large(f):
    return [node.op for node in f.maker.fgraph.apply_nodes if isinstance(node.op, LargeConstant)]


def test_equal_constants_are_one_array_as_long_as_somebody_needs_it():
    v = np.arange(N, dtype="float64")
    first, second, other = function_of(v), function_of(v.copy()), function_of(v + 1)
    (op,), (same,), (different,) = large(first), large(second), large(other)
    assert op.array.nbytes > LARGE
    assert op.array is same.array
    assert different.digest != op.digest
    np.testing.assert_array_equal(first(v), v * v)
    del first, op
    gc.collect()
    np.testing.assert_array_equal(second(v), v * v)
    np.testing.assert_array_equal(other(v), v * v + v)
    again = pickle.loads(pickle.dumps(second))
    digest = same.digest
    del second, same
    gc.collect()
    np.testing.assert_array_equal(again(v), v * v)
    del again
    gc.collect()
    assert digest not in _arrays
    np.testing.assert_array_equal(function_of(v.copy())(v), v * v)  # the old code, at a new address


def test_results_do_not_share_memory_with_a_large_constant():
    v = np.arange(N, dtype="float64")
    A = ss.constant(diagonal(v))
    f = pytensor.function([], [A, A * 2, A.values[::-1]])
    for _ in range(2):
        whole, double, backwards = f()
        np.testing.assert_array_equal(whole.data, v)
        np.testing.assert_array_equal(double.data, 2 * v)
        np.testing.assert_array_equal(backwards, v[::-1])
        for array in (whole.data, whole.indices, double.data, double.indices, backwards):
            array[:] = 0


def test_graphs_without_sparse_operations_are_left_alone():
    y = pt.dvector("y")
    assert not large(pytensor.function([y], y + pt.constant(np.arange(N, dtype="float64"))))


def test_orders_and_strides():
    a = np.arange(6.0).reshape(2, 3)
    cases = [(a, "C"), (a.T, "F"), (a[:, ::2], "C")]
    ops = [LargeConstant(array) for array, _ in cases]
    assert [op.order for op in ops] == [order for _, order in cases]
    for mode in ("NUMBA", pytensor.compile.mode.Mode("py")):
        for found, (array, _) in zip(
            pytensor.function([], [op() for op in ops], mode=mode)(), cases, strict=True
        ):
            np.testing.assert_array_equal(found, array)
    assert LargeConstant(a) != LargeConstant(a.T)
    assert LargeConstant(a) == LargeConstant(a.copy())
