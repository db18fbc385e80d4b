"""How the sparse operations are computed: from parts to dense vectors; one file per family, as in ``ops``."""

from symsparse.lowering import (
    arithmetic,
    boundary,
    comparison,
    construction,
    conversion,
    csm,
    elementwise,
    entries,
    indexing,
    kronecker,
    layout,
    matmul,
    phases,
    printing,
    random,
    reduction,
    sampling,
    scaling,
    selection,
    stacking,
    updating,
    values,
)
from symsparse.lowering.base import lowering_db
