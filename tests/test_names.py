"""Every documented name of the families that exist is importable from the package root, documented, and no other."""

import inspect
import subprocess
import sys

import pytest

import symsparse as ss

CLASSES = """
AddSD AddSS AddSSData CSM CSMGrad CSMProperties Cast ColScaleCSC ConstructSparseFromList DenseFromSparse
Diag Dot EnsureSortedIndices GetItem2Lists GetItem2ListsGrad GetItem2d GetItemList GetItemListGrad
GetItemScalar HStack MulSD MulSS MulSV Neg Remove0 RowScaleCSC
SamplingDot SparseConstant SparseFromDense SparseSharedVariable SparseTensorType SparseVariable SpSum
SquareDiagonal StructuredAddSV StructuredDot StructuredDotGradCSC StructuredDotGradCSR Transpose TrueDot
Usmm EqualSS EqualSD NotEqualSS NotEqualSD LessThanSS LessThanSD GreaterThanSS GreaterThanSD LessEqualSS
LessEqualSD GreaterEqualSS GreaterEqualSD VStack BlockDiag
Poisson Binomial Multinomial DensificationError DensificationWarning
""".split()
FUNCTIONS = """
as_sparse as_sparse_variable as_sparse_or_tensor_variable constant matrix csr_matrix csc_matrix csr_array
csc_array shared dense_from_sparse csr_from_dense csc_from_dense csm_properties csm_data csm_indices
csm_indptr csm_shape sp_ones_like sp_zeros_like square_diagonal construct_sparse_from_list diag cast bcast
wcast icast lcast fcast dcast ccast zcast transpose neg add sub mul col_scale row_scale eq neq lt le gt ge
structured_sigmoid structured_exp structured_log structured_pow structured_minimum structured_maximum
structured_add sin arcsin tan arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil floor trunc sgn
log1p expm1 square sqrt conj conjugate structured_monoid structured_dot_grad dot structured_dot true_dot
maximum minimum where sp_max sp_min sp_mean trace norm sparse_grad hstack vstack block_diag block_array kron
eye diags tril triu pushforward
sampling_dot sp_sum ensure_sorted_indices remove0 clean get_item_2d get_item_2lists get_item_list get_item_scalar
set_subtensor inc_subtensor with_values poisson multinomial
get_num_threads set_num_threads
set_subtensor inc_subtensor with_values poisson multinomial explain pattern_of
""".split()
OBJECTS = """
get_item_list_grad get_item_2lists_grad
CSR CSC csm_grad usmm structured_add_s_v mul_s_v add_s_s_data sdg_csc sdg_csr csr_dmatrix csr_fmatrix
csc_dmatrix csc_fmatrix equal_s_s equal_s_d not_equal_s_s not_equal_s_d less_than_s_s less_than_s_d
greater_than_s_s greater_than_s_d less_equal_s_s less_equal_s_d greater_equal_s_s greater_equal_s_d
csr_fbinomial csr_dbinomial csc_fbinomial csc_dbinomial
all_dtypes float_dtypes int_dtypes uint_dtypes integer_dtypes discrete_dtypes continuous_dtypes
complex_dtypes sparse_formats config
""".split()


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS, *OBJECTS])
def test_documented_names(name):
    assert name in ss.__all__
    found = getattr(ss, name)
    if name in CLASSES:
        assert inspect.isclass(found)
    if name not in OBJECTS:
        assert found.__doc__, f"{name} has no docstring"


def test_public_functions_say_what_they_are_called_and_how_they_are_differentiated():
    for name in ss.__all__:
        found = getattr(ss, name)
        if inspect.isfunction(found) and found.__module__.startswith("symsparse.ops"):
            assert found.__name__ in [n for n in ss.__all__ if getattr(ss, n) is found]
            referred = getattr(ss, found.__doc__.lower().split("see `")[-1].split("`")[0], found)
            assert "radient" in found.__doc__ + referred.__doc__, name


def test_all_is_what_a_star_import_gives():
    for name in ss.__all__:
        assert hasattr(ss, name)
    assert not {"np", "pt", "sp", "ps", "exp", "log"} & set(ss.__all__)


def test_import_loads_no_backend():
    """Numba, the C++ kernels, and PyTensor's own sparse module, wait for the first compilation.

    ``scipy.special``, which takes as long as all of symsparse, waits for the reference implementation to need it.
    """
    program = (
        "import sys, symsparse; from symsparse.backends import c;"
        "print([m for m in ('numba', 'pytensor.sparse', 'jax', 'scipy.special') if m in sys.modules]"
        " + ['C++'] * c.source.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
