"""Contenders take turns, a batch of calls each, round after round, so that a noisy moment hits all of them."""

import os
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict

from benchmarks.cases import Case
from benchmarks.matrices import folder
from benchmarks.pool import Pool
from benchmarks.worker import WARM_UP

BATCH = 0.02  # seconds that a batch should last
WARM_BELOW = 0.2  # seconds a call: of slower contenders a single call is timed, without others before it
SLOW, HOPELESS = 20, 100  # times slower than the fastest: few rounds; beyond that one or two
FEWEST, MOST = 5, 25  # rounds
LIMITS = ("stream", "peak")


def calls_in_a_batch(seconds: float, target: float = BATCH) -> int:
    return max(1, min(10_000, round(target / max(seconds, 1e-7))))


def rounds_for(seconds: dict[str, float], budget: float) -> dict[str, int]:
    """How many rounds each contender takes part in, given the time of one call of each."""
    fastest = min(seconds.values())
    round_lasts = sum(WARM_UP + max(BATCH, s) for s in seconds.values() if s <= SLOW * fastest)
    all_rounds = int(max(FEWEST, min(MOST, budget / max(round_lasts, 1e-9))))
    rounds = {}
    for name, s in seconds.items():
        if s > HOPELESS * fastest and s > BATCH:
            rounds[name] = 2 if s < 1 else 1
        elif s > SLOW * fastest and s > BATCH:
            rounds[name] = 3
        else:
            rounds[name] = all_rounds
    return rounds


def measure(pool: Pool, case: Case, budget: float, tell: Callable[[str], None] = lambda what: None) -> dict:
    """Build, check and time a case; a JSON object of all figures."""
    reference = folder() / "reference" / f"{case.name.replace(' ', '-')}-{os.getpid()}"
    result: dict = {
        "case": asdict(case),
        "name": case.name,
        "started": time.time(),
        "load": [os.getloadavg()[0]],
    }
    try:
        tell("reference")
        answer = pool.ask("scipy", do="reference", case=asdict(case), path=str(reference))
        if "bytes" not in answer:
            return result | {"failed": answer}
        result |= answer
        contenders, seconds = {}, {}
        for name in pool.members:
            tell(name)
            answer = pool.ask(name, do="build", case=asdict(case), reference=str(reference))
            contenders[name] = answer
            if "seconds" in answer:
                seconds[name] = answer.pop("seconds")
        if not case.small:
            for name in LIMITS:
                answer = pool.limit(name, do="limit")
                if "seconds" in answer:
                    contenders[name] = {"amount": answer["amount"]}
                    seconds[name] = answer["seconds"]
        run_rounds(pool, contenders, seconds, rounds_for(seconds, budget), tell)
    finally:
        shutil.rmtree(reference, ignore_errors=True)
        pool.forget()
    result["load"].append(os.getloadavg()[0])
    return result | {"contenders": contenders, "lasted": time.time() - result["started"]}


def run_rounds(pool, contenders, seconds, rounds, tell) -> None:
    """Time everybody in turns; `contenders` gets the seconds per call of each round, in wall and CPU time."""
    for name in seconds:
        contenders[name] |= {"wall": [], "cpu": []}
    total = max(rounds.values())
    names = list(seconds)
    for r in range(total):
        tell(f"round {r + 1} of {total}")
        for name in names[r % len(names) :] + names[: r % len(names)]:
            if r >= rounds[name] or "failed" in contenders[name]:
                continue
            ask = pool.limit if name in LIMITS else pool.ask
            calls = calls_in_a_batch(seconds[name])
            answer = ask(name, do="batch", calls=calls, warm=seconds[name] < WARM_BELOW)
            if "wall" not in answer:
                contenders[name]["failed"] = answer.get("failed", "no figure")
                continue
            contenders[name]["wall"].append(answer["wall"])
            contenders[name]["cpu"].append(answer["cpu"])


def statistic(contender: dict, clock: str, which: str) -> float | None:
    """`best` or `median` seconds a call, or None if the contender has no figure."""
    times = contender.get(clock)
    if not times or "failed" in contender:
        return None
    return min(times) if which == "best" else statistics.median(times)
