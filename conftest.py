"""What must hold before PyTensor and Numba are imported, for tests and for docstring examples alike."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

if "pytensor" in sys.modules:
    raise pytest.UsageError("pytensor was imported before conftest.py could give it a cache of its own")

CACHE = Path(__file__).parent / ".cache"
FLAGS = f'base_compiledir="{CACHE / "pytensor"}",floatX=float64'
if not os.environ.get("PYTENSOR_FLAGS", "").endswith(FLAGS):
    os.environ["PYTENSOR_FLAGS"] = f"{os.environ.get('PYTENSOR_FLAGS', '')},{FLAGS}"
os.environ["PYTENSORRC"] = os.devnull
os.environ["NUMBA_CACHE_DIR"] = str(CACHE / "numba")
# At least two threads, so that the threaded paths run on every machine; few, since workers run side by side.
os.environ.setdefault("NUMBA_NUM_THREADS", str(min(4, max(2, os.cpu_count() or 1))))

import filelock
from numba.core.caching import IndexDataCacheFile


def share_safely(method):
    """Let one process at a time read or write a cache directory of Numba's.

    Numba writes an index and then the code it points to. Two processes that compile the same function for
    different types at the same moment can both choose the same file name, and a later process then loads the
    code of one for the types of the other.
    """

    def locked(self, *args):
        with filelock.FileLock(Path(self._cache_path) / "lock"):
            return method(self, *args)

    return locked


IndexDataCacheFile.save = share_safely(IndexDataCacheFile.save)
IndexDataCacheFile.load = share_safely(IndexDataCacheFile.load)


# The examples of a backend need its framework.
collect_ignore = [] if importlib.util.find_spec("jax") else ["src/symsparse/backends/jax.py"]
