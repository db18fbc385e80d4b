"""Symbolic and numeric phase in one pass, where nobody else wants the map between them.

Lowering makes maps of positions, and gathers values through them. A map serves any number of values, and is folded
where patterns are constant. What is not folded, and serves one vector of values only, costs more than it brings: here
the kernel gets the values in place of the positions.

This runs late: after constant folding, after equal patterns were merged, and after Scan took out what does not change.
"""

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import GraphRewriter
from pytensor.graph.traversal import ancestors
from pytensor.tensor.subtensor import AdvancedSubtensor

from symsparse.lowering.arithmetic import Union, UnionPattern, UnionValues
from symsparse.lowering.base import KernelOp
from symsparse.lowering.layout import Positions
from symsparse.lowering.matmul import Product, ProductPattern, ProductValues


class OnePass(GraphRewriter):
    """Give kernels the values that would be gathered through their maps."""

    def apply(self, fgraph):
        for node in fgraph.toposort():
            if node not in fgraph.apply_nodes:
                continue
            if isinstance(node.op, UnionPattern):
                replacements = _union(fgraph, node)
            elif isinstance(node.op, ProductPattern):
                replacements = _product(fgraph, node)
            else:
                replacements = _carried(fgraph, node)
            if replacements:
                fgraph.replace_all(replacements, reason="symsparse_one_pass")


def _only_client(fgraph, v):
    """The node that alone reads a variable; None if there is none, or more, or the function returns it."""
    clients = fgraph.clients[v]
    return clients[0][0] if len(clients) == 1 and clients[0][0] in fgraph.apply_nodes else None


def _depends_on(v, node):
    return any(a.owner is node for a in ancestors([v]))


def _carried(fgraph, node):
    if not isinstance(node.op, KernelOp):
        return []
    inputs, gathers = list(node.inputs), {}
    for i, o in node.op.carries:
        gather = _only_client(fgraph, node.outputs[o])
        if (
            isinstance(node.inputs[i].owner and node.inputs[i].owner.op, Positions)
            and gather is not None
            and isinstance(gather.op, AdvancedSubtensor)
            and len(gather.inputs) == 2
            and gather.inputs[1] is node.outputs[o]
            and gather.inputs[0].type.ndim == 1
            and not _depends_on(gather.inputs[0], node)
        ):
            inputs[i] = gather.inputs[0]
            gathers[o] = gather
    if not gathers:
        return []
    new = node.op(*inputs, return_list=True)
    return [
        (gathers[o].outputs[0] if o in gathers else old, new[o])
        for o, old in enumerate(node.outputs)
        if o in gathers or fgraph.clients[old]
    ]


def _union(fgraph, node):
    add = _only_client(fgraph, node.outputs[2])
    if (
        add is None
        or add is not _only_client(fgraph, node.outputs[3])
        or not isinstance(add.op, UnionValues)
        or add.inputs[1:4:2] != node.outputs[2:]
        or any(_depends_on(v, node) for v in (add.inputs[0], add.inputs[2]))
    ):
        return []
    a, b = node.inputs[:2], node.inputs[2:]
    values, indices, indptr = Union()(add.inputs[0], *a, add.inputs[2], *b)
    return [(add.outputs[0], values), (node.outputs[0], indices), (node.outputs[1], indptr)]


def _product(fgraph, node):
    a, b, sizes = node.inputs[:2], node.inputs[2:4], node.inputs[4:]
    for multiply, _ in fgraph.clients[node.outputs[0]]:
        if (
            isinstance(multiply.op, ProductValues)
            and multiply.inputs[1:3] == a
            and multiply.inputs[4:6] == b
            and multiply.inputs[6:8] == node.outputs
            and not any(_depends_on(v, node) for v in (multiply.inputs[0], multiply.inputs[3]))
        ):
            values, indices, indptr = Product()(multiply.inputs[0], *a, multiply.inputs[3], *b, *sizes)
            return [(multiply.outputs[0], values), (node.outputs[0], indices), (node.outputs[1], indptr)]
    return []


# Before ops work in place; without "fusion", graphs keep the maps.
optdb.register("symsparse_one_pass", OnePass(), "fast_run", "fusion", position=48.9)
