"""How the sparse operations are computed: from parts to dense vectors; one file per family, as in ``ops``."""

from symsparse.lowering import (
    arithmetic,
    comparison,
    conversion,
    csm,
    elementwise,
    indexing,
    layout,
    matmul,
    reduction,
    sample,
)
from symsparse.lowering.base import lowering_db
