"""Who owns the memory of a sparse matrix: the two rules that keep patterns immutable.

`CSM` holds the very vectors that it is given. PyTensor lets an op declare that its output is a view of one input, and
for CSM that is the values. The index vectors are covered here:

1. no in-place op may destroy a vector that a CSM holds as its pattern, or the pattern of an input, be it one that may
   be overwritten (`ProtectPatterns`);
2. an output of a function shares none of its three vectors with an input, a constant, or another output
   (`OwnOutputs`): SciPy users call ``sort_indices`` and ``eliminate_zeros`` in place on results.
"""

from pytensor.compile import optdb
from pytensor.compile.ops import deep_copy_op
from pytensor.graph.features import Feature
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.graph.utils import InconsistencyError

from symsparse.ops.base import is_sparse
from symsparse.ops.csm import CSM, CSMProperties


class PatternGuard(Feature):
    """Refuse a graph in which an op destroys the pattern of a sparse matrix."""

    def on_validate(self, fgraph):
        if hasattr(fgraph, "has_destroyers"):
            held = [v for node in fgraph.apply_nodes for v in _pattern(node)]
            if fgraph.has_destroyers([v for vector in held for v in viewed(vector) if not is_sparse(v)]):
                raise InconsistencyError("an in-place op would destroy the pattern of a sparse matrix")


def _pattern(node):
    """The index vectors that a node makes a sparse matrix of, or takes out of one."""
    if isinstance(node.op, CSM):
        return node.inputs[1:3]
    return node.outputs[1:3] if isinstance(node.op, CSMProperties) else []


class ProtectPatterns(GraphRewriter):
    """Attach `PatternGuard` before PyTensor makes ops work in place."""

    def apply(self, fgraph):
        if any(map(_pattern, fgraph.apply_nodes)):
            fgraph.attach_feature(PatternGuard())


def viewed(v):
    """`v`, what it is a view of, what that is a view of, and so on."""
    chain = [v]
    while v.owner is not None and v.owner.op.view_map.get(v.index):
        v = v.owner.inputs[v.owner.op.view_map[v.index][0]]
        chain.append(v)
    return chain


def view_root(v):
    """The variable whose memory `v` is a view of."""
    return viewed(v)[-1]


class OwnOutputs(GraphRewriter):
    """Copy the vectors of a sparse output that somebody else could see.

    An update of a shared variable may keep that variable's own vectors: it replaces the value that holds them.
    """

    def apply(self, fgraph):
        updates = getattr(fgraph, "update_mapping", None) or {}
        made = [v.owner is not None and isinstance(v.owner.op, CSM) for v in fgraph.outputs]
        taken = {view_root(v) for v, is_made in zip(fgraph.outputs, made, strict=True) if not is_made}
        for i, out in enumerate(list(fgraph.outputs)):
            if not made[i]:
                continue
            updated = fgraph.inputs[updates[i]] if i in updates else None
            vectors, owned = out.owner.inputs[:3], []
            for v in vectors:
                root = view_root(v)
                fresh = (root.owner is not None and not is_sparse(root)) or root is updated
                owned.append(v if fresh and root not in taken else deep_copy_op(v))
            taken.update(map(view_root, vectors))
            if owned != vectors:
                new = out.owner.op(*owned, out.owner.inputs[3])
                fgraph.change_node_input(*fgraph.get_output_client(i), new, reason="symsparse_own_outputs")


_TAGS = ("fast_run", "fast_compile", "minimum_compile")
optdb.register("symsparse_protect_patterns", ProtectPatterns(), "fast_run", "inplace", position=49.6)
# After the last merge (100), which would take two equal copies for one.
optdb.register("symsparse_own_outputs", OwnOutputs(), *_TAGS, position=150)
