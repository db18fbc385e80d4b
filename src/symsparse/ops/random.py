"""Random draws with an explicit generator.

A draw is a function of its generator: the same generator gives the same draw in every mode, since ``perform`` runs the
loops of ``symsparse.kernels.random`` too.
"""

import importlib
import warnings

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type, grad_undefined
from pytensor.graph.basic import Apply, Constant
from pytensor.tensor.random.op import RNGConsumerOp
from pytensor.tensor.random.type import as_rng
from pytensor.tensor.random.utils import custom_rng_deepcopy
from pytensor.tensor.random.variable import shared_rng

from symsparse.ops.base import (
    SparseOp,
    canonical,
    dense_operand,
    error,
    is_disconnected,
    sparse_operand,
    typed,
)
from symsparse.ops.csm import shape_vector, static_shape
from symsparse.tracing import traced
from symsparse.types import (
    SparseTensorType,
    complex_dtypes,
    compressed,
    float_dtypes,
    index_dtypes,
    integer_dtypes,
    legal_dtype,
    legal_format,
)


class RandomOp(SparseOp, RNGConsumerOp):
    """Base of the random ops: (rng, *parameters) -> (next rng, draws).

    Called like PyTensor's random variables: ``op(*parameters, rng=rng, return_next_rng=True)``.
    """

    default_output = 1
    differentiable: tuple[int, ...] = (1,)  # the parameters that a gradient would be about, if there were one
    __props__: tuple[str, ...] = ()

    def __call__(self, *parameters, rng=None, return_next_rng=False, name=None):
        fresh = rng is None
        if fresh:
            rng = shared_rng(seed=None)
        next_rng, draws = self.make_node(rng, *parameters).outputs
        traced([draws])
        if fresh:
            with warnings.catch_warnings():  # deprecated, but nothing else makes repeated calls differ
                warnings.simplefilter("ignore", DeprecationWarning)
                rng.default_update = next_rng
        draws.name = name
        return (next_rng, draws) if return_next_rng else draws

    def node(self, name, rng, parameters, output_type):
        """The Apply of this op."""
        try:
            rng = as_rng(rng)
        except (TypeError, AttributeError):
            raise TypeError(
                f"{name}: rng must be a symbolic random generator, not {getattr(rng, 'type', type(rng).__name__)}. "
                "Make one with pt.random.shared_rng(generator), pt.random.shared_rng(seed=...) or pt.random.rng()."
            ) from None
        rng.tag.used = True  # PyTensor warns of a second use by ``rng.normal()`` and its like
        return Apply(self, [rng, *parameters], [rng.type(), output_type()])

    def draw(self, rng, outputs, kernel, *args):
        """What the kernel draws from a copy of the generator, which becomes the first output."""
        outputs[0][0] = rng = custom_rng_deepcopy(rng)
        return getattr(importlib.import_module("symsparse.kernels.random"), kernel)(rng, *args)

    def update(self, node):
        return {node.inputs[0]: node.outputs[0]}

    def do_constant_folding(self, fgraph, node):
        return False

    def connection_pattern(self, node):
        count = len(node.inputs)
        return [[True, False], *([False, i in self.differentiable] for i in range(1, count))]

    def pullback(self, inputs, outputs, cotangents):
        result = [disconnected_type() for _ in inputs]
        if not is_disconnected(cotangents[1]):
            for i in self.differentiable:
                result[i] = grad_undefined(self, i, inputs[i], "Random draws have no gradient.")
        return result

    def pushforward(self, inputs, outputs, tangents):
        # As PyTensor's random variables: zero tangents arrive here too, so that an error would hit other derivatives.
        return [disconnected_type(), disconnected_type()]


def largest_count(dtype):
    """The largest 64-bit count that fits a dtype; floats round."""
    largest = np.iinfo("int64").max
    return min(largest, np.iinfo(dtype).max) if dtype in integer_dtypes else largest


def _integers(op, x, what, ndims):
    """`x` as int64."""
    x = dense_operand(op, x, ndims)
    if x.dtype not in integer_dtypes:
        raise error(op, [x], f"{what} must be an integer", "Cast it: .astype('int64').")
    return pt.constant(x.data.astype("int64")) if isinstance(x, Constant) else x.astype("int64")


def _shape(op, shape):
    """A symbolic int64 vector of two sizes from a pair of them, or from a vector."""
    if isinstance(shape, tuple | list) and len(shape) == 2:
        return shape_vector(*(_integers(op, n, "a size", (0,)) for n in shape))
    shape = _integers(op, shape, "the shape", (1,))
    if shape.type.shape[0] not in (None, 2):
        raise error(op, [shape], "the shape must have two elements", kind=ValueError)
    return shape


# -- Poisson ----------------------------------------------------------------------------------------------------


class Poisson(RandomOp):
    """Poisson draws with the stored entries as means, and no explicit zeros; see `poisson`. No gradient."""

    def make_node(self, rng, x):
        x = sparse_operand("poisson", x)
        if x.dtype in complex_dtypes or x.dtype == "bool":
            raise error("poisson", [x], f"means cannot be {x.dtype}", "Cast them: x.astype('float64').")
        return self.node("poisson", rng, [x], x.type)

    def perform(self, node, inputs, outputs):
        rng, x = inputs
        x = canonical(x)
        counts = self.draw(rng, outputs, "poisson", x.data, largest_count(x.dtype.name))
        draws = compressed(x.format, counts, x.indices, x.indptr, x.shape).copy()
        draws.eliminate_zeros()
        outputs[1][0] = typed(node, draws, 1)

    def infer_shape(self, node, shapes):
        return [None, shapes[1]]


def poisson(x, *, rng=None, return_next_rng=False):
    """Poisson draws whose means are the entries of a sparse matrix.

    Parameters
    ----------
    x : sparse matrix (m, n)
        Means, not negative. Real; int or float.
    rng : RNG variable, optional
        ``pt.random.rng()`` or ``pt.random.shared_rng(seed=...)``. Without it, a fresh shared one that is updated at
        each call.
    return_next_rng : bool
        Return the generator as it is after the draws, too.

    Returns
    -------
    draws : sparse matrix (m, n)
        Format and dtype of `x`. Only draws that are not zero are stored: entries that `x` does not store have mean 0.
    next_rng : RNG variable
        Comes first, with `return_next_rng`. Pass it to the next draw, or use it as the update of `rng`: an `rng` that
        is not updated gives the same draws again. As in PyTensor, a draw that nothing reads advances no generator.

    Raises
    ------
    ValueError
        At run time, if a mean is negative, NaN or above 9.2e18, or if a draw does not fit an integer dtype.

    Notes
    -----
    Gradient: undefined, an error. O(nnz), times log(mean) for large means. The same `rng` gives the same draws in every
    mode.

    Small means count the arrivals of a process of rate 1, large ones go there by gamma variables (J. H. Ahrens and U.
    Dieter, Computer methods for sampling from gamma, beta, Poisson and binomial distributions, Computing 12, 1974).

    Random values on a fixed pattern need no operation of their own::

        next_rng, noise = pt.random.normal(size=x.values.shape, rng=rng, return_next_rng=True)
        y = x.with_values(noise)

    Examples
    --------
    >>> import pytensor, pytensor.tensor as pt
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> rng = pt.random.shared_rng(seed=1)
    >>> means = sp.csr_array([[0, 1e6], [2e6, 0]])
    >>> next_rng, draws = ss.poisson(means, rng=rng, return_next_rng=True)
    >>> f = pytensor.function([], draws, updates={rng: next_rng})
    >>> first, second = f(), f()
    >>> bool(abs(first - means).max() < 1e4)
    True
    >>> (first != second).nnz
    2
    """
    return Poisson()(x, rng=rng, return_next_rng=return_next_rng)


# -- binomial ---------------------------------------------------------------------------------------------------


class Binomial(RandomOp):
    """A sparse matrix of independent Binomial(n, p) draws, stored where they are not zero.

    Call it as ``Binomial(format, dtype)(n, p, shape, rng=None, return_next_rng=False)``; ``csr_dbinomial``,
    ``csr_fbinomial``, ``csc_dbinomial`` and ``csc_fbinomial`` are made for float64 and float32.

    Parameters
    ----------
    format : {"csr", "csc"}
    dtype : str
        Integer or float.
    index_dtype : {"int32", "int64"}

    n : integer scalar
        Number of trials of each entry.
    p : scalar
        Probability of a success.
    shape : pair of sizes
        Integers, symbolic or not, or an integer vector.
    rng, return_next_rng
        As for `poisson`.

    Returns
    -------
    draws : sparse matrix (shape)
    next_rng : RNG variable
        Comes first, with `return_next_rng`.

    Raises
    ------
    ValueError
        At run time, if n or the shape is negative, p is not between 0 and 1, n does not fit an integer dtype, or the
        entries or sizes do not fit the index dtype.

    Notes
    -----
    Gradient: undefined for n and p, disconnected for the shape.

    Nothing dense is formed: the next entry that is not zero is found by skipping over a geometric number of zeros, and
    its value is drawn under the condition that it is not zero (L. Devroye, Non-Uniform Random Variate Generation,
    1986, sections X.2 and X.4). Exact for every n and p. Memory and time O(nnz + rows), columns for csc; a value takes
    O(min(np, 16) + log n).

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> import symsparse as ss
    >>> rng = pt.random.shared_rng(seed=1)
    >>> x = ss.csr_dbinomial(1, 1e-9, (1_000_000, 1_000_000), rng=rng)
    >>> 900 < x.eval().nnz < 1100
    True
    """

    __props__ = ("format", "dtype", "index_dtype")
    differentiable = (1, 2)

    def __init__(self, format, dtype, index_dtype="int32"):
        self.format = legal_format("Binomial", format)
        self.dtype = legal_dtype("Binomial", dtype, integer_dtypes + float_dtypes)
        self.index_dtype = legal_dtype("Binomial", index_dtype, index_dtypes, "index dtype")

    def make_node(self, rng, n, p, shape):
        n = _integers("binomial", n, "n", (0,))
        p = dense_operand("binomial", p, (0,))
        if p.dtype in complex_dtypes:
            raise error("binomial", [p], "p must be real")
        shape = _shape("binomial", shape)
        output_type = SparseTensorType(
            self.format, self.dtype, static_shape(shape), index_dtype=self.index_dtype
        )
        return self.node("binomial", rng, [n, p.astype("float64"), shape], output_type)

    def perform(self, node, inputs, outputs):
        rng, n, p, shape = inputs
        if len(shape) != 2:
            raise ValueError(f"binomial: shape must have two elements, got {len(shape)}.")
        shape = tuple(map(int, shape))
        n_major, n_minor = shape if self.format == "csr" else shape[::-1]
        largest, index_like = largest_count(self.dtype), np.empty(0, self.index_dtype)
        indices, indptr, counts = self.draw(
            rng, outputs, "binomial", int(n), float(p), n_major, n_minor, largest, index_like
        )
        outputs[1][0] = typed(node, compressed(self.format, counts, indices, indptr, shape), 1)

    def infer_shape(self, node, shapes):
        return [None, (node.inputs[3][0], node.inputs[3][1])]


csr_dbinomial = Binomial("csr", "float64")
csr_fbinomial = Binomial("csr", "float32")
csc_dbinomial = Binomial("csc", "float64")
csc_fbinomial = Binomial("csc", "float32")


# -- multinomial ------------------------------------------------------------------------------------------------


class Multinomial(RandomOp):
    """Multinomial draws, one for each row of probabilities; see `multinomial`. No gradient."""

    differentiable = (1, 2)

    def make_node(self, rng, n, p):
        p = sparse_operand("multinomial", p)
        if p.dtype not in float_dtypes:
            raise error("multinomial", [p], "the probabilities must be floats")
        n = _integers("multinomial", n, "n", (0, 1))
        if n.type.ndim == 1 and None not in (n.type.shape[0], p.type.shape[0]):
            if n.type.shape[0] != p.type.shape[0]:
                raise error("multinomial", [n, p], "needs one n, or one for each row", kind=ValueError)
        return self.node("multinomial", rng, [n, p], p.type)

    def perform(self, node, inputs, outputs):
        rng, n, p = inputs
        p = canonical(p).tocsr()
        n = np.full(p.shape[0], n) if n.ndim == 0 else n
        counts = self.draw(rng, outputs, "multinomial", n, p.data, p.indptr)
        draws = compressed("csr", counts, p.indices.copy(), p.indptr.copy(), p.shape)
        outputs[1][0] = typed(node, draws, 1)

    def infer_shape(self, node, shapes):
        return [None, shapes[2]]


def multinomial(n, p, *, rng=None, return_next_rng=False):
    """Multinomial draws, one for each row of a sparse matrix of probabilities.

    Parameters
    ----------
    n : integer scalar or vector (m,)
        Number of events of each row.
    p : sparse matrix (m, k)
        Of floats. The stored entries of a row are the probabilities of its columns and sum to 1. A row may be empty
        if its n is 0.
    rng, return_next_rng
        As for `poisson`.

    Returns
    -------
    draws : sparse matrix (m, k)
        Counts with format, dtype and pattern of `p`. Counts that are zero stay stored; `remove0` drops them.
    next_rng : RNG variable
        Comes first, with `return_next_rng`.

    Raises
    ------
    ValueError
        At run time, if an n is negative, a probability is negative or NaN, or those of a row do not sum to 1 up to the
        square root of the dtype's precision: 1.5e-8, 3.5e-4 for float32. Smaller deviations are divided out.

    Notes
    -----
    Gradient: undefined. O(nnz) binomial draws, each given those before it (L. Devroye, Non-Uniform Random Variate
    Generation, 1986, section XI.1.4). Work on rows: csc is converted and back.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> rng = pt.random.shared_rng(seed=1)
    >>> p = sp.csr_array([[0.5, 0, 0.5], [0, 1, 0]])
    >>> ss.multinomial(10, p, rng=rng).eval().sum(axis=1)
    array([10., 10.])
    """
    return Multinomial()(n, p, rng=rng, return_next_rng=return_next_rng)


__all__ = [
    "Binomial",
    "Multinomial",
    "Poisson",
    "csc_dbinomial",
    "csc_fbinomial",
    "csr_dbinomial",
    "csr_fbinomial",
    "multinomial",
    "poisson",
]
