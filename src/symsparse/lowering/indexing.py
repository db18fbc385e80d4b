"""Lowering of the selection and the placing of rows, columns and entries."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, guard, known, lowers, surely_equal, vector
from symsparse.lowering.layout import canonical, to_format
from symsparse.lowering.sampling import TakeOrZero
from symsparse.ops.csm import shape_vector
from symsparse.ops.indexing import (
    EVERYTHING,
    GetItem2d,
    GetItem2Lists,
    GetItem2ListsGrad,
    GetItemList,
    GetItemListGrad,
    GetItemScalar,
    is_everything,
    selected_size,
    slice_range,
)


class TakePattern(KernelOp):
    """(indices, indptr, rows) -> pattern of these major slices, and the source of each entry."""

    kernel = "indexing.take_pattern"
    canonical = "as input"

    def outputs(self, indices, indptr, rows):
        return [vector(indices), vector(indptr), vector(indices)]


class SlicePattern(KernelOp):
    """(indices, indptr, first, count, step) -> pattern of a slice of the major slices, and the source of each entry."""

    kernel = "indexing.slice_pattern"
    canonical = "as input"

    def outputs(self, indices, indptr, first, count, step):
        n = known(count)
        return [vector(indices), vector(indptr, None if n is None else n + 1), vector(indices)]


class SliceMinor(KernelOp):
    """(indices, indptr, first, count, step) -> pattern of a slice of the minor axis, and the source of each entry."""

    kernel = "indexing.slice_minor"
    canonical = "as input"

    def outputs(self, indices, indptr, first, count, step):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


class TakeMinorPattern(KernelOp):
    """(indices, indptr, n_minor, columns) -> pattern of these minor indices, and the source of each entry."""

    kernel = "indexing.take_minor_pattern"

    def outputs(self, indices, indptr, n_minor, columns):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


class PlacePattern(KernelOp):
    """(indices, indptr, rows, n) -> pattern with these major slices at the rows, and the source of each entry."""

    kernel = "indexing.place_pattern"

    def outputs(self, indices, indptr, rows, n):
        return [vector(indices), vector(indptr), vector(indices)]


class PlaceMinor(KernelOp):
    """(indices, n_minor, columns, n) -> indices after the minor slices were put at the columns."""

    kernel = "indexing.place_minor"

    def outputs(self, indices, n_minor, columns, n):
        return [vector(indices, indices.type.shape[0])]


class Find(KernelOp):
    """(indices, indptr, n_minor, majors, minors) -> place of each pair in the canonical pattern, or -1."""

    kernel = "indexing.find"

    def outputs(self, indices, indptr, n_minor, majors, minors):
        return [vector(indices, majors.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[3]]


class ScatterPattern(KernelOp):
    """(majors, minors, n_values, n_major, n_minor, index-like) -> pattern of these positions, order of the values."""

    kernel = "indexing.scatter_pattern"

    def outputs(self, majors, minors, n_values, n_major, n_minor, index_like):
        n = known(n_major)
        return [vector(index_like), vector(index_like, None if n is None else n + 1), vector(index_like)]


def select_major(x: Parts, chosen):
    """Indices, indptr and source of the chosen major slices."""
    if len(chosen) == 1:
        return TakePattern()(*x.pattern, *chosen)
    return SlicePattern()(*x.pattern, *slice_range(chosen, x.n_major), chosen[2])


def select_minor(x: Parts, chosen):
    """Indices, indptr and source of the chosen minor indices."""
    if len(chosen) == 1:
        return TakeMinorPattern()(*x.pattern, x.n_minor, *chosen)
    return SliceMinor()(*x.pattern, *slice_range(chosen, x.n_minor), chosen[2])


def select(x: Parts, rows, columns):
    """The submatrix of these rows and columns: first by the major axis, which leaves the rest unread."""
    axes = [(0, select_major, rows), (1, select_minor, columns)]
    if x.format == "csc":
        axes = [(1, select_major, columns), (0, select_minor, rows)]
    for axis, along, chosen in axes:
        if not is_everything(chosen):
            indices, indptr, source = along(x, chosen)
            sizes = list(x.sizes)
            sizes[axis] = selected_size(chosen, sizes[axis])
            x = Parts(x.format, x.values[source], indices, indptr, shape_vector(*sizes))
    return x


@lowers(GetItem2d)
def lower_get_item_2d(node, x, *index):
    return select(x, *node.op.split(index))


@lowers(GetItemList)
def lower_get_item_list(node, x, rows):
    return select(x, (rows,), EVERYTHING)


@lowers(GetItemListGrad)
def lower_get_item_list_grad(node, x, rows, gz):
    gz = to_format(gz, x.format)
    n, m = x.sizes[1], gz.sizes[1]
    if not surely_equal(n, m):
        gz = guard(gz, "get_item_list_grad: the numbers of columns differ", pt.eq(n, m))
    if x.format == "csr":
        indices, indptr, source = PlacePattern()(*gz.pattern, rows, x.n_major)
        return Parts("csr", gz.values[source], indices, indptr, x.shape)
    return gz._replace(indices=PlaceMinor()(gz.indices, gz.n_minor, rows, x.n_minor), shape=x.shape)


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
    indices, indptr, order = ScatterPattern()(majors, minors, gz.shape[0], x.n_major, x.n_minor, index_like)
    return Parts(x.format, gz[order], indices, indptr, x.shape)
