"""Lowering of PyTensor's own ops that stand between sparse ops and hand a matrix on: Print, and views."""

from pytensor.compile.ops import ViewOp
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.printing import Print

from symsparse.lowering.base import _TAGS, is_lowered, lowering_db, parts
from symsparse.ops.base import is_sparse
from symsparse.types import compressed


class PrintMatrix(Op):
    """(values, indices, indptr, shape) -> values; prints the matrix, as `print_op` says.

    Print itself would need a sparse value, which Numba does not hand to Python.
    """

    __props__ = ("format", "print_op")
    view_map = {0: [0]}

    def __init__(self, format, print_op):
        self.format = format
        self.print_op = print_op

    def make_node(self, values, indices, indptr, shape):
        return Apply(self, [values, indices, indptr, shape], [values.type()])

    def perform(self, node, inputs, outputs):
        values, indices, indptr, shape = inputs
        outputs[0][0] = values
        matrix = compressed(self.format, values, indices, indptr, tuple(map(int, shape)))
        self.print_op.global_fn(self.print_op, matrix)

    def infer_shape(self, node, shapes):
        return shapes[:1]

    def do_constant_folding(self, fgraph, node):
        return False


@node_rewriter([Print])
def symsparse_print(fgraph, node):
    (x,) = node.inputs
    if not (is_sparse(x) and is_lowered(x)):
        return None
    made = parts(x)
    return [made.with_values(PrintMatrix(x.format, node.op)(*made[1:])).build(x.type)]


@node_rewriter([ViewOp])
def symsparse_view(fgraph, node):
    """What only changed a gradient (grad_scale, zero_grad and their like) would hide the parts of a matrix."""
    return node.inputs if is_sparse(node.inputs[0]) else None


for _rule in (symsparse_print, symsparse_view):
    lowering_db.register(_rule.__name__, _rule, *_TAGS, "infer_shape")
