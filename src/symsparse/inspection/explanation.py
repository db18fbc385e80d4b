"""What a compiled function does with its sparse matrices: the steps of a call, and what was done before."""

import inspect
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.executor import Function
from pytensor.graph.basic import Constant
from pytensor.scan.op import Scan
from pytensor.tensor.elemwise import CAReduce, Elemwise
from pytensor.tensor.rewriting.fused_elemwise import FusedElemwise
from pytensor.tensor.subtensor import AdvancedIncSubtensor, AdvancedSubtensor

from symsparse.backends.c import CKernel
from symsparse.inspection import render
from symsparse.inspection.patterns import source_of
from symsparse.inspection.sizes import Sizes, sizes_of_run
from symsparse.lowering.base import KernelOp, times
from symsparse.lowering.conversion import Compress
from symsparse.lowering.dense_forms import DenseForm, Lowered, formed_by
from symsparse.lowering.layout import Positions, SortPattern, TransposePattern
from symsparse.ops.base import SparseOp, is_sparse
from symsparse.ops.conversion import SparseFromDense
from symsparse.ops.csm import CSM, CSMProperties
from symsparse.ops.layout import AsFormat
from symsparse.tracing import Line, origin_of, user_line


@dataclass(frozen=True)
class Step:
    """One step of a call.

    Attributes
    ----------
    op : str
        The operation as the user knows it, with its operands; "gradient: ..." if a derivative wrote it.
    kernel : str
        What computes it: a kernel of ours, PyTensor's loop over values, or SciPy in the reference mode.
    phase : {"symbolic", "numeric", "values"}
        Work on patterns; on values through a pattern; on vectors of values alone.
    sparse : str
        Sparse operand: stored entries, number of slices along the major axis and their length, as far as known.
    pattern : str
        Where the pattern comes from.
    result : str
        Shape of the (first) result.
    flops, n_bytes : int or None
        Estimated work and traffic: each operand read and each result written once.
    threads : str
    line : Line or None
        Where the user wrote it.
    conversion : bool
        Whether it converts between formats, or between dense and sparse.
    """

    op: str
    kernel: str
    phase: str
    sparse: str
    pattern: str
    result: str
    flops: int | None
    n_bytes: int | None
    threads: str
    line: Line | None
    conversion: bool


@dataclass(frozen=True)
class Explanation:
    """What `explain` found; ``print`` it, show it in a notebook, or write ``html()`` to a file."""

    mode: str
    steps: list[Step]
    dense_forms: list[DenseForm]
    folded: list[str] = field(default_factory=list)

    @property
    def densifications(self) -> list[DenseForm]:
        """The dense forms that no operation asked for."""
        return [form for form in self.dense_forms if not form.asked]

    @property
    def conversions(self) -> list[Step]:
        """The steps that change a format, or dense to sparse."""
        return [step for step in self.steps if step.conversion]

    @property
    def symbolic(self) -> list[Step]:
        """The symbolic phases that run in each call."""
        return [step for step in self.steps if step.phase == "symbolic"]

    @property
    def flops(self) -> int:
        """Estimated floating-point operations of a call, as far as sizes are known."""
        return sum(step.flops or 0 for step in self.steps)

    @property
    def n_bytes(self) -> int:
        """Estimated bytes read and written in a call, as far as sizes are known."""
        return sum(step.n_bytes or 0 for step in self.steps)

    @property
    def summary(self) -> str:
        """One line: densifications, symbolic phases, kernels, work."""
        return render.summary(self)

    def __str__(self):
        return render.text(self)

    __repr__ = __str__

    def short(self) -> str:
        """The summary, and for each step the operation, its kernel, and its share of the work."""
        return render.short(self)

    def html(self) -> str:
        """A page that needs nothing else."""
        return render.page(self)

    def _repr_html_(self):
        return render.fragment(self)


def explain(function, *args):
    """What a compiled function does with its sparse matrices.

    Parameters
    ----------
    function : compiled function
        From ``pytensor.function``, in any mode.
    *args
        Example arguments, one for each input. Sizes that depend on them become known. The function is not called and
        no shared variable changes; only patterns and shapes are computed.

    Returns
    -------
    Explanation
        ``print`` it, or show it in a notebook; ``html()`` is a page. Its attributes hold the same: ``steps``,
        ``dense_forms``, ``densifications``, ``conversions``, ``symbolic``, ``folded``, ``flops``, ``n_bytes``.

    Notes
    -----
    Each step says which operation of the user's it comes from and in which line; that line is kept by PyTensor
    while ``pytensor.config.traceback__limit`` is not 0. Work and traffic are estimates: two operations for each
    multiply-add, each operand read and each result written once. What a loop (`pytensor.scan`) contains counts as it
    runs once; its sizes are known only as far as types tell.

    Examples
    --------
    >>> import pytensor, pytensor.tensor as pt
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> x, v = ss.constant(sp.eye_array(1000, k=1, format="csr")), pt.tensor("v", dtype="float64", shape=(1000,))
    >>> f = pytensor.function([v], x @ v, mode="FAST_COMPILE")
    >>> ss.explain(f).summary
    'no densification; 0 symbolic phases per call; 1 kernel; 2 kFLOP, 32 kB'
    """
    if not isinstance(function, Function):
        raise TypeError(
            f"explain: needs a function compiled by pytensor.function, got {type(function).__name__}. Write "
            "explain(pytensor.function(inputs, outputs))."
        )
    graph = function.maker.fgraph
    nodes = dict(_nodes(graph))
    sizes = Sizes()
    if args:
        involved = [v for node, where in nodes.items() for v in (*node.inputs, *node.outputs) if not where]
        scalars = [v for v in involved if _is_size(v) and not isinstance(v, Constant)]
        sizes = sizes_of_run(function, args, [v for v in involved if getattr(v.type, "ndim", 0)], scalars)
    in_c = _runs_c(function.maker.linker)
    number = {node: i for i, node in enumerate(nodes, 1)}
    steps = [_step(node, where, sizes, in_c, number) for node, where in nodes.items()]
    lowered = [feature for feature in graph._features if isinstance(feature, Lowered)]
    forms = [form for feature in lowered for form in feature.dense_forms]
    forms += [form for node, where in nodes.items() if where for form in _inner_forms(node, where)]
    folded = [name for feature in lowered for name in feature.folded]
    return Explanation(_mode_text(function.maker.linker), steps, forms, folded)


def _inner_forms(node, where):
    """The dense form that a node of an inner graph makes; PyTensor froze that graph, and what was noted is gone."""
    formed, _ = formed_by(node)
    if formed is not None:
        what = f"{where}{origin_of(node).op}"
        unknown = "Inside of it, it is not known whether an operation asked for it."
        yield DenseForm(
            what, origin_of(node), user_line(formed), formed.dtype, formed.type.shape, False, unknown
        )


def _mode_text(linker):
    name = type(linker).__name__
    if _runs_c(linker):
        return "C" if name == "CLinker" else "C and Python"
    return {"VMLinker": "Python", "PerformLinker": "Python"}.get(name, name.removesuffix("Linker"))


def _runs_c(linker):
    """Whether ops that have C code run it."""
    compiles = type(linker).__name__ == "CLinker" or getattr(linker, "c_thunks", False)
    return compiles and bool(pytensor.config.cxx)


def _nodes(graph, where=""):
    """The nodes to speak of in the order of their work, and the op inside which each is, such as a loop."""
    values = _values_of(graph)
    for node in graph.toposort():
        inner = getattr(node.op, "fgraph", None)
        if _is_sparse_step(node) or _works_on_values(node, values):
            yield node, where
        elif inner is not None and not isinstance(node.op, FusedElemwise):
            kind = "a loop" if isinstance(node.op, Scan) else "an inner graph"
            yield from _nodes(inner, f"{where}in {kind}: ")


def _is_sparse_step(node):
    if isinstance(node.op, KernelOp):
        return True
    return isinstance(node.op, SparseOp) and not (isinstance(node.op, CSM) and node.op.trusted)


def _is_size(v):
    return getattr(v.type, "ndim", None) == 0 and getattr(v.type, "dtype", "") == "int64"


# -- elementwise work on values ---------------------------------------------------------------------------------

_ON_VALUES = Elemwise | CAReduce | FusedElemwise | AdvancedSubtensor | AdvancedIncSubtensor


def _values_of(graph):
    """The vectors of a graph that hold values of a sparse matrix."""
    found = set()
    for node in graph.toposort():
        if isinstance(node.op, CSMProperties):
            found.add(node.outputs[0])
        elif isinstance(node.op, CSM):
            found.add(node.inputs[0])
        elif isinstance(node.op, KernelOp):
            found.update(v for role, v in _roles(node) if role.endswith("values"))
            found.update(node.outputs[o] for i, o in node.op.carries if not _is_map(node.inputs[i]))
            if not node.op.symbolic and not _is_dense_product(node):
                found.update(v for v in node.outputs if getattr(v.type, "ndim", 0) == 1)
        elif isinstance(node.op, _ON_VALUES) and (found.intersection(node.inputs) or _is_taken(node)):
            found.update(v for v in node.outputs if v.type.ndim == 1)
    return found


def _is_map(v):
    """Whether a vector that entries carry holds their positions, not their values."""
    if isinstance(v, Constant):
        return bool(getattr(v.tag, "symbolic_phases", None))
    return v.owner is not None and isinstance(v.owner.op, Positions)


def _is_taken(node):
    """Whether a node gathers what a symbolic phase says."""
    maps = node.inputs[1:] if isinstance(node.op, AdvancedSubtensor) else ()
    return any(v.owner is not None and isinstance(v.owner.op, KernelOp) and v.owner.op.symbolic for v in maps)


def _is_dense_product(node):
    return "x" in (role for role, _ in _roles(node))


def _works_on_values(node, values):
    return isinstance(node.op, _ON_VALUES) and bool(values.intersection([*node.inputs, *node.outputs]))


# -- one step ---------------------------------------------------------------------------------------------------


def _roles(node):
    """(name of the parameter, variable) for each input of a kernel."""
    parameters = inspect.signature(node.op.outputs).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):  # then the kernel's own names
        parameters = inspect.signature(node.op.kernel_for(node).py_func).parameters
    names = list(parameters)
    offset = len(node.inputs) - len(names)  # a random kernel takes a generator first
    return list(zip(names, node.inputs[offset:], strict=True))


def _patterns(node):
    """{prefix: {"values" | "indices" | "indptr": variable}} of the compressed operands of a kernel."""
    groups: dict[str, dict[str, Any]] = {}
    for role, v in _roles(node):
        match = re.fullmatch(r"(?:(\w+)_)?(values|indices|indptr)", role)
        if match and v.type.ndim:  # `n_values` is a number
            groups.setdefault(match[1] or "", {})[match[2]] = v
    return groups


def _step(node, where, sizes, in_c, number):
    origin = origin_of(node)
    where += "gradient: " * origin.derivative
    arrays = [v for v in (*node.inputs, *node.outputs) if getattr(v.type, "ndim", 0) and not is_sparse(v)]
    n_bytes = [times(sizes.elements(v), np.dtype(v.dtype).itemsize) for v in dict.fromkeys(arrays)]
    # PyTensor freezes inner graphs, and what was noted on their variables is gone.
    unknown = isinstance(node.op, KernelOp) and not hasattr(node.outputs[0].tag, "origin")
    operands = "" if unknown else f"({', '.join(origin.operands)})"
    facts = dict(
        op=f"{where}{origin.op}{operands}",
        result=_shape_text(sizes.shape(next(v for v in node.outputs if hasattr(v.type, "shape")))),
        n_bytes=None if None in n_bytes else sum(n_bytes),
        line=user_line(node.outputs[0]),
        conversion=isinstance(
            node.op, TransposePattern | SortPattern | Compress | AsFormat | SparseFromDense
        ),
        threads="1",
        sparse="",
        pattern="",
    )
    if isinstance(node.op, KernelOp):
        facts.update(
            kernel=node.op.kernel_name(node),
            phase="symbolic" if node.op.symbolic else "numeric",
            sparse=_sparse_text(node, sizes),
            pattern=_source_text(node, number),
            flops=node.op.flops(node, sizes.shape),
        )
        if in_c and isinstance(node.op, CKernel):
            facts["kernel"] = f"C: {node.op.c_name}"
        else:
            facts["threads"] = _threads(node, facts["flops"])
    elif isinstance(node.op, SparseOp):
        matrices = [v for v in node.inputs if is_sparse(v)]
        facts.update(
            kernel="SciPy",
            phase="numeric",
            flops=None,
            n_bytes=None,
            sparse=", ".join(f"{v.type.format} {_shape_text(sizes.shape(v))}" for v in matrices),
            pattern=", ".join(dict.fromkeys(source_of(v, number) for v in matrices)),
        )
    else:
        applied = [name for name in _functions(node) if name not in ("gather", "scatter", "copy", "cast")]
        written = node.inputs if any(name in ("sum", "prod") for name in applied) else node.outputs
        sizes_written = [sizes.elements(v) for v in written if getattr(v.type, "ndim", 0)]
        if isinstance(node.op, AdvancedSubtensor):  # it reads what it writes, not all of its source
            moved = [
                times(sizes.elements(v), np.dtype(v.dtype).itemsize)
                for v in (*node.outputs, *node.outputs, *node.inputs[1:])
            ]
            facts["n_bytes"] = None if None in moved else sum(moved)
        facts.update(
            op=f"{where}on values: {_loop_text(node)}",
            kernel="loop",
            phase="values",
            flops=None if None in sizes_written else len(applied) * max(sizes_written, default=0),
            threads=_loop_threads(node, None if None in sizes_written else max(sizes_written, default=0)),
        )
    return Step(**facts)


def _loop_text(node):
    """The functions that a loop over values applies."""
    names = dict.fromkeys(_functions(node))
    return ", ".join(names) or "copy"


def _functions(node):
    op = node.op
    scalar = getattr(op, "scalar_op", None)
    inner = getattr(op, "fgraph", None) or getattr(scalar, "fgraph", None)
    if inner is not None:
        for inside in inner.toposort():
            yield from _functions(inside)
    elif isinstance(op, AdvancedSubtensor):
        yield "gather"
    elif isinstance(op, AdvancedIncSubtensor):
        yield "scatter"
    elif isinstance(op, CAReduce):
        yield {"add": "sum", "mul": "prod"}.get(str(scalar), str(scalar))
    else:
        yield str(scalar or op).lower().split("{")[0]


def _shape_text(shape):
    return " x ".join("?" if n is None else f"{n:,}" for n in shape)


def _sparse_text(node, sizes):
    texts = []
    n_minor = dict(_roles(node)).get("n_minor")
    for group in _patterns(node).values():
        entries = next((sizes.shape(group[f])[0] for f in ("indices", "values") if f in group), None)
        text = "nnz ?" if entries is None else f"nnz {entries:,}"
        if "indptr" in group:
            (n,) = sizes.shape(group["indptr"])
            n = None if n is None else n - 1
            text += (
                f" in {_shape_text([n])} slices"
                if n_minor is None
                else f" of {_shape_text([n, sizes.value(n_minor)])}"
            )
        texts.append(text)
    return ", ".join(dict.fromkeys(texts))


def _source_text(node, number):
    indices = [
        group.get("indices", group.get("indptr"))
        for group in _patterns(node).values()
        if set(group) != {"values"}
    ]
    return ", ".join(dict.fromkeys(source_of(v, number) for v in indices))


def _threads(node, flops):
    code = node.op.kernel_for(node).py_func.__code__
    if not {"threads_for", "cut_for"}.intersection(code.co_names):
        return "1"
    from symsparse.kernels.threading import WORTH_A_THREAD

    return _threads_text(None if flops is None else flops // 2, WORTH_A_THREAD)


def _loop_threads(node, elements):
    if not isinstance(node.op, Elemwise | FusedElemwise):
        return "1"
    from symsparse.backends.numba_math import elements_a_thread

    worth = elements_a_thread(node.op)
    return "1" if worth is None else _threads_text(elements, worth)


def _threads_text(work, worth):
    import numba

    most = numba.get_num_threads()
    return f"1 to {most}" if work is None else str(max(1, min(most, work // worth)))
