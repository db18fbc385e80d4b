"""Reductions of a dense matrix along one axis, compiled as PyTensor's fused loops.

PyTensor fuses a reduction with the elementwise chain that it reads. A reduction that reads anything else, such as the
row maxima of a product in a softmax, is compiled to a function that adapts to the order of axes in memory: with what
it calls some 75 functions, a quarter of what such a graph costs to compile. Where the operand has just been made, it
lies in C order. An identity between the two lets the loops fuse.
"""

from pytensor.scalar.basic import identity
from pytensor.tensor.elemwise import CAReduce, Elemwise

from symsparse.lowering.base import KernelOp
from symsparse.ops.base import SparseOp


def fuse_reductions(fgraph):
    """Put an identity before the reductions along one axis of a graph of sparse operations."""
    if any(isinstance(node.op, KernelOp | SparseOp) for node in fgraph.apply_nodes):
        for node in fgraph.toposort():
            if isinstance(node.op, CAReduce) and _is_along_one_axis(node) and _is_fresh(node.inputs[0]):
                fused = node.op(Elemwise(identity)(node.inputs[0]))
                fgraph.replace(node.outputs[0], fused, reason="symsparse_fuse_reductions")


def _is_along_one_axis(node):
    axes = node.op.axis
    return node.inputs[0].type.ndim == 2 and axes is not None and len(axes) == 1


def _is_fresh(v):
    """Whether an op other than an elementwise one allocates `v`."""
    return v.owner is not None and not isinstance(v.owner.op, Elemwise) and v.index not in v.owner.op.view_map
