"""From sparse ops to dense vectors: ops that run a kernel, parts, run-time checks, and the rule database.

A rule takes the parts of its sparse operands and returns parts or a dense variable. From there PyTensor's own passes
work on integer and value vectors: equal patterns merge, work on constant patterns is folded at compile time, and
elementwise chains on values fuse.
"""

import importlib
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import MergeOptimizer, node_rewriter
from pytensor.graph.rewriting.db import EquilibriumDB
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import MakeVector, infer_shape_db
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.type import TensorType

from symsparse.ops.base import OTHER_FORMAT, Require, SparseOp, is_sparse, require
from symsparse.ops.csm import CSM, CSMProperties, shape_vector
from symsparse.tracing import handed_on

# -- ops that run a kernel --------------------------------------------------------------------------------------


class KernelOp(Op):
    """An op on dense arrays that runs one kernel, here in Python or called from compiled code.

    Ops that pick or reorder entries take along what these carry: their positions, which gives a map for values, or the
    values themselves (`symsparse.lowering.phases`).

    ``canonical`` says that outputs 0 and 1 (indices, indptr) are a canonical pattern: always (True), or where that of
    inputs 0 and 1 is ("as input"), or of inputs 1 and 2 ("as input after values"), or where those that were joined to
    inputs 0 and 1 are ("as blocks"). Of inputs that this op is there to check ("as checked") no kernel may read others
    before than those of a matrix.

    ``symbolic`` says that the kernel works on patterns; where they are constant it runs when it is called, so that all
    that follows knows its result.
    """

    __props__: Any = ()
    symbolic = False
    kernel: str  # "module.function" in symsparse.kernels; imported when it first runs, and Numba with it
    canonical: bool | str = False
    carries: Any = ()  # pairs (input, output): what entries carry, and what those that are picked carry

    def kernel_name(self, node):
        """Which kernel this node runs."""
        return self.kernel

    def kernel_for(self, node):
        """The kernel that this node runs."""
        module, function = self.kernel_name(node).split(".")
        return getattr(importlib.import_module(f"symsparse.kernels.{module}"), function)

    def outputs(self, *inputs):
        """Types of the outputs, as (dtype, static shape)."""
        raise TypeError(f"{self} declares no outputs")

    def make_node(self, *inputs):
        made = [pt.as_tensor(x) for x in inputs]
        return Apply(self, made, [TensorType(dtype, shape)() for dtype, shape in self.outputs(*made)])

    def __call__(self, *inputs, **kwargs):
        made = super().__call__(*inputs, **kwargs)
        outputs = made if isinstance(made, list) else [made]
        node = outputs[0].owner
        if not (self.symbolic and all(isinstance(v, Constant) for v in node.inputs)):
            return made
        found = _folded(node)
        if found is None:
            return made
        return found if isinstance(made, list) else found[0]

    def flops(self, node, shape):
        """Floating-point operations of a call, None if unknown; ``shape(v)`` has None for sizes that are unknown.

        Most kernels do about one with each element that they write.
        """
        return 0 if self.symbolic else times(*shape(node.outputs[-1]))

    def perform(self, node, inputs, outputs):
        results = self.kernel_for(node)(*(x.item() if x.ndim == 0 else x for x in map(np.asarray, inputs)))
        for storage, result in zip(outputs, results if len(outputs) > 1 else (results,), strict=True):
            storage[0] = np.asarray(result)

    def infer_shape(self, node, shapes):
        # What entries carry is as long as their indices: its shape is no reason to keep it.
        carried = {o: node.outputs[0] for _, o in self.carries}
        asked = [carried.get(o, out) for o, out in enumerate(node.outputs)]
        return [tuple(Shape_i(i)(out) for i in range(out.type.ndim)) for out in asked]


_counter = itertools.count()


def _folded(node):
    """The outputs of a node with constant inputs, as constants that know which kernels made them.

    None if the kernel refuses these inputs: the error is for the call that runs it.
    """
    # Lowering asks for the same work again where a shape is inferred or a graph is cloned.
    held = max(node.inputs, key=lambda v: np.size(v.data))
    key = (node.op, *(v.data.tobytes() if v.data.size < 2 else id(v) for v in node.inputs))
    memory = memory_of(held)
    if key not in memory:
        storage = [[None] for _ in node.outputs]
        try:
            node.op.perform(node, [v.data for v in node.inputs], storage)
        except (ValueError, IndexError, OverflowError):
            return None
        before = [getattr(v.tag, "symbolic_phases", {}) for v in node.inputs]
        phases = {next(_counter): node.op.kernel_name(node)}
        for phase in before:
            phases |= phase
        made = []
        for out, (value,) in zip(node.outputs, storage, strict=True):
            made.append(pt.constant(value, dtype=out.type.dtype))
            if out.type.ndim:
                made[-1].tag.symbolic_phases = phases
        memory[key] = (node.inputs, made)  # the inputs live on, so that no other takes their ids
    return list(memory[key][1])


def times(*sizes):
    """Product of sizes, None if one is unknown."""
    return None if None in sizes else math.prod(sizes)


def vector(x, size=None):
    """(dtype, shape) of a vector with the dtype of `x`."""
    return (x if isinstance(x, str) else x.dtype, (size,))


def n_slices(indptr):
    """Static number of major slices of a pattern, None if unknown."""
    n = indptr.type.shape[0]
    return None if n is None else n - 1


def known(n):
    """The value of a symbolic size, None if unknown."""
    return int(n.data) if isinstance(n, Constant) else None


# -- parts ------------------------------------------------------------------------------------------------------


class Parts(NamedTuple):
    """A sparse matrix as its dense components."""

    format: str
    values: Any
    indices: Any
    indptr: Any
    shape: Any  # int64 vector (2,)

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def sizes(self):
        """Symbolic (n_rows, n_columns)."""
        owner = self.shape.owner
        if isinstance(self.shape, Constant):
            return tuple(pt.constant(n, dtype="int64") for n in self.shape.data)
        if owner is not None and isinstance(owner.op, MakeVector):
            return tuple(owner.inputs)
        if owner is not None and isinstance(owner.op, CSMProperties):
            return tuple(Shape_i(i)(owner.inputs[0]) for i in range(2))
        return self.shape[0], self.shape[1]

    @property
    def n_major(self):
        return self.sizes[0 if self.format == "csr" else 1]

    @property
    def n_minor(self):
        return self.sizes[1 if self.format == "csr" else 0]

    @property
    def pattern(self):
        return self.indices, self.indptr

    def with_values(self, values):
        return self._replace(values=values)

    def transposed(self):
        """The transposed matrix: the same arrays in the other format."""
        n, m = self.sizes
        return self._replace(format=OTHER_FORMAT[self.format], shape=shape_vector(m, n))

    def cast(self, dtype):
        return self if self.dtype == dtype else self.with_values(pt.cast(self.values, dtype))

    def build(self, type):
        """The sparse variable of the given type."""
        indices, indptr = (index_cast(v, type.index_dtype) for v in self.pattern)
        shape = self.shape
        if not isinstance(shape, Constant) and type.shape != (None, None):
            sizes = [
                n if s is None else pt.constant(s, dtype="int64")
                for n, s in zip(self.sizes, type.shape, strict=True)
            ]
            shape = shape_vector(*sizes)
        return CSM(self.format, trusted=True)(self.cast(type.dtype).values, indices, indptr, shape)


def is_lowered(x):
    """Whether a sparse variable is a leaf of this graph, or already made of parts."""
    owner = x.owner
    if owner is None or not isinstance(owner.op, SparseOp):
        return True
    # Parts borrowed from a matrix that is not lowered yet would hide what its lowering will know of the pattern.
    return _is_made_of_parts(x) and all(map(_is_settled, owner.inputs[1:3]))


def _is_settled(v):
    """Whether a dense variable is not a part of a matrix that is still to be lowered."""
    v = unchecked(v)
    return v.owner is None or not isinstance(v.owner.op, CSMProperties) or is_lowered(v.owner.inputs[0])


def parts(x):
    """Parts of a lowered sparse variable."""
    if x.owner is not None and isinstance(x.owner.op, CSM):
        # Borrowed from another matrix made of parts they are its parts, which may be constant.
        return Parts(x.format, *map(_as_made, x.owner.inputs))
    if isinstance(x, Constant):
        memory = memory_of(x)
        if "parts" not in memory:
            value = x.data
            shape = np.array(value.shape, dtype="int64")
            memory["parts"] = tuple(pt.constant(a) for a in (value.data, value.indices, value.indptr, shape))
        return Parts(x.format, *memory["parts"])
    values, indices, indptr, shape = CSMProperties()(x)
    if x.type.shape != (None, None):
        shape = shape_vector(*x.shape)
    return Parts(x.format, values, indices, indptr, shape)


def _as_made(v):
    """The variable of which a matrix was made, where it was made of parts and `v` reads that part of it."""
    while (
        v.owner is not None and isinstance(v.owner.op, CSMProperties) and _is_made_of_parts(v.owner.inputs[0])
    ):
        v = v.owner.inputs[0].owner.inputs[v.index]
    return v


class _Memory(dict):
    """What lowering has found out about a constant. It lives and dies with it, and is not pickled."""

    def __reduce__(self):
        return _Memory, ()


def memory_of(constant):
    """What has been found out about a constant, by name."""
    return constant.tag.__dict__.setdefault("symsparse_memory", _Memory())


# -- index dtypes and run-time checks -----------------------------------------------------------------------------


def same_index_dtype(*many):
    """These parts with one index dtype, the widest."""
    if len({v.dtype for p in many for v in p.pattern}) == 1:
        return many
    return tuple(with_index_dtype(p, "int64") for p in many)


def with_index_dtype(p: Parts, dtype) -> Parts:
    """These parts with indices and indptr of a dtype."""
    return p._replace(indices=index_cast(p.indices, dtype), indptr=index_cast(p.indptr, dtype))


def index_cast(v, dtype):
    """An index vector in a dtype that holds it; a constant stays one."""
    if v.dtype == dtype:
        return v
    return pt.constant(v.data, dtype=dtype) if isinstance(v, Constant) else pt.cast(v, dtype)


def check(message):
    """``check(message)(v, *conditions)`` is v, or a ValueError at run time."""
    return CheckAndRaise(ValueError, message)


def guard(p, *checks):
    """`p` with run-time checks, see `require`. They hang on all vectors: a kernel may read any without the others."""
    return p._replace(**{f: require(getattr(p, f), *checks) for f in ("values", "indices", "indptr")})


def unchecked(v):
    """The variable behind run-time checks, and behind a matrix made of parts: it holds the same."""
    v = _as_made(v)
    while v.owner is not None and isinstance(v.owner.op, CheckAndRaise | Require):
        v = _as_made(v.owner.inputs[0])
    return v


def _is_made_of_parts(x):
    return x.owner is not None and isinstance(x.owner.op, CSM) and x.owner.op.trusted


# -- the database of rules --------------------------------------------------------------------------------------

_TAGS = ("fast_run", "fast_compile", "minimum_compile")

lowering_db = EquilibriumDB(ignore_newtrees=False)
lowering_db.register("symsparse_merge", MergeOptimizer(), *_TAGS, cleanup=True)
optdb.register("symsparse_lowering", lowering_db, *_TAGS, position=0.08)
infer_shape_db.register("symsparse_lowering", lowering_db, "infer_shape")


def lowers(*op_types):
    """Register ``rule(node, *operands)`` for these ops; sparse operands come as `Parts`."""

    def decorate(rule):
        @node_rewriter(list(op_types))
        def rewrite(fgraph, node):
            ready = all(is_lowered(x) if is_sparse(x) else _is_settled(x) for x in node.inputs)
            if not ready or (isinstance(node.op, CSM) and node.op.trusted):
                return None
            result = rule(node, *(parts(x) if is_sparse(x) else x for x in node.inputs))
            results = list(result) if isinstance(result, list) else [result]
            made = [
                r.build(old.type) if isinstance(r, Parts) else _dense(r, old)
                for r, old in zip(results, node.outputs, strict=True)
            ]
            handed_on(node, made)
            return made

        name = f"lower_{'_'.join(t.__name__ for t in op_types)}"[:120]
        rewrite.__name__ = name
        lowering_db.register(f"symsparse_{name}", rewrite, *_TAGS, "infer_shape")
        return rule

    return decorate


def _dense(new, old):
    # A random generator has no dtype.
    same = not isinstance(new.type, TensorType) or new.dtype == old.dtype
    return new if same else pt.cast(new, old.dtype)
