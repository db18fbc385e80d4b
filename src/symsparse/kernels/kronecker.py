"""The pattern of a Kronecker product."""

import numpy as np

from symsparse.kernels.base import KernelMemoryError, KernelValueError, kernel
from symsparse.kernels.memory import fits_memory

_LARGEST = np.iinfo(np.int64).max


@kernel
def _product(a, b):
    """``a * b``; -1 if that is no int64."""
    return -1 if a > 0 and b > _LARGEST // a else a * b


@kernel
def kron_pattern(a_indices, a_indptr, b_indices, b_indptr, a_minor, b_minor):
    """Pattern of the Kronecker product, and which entries of a and of b are the factors of each of its entries."""
    n, m = len(a_indptr) - 1, len(b_indptr) - 1
    nnz = _product(len(a_indices), len(b_indices))
    for size in (_product(n, m), _product(a_minor, b_minor), nnz):
        if size < 0 or a_indices.dtype.type(size) != size:
            raise KernelValueError(
                "kron: a size of the result, or the number of its entries, is %d, which does not fit int32 indices; "
                "use index_dtype='int64'",
                size,
            )
    if not fits_memory(nnz, 3 * a_indices.itemsize):
        raise KernelMemoryError(
            "kron: the memory that is available cannot hold the product, which has %d entries", nnz
        )
    indices = np.empty(nnz, dtype=a_indices.dtype)
    indptr = np.zeros(n * m + 1, dtype=a_indptr.dtype)
    a_source = np.empty(nnz, dtype=a_indices.dtype)
    b_source = np.empty(nnz, dtype=a_indices.dtype)
    at = 0
    for r in range(n if nnz else 0):
        for s in range(m):
            for k in range(a_indptr[r], a_indptr[r + 1]):
                start = a_indices[k] * b_minor
                for j in range(b_indptr[s], b_indptr[s + 1]):
                    indices[at] = start + b_indices[j]
                    a_source[at] = k
                    b_source[at] = j
                    at += 1
            indptr[r * m + s + 1] = at
    return indices, indptr, a_source, b_source
