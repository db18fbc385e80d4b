"""Dense forms of sparse matrices that a graph still has after lowering, and what `config.densify` says to them.

A dense form is a dense array of the full shape of a sparse matrix. The user asked for it if an operation that the user
wrote has it as its result: ``x.toarray()``, ``x + d``, ``x > d``, ``dot(x, y)`` of two sparse matrices. Not asked for
are

* a regular gradient with respect to a sparse matrix, where it is an output or has to be stored;
* the dense array behind a sparse result: of ``eq(x, y)``, ``le(x, y)`` and ``ge(x, y)`` of two sparse matrices, which
  hold where both are zero, and of ``true_dot`` with a dense operand;
* the dense array behind a sparse gradient, such as that of ``true_dot``.
"""

import warnings
from typing import NamedTuple

import numpy as np
from pytensor.compile import optdb
from pytensor.graph.basic import Constant
from pytensor.graph.features import Feature
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import Shape, Shape_i

from symsparse.lowering.arithmetic import AddToDense
from symsparse.lowering.base import _TAGS, KernelOp, times
from symsparse.lowering.conversion import Compress, Densify
from symsparse.ops.arithmetic import AddSD
from symsparse.ops.base import SparseOp, describe, is_sparse
from symsparse.ops.comparison import _CompareSD, _CompareSS
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense
from symsparse.ops.matmul import Dot, TrueDot, Usmm
from symsparse.settings import config
from symsparse.tracing import Line, Origin, origin_of, user_line


class DensificationWarning(UserWarning):
    """A compiled function forms a dense array that nobody asked for; see ``symsparse.config.densify``."""


class DensificationError(AssertionError):
    """A compiled function would form a dense array that nobody asked for; see ``symsparse.config.densify``.

    An AssertionError, since PyTensor lets no other exception of a rewrite pass.
    """


def bytes_text(n):
    """A number of bytes for people: three digits and a unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5:
            break
        n, unit = n / 1000, "TB"
    return f"{n:.3g} {unit}"


class DenseForm(NamedTuple):
    """One dense form: what it is, the op and the line that it comes from, its type, and whether it was asked for."""

    what: str
    origin: Origin
    line: Line | None
    dtype: str
    shape: tuple
    asked: bool
    instead: str

    def size(self):
        """Shape, dtype and bytes, as far as they are known."""
        shape = " x ".join("?" if n is None else f"{n:,}" for n in self.shape)
        n_bytes = times(np.dtype(self.dtype).itemsize, *self.shape)
        return f"dense {shape} {self.dtype}" + ("" if n_bytes is None else f", {bytes_text(n_bytes)}")

    def __str__(self):
        at = "" if self.line is None else f"\n  {self.line.file}:{self.line.number}: {self.line.text}"
        return f"{self.what}: {self.size()}{at}" + (f"\n  {self.instead}" if self.instead else "")


class Lowered(Feature):
    """What lowering knew and the graph does not show any more: dense forms, and symbolic phases that fold."""

    def __init__(self, dense_forms, folded):
        self.dense_forms, self.folded = dense_forms, folded

    def clone(self):
        return Lowered(self.dense_forms, self.folded)


_INSTEAD = {
    "gradient": "For the gradient at the stored entries take the structured product (x @ y, structured_dot), "
    "sum(..., sparse_grad=True), or sample(gradient, x).",
    "comparison": "Compare where the result is sparse (neq, lt, gt), or compare x.values.",
    "true_dot": "x @ y gives the dense product without the way through a sparse one.",
    "": "",
}


def dense_forms(fgraph):
    """Dense forms in a graph after lowering."""
    return [*_of_ops(fgraph), *_of_gradients(fgraph)]


def _of_ops(fgraph):
    for node in fgraph.toposort():
        if not isinstance(node.op, KernelOp | SparseOp):
            continue
        formed, kind = formed_by(node)
        if formed is None or all(_is_shape(client) for v in node.outputs for client, _ in fgraph.clients[v]):
            continue
        origin = origin_of(node)
        what = f"{'gradient of ' * origin.derivative}{origin.op}({', '.join(origin.operands)})"
        line = user_line(node.outputs[0])
        yield DenseForm(what, origin, line, formed.dtype, formed.type.shape, not kind, _INSTEAD[kind])


def formed_by(node):
    """The dense form that a node makes or is handed, None if there is none, and why it was not asked for."""
    op, out, origin = node.op, node.outputs[0], origin_of(node)
    if isinstance(op, Densify | AddToDense):
        return out, "" if origin.dense else "comparison"
    if isinstance(op, DenseFromSparse | AddSD | _CompareSD):
        return out, ""
    if isinstance(op, Dot | Usmm) and sum(map(is_sparse, node.inputs)) == 2:
        return out, ""
    if isinstance(op, _CompareSS) and op.holds_at_zero:
        return out, "comparison"
    if isinstance(op, TrueDot) and not all(map(is_sparse, node.inputs)):
        return out, "true_dot"
    if isinstance(op, Compress | SparseFromDense) and (origin.op == "true_dot" or origin.derivative):
        return node.inputs[0], "true_dot"
    return None, ""


def _is_shape(client):
    return isinstance(client.op, Shape | Shape_i)


def _of_gradients(fgraph):
    seen = set()
    for v in fgraph.variables:
        x = getattr(v.tag, "regular_gradient_of", None)
        if x is None or v.type.ndim != 2 or not (_is_stored(v, fgraph) or _reaches_output(v, fgraph)):
            continue
        line = user_line(v)
        if (x, line) in seen:
            continue
        seen.add((x, line))
        origin = Origin("gradient", (x.name or describe(x),), True, True)
        what = f"regular gradient with respect to {x.name or describe(x)}"
        shape = tuple(n if n is not None else m for n, m in zip(v.type.shape, x.type.shape, strict=True))
        yield DenseForm(what, origin, line, v.type.dtype, shape, False, _INSTEAD["gradient"])


def _readers(v, fgraph):
    return [client for client, _ in fgraph.clients[v] if not _is_shape(client)]


def _is_stored(v, fgraph):
    """Whether somebody reads `v`, and it is more than something broadcast, which fuses with its readers."""
    return bool(_readers(v, fgraph)) and not _is_broadcast(v)


def _is_broadcast(v):
    if v.owner is None or v.type.ndim < 2 or 1 in v.type.shape:
        return True
    if isinstance(v.owner.op, Alloc):
        return True
    if isinstance(v.owner.op, DimShuffle | Elemwise):
        return all(map(_is_broadcast, v.owner.inputs))
    return False


def _reaches_output(v, fgraph):
    todo, seen = [v], set()
    while todo:
        v = todo.pop()
        if v in seen:
            continue
        seen.add(v)
        if v in fgraph.outputs:
            return True
        for reader in _readers(v, fgraph):
            if not isinstance(reader.op, CAReduce):
                todo.extend(
                    out for out in reader.outputs if not is_sparse(out) and getattr(out.type, "ndim", 0) == 2
                )
    return False


def folded_phases(fgraph):
    """The kernels of the symbolic phases that lowering ran on constant patterns, and whose results are still used."""
    found: dict = {}
    for v in fgraph.variables:
        if isinstance(v, Constant):
            found |= getattr(v.tag, "symbolic_phases", {})
    return list(found.values())


class LookAtDenseForms(GraphRewriter):
    """Note what lowering left, for `explain`, and do what `config.densify` says."""

    def apply(self, fgraph):
        found = dense_forms(fgraph)
        folded = folded_phases(fgraph)
        if found or folded:
            fgraph.attach_feature(Lowered(found, folded))
        silent = [form for form in found if not form.asked]
        if not silent or config.densify == "allow":
            return
        if config.densify == "raise":
            text = "\n".join(map(str, silent))
            raise DensificationError(f"symsparse.config.densify is 'raise', and this function forms\n{text}")
        for form in silent:
            text = f"This function forms a dense array that no operation asked for.\n{form}"
            if form.line is None:
                warnings.warn(text, DensificationWarning, stacklevel=2)
            else:
                warnings.warn_explicit(text, DensificationWarning, form.line.file, form.line.number)


optdb.register("symsparse_dense_forms", LookAtDenseForms(), *_TAGS, position=0.0805)
