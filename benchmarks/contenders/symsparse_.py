"""symsparse as users call it: compiled functions, of a sparse input or of a frozen shared matrix."""

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt

import symsparse as ss
import symsparse.kernels  # loads TBB, before Numba chooses a threading layer


def start(threads):
    numba.set_num_threads(threads)
    return {"symsparse": ss.__version__, "numba": numba.__version__}


def softmax(A, W, t):
    loss = -pt.special.log_softmax(A @ W, axis=1)[pt.arange(t.shape[0]), t].mean()
    return [loss, pytensor.grad(loss, W)]


def factors(A, U, V):
    error = (ss.sampling_dot(U, V, ss.sp_ones_like(A)) - A).values
    loss = (error**2).sum()
    return [loss, *pytensor.grad(loss, [U, V])]


def gradient(A, D):
    return pytensor.grad(((A @ D) ** 2).sum(), A).values


def symbolic(value):
    if isinstance(value, np.ndarray):
        return pt.tensor(dtype=value.dtype, shape=(None,) * value.ndim)
    return ss.matrix(value.format, dtype=value.dtype)


GRAPHS = {
    "spmv": (lambda A, x: A @ x, "x"),
    "spmvT": (lambda A, z: A.T @ z, "z"),
    "spmm": (lambda A, X: A @ X, "X"),
    "spmmT": (lambda A, Z: A.T @ Z, "Z"),
    "sddmm": (lambda A, U, V: ss.sampling_dot(U, V, A), "U", "V"),
    "spgemm": (lambda A: A @ A,),
    "gram": (lambda A: A.T @ A,),
    "add": (lambda A, B: A + B, "B"),
    "addsame": (lambda A, b: A + A.with_values(b), "b"),
    "tocsc": (lambda A: A.tocsc(),),
    "chain": (lambda A: 3 * ss.structured_sigmoid(2 * ss.structured_exp(A)),),
    "scale": (lambda A, z, x: ss.col_scale(ss.row_scale(A, z), x), "z", "x"),
    "sum": (lambda A: A.sum(),),
    "sum0": (lambda A: A.sum(axis=0),),
    "sum1": (lambda A: A.sum(axis=1),),
    "softmax": (softmax, "W", "labels"),
    "factors": (factors, "U", "V"),
    "gradient": (gradient, "X"),
}


def compiled(kernel, frozen):
    def build(o):
        graph, *names = GRAPHS[kernel] if kernel in GRAPHS else (lambda A: A[o.some_rows],)
        given = []

        def take(value):
            variable = symbolic(value)
            given.append((variable, value))
            return variable

        A = ss.shared(o.A, frozen=True) if frozen else take(o.A)
        others = []
        for name in names:
            value = o.B.data if name == "b" else getattr(o, name)
            others.append(ss.shared(value, frozen=True) if frozen and name == "B" else take(value))
        out = graph(A, *others)
        if kernel in ("chain", "scale"):
            out = out.values
        function = pytensor.function([variable for variable, _ in given], out)
        values = [value for _, value in given]
        return lambda: function(*values)

    return build


KERNELS = [*GRAPHS, "rows"]
BUILD = {
    "symsparse": {kernel: compiled(kernel, False) for kernel in KERNELS},
    "symsparse frozen": {kernel: compiled(kernel, True) for kernel in KERNELS},
}


def plain(result, o):
    return tuple(result) if isinstance(result, list) else (result,)
