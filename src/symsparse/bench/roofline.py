"""The roofline: operations a second over operations a byte, below what memory and arithmetic allow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from . import BenchError
from .timing import Machine

WIDTH, HEIGHT = 68, 16
OURS, ROOF, QUIET = "#0b6e99", "#d9730d", "#9b9a97"


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

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    draw_roof(axes, [point.intensity for point in points], machine)
    xs = [point.intensity for point in points]
    scipy, ours = ([y / 1e9 for y in ys] for ys in zip(*((p.scipy, p.ours) for p in points), strict=True))
    axes.scatter(xs, scipy, facecolors="white", edgecolors=QUIET, label="SciPy", zorder=2)
    axes.scatter(xs, ours, color=OURS, label="symsparse", zorder=3)
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    label(axes, [(point.name, x, y) for point, x, y in zip(points, xs, ours, strict=True)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)
    except OSError as error:
        raise BenchError(f"{path}: {error.strerror or error}") from error
    return True


def draw_roof(axes: Any, intensities: Sequence[float], machine: Machine) -> None:
    """Set up the axes, and draw what memory and arithmetic allow; GF/s upwards."""
    bend = machine.peak / machine.stream
    low, high = min(bend, *intensities) / 1.6, max(bend, *intensities) * 2.5
    stream, peak = machine.stream / 1e9, machine.peak / 1e9
    axes.plot([low, bend, high], [low * stream, peak, peak], color=ROOF, linewidth=1.5)
    memory = {"xytext": (-6, 2), "ha": "right", "va": "bottom"}
    for text, x, y, place in (
        (f"memory, {stream:.3g} GB/s", bend / 1.5, peak / 1.5, memory),
        (f"dense product, {peak:.3g} GF/s", high, peak, {"xytext": (-2, 4), "ha": "right"}),
    ):
        axes.annotate(text, (x, y), textcoords="offset points", fontsize=8, color=ROOF, **place)
    axes.set(xscale="log", yscale="log", xlim=(low, high))
    axes.set(xlabel="operations a byte (each operand and the result moved once)", ylabel="GF/s")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.grid(color=QUIET, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def label(axes: Any, entries: Sequence[tuple[str, float, float]]) -> None:
    """Write (text, x, y) beside its point, or as far above as it takes to cover no other text."""
    figure = axes.get_figure()
    figure.draw_without_rendering()  # settles where things are
    point = figure.dpi / 72
    wide, high = 75 * point, 8.5 * point
    placed: list[tuple[float, float]] = []
    for text, x, y in sorted(entries, key=lambda entry: entry[2]):
        across, up = axes.transData.transform((x, y))
        height = up
        for other_across, other_height in sorted(placed, key=lambda place: place[1]):
            if abs(other_across - across) < wide and abs(other_height - height) < high:
                height = other_height + high
        placed.append((across, height))
        axes.annotate(text, (x, y), (6, (height - up) / point - 2.5), textcoords="offset points", fontsize=7)
