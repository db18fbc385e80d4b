"""PyTensor's own sparse module, compiled in the same way. It takes spmatrix only, and has no conversion to csc."""

import warnings

import pytensor
import pytensor.sparse as ps
import pytensor.tensor as pt
import scipy.sparse as sp


def start(threads):
    warnings.simplefilter("ignore")  # operations that run in Python say so
    return {"pytensor": pytensor.__version__}


def sorted_csr(C):
    C = C.tocsr()
    C.sort_indices()
    return C


def softmax(A, W, t):
    loss = -pt.special.log_softmax(ps.structured_dot(A, W), axis=1)[pt.arange(t.shape[0]), t].mean()
    return [loss, pytensor.grad(loss, W)]


def factors(A, U, V, rows, columns):
    # sampling_dot forms the whole dense product; this gathers the rows of U and V instead
    error = (U[rows] * V[columns]).sum(axis=1) - ps.csm_data(A)
    loss = (error**2).sum()
    return [loss, *pytensor.grad(loss, [U, V])]


def chain(A):
    return ps.csm_data(ps.structured_sigmoid(ps.structured_exp(A) * 2.0) * 3.0)


def gradient(A, D):
    return ps.csm_data(pytensor.grad((ps.structured_dot(A, D) ** 2).sum(), A))


GRAPHS = {
    "spmv": (ps.dot, "x"),  # structured_dot takes no vectors
    "spmvT": (lambda A, z: ps.dot(A.T, z), "z"),
    "spmm": (ps.structured_dot, "X"),
    "spmmT": (lambda A, Z: ps.structured_dot(A.T, Z), "Z"),
    "spgemm": (lambda A: ps.true_dot(A, A),),
    "gram": (lambda A: ps.true_dot(A.T, A),),
    "add": (ps.add_s_s, "B"),
    "addsame": (ps.add_s_s_data, "B"),
    "chain": (chain,),
    "scale": (lambda A, r, c: ps.csm_data(ps.row_scale(ps.col_scale(A, c), r)), "z", "x"),
    "sum": (lambda A: ps.sp_sum(A),),
    "sum0": (lambda A: ps.sp_sum(A, axis=0),),
    "sum1": (lambda A: ps.sp_sum(A, axis=1),),
    "softmax": (softmax, "W", "labels"),
    "factors": (factors, "U", "V", "rows", "columns"),
    "gradient": (gradient, "X"),
}


def symbolic(value):
    if sp.issparse(value):
        return ps.csr_matrix(dtype=str(value.dtype))
    return pt.tensor(dtype=value.dtype, shape=(None,) * value.ndim)


def operand(o, name):
    if name == "rows":
        return sp.coo_array(o.A).row.astype("int64")
    if name == "columns":
        return o.A.indices.astype("int64")
    value = getattr(o, name)
    return sp.csr_matrix(value) if sp.issparse(value) else value


def compiled(kernel):
    def build(o):
        graph, *names = (
            GRAPHS[kernel] if kernel in GRAPHS else (lambda A: A[o.some_rows.start : o.some_rows.stop],)
        )
        values = [operand(o, name) for name in ("A", *names)]
        variables = [symbolic(value) for value in values]
        function = pytensor.function(variables, graph(*variables), on_unused_input="ignore")
        if kernel in ("spgemm", "gram"):
            return lambda: sorted_csr(function(*values))
        return lambda: function(*values)

    return build


def sampled(o):
    if o.A.shape[0] * o.A.shape[1] > 10_000_000:
        raise NotImplementedError("forms the whole dense product")
    U, V, A = pt.matrix(dtype=o.U.dtype), pt.matrix(dtype=o.V.dtype), symbolic(o.A)
    function = pytensor.function([U, V, A], ps.sampling_dot(U, V, A))
    values = o.U, o.V, sp.csr_matrix(o.A)
    return lambda: function(*values)


BUILD = {"pytensor.sparse": {kernel: compiled(kernel) for kernel in [*GRAPHS, "rows"]} | {"sddmm": sampled}}


def plain(result, o):
    return tuple(result) if isinstance(result, list) else (result,)
