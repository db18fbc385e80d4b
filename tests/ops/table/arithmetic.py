"""Sums and products elementwise, scaling."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case, on_stored

case("add_sparse", ss.add, [S(), S()], lambda x, y: x.dense + y.dense, regular=(0, 1))
case("add_same_pattern", ss.add, [S(), S(same_pattern_as=0)], lambda x, y: x.dense + y.dense, regular=(0, 1))
case(
    "add_s_s_data",
    ss.add_s_s_data,
    [S(), S(same_pattern_as=0)],
    lambda x, y: x.dense + y.dense,
    structured=(0, 1),
)
case("sub_sparse", ss.sub, [S(), S()], lambda x, y: x.dense - y.dense, regular=(0, 1))
case("sub_dense_sparse", ss.sub, [D("mn"), S()], lambda y, x: y - x.dense, structured=(1,))
case("mul_sparse", ss.mul, [S(), S()], lambda x, y: x.dense * y.dense)
case("mul_same", lambda x: x * x, [S()], lambda x: x.dense**2)
for label, operand in {
    "matrix": D("mn"),
    "vector": D("n"),
    "row": D("1n", static=(1, None)),
    "column": D("m1", static=(None, 1)),
}.items():
    case(f"add_{label}", ss.add, [S(), operand], lambda x, y: x.dense + y, structured=(0,))
    case(f"sub_{label}", ss.sub, [S(), operand], lambda x, y: x.dense - y, structured=(0,))
    case(f"mul_{label}", ss.mul, [S(), operand], lambda x, y: x.dense * y)
    case(f"mul_{label}_left", ss.mul, [operand, S()], lambda y, x: x.dense * y)
case("mul_scalar", ss.mul, [S(), D("")], lambda x, y: x.dense * y)
case("mul_one_by_one", ss.mul, [S(), D("11", static=(1, 1))], lambda x, y: x.dense * y)
case("true_div_scalar", lambda x, y: x / y, [S(), D("")], lambda x, y: x.dense / y, low=0.2)
case("true_div_matrix", lambda x, y: x / y, [S(), D("mn")], lambda x, y: x.dense / y, low=0.2)
case("power", lambda x: x**3, [S()], lambda x: x.dense**3, structured=(0,))
case("floor_div", lambda x: x // 0.25, [S()], lambda x: x.dense // 0.25, smooth_at_zero=False)
case("mod", lambda x: x % 0.25, [S()], lambda x: x.dense % 0.25, smooth_at_zero=False)
case("col_scale", ss.col_scale, [S(), D("n")], lambda x, s: x.dense * s, structured=(0,))
case("row_scale", ss.row_scale, [S(), D("m")], lambda x, s: x.dense * s[:, None], structured=(0,))
case("mul_s_v", ss.mul_s_v, [S(), D("n")], lambda x, v: x.dense * v)
case("structured_add_s_v", ss.structured_add_s_v, [S(), D("n")], on_stored(np.add), structured=(0,))
