"""Both contenders take turns, a batch of calls at a time, so that a noisy moment hits both."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

BATCH = 0.01  # seconds that a batch should last
FEWEST, MOST = 3, 50  # rounds
STREAM_WORDS = 8_000_000  # 64 MB, more than caches hold
SIDE = 768  # of the dense matrices whose product shows the peak


@dataclass(frozen=True)
class Times:
    """Seconds a call, one number a round."""

    seconds: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def race(runs: Sequence[Callable[[], Any]], budget: float) -> list[Times]:
    """Time functions in turns for about `budget` seconds; a round has a batch of each."""
    calls = [max(1, min(10_000, round(BATCH / max(_batch(run, 1), 1e-7)))) for run in runs]
    seconds: list[list[float]] = [[] for _ in runs]
    started = time.perf_counter()
    for done in range(MOST):
        for run, n, record in zip(runs, calls, seconds, strict=True):
            record.append(_batch(run, n))
        if done + 1 >= FEWEST and time.perf_counter() - started > budget:
            break
    return [Times(tuple(record)) for record in seconds]


def _batch(run: Callable[[], Any], calls: int) -> float:
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - start) / calls
    finally:
        gc.enable()


@dataclass(frozen=True)
class Machine:
    """Bytes a second from memory, and floating-point operations a second in a dense product."""

    stream: float
    peak: float


def machine(threads: int) -> Machine:
    """Measure with so many threads what memory gives; the dense product uses as many as BLAS does."""
    words = np.ones(STREAM_WORDS * threads)
    parts = np.split(words, threads)
    with ThreadPoolExecutor(threads) as pool:
        read = race([lambda: list(pool.map(np.max, parts))], 0.3)[
            0
        ]  # NumPy's maximum is vectorised, and lets go of the GIL
    side = np.ones((SIDE, SIDE))
    product = race([lambda: side @ side], 0.3)[0]
    return Machine(words.nbytes / read.best, 2 * SIDE**3 / product.best)
