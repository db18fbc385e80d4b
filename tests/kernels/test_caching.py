"""Compiled code on disk: shared by processes, damaged, full, of another version. Right at worst, and slower."""

import importlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from numba.core.caching import Cache, IndexDataCacheFile

from symsparse.kernels import base
from symsparse.kernels.caching import SafeCacheFile

KEYS = [("float32", "x86"), ("float64", "x86"), ("int32", "x86")]


@pytest.fixture
def process(tmp_path):
    """What a process has of a function's cache; with `numba`, Numba's own class."""

    def make(stamp=1, kind=SafeCacheFile):
        return kind(str(tmp_path), "module.function", stamp)

    return make


def files(tmp_path, ending):
    return sorted(p for p in tmp_path.iterdir() if p.suffix == ending)


@pytest.mark.parametrize(("kind", "mixed_up"), [(SafeCacheFile, False), (IndexDataCacheFile, True)])
def test_no_process_gets_the_code_of_another_type(process, monkeypatch, kind, mixed_up):
    """One process is late: between its two files, another that had read the same index writes both of its own."""
    late, other = process(kind=kind), process(kind=kind)
    save = late._save_data

    def after_the_other(*args):
        with monkeypatch.context() as patch:
            patch.setattr(other, "_load_index", dict)
            other.save(KEYS[1], "code for float64")
        save(*args)

    monkeypatch.setattr(late, "_save_data", after_the_other)
    late.save(KEYS[0], "code for float32")
    wrong = process(kind=kind).load(KEYS[1]) not in (None, "code for float64")
    assert wrong == mixed_up  # if Numba's own class ever gets this right, ours may go
    assert process(kind=kind).load(KEYS[0]) in (None, "code for float32")


def test_what_is_stored_is_found(process):
    for key in KEYS:
        process().save(key, f"code for {key}")
    assert [process().load(key) for key in KEYS] == [f"code for {key}" for key in KEYS]
    process().save(KEYS[0], "better code")
    assert process().load(KEYS[0]) == "better code"
    assert process().load(("complex64", "x86")) is None


def test_other_sources_never_get_this_code(process):
    process(stamp=1).save(KEYS[0], "old code")
    assert process(stamp=2).load(KEYS[0]) is None
    process(stamp=2).save(KEYS[0], "new code")
    assert process(stamp=2).load(KEYS[0]) == "new code"
    assert process(stamp=1).load(KEYS[0]) is None
    process(stamp=1).save(KEYS[0], "old code")  # two versions in turn, each in a file of its own
    assert process(stamp=1).load(KEYS[0]) == "old code"
    assert process(stamp=2).load(KEYS[0]) is None


def test_each_kernel_is_stored_for_the_sources_of_all_kernels(tmp_path, monkeypatch):
    """Loops of one file are compiled into kernels of another, whose own file stays as it was."""
    copy = tmp_path / "kernels"
    shutil.copytree(Path(base.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(base, "__file__", str(copy / "base.py"))
    assert base._fingerprint() == base.fingerprint
    seen, sources = {base.fingerprint}, sorted(copy.rglob("*.py"))
    for path in sources:
        path.write_text(path.read_text() + "# another version\n")
        seen.add(base._fingerprint())
    assert len(seen) == 1 + len(sources)
    names = [f"symsparse.kernels.{path.stem}" for path in sources if path.stem != "__init__"]
    found = [
        v for name in names for v in vars(importlib.import_module(name)).values() if hasattr(v, "_cache")
    ]
    stored = [v._cache._cache_file for v in found if isinstance(v._cache, Cache)]
    assert len(stored) > 50
    assert {(type(file), file._source_stamp) for file in stored} == {(SafeCacheFile, base.fingerprint)}


def test_keys_of_pytensors_functions_change_with_our_sources(monkeypatch):
    from symsparse.backends import numba

    key = numba.cache_key("facts")
    for name in ("fingerprint", "_own_source"):
        with monkeypatch.context() as patch:
            patch.setattr(numba, name, "of another version")
            assert numba.cache_key("facts") != key
    assert numba.cache_key("other facts") != key


@pytest.mark.parametrize("writer", [SafeCacheFile, IndexDataCacheFile])
def test_processes_with_and_without_this_class_read_the_same_files(process, writer):
    process(kind=writer).save(KEYS[0], "code")
    for reader in (SafeCacheFile, IndexDataCacheFile):
        assert process(kind=reader).load(KEYS[0]) == "code"


DAMAGE = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-1],
    "one bit": lambda content: content[:-50] + bytes([content[-50] ^ 1]) + content[-49:],
    "something else": lambda content: b"\x80\x05garbage" * 9,
    "text": lambda content: b"hello\n",
}


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_not_there(process, tmp_path, damage, ending):
    process().save(KEYS[0], "code" * 100)
    (path,) = files(tmp_path, ending)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert process().load(KEYS[0]) in ([None, "code" * 100] if ending == ".nbi" else [None])
    process().save(KEYS[0], "code" * 100)
    assert process().load(KEYS[0]) == "code" * 100


def test_a_missing_file_is_written_again(process, tmp_path):
    process().save(KEYS[0], "code")
    files(tmp_path, ".nbc")[0].unlink()
    assert process().load(KEYS[0]) is None
    process().save(KEYS[0], "code")
    assert process().load(KEYS[0]) == "code"


@pytest.mark.parametrize("step", ["_save_data", "_save_index"])
def test_a_disk_that_cannot_be_written(process, monkeypatch, step):
    def full(*args):
        raise OSError(28, "No space left on device")

    process().save(KEYS[0], "code")
    monkeypatch.setattr(SafeCacheFile, step, full)
    process().save(KEYS[1], "code")
    assert process().load(KEYS[0]) == "code"
    assert process().load(KEYS[1]) is None


PROGRAM = """
import numpy as np, pytensor, pytensor.tensor as pt, scipy.sparse as sp, symsparse as ss
A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
X, w = ss.csr_matrix("X", dtype="float64"), pt.dvector("w")
f = pytensor.function([X, w], ss.sp_sum(X * X.T.T, axis=0) + X.T @ (X @ w))
assert np.allclose(f(A, [1.0, 2.0, 3.0]), [11, 12, 39]), f(A, [1.0, 2.0, 3.0])
"""


def run(tmp_path, program=PROGRAM, before=""):
    environment = {
        **os.environ,
        "PYTENSOR_FLAGS": f'base_compiledir="{tmp_path / "pytensor"}"',
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
    }
    command = [sys.executable, "-W", "error", "-c", before + program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Errors that show numbers: of code that PyTensor makes, and of a kernel.
MISTAKES = """
import re, numpy as np, scipy.sparse as sp, pytensor, pytensor.tensor as pt, symsparse as ss
from symsparse.ops.csm import SpecifyShape
x, v = ss.csr_matrix("x", dtype="float64"), pt.dvector("v")
A = sp.csr_array(np.eye(3))
mistakes = {
    "specify_shape.* 3 instead of 4 rows": lambda: pytensor.function([x], SpecifyShape((4, 3))(x))(A),
    "dot.* differ: 3 .* 2 ": lambda: pytensor.function([x, v], x @ v)(A, np.ones(2)),
}
for text, call in mistakes.items():
    try:
        call()
    except ValueError as e:
        assert re.search(text, str(e)), e
    else:
        raise SystemExit(f"no error: {text}")
"""


def test_errors_of_code_from_the_disk_show_numbers(tmp_path):
    for _ in range(2):
        run(tmp_path, MISTAKES)


@pytest.mark.slow
def test_a_program_after_its_caches_were_damaged(tmp_path):
    run(tmp_path)
    damages = list(DAMAGE.values())
    for i, path in enumerate(sorted([*tmp_path.rglob("*.nbi"), *tmp_path.rglob("*.nbc")])):
        path.write_bytes(damages[i % len(damages)](path.read_bytes()))
    run(tmp_path)
    run(tmp_path)


LIMITS = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of file sizes as on Linux")
def test_a_program_on_a_full_disk(tmp_path):
    (tmp_path / "pytensor").mkdir()
    run(tmp_path, before=LIMITS)
    assert not [p for p in tmp_path.rglob("*.nbc") if p.stat().st_size > 2000]


@pytest.mark.slow
def test_kernels_where_nothing_can_be_written(tmp_path):
    """No cache at all: Numba refuses to compile with one, where it finds no directory for it."""
    program = """
from numba.core.caching import CacheImpl
CacheImpl._locator_classes = []
from symsparse.kernels import layout
import numpy as np
assert layout.is_canonical(np.array([0, 2], "int32"), np.array([0, 2], "int32"))
"""
    run(tmp_path, program)


# Functions of PyTensor alone that are compiled beside sparse ones, from parts that both have in common.
DENSE = """
import sys, numpy as np, pytensor, pytensor.tensor as pt
x, v, n = pt.dmatrix("x"), pt.dvector("v"), pt.lvector("n")
loss = (pt.exp(x @ v) * v.sum()).sum() + x[n].sum()
outs = [loss, pytensor.grad(loss, x), pt.join(0, n, n), x.T[::-1]]
f = pytensor.function([x, v, n], outs)
X, V, N = np.arange(6.0).reshape(2, 3) / 9, np.array([1.0, -2.0, 0.5]), np.array([1, 1, 0])
got, e = f(X, V, N), np.exp(X @ V)
right = [(e * V.sum()).sum() + X[N].sum(), np.outer(e, V) * V.sum() + [[1], [2]], [1, 1, 0, 1, 1, 0], X.T[::-1]]
assert len(got) == len(right) and all(np.allclose(a, b) for a, b in zip(got, right)), got
"""
SPARSE = """
import scipy.sparse as sp, symsparse as ss
A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [1.0, 0.0, 3.0]]))
a = ss.csr_matrix("a", dtype="float64")
made = pytensor.function([a, v], pt.exp(a @ v) * v.sum())(A, V)
assert np.allclose(made, np.exp(A @ V) * V.sum()), made
"""
WITHOUT = """
import sys
sys.modules["symsparse"] = None  # as if it were not installed
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", ["with first", "without first"])
def test_an_environment_without_symsparse_shares_the_cache(tmp_path, order):
    """It reads what we wrote, and we read what it wrote; a file that neither can use would end it with an error."""
    ours = "import symsparse" + DENSE + SPARSE
    runs = [(ours, ""), (DENSE, WITHOUT)] * 2
    for program, before in runs if order == "with first" else [(DENSE, WITHOUT), *runs]:
        run(tmp_path, program, before)
    stored = sorted(p.name for p in tmp_path.rglob("*.nbc"))
    for program, before in runs:
        run(tmp_path, program, before)
    assert sorted(p.name for p in tmp_path.rglob("*.nbc")) == stored  # nothing was compiled again


WORKER = """
import sys, time, numpy as np
from symsparse.kernels import reduction, conversion
dtype, start = sys.argv[1], float(sys.argv[2])
indices, indptr, values = np.array([0, 1, 1], "int32"), np.array([0, 2, 3], "int32"), np.array([1, 2, 4], dtype)
time.sleep(max(0, start - time.time()))
for _ in range(2):
    out = reduction.sum_major(values, indptr), reduction.sum_minor(values, indices, 2)
    assert all(o.dtype == dtype for o in out)
    assert out[0].tolist() == [3, 4] and out[1].tolist() == [1, 6], out
"""


@pytest.mark.slow
def test_processes_that_compile_different_types_at_the_same_moment(tmp_path):
    dtypes = "float32 float64 int8 int32 int64 complex64".split()
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for _ in range(2):  # at first all compile; later they find what is there, and compile what was lost
        start = str(time.time() + 4)
        commands = [[sys.executable, "-W", "error", "-c", WORKER, dtype, start] for dtype in dtypes]
        workers = [subprocess.Popen(c, env=environment, stderr=subprocess.PIPE, text=True) for c in commands]
        for worker in workers:
            _, text = worker.communicate()
            assert worker.returncode == 0, text
