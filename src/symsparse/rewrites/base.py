"""The database of rewrites of sparse ops, and what they ask about variables."""

import numpy as np
import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.rewriting.basic import copy_stack_trace, node_rewriter
from pytensor.graph.rewriting.db import EquilibriumDB
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import get_underlying_scalar_constant_value
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.math import Dot as DenseDot
from pytensor.tensor.shape import Shape, Shape_i

from symsparse.ops.base import is_sparse
from symsparse.ops.csm import SpecifyShape

_TAGS = ("fast_run", "fast_compile")
algebra_db = EquilibriumDB(ignore_newtrees=False)
optdb.register("symsparse_algebra", algebra_db, *_TAGS, position=0.07)

#: Name, as in ``mode.excluding(name)``, of each rewrite -> the function, whose docstring begins with the identity.
REWRITES: dict = {}


def rewrites(*op_types):
    """Register a rewrite of nodes with these ops, which returns a variable that takes the place of the output."""

    def decorate(function):
        name = f"symsparse_{function.__name__}"

        @node_rewriter(list(op_types))
        def rewrite(fgraph, node):
            new = function(fgraph, node)
            if new is None:
                return None
            old = node.outputs[0]
            if is_sparse(new) and new.type.index_dtype != old.type.index_dtype:
                return None  # operands with int32 and int64 indices: the result keeps its own
            new = new if new.dtype == old.dtype else new.astype(old.dtype)
            if not old.type.is_super(new.type):
                new = _with_shape(new, old.type)
            copy_stack_trace(old, new)
            return [new]

        rewrite.__name__ = function.__name__
        rewrite.__doc__ = function.__doc__
        algebra_db.register(name, rewrite, *_TAGS)
        REWRITES[name] = function
        return function

    return decorate


def _with_shape(x, type):
    """`x` with the static shape of a type that says more about it."""
    return SpecifyShape(type.shape)(x) if is_sparse(x) else pt.specify_shape(x, type.shape)


def made_by(x, *op_types):
    """Whether a variable is the output of one of these ops."""
    return x.owner is not None and isinstance(x.owner.op, op_types)


def is_dense_product(op):
    """Whether an op is the product of two dense matrices."""
    return isinstance(op, DenseDot) or (isinstance(op, Blockwise) and isinstance(op.core_op, DenseDot))


def is_dense_transpose(v):
    """Whether a variable is the transpose of a dense matrix."""
    return made_by(v, DimShuffle) and tuple(v.owner.op.new_order) == (1, 0)


def readers(fgraph, v):
    """Nodes that read more of a variable than its shape, equal ones once; an output is read by an `Output` node."""
    nodes = [node for node, _ in fgraph.clients[v] if not isinstance(node.op, Shape | Shape_i)]
    return list({(node.op, *node.inputs): node for node in nodes}.values())


def read_once(fgraph, v):
    """Whether one node alone reads a variable: what rewrites it takes it away."""
    return len(readers(fgraph, v)) == 1


def is_finite_constant(v):
    """Whether a dense variable is known, and neither infinite nor NaN."""
    return isinstance(v, Constant) and bool(np.isfinite(v.data).all())


def constant_scalar(v):
    """A dense variable of size 1 as a 0-D constant of its dtype, if its value is known; else None."""
    if any(n != 1 for n in v.type.shape):
        return None
    value = get_underlying_scalar_constant_value(v, raise_not_constant=False)
    return None if isinstance(value, Variable) else pt.constant(np.asarray(value, dtype=v.dtype).reshape(()))


def known_nnz(x):
    """Number of stored entries of a sparse variable where the graph knows it, else None."""
    from symsparse.ops.csm import CSM

    if isinstance(x, Constant):
        return int(x.data.nnz)
    if x.owner is None:
        return None
    if isinstance(x.owner.op, CSM):
        return x.owner.inputs[1].type.shape[0]
    sparse = [i for i in x.owner.inputs if is_sparse(i)]
    if len(sparse) == 1 and keeps_pattern(x.owner.op):
        return known_nnz(sparse[0])
    return None


def keeps_pattern(op):
    """Whether the result of an op stores what its sparse operand does, up to format and duplicates."""
    from symsparse.ops.arithmetic import MulSD
    from symsparse.ops.elementwise import Cast, Neg, StructuredElemwise
    from symsparse.ops.layout import AsFormat, EnsureSortedIndices, SumDuplicates, Transpose
    from symsparse.ops.scaling import ColScaleCSC
    from symsparse.ops.values import OnesLike

    kinds = Cast, Neg, StructuredElemwise, AsFormat, EnsureSortedIndices, SumDuplicates, Transpose, MulSD
    return isinstance(op, (*kinds, ColScaleCSC, OnesLike))


def as_tensors(part):
    """A part of an index with tensors in the place of scalars."""
    if isinstance(part, slice):
        return slice(*map(as_tensors, (part.start, part.stop, part.step)))
    return pt.tensor_from_scalar(part) if isinstance(getattr(part, "type", None), ScalarType) else part


def leaves(tree):
    """What nested tuples hold, from left to right."""
    if isinstance(tree, tuple):
        for part in tree:
            yield from leaves(part)
    else:
        yield tree
