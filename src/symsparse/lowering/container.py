"""Sparse outputs as SciPy matrices instead of arrays, where `config.container` says so when a function is compiled."""

from pytensor.compile import optdb
from pytensor.compile.ops import deep_copy_op
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import GraphRewriter

from symsparse.lowering.base import _TAGS
from symsparse.ops.base import is_sparse
from symsparse.ops.csm import CSM
from symsparse.settings import config
from symsparse.types import in_container


class AsMatrix(Op):
    """The same arrays as a ``csr_matrix`` or ``csc_matrix``. Only for outputs: inside a graph values are arrays."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [x.type()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = in_container(inputs[0], "matrix")

    def infer_shape(self, node, shapes):
        return shapes


class ChooseContainer(GraphRewriter):
    """Put `AsMatrix` on the sparse outputs of a function, which own their memory. Shared variables keep arrays."""

    def apply(self, fgraph):
        updates = fgraph.update_mapping
        if config.container == "array" or updates is None:  # None: the graph inside another op
            return
        for i, out in enumerate(list(fgraph.outputs)):
            if is_sparse(out) and i not in updates:
                made_here = out.owner is not None and isinstance(out.owner.op, CSM)
                matrix = AsMatrix()(out if made_here else deep_copy_op(out))
                fgraph.change_node_input(*fgraph.get_output_client(i), matrix, reason="symsparse_container")


# After the outputs that are made of parts got memory of their own (150), before inputs change their type (200).
optdb.register("symsparse_container", ChooseContainer(), *_TAGS, position=160)
