"""How the sparse operations are computed: from parts to dense vectors; one file per family, as in ``ops``."""

from symsparse.lowering import (
    arithmetic,
    boundary,
    comparison,
    construction,
    container,
    conversion,
    csm,
    dense_forms,
    elementwise,
    entries,
    indexing,
    kronecker,
    layout,
    matmul,
    printing,
    random,
    reduction,
    sampling,
    scaling,
    selection,
    stacking,
    updating,
    values,
    vector_math,
)
from symsparse.lowering.base import lowering_db
