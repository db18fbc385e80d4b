"""What is known about a pattern when a graph is compiled, and where it comes from."""

from dataclasses import dataclass, fields

import numpy as np
import pytensor
from pytensor.compile.mode import OPT_FAST_RUN, Mode
from pytensor.compile.ops import DeepCopyOp
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.link.basic import PerformLinker
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.elemwise import Elemwise

from symsparse.lowering.base import KernelOp, parts
from symsparse.lowering.patterns import canonical_fact, pattern_key, sorted_fact
from symsparse.lowering.sampling import all_ones
from symsparse.ops.base import Require, is_sparse, sparse_operand
from symsparse.ops.csm import CSM, CSMProperties


def user_name(v):
    """What a person would call a variable."""
    if v.name:
        return v.name
    return "a shared variable" if isinstance(v, SharedVariable) else "an input"


def source_of(v, number=None):
    """Where an index vector, or the pattern of a sparse matrix, comes from, in a few words.

    `number` has the numbers of the steps of an explanation by their nodes.
    """
    number = number or {}
    while v.owner is not None:
        op = v.owner.op
        if isinstance(op, CheckAndRaise | Require | DeepCopyOp) or isinstance(op, Elemwise):
            v = v.owner.inputs[0]
        elif isinstance(op, CSMProperties):
            v = v.owner.inputs[0]
        elif isinstance(op, CSM) and op.trusted:
            v = v.owner.inputs[1]
        else:
            break
    if isinstance(v, Constant):
        return "derived from constants" if getattr(v.tag, "symbolic_phases", None) else "constant"
    if v.owner is None:
        kind = "shared" if isinstance(v, SharedVariable) else "input"
        return f"{kind} {v.name}" if v.name else kind
    if v.owner in number:
        return f"step {number[v.owner]}"
    if isinstance(v.owner.op, KernelOp):
        return f"computed per call ({v.owner.op.kernel_name(v.owner).split('.')[1]})"
    return "computed per call"


@dataclass(frozen=True)
class Pattern:
    """What is known about the pattern of a sparse variable before any call; None is unknown.

    Attributes
    ----------
    format : {"csr", "csc"}
    shape : tuple of int or None
    source : str
        "constant", or "derived from constants" by work at compile time; "input x" or "shared x", perhaps "made
        canonical"; "computed per call", with the kernel.
    nnz : int or None
        Number of stored entries.
    sorted, canonical : bool or None
        Whether the indices of each slice are sorted; whether they are sorted without duplicates.
    symmetric, diagonal : bool or None
        Whether the pattern is that of its transpose; whether all entries are on the main diagonal.
    ones : bool
        Whether all stored values are known to be one.
    same_as : tuple of str
        Inputs and shared variables that have the very same pattern.
    """

    format: str
    shape: tuple
    source: str
    nnz: int | None
    sorted: bool | None
    canonical: bool | None
    symmetric: bool | None
    diagonal: bool | None
    ones: bool
    same_as: tuple

    def __str__(self):
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        shown["shape"] = " x ".join("?" if n is None else f"{n:,}" for n in self.shape)
        words = {None: "unknown", True: "yes", False: "no"}
        shown["ones"] = "yes" if self.ones else "unknown"
        shown["nnz"] = None if self.nnz is None else f"{self.nnz:,}"
        shown["same_as"] = ", ".join(self.same_as) or "-"
        width = max(map(len, shown))
        return "\n".join(
            f"{name.replace('_', ' '):<{width}}  {words[v] if v is None or isinstance(v, bool) else v}"
            for name, v in shown.items()
        )


_mode = Mode(PerformLinker(), OPT_FAST_RUN).excluding(
    "inplace", "fusion", "symsparse_own_outputs", "symsparse_dense_forms", "symsparse_container"
)


def pattern_of(x):
    """What is known about the pattern of a sparse variable when a function of it is compiled.

    Parameters
    ----------
    x : sparse matrix
        Any expression.

    Returns
    -------
    Pattern
        ``print`` it; None is unknown.

    Notes
    -----
    The expression is lowered as the compiler does it, so this shows what the compiler knows: work on patterns that
    are constant here runs at compile time and in no call. Nothing is compiled.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> a = ss.shared(sp.csr_array([[0.0, 5.0], [0.0, 0.0]]), name="a", frozen=True)
    >>> pattern = ss.pattern_of(a + a.T)
    >>> pattern.source, pattern.nnz, pattern.symmetric
    ('derived from constants', 2, True)
    >>> print(ss.pattern_of(ss.tanh(ss.csr_matrix("x"))))
    format     csr
    shape      ? x ?
    source     input x, made canonical
    nnz        unknown
    sorted     yes
    canonical  yes
    symmetric  unknown
    diagonal   unknown
    ones       unknown
    same as    -
    """
    x = sparse_operand("pattern_of", x)
    graph = FunctionGraph(outputs=[x], clone=True, copy_inputs=True)
    with pytensor.config.change_flags(traceback__limit=0):
        _mode.optimizer.rewrite(graph)
    (lowered,) = graph.outputs
    p = parts(lowered)
    facts = dict.fromkeys(("nnz", "sorted", "canonical", "symmetric", "diagonal"))
    facts["nnz"] = p.indices.type.shape[0]
    indices, indptr = p.pattern
    if isinstance(indices, Constant) and isinstance(indptr, Constant):
        facts.update(_facts_of_arrays(indices.data, indptr.data, p))
    else:
        facts["canonical"] = canonical_fact(indices, indptr) is True or None
        facts["sorted"] = sorted_fact(indices, indptr) or None
    own = pattern_key(*p.pattern)
    others = [v for v in graph.inputs if is_sparse(v)]
    return Pattern(
        format=lowered.type.format,
        shape=x.type.shape,
        source=_source_in_words(p.indices),
        ones=all_ones(p.values),
        same_as=tuple(user_name(v) for v in others if pattern_key(*parts(v).pattern) == own),
        **facts,
    )


def _source_in_words(indices):
    text = source_of(indices)
    if text == "computed per call (canonical_pattern)":
        return f"{source_of(indices.owner.inputs[0])}, made canonical"
    return text


def _facts_of_arrays(indices, indptr, p):
    n = len(indptr) - 1
    majors = np.repeat(np.arange(n), np.diff(indptr))
    inside = majors[1:] == majors[:-1]
    steps = np.diff(indices.astype("int64"))[inside]
    square = all(isinstance(size, Constant) for size in p.sizes) and p.sizes[0].data == p.sizes[1].data
    symmetric = False
    if square:
        stored, mirrored = (
            np.unique(np.stack(pair), axis=1) for pair in ((majors, indices), (indices, majors))
        )
        symmetric = np.array_equal(stored, mirrored)
    return {
        "nnz": len(indices),
        "sorted": bool((steps >= 0).all()),
        "canonical": bool((steps > 0).all()),
        "symmetric": bool(symmetric),
        "diagonal": bool((majors == indices).all()),
    }
