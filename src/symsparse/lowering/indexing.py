"""Lowering of the selection and the placing of rows and columns."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, guard, known, lowers, surely_equal, vector
from symsparse.lowering.layout import to_format
from symsparse.ops.csm import shape_vector
from symsparse.ops.indexing import (
    EVERYTHING,
    GetItem2d,
    GetItemList,
    GetItemListGrad,
    is_everything,
    selected_size,
    slice_range,
)


class TakePattern(KernelOp):
    """(indices, indptr, rows) -> pattern of these major slices, and the source of each entry."""

    kernel = "indexing.take_pattern"
    symbolic = True
    canonical = "as input"

    def outputs(self, indices, indptr, rows):
        return [vector(indices), vector(indptr), vector(indices)]


class SlicePattern(KernelOp):
    """(indices, indptr, first, count, step) -> pattern of a slice of the major slices, and the source of each entry."""

    kernel = "indexing.slice_pattern"
    symbolic = True
    canonical = "as input"

    def outputs(self, indices, indptr, first, count, step):
        n = known(count)
        return [vector(indices), vector(indptr, None if n is None else n + 1), vector(indices)]


class SliceMinor(KernelOp):
    """(indices, indptr, first, count, step) -> pattern of a slice of the minor axis, and the source of each entry."""

    kernel = "indexing.slice_minor"
    symbolic = True
    canonical = "as input"

    def outputs(self, indices, indptr, first, count, step):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


class TakeMinorPattern(KernelOp):
    """(indices, indptr, n_minor, columns) -> pattern of these minor indices, and the source of each entry."""

    kernel = "indexing.take_minor_pattern"
    symbolic = True

    def outputs(self, indices, indptr, n_minor, columns):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


class PlacePattern(KernelOp):
    """(indices, indptr, rows, n) -> pattern with these major slices at the rows, and the source of each entry."""

    kernel = "indexing.place_pattern"
    symbolic = True

    def outputs(self, indices, indptr, rows, n):
        return [vector(indices), vector(indptr), vector(indices)]


class PlaceMinor(KernelOp):
    """(indices, n_minor, columns, n) -> indices after the minor slices were put at the columns."""

    kernel = "indexing.place_minor"
    symbolic = True

    def outputs(self, indices, n_minor, columns, n):
        return [vector(indices, indices.type.shape[0])]


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
