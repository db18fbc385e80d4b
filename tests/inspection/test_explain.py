"""What `explain` says: the steps, their sizes, where patterns come from, dense forms, lines; in every mode."""

import re
from html.parser import HTMLParser

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import scipy.sparse as sp

import symsparse as ss
from symsparse.lowering.base import KernelOp
from symsparse.ops.base import SparseOp
from symsparse.ops.csm import CSM
from symsparse.testing import random_sparse, reference_mode
from tests.ops.generate import lowered_mode

A = random_sparse("csr", (40, 30), 0.2, rng=0)
B = random_sparse("csr", (40, 30), 0.2, rng=1)


@pytest.fixture
def model():
    """The loss of a model, its gradients, and the functions' inputs."""
    x, w = ss.csr_matrix("x"), pt.dmatrix("w")
    loss = pt.log1p(pt.exp(x @ w)).sum()
    return [x, w], [loss, *pytensor.grad(loss, [x, w])]


def kernels(explanation):
    return [step.kernel for step in explanation.steps]


MODES = {
    "numba": (None, "Numba"),
    "lowered": (lowered_mode, "Python"),
    "reference": (reference_mode, "Python"),
    "fast_compile": ("FAST_COMPILE", None),
    "c": (pytensor.compile.mode.Mode("cvm", "fast_run"), "C and Python" if pytensor.config.cxx else "Python"),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_sparse_node_is_a_step_in_every_mode(model, mode):
    mode, name = MODES[mode]
    f = pytensor.function(*model, mode=mode)
    seen = ss.explain(f)
    nodes = [n for n in f.maker.fgraph.apply_nodes if isinstance(n.op, KernelOp | SparseOp)]
    nodes = [n for n in nodes if not (isinstance(n.op, CSM) and n.op.trusted)]
    assert nodes
    assert len([step for step in seen.steps if step.phase != "values"]) == len(nodes)
    assert name in (None, seen.mode)
    assert not seen.dense_forms
    # Each step knows the line of the user that it comes from.
    assert all("test_explain.py" in str(step.line) for step in seen.steps)
    products = [step for step in seen.steps if "structured_dot(x csr, w)" in step.op]
    assert [step.line.text for step in products] == ["loss = pt.log1p(pt.exp(x @ w)).sum()"]
    gradients = [step for step in seen.steps if step.op.startswith("gradient: ")]
    assert {step.line.text for step in gradients} == {"return [x, w], [loss, *pytensor.grad(loss, [x, w])]"}
    assert "depend on the arguments" in seen.summary

    known = ss.explain(f, A, np.zeros((30, 3)))
    assert known.steps[0].result == "40 x 3"
    if mode is not reference_mode:
        (product,) = [step for step in known.steps if "structured_dot(x csr, w)" in step.op]
        assert product.sparse == f"nnz {A.nnz} of 40 x 30"
        assert product.flops == 2 * A.nnz * 3
        index_bytes = 4 * (A.nnz + 41)
        assert product.n_bytes == 8 * A.nnz + index_bytes + 8 * 90 + 8 * 120
        assert product.pattern == "input x"


def test_threads_are_those_that_the_work_is_worth():
    x, w = ss.csr_matrix("x"), pt.dmatrix("w")
    f = pytensor.function([x, w], [x @ w, x.diagonal()], mode=lowered_mode)
    most = numba.get_num_threads()
    for args, expected in (
        ((), f"1 to {most}"),
        ((A, np.zeros((30, 3))), "1"),
        ((random_sparse("csr", (40, 30), 1.0, rng=0), np.zeros((30, 1000))), str(min(most, 12))),
    ):
        diagonal, product = sorted(ss.explain(f, *args).steps, key=lambda step: step.kernel)
        assert (product.kernel, product.threads) == ("matmul.gather_matrix", expected)
        assert (diagonal.kernel, diagonal.threads) == ("conversion.diagonal", "1")


def test_threads_of_loops():
    x, taken = ss.csr_matrix("x"), pt.lvector("taken")
    v, most = x.values, numba.get_num_threads()
    outputs = {
        "exp": (pt.exp(v), [f"1 to {most}", "1", "2"]),
        "sub": (v - 0.5, [f"1 to {most}", "1", "1"]),
        "log, sum": (pt.log(v).sum(), [f"1 to {most}", "1", "2"]),
        "psi": (pt.psi(v), ["1"] * 3),  # calls scipy.special
        "sqrt, scatter": (pt.zeros(5)[taken].inc(pt.sqrt(v)), ["1"] * 3),
    }
    examples = [(), *((sp.csr_array(np.ones((1, n))), np.zeros(n, int)) for n in (49_999, 50_000))]
    for name, (output, expected) in outputs.items():
        inputs = [x, taken] if "scatter" in name else [x]
        f = pytensor.function(inputs, output, mode="NUMBA")
        for args, threads in zip(examples, expected, strict=True):
            steps = ss.explain(f, *args[: len(inputs)]).steps
            assert [s.threads for s in steps if s.kernel == "loop"][-1:] == [threads], (name, steps)
    f = pytensor.function([x], pt.exp(v), mode=reference_mode)
    assert {s.threads for s in ss.explain(f).steps} == {"1"}


def test_kernels_of_the_c_linker_are_named(model):
    f = pytensor.function(*model, mode=MODES["c"][0])
    assert "C: sampling_dot" in kernels(ss.explain(f)) or not pytensor.config.cxx


def test_sources_of_patterns():
    x, v = ss.csr_matrix("x"), pt.dvector("v")
    s, c = ss.shared(A, name="s"), ss.constant(A)
    derived = ss.shared(A, frozen=True) + ss.shared(B, frozen=True)
    outputs = [x @ v, s @ v, c @ v, derived @ v, (x + s) @ v]
    e = ss.explain(pytensor.function([x, v], outputs, mode=lowered_mode))
    products = [step.pattern for step in e.steps if step.kernel == "matmul.gather_vector"]
    union = 1 + kernels(e).index("arithmetic.union_pattern")
    assert set(products) == {"input x", "shared s", "constant", "derived from constants", f"step {union}"}
    assert e.folded == ["arithmetic.union_pattern"]
    assert {step.kernel for step in e.symbolic} == {"arithmetic.union_pattern", "layout.canonical_pattern"}
    assert "1 at compile time" in e.summary
    assert "done at compile time\n  arithmetic.union_pattern" in str(e)


def test_nothing_sparse_is_said():
    d = pt.dmatrix("d")
    assert ss.explain(pytensor.function([d], d * 2, mode=lowered_mode)).summary == (
        "no densification; 0 symbolic phases per call; 0 kernels; nothing sparse is left"
    )


def test_only_compiled_functions_and_the_right_number_of_arguments(model):
    with pytest.raises(TypeError, match=r"pytensor\.function"):
        ss.explain(model[1][0])
    f = pytensor.function(*model, mode=lowered_mode)
    with pytest.raises(TypeError, match="takes 2 arguments, got 1"):
        ss.explain(f, A)


def test_nothing_is_changed_by_looking():
    s = ss.shared(A, name="s")
    rng, v = pt.random.shared_rng(seed=3), pt.dvector("v")
    next_rng, draws = ss.poisson(s, rng=rng, return_next_rng=True)
    f = pytensor.function([v], draws @ v, updates=[(s, s * 2.0), (rng, next_rng)], mode=lowered_mode)
    state = rng.get_value().bit_generator.state
    vector = np.ones(30)
    assert "FLOP" in ss.explain(f, vector).summary
    assert (s.get_value() != A).nnz == 0
    assert rng.get_value().bit_generator.state == state
    assert (vector == 1).all()


def test_a_loop_is_looked_into():
    x, v = ss.csr_matrix("x"), pt.dvector("v")

    def explained(body):
        out = pytensor.scan(body, outputs_info=v, non_sequences=[x], n_steps=3, return_updates=False)
        return ss.explain(pytensor.function([x, v], out[-1], mode=lowered_mode))

    e = explained(lambda v, x: pt.tanh(x @ v))
    assert [step.kernel for step in e.steps if step.op.startswith("in a loop: ")] == ["matmul.gather_vector"]
    assert not e.dense_forms
    e = explained(lambda v, x: pt.tanh(ss.eq(x * v, x) @ v))
    assert [form.what for form in e.densifications] == ["in a loop: densify"]


def test_conversions_and_dense_forms_are_listed():
    x, y, d = ss.csr_matrix("x"), ss.csr_matrix("y"), pt.dmatrix("d")
    f = pytensor.function([x, y, d], [x.tocsc(), x + d, ss.eq(x, y)], mode=lowered_mode)
    e = ss.explain(f, A, B, np.zeros((40, 30)))
    assert "tocsc(x csr)" in [step.op for step in e.conversions]
    assert [form.what for form in e.dense_forms if form.asked] == ["add(x csr, d)"]
    (silent,) = e.densifications
    assert silent.what == "eq(x csr, y csr)"
    assert (
        silent.line.text
        == "f = pytensor.function([x, y, d], [x.tocsc(), x + d, ss.eq(x, y)], mode=lowered_mode)"
    )
    assert e.summary.startswith("1 densification and 1 asked for; ")
    assert "NOT ASKED FOR: eq(x csr, y csr)" in str(e)
    only_asked = ss.explain(pytensor.function([x], x.toarray(), mode=lowered_mode))
    assert only_asked.summary.startswith("no densification but the 1 asked for; ")


class Tags(HTMLParser):
    """Fail unless the tags of a page match, and nothing is loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], 0

    def handle_starttag(self, tag, attributes):
        assert not {"src", "href"} & {name for name, _ in attributes}
        self.cells += tag == "td"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_a_page_of_its_own(model):
    (x, w), _ = model
    x.name = "<x & 'y'>"
    e = ss.explain(pytensor.function([x, w], [x @ w, x.toarray()], mode=lowered_mode), A, np.zeros((30, 3)))
    page = e.html()
    assert page.startswith("<!doctype html>")
    assert e._repr_html_() in page
    assert "<x" not in page
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert tags.cells % len(e.steps) == 0
    assert e.summary in page
    assert "color-scheme" in page
    assert not re.search(r"background: *(#|white)", page)


def test_the_short_form_has_a_line_for_each_step(model):
    e = ss.explain(pytensor.function(*model, mode=lowered_mode), A, np.zeros((30, 3)))
    first, *rest = e.short().split("\n")
    assert first == e.summary
    assert len(rest) == len(e.steps)
    assert str(e).startswith(e.summary)


def test_lines_are_not_kept_where_pytensor_keeps_none(model):
    with pytensor.config.change_flags(traceback__limit=0):
        x, w = ss.csr_matrix("x"), pt.dmatrix("w")
        product = x @ w
    e = ss.explain(pytensor.function([x, w], product, mode=lowered_mode))
    assert e.steps[0].line is None
    assert "structured_dot(x csr, w)" in str(e)
