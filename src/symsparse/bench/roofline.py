"""The roofline: operations a second over operations a byte, below what memory and arithmetic allow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from . import BenchError
from .timing import Machine

WIDTH, HEIGHT = 68, 16
OURS, SCIPY, ROOF, QUIET = "#0b6e99", "#9b9a97", "#d9730d", "#9b9a97"


@dataclass(frozen=True)
class Point:
    """A kernel: its letter, operations a byte, and operations a second of symsparse and of SciPy."""

    letter: str
    name: str
    intensity: float
    ours: float
    scipy: float


@dataclass(frozen=True)
class Window:
    """The part of the plane that is shown, in powers of ten: it holds all points, and the bend of the roof."""

    left: float
    right: float
    bottom: float
    top: float

    @classmethod
    def around(cls, points: Sequence[Point], machine: Machine) -> "Window":
        bend = machine.peak / machine.stream
        xs = [bend, *(point.intensity for point in points)]
        ys = [machine.peak, *(y for point in points for y in (point.ours, point.scipy))]
        return cls(
            math.log10(min(xs)) - 0.2,
            math.log10(max(xs)) + 0.2,
            math.log10(min(ys)) - 0.2,
            math.log10(max(ys)) + 0.2,
        )


def in_terminal(points: Sequence[Point], machine: Machine) -> str:
    """Draw with characters: the roof as dots, a capital for symsparse, a small letter for SciPy."""
    window = Window.around(points, machine)
    grid = [[" "] * WIDTH for _ in range(HEIGHT)]

    def put(x: float, y: float, letter: str) -> None:
        column = round((math.log10(x) - window.left) / (window.right - window.left) * (WIDTH - 1))
        row = round((window.top - math.log10(y)) / (window.top - window.bottom) * (HEIGHT - 1))
        if 0 <= row < HEIGHT and 0 <= column < WIDTH:
            grid[row][column] = letter

    for column in range(WIDTH):
        x = 10 ** (window.left + column / (WIDTH - 1) * (window.right - window.left))
        put(x, min(x * machine.stream, machine.peak), ".")
    for point in points:
        put(point.intensity, point.scipy, point.letter.lower())
    for point in points:  # ours last: it covers
        put(point.intensity, point.ours, point.letter)
    top, bottom = (f"{10**value / 1e9:.3g}" for value in (window.top, window.bottom))
    labels = [top, *[""] * (HEIGHT - 2), bottom]
    lines = [f"{label:>7} |{''.join(row).rstrip()}" for label, row in zip(labels, grid, strict=True)]
    left, right = (f"{10**value:.2g}" for value in (window.left, window.right))
    axis = f"{left} {'operations a byte':^{WIDTH - len(left) - len(right) - 2}} {right}"
    return "\n".join(["GF/s", *lines, f"{'':>7} +{'-' * WIDTH}", f"{'':>8} {axis}"])


def picture(path: Path, points: Sequence[Point], machine: Machine, title: str) -> bool:
    """Draw a PNG, if matplotlib is installed; say whether it was."""
    if find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure

    window = Window.around(points, machine)
    low, high, bend = 10**window.left, 10**window.right, machine.peak / machine.stream
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    roof = [low * machine.stream / 1e9, machine.peak / 1e9, machine.peak / 1e9]
    axes.plot(
        [low, bend, high],
        roof,
        color=ROOF,
        label=f"{machine.stream / 1e9:.0f} GB/s, {machine.peak / 1e9:.0f} GF/s",
    )
    xs = [point.intensity for point in points]
    axes.scatter(
        xs,
        [point.scipy / 1e9 for point in points],
        facecolors="white",
        edgecolors=SCIPY,
        label="SciPy",
        zorder=2,
    )
    axes.scatter(xs, [point.ours / 1e9 for point in points], color=OURS, label="symsparse", zorder=3)
    for point in points:
        above = point.ours >= point.scipy
        axes.annotate(
            point.name,
            (point.intensity, point.ours / 1e9),
            xytext=(5, 4 if above else -10),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(
        xscale="log", yscale="log", xlim=(low, high), xlabel="operations a byte", ylabel="GF/s", title=title
    )
    axes.grid(color=QUIET, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error
    return True
