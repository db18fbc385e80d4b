"""PyTensor's checking modes, where a value is sparse: NanGuardMode, DebugMode, and MonitorMode's `detect_nan`."""

from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
from pytensor.compile.debug import monitormode, nanguardmode
from pytensor.tensor.type import TensorType

from symsparse.types import SparseTensorType


def _look_at_stored_values(name):
    """NumPy's reductions do not take sparse matrices: NanGuardMode's test looks at the stored values instead."""
    dense = getattr(nanguardmode, name)

    def test(arr, node=None, var=None):
        return dense(arr.data if sp.issparse(arr) else arr, node, var)

    test.__name__ = name
    setattr(nanguardmode, name, test)


for _name in ("contains_nan", "contains_inf"):
    _look_at_stored_values(_name)

_detect_dense_nan = monitormode.detect_nan


def detect_nan(fgraph, i, node, fn):
    """PyTensor's `detect_nan`, which looks at the stored values of sparse outputs."""
    outputs = [[out[0].data if sp.issparse(out[0]) else out[0]] for out in fn.outputs]
    _detect_dense_nan(fgraph, i, node, SimpleNamespace(inputs=fn.inputs, outputs=outputs))


monitormode.detect_nan = detect_nan
_dense_shares_memory = TensorType.may_share_memory


def _may_share_memory(a, b):
    # DebugMode asks the type of an output whether output a views input b, and warns about each declared view that is
    # none. The values of a sparse matrix are a view of it.
    if isinstance(a, np.ndarray) and sp.issparse(b):
        return SparseTensorType.may_share_memory(a, b)
    return _dense_shares_memory(a, b)


TensorType.may_share_memory = staticmethod(_may_share_memory)
