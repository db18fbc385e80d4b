"""``python -m symsparse warmup``: which kernels it compiles, and that nobody compiles them again."""

import importlib
import os
import pkgutil
import subprocess
import sys

import pytest
from numba.core.caching import NullCache
from numba.core.dispatcher import Dispatcher

import symsparse.kernels
from symsparse import warmup
from symsparse.__main__ import main


def all_kernels():
    """The names of the kernels that graphs may run, of all families."""
    for info in pkgutil.iter_modules(symsparse.kernels.__path__):
        module = importlib.import_module(f"symsparse.kernels.{info.name}")
        for name, found in vars(module).items():
            cached = isinstance(found, Dispatcher) and not isinstance(found._cache, NullCache)
            if cached and found.py_func.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{info.name}.{name}"


def test_each_kernel_is_compiled():
    wanted = warmup.kernels(("float64",))
    assert {name for name, _ in wanted} == set(all_kernels())
    assert len(set(wanted)) == len(wanted)


def in_new_process(program, folder, *arguments):
    environment = {
        **os.environ,
        "PYTENSOR_FLAGS": f'base_compiledir="{folder / "pytensor"}"',
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


ONE_KERNEL = """
import symsparse as ss
from symsparse import warmup
from symsparse.__main__ import main
def expressions(dtype, index_dtype):
    x, y = ss.csr_matrix("x", dtype=dtype), ss.csr_matrix("y", dtype=dtype)
    yield [x, y], [ss.add_s_s_data(x, y)]
warmup._expressions = expressions
raise SystemExit(main(["warmup", "--dtype", "float32"]))
"""


def test_a_second_run_finds_what_the_first_compiled(tmp_path):
    said = [in_new_process(ONE_KERNEL, tmp_path) for _ in range(2)]
    assert [done.returncode for done in said] == [0, 0], said[0].stderr
    assert "compiled 1 kernels" in said[0].stdout
    assert "compiled 0 kernels" in said[1].stdout
    assert "1 were there before" in said[1].stdout
    assert str(tmp_path / "numba") in said[0].stdout
    assert said[0].stderr == ""  # the bar is for terminals


NOWHERE = """
from numba.core.caching import CacheImpl
CacheImpl._locator_classes.clear()
import numpy as np
from symsparse.kernels.csm import same_pattern
a, p = np.zeros(1, "int32"), np.array([0, 1], "int32")
assert same_pattern(a, p, a, p)
from symsparse import warmup
from symsparse.__main__ import main
warmup.kernels = lambda *dtypes: [("csm.same_pattern", ())]
raise SystemExit(main(["warmup"]))
"""


def test_without_a_folder_to_write_to_kernels_work_and_the_command_says_so(tmp_path):
    done = in_new_process(NOWHERE, tmp_path)
    assert done.returncode == 2
    assert "NUMBA_CACHE_DIR" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_bar_shows_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    warmup.show_bar(15, 30, "matmul.gather_vector")
    shown = capsys.readouterr().err
    assert "15/30 matmul.gather_vector" in shown
    assert shown.count("#") == shown.count(".") - 1 == 15


def test_wrong_dtypes_are_refused(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["warmup", "--dtype", "float16"])
    assert leaving.value.code == 2
    assert "float16" in capsys.readouterr().err


@pytest.mark.slow
def test_graphs_find_their_kernels(tmp_path):
    warm = "from symsparse.__main__ import main; raise SystemExit(main(['warmup', '--dtype', 'float64']))"
    assert in_new_process(warm, tmp_path).returncode == 0
    program = """
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
from symsparse.kernels import matmul, spgemm
from symsparse.testing import random_sparse
x, y, w = ss.csr_matrix("x", "float64"), ss.csr_matrix("y", "float64"), pt.dmatrix("w")
loss = (pt.tanh(x @ w)).sum() + ss.sp_sum(ss.sin(x @ y))
f = pytensor.function([x, y, w], [loss, *pytensor.grad(loss, [x, y, w])])
A = sp.eye_array(4, format="csr")
f(A, A, np.ones((4, 3)))
f(random_sparse("csr", (4, 4), 0.5, rng=0), A, np.ones((4, 3)))
kernels = [matmul.gather_matrix, matmul.scatter_matrix, spgemm.product]
assert all(kernel.overloads for kernel in kernels)
print(sum(sum(kernel.stats.cache_misses.values()) for kernel in kernels))
"""
    done = in_new_process(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
