"""The loops: Numba on plain arrays, one file per family. Nothing here imports PyTensor or SciPy.

A kernel takes the arrays of a compressed matrix (values, indices, indptr) and reads them by major and minor axis:
rows and columns for csr, columns and rows for csc. It trusts its patterns, allocates its outputs once, and leaves its
inputs as they are. ``fingerprint`` changes whenever a kernel's source or Numba does, and is part of every cache key.
"""

from symsparse.kernels.base import fingerprint
from symsparse.kernels.threading import load_tbb

load_tbb()
