"""Functions of the stored entries of one sparse matrix: the structured family, neg, cast."""

import numpy as np
import pytensor.scalar as ps
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Constant
from pytensor.tensor.elemwise import Elemwise

from symsparse.ops.base import (
    SparseOp,
    apply,
    canonical,
    dense_operand,
    error,
    sampled,
    sparse_operand,
    typed,
)
from symsparse.ops.csm import replaced_values
from symsparse.ops.values import sp_zeros_like
from symsparse.types import brief, complex_dtypes, compressed, continuous_dtypes, legal_dtype

# f(a + b) = f(a) + f(b): these need no canonical form.
_ADDITIVE = (ps.Neg, ps.Identity, ps.Conj)
# Where PyTensor has the derivative of a complex function.
_COMPLEX_DERIVATIVE = (ps.Mul, ps.Abs, ps.Conj)
_public_names: dict[ps.ScalarOp, str] = {}


class StructuredElemwise(SparseOp):
    """A scalar function of the stored entries, with scalar parameters: ``y_k = f(x_k, *parameters)``.

    Works on the canonical form, so entries stored twice count as their sum. Gradient structured:
    ``gx_k = g_k * df/dx(x_k)``, ``gparameter = sum_k g_k * df/dparameter(x_k)``.
    """

    __props__ = ("scalar_op",)

    def __init__(self, scalar_op):
        self.scalar_op = scalar_op

    @property
    def is_additive(self):
        return isinstance(self.scalar_op, _ADDITIVE)

    @property
    def public_name(self):
        """What errors call this op."""
        return _public_names.get(self.scalar_op, f"structured_{self.scalar_op}")

    def make_node(self, x, *parameters):
        name = self.public_name
        x = sparse_operand(name, x)
        scalars = [dense_operand(name, p, (0,)) for p in parameters]
        values = pt.vector(dtype=x.dtype)
        if self.scalar_op == ps.sigmoid and x.dtype in complex_dtypes:
            raise error(name, [x], "not defined for complex matrices", "Take their real parts first.")
        if self.scalar_op == ps.pow and any(
            isinstance(s, Constant) and np.any(np.imag(s.data)) for s in scalars
        ):
            # PyTensor takes the square for x ** 2j: of a constant exponent it looks at abs(2j).
            instead = "Write structured_exp(structured_log(x) * s) for complex x."
            raise error(name, [x, *scalars], "a constant exponent must be real", instead)
        try:
            dtype = Elemwise(self.scalar_op)(values, *scalars).dtype
        except TypeError as e:
            raise error(name, [x, *scalars], f"not defined for these dtypes ({e})") from None
        return Apply(self, [x, *scalars], [x.type.clone(dtype=dtype)()])

    def perform(self, node, inputs, outputs):
        x, *parameters = inputs
        if not self.is_additive:
            x = canonical(x)
        function = self.scalar_op.nfunc_spec[0]
        function = getattr(np, function) if hasattr(np, function) else _scipy(function)
        dtype = node.outputs[0].dtype
        floating = np.dtype(dtype).kind in "fc"
        data = x.data
        if floating:
            wide = np.result_type(data.dtype, np.dtype(dtype))
            data = data.astype(wide)
            parameters = [np.asarray(p).astype(np.result_type(p, wide)) for p in parameters]
        elif len(parameters):
            common = np.result_type(data.dtype, *parameters)
            data, parameters = data.astype(common), [np.asarray(p).astype(common) for p in parameters]
        with np.errstate(all="ignore"):
            values = np.asarray(function(data, *parameters)).astype(dtype)
        outputs[0][0] = typed(node, compressed(x.format, values, x.indices.copy(), x.indptr.copy(), x.shape))

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    differentiable = None  # all of them: the parameters too

    def cotangents(self, inputs, output, g):
        x, *parameters = inputs
        g = sampled(g, x)  # on x's canonical pattern, so its values go with those of canonical_form(x)
        values = canonical_values(x)
        operands = [values, *(p[None] for p in parameters)]
        found = self._dense_pullback(inputs, operands, g.values)
        return [replaced_values(g, found[0]), *(gp.sum() for gp in found[1:])]

    def _dense_pullback(self, inputs, operands, g):
        elemwise = Elemwise(self.scalar_op)
        y = elemwise(*operands)
        if any(v.dtype in complex_dtypes for v in (*operands, y)):
            if isinstance(self.scalar_op, ps.Conj):
                return [pt.conj(g)]
            if not isinstance(self.scalar_op, _COMPLEX_DERIVATIVE):
                raise error(self.public_name, inputs, "has no gradient for complex matrices")
        return elemwise.pullback(operands, [y], [g])

    def tangent(self, inputs, output, tangents):
        x, *parameters = inputs
        values = canonical_values(x)
        operands = [values, *(pt.full_like(values, p, dtype=p.dtype) for p in parameters)]
        # Entry by entry the Jacobian is diagonal, so the pullback of ones is the slope.
        slopes = self._dense_pullback(inputs, operands, pt.ones_like(values, dtype=output.dtype))
        terms = [
            slope * (sampled(t, x).values if i == 0 else t)
            for i, (slope, t) in enumerate(zip(slopes, tangents, strict=True))
            if t is not None
        ]
        return replaced_values(sampled(x, x), sum(terms[1:], start=terms[0]).astype(output.dtype))

    def __str__(self):
        return f"Structured{{{self.scalar_op}}}"


def _scipy(name):
    import scipy.special  # as long to import as all of symsparse, for the reference implementation alone

    function = scipy.special
    for part in name.removeprefix("scipy.special.").split("."):
        function = getattr(function, part)
    return function


def canonical_values(x):
    """Values of the canonical form of `x`."""
    from symsparse.ops.layout import sum_duplicates

    return sum_duplicates(x).values


# -- the documented family --------------------------------------------------------------------------------------


def _structured(name, scalar_op, formula, slope, zero="", parameter=False, scale=None):
    """A function of the structured family, with its docstring."""
    op = StructuredElemwise(scalar_op)
    if scale is None:
        _public_names[scalar_op] = name

    def of_matrix(x):
        x = sparse_operand(name, x)
        if scalar_op == ps.conj and x.dtype not in complex_dtypes:
            return x
        if scale is None:
            return op(x)
        return op(x, np.asarray(scale, dtype=Elemwise(ps.exp)(pt.vector(dtype=x.dtype)).dtype))

    def of_matrix_and_scalar(x, s):
        return op(x, s)

    function = of_matrix_and_scalar if parameter else of_matrix
    function.__name__ = function.__qualname__ = name
    takes = (
        "\n    s : scalar\n        Number, NumPy scalar, or symbolic scalar; differentiable."
        if parameter
        else ""
    )
    call = f"ss.{name}(x, 2.0)" if parameter else f"ss.{name}(x)"
    function.__doc__ = f"""{formula} of the stored entries.

    Parameters
    ----------
    x : sparse matrix (m, n){takes}

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `x`; dtype as the dense function of PyTensor gives it. Positions that are not stored
        stay zero{zero}. Explicit zeros are stored entries; entries stored twice are summed first.

    Notes
    -----
    Gradient: structured, ``gx_k = g_k * ({slope})`` at the stored entries. O(nnz).

    Examples
    --------
    >>> import symsparse as ss
    >>> x = ss.csr_matrix("x", dtype="float64", shape=(2, 3))
    >>> {call}.type
    SparseTensorType(csr, float64, shape=(2, 3))
    """
    return function


_NOT_ZERO = ", although the function of 0 is not 0: hence *structured*"

structured_sigmoid = _structured(
    "structured_sigmoid", ps.sigmoid, "1 / (1 + exp(-x))", "y_k (1 - y_k)", _NOT_ZERO
)
structured_exp = _structured("structured_exp", ps.exp, "exp(x)", "y_k", _NOT_ZERO)
structured_log = _structured("structured_log", ps.log, "Natural logarithm", "1 / x_k", _NOT_ZERO)
structured_pow = _structured(
    "structured_pow", ps.pow, "x ** s", "s x_k^(s - 1)", " (also where s <= 0)", True
)
structured_minimum = _structured(
    "structured_minimum", ps.minimum, "min(x, s)", "1 where x_k <= s, else 0", " (also where s < 0)", True
)
structured_maximum = _structured(
    "structured_maximum", ps.maximum, "max(x, s)", "1 where x_k >= s, else 0", " (also where s > 0)", True
)
structured_add = _structured(
    "structured_add", ps.add, "x + s", "1", _NOT_ZERO.replace("function", "sum"), True
)
structured_abs = _structured("structured_abs", ps.abs, "Absolute value", "sign(x_k)")
structured_conjugate = _structured("structured_conjugate", ps.conj, "Complex conjugate", "1, conjugated")
sin = _structured("sin", ps.sin, "Sine", "cos(x_k)")
tan = _structured("tan", ps.tan, "Tangent", "1 + y_k^2")
arcsin = _structured("arcsin", ps.arcsin, "Inverse sine", "1 / sqrt(1 - x_k^2)")
arctan = _structured("arctan", ps.arctan, "Inverse tangent", "1 / (1 + x_k^2)")
sinh = _structured("sinh", ps.sinh, "Hyperbolic sine", "cosh(x_k)")
arcsinh = _structured("arcsinh", ps.arcsinh, "Inverse hyperbolic sine", "1 / sqrt(1 + x_k^2)")
tanh = _structured("tanh", ps.tanh, "Hyperbolic tangent", "1 - y_k^2")
arctanh = _structured("arctanh", ps.arctanh, "Inverse hyperbolic tangent", "1 / (1 - x_k^2)")
rad2deg = _structured("rad2deg", ps.mul, "Degrees from radians", "180 / pi", scale=180 / np.pi)
deg2rad = _structured("deg2rad", ps.mul, "Radians from degrees", "pi / 180", scale=np.pi / 180)
rint = _structured("rint", ps.round_half_to_even, "Nearest integer, halves to even,", "0")
ceil = _structured("ceil", ps.ceil, "Smallest integer not below", "0")
floor = _structured("floor", ps.floor, "Largest integer not above", "0")
trunc = _structured("trunc", ps.trunc, "Integer part", "0")
sgn = _structured("sgn", ps.sign, "Sign", "0")
log1p = _structured("log1p", ps.log1p, "log(1 + x)", "1 / (1 + x_k)")
expm1 = _structured("expm1", ps.expm1, "exp(x) - 1", "1 + y_k")
square = _structured("square", ps.sqr, "Square", "2 x_k")
sqrt = _structured("sqrt", ps.sqrt, "Square root", "1 / (2 y_k)")
conj = conjugate = structured_conjugate
sign, sqr = sgn, square


def structured_monoid(tensor_op):
    """Turn a dense elementwise function of PyTensor into one of the stored entries.

    Parameters
    ----------
    tensor_op : pytensor.tensor.elemwise.Elemwise
        Its first argument becomes the sparse matrix, the others scalars.

    Returns
    -------
    callable
        ``f(x, *scalars)`` with a structured gradient, as the functions above.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> import symsparse as ss
    >>> structured_cos = ss.structured_monoid(pt.cos)
    >>> structured_cos(ss.csr_matrix("x")).format
    'csr'
    """
    scalar_op = getattr(tensor_op, "scalar_op", None)
    if scalar_op is None:
        raise TypeError(
            f"structured_monoid: needs an elementwise op of PyTensor, got {brief(tensor_op)}. Write "
            "structured_monoid(pytensor.tensor.cos)."
        )

    def decorate(function):
        def structured(x, *scalars):
            return StructuredElemwise(scalar_op)(x, *scalars)

        structured.__name__ = getattr(function, "__name__", f"structured_{scalar_op}")
        structured.__doc__ = getattr(function, "__doc__", None)
        return structured

    return decorate(tensor_op)


# -- neg and cast -----------------------------------------------------------------------------------------------


class Neg(SparseOp):
    """``-x``. Gradient regular: ``gx = -g``."""

    __props__ = ()
    multilinear = True

    def make_node(self, x):
        x = sparse_operand("neg", x)
        if x.dtype == "bool":
            raise error("neg", [x], "bool has no negative", "Cast it first: x.astype('int8').")
        return apply(self, [x], x.type)

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        outputs[0][0] = compressed(x.format, -x.data, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        return [-g]


class Cast(SparseOp):
    """The same matrix with values of another dtype. Gradient regular: ``gx = cast(g, x.dtype)``."""

    __props__ = ("out_type",)
    multilinear = True

    def __init__(self, out_type):
        self.out_type = legal_dtype("cast", out_type)

    def is_additive(self, dtype):
        """Whether casting commutes with summing duplicates."""
        return (
            not (dtype in continuous_dtypes and self.out_type not in continuous_dtypes)
            and self.out_type != "bool"
        )

    def make_node(self, x):
        x = sparse_operand("cast", x)
        if x.dtype in complex_dtypes and self.out_type not in complex_dtypes:
            raise _drops_imaginary_part("cast", x, self.out_type)
        return apply(self, [x], x.type.clone(dtype=self.out_type))

    def perform(self, node, inputs, outputs):
        x = inputs[0]
        if not self.is_additive(x.dtype.name):
            x = canonical(x)
        with np.errstate(invalid="ignore"):
            data = x.data.astype(self.out_type)
        outputs[0][0] = compressed(x.format, data, x.indices.copy(), x.indptr.copy(), x.shape)

    def infer_shape(self, node, shapes):
        return shapes

    def cotangents(self, inputs, output, g):
        x = inputs[0]
        if x.dtype not in continuous_dtypes:
            return [sp_zeros_like(x, "float64")]
        return [g]

    def tangent(self, inputs, output, tangents):
        return tangents[0].astype(output.dtype)

    def __str__(self):
        return f"Cast{{{self.out_type}}}"


def neg(x):
    """Negative of a sparse matrix, ``-x``.

    Notes
    -----
    Gradient: regular, ``gx = -g``. Unsigned integers wrap around, as in NumPy. O(nnz).

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> import symsparse as ss
    >>> ss.neg(sp.csr_array([[0.0, 5.0]])).eval().toarray()
    array([[ 0., -5.]])
    """
    return Neg()(x)


def cast(variable, dtype):
    """The same sparse matrix with values of another dtype.

    Parameters
    ----------
    variable : sparse matrix (m, n)
    dtype : str or numpy.dtype
        ``"floatX"`` is understood.

    Returns
    -------
    sparse matrix (m, n)
        Format and pattern of `variable`; `variable` itself if the dtype is its own.

    Notes
    -----
    Gradient: regular, the cotangent cast back; zero for integer matrices. Complex to real is an error. O(nnz).

    Examples
    --------
    >>> import symsparse as ss
    >>> ss.cast(ss.csr_matrix("x", dtype="float64"), "float32").dtype
    'float32'
    """
    return _cast("cast", variable, dtype)


def _cast(op, x, dtype):
    x, dtype = sparse_operand(op, x), legal_dtype(op, dtype)
    if x.dtype in complex_dtypes and dtype not in complex_dtypes:
        raise _drops_imaginary_part(op, x, dtype)
    return x if x.dtype == dtype else Cast(dtype)(x)


def _drops_imaginary_part(op, x, dtype):
    return error(op, [x], f"a complex matrix has no {dtype} values", "Take the real part of x.values first.")


def _caster(name, dtype):
    def function(variable):
        return _cast(name, variable, dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Cast a sparse matrix to {dtype}; see `cast`."
    return function


bcast = _caster("bcast", "int8")
wcast = _caster("wcast", "int16")
icast = _caster("icast", "int32")
lcast = _caster("lcast", "int64")
fcast = _caster("fcast", "float32")
dcast = _caster("dcast", "float64")
ccast = _caster("ccast", "complex64")
zcast = _caster("zcast", "complex128")

__all__ = (
    "Cast Neg StructuredElemwise arcsin arcsinh arctan arctanh bcast cast ccast ceil conj conjugate dcast deg2rad "
    "expm1 fcast floor icast lcast log1p neg rad2deg rint sgn sign sin sinh sqr sqrt square structured_abs "
    "structured_add structured_conjugate structured_exp structured_log structured_maximum structured_minimum "
    "structured_monoid structured_pow structured_sigmoid tan tanh trunc wcast zcast"
).split()
