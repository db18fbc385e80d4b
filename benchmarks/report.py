"""The page in docs/benchmarks, and the lines printed during a run."""

from pathlib import Path

from benchmarks.cases import KERNELS, cases
from benchmarks.compile_time import TARGETS as COMPILE_TARGETS
from benchmarks.contenders import CONTENDERS, OURS, VARIANTS
from benchmarks.matrices import MATRICES
from benchmarks.measure import statistic
from benchmarks.targets import CALLS, clock, judged, ratio

GAP = "–"
SHOWN = [name for name in CONTENDERS if name not in (*VARIANTS, *OURS)]


def line(result: dict, threads: int) -> str:
    """One case in a few words, for the terminal."""
    if "contenders" not in result:
        return f"{result['name']}: the reference failed ({result['failed']})"
    parts = [f"{result['name']}:"]
    ours = result["contenders"].get("symsparse", {})
    seconds = statistic(ours, clock(threads), "median")
    if seconds:
        parts.append(f"{duration(seconds)},")
        found = ratio(result, "best peer", threads)
        if found:
            parts.append(
                f"{found.best:.2f} (best), {found.median:.2f} (median) times as fast as {found.peer}"
            )
    for name, contender in result["contenders"].items():
        for trouble in ("wrong", "failed"):
            if trouble in contender:
                parts.append(f"[{name} {trouble}: {contender[trouble]}]")
    return " ".join(parts)


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def targets_table(results: dict[str, dict], threads: int) -> str:
    rows = []
    for target, case, least, found in judged(results, threads):
        figures = [f"{found.best:.2f}; {found.median:.2f}", found.met(least)] if found else [GAP, "no figure"]
        peer = found.peer if found and target.against == "best peer" else target.against
        peer = {"own thread": "symsparse, 1 thread"}.get(peer, peer)
        rows.append([target.what, f"{case}", peer, f"≥ {least:.1f}", *figures])
    rows += [row for row in calls_rows(results, threads)]
    return table(["target", "case", "beside", "at least", "best; median", ""], rows) if rows else ""


def calls_rows(results: dict[str, dict], threads: int):
    contenders = results.get("spmv e", {}).get("contenders", {})
    for name, most in CALLS.items():
        best, median = (
            statistic(contenders.get(name, {}), clock(threads), which) for which in ("best", "median")
        )
        if threads == 1 and best and median:
            met = [round(seconds * 1e6, 1) <= most for seconds in (best, median)]
            verdict = "met" if all(met) else "close" if any(met) else "not met"
            figures = f"{best * 1e6:.1f}; {median * 1e6:.1f} us"
            yield ["a call, 10 x 10", f"spmv e, {name}", "", f"≤ {most:.0f} us", figures, verdict]


def cases_table(results: list[dict], threads: int) -> str:
    """Times of SciPy, and everybody's speed relative to it, by the median batch."""
    names = [name for name in SHOWN if name != "scipy"]
    head = [
        "case",
        "SciPy",
        *names,
        "symsparse",
        "frozen",
        "x best peer",
        "x pytensor.sparse",
        "GB/s",
        "of stream",
    ]
    rows = []
    for result in results:
        contenders = result["contenders"]
        base = statistic(contenders["scipy"], clock(threads), "median")
        if base is None:
            continue
        row = [result["name"], duration(base)]
        for name in [*names, "symsparse", "symsparse frozen"]:
            contender = contenders.get(name, {})
            seconds = statistic(contender, clock(threads), "median")
            trouble = next((word for word in ("wrong", "failed") if word in contender), GAP)
            row.append(f"{base / seconds:.2f}" if seconds else trouble)
        for against in ("best peer", "pytensor.sparse"):
            found = ratio(result, against, threads)
            row.append(f"{found.best:.2f}; {found.median:.2f}" if found else GAP)
        rows.append(row + bandwidth(result, threads))
    return table(head, rows)


def bandwidth(result: dict, threads: int) -> list[str]:
    seconds = statistic(result["contenders"].get("symsparse", {}), clock(threads), "best")
    if not seconds or not result.get("bytes"):
        return [GAP, GAP]
    moved = result["bytes"] / seconds
    stream = rate(result, "stream", threads)
    return [f"{moved / 1e9:.1f}", f"{moved / stream:.0%}" if stream else GAP]


def rate(result: dict, limit: str, threads: int) -> float | None:
    """Bytes or operations a second of `stream` or `peak`."""
    contender = result["contenders"].get(limit, {})
    seconds = statistic(contender, clock(threads), "best")
    return contender["amount"] / seconds if seconds else None


def tiny_table(results: list[dict], threads: int) -> str:
    names = [*SHOWN, "symsparse", "symsparse frozen"]
    rows = []
    for result in results:
        times = [statistic(result["contenders"].get(name, {}), "wall", "best") for name in names]
        rows.append([result["name"], *(f"{t * 1e6:.1f}" if t else GAP for t in times)])
    return table(["case", *names], rows)


def steps_table(results: list[dict], threads: int) -> str:
    names = [*CONTENDERS]
    rows = []
    for result in results:
        times = [statistic(result["contenders"].get(name, {}), clock(threads), "median") for name in names]
        rows.append([result["name"], *(duration(t) if t else GAP for t in times)])
    return table(["step", *names], rows)


def buffers_table(results: list[dict], threads: int) -> str:
    """What a peer gains by writing into the same buffer at each call: median times of the products."""
    names = ("mkl handles", "mkl handles, allocating", "symsparse")
    rows = []
    for result in results:
        times = [statistic(result["contenders"].get(name, {}), clock(threads), "median") for name in names]
        if all(times):
            rows.append([result["name"], *(duration(t) for t in times if t)])
    return table(["case", *names], rows) if rows else ""


def compile_table(found: dict[str, dict]) -> str:
    """CPU seconds to the first result, and the targets for ours."""
    rows = []
    for contender, seconds in found.items():
        if "failed" in seconds:
            rows.append([contender, f"failed: {seconds['failed']}", *[GAP] * 3])
        else:
            rows.append(
                [
                    contender,
                    *(
                        f"{seconds[k]:.2f}" if k in seconds else GAP
                        for k in ("cold", "warm", "start", "import")
                    ),
                ]
            )
    verdicts = []
    for what, (key, most) in COMPILE_TARGETS.items():
        seconds = found.get("symsparse", {}).get(key)
        if seconds is not None:
            verdict = "met" if seconds <= most else "not met"
            verdicts.append([what, f"≤ {most:g} s", f"{seconds:.2f} s", verdict])
    head = ["contender", "cold", "warm", "imports", "beyond PyTensor's and SciPy's"]
    return table(head, rows) + "\n\n" + table(["target, symsparse", "at most", "CPU", ""], verdicts)


def absences(record: dict) -> list[str]:
    """What has no figure, and why, once for each reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for results in record["results"].values():
        for name, result in results.items():
            if "contenders" not in result:
                reasons.setdefault(("scipy", str(result["failed"])), []).append(name)
            for contender, figures in result.get("contenders", {}).items():
                for word in ("absent", "wrong", "failed"):
                    reason = figures.get(word)
                    if reason and reason != "no such operation":
                        said = reason if word == "absent" else f"{word}: {reason}"
                        places = reasons.setdefault((contender, said), [])
                        if name not in places:
                            places.append(name)
    return [
        f"* {contender}: {reason}" + (f" ({', '.join(places)})" if len(places) < 8 else "")
        for (contender, reason), places in reasons.items()
    ]


def text(record: dict, pictures: tuple[str, ...] = ()) -> str:
    """Show a record as a page in Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(record["versions"].items()))
    machine = record["machine"]
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {record['date']}: {machine['cpu']}, {machine['cpus']} CPUs, {machine['system']}, "
        f"Python {machine['python']}; {versions}.",
        EXPLANATION,
    ]
    parts += [f"![{picture}]({picture})" for picture in pictures]
    for key, results in record["results"].items():
        threads = int(key)
        results = {name: results[name] for name in in_order(results)}
        done = [result for result in results.values() if "contenders" in result]
        loads = [load for result in done for load in result["load"]]
        if not done:
            continue
        unit = "CPU time" if clock(threads) == "cpu" else "wall time"
        named = "1 thread" if threads == 1 else f"{threads} threads"
        parts.append(f"## {named[0].upper()}{named[1:]}, {unit}")
        parts.append(f"Load average of the machine meanwhile: {min(loads):.1f} to {max(loads):.1f}.")
        parts.append(targets_table(results, threads))
        large = [r for r in done if r["case"]["matrix"] not in ("d", "e")]
        for title, chosen, show in (
            ("Speed relative to SciPy, large matrices", large, cases_table),
            ("1,000 x 1,000", [r for r in done if r["case"]["matrix"] == "d"], cases_table),
            (
                "10 x 10, microseconds a call (wall time, best)",
                [r for r in done if r["case"]["matrix"] == "e"],
                tiny_table,
            ),
            ("Steps", [r for r in done if r["case"]["matrix"] == "m"], steps_table),
            ("What an output buffer that is used again saves", large, buffers_table),
        ):
            if chosen and (shown := show(chosen, threads)):
                parts += [f"### {title}", shown]
    if record.get("compile_time"):
        parts += [
            "## CPU seconds to the first result of a softmax regression's loss and gradient, least of three runs"
        ]
        parts += [compile_table(record["compile_time"])]
    missing = absences(record)
    if missing:
        parts += ["## Without a figure", "\n".join(missing)]
    parts += ["## Cases", legend()]
    return "\n\n".join(part for part in parts if part) + "\n"


EXPLANATION = """\
Each contender runs in a process of its own, and the processes take turns, a batch of calls at a time. Every result is
first compared with SciPy's, element by element. A ratio above 1 means that symsparse is faster; two figures are those
of the best and of the median batches of the same run. Where they fall on both sides of a target, it says *close*.
With one thread the figures are CPU time, which other work on the machine disturbs least; with more, wall time.

*symsparse* is a compiled function of a sparse input, *frozen* one of a frozen shared matrix, whose pattern is known
when it is compiled. *mkl* makes a handle at each call; *mkl handles* is MKL's inspector-executor, optimised beforehand,
and it writes into the same buffer at each call where the others allocate. *torch by hand* uses PyTorch's sampled
product where *torch* differentiates by itself. It and *mkl handles, allocating* are no peers in the targets. Bytes
moved count each operand and the result once, so that gathers cost more than they count for; *stream* reads 128 MB in
the same rounds.

[What bounds the kernels](bounds.md) says what stands in the way where a target is not met; [what rewrites
gain](rewrites.md) times graphs with and without them."""


def legend() -> str:
    kernels = table(["kernel", "what"], [[f"`{name}`", f"{what}"] for name, what in KERNELS.items()])
    matrices = table(["matrix", "what"], [[f"`{name}`", what] for name, (what, _) in MATRICES.items()])
    note = "A number behind a kernel counts dense columns; `f4` is float32, all else float64."
    return f"{kernels}\n\n{matrices}\n\n{note}"


def in_order(results: dict[str, dict]) -> list[str]:
    """Names of results in the order of the cases, whatever the order of the runs."""
    place = {case.name: i for i, case in enumerate(cases())}
    return sorted(results, key=lambda name: place.get(name, len(place)))


def write(record: dict, folder: Path) -> None:
    """Write the page and its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[str] = []
    try:
        from benchmarks import plots
    except ImportError:  # matplotlib is optional
        pass
    else:
        pictures = plots.draw(record, folder)
    (folder / "README.md").write_text(text(record, tuple(pictures)), encoding="utf-8")
