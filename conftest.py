"""What must hold before PyTensor and Numba are imported, for tests and for docstring examples alike."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

if "pytensor" in sys.modules:
    raise pytest.UsageError("pytensor was imported before conftest.py could give it a cache of its own")

CACHE = Path(__file__).parent / ".cache"
if os.environ.get("NUMBA_BOUNDSCHECK") == "1":  # the same tests on checked kernels: `make test-bounds`
    CACHE /= "boundscheck"
FLAGS = f'base_compiledir="{CACHE / "pytensor"}",floatX=float64'
if not os.environ.get("PYTENSOR_FLAGS", "").endswith(FLAGS):
    os.environ["PYTENSOR_FLAGS"] = f"{os.environ.get('PYTENSOR_FLAGS', '')},{FLAGS}"
os.environ["PYTENSORRC"] = os.devnull
os.environ["NUMBA_CACHE_DIR"] = str(CACHE / "numba")
# At least two threads, so that the threaded paths run on every machine; few, since workers run side by side.
os.environ.setdefault("NUMBA_NUM_THREADS", str(min(4, max(2, os.cpu_count() or 1))))

# The examples of a backend need its framework.
collect_ignore = [] if importlib.util.find_spec("jax") else ["src/symsparse/backends/jax.py"]
