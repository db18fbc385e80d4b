"""Outputs own their patterns: what a caller does in place to a result changes nothing else.

Inside a graph patterns are immutable and shared freely. SciPy users call ``sort_indices`` and ``eliminate_zeros`` in
place on results, so an output whose index vectors are those of an input, a constant or another output gets a copy.
Values need no care here: `CSM` declares its view of them, and PyTensor copies.
"""

from pytensor.compile import optdb
from pytensor.compile.ops import deep_copy_op
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import GraphRewriter

from symsparse.ops.base import is_sparse
from symsparse.ops.csm import CSM


def view_root(v):
    """The variable whose memory `v` is a view of."""
    while v.owner is not None and v.owner.op.view_map.get(v.index):
        v = v.owner.inputs[v.owner.op.view_map[v.index][0]]
    return v


class OwnOutputs(GraphRewriter):
    """Copy index vectors of outputs that somebody else could see."""

    def apply(self, fgraph):
        updates = getattr(fgraph, "update_mapping", None) or {}
        taken = {view_root(v) for v in fgraph.outputs if not is_sparse(v)}
        for i, out in enumerate(list(fgraph.outputs)):
            if out.owner is None or not isinstance(out.owner.op, CSM):
                continue
            values, indices, indptr, shape = out.owner.inputs
            values_root = view_root(values)
            if values_root.owner is None and not isinstance(values_root, Constant) and i not in updates:
                continue  # the values are an input's: PyTensor copies the whole matrix
            updated = fgraph.inputs[updates[i]] if i in updates else None
            owned = []
            for v in (indices, indptr):
                root = view_root(v)
                fresh = root.owner is not None and not is_sparse(root) and root not in taken
                owned.append(v if fresh or (updated is not None and root is updated) else deep_copy_op(v))
                taken.add(root)
            if owned != [indices, indptr]:
                new = out.owner.op(values, *owned, shape)
                fgraph.change_node_input(*fgraph.get_output_client(i), new, reason="symsparse_own_outputs")


# After the last merge (100), which would take two equal copies for one.
optdb.register(
    "symsparse_own_outputs", OwnOutputs(), "fast_run", "fast_compile", "minimum_compile", position=150
)
