"""Tiles against NumPy: every width up to a few tiles, rows with any stride, nothing read beside them."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features
from numba.core import config

from symsparse.kernels import matmul, sampling
from symsparse.kernels.tiles import HOST_HAS_MASKS
from tests.kernels.patterns import random_pattern, values

WIDTHS = [*range(1, 10), 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 100, 129]
P = random_pattern((7, 9), seed=3)


def inside(a, kind):
    """`a` as a part of a larger array full of NaN, or laid out in another way."""
    n, m = a.shape
    if kind == "within NaN":
        larger = np.full((n + 2, m + 5), np.nan, a.dtype)
        larger[1:-1, 2:-3] = a
        return larger[1:-1, 2:-3]
    if kind == "upside down":
        return a[::-1].copy()[::-1]
    if kind == "columns first":
        return np.asfortranarray(a)
    if kind == "every other":
        return np.repeat(a, 2, axis=1)[:, ::2]
    return a


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("float32", "C"),
        *(("float64", kind) for kind in ("C", "within NaN", "upside down", "columns first", "every other")),
    ],
)
def test_every_width(dtype, kind):
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-13, "atol": 1e-14}
    v = values(P.nnz, dtype)
    dense = P.dense(v)
    for width in WIDTHS if kind == "C" else WIDTHS[::4]:
        x = inside(values((P.n_minor, width), dtype, seed=width), kind)
        y = inside(values((P.n_major, width), dtype, seed=width + 1), kind)
        for got, answer in (
            (matmul.gather_matrix(v, *P.arrays, x, P.n_minor), dense @ x),
            (matmul.scatter_matrix(v, *P.arrays, y, P.n_minor), dense.T @ y),
            (sampling.sddmm(*P.arrays, y, x, P.n_minor), (y @ x.T)[P.majors, P.indices]),
        ):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, answer, err_msg=str(width), **tolerance)


def test_a_row_that_is_repeated_by_a_stride_of_zero():
    v, row = values(P.nnz, "float64"), values((1, 20), "float64")
    x = np.broadcast_to(row, (P.n_minor, 20))
    np.testing.assert_allclose(matmul.gather_matrix(v, *P.arrays, x, P.n_minor), P.dense(v) @ x, atol=1e-14)


@pytest.mark.skipif(
    not HOST_HAS_MASKS, reason="this processor has no masked vectors: plain loops run instead"
)
@pytest.mark.parametrize("kernel", [matmul.gather_matrix, matmul.scatter_matrix, sampling.sddmm])
def test_hot_loops_are_vector_code(kernel):
    v, x, y = (values(n, "float64") for n in (P.nnz, (P.n_minor, 40), (P.n_major, 40)))
    kernel = numba.njit(kernel.py_func)  # Numba shows no code that comes from its disk cache
    if kernel.py_func is sampling.sddmm.py_func:
        kernel(*P.arrays, y, x, P.n_minor)
    else:
        kernel(v, *P.arrays, x if kernel.py_func is matmul.gather_matrix.py_func else y, P.n_minor)
    code = "\n".join(kernel.inspect_asm().values())
    multiply_adds = [line for line in code.splitlines() if "vfmadd" in line and "pd" in line]
    assert any("zmm" in line or "ymm" in line for line in multiply_adds)
    assert "prefetch" in code


PROGRAM = """
import sys, numpy as np, numba
sys.path.insert(0, {tests!r})
from tests.kernels.test_tiles import P, inside, matmul, sampling, values
from symsparse.kernels import tiles
assert tiles.HOST_HAS_MASKS == {masks}
for dtype in ("float64", "float32"):
    v = values(P.nnz, dtype)
    dense = P.dense(v)
    for width in (1, 8, 13, 40):
        x, y = (inside(values((n, width), dtype, seed=n), "within NaN") for n in (P.n_minor, P.n_major))
        assert np.array_equal(matmul.gather_matrix(v, *P.arrays, x, P.n_minor), dense @ x)
        assert np.array_equal(matmul.scatter_matrix(v, *P.arrays, y, P.n_minor), dense.T @ y)
        assert np.array_equal(sampling.sddmm(*P.arrays, y, x, P.n_minor), (y @ x.T)[P.majors, P.indices])
    x, y = (values(n, dtype) for n in (P.n_minor, P.n_major))
    assert np.array_equal(matmul.gather_vector(v, *P.arrays, x, P.n_minor), dense @ x)
    assert np.array_equal(matmul.scatter_vector(v, *P.arrays, y, P.n_minor), dense.T @ y)
f = numba.njit(matmul.gather_matrix.py_func)
f(v, *P.arrays, values((P.n_minor, 40), dtype), P.n_minor)
code = "".join(f.inspect_asm().values())
assert "zmm" not in code
assert {masks} == ("vfmadd" in code and "ymm" in code)
"""
AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+f16c"


@pytest.mark.slow
@pytest.mark.skipif(
    not (HOST_HAS_MASKS and "avx2" in str(config.CPU_FEATURES or get_host_cpu_features().flatten())),
    reason="for x86-64",
)
@pytest.mark.parametrize(
    ("cpu", "features", "masks"), [("haswell", AVX2, True), ("x86-64", "", False)], ids=["AVX2", "no masks"]
)
def test_older_processors(cpu, features, masks, tmp_path):
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    program = PROGRAM.format(tests=str(Path(__file__).parents[2]), masks=masks)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
