"""Time symsparse beside its peers: `make bench`, or `make bench ARGS="--quick"`."""

import argparse
import datetime
import json
import os
import platform
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

from benchmarks import compile_time, report
from benchmarks.cases import KERNELS, Case, cases
from benchmarks.contenders import CONTENDERS
from benchmarks.matrices import MATRICES, folder
from benchmarks.measure import measure
from benchmarks.pool import ROOT, Pool

BUDGET, QUICK_BUDGET = 8.0, 2.0  # seconds of batches per case
PAGE = ROOT / "docs" / "benchmarks"


def options(arguments):
    parser = argparse.ArgumentParser(
        prog="make bench",
        description=__doc__.splitlines()[0],
        epilog=f"Cases are called KERNEL[COLUMNS] MATRIX, as in `spmm32 a`. Kernels: {', '.join(KERNELS)}. "
        f"Matrices: {'; '.join(f'{name}: {what}' for name, (what, _) in MATRICES.items())}.",
    )
    add = parser.add_argument
    add("--cases", nargs="+", default=[], metavar="NAME", help="only these: `spmv`, `spmv a`, `* d`")
    add("--contenders", nargs="+", default=[], choices=list(CONTENDERS), metavar="NAME", help="only these")
    add("--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="each count runs by itself (1 2)")
    add("--quick", action="store_true", help="fewer cases and rounds, about 3 minutes a thread count")
    add("--budget", type=float, metavar="SECONDS", help=f"time for a case's batches ({BUDGET:g})")
    add("--json", type=Path, metavar="FILE", help="keep all figures here (.cache/bench/results.json)")
    add(
        "--resume",
        action="store_true",
        help="leave out the cases that the file of --json has, unless somebody failed",
    )
    add("--report", action="store_true", help="run nothing, show what the file of --json has")
    add("--output", type=Path, metavar="FOLDER", help="write the page there; full runs write docs/benchmarks")
    add("--compile-time", action="store_true", help="measure compilation too, as full runs do (2 minutes)")
    add("--list", action="store_true", help="print the names of the cases and leave")
    return parser.parse_args(arguments)


def chosen(wanted: list[str], quick: bool) -> list[Case]:
    found = [case for case in cases() if case.quick or not quick or wanted]
    return [
        case
        for case in found
        if not wanted
        or any(fnmatch(case.name, word) or f"{case.name} ".startswith(f"{word} ") for word in wanted)
    ]


def machine() -> dict:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            line.split(":", 1)[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = models[0] if models else model
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


class Progress:
    """One line that changes on a terminal, a line a case elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.terminal = total, 0, sys.stderr.isatty()

    def telling(self, name: str):
        def tell(what: str) -> None:
            if self.terminal:
                print(
                    f"\r\033[K[{self.done + 1}/{self.total}] {name}: {what}",
                    end="",
                    file=sys.stderr,
                    flush=True,
                )

        return tell

    def finished(self, line: str) -> None:
        self.done += 1
        print(
            f"{'\r\033[K' if self.terminal else ''}[{self.done}/{self.total}] {line}",
            file=sys.stderr,
            flush=True,
        )


def write(path: Path, record: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(record, indent=1))
    partial.replace(path)


def done(result: dict | None) -> bool:
    """Whether a case need not run again."""
    if result is None or "contenders" not in result:
        return False
    return not any("failed" in figures for figures in result["contenders"].values())


def run(chosen_cases: list[Case], threads: int, given, record: dict, path: Path) -> None:
    results = record["results"].setdefault(str(threads), {})
    left = [case for case in chosen_cases if not done(results.get(case.name))]
    progress = Progress(len(left))
    budget = given.budget or (QUICK_BUDGET if given.quick else BUDGET)
    log = folder() / f"log-{threads}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    with Pool(threads, log, given.contenders) as pool:
        for case in left:
            result = measure(pool, case, budget, progress.telling(case.name))
            results[case.name] = result
            record["versions"] |= pool.versions
            record["finished"] = time.time()
            write(path, record)
            progress.finished(report.line(result, threads))


def main(arguments=None) -> int:
    given = options(arguments)
    selected = chosen(given.cases, given.quick)
    if not selected:
        print(f"no case is called like {given.cases}; --list names them all", file=sys.stderr)
        return 2
    if given.list:
        print("\n".join(case.name for case in selected))
        return 0
    path = given.json or folder() / "results.json"
    record = {"machine": machine(), "versions": {}, "results": {}}
    if given.resume or given.report:
        if not path.exists():
            print(f"there is no {path}", file=sys.stderr)
            return 2
        record = json.loads(path.read_text())
    if not given.report:
        for threads in given.threads:
            print(f"{threads} thread(s), load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            run(selected, threads, given, record, path)
    full = not (given.quick or given.cases or given.contenders or given.report)
    if given.compile_time or (full and "compile_time" not in record):
        print("compile time", file=sys.stderr)
        record["compile_time"] = compile_time.measure()
        record["finished"] = time.time()
        write(path, record)
    record["date"] = datetime.datetime.fromtimestamp(record["finished"]).date().isoformat()
    print(report.text(record))
    output = given.output or (PAGE if full else None)
    if output:
        report.write(record, output)
        print(f"wrote {output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
