"""Run the kernels on a matrix from reading it to the picture."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import numpy as np
import scipy.sparse as sp

import symsparse.kernels  # noqa: F401  (loads TBB, before Numba chooses a threading layer)

from . import BenchError
from .kernels import Kernel, agree, kernels
from .matrixfile import read
from .roofline import Point, in_terminal, picture
from .timing import Machine, Times, machine, race

BAR = 24  # characters


def run(options: argparse.Namespace) -> None:
    """Do what ``python -m symsparse bench FILE.mtx`` promises; `options` come from its parser.

    Raises
    ------
    BenchError
        If the file or the options cannot be used, or if a result is not SciPy's.
    """
    threads = use_threads(options.threads)
    A = read(options.file)
    print("\n".join(describe(A, options.file.name, threads)))
    todo = kernels(A, options.columns)
    with progress(len(todo) + 1) as advance:
        advance("the machine")
        limits = machine(threads)
        rows = []
        for kernel in todo:
            advance(kernel.name)
            rows.append(time_kernel(kernel, A, options.seconds))
    points = points_of(rows)
    print(table(rows, points, limits))
    print(f"\nroofline, symsparse in capitals, SciPy in small letters, {threads} thread(s)")
    print(in_terminal(points, limits))
    path = options.output / f"{options.file.name.split('.')[0]}-roofline.png"
    if picture(path, points, limits, f"{options.file.name}, {threads} thread{'s' * (threads > 1)}"):
        print(f"\npicture    {path}")


def use_threads(wanted: int | None) -> int:
    """Let symsparse use so many threads, or all."""
    most = numba.config.NUMBA_NUM_THREADS
    if wanted is not None and wanted > most:
        raise BenchError(f"--threads {wanted}: there are {most} (NUMBA_NUM_THREADS)")
    numba.set_num_threads(wanted or most)
    return wanted or most


def describe(A: sp.csr_array, name: str, threads: int) -> Iterator[str]:
    """Say what the matrix is like."""
    lengths = np.diff(A.indptr)
    yield f"{'matrix':<10} {name}: {A.shape[0]:,} x {A.shape[1]:,}, {A.nnz:,} entries, {A.dtype}"
    shares = f"{lengths.mean():.1f} entries on average, {lengths.max():,} at most"
    yield f"{'rows':<10} {shares}; {(lengths == 0).sum():,} are empty"
    yield f"{'threads':<10} {threads} for symsparse; SciPy's kernels have one"
    cpus, load = os.cpu_count() or 1, os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > max(0.5, cpus - threads):
        yield f"{'load':<10} {load:.1f} on {cpus} CPUs: other work disturbs the times, compare ratios of the best"


@contextmanager
def progress(steps: int) -> Iterator:
    """Show a bar on a terminal only; call the yielded function at the start of each step."""
    done = 0
    terminal = sys.stderr.isatty()

    def advance(what: str) -> None:
        nonlocal done
        if terminal:
            full = BAR * done // steps
            print(
                f"\r\033[K[{'#' * full}{' ' * (BAR - full)}] {done}/{steps} {what}",
                end="",
                file=sys.stderr,
                flush=True,
            )
        done += 1

    try:
        yield advance
    finally:
        if terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


class Row:
    """What was found about a kernel."""

    def __init__(self, kernel: Kernel, bytes_moved: int, ours: Times, scipy: Times) -> None:
        self.kernel, self.bytes_moved, self.ours, self.scipy = kernel, bytes_moved, ours, scipy


def time_kernel(kernel: Kernel, A: sp.csr_array, seconds: float) -> Row:
    """Compile, compare with SciPy, and let both take turns."""
    ours, by_hand = kernel.compiled(A), kernel.in_scipy(A)
    with np.errstate(all="ignore"):
        result, reference = ours(), by_hand()
        if not agree(result, reference):
            raise BenchError(f"{kernel.name}: the result differs from SciPy's; please report this matrix")
        moved = kernel.bytes_moved(reference)
        del result, reference
        return Row(kernel, moved, *race([ours, by_hand], seconds))


def points_of(rows: list[Row]) -> list[Point]:
    """Give a letter to each kernel that multiplies."""
    multiplying = [row for row in rows if row.kernel.flops]
    return [
        Point(
            chr(ord("A") + i),
            row.kernel.name,
            row.kernel.flops / row.bytes_moved,
            row.kernel.flops / row.ours.best,
            row.kernel.flops / row.scipy.best,
        )
        for i, row in enumerate(multiplying)
        if row.kernel.flops
    ]


def table(rows: list[Row], points: list[Point], limits: Machine) -> str:
    """Put times, ratios and rates beside each other."""
    letters = {point.name: point.letter for point in points}
    width = max(len(row.kernel.name) for row in rows)
    head = ("SciPy", "symsparse", "x SciPy", "(best)", "GB/s", "of stream")
    lines = ["", f"  {'':{width}}" + "".join(f" {word:>10}" for word in head)]
    for row in rows:
        ours, scipy, rate = row.ours, row.scipy, row.bytes_moved / row.ours.best
        cells = (
            _shown(scipy.median),
            _shown(ours.median),
            f"{scipy.median / ours.median:.2f}",
            f"({scipy.best / ours.best:.2f})",
            f"{rate / 1e9:.1f}",
            f"{rate / limits.stream:.0%}",
        )
        name = f"{letters.get(row.kernel.name, ' ')} {row.kernel.name:{width}}"
        lines.append(name + "".join(f" {cell:>10}" for cell in cells))
    lines.append(
        f"medians; stream: {limits.stream / 1e9:.1f} GB/s read, dense product: {limits.peak / 1e9:.1f} GF/s"
    )
    return "\n".join(lines)


def _shown(seconds: float) -> str:
    unit, size = next(
        (u, s) for u, s in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)) if seconds >= s or u == "us"
    )
    return f"{seconds / size:.3g} {unit}"
