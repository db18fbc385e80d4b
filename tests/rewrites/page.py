"""docs/rewrites.md: every registered rewrite with its docstring, and an example before and after.

``python -m tests.rewrites.page`` (``make rewrites``) writes it; a test sees that it is current.
"""

import inspect
import re
import textwrap
from pathlib import Path

import pytensor.tensor as pt
import scipy.sparse as sp
from pytensor.compile import optdb
from pytensor.graph.basic import Constant
from pytensor.graph.replace import clone_replace
from pytensor.graph.rewriting.basic import FromFunctionNodeRewriter
from pytensor.graph.rewriting.db import EquilibriumDB
from pytensor.graph.rewriting.utils import rewrite_graph
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape
from pytensor.tensor.subtensor import Subtensor

import symsparse as ss
from symsparse.ops.elementwise import Cast
from symsparse.tracing import described_op

algebra_db = optdb["symsparse_algebra"]
PAGE = Path(__file__).parents[2] / "docs" / "rewrites.md"
LONGEST = 100
HEAD = """\
# Rewrites

Written from the docstrings of the registered rewrites by `make rewrites`, not by hand. Each has a name, and
`pytensor.function(..., mode=pytensor.compile.get_default_mode().excluding(name))` leaves it out.
[explain](explain.md) shows what is left after all of them.
"""
SECTIONS = {
    "symsparse_algebra": """\
## On sparse operations

Identities of sparse algebra, before anything is lowered, until none applies any more (position 0.07 of PyTensor's
rewrites; `symsparse_algebra` names them all).
""",
    "lowered": """\
## On lowered graphs

Where there are only vectors and kernels. The lowering rules themselves are not listed: there is one for each operation,
in `symsparse/lowering/`.
""",
}

x, y, p = (ss.csr_matrix(name, dtype="float64") for name in "xyp")
c, c2 = ss.csc_matrix("c", dtype="float64"), ss.csc_matrix("c2", dtype="float64")
known = ss.constant(sp.eye_array(5, format="csr"), "known")
d, b, v, s = pt.dmatrix("d"), pt.dmatrix("b"), pt.dvector("v"), pt.dscalar("s")
i, j = pt.lvectors("i", "j")
narrow = pt.tensor("narrow", dtype="float64", shape=(1000, 3))
big = ss.csr_matrix("big", dtype="float64", shape=(1000, 1000))

#: An expression for each rewrite of `symsparse_algebra` that it changes.
EXAMPLES = {
    "double_transpose": lambda: ss.transpose(ss.transpose(x)),
    "double_negation": lambda: ss.neg(ss.neg(x)),
    "dense_of_sparse_of_dense": lambda: ss.csr_from_dense(d).toarray(),
    "canonical_of_canonical": lambda: ss.sum_duplicates(ss.sum_duplicates(x)),
    "sorted_of_canonical": lambda: ss.ensure_sorted_indices(ss.sum_duplicates(x)),
    "remove0_of_remove0": lambda: ss.remove0(ss.remove0(x)),
    "cast_to_own_dtype": lambda: Cast("float64")(x),
    "dense_product_of_densified": lambda: pt.dot(x.toarray(), d),
    "product_with_densified": lambda: x @ y.toarray(),
    "sum_of_densified": lambda: x.toarray().sum(axis=0),
    "sum_of_sparse_of_dense": lambda: ss.csr_from_dense(d).sum(axis=0),
    "diagonal_of_densified": lambda: pt.diagonal(x.toarray()),
    "index_of_densified": lambda: x.toarray()[:3],
    "dense_form_of_product": lambda: ss.true_dot(x, y).toarray(),
    "sum_with_densified": lambda: x.toarray() + d,
    "fill_like_densified": lambda: pt.second(x.toarray(), s),
    "sample_of_linear": lambda: ss.sample(x + y, p),
    "sample_of_incremented": lambda: ss.sample(pt.inc_subtensor(pt.zeros((5, 5))[:2], b), p),
    "format_that_does_not_matter": lambda: x.tocsc() @ d,
    "formats_of_sum": lambda: x + c + c2,
    "format_of_result": lambda: (known + c) @ d,
    "transpose_of_densified": lambda: x.toarray().T,
    "function_of_densified": lambda: pt.sin(x.toarray()).sum(),
    "product_with_densified_elementwise": lambda: (x.toarray() * d).sum(),
    "cheapest_order": lambda: (big @ big) @ narrow,
    "scalar_out_of_product": lambda: (x * 2.0) @ v,
    "column_scale_out_of_product": lambda: ss.col_scale(x, v) @ v,
    "product_with_diagonal": lambda: ss.square_diagonal(v) @ x,
    "diagonal_of_product": lambda: ss.diag(x @ x.T),
    "scattered_into_zeros": lambda: pt.inc_subtensor(pt.zeros((5, 5))[i, j], v) @ b + x.sum(),
    "shape_of_gather": lambda: d[pt.arange(i.shape[0]), i].mean() + x.sum(),
    "product_with_column": lambda: x @ v[:, None],
    "sample_of_converted": lambda: ss.sample(ss.csr_from_dense(d), p),
    "sampled_product": lambda: ss.sample(x @ y, p),
    "format_of_format": lambda: x.tocsc().tocsr(),
}


def main():
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page():
    """The text of the page."""
    out = [HEAD]
    found = registered()
    for section, head in SECTIONS.items():
        out.append(head)
        for name, rewriter in found[section].items():
            out.append(entry(name, rewriter, section))
    return "\n".join(out)


def registered():
    """{section: {name: rewriter}} of all rewrites of this package but the lowering rules."""
    algebra = {name: r for name, r in _entries(algebra_db) if name.startswith("symsparse_")}
    others = {}
    for name, rewriter in _entries(optdb):
        if name.startswith("symsparse_") and not isinstance(rewriter, EquilibriumDB):
            others[name] = rewriter
    return {"symsparse_algebra": dict(sorted(algebra.items())), "lowered": dict(sorted(others.items()))}


def _entries(db):
    """Names and what is registered under them; tags name several at once."""
    for name in db._names:
        members = list(db.__db__[name])
        if len(members) == 1:
            yield name, members[0]


def documentation(rewriter):
    """The docstring of a rewrite: of the function that it is made of, or of its class."""
    rewriter = getattr(rewriter, "node_rewriter", rewriter)
    if isinstance(rewriter, FromFunctionNodeRewriter):
        return inspect.cleandoc(rewriter.__dict__.get("__doc__") or rewriter.fn.__doc__ or "")
    return inspect.cleandoc(type(rewriter).__doc__ or "")


def entry(name, rewriter, section):
    """The part of the page about one rewrite."""
    text = re.sub(r"``([^`]+)``", r"`\1`", documentation(rewriter))
    first, _, rest = text.partition("\n\n")
    lines = [f"### {name}", "", first, ""]
    if rest:
        lines += [rest, ""]
    example = EXAMPLES.get(name.removeprefix("symsparse_"))
    if section == "symsparse_algebra" and example is not None:
        before, after = before_and_after(example(), name)
        lines += [textwrap.indent(f"before  {before}\nafter   {after}", "    "), ""]
    return "\n".join(lines)


def before_and_after(expression, name):
    """An expression as it is written, and after the rewrite of this name alone."""
    clone = clone_replace(expression)
    before, after = (
        shown(expression),
        shown(rewrite_graph(clone, custom_rewrite=algebra_db.query(f"+{name}"))),
    )
    return before, after if len(after) < LONGEST else f"{after[:LONGEST]} ..."


_INFIX = {"mul": "*", "add": "+", "sub": "-", "true_div": "/"}


def shown(v):
    """A graph as an expression."""
    if v.owner is None:
        return v.name or (f"{v.data}" if isinstance(v, Constant) and v.data.ndim == 0 else "constant")
    op, inputs = v.owner.op, [shown(i) for i in v.owner.inputs]
    if isinstance(op, DimShuffle):
        axes = {(1, 0): ".T", (0, "x"): "[:, None]", ("x", 0): "[None, :]"}
        return f"{inputs[0]}{axes.get(tuple(op.new_order), '')}"
    if isinstance(op, Reshape):
        return inputs[0]
    if isinstance(op, Subtensor | ss.GetItem2d):
        return f"{inputs[0]}[...]"
    if isinstance(op, Elemwise) and str(op.scalar_op) in _INFIX:
        return f"({f' {_INFIX[str(op.scalar_op)]} '.join(inputs)})"
    name = str(op.scalar_op) if isinstance(op, Elemwise) else described_op(op)
    return f"{name}({', '.join(inputs)})"


if __name__ == "__main__":
    main()
