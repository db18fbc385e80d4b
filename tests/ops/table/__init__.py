"""The op table: for every op what it computes, in dense NumPy. The tests of ``tests/ops`` are generated from it."""

from tests.ops.table import (
    arithmetic,
    comparison,
    construction,
    conversion,
    elementwise,
    indexing,
    kronecker,
    layout,
    matmul,
    reduction,
    selection,
    stacking,
    updating,
)
from tests.ops.table.base import CASES, Matrix
