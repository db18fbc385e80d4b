"""Functions of the stored entries."""

import numpy as np
import pytensor.tensor as pt
import scipy.special

import symsparse as ss
from tests.ops.table.base import D, S, case, on_stored

for name, function in {
    "structured_sigmoid": scipy.special.expit,
    "structured_exp": np.exp,
    "sin": np.sin,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "arcsinh": np.arcsinh,
    "tanh": np.tanh,
    "arctanh": np.arctanh,
    "rad2deg": np.rad2deg,
    "deg2rad": np.deg2rad,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "square": np.square,
    "structured_conjugate": np.conjugate,
}.items():
    bounded = {"low": -0.2, "high": 0.2} if name in ("arcsin", "arctanh") else {}  # duplicates add up
    kind = () if name == "structured_conjugate" else (0,)
    case(name, getattr(ss, name), [S()], on_stored(function), structured=kind, **bounded)
for name, function in {
    "structured_abs": np.abs,
    "sgn": np.sign,
    "rint": np.rint,
    "ceil": np.ceil,
    "floor": np.floor,
    "trunc": np.trunc,
}.items():
    case(name, getattr(ss, name), [S()], on_stored(function), structured=(0,), smooth_at_zero=False)
for name, function in {"structured_log": np.log, "sqrt": np.sqrt}.items():
    case(name, getattr(ss, name), [S()], on_stored(function), structured=(0,), low=0.1, smooth_at_zero=False)
for name, function in {
    "structured_pow": np.power,
    "structured_minimum": np.minimum,
    "structured_maximum": np.maximum,
    "structured_add": np.add,
}.items():
    case(
        name,
        getattr(ss, name),
        [S(), D("")],
        on_stored(function),
        structured=(0,),
        low=0.1,
        smooth_at_zero=False,
    )
case(
    "structured_monoid",
    lambda x: ss.structured_monoid(pt.cos)(x),
    [S()],
    on_stored(np.cos),
    structured=(0,),
)
case("neg", ss.neg, [S()], lambda x: -x.dense, regular=(0,))
case(
    "cast", lambda x: ss.cast(x, "float32"), [S()], lambda x: x.dense, tolerance={"rtol": 1e-5, "atol": 1e-5}
)
