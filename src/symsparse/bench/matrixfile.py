"""Read a Matrix Market file as a csr matrix of floats."""

import zlib
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse as sp

from . import BenchError


def read(path: Path) -> sp.csr_array:
    """Read what the file says, symmetric parts filled in.

    Real, integer and pattern files (ones) give float64, complex files complex128. Entries that the file has more than
    once are added up, indices are sorted, and have 32 bits if they fit.

    Raises
    ------
    BenchError
        If there is no such file, if it is no Matrix Market file, or if it has no entries.
    """
    try:
        matrix = scipy.io.mmread(readable(path), spmatrix=False)
    except OSError as error:  # gzip and bz2 have no strerror for a broken file
        raise BenchError(f"{path}: {error.strerror or error}") from error
    except (ValueError, OverflowError, TypeError, EOFError, zlib.error) as error:
        raise BenchError(f"{path}: not a Matrix Market file ({_first_line(error)})") from error
    except MemoryError as error:
        raise BenchError(f"{path}: its matrix does not fit into memory") from error
    matrix = sp.csr_array(matrix)
    matrix.sum_duplicates()
    matrix = matrix.astype(np.complex128 if matrix.dtype.kind == "c" else np.float64)
    if matrix.nnz == 0:
        raise BenchError(f"{path}: the matrix has no entries, so there is nothing to time")
    if max(matrix.nnz, *matrix.shape) <= np.iinfo(np.int32).max:
        parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
        matrix = sp.csr_array(parts, shape=matrix.shape)
    return matrix


def readable(path: Path) -> str:
    """Open the file once, so that a missing or unreadable one is said in the system's words."""
    with path.open("rb") as file:
        file.read(1)
    return str(path)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
