"""Lowering of the selection of rows."""

import pytensor.tensor as pt

from symsparse.lowering.base import KernelOp, Parts, guard, lowers, surely_equal, vector
from symsparse.lowering.layout import to_format
from symsparse.ops.csm import shape_vector
from symsparse.ops.indexing import GetItemList, GetItemListGrad


class TakePattern(KernelOp):
    """(indices, indptr, rows) -> pattern of these major slices, and the source of each entry."""

    kernel = "indexing.take_pattern"
    canonical = "as input"

    def outputs(self, indices, indptr, rows):
        return [vector(indices), vector(indptr), vector(indices)]


class PlacePattern(KernelOp):
    """(indices, indptr, rows, n) -> pattern with these major slices at the rows, and the source of each entry."""

    kernel = "indexing.place_pattern"

    def outputs(self, indices, indptr, rows, n):
        return [vector(indices), vector(indptr), vector(indices)]


@lowers(GetItemList)
def lower_get_item_list(node, x, rows):
    by_rows = to_format(x, "csr")
    indices, indptr, source = TakePattern()(*by_rows.pattern, rows)
    taken = Parts("csr", by_rows.values[source], indices, indptr, shape_vector(rows.shape[0], x.sizes[1]))
    return to_format(taken, x.format)


@lowers(GetItemListGrad)
def lower_get_item_list_grad(node, x, rows, gz):
    by_rows = to_format(gz, "csr")
    n, m = x.sizes[1], by_rows.sizes[1]
    if not surely_equal(n, m):
        by_rows = guard(by_rows, "get_item_list_grad: the numbers of columns differ", pt.eq(n, m))
    indices, indptr, source = PlacePattern()(*by_rows.pattern, rows, x.sizes[0])
    placed = Parts("csr", by_rows.values[source], indices, indptr, x.shape)
    return to_format(placed, x.format)
