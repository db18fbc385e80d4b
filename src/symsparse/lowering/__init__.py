"""How the sparse operations are computed: from parts to dense vectors; one file per family, as in ``ops``."""

from symsparse.lowering import (
    arithmetic,
    boundary,
    comparison,
    conversion,
    csm,
    elementwise,
    indexing,
    layout,
    matmul,
    reduction,
    sampling,
    scaling,
)
from symsparse.lowering.base import lowering_db
