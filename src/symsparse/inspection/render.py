"""An explanation as text and as HTML."""

import re
from collections import Counter
from html import escape

from symsparse.lowering.dense_forms import bytes_text


def flops_text(n):
    """A number of operations for people."""
    return bytes_text(n).replace("B", "FLOP")


_SYMBOLIC = "symbolic phase: work on patterns in each call (canonical_pattern: none for an argument in canonical form)"


def _count(n, what):
    return f"{n} {what}" + ("" if n == 1 else "s")


def summary(e):
    """The first line."""
    silent, asked = len(e.densifications), len(e.dense_forms) - len(e.densifications)
    dense = _count(silent, "densification") if silent else "no densification"
    if asked:
        dense += f" but the {asked} asked for" if not silent else f" and {asked} asked for"
    numeric = [step for step in e.steps if step.phase != "values" and step.phase != "symbolic"]
    unknown = any(step.flops is None or step.n_bytes is None for step in e.steps)
    if not e.steps:
        work = "nothing sparse is left"
    elif unknown and not (e.flops or e.n_bytes):
        work = "sizes depend on the arguments: explain(f, *args) shows them"
    else:
        work = ("at least " if unknown else "") + f"{flops_text(e.flops)}, {bytes_text(e.n_bytes)}"
    folded = f", {len(e.folded)} at compile time" if e.folded else ""
    phases = _count(len(e.symbolic), "symbolic phase") + f" per call{folded}"
    return "; ".join([dense, phases, _count(len(numeric), "kernel"), work])


HEADINGS = [
    "",
    "operation",
    "kernel",
    "sparse operand",
    "pattern",
    "result",
    "work",
    "traffic",
    "threads",
    "line",
]


def rows(e):
    """The cells of the table of steps."""
    for i, step in enumerate(e.steps, 1):
        yield [
            str(i),
            step.op,
            step.kernel + (" *" if step.phase == "symbolic" else ""),
            step.sparse,
            step.pattern,
            step.result or "scalar",
            "" if step.phase == "symbolic" else "?" if step.flops is None else flops_text(step.flops),
            "?" if step.n_bytes is None else bytes_text(step.n_bytes),
            step.threads,
            "" if step.line is None else str(step.line),
        ]


def _told(table):
    """The columns in which at least one row says something."""
    return [
        j
        for j in range(len(HEADINGS))
        if any(re.sub(r"nnz|of|in|slices|[? x,]", "", row[j]) for row in table)
    ]


def _lines(e):
    """The text of each line that is mentioned."""
    lines = [step.line for step in e.steps] + [form.line for form in e.dense_forms]
    return {str(line): line.text for line in lines if line is not None}


def _folded(e):
    return ", ".join(f"{name} x {n}" if n > 1 else name for name, n in Counter(e.folded).items())


def _dense_notes(e):
    for form in e.dense_forms:
        at = "" if form.line is None else f", {form.line}"
        kind = "asked for" if form.asked else "NOT ASKED FOR"
        yield f"{kind}: {form.what}: {form.size()}{at}", form.instead


def _conversions(e):
    return [f"step {i}: {s.op}" for i, s in enumerate(e.steps, 1) if s.conversion]


def text(e):
    """The explanation as plain text."""
    out = [summary(e), f"compiled for {e.mode}"]
    table = [HEADINGS, *rows(e)]
    if e.steps:
        used = _told(table[1:])
        widths = {j: max(len(row[j]) for row in table) for j in used}
        right = {0, 6, 7, 8}
        out.append("")
        for row in table:
            cells = (row[j].rjust(widths[j]) if j in right else row[j].ljust(widths[j]) for j in used)
            out.append("  ".join(cells).rstrip())
    if e.symbolic:
        out += ["", f"* {_SYMBOLIC}"]
    for title, notes in _notes(e):
        out += ["", title, *(f"  {note}" for note in notes)]
    return "\n".join(out)


def short(e):
    """The summary, and the operation, kernel and work of each step."""
    table = [[row[j] for j in (1, 2, 6)] for row in rows(e)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ("  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip() for row in table)
    return "\n".join([summary(e), *(f"  {line}" for line in lines)])


def _notes(e):
    """Titles and lines below the table."""
    dense = [
        line for note, instead in _dense_notes(e) for line in (note, *([f"  {instead}"] if instead else []))
    ]
    lines = _lines(e)
    width = max(map(len, lines), default=0)
    for title, notes in (
        ("dense forms of sparse matrices", dense),
        ("conversions", _conversions(e)),
        ("done at compile time", [_folded(e)] if e.folded else []),
        ("lines", [f"{at:<{width}}  {line}" for at, line in lines.items()]),
    ):
        if notes:
            yield title, notes


_STYLE = """
.symsparse-explain { font: 14px/1.45 system-ui, sans-serif; }
.symsparse-explain table { border-collapse: collapse; margin: 0.8em 0; }
.symsparse-explain th, .symsparse-explain td {
  text-align: left; padding: 0.25em 0.8em 0.25em 0; border-bottom: 1px solid rgba(128, 128, 128, 0.35);
  vertical-align: top; background: none; color: inherit; }
.symsparse-explain .number { text-align: right; white-space: nowrap; }
.symsparse-explain code, .symsparse-explain pre {
  font: 13px/1.45 ui-monospace, monospace; background: none; color: inherit; }
.symsparse-explain .symbolic td { font-style: italic; }
.symsparse-explain .silent { border-left: 4px solid #d9480f; padding-left: 0.6em; }
.symsparse-explain .summary { font-weight: 600; }
.symsparse-explain .wide { overflow-x: auto; }
"""


def fragment(e):
    """The explanation as a piece of HTML, for notebooks."""
    out = [f"<style>{_STYLE}</style><div class='symsparse-explain'>"]
    out.append(f"<div class='summary'>{escape(summary(e))}</div><div>compiled for {escape(e.mode)}</div>")
    if e.steps:
        out.append("<div class='wide'><table><thead><tr>")
        told = _told(list(rows(e)))
        out += [f"<th{_class(j)}>{HEADINGS[j]}</th>" for j in told]
        out.append("</tr></thead><tbody>")
        for step, row in zip(e.steps, rows(e), strict=True):
            out.append(f"<tr class='{step.phase}'>")
            for j in told:
                cell = row[j]
                shown = f"<code>{escape(cell)}</code>" if j in (1, 2) and cell else escape(cell)
                title = f" title='{escape(step.line.text, quote=True)}'" if j == 9 and step.line else ""
                out.append(f"<td{_class(j)}{title}>{shown}</td>")
            out.append("</tr>")
        out.append("</tbody></table></div>")
    if e.symbolic:
        out.append(f"<div>* {_SYMBOLIC}</div>")
    for title, notes in _notes(e):
        silent = title.startswith("dense") and e.densifications
        body = escape("\n".join(notes))
        out.append(f"<h4>{title}</h4><pre{' class=silent' if silent else ''}>{body}</pre>")
    out.append("</div>")
    return "\n".join(out)


def _class(j):
    return " class='number'" if j in (0, 6, 7, 8) else ""


def page(e):
    """The explanation as a page of its own, light or dark as the reader has it."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width'><meta name='color-scheme' content='light dark'>\n"
        f"<title>symsparse: what a compiled function does</title></head>\n<body>{fragment(e)}</body></html>\n"
    )
