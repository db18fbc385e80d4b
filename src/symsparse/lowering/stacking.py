"""Lowering of matrices made of blocks."""

import numpy as np
import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, guard, known, lowers, vector, with_index_dtype
from symsparse.lowering.layout import taken, to_format
from symsparse.lowering.patterns import surely_equal
from symsparse.ops.base import equal
from symsparse.ops.csm import shape_vector
from symsparse.ops.stacking import BlockDiag, HStack, VStack


class ConcatenatePattern(KernelOp):
    """(all indices, all indptrs, sizes, along both axes) -> pattern of blocks along the major axis."""

    kernel = "stacking.concatenate_pattern"
    symbolic = True
    canonical = "as blocks"

    def outputs(self, indices, indptrs, n_majors, n_minors, diagonal):
        return [vector(indices), vector(indptrs)]

    def infer_shape(self, node, shapes):
        return [shapes[0], (shapes[1][0] - shapes[2][0] + 1,)]


class InterleavePattern(KernelOp):
    """(all indices, all indptrs, sizes, carried) -> pattern of blocks along the minor axis, and what entries carry."""

    kernel = "stacking.interleave_pattern"
    symbolic = True
    canonical = "as blocks"
    carries = ((4, 2),)

    def outputs(self, indices, indptrs, n_majors, n_minors, carried):
        return [vector(indices), vector(indptrs), vector(carried)]

    def infer_shape(self, node, shapes):
        return [shapes[0], (shapes[1][0] // shapes[2][0],), shapes[0]]


def total(sizes):
    """Symbolic sum of sizes; a constant if all are."""
    constants = [known(n) for n in sizes]
    if None not in constants:
        return pt.constant(sum(constants), dtype="int64")
    return sum(sizes[1:], start=sizes[0])


def joined(node, blocks):
    """The blocks in format and index dtype of the result, and their values, indices and indptrs joined."""
    type = node.outputs[0].type
    blocks = [with_index_dtype(to_format(p, type.format), type.index_dtype) for p in blocks]
    values, indices, indptrs = (
        pt.join(0, *(getattr(p, field) for p in blocks)) for field in ("values", "indices", "indptr")
    )
    return blocks, Parts(type.format, values, indices, indptrs, None)


@lowers(HStack, VStack)
def lower_stack(node, *blocks):
    op = node.op
    blocks, all_of = joined(node, blocks)
    if len(blocks) == 1:
        return blocks[0]
    shared = [p.sizes[1 - op.axis] for p in blocks]
    shared.sort(key=lambda n: known(n) is None)  # compare with a size that is known, if there is one
    cause = f"{op.name}: the blocks differ in their numbers of {'rows' if op.axis else 'columns'}: %d and %d"
    all_of = guard(
        all_of, *(equal(shared[0], n, cause) for n in shared[1:] if not surely_equal(shared[0], n))
    )
    sizes = [shared[0]] * 2
    sizes[op.axis] = total([p.sizes[op.axis] for p in blocks])
    n_majors, n_minors = pt.stack([p.n_major for p in blocks]), pt.stack([p.n_minor for p in blocks])
    if (op.axis == 0) == (op.format == "csr"):
        indices, indptr = ConcatenatePattern()(*all_of.pattern, n_majors, n_minors, np.False_)
        values = all_of.values
    else:
        indices, indptr, values = taken(InterleavePattern(), all_of, n_majors, n_minors)
    return Parts(op.format, values, indices, indptr, shape_vector(*sizes))


@lowers(BlockDiag)
def lower_block_diag(node, *blocks):
    blocks, all_of = joined(node, blocks)
    n_majors, n_minors = pt.stack([p.n_major for p in blocks]), pt.stack([p.n_minor for p in blocks])
    indices, indptr = ConcatenatePattern()(*all_of.pattern, n_majors, n_minors, np.True_)
    shape = shape_vector(*(total([p.sizes[axis] for p in blocks]) for axis in (0, 1)))
    return Parts(node.op.format, all_of.values, indices, indptr, shape)
