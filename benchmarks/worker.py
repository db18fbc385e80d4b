"""The process of one contender. It reads a command a line from its input, and answers each with a line.

`python -m benchmarks.worker MODULE THREADS`. A command is a JSON object; `do` names what to do:

    build       make a contender's function for a case, call it, and compare the result with the reference
    reference   keep the result of this contender (SciPy) for the others to compare with, and say what the case costs
    batch       call a function so many times
    forget      drop the functions of the case
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.cases import Case, Operands, cost

TOLERANCE = {"float64": 1e-9, "float32": 2e-4}
# Seconds of calls before those that are timed: a process that others ran beside finds cold caches, and the system may
# put a thread that has slept on the processor of the one that woke it, and leave it there for some milliseconds.
WARM_UP = 0.05
AGAIN_BELOW = 0.2  # seconds: a call so short is timed twice to find how many make a batch


class Wrong(Exception):
    """A contender's result is not SciPy's."""


def compare(got, wanted, tolerance):
    """Raise `Wrong` unless each element agrees with the reference, relative to it and to its largest element."""
    if len(got) != len(wanted):
        raise Wrong(f"{len(got)} results, not {len(wanted)}")
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        if tuple(np.shape(a)) != tuple(np.shape(b)):
            raise Wrong(f"result {i} has shape {np.shape(a)}, not {np.shape(b)}")
        if sp.issparse(a) != sp.issparse(b):
            raise Wrong(f"result {i} is {'sparse' if sp.issparse(a) else 'dense'}")
        if sp.issparse(b):
            a, b = same_pattern(a, b)
        a, b = np.asarray(a), np.asarray(b)
        largest = np.abs(b).max(initial=0)
        off = ~(np.abs(a - b) <= tolerance * (np.abs(b) + largest))
        if off.any():
            where = int(np.argmax(off))
            raise Wrong(
                f"{off.sum()} of {b.size} elements of result {i} are off, the first is {a.flat[where]:.9g}, "
                f"not {b.flat[where]:.9g}"
            )


def same_pattern(a, b):
    """Values of two sparse matrices at the entries of either."""
    a, b = sp.csr_array(a, copy=True), sp.csr_array(b, copy=True)
    for matrix in (a, b):
        matrix.sum_duplicates()
    if np.array_equal(a.indptr, b.indptr) and np.array_equal(a.indices, b.indices):
        return a.data, b.data
    entries = abs(a.astype(bool)) + abs(b.astype(bool))
    rows, columns = sp.coo_array(entries).coords
    return np.asarray(a[rows, columns]).ravel(), np.asarray(b[rows, columns]).ravel()


def has_sorted_indices(matrix):
    indices, indptr = matrix.indices.astype(np.int64), matrix.indptr
    rising = np.diff(indices) > 0
    rising[indptr[1:-1][(indptr[1:-1] > 0) & (indptr[1:-1] < len(indices))] - 1] = True
    return bool(rising.all())


def save(results, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for i, result in enumerate(results):
        if sp.issparse(result):
            sp.save_npz(folder / f"{i}.npz", result, compressed=False)
        else:
            np.save(folder / f"{i}.npy", result)


def saved(folder):
    """What `save` kept."""
    return [
        sp.load_npz(path) if path.suffix == ".npz" else np.load(path)
        for path in sorted(folder.iterdir(), key=lambda path: int(path.stem))
    ]


class Worker:
    def __init__(self, module, threads):
        self.module = importlib.import_module(f"benchmarks.contenders.{module}")
        self.versions = self.module.start(threads)
        self.case = self.operands = None
        self.functions = {}

    def use(self, case):
        case = Case(**case)
        if case != self.case:
            self.forget()
            self.case, self.operands = case, Operands(case)

    def build(self, contender, case, reference):
        self.use(case)
        kernel = self.module.BUILD[contender].get(self.case.kernel)
        if kernel is None:
            return {"absent": "no such operation"}
        started = time.process_time()
        try:
            function = kernel(self.operands)
            result = function()
        except NotImplementedError as error:
            return {"absent": str(error)}
        prepared = time.process_time() - started
        results = self.module.plain(result, self.operands)
        compare(results, saved(Path(reference)), TOLERANCE[self.case.dtype])
        if self.case.kernel in ("spgemm", "gram") and not has_sorted_indices(results[0]):
            raise Wrong("indices are not sorted")
        del result, results
        self.functions[contender] = function
        seconds = self.batch(contender, 1)["wall"]
        if seconds < AGAIN_BELOW:
            seconds = min(seconds, self.batch(contender, 1)["wall"])
        return {"prepared": prepared, "seconds": seconds}

    def reference(self, contender, case, path):
        self.use(case)
        results = self.module.plain(
            self.module.BUILD[contender][self.case.kernel](self.operands)(), self.operands
        )
        save(results, Path(path))
        moved, flops = cost(self.operands, results)
        return {"bytes": moved, "flops": flops}

    def limit(self, contender):
        """What the machine can do: `stream` in bytes, `peak` in floating-point operations."""
        self.functions[contender], amount = getattr(self.module, contender)()
        self.functions[contender]()
        return {"amount": amount, "seconds": self.batch(contender, 1)["wall"]}

    def batch(self, contender, calls, warm=False):
        function = self.functions[contender]
        start = time.perf_counter()
        while warm and time.perf_counter() - start < WARM_UP:
            function()
        gc.disable()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(calls):
            function()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        gc.enable()
        return {"wall": wall / calls, "cpu": cpu / calls}

    def forget(self):
        self.functions.clear()
        self.case = self.operands = None
        gc.collect()
        return {}


def answer(worker, command):
    do = command.pop("do")
    try:
        return getattr(worker, do)(**command)
    except Wrong as error:
        return {"wrong": str(error)}
    except Exception as error:
        traceback.print_exc()
        text = str(error).strip() or "no message"
        return {"failed": f"{type(error).__name__}: {text.splitlines()[0]}"[:200]}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    module, threads = sys.argv[1], int(sys.argv[2])

    def say(what):
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        worker = Worker(module, threads)
    except ImportError as error:
        say({"absent": f"not installed ({error})"})
        return
    say({"versions": worker.versions})
    with contextlib.suppress(KeyboardInterrupt):
        for line in sys.stdin:
            say(answer(worker, json.loads(line)))


if __name__ == "__main__":
    main()
