"""SuiteSparse:GraphBLAS through python-graphblas. Results are waited for, since it works lazily."""

from importlib.metadata import version

import graphblas as gb
import numpy as np
import scipy.sparse as sp
from graphblas import binary, monoid, semiring, unary


def start(threads):
    gb.ss.config["nthreads"] = threads
    return {"python-graphblas": version("python-graphblas"), "GraphBLAS": version("suitesparse-graphblas")}


def sparse(A):
    return gb.io.from_scipy_sparse(A)


def dense(value):
    return gb.Vector.from_dense(value) if value.ndim == 1 else gb.Matrix.from_dense(value)


def waited(make):
    """Time the expression that `make` gives, evaluated."""

    def run():
        result = make().new()
        result.wait("materialize")
        return result

    return run


def product(name, transposed=False, vector=False):
    def build(o):
        A, x = sparse(o.A), dense(getattr(o, name))
        if vector:
            return waited(lambda: (A.T if transposed else A).mxv(x, semiring.plus_times))
        return waited(lambda: (A.T if transposed else A).mxm(x, semiring.plus_times))

    return build


def sampled(o):
    A, U, V = sparse(o.A), dense(o.U), dense(o.V)

    def run():
        result = U.mxm(V.T, semiring.plus_times).new(mask=A.S)
        result.wait("materialize")
        return result

    return run


def added(o):
    A, B = sparse(o.A), sparse(o.B)
    return waited(lambda: A.ewise_add(B, binary.plus))


def unary_case(function):
    def build(o):
        A = sparse(o.A)
        return waited(lambda: function(A))

    return build


def chain(A):
    y = A.apply(unary.exp).new().apply(binary.times, right=-2.0).new().apply(unary.exp).new()
    return y.apply(binary.plus, right=1.0).new().apply(binary.rdiv, right=3.0)


def scale(o):
    A, r, c = sparse(o.A), dense(o.z).diag(), dense(o.x).diag()
    return waited(lambda: r.mxm(A, semiring.plus_times).new().mxm(c, semiring.plus_times))


def rows(o):
    A = sparse(o.A)
    return waited(lambda: A[o.some_rows, :])


BUILD = {
    "graphblas": {
        "spmv": product("x", vector=True),
        "spmvT": product("z", transposed=True, vector=True),
        "spmm": product("X"),
        "spmmT": product("Z", transposed=True),
        "sddmm": sampled,
        "spgemm": unary_case(lambda A: A.mxm(A, semiring.plus_times)),
        "gram": unary_case(lambda A: A.T.mxm(A, semiring.plus_times)),
        "add": added,
        "addsame": added,
        "tocsc": unary_case(lambda A: A.T),
        "chain": unary_case(chain),
        "scale": scale,
        "sum": unary_case(lambda A: A.reduce_scalar(monoid.plus)),
        "sum0": unary_case(lambda A: A.reduce_columnwise(monoid.plus)),
        "sum1": unary_case(lambda A: A.reduce_rowwise(monoid.plus)),
        "rows": rows,
    }
}


def plain(result, o):
    kernel = o.case.kernel
    if isinstance(result, gb.Scalar):
        return (np.asarray(result.value),)
    if isinstance(result, gb.Vector):
        return (result.to_dense(fill_value=0),)
    if kernel in ("spmm", "spmmT"):
        return (result.to_dense(fill_value=0),)
    A = sp.csr_array(gb.io.to_scipy_sparse(result, "csr"))
    if kernel == "tocsc":
        return (A.T,)
    return (A.data if kernel in ("chain", "scale") else A,)
