"""The support matrix: what the generated tests proved, written to docs/support.md by ``make support``.

A pytest plugin. It looks at the outcome of every test of the op table and prints one row for each case. A cell that
no test has filled stays empty.
"""

from collections import defaultdict
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "support.md"
TESTS = {
    "test_forward_and_pullback": "forward",
    "test_second_order_and_forward_mode": "higher",
    "test_every_op_runs_under_every_linker": "c",
}
HEAD = """\
# What works where

Written by the tests of the op table (`make support`), not by hand: a mark stands where the generated tests of that
row passed on all the awkward inputs (no rows, no columns, nothing stored, unsorted, duplicates, explicit zeros,
mixed formats). Rows are the cases of `tests/ops/table/`.

* **csr, csc**: the format of the first sparse operand; other sparse operands have the same format, and the other one.
  *numba*: the compiled function. *reference*: SciPy, operation by operation.
* **C**: PyTensor's C linker. Products, their gradients and sampled products have C++ code; the rest calls its kernel.
* **gradients**: one word for each operand, in order. *structured*: on the operand's own pattern; *regular*: right at
  every position; *stored*: right at the stored entries (pattern of the formula); *dense*: of a dense operand; a dash
  where an operand has none.
* **forward**, **second**: forward mode (pushforward), and gradients of gradients.

"""
COLUMNS = (
    "operation",
    "operands",
    *(f"{format} {mode}" for format in ("csr", "csc") for mode in ("numba", "reference")),
    "C",
    "gradients",
    "forward",
    "second",
)


def described(operand):
    """An operand in a row's second column."""
    sizes = ", ".join(operand.sizes)
    return ("sparse" if operand.sparse else "dense") + f" ({sizes})"


def kind(case, i, operand):
    """Which gradient the tests demand of an operand."""
    if not case.gradient or operand.dtype != "float64":
        return "–"
    if not operand.sparse:
        return "dense"
    return "structured" if i in case.structured else "regular" if i in case.regular else "stored"


def row(case, passed):
    """The row of one case; `passed` has (test, format, mode)."""

    def mark(done):
        return "✓" if done else ""

    cells = [f"`{case.name}`", " · ".join(map(described, case.operands))]
    for format in ("csr", "csc"):
        # the same test compares the compiled function and the reference with the oracle
        ran = {mode for test, f, mode in passed if (test, f) == ("forward", format)}
        cells += [mark("numba" in ran), mark(ran)]
    cells.append(mark(any(test == "c" and mode in ("cvm", "compiler") for test, _, mode in passed)))
    higher = any(test == "higher" for test, _, _ in passed)
    cells.append(" · ".join(kind(case, i, o) for i, o in enumerate(case.operands)))
    return "| " + " | ".join([*cells, mark(higher), mark(higher)]) + " |"


class Recorder:
    """Collects the outcomes, and writes the page at the end of a run."""

    def __init__(self):
        self.passed = defaultdict(set)

    def pytest_runtest_logreport(self, report):
        """A test has passed (reports of workers arrive here too)."""
        if report.when != "call" or not report.passed or "[" not in report.nodeid:
            return
        name, parameters = report.nodeid.split("::")[-1].rstrip("]").split("[", 1)
        if name in TESTS:
            case, *found = parameters.rsplit("-", 1 if TESTS[name] == "c" else 2)
            self.passed[case].add((TESTS[name], found[0], found[-1]))

    def pytest_sessionfinish(self, session):
        """Write the page; a worker of pytest-xdist has only a part of the outcomes."""
        if hasattr(session.config, "workerinput"):
            return
        from tests.ops.table import CASES

        lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
        lines += [row(case, self.passed[case.name]) for case in sorted(CASES, key=lambda c: c.name)]
        PAGE.write_text(HEAD + "\n".join(lines) + "\n")


def pytest_configure(config):
    """Hook of pytest."""
    config.pluginmanager.register(Recorder(), "symsparse_support")
