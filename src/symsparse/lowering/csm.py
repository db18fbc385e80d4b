"""Lowering of construction from parts, and of reading parts."""

import contextlib

import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.graph.rewriting.basic import node_rewriter
from pytensor.scalar import Cast
from pytensor.tensor.elemwise import Elemwise
from pytensor.tensor.rewriting.basic import register_canonicalize, register_useless
from pytensor.tensor.shape import Shape_i

from symsparse.lowering.base import (
    _TAGS,
    KernelOp,
    Parts,
    guard,
    lowering_db,
    lowers,
    parts,
    unchecked,
    vector,
)
from symsparse.lowering.patterns import comes_from_a_matrix
from symsparse.lowering.sampling import sample_sparse
from symsparse.ops.base import equal, is_sparse, require
from symsparse.ops.csm import CSM, CSMGrad, CSMProperties, SpecifyShape
from symsparse.validation import check_pattern


class CheckPattern(KernelOp):
    """(indices, indptr, n_values, n_major, n_minor) -> indices, indptr, or a ValueError."""

    kernel = "csm.check_pattern"
    symbolic = True
    canonical = "as checked"
    view_map = {0: [0], 1: [1]}

    def outputs(self, indices, indptr, n_values, n_major, n_minor):
        return [vector(indices), (indptr.dtype, indptr.type.shape)]


class SamePattern(KernelOp):
    kernel = "csm.same_pattern"
    symbolic = True

    def outputs(self, a_indices, a_indptr, b_indices, b_indptr):
        return [("bool", ())]


@lowers(CSM)
def lower_csm(node, values, indices, indptr, shape):
    made = Parts(node.op.format, values, indices, indptr, shape)
    if _comes_from_one_matrix(made):
        return made
    if shape.type.shape[0] is None:
        two = equal(shape.shape[0], 2, "CSM: shape must have two elements: got %d instead of %d")
        made = made._replace(shape=require(shape, two))
    n_values = values.shape[0]
    if all(isinstance(v, Constant) for v in (indices, indptr, shape)):
        # `CSM.make_node` has checked the pattern; only its length is left to be compared with that of the values.
        size = len(indices.data)
        if values.type.shape[0] != size:
            same = equal(n_values, size, "CSM: %d values do not fit a pattern of %d entries")
            made = made.with_values(require(values, same))
        return made
    checked = CheckPattern()(indices, indptr, n_values, made.n_major, made.n_minor)
    return made._replace(indices=checked[0], indptr=checked[1])


def _comes_from_one_matrix(made):
    """Whether pattern and shape, and the number of values, are those of one checked matrix."""
    owners = [v.owner for v in (made.indices, made.indptr, made.shape)]
    first = owners[0]
    if first is None or not isinstance(first.op, CSMProperties):
        return False
    if any(
        o is None or not isinstance(o.op, CSMProperties) or o.inputs[0] is not first.inputs[0] for o in owners
    ):
        return False
    values = made.values.owner
    return (
        values is not None
        and isinstance(values.op, CSMProperties)
        and values.inputs[0] is first.inputs[0]
        and first.inputs[0].format == made.format
    )


@lowers(SpecifyShape)
def lower_specify_shape(node, x):
    cause = f"specify_shape: the sparse matrix does not have shape {node.op.shape}"
    checks = [
        equal(n, s, f"{cause}: %d instead of %d {what}")
        for n, s, what in zip(x.sizes, node.op.shape, ("rows", "columns"), strict=True)
        if s is not None
    ]
    return guard(x, *checks)


@lowers(CSMGrad)
def lower_csm_grad(node, *vectors):
    # The 8 vectors do not tell the format: read both matrices as csr.
    x, g = (Parts("csr", *vectors[i : i + 4]) for i in (0, 4))
    return sample_sparse(_checked(g, g.values), _checked(x, x.indices)).values


def _checked(p, values):
    """`p`, with a check of the pattern unless it comes from a matrix."""
    indices, indptr = (_uncast(v) for v in p.pattern)
    if comes_from_a_matrix(indices, indptr):
        return p
    if isinstance(indices, Constant) and isinstance(indptr, Constant) and isinstance(p.shape, Constant):
        shape = (len(indptr.data) - 1, max([0, *p.shape.data]))
        with contextlib.suppress(ValueError):
            check_pattern("csr", len(indices.data), indices.data, indptr.data, shape)
            return p
    n_major, n_minor = p.indptr.shape[0] - 1, pt.max(p.shape)
    indices, indptr = CheckPattern()(*p.pattern, values.shape[0], n_major, n_minor)
    return p._replace(indices=indices, indptr=indptr)


def _uncast(v):
    v = unchecked(v)
    cast = v.owner is not None and isinstance(v.owner.op, Elemwise) and isinstance(v.owner.op.scalar_op, Cast)
    return _uncast(v.owner.inputs[0]) if cast else v


# Not among the "useless" rewrites: that group asserts that all replacements come from one node.
@register_canonicalize
@node_rewriter([CSMProperties])
def symsparse_properties_of_csm(fgraph, node):
    """The parts of a matrix made of parts: csm_properties(CSM(parts)) = parts."""
    x = node.inputs[0]
    if isinstance(x, Constant) or (
        x.owner is not None and isinstance(x.owner.op, CSM) and x.owner.op.trusted
    ):
        return list(parts(x)[1:])
    return None


@register_useless
@register_canonicalize
@node_rewriter([Shape_i])
def symsparse_shape_of_csm(fgraph, node):
    """Shape of CSM(parts) is among the parts."""
    x = node.inputs[0]
    if is_sparse(x) and x.owner is not None and isinstance(x.owner.op, CSM):
        return [parts(x).sizes[node.op.i]]
    return None


for _rule in (symsparse_properties_of_csm, symsparse_shape_of_csm):
    lowering_db.register(_rule.__name__, _rule, *_TAGS, "infer_shape")
