"""Both fast ways to run a graph, held to their declared types and to each other."""

import numpy as np
import pytensor

from symsparse.ops.base import is_sparse
from symsparse.testing import assert_same_matrix, assert_well_formed, reference_mode
from tests.ops.generate import lowered_mode

MODES = {"lowered": lowered_mode, "reference": reference_mode}


def compiled(inputs, outputs):
    """One function for each mode. A rewrite that fails is an error, not a message on stderr."""
    with pytensor.config.change_flags(on_opt_error="raise"):
        return [pytensor.function(inputs, outputs, mode=m, on_unused_input="ignore") for m in MODES.values()]


def run(inputs, outputs, values, **tolerance):
    """Results of the lowered graph, after a check of both modes."""
    results = []
    for function in compiled(inputs, outputs):
        with np.errstate(all="ignore"):
            results.append(function(*values))
    for out, *found in zip(outputs, *results, strict=True):
        for value in found:
            if is_sparse(out):
                assert_well_formed(value, out.type)
            else:
                assert value.dtype == out.dtype, out
        single = np.dtype(out.dtype).itemsize <= (8 if out.dtype.startswith("complex") else 4)
        assert_same_matrix(*found, **({"rtol": 2e-4, "atol": 2e-4} if single else {}), **tolerance)
    return results[0]


def refused(build, *causes):
    """What `build()` makes; or None if it raises a TypeError that states one of these causes."""
    try:
        return build()
    except TypeError as e:
        if not any(cause in str(e) for cause in causes):
            raise
        return None
