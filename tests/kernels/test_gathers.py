"""Gathered products against NumPy: rows of every length up to a few vectors, nothing read beside them."""

import itertools

import numba
import numpy as np
import pytest

from symsparse.kernels import matmul
from symsparse.kernels.gathers import HOST_GATHERS
from tests.kernels.patterns import values

LENGTHS = [*range(35), 0, 1, 63, 0]


def rows(dtype, index):
    """A matrix whose rows have these lengths, as parts of arrays that go on with what must not be read."""
    rng = np.random.default_rng(0)
    indptr = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(index)
    beyond = 100
    indices = np.full(indptr[-1] + beyond, 2**30, index)
    indices[:-beyond] = rng.integers(1, 50, indptr[-1])  # unsorted, with duplicates, and never 0
    v = np.full(len(indices), np.nan, dtype)
    v[:-beyond] = values(indptr[-1], dtype)
    return v[:-beyond], indices[:-beyond], indptr


@pytest.mark.parametrize(
    ("dtype", "index"), [("float64", "int32"), ("float64", "int64"), ("float32", "int32")]
)
def test_every_length(dtype, index):
    v, indices, indptr = rows(dtype, index)
    x = values(50, dtype)
    x[0] = np.nan  # where lanes that are masked out would look
    answer = [v[a:b] @ x[indices[a:b]] for a, b in itertools.pairwise(indptr)]
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    np.testing.assert_allclose(matmul.gather_vector(v, indices, indptr, x, 50), answer, **tolerance)


@pytest.mark.skipif(not HOST_GATHERS, reason="on this processor plain loops run instead")
def test_hot_loop_is_vector_code():
    kernel = numba.njit(matmul.gather_vector.py_func)  # Numba shows no code that comes from its disk cache
    kernel(*rows("float64", "int32"), values(50, "float64"), 50)
    code = "\n".join(kernel.inspect_asm().values())
    assert "vgather" in code
    assert "zmm" in code
    assert "prefetch" in code
