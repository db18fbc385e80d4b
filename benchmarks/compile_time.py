"""CPU seconds until the first result of a softmax regression's loss and gradient, with empty caches and with full ones.

`python -m benchmarks.compile_time MODULE CONTENDER` is the process that is measured; `measure` starts it twice. What
`import symsparse` adds to the import of PyTensor and of SciPy's sparse module is measured in processes of its own.
"""

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cases import Case, Operands
from benchmarks.contenders import CONTENDERS
from benchmarks.pool import ROOT, environment

ROUNDS = 3
MEASURED = ("symsparse", "symsparse frozen", "pytensor.sparse", "jax")
# most CPU seconds
TARGETS = {
    "compiling, empty cache": ("cold", 8.0),
    "compiling, full cache": ("warm", 0.8),
    "import": ("import", 0.1),
}


def cpu_seconds() -> float:
    return sum(os.times()[:4])  # compilers that it starts, too


def child(module: str, contender: str) -> dict:
    """Import, then compile and call once."""
    operands = Operands(Case("softmax", "m"))
    for name in ("A", "W", "labels"):
        getattr(operands, name)
    started = cpu_seconds()
    loaded = importlib.import_module(f"benchmarks.contenders.{module}")
    loaded.start(1)
    imported = cpu_seconds()
    loaded.BUILD[contender]["softmax"](operands)()
    return {"start": imported - started, "compile": cpu_seconds() - imported}


def compile_seconds(contender: str) -> dict:
    """Seconds to import, to compile with nothing cached (`cold`), and again (`warm`); or what `failed`."""
    with tempfile.TemporaryDirectory() as folder:
        caches = {
            "NUMBA_CACHE_DIR": f"{folder}/numba",
            "PYTENSOR_FLAGS": f"base_compiledir={folder}/pytensor",
            "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        command = [sys.executable, "-m", "benchmarks.compile_time", CONTENDERS[contender][0], contender]
        runs = [
            subprocess.run(
                command,
                env=environment(1) | caches,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            for _ in range(2)
        ]
    if any(run.returncode for run in runs):
        last = (runs[0].stderr.strip() or "no message").splitlines()[-1]
        return {"failed": last}
    cold, warm = (json.loads(run.stdout.splitlines()[-1]) for run in runs)
    return {"cold": cold["compile"], "warm": warm["compile"], "start": warm["start"]}


def measure() -> dict[str, dict]:
    """For each contender what `compile_seconds` finds: the least of rounds in which they take turns."""
    found: dict[str, dict] = {}
    for _ in range(ROUNDS):
        for contender in MEASURED:
            new = compile_seconds(contender)
            old = found.setdefault(contender, new)
            if "failed" not in new | old:
                found[contender] = {key: min(old[key], seconds) for key, seconds in new.items()}
    if "failed" not in found["symsparse"]:
        found["symsparse"]["import"] = import_seconds()
    return found


IMPORT = """
import time
import pytensor.tensor, scipy.sparse
started = time.process_time()
import symsparse
print(time.process_time() - started)
"""


def import_seconds() -> float:
    """The median of five processes, with the bytecode that installing leaves."""
    seconds = []
    with tempfile.TemporaryDirectory() as bytecode:
        variables = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": bytecode}
        for _ in range(6):
            run = subprocess.run(
                [sys.executable, "-c", IMPORT],
                env=environment(1) | variables,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds.append(float(run.stdout))
    return statistics.median(seconds[1:])  # the first one wrote the bytecode


if __name__ == "__main__":
    Path(os.environ["NUMBA_CACHE_DIR"]).mkdir(exist_ok=True)
    print(json.dumps(child(*sys.argv[1:])))
