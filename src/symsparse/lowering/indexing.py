"""Lowering of the selection and the placing of rows and columns."""

from symsparse.lowering.base import KernelOp, Parts, guard, known, lowers, vector
from symsparse.lowering.layout import taken, to_format
from symsparse.lowering.patterns import surely_equal
from symsparse.ops.base import equal
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
    """(indices, indptr, rows, carried) -> pattern of these major slices, and what they carry."""

    kernel = "indexing.take_pattern"
    symbolic = True
    canonical = "as input"
    carries = ((3, 2),)

    def outputs(self, indices, indptr, rows, carried):
        return [vector(indices), vector(indptr), vector(carried)]


class SlicePattern(KernelOp):
    """(..., first, count, step, carried) -> pattern of a slice of the major slices, and what they carry."""

    kernel = "indexing.slice_pattern"
    symbolic = True
    canonical = "as input"
    carries = ((5, 2),)

    def outputs(self, indices, indptr, first, count, step, carried):
        n = known(count)
        return [vector(indices), vector(indptr, None if n is None else n + 1), vector(carried)]


class SliceMinor(KernelOp):
    """(..., first, count, step, carried) -> pattern of a slice of the minor axis, and what they carry."""

    kernel = "indexing.slice_minor"
    symbolic = True
    canonical = "as input"
    carries = ((5, 2),)

    def outputs(self, indices, indptr, first, count, step, carried):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(carried)]


class TakeMinorPattern(KernelOp):
    """(indices, indptr, n_minor, columns, carried) -> pattern of these minor indices, and what they carry."""

    kernel = "indexing.take_minor_pattern"
    symbolic = True
    carries = ((4, 2),)

    def outputs(self, indices, indptr, n_minor, columns, carried):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(carried)]


class PlacePattern(KernelOp):
    """(indices, indptr, rows, n, carried) -> pattern with these major slices at the rows, and what they carry."""

    kernel = "indexing.place_pattern"
    symbolic = True
    carries = ((4, 2),)

    def outputs(self, indices, indptr, rows, n, carried):
        return [vector(indices), vector(indptr), vector(carried)]


class PlaceMinor(KernelOp):
    """(indices, n_minor, columns, n) -> indices after the minor slices were put at the columns."""

    kernel = "indexing.place_minor"
    symbolic = True

    def outputs(self, indices, n_minor, columns, n):
        return [vector(indices, indices.type.shape[0])]


class RunPattern(KernelOp):
    """(indices, indptr, first, count) -> pattern of major slices that follow each other; its indices are a view."""

    kernel = "indexing.run_pattern"
    canonical = "as input"
    view_map = {0: [0]}

    def outputs(self, indices, indptr, first, count):
        n = known(count)
        return [vector(indices), vector(indptr, None if n is None else n + 1)]

    def flops(self, node, shape):
        return 0


def select_major(x: Parts, chosen):
    """Indices, indptr and values of the chosen major slices."""
    if len(chosen) == 1:
        return taken(TakePattern(), x, *chosen)
    first, count = slice_range(chosen, x.n_major)
    if known(chosen[2]) == 1:
        start, stop = x.indptr[first], x.indptr[first + count]
        return *RunPattern()(*x.pattern, first, count), x.values[start:stop]
    return taken(SlicePattern(), x, first, count, chosen[2])


def select_minor(x: Parts, chosen):
    """Indices, indptr and values of the chosen minor indices."""
    if len(chosen) == 1:
        return taken(TakeMinorPattern(), x, x.n_minor, *chosen)
    return taken(SliceMinor(), x, *slice_range(chosen, x.n_minor), chosen[2])


def select(x: Parts, rows, columns):
    """The submatrix of these rows and columns: first by the major axis, which leaves the rest unread."""
    axes = [(0, select_major, rows), (1, select_minor, columns)]
    if x.format == "csc":
        axes = [(1, select_major, columns), (0, select_minor, rows)]
    for axis, along, chosen in axes:
        if not is_everything(chosen):
            indices, indptr, values = along(x, chosen)
            sizes = list(x.sizes)
            sizes[axis] = selected_size(chosen, sizes[axis])
            x = Parts(x.format, values, indices, indptr, shape_vector(*sizes))
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
        gz = guard(gz, equal(n, m, "get_item_list_grad: the numbers of columns differ: %d and %d"))
    if x.format == "csr":
        indices, indptr, values = taken(PlacePattern(), gz, rows, x.n_major)
        return Parts("csr", values, indices, indptr, x.shape)
    return gz._replace(indices=PlaceMinor()(gz.indices, gz.n_minor, rows, x.n_minor), shape=x.shape)
