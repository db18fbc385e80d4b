"""Bad operands: the error names the function, shows what it got, and says what to write."""

import numpy as np
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss

UNARY = (
    "transpose neg diag sp_ones_like sp_zeros_like sp_sum ensure_sorted_indices sum_duplicates remove0 clean csm_data "
    "csm_properties structured_sigmoid structured_exp structured_log structured_abs structured_conjugate sin tan "
    "arcsin arctan sinh arcsinh tanh arctanh rad2deg deg2rad rint ceil floor trunc sgn log1p expm1 square sqrt"
).split()
BINARY = "add sub mul true_div lt eq dot structured_dot true_dot".split()
WRONG = {
    "string": "a",
    "nothing": None,
    "object": object(),
    "three dimensions": pt.dtensor3("t"),
    "dict": {1: 2},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_matrix(name, wrong):
    with pytest.raises(TypeError, match=rf"^{name}: .*; got \(.+\)"):
        getattr(ss, name)(WRONG[wrong])


@pytest.mark.parametrize("name", UNARY)
def test_a_dense_matrix_in_the_place_of_a_sparse_one(name):
    for dense, shape in ((pt.dmatrix("d"), r"\(\?, \?\)"), (np.ones((2, 3)), r"\(2, 3\)")):
        cause = rf"needs a sparse matrix; got \(dense, float64, shape={shape}\)"
        with pytest.raises(TypeError, match=rf"^{name}: {cause}.*csr_from_dense\(x\)"):
            getattr(ss, name)(dense)


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_matrices(name, wrong):
    if wrong == "three dimensions" and name in ("dot", "structured_dot"):
        return  # a batch of dense operands
    x = ss.csr_matrix("x", shape=(2, 3))
    operands = [(x, WRONG[wrong])] + ([(WRONG[wrong], x)] if name != "true_div" else [])
    for pair in operands:
        with pytest.raises(TypeError, match=rf"^{name}: .*; got \(.+\)"):
            getattr(ss, name)(*pair)


@pytest.mark.parametrize("name", BINARY)
def test_two_dense_operands_are_for_pytensor(name):
    with pytest.raises(
        TypeError, match=rf"^{name}: .*sparse.*; got \(dense, float64, shape=\(\?, \?\)\) and \(dense"
    ):
        getattr(ss, name)(pt.dmatrix(), pt.dmatrix())


@pytest.mark.parametrize("format", ["bsr", "coo", "CSR", None])
def test_other_formats_are_named(format):
    with pytest.raises(ValueError, match=rf"{format}.*'csc', 'csr'"):
        ss.matrix(format, "x")
    for make in (ss.CSM, ss.SparseFromDense):
        with pytest.raises(
            ValueError, match=rf"^{make.__name__}: unsupported format {format!r}; choose one of"
        ):
            make(format)
    with pytest.raises(ValueError, match=rf"^asformat: unsupported format {format!r}; got \(csr, float64"):
        ss.asformat(ss.csr_matrix("x"), format)


@pytest.mark.parametrize("format", ["bsr", "coo", "lil", "dok", "dia"])
def test_other_scipy_formats_are_converted_wherever_a_matrix_is_taken(format):
    """bsr passed some checks and fell through others; coo was an error of the wrong kind."""
    value = sp.coo_array(np.eye(3)).asformat(format)
    for made in (ss.as_sparse(value), ss.neg(value), ss.add(ss.csr_matrix("x"), value), ss.shared(value)):
        assert made.format == "csr"


def test_static_sizes_that_differ_are_refused_when_the_graph_is_built():
    x, y = ss.csr_matrix("x", shape=(2, 3)), ss.csc_matrix("y", shape=(2, 4))
    shown = r"got \(csr, float64, shape=\(2, 3\)\) and \(csc, float64, shape=\(2, 4\)\)"
    for name in ("add", "sub", "mul", "lt", "eq"):
        with pytest.raises(ValueError, match=rf": shapes differ; {shown}"):
            getattr(ss, name)(x, y)
    for call, name in (
        (lambda: ss.col_scale(x, np.ones(2)), "col_scale"),
        (lambda: ss.row_scale(x, np.ones(3)), "row_scale"),
        (lambda: ss.mul_s_v(x, np.ones(2)), "mul_s_v"),
        (lambda: ss.structured_add_s_v(x, np.ones(2)), "structured_add_s_v"),
        (lambda: ss.sampling_dot(np.ones((3, 2)), np.ones((3, 2)), x), "sampling_dot"),
        (lambda: ss.sample(np.ones((3, 3)), x), "sample"),
        (lambda: ss.usmm(1.0, x, np.ones((3, 2)), np.ones((3, 2))), "usmm"),
    ):
        with pytest.raises(ValueError, match=rf"^{name}: .*; got .*shape=\("):
            call()
