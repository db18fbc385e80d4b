"""Symbolic sparse matrices on PyTensor: write sparse mathematics, differentiate it, get one native function back.

Every public name is here; see `matrix`, `shared` and `structured_dot` first.
"""

from symsparse import backends, lowering, rewrites
from symsparse._version import __version__
from symsparse.constructors import (
    as_sparse,
    as_sparse_or_tensor_variable,
    as_sparse_variable,
    constant,
    csc_array,
    csc_dmatrix,
    csc_fmatrix,
    csc_matrix,
    csr_array,
    csr_dmatrix,
    csr_fmatrix,
    csr_matrix,
    matrix,
    shared,
)
from symsparse.inspection import explain, pattern_of
from symsparse.lowering.dense_forms import DensificationError, DensificationWarning
from symsparse.ops import *
from symsparse.ops import (
    __all__ as _ops,
    batching,
    inner_graphs,
)
from symsparse.settings import config
from symsparse.threads import get_num_threads, set_num_threads
from symsparse.types import (
    SparseTensorType,
    all_dtypes,
    complex_dtypes,
    continuous_dtypes,
    discrete_dtypes,
    float_dtypes,
    int_dtypes,
    integer_dtypes,
    sparse_formats,
    uint_dtypes,
)
from symsparse.variables import SparseConstant, SparseSharedVariable, SparseVariable

__all__ = [
    "DensificationError",
    "DensificationWarning",
    "SparseConstant",
    "SparseSharedVariable",
    "SparseTensorType",
    "SparseVariable",
    "__version__",
    "all_dtypes",
    "as_sparse",
    "as_sparse_or_tensor_variable",
    "as_sparse_variable",
    "complex_dtypes",
    "config",
    "constant",
    "continuous_dtypes",
    "csc_array",
    "csc_dmatrix",
    "csc_fmatrix",
    "csc_matrix",
    "csr_array",
    "csr_dmatrix",
    "csr_fmatrix",
    "csr_matrix",
    "discrete_dtypes",
    "explain",
    "float_dtypes",
    "get_num_threads",
    "int_dtypes",
    "integer_dtypes",
    "matrix",
    "pattern_of",
    "set_num_threads",
    "shared",
    "sparse_formats",
    "uint_dtypes",
    *_ops,
]
