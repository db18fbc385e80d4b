"""What every sparse op shares: operands, errors, and the frame of its derivatives.

The cotangent law
-----------------
A cotangent that reaches a sparse variable x may be dense, or sparse in any format and with any pattern. A pullback
never trusts what it gets:

* structured: ``sampled(g, x)`` brings it onto x's own pattern (the sum of g's entries at each stored position);
* regular: it keeps g as it is, dense if it is dense.

Both stand for the same linear form <g, dx>, as long as dx keeps x's pattern.
"""

import numpy as np
import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.null_type import NullType
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import copy_stack_trace, node_rewriter
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.basic import Nonzero
from pytensor.tensor.rewriting.basic import register_canonicalize

from symsparse.constructors import symbolic
from symsparse.tracing import traced
from symsparse.types import (
    SparseTensorType,
    all_dtypes,
    complex_dtypes,
    compressed,
    continuous_dtypes,
    discrete_dtypes,
    float_dtypes,
    pattern_keys,
    uint_dtypes,
)

OTHER_FORMAT = {"csr": "csc", "csc": "csr"}


# -- operands and errors ----------------------------------------------------------------------------------------


def is_sparse(x):
    """Whether `x` is a symbolic sparse matrix."""
    return isinstance(x, Variable) and isinstance(x.type, SparseTensorType)


def describe(x):
    """One operand in an error message: format (or dense), dtype, shape."""
    if is_sparse(x):
        return repr(x.type).removeprefix("SparseTensorType")
    if isinstance(x, Variable):
        shape = getattr(x.type, "shape", None)
        shown = "" if shape is None else f", shape={_shape_text(shape)}"
        return f"(dense, {getattr(x.type, 'dtype', x.type)}{shown})"
    if sp.issparse(x):
        return f"({x.format}, {x.dtype}, shape={x.shape})"
    if isinstance(x, np.ndarray):
        return f"(dense, {x.dtype}, shape={x.shape})"
    return f"({type(x).__name__})"


def _shape_text(shape):
    sizes = ", ".join("?" if n is None else str(n) for n in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def error(op, operands, cause, way_out="", kind=TypeError):
    """An error that names the op, its operands, the cause, and the way out."""
    shown = " and ".join(map(describe, operands))
    return kind(f"{op}: {cause}; got {shown}.{' ' + way_out if way_out else ''}")


def operand(op, x, max_ndim: float = 2):
    """`x` as a symbolic variable: sparse, or dense with a dtype and at most `max_ndim` dimensions."""
    try:
        x = symbolic(op, x)
    except (TypeError, ValueError) as e:
        cause = str(e).removeprefix(f"{op}: ").rstrip(".")
        raise error(op, [x], f"an operand cannot be made symbolic: {cause}", kind=type(e)) from None
    if not is_sparse(x):
        if not isinstance(x.type, pt.TensorType):
            raise error(
                op,
                [x],
                f"an operand is neither a sparse matrix nor a dense tensor ({x.type})",
                "Pass a matrix, a vector or a number.",
            )
        if x.type.ndim > max_ndim:
            raise error(op, [x], "a dense operand has more than two dimensions", "Index or reshape it.")
        if x.dtype not in all_dtypes:
            raise error(
                op, [x], f"{x.dtype} is no dtype that symsparse knows", f"Cast it to one of {all_dtypes}."
            )
    return x


def sparse_operand(op, x):
    """`x` as a symbolic sparse matrix."""
    x = operand(op, x)
    if not is_sparse(x):
        raise error(
            op, [x], "needs a sparse matrix", "Convert it with csr_from_dense(x) or csc_from_dense(x)."
        )
    return x


def dense_operand(op, x, ndims):
    """`x` as a symbolic dense tensor with one of the numbers of dimensions `ndims`."""
    x = operand(op, x)
    if is_sparse(x):
        raise error(op, [x], "needs a dense operand here", "Write x.toarray() if you want it dense.")
    if x.type.ndim not in ndims:
        wanted = " or ".join(f"{n}-D" for n in ndims)
        raise error(op, [x], f"a dense operand must be {wanted}", "Index or reshape it.")
    return x


def merged_shape(op, x, y):
    """Static shape of an elementwise result of two matrices of one shape; an error where they surely differ."""
    for a, b in zip(x.type.shape, y.type.shape, strict=True):
        if a is not None and b is not None and a != b:
            raise error(op, [x, y], "shapes differ", "Both matrices must have one shape.", ValueError)
    return tuple(a if a is not None else b for a, b in zip(x.type.shape, y.type.shape, strict=True))


def wider_index(*xs):
    """The index dtype that serves all these sparse operands."""
    return "int64" if any(x.type.index_dtype == "int64" for x in xs) else "int32"


def require_equal(op, what, a, b):
    """Reference check of sizes at run time."""
    if a != b:
        raise ValueError(f"{op}: {what} differ: {a} and {b}.")


class Check(CheckAndRaise):
    """``Check(exception, message)(v, *conditions)`` is v, or an error at run time, and passes tangents on."""

    def pushforward(self, inputs, outputs, tangents):
        return [tangents[0]]


class Require(Op):
    """``v, n0, m0, n1, m1, ... -> v``, or an error at run time unless each pair of sizes fits; see `require`.

    It is to PyTensor's `CheckAndRaise` what a sentence with numbers is to one without.
    """

    __props__ = ("checks",)
    view_map = {0: [0]}

    def __init__(self, checks):
        self.checks = tuple(checks)  # of (relation, message)

    def make_node(self, v, *sizes):
        return Apply(self, [v, *map(pt.as_tensor, sizes)], [v.type()])

    def perform(self, node, inputs, outputs):
        v, *sizes = inputs
        for (relation, message), n, m in zip(self.checks, sizes[::2], sizes[1::2], strict=True):
            if not holds(relation, int(n), int(m)):
                raise (IndexError if relation in INDEX_ERRORS else ValueError)(message % (n, m))
        outputs[0][0] = v

    def do_constant_folding(self, fgraph, node):
        return False

    def infer_shape(self, node, shapes):
        return shapes[:1]

    def connection_pattern(self, node):
        return [[i == 0] for i in range(len(node.inputs))]

    def pullback(self, inputs, outputs, cotangents):
        return [*cotangents, *(disconnected_type() for _ in inputs[1:])]

    def pushforward(self, inputs, outputs, tangents):
        return [tangents[0]]

    def __str__(self):
        return f"Require{{{self.checks[0][1]!r}}}"


INDEX_ERRORS = ("same_length", "within")


def holds(relation, n, m):
    """Whether a relation holds between two integers."""
    if relation == "within":
        return -m <= n < m
    return n <= m if relation == "at_most" else n == m


def require(v, *checks):
    """`v`, or an error at run time, unless all of these hold: (relation, n, m, message), whose message shows n and m.

    Relations are "equal" and "at_most", otherwise a ValueError; "same_length" (equal) and "within" (n is an index of an
    axis of size m), otherwise an IndexError.
    """
    left = [c for c in checks if not _surely_holds(*c[:3])]
    if not left:
        return v
    return Require((c[0], c[3]) for c in left)(v, *(size for c in left for size in c[1:3]))


def equal(n, m, message):
    """A check of `require`: two sizes are equal."""
    return "equal", n, m, message


def _surely_holds(relation, n, m):
    if n is m:
        return relation != "within"
    n, m = (int(v.data) if isinstance(v, Constant) else v for v in (n, m))
    return all(isinstance(v, int | np.integer) for v in (n, m)) and holds(relation, n, m)


@register_canonicalize
@node_rewriter([Require])
def local_useless_require(fgraph, node):
    """Sizes that became known, or equal, need no check."""
    v, *sizes = node.inputs
    checks = [(c, *pair) for c, *pair in zip(node.op.checks, sizes[::2], sizes[1::2], strict=True)]
    left = [(c[0], n, m, c[1]) for c, n, m in checks if not _surely_holds(c[0], n, m)]
    if len(left) == len(checks):
        return None
    made = require(v, *left)
    copy_stack_trace(node.outputs[0], made)
    return [made]


class Holds(Nonzero):
    """``Holds()(mask)`` is the vector of the positions at which a mask holds. Integers have no derivative."""

    def pullback(self, inputs, outputs, cotangents):
        return [inputs[0].zeros_like(dtype="float64")]

    def pushforward(self, inputs, outputs, tangents):
        return [disconnected_type()]


# -- values, for the reference implementations ------------------------------------------------------------------


def canonical(value):
    """`value` with sorted indices and no duplicates: itself if it is so, else a copy."""
    if value.has_canonical_format:
        return value
    value = value.copy()
    value.sum_duplicates()
    return value


def coordinates(keys, n_columns):
    """Rows and columns of row-major positions; see `pattern_keys`."""
    m = max(int(n_columns), 1)
    return (keys // m).astype(np.int64), (keys % m).astype(np.int64)


def lookup(value, pattern):
    """Entries of the sparse `value` at the stored positions of `pattern`; zero where it has none."""
    keys = pattern_keys(value)
    order = np.argsort(keys, kind="stable")
    found, start = np.unique(keys[order], return_index=True)
    sums = np.add.reduceat(value.data[order], start) if len(start) else value.data[:0]
    wanted = pattern_keys(pattern)
    at = np.searchsorted(found, wanted)
    hit = at < len(found)
    hit[hit] = found[at[hit]] == wanted[hit]
    result = np.zeros(len(wanted), dtype=value.dtype)
    result[hit] = sums[at[hit]]
    return result


def typed(node, value, index=0):
    """`value` as the declared output type of a node: format, dtype, index dtype."""
    type = node.outputs[index].type
    value = value.asformat(type.format)
    if max(*value.shape, len(value.data)) > np.iinfo(type.numpy_index_dtype).max:
        raise ValueError(
            f"{node.op}: the result, of shape {tuple(map(int, value.shape))} with {len(value.data)} stored entries, "
            "does not fit int32 indices; use index_dtype='int64'."
        )
    return compressed(
        type.format,
        np.ascontiguousarray(value.data, type.numpy_dtype),
        np.ascontiguousarray(value.indices, type.numpy_index_dtype),
        np.ascontiguousarray(value.indptr, type.numpy_index_dtype),
        tuple(map(int, value.shape)),
    )


# -- derivatives ------------------------------------------------------------------------------------------------


def sampled(g, x):
    """The structured cotangent: `g` on the pattern of the sparse variable `x`."""
    from symsparse.ops.sampling import Sample

    return Sample()(g, x)


def conjugate(x):
    """The complex conjugate; `x` itself if it is real."""
    if x.type.dtype not in complex_dtypes:
        return x
    if is_sparse(x):
        from symsparse.ops.elementwise import conj

        return conj(x)
    return pt.conj(x)


def negated(condition):
    """The opposite of a condition. A fused graph without a compiler runs on Python's bools, and ~True is -2."""
    return pt.eq(condition, np.array(False))


def negative(v):
    """Minus a dense tensor; an unsigned integer wraps around, as in NumPy."""
    if v.type.dtype in uint_dtypes:  # PyTensor's rewrites of its own negative fail for them
        return pt.invert(v) + pt.constant(np.array(1, dtype=v.type.dtype))
    return -v


def real_part(g):
    """The real part of a complex cotangent of a real variable."""
    if is_sparse(g):
        from symsparse.ops.csm import replaced_values
        from symsparse.ops.layout import sum_duplicates

        g = sum_duplicates(g)
        return replaced_values(g, pt.real(g.values))
    return pt.real(g)


def zero_cotangent(x):
    """A cotangent that is zero: no stored entry for a sparse variable."""
    dtype = x.dtype if x.dtype in continuous_dtypes else "float64"
    return x.zeros_like(dtype=dtype)


def is_disconnected(g):
    """Whether there is no cotangent or tangent."""
    return g is None or isinstance(g.type, DisconnectedType)


class SparseOp(Op):
    """Base of the sparse ops with one output.

    A subclass writes ``cotangents(inputs, output, g)`` and ``tangent(inputs, output, tangents)``; this class deals
    with disconnected variables, integer outputs, and dtypes. ``differentiable`` names the inputs that have a
    derivative (None: all); ``multilinear`` says that the output is linear in each of them alone, which gives the
    tangent.
    """

    differentiable: tuple[int, ...] | None = (0,)
    multilinear = False

    def __call__(self, *inputs, **kwargs):
        made = super().__call__(*inputs, **kwargs)
        traced(made if isinstance(made, list | tuple) else [made])
        return made

    def cotangents(self, inputs, output, g):
        """One cotangent for each input in `differentiable`."""
        raise error(self, inputs, "has no gradient")

    def tangent(self, inputs, output, tangents):
        """Tangent of the output; a tangent that is None is zero."""
        if not self.multilinear:
            raise error(self, inputs, "has no forward derivative")
        terms = []
        for i in self._differentiable(inputs):
            if tangents[i] is not None:
                moved = list(inputs)
                moved[i] = tangents[i]
                terms.append(self(*moved))
        return sum(terms[1:], start=terms[0])

    def _differentiable(self, inputs):
        return range(len(inputs)) if self.differentiable is None else self.differentiable

    def connection_pattern(self, node):
        return [[i in self._differentiable(node.inputs)] for i in range(len(node.inputs))]

    def pullback(self, inputs, outputs, cotangents):
        (output,), (g,) = outputs, cotangents
        result = [disconnected_type() for _ in inputs]
        if is_disconnected(g):
            return result
        wanted = [inputs[i] for i in self._differentiable(inputs)]
        if output.dtype in discrete_dtypes:
            found = [zero_cotangent(x) for x in wanted]
        else:
            found = self.cotangents(inputs, output, g)
        for i, x, gx in zip(self._differentiable(inputs), wanted, found, strict=True):
            result[i] = self._dtype_of(x, gx)
            if is_sparse(x) and not is_sparse(result[i]) and result[i].owner is not None:
                traced([result[i]])
                result[i].tag.regular_gradient_of = x
        return result

    @staticmethod
    def _dtype_of(x, gx):
        if isinstance(gx.type, NullType) or x.dtype not in continuous_dtypes or gx.dtype == x.dtype:
            return gx
        if gx.dtype in complex_dtypes and x.dtype in float_dtypes:
            gx = real_part(gx)
        return gx.astype(x.dtype)

    def pushforward(self, inputs, outputs, tangents):
        given = [None if is_disconnected(t) else t for t in tangents]
        if all(given[i] is None for i in self._differentiable(inputs)):
            return [disconnected_type()]
        if outputs[0].dtype in discrete_dtypes:
            return [zero_cotangent(outputs[0])]
        return [self.tangent(inputs, outputs[0], given)]

    def __str__(self):
        props = ", ".join(f"{k}={v}" for k, v in self._props_dict().items()) if self.__props__ else ""
        return f"{type(self).__name__}{{{props}}}" if props else type(self).__name__


def apply(op, inputs, output_type):
    """An Apply node with one output of this type."""
    return Apply(op, inputs, [output_type()])
