"""Operations that undo each other, or do what is done already."""

from pytensor.graph.basic import Constant

from symsparse.ops.arithmetic import AddSS, MulSD, MulSS
from symsparse.ops.conversion import DenseFromSparse, SparseFromDense, SquareDiagonal
from symsparse.ops.csm import CSM
from symsparse.ops.elementwise import Cast, Neg, StructuredElemwise
from symsparse.ops.layout import AsFormat, EnsureSortedIndices, Remove0, SumDuplicates, Transpose
from symsparse.ops.matmul import StructuredDot, TrueDot
from symsparse.ops.sampling import Sample
from symsparse.ops.scaling import ColScaleCSC, StructuredAddSV
from symsparse.ops.values import OnesLike
from symsparse.rewrites.base import made_by, rewrites


@rewrites(Transpose)
def double_transpose(fgraph, node):
    """x.T.T = x."""
    (x,) = node.inputs
    return x.owner.inputs[0] if made_by(x, Transpose) else None


@rewrites(Neg)
def double_negation(fgraph, node):
    """-(-x) = x."""
    (x,) = node.inputs
    return x.owner.inputs[0] if made_by(x, Neg) else None


@rewrites(DenseFromSparse)
def dense_of_sparse_of_dense(fgraph, node):
    """toarray(from_dense(d)) = d."""
    (x,) = node.inputs
    return x.owner.inputs[0] if made_by(x, SparseFromDense) else None


@rewrites(Cast)
def cast_to_own_dtype(fgraph, node):
    """cast(x, x.dtype) = x."""
    (x,) = node.inputs
    return x if x.dtype == node.op.out_type else None


# -- facts: what is canonical, what has no zeros ----------------------------------------------------------------

# Their result is canonical whatever they are given.
_CANONICAL = (
    SumDuplicates,
    SparseFromDense,
    MulSS,
    OnesLike,
    Sample,
    StructuredDot,
    TrueDot,
    SquareDiagonal,
    StructuredAddSV,
)
# Their result is canonical if what they are given is.
_KEEP_ORDER = (Transpose, AsFormat, EnsureSortedIndices, Remove0, Neg, Cast, MulSD, ColScaleCSC)


def is_canonical(x):
    """Whether a sparse variable is known to be sorted and without duplicates."""
    if isinstance(x, Constant):
        return bool(x.data.has_canonical_format)
    if x.owner is None:
        return False
    op, inputs = x.owner.op, x.owner.inputs
    if isinstance(op, StructuredElemwise):
        return not op.is_additive or is_canonical(inputs[0])
    if isinstance(op, AddSS):  # adding a matrix that stores nothing changes nothing
        return is_canonical(inputs[0]) or not (isinstance(inputs[1], Constant) or made_by(inputs[1], CSM))
    return isinstance(op, _CANONICAL) or (isinstance(op, _KEEP_ORDER) and is_canonical(inputs[0]))


def has_no_zeros(x):
    """Whether a sparse variable is known to store no zero."""
    if made_by(x, Remove0, SparseFromDense):
        return True
    if made_by(x, Transpose, AsFormat, EnsureSortedIndices, Neg):
        return has_no_zeros(x.owner.inputs[0])
    return made_by(x, SumDuplicates) and is_canonical(x.owner.inputs[0]) and has_no_zeros(x.owner.inputs[0])


@rewrites(SumDuplicates)
def canonical_of_canonical(fgraph, node):
    """sum_duplicates(x) = x where x is known to be canonical.

    Known are constants, and results of sums, products, samples, comparisons with themselves, of elementwise functions,
    of ``sum_duplicates`` and ``from_dense``; signs, casts, scalings, transposes and formats keep what is known.
    """
    (x,) = node.inputs
    return x if is_canonical(x) else None


@rewrites(EnsureSortedIndices)
def sorted_of_canonical(fgraph, node):
    """ensure_sorted_indices(x) = x where x is known to be canonical."""
    (x,) = node.inputs
    return x if is_canonical(x) else None


@rewrites(Remove0)
def remove0_of_remove0(fgraph, node):
    """remove0(x) = x where x is known to store no zero: after ``remove0``, ``clean`` or ``from_dense``.

    Not after a product with a number, which can underflow.
    """
    (x,) = node.inputs
    return x if has_no_zeros(x) else None
