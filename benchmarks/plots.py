"""Two pictures for each thread count: ratios to the best peer, and a roofline."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.measure import statistic
from benchmarks.report import in_order, rate
from benchmarks.targets import clock, ratio
from symsparse.bench.roofline import OURS, QUIET, ROOF, draw_roof, label
from symsparse.bench.timing import Machine


def draw(record: dict, folder: Path) -> list[str]:
    """Write the pictures, and return their names."""
    names = []
    for key, results in record["results"].items():
        for kind, picture in (("ratios", ratios), ("roofline", roofline)):
            figure = picture([results[n] for n in in_order(results) if "contenders" in results[n]], int(key))
            if figure is not None:
                names.append(f"{kind}-{key}.svg")
                with rc_context(
                    {"svg.fonttype": "none", "svg.hashsalt": kind}
                ):  # text as text, the same each time
                    figure.savefig(folder / names[-1], metadata={"Date": None})
    return names


def ratios(results: list[dict], threads: int) -> Figure | None:
    """Draw how many times as fast as the best peer, one dot a case, best batches hollow and median ones full."""
    points = [(result["name"], ratio(result, "best peer", threads)) for result in results]
    known = [(name, found) for name, found in points if found]
    if not known:
        return None
    figure = Figure(figsize=(8, 1.2 + 0.19 * len(known)), layout="constrained")
    axes = figure.subplots()
    for y, (_, found) in enumerate(known):
        axes.plot([found.best, found.median], [y, y], color=QUIET, linewidth=1, zorder=1)
    axes.scatter(
        [f.median for _, f in known], range(len(known)), color=OURS, s=26, zorder=3, label="median batch"
    )
    axes.scatter(
        [f.best for _, f in known],
        range(len(known)),
        s=26,
        zorder=2,
        facecolors="white",
        edgecolors=OURS,
        label="best batch",
    )
    axes.axvline(1, color=ROOF, linewidth=1)
    axes.set(xscale="log", xlabel="times as fast as the best peer", ylim=(len(known) - 0.4, -0.6))
    axes.set_yticks(range(len(known)), [f"{name}  ({found.peer})" for name, found in known], fontsize=8)
    ticks = [
        t for t in (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]
    ]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", color=QUIET, alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    axes.set_title(f"symsparse beside the best peer, {threads} thread{'s' * (threads > 1)}", fontsize=10)
    return figure


def roofline(results: list[dict], threads: int) -> Figure | None:
    """Draw operations a second over operations a byte, below what memory and arithmetic allow."""
    points = []
    for result in results:
        seconds = statistic(result["contenders"].get("symsparse", {}), clock(threads), "best")
        if seconds and result.get("flops") and not result["name"].endswith((" d", " e", " f4")):
            points.append((result["name"], result["flops"] / result["bytes"], result["flops"] / seconds))
    limits = {
        limit: [r for r in (rate(result, limit, threads) for result in results) if r]
        for limit in ("stream", "peak")
    }
    if not points or not all(limits.values()):
        return None
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    draw_roof(axes, [x for _, x, _ in points], Machine(max(limits["stream"]), max(limits["peak"])))
    axes.scatter([x for _, x, _ in points], [y / 1e9 for _, _, y in points], color=OURS, s=24, zorder=3)
    axes.set_title(f"Roofline, {threads} thread{'s' * (threads > 1)}", fontsize=10)
    label(axes, [(name, x, y / 1e9) for name, x, y in points])
    return figure
