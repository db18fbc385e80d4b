"""Identities of sparse matrices. Each rewrite says its own in the first line."""

from pytensor.compile import optdb
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.graph.rewriting.db import EquilibriumDB
from pytensor.tensor.math import Dot as DenseDot

from symsparse.ops.base import is_sparse
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense
from symsparse.ops.elementwise import Cast, Neg
from symsparse.ops.layout import SumDuplicates, Transpose
from symsparse.ops.matmul import structured_dot

_TAGS = ("fast_run", "fast_compile")
algebra_db = EquilibriumDB(ignore_newtrees=False)
optdb.register("symsparse_algebra", algebra_db, *_TAGS, position=0.07)


def rewrites(*op_types):
    """Register a rewrite of nodes with these ops."""

    def decorate(function):
        function = node_rewriter(list(op_types))(function)
        algebra_db.register(f"symsparse_{function.__name__}", function, *_TAGS)
        return function

    return decorate


def made_by(x, *op_types):
    """Whether a variable is the output of one of these ops."""
    return x.owner is not None and isinstance(x.owner.op, op_types)


@rewrites(Transpose)
def double_transpose(fgraph, node):
    """x.T.T = x."""
    (x,) = node.inputs
    return [x.owner.inputs[0]] if made_by(x, Transpose) else None


@rewrites(Neg)
def double_negation(fgraph, node):
    """-(-x) = x."""
    (x,) = node.inputs
    return [x.owner.inputs[0]] if made_by(x, Neg) else None


@rewrites(DenseFromSparse)
def dense_of_sparse_of_dense(fgraph, node):
    """toarray(from_dense(d)) = d."""
    (x,) = node.inputs
    return [x.owner.inputs[0]] if made_by(x, SparseFromDense) else None


@rewrites(SumDuplicates)
def canonical_of_canonical(fgraph, node):
    """sum_duplicates(sum_duplicates(x)) = sum_duplicates(x)."""
    (x,) = node.inputs
    return [x] if made_by(x, SumDuplicates) else None


@rewrites(Cast)
def cast_to_own_dtype(fgraph, node):
    """cast(x, x.dtype) = x."""
    (x,) = node.inputs
    return [x] if x.dtype == node.op.out_type else None


@rewrites(DenseDot)
def dense_product_of_densified(fgraph, node):
    """toarray(x) @ d = x @ d and d @ toarray(x) = d @ x: no dense form of x."""
    a, b = node.inputs
    if made_by(a, DenseFromSparse):
        a = a.owner.inputs[0]
    elif made_by(b, DenseFromSparse):
        b = b.owner.inputs[0]
    else:
        return None
    product = structured_dot(a, b)
    if is_sparse(product):
        return None
    return [product if product.dtype == node.outputs[0].dtype else product.astype(node.outputs[0].dtype)]
