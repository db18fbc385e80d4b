"""Lowering of single entries and of values at given positions."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, known, lowers, vector
from symsparse.lowering.layout import canonical
from symsparse.lowering.sampling import TakeOrZero
from symsparse.ops.entries import GetItem2Lists, GetItem2ListsGrad, GetItemScalar


class Find(KernelOp):
    """(indices, indptr, n_minor, majors, minors) -> place of each pair in the canonical pattern, or -1."""

    kernel = "indexing.find"
    symbolic = True

    def outputs(self, indices, indptr, n_minor, majors, minors):
        return [vector(indices, majors.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[3]]


class ScatterPattern(KernelOp):
    """(majors, minors, n_values, sizes, index-like, carried) -> pattern of these positions, and what they carry."""

    kernel = "indexing.scatter_pattern"
    symbolic = True

    def outputs(self, majors, minors, n_values, n_major, n_minor, index_like, carried):
        n = known(n_major)
        return [vector(index_like), vector(index_like, None if n is None else n + 1), vector(carried)]


@lowers(GetItem2Lists)
def lower_get_item_2lists(node, x, i, j):
    x = canonical(x)
    places = Find()(*x.pattern, x.n_minor, *((i, j) if x.format == "csr" else (j, i)))
    return TakeOrZero()(x.values, places)


@lowers(GetItemScalar)
def lower_get_item_scalar(node, x, i, j):
    return lower_get_item_2lists(node, x, i[None], j[None])[0]


@lowers(GetItem2ListsGrad)
def lower_get_item_2lists_grad(node, x, i, j, gz):
    majors, minors = (i, j) if x.format == "csr" else (j, i)
    index_like = pt.constant([], dtype=node.outputs[0].type.index_dtype)
    indices, indptr, values = ScatterPattern()(
        majors, minors, gz.shape[0], x.n_major, x.n_minor, index_like, gz
    )
    return Parts(x.format, values, indices, indptr, x.shape)
