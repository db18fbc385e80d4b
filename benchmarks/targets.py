"""What symsparse promises, and whether it holds."""

from dataclasses import dataclass, field

from benchmarks.contenders import OURS, VARIANTS
from benchmarks.measure import LIMITS, statistic

NOT_PEERS = {*OURS, *LIMITS, *VARIANTS}


@dataclass(frozen=True)
class Target:
    """`least` times as fast as `against` ("best peer", "own thread" or a contender) on `cases`, by thread count."""

    what: str
    cases: tuple[str, ...]
    against: str
    least: dict[int, float] = field(hash=False)


def names(*kernels: str, on: str) -> tuple[str, ...]:
    return tuple(f"{kernel} {matrix}" for kernel in kernels for matrix in on)


SMALL = names(*"spmv spmvT spgemm add addsame tocsc".split(), on="d")
SMALL += names(*"spmm32 spmmT32 sddmm32 chain scale sum sum0 sum1 rows".split(), on="d")
PRODUCTS = ("spgemm c", "spgemm ga", "gram gb")

TARGETS = [
    Target("A @ x, A.T @ x", names("spmv", "spmvT", on="ab"), "best peer", {1: 1.0, 2: 1.0}),
    Target("A @ x, A.T @ x", names("spmv", "spmvT", on="ab"), "own thread", {2: 1.6}),
    Target("A @ X, 32 columns", names("spmm32", on="ab"), "best peer", {1: 1.5, 2: 1.5}),
    Target("A @ X, 32 columns", names("spmm32", on="ab"), "own thread", {2: 1.6}),
    Target("A @ X, 32 columns, Laplacian", ("spmm32 c",), "best peer", {1: 0.9, 2: 0.9}),
    Target("A.T @ X, 32 columns", names("spmmT32", on="ab"), "best peer", {1: 1.4, 2: 1.2}),
    Target("A.T @ X, 32 columns, Laplacian", ("spmmT32 c",), "best peer", {1: 0.9, 2: 1.2}),
    Target("SDDMM, 32 columns", names("sddmm32", on="abc"), "torch", {1: 2.5, 2: 2.5}),
    Target("SDDMM, 32 columns", names("sddmm32", on="abc"), "own thread", {2: 1.6}),
    Target("SpGEMM, sorted", PRODUCTS, "scipy", {1: 1.3}),
    Target("SpGEMM, sorted", PRODUCTS, "own thread", {2: 1.5}),
    Target("A + B, different patterns", names("add", on="abc"), "best peer", {1: 1.2}),
    Target("csr to csc", names("tocsc", on="abc"), "scipy", {1: 1.0}),
    Target("elementwise chain, scaling", ("chain a", "scale a", "scale b"), "scipy", {1: 1.6}),
    Target("elementwise chain, scaling", ("chain a", "scale a", "scale b"), "jax", {1: 1.2}),
    Target("softmax regression step", ("softmax m",), "best peer", {1: 2.5}),
    Target("factorisation step", ("factors m",), "best peer", {1: 6.0}),
    Target("gradient wrt values", ("gradient m",), "best peer", {1: 10.0}),
    Target("everything on 1,000 x 1,000", SMALL, "scipy", {1: 1.0}),
]

# microseconds a call of A @ x, 10 x 10
CALLS = {"symsparse": 8.0, "symsparse frozen": 5.0}


def clock(threads: int) -> str:
    """CPU time is what one thread costs, on a busy machine too; more threads are only worth their wall time."""
    return "cpu" if threads == 1 else "wall"


@dataclass(frozen=True)
class Ratio:
    """How many times as fast as `peer`, by the best and by the median batch of the same run."""

    best: float
    median: float
    peer: str

    def met(self, least: float) -> str:
        """`met`, `not met`, or `close`: best and median disagree."""
        passed = [round(value, 2) >= least for value in (self.best, self.median)]
        return "met" if all(passed) else "close" if any(passed) else "not met"


def peers(result: dict) -> list[str]:
    return [name for name in result["contenders"] if name not in NOT_PEERS]


def ratio(result: dict, against: str, threads: int, ours: str = "symsparse") -> Ratio | None:
    """Ours beside a contender, or beside the fastest of the peers; None where one has no figure."""
    rivals = peers(result) if against == "best peer" else [against]
    if against == "own thread":
        rivals = ["symsparse, 1 thread"]
    found: dict[str, tuple[float, str]] = {}
    for which in ("best", "median"):
        times = {
            name: statistic(result["contenders"].get(name, {}), clock(threads), which)
            for name in [*rivals, ours]
        }
        mine = times.pop(ours)
        known = {name: seconds for name, seconds in times.items() if seconds}
        if not mine or not known:
            return None
        fastest = min(known, key=lambda name: known[name])
        found[which] = known[fastest] / mine, fastest
    return Ratio(found["best"][0], found["median"][0], found["median"][1])


def judged(results: dict[str, dict], threads: int):
    """(target, case, least, ratio or None) for each target at this thread count and each of its cases that was run."""
    for target in TARGETS:
        if threads in target.least:
            for name in target.cases:
                if name in results and "contenders" in results[name]:
                    yield target, name, target.least[threads], ratio(results[name], target.against, threads)
