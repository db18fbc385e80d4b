"""What ``python -m symsparse warmup`` does: compile the kernels before they are needed.

Which kernel runs for which types is decided by lowering. So a few expressions of each family are lowered, for each
dtype, and the kernels in the graphs that come out are compiled into Numba's disk cache; nothing is computed.
"""

import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

DTYPES = ("float64", "float32")
INDEX_DTYPES = ("int32",)
_WIDTH = 30  # of the bar

Kernel = tuple[str, tuple]  # "module.function", the Numba types of its arguments


class WarmupError(Exception):
    """Why nothing can be kept."""


def _expressions(dtype: str, index_dtype: str) -> Iterator[tuple[list, list]]:
    """Inputs and outputs of graphs that run the kernels of each family."""
    import pytensor
    import pytensor.tensor as pt
    from pytensor.tensor.random.type import random_generator_type

    import symsparse

    ss: Any = symsparse
    x, y = (ss.csr_matrix(name, dtype=dtype, index_dtype=index_dtype) for name in "xy")
    c = ss.csc_matrix("c", dtype=dtype, index_dtype=index_dtype)
    d = pt.matrix("d", dtype=dtype)
    v = pt.vector("v", dtype=dtype)
    rows, columns, places = pt.lvectors("rows", "columns", "places")
    k = pt.lscalar("k")
    rng = random_generator_type("rng")
    inputs = [x, y, c, d, v, rows, columns, places, k, rng]

    def with_gradients(outputs: list, *wrt: Any) -> tuple[list, list]:
        loss = sum((out * out).sum() for out in outputs)
        return inputs, outputs + pytensor.grad(loss, list(wrt))

    yield with_gradients([x @ v, c @ v], x, c, v)
    yield with_gradients([x @ d, c @ d], x, c, d)
    yield with_gradients([ss.sampling_dot(d, d, x)], x, d)
    yield with_gradients([x @ y], x, y)
    yield with_gradients([x + y, x * y, x - c, ss.add_s_s_data(x, y)], x, y, c)
    # Several values on one pattern, or none: phases apart.
    yield inputs, [x @ y, -x @ y, x + y, -x + y, x.tocsc(), (-x).tocsc(), ss.sp_ones_like(x @ x)]
    yield (
        inputs,
        [2 * v + x @ v, v + c @ v, 2 * d + x @ d, d + c @ d, ss.sample(-x @ d, y), ss.sample(d @ x, y)],
    )
    yield with_gradients([x * d, x + d], x, d)
    yield with_gradients([x * v, x / v, v[:, None] * x, ss.row_scale(x * v, v)], x, v)
    yield with_gradients([ss.structured_exp(x), ss.tanh(c)], x, c)
    yield with_gradients([x.sum(), x.sum(axis=0), x.sum(axis=1)], x)
    yield with_gradients([x.max(), x.max(axis=0), x.max(axis=1), x.norm()], x)
    yield inputs, [x.T, x.tocsc(), c.tocsr(), x.toarray(), ss.csr_from_dense(d), x.diagonal(1)]
    yield (
        inputs,
        [
            ss.ensure_sorted_indices(x),
            ss.sum_duplicates(x),
            ss.remove0(x),
            x > y,
            x.astype("float64").trace(),
        ],
    )
    yield with_gradients([x[rows], x[:, columns], x[1:k], x[:, 1:k], x[::-1], x[rows, columns]], x)
    yield inputs, [x[rows].inc(y), x[:, columns].inc(y)]
    yield with_gradients([ss.hstack([x, y]), ss.vstack([x, y]), ss.block_diag([x, y])], x, y)
    yield inputs, [ss.kron(x, y), ss.tril(x), ss.triu(x), ss.eye(k, dtype=dtype)]
    yield inputs, [ss.CSR(v, columns, places, pt.stack([k, k]))]
    yield inputs, [ss.poisson(x, rng=rng), ss.multinomial(rows, x, rng=rng)]
    yield inputs, [ss.Binomial(x.format, dtype, index_dtype)(k, 0.5, (k, k), rng=rng)]


def _kernels(dtype: str, index_dtype: str) -> Iterator[Kernel]:
    import numba
    import numpy as np
    import pytensor
    from numba.core import types
    from numba.np.numpy_support import from_dtype

    from symsparse.lowering.base import KernelOp

    def numba_type(variable: Any) -> Any:
        kind = getattr(variable.type, "numpy_dtype", None)
        if kind is None:
            return numba.typeof(np.random.default_rng())
        element = from_dtype(kind)
        return element if variable.type.ndim == 0 else types.Array(element, variable.type.ndim, "C")

    for inputs, outputs in _expressions(dtype, index_dtype):
        function = pytensor.function(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
        for node in function.maker.fgraph.toposort():
            if isinstance(node.op, KernelOp):
                yield node.op.kernel_name(node), tuple(map(numba_type, node.inputs))


def kernels(dtypes: Sequence[str] = DTYPES, index_dtypes: Sequence[str] = INDEX_DTYPES) -> list[Kernel]:
    """The kernels that usual graphs of these dtypes run, and the types they run for."""
    found = (kernel for d in dtypes for i in index_dtypes for kernel in _kernels(d, i))
    return list(dict.fromkeys(found))


def warmup(
    dtypes: Sequence[str] = DTYPES,
    index_dtypes: Sequence[str] = INDEX_DTYPES,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> str:
    """Compile the kernels, and say what was done."""
    from numba.core.caching import NullCache

    from symsparse.backends.numba_kernels import publish

    start = time.perf_counter()
    wanted = kernels(dtypes, index_dtypes)
    compiled, folder = 0, None
    for done, (name, arguments) in enumerate(wanted):
        module, function = name.split(".")
        kernel = getattr(importlib.import_module(f"symsparse.kernels.{module}"), function)
        if isinstance(kernel._cache, NullCache):
            raise WarmupError(
                "Numba finds no folder that it may write to; name one in the environment variable NUMBA_CACHE_DIR"
            )
        progress(done, len(wanted), name)
        publish(name, arguments)
        compiled += kernel.stats.cache_misses[arguments]
        folder = kernel.stats.cache_path
    progress(len(wanted), len(wanted), "")
    seconds = time.perf_counter() - start
    there = len(wanted) - compiled
    return f"compiled {compiled} kernels in {seconds:.0f} s, {there} were there before; they are kept in {folder}"


def show_bar(done: int, total: int, name: str) -> None:
    """A progress bar, on a terminal only."""
    if sys.stderr.isatty():
        filled = _WIDTH * done // max(total, 1)
        end = "" if done < total else "\r\033[K"
        print(
            f"\r\033[K{'#' * filled}{'.' * (_WIDTH - filled)} {done}/{total} {name}{end}",
            end="",
            file=sys.stderr,
            flush=True,
        )
