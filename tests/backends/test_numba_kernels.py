"""Compiled graphs call kernels by a symbol; a graph that comes from the disk cache finds it again."""

import os
import subprocess
import sys

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from numba.core.types import Array

import symsparse as ss
from symsparse.kernels.matmul import scatter_vector

PROGRAM = """
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
X, w = ss.csr_matrix("X", dtype="float64"), pt.dvector("w")
import sys
f = pytensor.function([X, w], X @ w if len(sys.argv) == 1 else (X @ w) * 2 + 1)
assert f(A, [1.0, 2.0, 3.0]).tolist() == ([4.0, 10.0] if len(sys.argv) == 1 else [9.0, 21.0])
try:
    f(A, [1.0, 2.0])
except ValueError as e:
    assert "inner sizes" in str(e)
else:
    raise SystemExit("no error")
from symsparse.kernels import matmul
print(sum(matmul.gather_vector.stats.cache_misses.values()))
"""


def test_a_cached_graph_in_a_new_process(tmp_path):
    flags = f'base_compiledir="{tmp_path / "pytensor"}"'
    environment = {**os.environ, "PYTENSOR_FLAGS": flags, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    misses = []
    # the other graph is made of code from the cache, and is then cached too
    for arguments in ([], [], ["other"], ["other"]):
        command = [sys.executable, "-c", PROGRAM, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        misses.append(int(done.stdout))
    assert misses == [1, 0, 0, 0]


def test_read_only_arrays_need_no_kernel_of_their_own():
    w = pt.fvector("w")
    A = sp.csc_array(np.array([[0, 2, 0], [1, 0, 3]], dtype="float32"))
    f = pytensor.function([w], ss.constant(A) @ w)  # constants are read-only
    value = np.arange(3, dtype="float32")
    value.flags.writeable = False
    before = set(scatter_vector.overloads)
    np.testing.assert_array_equal(f(value), A @ value)
    for arguments in set(scatter_vector.overloads) - before:
        assert all(t.mutable for t in arguments if isinstance(t, Array))
