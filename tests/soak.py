"""Random expressions, compiled, against the reference: ``make soak``, or ``python -m tests.soak --minutes 30``.

Each seed makes one expression of public functions on sparse and dense inputs of random formats, dtypes and shapes,
with its gradients, and runs it on awkward values in both modes. It prints what differed as JSON, with the seeds:
``--seed 17 --count 1`` makes one again. It ends with status 1 if anything was wrong.

Memory must stay flat. Calls leave nothing behind: no allocation of compiled code, no Python object. A function that is
dropped leaves nothing of its graph, only machine code, which Numba never frees: as much for each piece of code as
PyTensor's own functions, some of which are compiled at the end to compare.
"""

import argparse
import ctypes
import gc
import json
import resource
import sys
import time
import weakref

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from numba.core.codegen import JITCodeLibrary
from numba.core.runtime import _nrt_python as nrt

import symsparse as ss
from symsparse.ops.base import is_sparse
from symsparse.testing import random_sparse, reference_mode
from tests.ops.generate import lowered_mode

MODES = {"lowered": lowered_mode, "numba": "NUMBA"}
DTYPES = "float64 float64 float64 float32 int32 int8 complex128 bool".split()
REFUSALS = (TypeError, ValueError, IndexError)
UGLY = (
    {},
    {"unsorted_indices": True},
    {"duplicates": True, "unsorted_indices": True},
    {"explicit_zero": True},
    {"density": 0.0},
    {"density": 1.0},
)


def other(format):
    return "csc" if format == "csr" else "csr"


UNARY = {
    "T": lambda x: x.T,
    "neg": lambda x: -x,
    "sin": ss.sin,
    "square": ss.square,
    "sqrt": lambda x: ss.sqrt(abs(x)),  # PyTensor takes sqrt(x ** 2) for abs(x), which is wrong for complex x
    "exp": lambda x: ss.structured_exp(x),
    "format": lambda x: x.asformat(other(x.format)),
    "clean": ss.clean,
    "tril": lambda x: ss.tril(x),
    "triu": lambda x: ss.triu(x, 1),
    "twice": lambda x: x * 2,
    "ones": ss.sp_ones_like,
    "single": lambda x: x.astype("float32"),
    "double": lambda x: x.astype("float64"),
    "rows": lambda x: x[::-2],
    "columns": lambda x: x[:, 1:],
    "taken": lambda x: x[[0, 0, -1]],
    "values": lambda x: x.with_values(x.values * 3),
    "scaled": lambda x: ss.row_scale(x, ss.sp_sum(x, axis=1)),
    "normed": lambda x: ss.col_scale(x, pt.arange(x.shape[1]).astype(x.dtype)),
    "gram": lambda x: ss.structured_dot(x, x.T),
    "copied": lambda x: ss.vstack([x, x]),
    "kept": lambda x: ss.structured_maximum(x, 0.25),
    "set": lambda x: ss.set_subtensor(x[0], 1),
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "maximum": lambda x, y: ss.maximum(x, y),
    "where": lambda x, y: x * (x > y).astype(x.dtype),
    "dot": ss.structured_dot,
    "dot_t": lambda x, y: ss.structured_dot(x, y.T),
    "hstack": lambda x, y: ss.hstack([x, y]),
    "vstack": lambda x, y: ss.vstack([x, y], format="csc"),
    "sample": lambda x, y: ss.sample(x, y),
}
DENSE = {
    "times": lambda x, d: x * d,
    "product": lambda x, d: x @ d.T,
    "sampled": lambda x, d: ss.sample(d, x),
    "lazy": lambda x, d: ss.sample(pt.sin(d) @ (d.T @ d), x),
    "row": lambda x, d: x * d[0],
    "sum": lambda x, d: (x + d).sum(axis=0),
    "vector": lambda x, d: x @ d[0],
    "left": lambda x, d: d.T @ x,
}


class Expression:
    """One random expression: inputs, how to draw values for them, and outputs."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.inputs, self.makers = [], []
        shape = tuple(int(n) for n in self.rng.integers(1, 7, 2))
        self.sparse = [self.sparse_input(shape) for _ in range(self.rng.integers(1, 4))]
        self.dense = [self.dense_input(shape)]
        self.steps, sinks = [], []
        for _ in range(self.rng.integers(2, 7)):
            made = self.step()
            if made is not None:
                (self.sparse if is_sparse(made) else sinks).append(made)
        self.outputs = [*self.sparse[-2:], *sinks]
        self.add_gradients()

    def sparse_input(self, shape):
        rng = self.rng
        format, dtype = str(rng.choice(["csr", "csc"])), str(rng.choice(DTYPES))
        wide = rng.random() < 0.15
        x = ss.matrix(
            format,
            dtype=dtype,
            shape=shape if rng.random() < 0.3 else (None, None),
            index_dtype="int64" if wide else "int32",
        )
        gap = (0, 4) if np.dtype(dtype).kind == "i" else (-0.9, 0.9)
        self.inputs.append(x)

        def make(ugly, rng):
            ugly = {"density": 0.4, **ugly}
            return random_sparse(
                format, shape, dtype=dtype, gap=gap, rng=rng, index_dtype=x.type.index_dtype, **ugly
            )

        self.makers.append(make)
        return x

    def dense_input(self, shape):
        d = pt.tensor(dtype="float64", shape=(None, None))
        self.inputs.append(d)
        self.makers.append(lambda ugly, rng: rng.uniform(-0.9, 0.9, shape))
        return d

    def step(self):
        """A random function of what there is; None if it does not take these operands."""
        kind = self.rng.choice(3, p=[0.5, 0.3, 0.2])
        table = (UNARY, BINARY, DENSE)[kind]
        name = str(self.rng.choice(list(table)))
        x = self.pick(self.sparse)
        operands = ((x,), (x, self.pick(self.sparse)), (x, self.pick(self.dense)))[kind]
        try:
            made = table[name](*operands)
        except REFUSALS:
            return None
        self.steps.append(name)
        return made

    def pick(self, what):
        return what[self.rng.integers(len(what))]

    def add_gradients(self):
        real = [v for v in self.outputs if v.dtype in ("float32", "float64")]
        wrt = [v for v in self.inputs if v.dtype in ("float32", "float64")]
        if not real or not wrt or self.rng.random() < 0.4:
            return
        cost = sum(
            (ss.sp_sum(ss.sin(v)) if is_sparse(v) else pt.sin(v).sum()).astype("float64") for v in real
        )
        try:
            self.outputs += pytensor.grad(cost, wrt, disconnected_inputs="ignore", null_gradients="return")
        except ValueError:  # static shapes that contradict each other show only now
            return
        self.outputs = [v for v in self.outputs if hasattr(v.type, "dtype")]

    def difference(self, mode):
        """What differs between the modes, or None."""
        with pytensor.config.change_flags(on_opt_error="raise"):
            fast, slow = (
                pytensor.function(self.inputs, self.outputs, mode=m, on_unused_input="ignore")
                for m in (mode, reference_mode)
            )
        graphs = [function.maker.fgraph for function in (fast, slow)]
        self.nodes = [weakref.ref(node) for graph in graphs for node in graph.apply_nodes]
        rng = np.random.default_rng(self.rng.integers(2**32))
        for ugly in UGLY:
            values = [make(ugly, rng) for make in self.makers]
            results = []
            for function in (fast, slow):
                try:
                    with np.errstate(all="ignore"):
                        results.append(function(*values))
                except REFUSALS as e:
                    results.append(e)
            different = self.compare(*results)
            if different is not None:
                return f"{different} ({ugly})"
        return self.growth(fast, rng) if mode == MODES["numba"] else None

    def growth(self, function, rng):
        """What calls leave behind, or None."""
        values = [make({}, rng) for make in self.makers]
        try:
            left = [left_by_calls(function, values) for _ in range(3)]  # Python's own caches come and go
        except REFUSALS:
            return None
        return f"{CALLS} calls leave objects behind: {left}" if min(left) >= CALLS else None

    def compare(self, fast, slow):
        failed = [isinstance(r, Exception) for r in (fast, slow)]
        if any(failed):
            self.refused = True
            return None if all(failed) else f"{fast!r} but {slow!r}"[:600]
        for i, (out, a, b) in enumerate(zip(self.outputs, fast, slow, strict=True)):
            if str(a.dtype) != out.dtype or a.shape != b.shape or sp.issparse(a) != sp.issparse(b):
                return f"output {i}: {a!r} and {b!r}, not a {out.type}"
            a, b = (v.toarray() if sp.issparse(v) else v for v in (a, b))
            single = any(v.dtype in ("float32", "complex64") for v in [*self.outputs, *self.sparse])
            tolerance = {"rtol": 1e-3, "atol": 1e-3} if single else {"rtol": 1e-7, "atol": 1e-9}
            if a.dtype.kind in "biu":
                if not np.array_equal(a, b):
                    return f"output {i}: {a} and {b}"
            elif not np.allclose(a, b, equal_nan=True, **tolerance):
                return f"output {i}: {a} and {b}"
        return None


CALLS = 200


def left_by_calls(function, values):
    """How many more memory blocks Python holds after some calls than before."""
    with np.errstate(all="ignore"):
        function(*values)
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(CALLS):
            function(*values)
    gc.collect()
    return sys.getallocatedblocks() - before


def live():
    """Allocations of compiled code that nobody has freed."""
    gc.collect()
    return nrt.memsys_get_stats_alloc() - nrt.memsys_get_stats_free()


def resident():
    """MiB of this process that are in memory now; where the system does not say, the most that ever were."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/statm") as f:
            return int(f.read().split()[1]) * resource.getpagesize() / 2**20
    except (AttributeError, OSError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


class Growth:
    """Memory that the process gained, and pieces of machine code that Numba made or loaded meanwhile."""

    pieces = 0

    def __init__(self):
        self.memory, self.before = resident(), Growth.pieces

    def report(self):
        gained, pieces = resident() - self.memory, Growth.pieces - self.before
        return {"mib": round(gained), "code": pieces, "mib_each": round(gained / max(1, pieces), 2)}

    @staticmethod
    def count_code():
        finalize = JITCodeLibrary._finalize_specific

        def counted(self):
            Growth.pieces += 1
            return finalize(self)

        JITCodeLibrary._finalize_specific = counted


def compile_dense(count):
    """Functions of PyTensor's own, each another one."""
    for seed in range(count):
        rng = np.random.default_rng(seed)
        d = pt.dmatrix()
        made = [d]
        for _ in range(4):
            steps = (
                pt.sin(made[-1]),
                made[-1] * d,
                made[-1] @ d.T @ d,
                made[-1][::-1] + 1,
                made[-1].cumsum(0),
            )
            made.append(steps[rng.integers(len(steps))])
        gradient = pytensor.grad(pt.sin(made[-1]).sum(), d)
        pytensor.function([d], [made[-1], gradient], mode="NUMBA")(np.ones((3, 3)))


def soak(seed, mode, report):
    """One seed."""
    before = live()
    try:
        expression = Expression(seed)
        different = expression.difference(mode)
    except Exception as e:  # the soak goes on, and says so at its end
        different = f"{type(e).__name__}: {e}"[:1500]
    if different is not None:
        report["wrong"].append(f"seed {seed} {getattr(expression, 'steps', '')}: {different}")
        print(report["wrong"][-1], file=sys.stderr, flush=True)
        return
    refused, nodes = getattr(expression, "refused", False), expression.nodes
    del expression
    # Numba's code does not let go of what it holds where it raises an error.
    if live() > before and not refused:
        report["leaks"].append(seed)
    if any(node() is not None for node in nodes):
        report["kept"].append(seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--mode", choices=MODES, default="numba")
    arguments = parser.parse_args()
    nrt.memsys_enable_stats()
    Growth.count_code()
    end = np.inf if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    seed, report = arguments.seed, {"wrong": [], "leaks": [], "kept": []}
    soak(seed, MODES[arguments.mode], report)  # and all that is imported with the first compilation
    growth = Growth()
    while time.monotonic() < end and (arguments.count is None or seed < arguments.seed + arguments.count - 1):
        seed += 1
        soak(seed, MODES[arguments.mode], report)
    report |= {"count": seed + 1 - arguments.seed, "memory": growth.report()}
    if arguments.mode == "numba" and report["count"] >= 20:
        compile_dense(2)
        growth = Growth()
        compile_dense(12)
        report["dense"] = growth.report()
        if report["memory"]["mib_each"] > 1.5 * report["dense"]["mib_each"]:
            report["wrong"].append("more memory for each piece of code than PyTensor's own functions take")
    print(json.dumps(report))
    raise SystemExit(1 if report["wrong"] or report["leaks"] or report["kept"] else 0)


if __name__ == "__main__":
    main()
