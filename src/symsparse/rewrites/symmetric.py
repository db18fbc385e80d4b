"""Products with symmetric constants: on lowered graphs, where constants are folded and a transpose is gone."""

from pytensor.compile import optdb
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import copy_stack_trace, in2out, node_rewriter

from symsparse.lowering.base import known
from symsparse.lowering.matmul import CompressedDot
from symsparse.rewrites.base import REWRITES
from symsparse.rewrites.facts import is_symmetric


@node_rewriter([CompressedDot])
def symmetric_product(fgraph, node):
    """x.T @ d = x @ d for a constant symmetric matrix x, such as a Laplacian: rows are summed up, nothing is scattered.

    So for d @ x and for csc matrices; the gradient of x @ d then runs the kernel of x @ d, and ``x @ d + x.T @ d`` has
    one product. It does not fire for frozen matrices, whose values may change, and it looks for the very same numbers.
    """
    values, indices, indptr, _, n_minor = node.inputs
    if node.op.gather or not all(isinstance(v, Constant) for v in (values, indices, indptr)):
        return None
    if known(n_minor) != len(indptr.data) - 1 or not is_symmetric(values, indices, indptr):
        return None
    product = CompressedDot(gather=True)(*node.inputs)
    copy_stack_trace(node.outputs[0], product)
    return [product]


# After canonicalisation (1), which folds what is computed of constants; equal products are merged afterwards (1.2).
optdb.register(
    "symsparse_symmetric_product",
    in2out(symmetric_product, name="symsparse_symmetric_product"),
    "fast_run",
    position=1.1,
)
REWRITES["symsparse_symmetric_product"] = symmetric_product
