"""Where the user wrote what a graph computes: stack traces of sparse variables, and how they survive lowering.

PyTensor keeps in ``variable.tag.trace`` the innermost frames of the stack at the time when a variable was made
(``pytensor.config.traceback__limit`` of them; none while it compiles). For a sparse op these would be frames of this
package, and in a gradient frames of PyTensor's. So the frames up to the user's own are left out here. Everything that
knows ``tag.trace``, PyTensor's error messages and rewrites included, then points to the user's line.
"""

import functools
import linecache
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytensor
from pytensor.graph.basic import Constant

_OWN = str(Path(__file__).parent)
_DEMO = str(Path(__file__).parent / "demo")  # a user of this package like any other
_PYTENSOR = str(Path(pytensor.__file__).parent)
_DISPATCH = functools.__file__  # PyTensor's conversions go through singledispatch


class Line(NamedTuple):
    """A line of source: file, number, name of the function, text."""

    file: str
    number: int
    function: str
    text: str

    def __str__(self):
        return f"{Path(self.file).name}:{self.number}"


def _is_internal(file):
    return file.startswith((_OWN, _PYTENSOR, _DISPATCH)) and not file.startswith(_DEMO)


class Origin(NamedTuple):
    """The op as the user knows it that a variable of a lowered graph was made for."""

    op: str
    operands: tuple[str, ...]
    dense: bool  # whether its result is dense
    derivative: bool  # whether a gradient wrote it, and not the user


def traced(outputs):
    """Note the user's line on variables that a sparse op just made, and whether a derivative made them."""
    limit = pytensor.config.traceback__limit
    if not limit:
        return
    frame: Any = sys._getframe(1)
    while frame is not None and _is_internal(frame.f_code.co_filename):
        if frame.f_code.co_name in ("pullback", "pushforward"):
            for v in outputs:
                v.tag.derivative = True
        frame = frame.f_back
    trace: list[tuple[str, int, str, str | None]] = []
    while frame is not None and len(trace) != limit:
        code = frame.f_code
        text = linecache.getline(code.co_filename, frame.f_lineno, frame.f_globals).strip()
        trace.append((code.co_filename, frame.f_lineno, code.co_name, text or None))
        frame = frame.f_back
    for v in outputs:
        v.tag.trace = [trace[::-1]] if trace else []


def user_line(v):
    """The line where the user wrote a variable, None if nobody knows."""
    for trace in getattr(v.tag, "trace", None) or []:
        frames = trace if isinstance(trace, list) else [trace]
        for file, number, function, text in reversed(frames):
            if not _is_internal(file):
                return Line(file, number, function, text or "")
    return None


def described_op(op):
    """The name of an op as its function is called: ``StructuredDot`` is structured_dot."""
    kind = type(op).__name__
    if kind in _CALLED:
        return _CALLED[kind].format(**vars(op))
    name = getattr(op, "name", None)
    if isinstance(name, str) and name:
        return name
    if kind == "StructuredElemwise":
        return str(op.scalar_op)
    text = ""
    for i, c in enumerate(kind):
        starts = c.isupper() and i and (not kind[i - 1].isupper() or kind[i + 1 : i + 2].islower())
        text += f"_{c.lower()}" if starts else c.lower()
    return text


_CALLED = {
    "AddSD": "add",
    "AsFormat": "to{format}",
    "DenseFromSparse": "toarray",
    "GetItem2Lists": "get_item_2lists",
    "GetItem2ListsGrad": "get_item_2lists_grad",
    "GetItem2d": "get_item_2d",
    "SparseFromDense": "{format}_from_dense",
    "StructuredAddSV": "structured_add_s_v",
}


def origin_of(node):
    """The origin of a node: what it was lowered from, or what it is itself."""
    for v in node.outputs:
        found = getattr(v.tag, "origin", None)
        if found is not None:
            return found
    dense = not any(hasattr(v.type, "index_dtype") for v in node.outputs)
    derivative = any(getattr(v.tag, "derivative", False) for v in node.outputs)
    return Origin(described_op(node.op), _operands(node), dense, derivative)


def _operands(node):
    if described_op(node.op) != "get_item_2d":
        return tuple(map(_operand, node.inputs))
    x, *index = node.inputs
    chosen = ("slice" if len(c) == 3 else _operand(c[0]) for c in node.op.split(index))
    return (_operand(x), *chosen)


def _operand(v):
    label = label_of(v)
    if hasattr(v.type, "index_dtype"):
        return f"{label} {v.type.format}".strip()
    return label or ("scalar" if getattr(v.type, "ndim", None) == 0 else "dense")


def label_of(v):
    """What a person would call a variable: its name, or ``x.T``, ``x[...]`` after what it is made of; else ""."""
    if v.name or v.owner is None:
        return v.name or ""
    known = getattr(v.tag, "label", "")
    if known:
        return known
    op = described_op(v.owner.op)
    if op == "transpose" or getattr(v.owner.op, "new_order", None) == (1, 0):
        inner = label_of(v.owner.inputs[0])
        return inner.removesuffix(".T") if inner.endswith(".T") else inner and f"{inner}.T"
    if op in ("get_item_list", "get_item_2d"):
        inner = label_of(v.owner.inputs[0])
        return inner and f"{inner}[...]"
    return ""


def handed_on(node, new):
    """Say on all that was made to replace a node where it comes from, unless that is said already."""
    origin = origin_of(node)
    trace: list = next((t for t in (getattr(v.tag, "trace", None) for v in node.outputs) if t), [])
    for old, v in zip(node.outputs, new, strict=True):
        if label_of(old) and v.owner is not None:
            v.tag.label = label_of(old)
    seen, todo = set(node.inputs), list(new)
    while todo:
        v = todo.pop()
        if v in seen or v.owner is None or isinstance(v, Constant):
            continue
        seen.add(v)
        if getattr(v.tag, "trace", None) or getattr(v.tag, "origin", None):
            continue
        v.tag.origin, v.tag.trace = origin, trace
        todo.extend(v.owner.inputs)
