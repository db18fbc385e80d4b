"""Classes and functions take the documented arguments: names, order, defaults; more may follow, with defaults."""

import inspect

import numpy as np
import pytensor
import pytest

import symsparse as ss
from symsparse import testing
from symsparse.testing import assert_well_formed

CLASSES = {
    "CSM": lambda format, kmap=None: 0,
    "CSMGrad": lambda kmap=None: 0,
    "CSMProperties": lambda kmap=None: 0,
    "Cast": lambda out_type: 0,
    "DenseFromSparse": lambda structured=True: 0,
    "EnsureSortedIndices": lambda inplace: 0,
    "HStack": lambda format=None, dtype=None: 0,
    "Remove0": lambda inplace=False: 0,
    "SparseFromDense": lambda format: 0,
    "SpSum": lambda axis=None, sparse_grad=True: 0,
    "TrueDot": lambda grad_preserves_dense=True: 0,
    "VStack": lambda format=None, dtype=None: 0,
    "SparseVariable": lambda type, owner, index=None, name=None: 0,
    "SparseTensorType": lambda format, dtype, shape=None, name=None, broadcastable=None: 0,
}
for _name in (
    "AddSD AddSS AddSSData ColScaleCSC ConstructSparseFromList Diag Dot GetItem2Lists GetItem2ListsGrad "
    "GetItem2d GetItemList GetItemListGrad GetItemScalar MulSD MulSS MulSV Neg RowScaleCSC SamplingDot "
    "SquareDiagonal StructuredAddSV StructuredDot StructuredDotGradCSC StructuredDotGradCSR Transpose "
    "Usmm"
).split():
    CLASSES[_name] = lambda: 0

NODES = {
    "CSM": lambda data, indices, indptr, shape: 0,
    "CSMGrad": lambda x_data, x_indices, x_indptr, x_shape, g_data, g_indices, g_indptr, g_shape: 0,
    "CSMProperties": lambda csm: 0,
    "ConstructSparseFromList": lambda x, values, ilist: 0,
    "GetItem2Lists": lambda x, ind1, ind2: 0,
    "GetItem2ListsGrad": lambda x, ind1, ind2, gz: 0,
    "GetItemListGrad": lambda x, index, gz: 0,
    "SamplingDot": lambda x, y, p: 0,
    "SquareDiagonal": lambda diag: 0,
    "StructuredDot": lambda a, b: 0,
    "StructuredDotGradCSC": lambda a_indices, a_indptr, b, g_ab: 0,
    "StructuredDotGradCSR": lambda a_indices, a_indptr, b, g_ab: 0,
    "Usmm": lambda alpha, x, y, z: 0,
}
for (
    _name
) in "Cast DenseFromSparse Diag EnsureSortedIndices Neg Remove0 SpSum SparseFromDense Transpose".split():
    NODES[_name] = lambda x: 0
for _name in "AddSD AddSS AddSSData Dot MulSD MulSS MulSV StructuredAddSV TrueDot".split():
    NODES[_name] = lambda x, y: 0
for _name in "ColScaleCSC RowScaleCSC".split():
    NODES[_name] = lambda x, s: 0

FUNCTIONS = {
    "as_sparse": lambda x, name=None, ndim=None, **kwargs: 0,
    "as_sparse_variable": lambda x, name=None, ndim=None, **kwargs: 0,
    "constant": lambda x, name=None: 0,
    "hstack": lambda blocks, format=None, dtype=None: 0,
    "vstack": lambda blocks, format=None, dtype=None: 0,
    "matrix": lambda format, name=None, dtype=None: 0,
    "csr_matrix": lambda name=None, dtype=None: 0,
    "csc_matrix": lambda name=None, dtype=None: 0,
    "cast": lambda variable, dtype: 0,
    "construct_sparse_from_list": lambda x, values, ilist: 0,
    "sampling_dot": lambda x, y, p: 0,
    "sp_sum": lambda x, axis=None, sparse_grad=False: 0,
    "square_diagonal": lambda diag: 0,
    "structured_dot_grad": lambda sparse_A, dense_B, ga: 0,
    "structured_monoid": lambda tensor_op: 0,
    "true_dot": lambda x, y, grad_preserves_dense=True: 0,
}
for _name in "csm_properties csm_data csm_indices csm_indptr csm_shape".split():
    FUNCTIONS[_name] = lambda csm: 0
for _name in "bcast wcast icast lcast fcast dcast ccast zcast".split():
    FUNCTIONS[_name] = lambda variable: 0
for _name in "add sub mul dot structured_dot eq neq lt le gt ge".split():
    FUNCTIONS[_name] = lambda x, y: 0
for (
    _name
) in "col_scale row_scale structured_pow structured_minimum structured_maximum structured_add".split():
    FUNCTIONS[_name] = lambda x, s: 0
for _name in (
    "clean csc_from_dense csr_from_dense dense_from_sparse diag ensure_sorted_indices neg remove0 sp_ones_like "
    "sp_zeros_like transpose structured_sigmoid structured_exp structured_log structured_conjugate sin arcsin tan "
    "arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil floor trunc sgn log1p expm1 square sqrt conj conjugate"
).split():
    FUNCTIONS[_name] = lambda x: 0


def check(found, documented):
    found = [p for p in inspect.signature(found).parameters.values() if p.name != "self"]
    documented = list(inspect.signature(documented).parameters.values())
    positional = [p for p in documented if p.kind is not p.VAR_KEYWORD]
    assert [(p.name, p.default) for p in found[: len(positional)]] == [
        (p.name, p.default) for p in positional
    ]
    for p in found[len(positional) :]:
        assert p.default is not p.empty or p.kind is p.VAR_KEYWORD, (
            f"{p.name} has no default: the documented call fails"
        )


@pytest.mark.parametrize("name", CLASSES)
def test_classes_take_the_documented_arguments(name):
    check(getattr(ss, name), CLASSES[name])


@pytest.mark.parametrize("name", NODES)
def test_nodes_are_made_of_the_documented_inputs(name):
    check(getattr(ss, name).make_node, NODES[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_documented_arguments(name):
    check(getattr(ss, name), FUNCTIONS[name])


def test_instances_are_calls_of_their_documented_classes():
    for name, cls in {
        "CSR": ss.CSM,
        "CSC": ss.CSM,
        "csm_grad": ss.CSMGrad,
        "usmm": ss.Usmm,
        "mul_s_v": ss.MulSV,
        "structured_add_s_v": ss.StructuredAddSV,
        "add_s_s_data": ss.AddSSData,
        "sdg_csc": ss.StructuredDotGradCSC,
        "sdg_csr": ss.StructuredDotGradCSR,
        "get_item_list_grad": ss.GetItemListGrad,
    }.items():
        assert type(getattr(ss, name)) is cls, name
    assert (ss.CSR.format, ss.CSC.format) == ("csr", "csc")


@pytest.mark.parametrize("make", [lambda k: ss.CSM("csr", k), ss.CSMProperties, ss.CSMGrad])
def test_kmap_is_kept_to_say_what_to_write_instead(make):
    make(None)
    with pytest.raises(ValueError, match="kmap is not supported; index the values"):
        make(np.array([0, 1]))


def test_sparse_random_inputs_takes_the_documented_arguments():
    def documented(
        format, shape, n=1, out_dtype=None, p=0.5, gap=None, explicit_zero=False, unsorted_indices=False
    ):
        pass

    check(testing.sparse_random_inputs, documented)


def test_sparse_random_inputs_does_what_its_arguments_say():
    variables, data = testing.sparse_random_inputs("csc", (6, 5), 3, "float32", 0.9, (2, 3), rng=0)
    assert len(variables) == len(data) == 3
    for x, value in zip(variables, data, strict=True):
        assert (x.format, x.dtype) == ("csc", "float32")
        assert_well_formed(value, x.type)
        assert value.shape == (6, 5)
        assert value.nnz > 15
        assert value.data.min() >= 2
        assert value.data.max() <= 3
    (x,), (value,) = testing.sparse_random_inputs("csr", (6, 5), rng=0)
    assert x.dtype == pytensor.config.floatX
    (_,), (value,) = testing.sparse_random_inputs("csr", (6, 5), out_dtype="int8", p=1.0, gap=(4,), rng=0)
    assert value.nnz == 30
    assert set(value.data) <= {0, 1, 2, 3}
    (_,), (value,) = testing.sparse_random_inputs("csr", (6, 5), explicit_zero=True, gap=(1, 2), rng=0)
    assert (value.data == 0).sum() == 1
    (_,), (value,) = testing.sparse_random_inputs("csr", (6, 5), p=1.0, unsorted_indices=True, rng=0)
    assert not value.has_sorted_indices
    (_,), (value,) = testing.sparse_random_inputs("csr", (6, 5), p=0.0, rng=0)
    assert value.nnz == 0
    for wrong in ({"p": 1.5}, {"p": -0.1}, {"gap": (1, 2, 3)}, {"gap": ()}):
        with pytest.raises(ValueError, match="sparse_random_inputs"):
            testing.sparse_random_inputs("csr", (2, 2), **wrong)
