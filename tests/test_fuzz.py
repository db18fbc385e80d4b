"""Corrupted input never ends a process, never reads out of bounds, and is never accepted: counted in subprocesses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def fuzz(rounds, seed, mode, **changes):
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-m", "tests.fuzzing"]
    command += ["--rounds", str(rounds), "--seed", str(seed), "--mode", mode]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **changes}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("mode", "rounds"),
    [
        ("reference", 60),
        ("lowered", 8),
        pytest.param("reference", 2000, marks=SLOW),
        pytest.param("lowered", 4000, marks=SLOW),
        pytest.param("numba", 4000, marks=SLOW),
    ],
)
def test_corrupted_input_is_refused_or_computed_right(mode, rounds):
    report = fuzz(rounds, rounds, mode)
    assert not report["wrong"], "\n".join(report["wrong"])
    doors = "input crossed CSM constant shared set_value frozen csm_grad dot_grad".split()
    for door in doors:  # both kinds of end were seen
        assert report["count"][f"{door}: result"] > 0
        assert report["count"][f"{door}: ValueError"] > rounds / 10


@SLOW
def test_corrupted_input_makes_no_kernel_read_out_of_bounds():
    cache = ROOT / ".cache" / "boundscheck"
    report = fuzz(2000, 1, "lowered", NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(cache / "numba"))
    assert not report["wrong"], "\n".join(report["wrong"])


@SLOW
@pytest.mark.parametrize("tests", [["tests/kernels"], ["tests/ops/test_table.py", "-k", "csc-lowered"]])
def test_no_kernel_reads_out_of_bounds_on_legal_input(tests):
    """All tests of the kernels, and every op on the awkward inputs, with each read checked."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-m",
        "not slow",
        *tests,
    ]
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTENSOR_FLAGS": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_build_with_checked_bounds_checks_them():
    """So that the tests above can fail: a read out of bounds is noticed, and tiles, which cannot, are not in use."""
    program = """
import numpy as np
from symsparse.kernels import matmul, tiles
assert not tiles.HOST_HAS_MASKS
arrays = np.ones(1), np.array([3], "int32"), np.array([0, 1], "int32")
try:
    matmul.gather_vector(*arrays, np.ones(2), 2)
except IndexError as e:
    assert "out of bounds" in str(e)
else:
    raise SystemExit("a read out of bounds was not noticed")
"""
    cache = ROOT / ".cache" / "boundscheck" / "numba"
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
