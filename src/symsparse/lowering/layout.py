"""Lowering of transposes, formats, sorting, duplicates and explicit zeros."""

from symsparse.lowering.base import KernelOp, Parts, lowers, vector
from symsparse.lowering.patterns import canonical_fact, sorted_fact
from symsparse.ops.layout import AsFormat, EnsureSortedIndices, Remove0, SumDuplicates, Transpose


class IsCanonical(KernelOp):
    kernel = "layout.is_canonical"
    symbolic = True

    def outputs(self, indices, indptr):
        return [("bool", ())]


class CanonicalPattern(KernelOp):
    """(indices, indptr, already canonical) -> canonical pattern and the places of the old entries."""

    kernel = "layout.canonical_pattern"
    symbolic = True
    canonical = True
    view_map = {0: [0], 1: [1]}

    def outputs(self, indices, indptr, canonical):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(indices)]


class Positions(KernelOp):
    """The position of each stored entry."""

    kernel = "layout.positions"
    symbolic = True

    def outputs(self, indices):
        return [vector(indices, indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[0]]


def taken(op, p: Parts, *arguments):
    """Indices, indptr and values of the entries that an op picks or reorders."""
    indices, indptr, source = op(*p.pattern, *arguments, Positions()(p.indices))
    return indices, indptr, p.values[source]


class SumInto(KernelOp):
    kernel = "layout.sum_into"
    view_map = {0: [0]}

    def outputs(self, values, place, indptr):
        return [vector(values)]


class SortPattern(KernelOp):
    kernel = "layout.sort_pattern"
    symbolic = True
    sorts = True

    def outputs(self, indices, indptr):
        return [vector(indices), vector(indices)]


class TransposePattern(KernelOp):
    """(indices, indptr, n_minor, carried) -> the pattern by the other axis, and what its entries carry."""

    kernel = "layout.transpose_pattern"
    symbolic = True
    canonical = "as input"
    carries = ((3, 2),)

    def outputs(self, indices, indptr, n_minor, carried):
        return [vector(indices), vector(indptr), vector(carried, indices.type.shape[0])]


class NonzeroPattern(KernelOp):
    """(tested, indices, indptr, carried) -> the pattern where what is tested is not zero, and what it carries."""

    kernel = "layout.nonzero_pattern"
    symbolic = True
    canonical: bool | str = "as input after values"
    carries = ((3, 2),)

    def outputs(self, tested, indices, indptr, carried):
        return [vector(indices), (indptr.dtype, indptr.type.shape), vector(carried)]


class RepeatMajor(KernelOp):
    kernel = "layout.repeat_major"

    def outputs(self, v, indptr):
        return [vector(v)]


class TakeMinor(KernelOp):
    kernel = "layout.take_minor"

    def outputs(self, v, indices, n_minor):
        return [vector(v, indices.type.shape[0])]

    def infer_shape(self, node, shapes):
        return [shapes[1]]


def canonical(p: Parts) -> Parts:
    """The canonical form: `p` itself where that is known, one pass that sorts and sums where it is not."""
    fact = canonical_fact(*p.pattern)
    if fact is True:
        return p
    indices, indptr, place = CanonicalPattern()(*p.pattern, fact)
    return Parts(p.format, SumInto()(p.values, place, indptr), indices, indptr, p.shape)


def to_format(p: Parts, format: str) -> Parts:
    """The same matrix in a format, sorted; the order of the values depends on the pattern alone."""
    if p.format == format:
        return p
    indices, indptr, values = taken(TransposePattern(), p, p.n_minor)
    return Parts(format, values, indices, indptr, p.shape)


def keep(p: Parts, tested, op=None) -> Parts:
    """The entries of `p` where what is tested is not zero."""
    indices, indptr, kept = (op or NonzeroPattern())(tested, *p.pattern, Positions()(p.indices))
    return Parts(p.format, p.values[kept], indices, indptr, p.shape)


def remove0(p: Parts) -> Parts:
    """The same matrix without explicit zeros."""
    return keep(p, p.values)


@lowers(Transpose)
def lower_transpose(node, x):
    return x.transposed()


@lowers(AsFormat)
def lower_as_format(node, x):
    return to_format(x, node.op.format)


@lowers(EnsureSortedIndices)
def lower_ensure_sorted_indices(node, x):
    if sorted_fact(*x.pattern):
        return x
    indices, order = SortPattern()(*x.pattern)
    return x._replace(values=x.values[order], indices=indices)


@lowers(SumDuplicates)
def lower_sum_duplicates(node, x):
    return canonical(x)


@lowers(Remove0)
def lower_remove0(node, x):
    return remove0(x)
