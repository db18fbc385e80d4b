"""Lowering of Kronecker products."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, lowers, vector, with_index_dtype
from symsparse.lowering.layout import to_format
from symsparse.ops.kronecker import KronPattern


class KroneckerPattern(KernelOp):
    """Two canonical patterns and their minor sizes -> pattern of the product, and the factors of each entry."""

    kernel = "kronecker.kron_pattern"
    symbolic = True
    canonical = True

    def outputs(self, a_indices, a_indptr, b_indices, b_indptr, a_minor, b_minor):
        return [vector(a_indices), vector(a_indptr), vector(a_indices), vector(a_indices)]


@lowers(KronPattern)
def lower_kron_pattern(node, x, y):
    patterns, orders = [], []
    for p in (x, y):
        p = with_index_dtype(p, node.op.index_dtype)
        numbered = to_format(p.with_values(pt.arange(p.indices.shape[0])), node.op.format)
        patterns.append(numbered)
        orders.append(None if p.format == node.op.format else numbered.values)
    x, y = patterns
    indices, indptr, *sources = KroneckerPattern()(*x.pattern, *y.pattern, x.n_minor, y.n_minor)
    sources = [
        source if order is None else order[source] for source, order in zip(sources, orders, strict=True)
    ]
    return [indices, indptr, *sources]
