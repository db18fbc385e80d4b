"""What the sparse operations are: one file per family."""

from symsparse.ops import (
    arithmetic,
    comparison,
    construction,
    conversion,
    csm,
    derivatives,
    elementwise,
    entries,
    indexing,
    kronecker,
    layout,
    matmul,
    operators,
    random,
    reduction,
    sampling,
    scaling,
    selection,
    stacking,
    subscripts,
    updating,
    values,
)
from symsparse.ops.arithmetic import *
from symsparse.ops.comparison import *
from symsparse.ops.construction import *
from symsparse.ops.conversion import *
from symsparse.ops.csm import *
from symsparse.ops.derivatives import *
from symsparse.ops.elementwise import *
from symsparse.ops.entries import *
from symsparse.ops.indexing import *
from symsparse.ops.kronecker import *
from symsparse.ops.layout import *
from symsparse.ops.matmul import *
from symsparse.ops.operators import *
from symsparse.ops.random import *
from symsparse.ops.reduction import *
from symsparse.ops.reduction import normalized_axis, reduced_dtype
from symsparse.ops.sampling import *
from symsparse.ops.scaling import *
from symsparse.ops.selection import *
from symsparse.ops.stacking import *
from symsparse.ops.subscripts import *
from symsparse.ops.updating import *
from symsparse.ops.values import *

_FAMILIES = (
    arithmetic,
    comparison,
    construction,
    conversion,
    csm,
    derivatives,
    elementwise,
    entries,
    indexing,
    kronecker,
    layout,
    matmul,
    operators,
    random,
    reduction,
    sampling,
    scaling,
    selection,
    stacking,
    subscripts,
    updating,
    values,
)
_INTERNAL = {"getitem", "normalized_axis", "sum_dtype"}
__all__ = sorted({name for family in _FAMILIES for name in family.__all__} - _INTERNAL)
