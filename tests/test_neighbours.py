"""pytensor.sparse beside us, in one program and one graph; and programs that do not use us, with us imported."""

import os
import subprocess
import sys

import pytest

# What a program sees of PyTensor that meets dense and sparse matrices, as text. Nothing of ours is used.
PROGRAM = """
import sys, io, warnings
for name in sys.argv[1].split(","):
    if name: __import__(name)
import numpy as np, scipy.sparse as sp, pytensor, pytensor.tensor as pt, pytensor.sparse as ps
from pytensor.compile.mode import Mode, OPT_FAST_RUN
from pytensor.link.basic import PerformLinker
from pytensor.tensor.type import TensorType
mode = Mode(PerformLinker(), OPT_FAST_RUN)
S = sp.csr_matrix(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
D = np.arange(6.0).reshape(2, 3)
x, y, v, s = pt.dmatrix("x"), pt.dmatrix("y"), pt.dvector("v"), ps.csr_matrix("s", dtype="float64")

def show(what, make):
    try:
        got = make()
        if isinstance(got, pytensor.graph.basic.Variable):
            got = f"{type(got).__name__} {got.type} {got.owner and got.owner.op}"
        print(what, "->", got)
    except Exception as e:
        print(what, "raises", type(e).__name__, str(e)[:200].split(chr(10))[0])

for name in "add sub mul truediv floordiv mod pow matmul lt le gt ge".split():
    import operator
    f = getattr(operator, name)
    for a, b in ((x, y), (x, 2), (2, x), (x, v), (x, "a"), (x, None), (D, x), (x, D)):
        show(f"{name} {type(a).__name__} {type(b).__name__}", lambda: f(a, b))
    for a, b in ((s, s), (s, x), (x, s), (s, 2), (2, s), (s, S), (s, D), (D, s)):
        show(f"{name} sparse {type(a).__name__} {type(b).__name__}", lambda: f(a, b))
show("shared", lambda: pytensor.shared(S))
show("shared dense", lambda: pytensor.shared(D))
show("symbolic", lambda: pytensor.as_symbolic(S))
show("tensor of a sparse variable", lambda: pt.as_tensor_variable(s))
show("exp of a sparse variable", lambda: pt.exp(s))
show("sum of a sparse variable", lambda: pt.sum(s))
for label, out in {
    "dense": pt.exp(x @ y.T).sum(axis=0) / 2 + pt.sqrt(x[0] ** 2).sum(),
    "grad": pytensor.grad((pt.tanh(x) @ y.T).sum(), x),
    "sparse": ps.structured_dot(s, x.T),
    "sparse grad": pytensor.grad(ps.dot(s, x.T).sum(), x),
    "sparse sum": ps.sp_sum(ps.sin(s) * 2, axis=0),
}.items():
    f = pytensor.function([x, y, s], out, mode=mode, on_unused_input="ignore")
    text = io.StringIO()
    pytensor.dprint(f, file=text, print_op_info=False)
    print(label, text.getvalue())
    print(np.asarray(f(D, D + 1, S).tolist() if hasattr(f(D, D + 1, S), "tolist") else f(D, D + 1, S).toarray()))
for a, b in ((D, D[0]), (D, S), (S, D)):
    show("shares", lambda: TensorType.may_share_memory(a, b))
state, = [pytensor.scan(lambda p, q: p * q, x, pt.ones(3), return_updates=False)[-1]]
print(pytensor.function([x], state, mode=mode)(D))
print(sorted(n for n in pytensor.compile.optdb._names if "symsparse" not in n)[:400])
"""


def output(imports):
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, imports]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("imports", ["symsparse", "pytensor.sparse,symsparse", "symsparse,pytensor.sparse"])
def test_programs_that_do_not_use_us_see_no_difference(imports):
    alone, beside = output("").splitlines(), output(imports).splitlines()
    assert len(alone) > 150
    differences = [(a, b) for a, b in zip(alone, beside, strict=True) if a != b]
    assert not differences
