"""What is timed: a kernel or a step, on a matrix, in a dtype."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.matrices import load

KERNELS = {
    "spmv": "A @ x",
    "spmvT": "A.T @ x",
    "spmm": "A @ X",
    "spmmT": "A.T @ X",
    "sddmm": "(U @ V.T) at the entries of A",
    "spgemm": "A @ A, indices sorted",
    "gram": "A.T @ A, indices sorted",
    "add": "A + B, different patterns",
    "addsame": "A + B, one pattern",
    "tocsc": "csr to csc",
    "chain": "3 sigmoid(2 exp(a)) of the values a",
    "scale": "values of diag(r) A diag(c)",
    "sum": "sum of all entries",
    "sum0": "sums of the columns",
    "sum1": "sums of the rows",
    "rows": "the middle half of the rows",
    "softmax": "softmax regression, 20 classes: loss and gradient",
    "factors": "|A - U V.T|^2 on the entries of A, 32 factors: loss and both gradients",
    "gradient": "gradient of sum((A @ D)^2) with respect to the values of A, 32 columns",
}
CLASSES, FACTORS = 20, 32


@dataclass(frozen=True)
class Case:
    kernel: str
    matrix: str
    columns: int = 0
    dtype: str = "float64"
    quick: bool = False

    @property
    def name(self) -> str:
        columns = self.columns or ""
        suffix = "" if self.dtype == "float64" else " f4"
        return f"{self.kernel}{columns} {self.matrix}{suffix}"

    @property
    def small(self) -> bool:
        return self.matrix in ("d", "e")

    @property
    def step(self) -> bool:
        return self.kernel in ("softmax", "factors", "gradient")


def cases() -> list[Case]:
    quick = {
        "spmv a",
        "spmvT a",
        "spmm32 a",
        "spmm32 c",
        "spmmT32 a",
        "sddmm32 a",
        "spgemm ga",
        "add a",
        "tocsc a",
    }
    quick |= {"chain a", "scale a", "softmax m", "factors m", "gradient m", "spmv d", "spmm32 d", "spmv e"}
    wanted = [(kernel, matrix, 0) for kernel in ("spmv", "spmvT") for matrix in "abc"]
    wanted += [(kernel, matrix, 32) for kernel in ("spmm", "spmmT", "sddmm") for matrix in "abc"]
    wanted += [(kernel, "a", columns) for kernel in ("spmm", "spmmT") for columns in (8, 128)]
    wanted += [("spgemm", "c", 0), ("spgemm", "ga", 0), ("gram", "gb", 0)]
    wanted += [(kernel, matrix, 0) for kernel in ("add", "tocsc", "sum0") for matrix in "abc"]
    wanted += [("scale", "a", 0), ("scale", "b", 0)]
    wanted += [(kernel, "a", 0) for kernel in ("addsame", "chain", "sum", "sum1", "rows")]
    wanted += [("softmax", "m", 0), ("factors", "m", 0), ("gradient", "m", 0)]
    result = [Case(*w) for w in wanted]
    for kernel, matrix, columns in [
        ("spmv", "a", 0),
        ("spmv", "c", 0),
        *((k, "a", 32) for k in ("spmm", "spmmT", "sddmm")),
    ]:
        result.append(Case(kernel, matrix, columns, "float32"))
    for matrix in "de":
        result += [Case(kernel, matrix) for kernel in ("spmv", "spmvT", "spgemm", "add", "addsame", "tocsc")]
        result += [Case(kernel, matrix, 32) for kernel in ("spmm", "spmmT", "sddmm")]
        result += [Case(kernel, matrix) for kernel in ("chain", "scale", "sum", "sum0", "sum1", "rows")]
    return [Case(c.kernel, c.matrix, c.columns, c.dtype, c.name in quick) for c in result]


class Operands:
    """The data of a case, made when asked for; the same for every contender."""

    def __init__(self, case: Case) -> None:
        self.case, self.k = case, case.columns or FACTORS

    def dense(self, seed, *shape):
        return np.random.default_rng(seed).standard_normal(shape).astype(self.case.dtype)

    @cached_property
    def A(self):
        A = load(self.case.matrix, self.case.dtype)
        if (
            self.case.kernel == "sddmm"
        ):  # some peers sample the product, others scale the sample by the values
            A.data[:] = 1
        return A

    @cached_property
    def B(self):
        if self.case.kernel == "add":
            return load(f"{self.case.matrix}2", self.case.dtype)
        B = self.A.copy()
        B.data = self.dense(3, B.nnz)
        return B

    @cached_property
    def x(self):  # for A @ x
        return self.dense(4, self.A.shape[1])

    @cached_property
    def z(self):  # for A.T @ z
        return self.dense(5, self.A.shape[0])

    @cached_property
    def X(self):
        return self.dense(6, self.A.shape[1], self.k)

    @cached_property
    def Z(self):
        return self.dense(7, self.A.shape[0], self.k)

    @cached_property
    def U(self):
        return self.dense(8, self.A.shape[0], self.k)

    @cached_property
    def V(self):
        return self.dense(9, self.A.shape[1], self.k)

    @cached_property
    def W(self):
        return self.dense(10, self.A.shape[1], CLASSES)

    @cached_property
    def labels(self):
        return np.random.default_rng(11).integers(CLASSES, size=self.A.shape[0])

    @property
    def some_rows(self):
        m = self.A.shape[0]
        return slice(m // 4, m - m // 4)


def cost(o: Operands, result) -> tuple[float | None, float | None]:
    """Bytes that must move (each operand read once, the result written once), and floating-point operations."""
    A, kernel, s = o.A, o.case.kernel, o.A.dtype.itemsize
    (m, n), nnz, k = A.shape, A.nnz, o.k
    indices = 4 * (nnz + m + 1)
    if kernel in ("spmv", "spmvT"):
        return indices + s * (nnz + m + n), 2 * nnz
    if kernel in ("spmm", "spmmT"):
        return indices + s * (nnz + k * (m + n)), 2 * nnz * k
    if kernel == "sddmm":
        return indices + s * (nnz + k * (m + n)), 2 * nnz * k
    if kernel in ("chain", "sum"):
        return s * nnz * (2 if kernel == "chain" else 1), None
    if kernel == "scale":
        return indices + s * (2 * nnz + m + n), None
    if kernel in ("sum0", "sum1"):
        return (4 * nnz if kernel == "sum0" else 4 * m) + s * (nnz + n), None
    if kernel in ("add", "addsame", "tocsc", "rows", "spgemm", "gram"):
        out = size(result[0])
        if kernel == "rows":
            return 2 * out, None
        flops = None
        if kernel == "spgemm":
            flops = 2 * int(np.diff(A.indptr)[A.indices].sum())
        elif kernel == "gram":
            flops = 2 * int((np.diff(A.indptr).astype(np.int64) ** 2).sum())
        operands = size(A) + (size(o.B) if kernel.startswith("add") else 0)
        return operands + out, flops
    return None, None


def size(A) -> int:
    return A.data.nbytes + A.indices.nbytes + A.indptr.nbytes
