"""Transposes, formats, storage."""

import symsparse as ss
from tests.ops.table.base import S, case

case("transpose", ss.transpose, [S()], lambda x: x.dense.T, regular=(0,))
case("asformat_csr", lambda x: ss.asformat(x, "csr"), [S()], lambda x: x.dense, regular=(0,))
case("asformat_csc", lambda x: ss.asformat(x, "csc"), [S()], lambda x: x.dense, regular=(0,))
for name in ("ensure_sorted_indices", "sum_duplicates", "remove0", "clean"):
    case(name, getattr(ss, name), [S()], lambda x: x.dense, regular=(0,))
