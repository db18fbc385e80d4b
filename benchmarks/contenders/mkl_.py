"""Intel MKL through sparse_dot_mkl: a handle is made and dropped at each call."""

from importlib.metadata import version

from benchmarks.contenders.mkl_handles import load

load()  # tells sparse_dot_mkl where the library is
import sparse_dot_mkl as mkl  # noqa: E402


def start(threads):
    mkl.mkl_set_num_threads(threads)
    return {"sparse_dot_mkl": version("sparse_dot_mkl"), "mkl": version("mkl")}


def product(A, B):
    return mkl.dot_product_mkl(A, B)


def sorted_product(A, B):
    return mkl.dot_product_mkl(A, B, reorder_output=True)


BUILD = {
    "mkl": {
        "spmv": lambda o: lambda A=o.A, x=o.x: product(A, x),
        "spmvT": lambda o: lambda A=o.A, z=o.z: product(A.T, z),
        "spmm": lambda o: lambda A=o.A, X=o.X: product(A, X),
        "spmmT": lambda o: lambda A=o.A, Z=o.Z: product(A.T, Z),
        "spgemm": lambda o: lambda A=o.A: sorted_product(A, A),
        "gram": lambda o: lambda A=o.A: sorted_product(A.T.tocsr(), A),
    }
}


def plain(result, o):
    return (result,)
