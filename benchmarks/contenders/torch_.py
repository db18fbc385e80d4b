"""PyTorch on the CPU: csr tensors with int32 indices, which its MKL takes. It has no row slices of csr tensors."""

import warnings

import scipy.sparse as sp
import torch


def start(threads):
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore")  # sparse csr support is in beta state
    return {"torch": torch.__version__}


def csr(A):
    parts = [torch.from_numpy(part.copy()) for part in (A.indptr, A.indices, A.data)]
    return torch.sparse_csr_tensor(*parts, size=A.shape)


def tensor(value):
    return torch.from_numpy(value.copy())


def without_grad(function):
    def run():
        with torch.no_grad():
            return function()

    return run


def unary(function):
    def build(o):
        A = csr(o.A)
        return without_grad(lambda: function(A))

    return build


def binary(function, *names):
    def build(o):
        A = csr(o.A)
        others = [csr(o.B) if name == "B" else tensor(getattr(o, name)) for name in names]
        return without_grad(lambda: function(A, *others))

    return build


def gram(A):
    return A.t().to_sparse_csr() @ A


def scaled(A, r, c):
    lengths = A.crow_indices().diff()
    return A.values() * torch.repeat_interleave(r, lengths) * c[A.col_indices()]


def columns_summed(A):
    return torch.zeros(A.shape[1], dtype=A.dtype).index_add_(0, A.col_indices(), A.values())


def rows_summed(A):
    return A @ torch.ones(A.shape[1], dtype=A.dtype)


def sampled(A, U, V):
    return torch.sparse.sampled_addmm(A, U, V.t(), beta=0)


def differentiated(loss, *names):
    """Loss and gradients by PyTorch's own differentiation."""

    def build(o):
        A = csr(o.A)
        weights = [tensor(getattr(o, name)).requires_grad_() for name in names]
        constants = operands(o)

        def run():
            value = loss(A, *weights, *constants)
            return value.detach(), *torch.autograd.grad(value, weights)

        return run

    return build


def operands(o):
    if o.case.kernel == "softmax":
        return [tensor(o.labels)]
    return [tensor(sp.coo_array(o.A).row.astype("int64")), tensor(o.A.indices.astype("int64"))]


def softmax_loss(A, W, labels):
    return torch.nn.functional.cross_entropy(A @ W, labels)


def factors_loss(A, U, V, rows, columns):
    error = (U.index_select(0, rows) * V.index_select(0, columns)).sum(1) - A.values()
    return (error**2).sum()


def gradient(o):
    indptr, indices, values = (tensor(part) for part in (o.A.indptr, o.A.indices, o.A.data))
    values.requires_grad_()
    D = tensor(o.X)

    def run():
        A = torch.sparse_csr_tensor(indptr, indices, values, size=o.A.shape)
        (slope,) = torch.autograd.grad(((A @ D) ** 2).sum(), values)
        return slope

    return run


def factors_by_hand(A, U, V):
    E = sampled(A, U, V)
    error = E.values() - A.values()
    E = torch.sparse_csr_tensor(A.crow_indices(), A.col_indices(), 2 * error, size=A.shape)
    return error @ error, E @ V, E.t().to_sparse_csr() @ U


def softmax_by_hand(A, W, labels):
    scores = torch.log_softmax(A @ W, dim=1)
    picked = torch.arange(len(labels)), labels
    loss = -scores[picked].mean()
    slope = scores.exp()
    slope[picked] -= 1
    return loss, A.t().to_sparse_csr() @ (slope / A.shape[0])


BUILD = {
    "torch": {
        "spmv": binary(lambda A, x: A @ x, "x"),
        "spmvT": binary(lambda A, z: A.t() @ z, "z"),
        "spmm": binary(lambda A, X: A @ X, "X"),
        "spmmT": binary(lambda A, Z: A.t() @ Z, "Z"),
        "sddmm": binary(sampled, "U", "V"),
        "spgemm": unary(lambda A: A @ A),
        "gram": unary(gram),
        "add": binary(torch.add, "B"),
        "addsame": binary(torch.add, "B"),
        "tocsc": unary(lambda A: A.to_sparse_csc()),
        "chain": unary(lambda A: 3 * torch.sigmoid(2 * torch.exp(A.values()))),
        "scale": binary(scaled, "z", "x"),
        "sum": unary(lambda A: A.values().sum()),
        "sum0": unary(columns_summed),
        "sum1": unary(rows_summed),
        "softmax": differentiated(softmax_loss, "W"),
        "factors": differentiated(factors_loss, "U", "V"),
        "gradient": gradient,
    },
    "torch by hand": {
        "softmax": binary(softmax_by_hand, "W", "labels"),
        "factors": binary(factors_by_hand, "U", "V"),
        "gradient": binary(lambda A, D: 2 * sampled(A, A @ D, D).values(), "X"),
    },
}


def plain(result, o):
    def one(part):
        if part.layout == torch.strided:
            return part.detach().numpy()
        if part.layout == torch.sparse_csc:
            parts = part.values(), part.row_indices(), part.ccol_indices()
            return sp.csc_array(tuple(p.numpy() for p in parts), shape=tuple(part.shape))
        parts = part.values(), part.col_indices(), part.crow_indices()
        return sp.csr_array(tuple(p.numpy() for p in parts), shape=tuple(part.shape))

    return tuple(map(one, result)) if isinstance(result, tuple) else (one(result),)
