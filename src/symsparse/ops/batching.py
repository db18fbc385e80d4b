"""Batch dimensions in graphs with sparse matrices: what `vectorize_graph` makes of each op.

A sparse matrix has two dimensions, so there is no batch of sparse matrices. A graph can be vectorized over dense
variables as long as every sparse matrix in it is the same for the whole batch.
"""

from pytensor.graph.replace import _vectorize_node
from pytensor.tensor.elemwise import Elemwise

from symsparse.ops.arithmetic import AddSD
from symsparse.ops.base import SparseOp, error, is_sparse
from symsparse.ops.comparison import _CompareSD
from symsparse.ops.csm import CSMProperties
from symsparse.ops.matmul import Dot, StructuredDot, Usmm, dot, structured_dot


def _vectorizes(*op_types):
    """Register ``rule(op, node, *inputs)``, the dense output of these ops for inputs of which some have a batch."""

    def decorate(rule):
        def vectorize(op, node, *inputs):
            if all(new.type.ndim == old.type.ndim for new, old in zip(inputs, node.inputs, strict=True)):
                return op.make_node(*inputs).outputs
            output = rule(op, node, *inputs)
            dtype = node.outputs[0].dtype
            return [output if output.dtype == dtype else output.astype(dtype)]

        for op_type in op_types:
            _vectorize_node.register(op_type, vectorize)
        return rule

    return decorate


@_vectorizes(SparseOp, CSMProperties)
def _refuse(op, node, *inputs):
    what = (
        "there is no batch of sparse matrices"
        if any(map(is_sparse, node.outputs))
        else "it has no rule for batches"
    )
    raise error(
        f"vectorize: {op}",
        inputs,
        what,
        "Let only dense variables that meet the matrix in a product or a sum get batch dimensions, or loop over the "
        "batch with pytensor.map or pytensor.scan (jacobian with vectorize=False does).",
        NotImplementedError,
    )


def _product(op, node, x, y):
    """Product of operands of which one has a batch; a batch of vectors is a matrix of rows."""
    product = dot if isinstance(op, Dot) else structured_dot
    if is_sparse(x) and is_sparse(y):
        return product(x, y).toarray()
    return product(y, x.T) if is_sparse(x) and len(node.outputs[0].type.shape) == 1 else product(x, y)


@_vectorizes(Dot, StructuredDot)
def _vectorize_dot(op, node, x, y):
    return _product(op, node, x, y)


@_vectorizes(Usmm)
def _vectorize_usmm(op, node, alpha, x, y, z):
    core = node.outputs[0].type.ndim
    alpha = alpha[(..., *[0] * node.inputs[0].type.ndim, *[None] * core)]
    return alpha * _product(op, node, x, y) + z


@_vectorizes(AddSD, _CompareSD)
def _vectorize_elementwise(op, node, x, y):
    y = y[..., None, :] if node.inputs[1].type.ndim == 1 else y
    dense = x.toarray()
    return dense + y if isinstance(op, AddSD) else Elemwise(op.scalar_op)(dense, y)
