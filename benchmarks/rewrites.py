"""What each rewrite gains: the same graph compiled with and without it, called in turn.

    python -m benchmarks.rewrites [NAMES] [--page]

CPU time of one thread, shortest and median of 15 rounds, and the ratio of the medians. Figures are kept from run to
run in `.cache/bench/rewrites.json`, so that a few cases at a time can be measured; `--page` writes
docs/benchmarks/rewrites.md. `reference` is no rewrite, but the time of a loss and its gradients beside that of the
products which they cannot do without.
"""

import argparse
import datetime
import json
import time
from typing import NamedTuple

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp

import symsparse as ss
from benchmarks.__main__ import machine, write
from benchmarks.matrices import folder
from benchmarks.pool import ROOT
from benchmarks.report import duration, table

PAGE = ROOT / "docs" / "benchmarks" / "rewrites.md"
ROUNDS, BATCH = 15, 2e-3  # rounds, and the least seconds of calls in each
REFERENCE = "reference"
LOSS = "loss and gradients"


class Case(NamedTuple):
    """A graph that a rewrite changes."""

    name: str  # the rewrite, without `symsparse_`
    what: str
    inputs: list
    outputs: object
    values: list
    updates: list = []


def matrix(n, m, nnz, seed=0, format="csr"):
    rng = np.random.default_rng(seed)
    a = sp.coo_array((rng.normal(size=nnz), (rng.integers(0, n, nnz), rng.integers(0, m, nnz))), shape=(n, m))
    a = a.asformat(format)
    a.sum_duplicates()
    return a


def cases():
    """A case for each rewrite, most with 200,000 entries in 20,000 rows; dense forms are of 1500 x 1500."""
    rng = np.random.default_rng(0)
    n, k = 20_000, 32
    A, B = matrix(n, n, 200_000), matrix(n, n, 200_000, 1)
    C = A.tocsc()
    dense, vector = rng.normal(size=(n, k)), rng.normal(size=n)
    x, y = (ss.csr_matrix(name, dtype="float64") for name in "xy")
    c = ss.csc_matrix("c", dtype="float64")
    d, e, g = pt.dmatrices("d", "e", "g")
    v, w = pt.dvectors("v", "w")
    i, j = pt.lvectors("i", "j")
    small = matrix(1500, 1500, 15_000)
    thin, square = rng.normal(size=(1500, 16)), rng.normal(size=(1500, 1500))
    full = x.toarray()
    batch, weights = matrix(500, n, 5_000), pytensor.shared(dense.copy())
    pairs = [rng.integers(0, 1500, 20_000) for _ in range(2)]
    read = (d @ e.T)[i, j] * x.sum()

    # -- products
    step = [(weights, weights - 0.1 * (x.T @ g))]
    yield Case("usmm", "d - 0.1 * (c @ d)", [c, d], d - 0.1 * (c @ d), [C, dense])
    yield Case(
        "usmm_inplace",
        "shared W: W - 0.1 * (x.T @ g), a batch of 500 rows",
        [x, g],
        [],
        [batch, rng.normal(size=(500, k))],
        step,
    )
    yield Case("scalar_out_of_product", "(x * 2.0) @ v", [x, v], (x * 2.0) @ v, [A, vector])
    yield Case(
        "column_scale_out_of_product", "col_scale(x, v) @ v", [x, v], ss.col_scale(x, v) @ v, [A, vector]
    )
    yield Case("product_with_diagonal", "diags(v) @ x", [x, v], ss.diags(v) @ x, [A, vector])
    yield Case("product_with_column", "x @ v[:, None]", [x, v], x @ v[:, None], [A, vector])
    yield Case("diagonal_of_product", "trace(x @ x.T)", [x], ss.diag(x @ x.T).sum(), [A])
    yield Case("cheapest_order", "(x @ y) @ v", [x, y, v], x @ y @ v, [A, B, vector])
    yield Case("transposed_copy", "A.T @ v, A constant", [v], ss.constant(A).T @ v, [vector])

    # -- what is read at the entries of a pattern alone
    yield Case(
        "sampled_product",
        "gradient of sum(sin(x @ y))",
        [x, y],
        pytensor.grad(ss.sp_sum(ss.sin(x @ y)), x),
        [A, B],
    )
    yield Case("sample_of_linear", "sample(x + y, x)", [x, y], ss.sample(x + y, x), [A, B])
    yield Case("sample_of_converted", "sample(x.tocsc(), y)", [x, y], ss.sample(x.tocsc(), y), [A, B])
    yield Case(
        "sample_of_diagonal", "sample(diag(v), x)", [x, v], ss.sample(pt.diag(v), x), [small, vector[:1500]]
    )
    yield Case(
        "sample_of_incremented",
        "gradient of sum(x.toarray()[3] ** 2)",
        [x],
        pytensor.grad((full[3] ** 2).sum(), x),
        [small],
    )
    yield Case(
        "gather_of_product",
        "(d @ e.T)[i, j], 20,000 pairs",
        [d, e, i, j, x],
        read,
        [thin, thin, *pairs, small],
    )
    yield Case(
        "scattered_into_zeros",
        "its gradient",
        [d, e, i, j, x],
        pytensor.grad((read**2).sum(), d),
        [thin, thin, *pairs, small],
    )

    # -- dense forms that nobody needs
    yield Case("dense_product_of_densified", "x.toarray() @ e", [x, e], full @ e, [small, thin])
    yield Case(
        "product_with_densified",
        "sum(dot(x, y.toarray()))",
        [x, y],
        ss.dot(x, y.toarray()).sum(),
        [small, small],
    )
    yield Case(
        "dense_form_of_product",
        "true_dot(x, y).toarray()",
        [x, y],
        ss.true_dot(x, y).toarray(),
        [small, small],
    )
    yield Case("sum_of_densified", "x.toarray().sum(axis=0)", [x], full.sum(axis=0), [small])
    yield Case(
        "sum_of_sparse_of_dense",
        "csr_from_dense(e).sum(axis=0)",
        [e],
        ss.csr_from_dense(e).sum(axis=0),
        [square],
    )
    yield Case(
        "dense_of_sparse_of_dense",
        "csr_from_dense(e).toarray()",
        [e],
        ss.csr_from_dense(e).toarray() + 1,
        [square],
    )
    yield Case("diagonal_of_densified", "diagonal(x.toarray())", [x], pt.diagonal(full), [small])
    yield Case("index_of_densified", "x.toarray()[3]", [x], full[3], [small])
    yield Case("transpose_of_densified", "x.toarray().T @ e", [x, e], full.T @ e, [small, thin])
    yield Case(
        "fill_like_densified",
        "gradient of sum(abs(x.toarray() - y.toarray()))",
        [x, y],
        pytensor.grad(abs(full - y.toarray()).sum(), x),
        [small, small],
    )
    yield Case("function_of_densified", "sum(x.toarray() ** 2)", [x], (full**2).sum(), [small])
    yield Case("sum_with_densified", "x.toarray() + e", [x, e], full + e, [small, square])
    yield Case(
        "product_with_densified_elementwise",
        "sum(x.toarray() * (e @ e.T))",
        [x, e],
        (full * (e @ e.T)).sum(),
        [small, thin],
    )

    # -- formats and order
    yield Case("format_of_format", "x.tocsc().tocsr()", [x], x.tocsc().tocsr(), [A])
    yield Case("format_that_does_not_matter", "x.tocsc() @ v", [x, v], x.tocsc() @ v, [A, vector])
    yield Case(
        "formats_of_sum",
        "(x + c + c.T + 2 * c).sum(axis=0)",
        [x, c],
        (x + c + c.T + 2 * c).sum(axis=0),
        [A, C],
    )
    yield Case("format_of_result", "(A + c) @ v, A constant", [c, v], (ss.constant(A) + c) @ v, [C, vector])
    yield Case(
        "canonical_of_canonical", "sum_duplicates(x @ y)", [x, y], ss.sum_duplicates(x @ y), [small, small]
    )
    yield Case(
        "sorted_of_canonical",
        "ensure_sorted_indices(x @ y)",
        [x, y],
        ss.ensure_sorted_indices(x @ y),
        [small, small],
    )
    yield Case("remove0_of_remove0", "clean(clean(x))", [x], ss.clean(ss.clean(x)), [A])
    yield Case("double_transpose", "x.T.T @ v", [x, v], x.T.T @ v, [A, vector])
    yield Case("double_negation", "-(-x)", [x], ss.neg(ss.neg(x)), [A])
    yield Case("cast_to_own_dtype", "cast(x, x.dtype)", [x], ss.Cast("float64")(x) * 2, [A])

    # -- on lowered graphs
    yield Case("one_pass", "x + y", [x, y], x + y, [A, B])
    yield Case(
        "scale_in_one_pass", "diags(v) @ x @ diags(w)", [x, v, w], v[:, None] * x * w, [A, vector, vector]
    )
    yield Case("vectorise_math", "sum(tanh(x))", [x], ss.tanh(x).sum(), [A])


def seconds(f, values, rounds):
    start = time.thread_time()
    for _ in range(rounds):
        f(*values)
    return (time.thread_time() - start) / rounds


def in_turn(functions, values):
    """Seconds a call of each function in each round."""
    for f in functions.values():
        f(*values)
    calls = {name: max(1, int(BATCH / max(seconds(f, values, 1), 1e-6))) for name, f in functions.items()}
    rounds = [{name: seconds(f, values, calls[name]) for name, f in functions.items()} for _ in range(ROUNDS)]
    return {name: [r[name] for r in rounds] for name in functions}


def compiled(case):
    """The function with the rewrite, and without it."""
    mode = pytensor.compile.get_default_mode()
    modes = {"with": mode, "without": mode.excluding(f"symsparse_{case.name}")}
    return {
        name: pytensor.function(case.inputs, case.outputs, updates=case.updates, mode=m)
        for name, m in modes.items()
    }


def reference():
    """A loss and its gradients with respect to values and dense factor; and the three products that they take."""
    n, k = 110_000, 200
    A, rng = matrix(n, n, 860_000), np.random.default_rng(0)
    x, d, g = ss.csr_matrix("x", dtype="float64"), pt.dmatrix("d"), pt.dmatrix("g")
    loss = ((x @ d) ** 2).sum()
    outputs = {
        LOSS: [loss, *pytensor.grad(loss, [x, d])],
        "SpMM": x @ d,
        "SDDMM": ss.structured_dot_grad(x, d, g),
        "transposed SpMM": x.T @ g,
    }
    functions = {
        name: pytensor.function([x, d, g], out, on_unused_input="ignore") for name, out in outputs.items()
    }
    return functions, [A, rng.normal(size=(n, k)), rng.normal(size=(n, k))]


def ends(times):
    """Shortest and median time."""
    return [min(times), float(np.median(times))]


def shown(times):
    return "; ".join(map(duration, ends(times)))


def page(record):
    """The text of docs/benchmarks/rewrites.md."""
    found = record["results"]
    rows = [
        [
            f"`{case.name}`",
            f"`{case.what}`",
            shown(times["with"]),
            shown(times["without"]),
            f"{np.median(times['without']) / np.median(times['with']):.1f}",
        ]
        for case in cases()
        if (times := found.get(case.name))
    ]
    what = record["machine"]
    text = f"""# What the rewrites gain

Written by `python -m benchmarks.rewrites --page` on {record["date"]}: {what["cpu"]}, {what["cpus"]} CPUs, Python
{what["python"]}. The same graph compiled with and without each rewrite, the two called in turn: CPU time of one
thread, shortest; median of {ROUNDS} rounds, and how many times as fast the medians are. Matrices have 200,000 entries
in 20,000 rows and columns; where dense forms are at stake, 15,000 in 1500. What a rewrite does stands in
[rewrites](../rewrites.md).

Around 1 are rewrites of what later passes find too, and a product that is added to what must stay. Other work on the
machine disturbs the figures: only ratios mean anything.

{table(["rewrite", "case", "with", "without", "gain"], rows)}
"""
    times = found.get(REFERENCE)
    if times:
        parts = [name for name in times if name != LOSS]
        total = [sum(round) for round in zip(*(times[name] for name in parts), strict=True)]
        rows = [[name, shown(times[name])] for name in parts] + [
            ["their sum", shown(total)],
            [LOSS, shown(times[LOSS])],
        ]
        ratio = np.median(times[LOSS]) / np.median(total)
        text += f"""
## A loss and its gradients

`((x @ d) ** 2).sum()` and its gradients with respect to the values of x and to d; x is 110,000 x 110,000 with 860,000
entries, d has 200 columns. Beside it the products that it takes, each in a function of its own. It takes {ratio:.2f}
times as long as these together; it also squares and sums. No array larger than d is formed: a dense gradient of x would
take 97 GB.

{table(["", "CPU time, one thread"], rows)}
"""
    return text


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rewrites", description=__doc__.splitlines()[0]
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"only these rewrites; `{REFERENCE}` for the reference case")
    add("--compile", action="store_true", help="only compile, so that later runs do not")
    add(
        "--page",
        action="store_true",
        help="write the page of what was measured; without names, measure nothing",
    )
    add("--list", action="store_true", help="print the names")
    given = parser.parse_args(arguments)
    known = {case.name: case for case in cases()}
    wrong = set(given.names) - {*known, REFERENCE}
    if wrong:
        parser.error(f"no case is called {', '.join(sorted(wrong))}; --list names them all")
    if given.list:
        print("\n".join([*known, REFERENCE]))
        return
    numba.set_num_threads(1)
    path = folder() / "rewrites.json"
    record = json.loads(path.read_text()) if path.exists() else {"results": {}}
    record |= {"machine": machine(), "date": datetime.date.today().isoformat()}
    for name in given.names or ([] if given.page else [*known, REFERENCE]):
        functions, values = reference() if name == REFERENCE else (compiled(known[name]), known[name].values)
        if given.compile:
            for f in functions.values():
                f(*values)
            continue
        times = record["results"][name] = in_turn(functions, values)
        write(path, record)
        print(f"{name:36}", *(f"{which}: {shown(found):20}" for which, found in times.items()), flush=True)
    if given.page:
        PAGE.write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
