"""Outputs as large as memory pages are: what is asked for, and that nothing else is touched."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from symsparse.kernels import memory
from symsparse.kernels.base import kernel


@kernel
def make(n, like):
    return memory.empty(n, like.dtype), memory.zeros((n, 3), like.dtype)


@pytest.mark.parametrize("n", [0, 1, 1000, memory.LARGE // 8 - 1, memory.LARGE // 8, 4_500_001])
def test_shapes_dtypes_and_zeros(n):
    for dirt in (7.0, 8.0):  # malloc may give the same memory again
        for old in make(n, np.empty(0)):
            old[...] = dirt
    a, z = make(n, np.empty(0))
    a[:] = 1
    assert a.shape == (n,)
    assert z.shape == (n, 3)
    assert a.dtype == z.dtype == "float64"
    assert not z.any()


def advised(address):
    """Whether the mapping of an address is marked for huge pages."""
    for mapping in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())[1:]:
        start, stop = (int(n, 16) for n in mapping.split(" ")[0].split("-"))
        if start <= address < stop:
            return " hg" in re.search(r"VmFlags:.*", mapping)[0]
    raise AssertionError("the array lies in no mapping")


@pytest.mark.skipif(
    not (sys.platform == "linux" and Path("/sys/kernel/mm/transparent_hugepage").exists()),
    reason="this system has no transparent huge pages",
)
def test_large_outputs_are_marked_for_huge_pages():
    large, _ = make(10_000_000, np.empty(0))
    start = -(-large.ctypes.data // memory.HUGE_PAGE) * memory.HUGE_PAGE
    stop = (large.ctypes.data + large.nbytes) // memory.HUGE_PAGE * memory.HUGE_PAGE
    assert advised(start)
    assert advised(stop - 1)
    assert start == large.ctypes.data or not advised(large.ctypes.data)  # pages of others are left alone


@kernel
def trim(buffer, n):
    return memory.trimmed(buffer, n)


@pytest.mark.parametrize(
    ("room", "n"), [(8, 7), (8, 2), (3, 0), (2_000_000, 900_000), (2_000_000, 0), (600_000, 400_000)]
)
def test_trimmed(room, n):
    buffer = np.arange(room)
    out = trim(buffer, n)
    np.testing.assert_array_equal(out, np.arange(n))
    slack = room - n
    if not np.shares_memory(out, buffer):
        assert n == 0 or slack > n // 3
    elif slack > n // 3:
        assert np.count_nonzero(buffer[n:]) <= 2 * memory.HUGE_PAGE // 8  # their pages went back


def test_the_code_can_be_kept_on_disk():
    make(3, np.empty(0))
    (signature,) = make.overloads
    assert not make.overloads[signature].library.has_dynamic_globals
