"""Intel TBB for Numba's threads: its wheel puts the library where Numba does not look."""

import ctypes
import importlib.metadata
import sys
from pathlib import Path


def find_tbb():
    """Path of the TBB library of the installed ``tbb`` wheel, or None."""
    names = {"linux": "libtbb.so.12", "win32": "tbb12.dll"}
    try:
        files = importlib.metadata.files("tbb") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [Path(str(f.locate())) for f in files if f.name == names.get(sys.platform)]
    return next((str(p) for p in paths if p.exists()), None)


def load_tbb():
    """Load TBB for all, before Numba chooses a threading layer. Its threads survive ``fork()``, GNU OpenMP's do not."""
    path = find_tbb()
    if path is not None:
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:  # Numba falls back to another layer
            return None
    return path
