"""Random expressions against the reference, in a process of their own: few here, half an hour by ``make soak``."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("mode", "seed", "count"),
    [
        ("lowered", 0, 12),
        pytest.param("lowered", 1000, 400, marks=pytest.mark.slow),
        pytest.param("numba", 2000, 30, marks=pytest.mark.slow),
    ],
)
def test_random_expressions_agree_with_the_reference(mode, seed, count):
    command = [sys.executable, "-W", "error", "-m", "tests.soak"]
    command += ["--mode", mode, "--seed", str(seed), "--count", str(count)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], env=os.environ, capture_output=True, text=True
    )
    assert done.stdout, done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["count"] == count
    assert not report["wrong"], "\n".join(report["wrong"])
    assert not report["leaks"]
    assert not report["kept"]
    assert done.returncode == 0
