"""Comparisons. Their gradient is zero."""

import numpy as np
import pytensor.scalar as ps
from pytensor.graph.basic import Constant
from pytensor.tensor.type import TensorType

from symsparse.ops.arithmetic import pair
from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    is_sparse,
    merged_shape,
    require_equal,
    sparse_operand,
    typed,
    wider_index,
)
from symsparse.ops.broadcasting import broadcast_shape, broadcast_value
from symsparse.ops.elementwise import StructuredElemwise, cast
from symsparse.types import SCIPY_CLASSES


class _Compare(SparseOp):
    """Result uint8 (1 where the comparison holds). Gradient: zero."""

    __props__ = ()
    differentiable = (0, 1)
    name: str
    numpy_name: str
    scalar_op: ps.ScalarOp

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    @property
    def holds_at_zero(self):
        """Whether 0 compares with 0: the result of two sparse matrices is then full."""
        return self.numpy_name in ("equal", "less_equal", "greater_equal")

    def __str__(self):
        return type(self).__name__


class _CompareSS(_Compare):
    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), sparse_operand(self.name, y)
        shape = merged_shape(self.name, x, y)
        return apply(self, [x, y], x.type.clone(dtype="uint8", shape=shape, index_dtype=wider_index(x, y)))

    def perform(self, node, inputs, outputs):
        x, y = (canonical(v) for v in inputs)
        require_equal(self.name, "shapes", x.shape, y.shape)
        result = getattr(np, self.numpy_name)(x.toarray(), y.toarray())
        outputs[0][0] = typed(node, SCIPY_CLASSES[x.format](result.astype("uint8")))


class _CompareSD(_Compare):
    def make_node(self, x, y):
        x, y = sparse_operand(self.name, x), dense_operand(self.name, y, (1, 2))
        return apply(self, [x, y], TensorType("uint8", broadcast_shape(self.name, x, y)))

    def perform(self, node, inputs, outputs):
        x, y = inputs
        full = broadcast_value(self.name, x.shape, node.inputs[1], y)
        outputs[0][0] = getattr(np, self.numpy_name)(x.toarray(), full).astype("uint8")


def _comparison(stem, name, numpy_name, scalar_op):
    """The two classes of one comparison: sparse with sparse, and sparse with dense."""
    made = []
    for base, suffix, kinds in (
        (_CompareSS, "SS", "two sparse matrices"),
        (_CompareSD, "SD", "a sparse and a dense one"),
    ):
        made.append(
            type(
                f"{stem}{suffix}",
                (base,),
                {
                    "name": name,
                    "numpy_name": numpy_name,
                    "scalar_op": scalar_op,
                    "__module__": __name__,
                    "__doc__": f"``{numpy_name}`` of {kinds}; uint8. Gradient: zero.",
                },
            )
        )
    return made


EqualSS, EqualSD = _comparison("Equal", "eq", "equal", ps.eq)
NotEqualSS, NotEqualSD = _comparison("NotEqual", "neq", "not_equal", ps.neq)
LessThanSS, LessThanSD = _comparison("LessThan", "lt", "less", ps.lt)
GreaterThanSS, GreaterThanSD = _comparison("GreaterThan", "gt", "greater", ps.gt)
LessEqualSS, LessEqualSD = _comparison("LessEqual", "le", "less_equal", ps.le)
GreaterEqualSS, GreaterEqualSD = _comparison("GreaterEqual", "ge", "greater_equal", ps.ge)

equal_s_s, equal_s_d = EqualSS(), EqualSD()
not_equal_s_s, not_equal_s_d = NotEqualSS(), NotEqualSD()
less_than_s_s, less_than_s_d = LessThanSS(), LessThanSD()
greater_than_s_s, greater_than_s_d = GreaterThanSS(), GreaterThanSD()
less_equal_s_s, less_equal_s_d = LessEqualSS(), LessEqualSD()
greater_equal_s_s, greater_equal_s_d = GreaterEqualSS(), GreaterEqualSD()


def _compare(name, sparse_sparse, sparse_dense, mirrored, x, y):
    x, y = pair(name, x, y)
    if is_sparse(x) and is_sparse(y):
        return sparse_sparse(x, y)
    if not is_sparse(x):
        x, y, sparse_dense = y, x, mirrored
    if y.type.ndim > 0:
        broadcast_shape(name, x, y)  # an error has the name that the user wrote
        return sparse_dense(x, y)
    symbol = sparse_dense.numpy_name
    instead = "Write the comparison with x.toarray(), or structured_monoid(...) for the stored entries only."
    if not isinstance(y, Constant):
        raise error(name, [x, y], "cannot know whether 0 compares with a symbolic scalar", instead)
    if getattr(np, symbol)(np.zeros((), dtype=x.dtype), y.data):
        raise error(name, [x, y], f"0 {symbol} {y.data} holds, so the result would be dense", instead)
    return cast(StructuredElemwise(sparse_dense.scalar_op)(x, y), "uint8")


def _documented(name, symbol, sparse_sparse, sparse_dense, mirrored):
    def function(x, y):
        return _compare(name, sparse_sparse, sparse_dense, mirrored, x, y)

    full = "; 0 compares with 0, so the result stores every position" if sparse_sparse.holds_at_zero else ""
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Elementwise ``x {symbol} y`` of two matrices, at least one of them sparse.

    Parameters
    ----------
    x, y : sparse matrix (m, n), dense matrix or vector that broadcasts to it, or constant scalar
        With a scalar the comparison must be false at 0; otherwise the result would be dense, which is an error.

    Returns
    -------
    uint8 matrix (m, n)
        1 where it holds. Sparse for two sparse matrices{full}; dense with a dense matrix; with a scalar sparse, on the
        pattern of the sparse operand.

    Notes
    -----
    Gradient: zero.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.{name}(sp.csr_array([[0.0, 2.0]]), sp.csr_array([[0.0, 1.0]])).dtype
    'uint8'
    """
    return function


eq = _documented("eq", "==", equal_s_s, equal_s_d, equal_s_d)
neq = _documented("neq", "!=", not_equal_s_s, not_equal_s_d, not_equal_s_d)
lt = _documented("lt", "<", less_than_s_s, less_than_s_d, greater_than_s_d)
gt = _documented("gt", ">", greater_than_s_s, greater_than_s_d, less_than_s_d)
le = _documented("le", "<=", less_equal_s_s, less_equal_s_d, greater_equal_s_d)
ge = _documented("ge", ">=", greater_equal_s_s, greater_equal_s_d, less_equal_s_d)

__all__ = (
    "EqualSD EqualSS GreaterEqualSD GreaterEqualSS GreaterThanSD GreaterThanSS LessEqualSD LessEqualSS LessThanSD "
    "LessThanSS NotEqualSD NotEqualSS eq equal_s_d equal_s_s ge greater_equal_s_d greater_equal_s_s greater_than_s_d "
    "greater_than_s_s gt le less_equal_s_d less_equal_s_s less_than_s_d less_than_s_s lt neq not_equal_s_d "
    "not_equal_s_s"
).split()
