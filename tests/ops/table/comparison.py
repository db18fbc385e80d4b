"""Comparisons."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

for name, function in {
    "eq": np.equal,
    "neq": np.not_equal,
    "lt": np.less,
    "gt": np.greater,
    "le": np.less_equal,
    "ge": np.greater_equal,
}.items():
    build = getattr(ss, name)
    flags = {"integer": True, "gradient": False}
    case(f"{name}_sparse", build, [S(), S()], lambda x, y, f=function: f(x.dense, y.dense), **flags)
    case(f"{name}_dense", build, [S(), D("mn")], lambda x, y, f=function: f(x.dense, y), **flags)
    case(f"{name}_dense_left", build, [D("mn"), S()], lambda y, x, f=function: f(y, x.dense), **flags)
case("gt_scalar", lambda x: x > 0.2, [S()], lambda x: x.dense > 0.2, integer=True, gradient=False)
case("neq_scalar", lambda x: x != 0, [S()], lambda x: x.dense != 0, integer=True, gradient=False)
