"""Indexing."""

import symsparse as ss
from tests.ops.table.base import D, S, case

case(
    "get_item_list",
    ss.get_item_list,
    [S(), D("k", dtype="int64")],
    lambda x, rows: x.dense[rows],
)
