"""`python -m symsparse bench FILE.mtx`: what it reads, what it refuses, what it prints and draws."""

import bz2
import functools
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytensor
import pytest
import scipy.io
import scipy.sparse as sp

from symsparse.__main__ import main
from symsparse.bench import BenchError, job, roofline, timing
from symsparse.bench.kernels import Kernel, agree, kernels
from symsparse.bench.matrixfile import read
from symsparse.bench.roofline import Point, Window, in_terminal, picture
from symsparse.bench.timing import Machine
from symsparse.testing import reference_mode

HEAD = "%%MatrixMarket matrix coordinate"
A = sp.csr_array(np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.5, 0.0, 0.0]]))
MACHINE = Machine(stream=1e10, peak=5e10)


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (
            (f"{HEAD} real general", "% a comment", "2 3 2", "1 2 1.5", "2 3 -2e3"),
            [[0, 1.5, 0], [0, 0, -2000]],
        ),
        ((f"{HEAD} integer general", "2 2 1", "2 1 7"), [[0, 0], [7, 0]]),
        ((f"{HEAD} pattern general", "2 2 2", "2 1", "1 2"), [[0, 1], [1, 0]]),
        ((f"{HEAD} real symmetric", "2 2 2", "1 1 3", "2 1 4"), [[3, 4], [4, 0]]),
        ((f"{HEAD} real skew-symmetric", "2 2 1", "2 1 4"), [[0, -4], [4, 0]]),
        ((f"{HEAD} pattern symmetric", "3 3 1", "3 1"), [[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
        ((f"{HEAD} complex general", "1 2 1", "1 2 1 -2"), [[0, 1 - 2j]]),
        ((f"{HEAD} complex hermitian", "2 2 1", "2 1 1 2"), [[0, 1 - 2j], [1 + 2j, 0]]),
        ((f"{HEAD} real general", "1 2 3", "1 2 1", "1 1 5", "1 2 1"), [[5, 2]]),
        (("%%MatrixMarket matrix array real general", "2 1", "0", "3"), [[0], [3]]),
    ],
)
def test_files_of_every_kind(tmp_path, lines, wanted):
    matrix = read(written(tmp_path / "m.mtx", *lines))
    np.testing.assert_array_equal(matrix.toarray(), wanted)
    assert matrix.dtype == (np.complex128 if np.iscomplexobj(wanted) else np.float64)
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert matrix.has_canonical_format
    assert isinstance(matrix, sp.csr_array)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
def test_compressed_files(tmp_path, compress):
    scipy.io.mmwrite(tmp_path / "m.mtx", A)
    path = tmp_path / ("m.mtx.gz" if compress is gzip.compress else "m.mtx.bz2")
    path.write_bytes(compress((tmp_path / "m.mtx").read_bytes()))
    assert (read(path) != A).nnz == 0


def refusal(capsys, *arguments):
    """Run a command that must end with exit code 2 and one line on stderr; return the line."""
    try:
        code = main(["bench", *map(str, arguments)])
    except SystemExit as leaving:
        code = leaving.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("symsparse bench: error: ")
    return captured.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.mtx", b"", "not a Matrix Market file"),
        ("words.mtx", b"neither fish nor fowl\n", "not a Matrix Market file"),
        ("bytes.mtx", bytes(range(256)) * 20, "not a Matrix Market file"),
        ("cut.mtx", f"{HEAD} real general\n3 3 4\n1 1 1\n".encode(), "not a Matrix Market file"),
        ("outside.mtx", f"{HEAD} real general\n2 2 1\n3 1 1\n".encode(), "not a Matrix Market file"),
        ("number.mtx", f"{HEAD} real general\n2 2 1\n1 1 x\n".encode(), "not a Matrix Market file"),
        ("kind.mtx", f"{HEAD} quaternion general\n2 2 1\n1 1 1\n".encode(), "not a Matrix Market file"),
        ("nothing.mtx", f"{HEAD} real general\n2 2 0\n".encode(), "no entries"),
        ("none.mtx", f"{HEAD} real general\n0 0 0\n".encode(), "no entries"),
        ("fake.mtx.gz", b"not compressed", "fake.mtx.gz: "),
        ("cut.mtx.gz", gzip.compress(b"%%MatrixMarket" * 1000, mtime=0)[:-20], "cut.mtx.gz: "),
        ("fake.mtx.bz2", b"not compressed", "fake.mtx.bz2: "),
    ],
)
def test_refused_files(capsys, tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    line = refusal(capsys, tmp_path / name)
    assert said in line
    assert name in line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no/such/file.mtx",), "No such file"),
        ((".",), "directory"),
        ((), "FILE.mtx"),
        (("m.mtx", "--columns", "0"), "--columns: must be at least 1"),
        (("m.mtx", "--threads", "0"), "--threads: must be at least 1"),
        (("m.mtx", "--threads", "100000"), "--threads 100000: there are"),
        (("m.mtx", "--seconds", "soon"), "--seconds: not a number"),
    ],
)
def test_refused_arguments(capsys, arguments, said):
    assert said in refusal(capsys, *arguments)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_every_graph_is_what_scipy_computes(monkeypatch, dtype):
    monkeypatch.setattr(pytensor, "function", functools.partial(pytensor.function, mode=reference_mode))
    square = sp.csr_array(sp.random_array((7, 7), density=0.3, format="csr", rng=np.random.default_rng(0)))
    if dtype is np.complex128:
        square = square * (1 - 2j)
    for matrix in (A.astype(dtype), square):
        found = kernels(matrix, 3)
        assert [kernel.name for kernel in found][11:] == (["A @ A, sorted"] if matrix is square else [])
        for kernel in found:
            result, reference = kernel.compiled(matrix)(), kernel.in_scipy(matrix)()
            assert agree(result, reference), kernel.name
            wrong = sp.csr_array(reference * 1.01) if sp.issparse(reference) else np.asarray(reference) * 1.01
            assert not agree(wrong, reference), kernel.name
            assert kernel.bytes_moved(reference) > 0


@pytest.mark.parametrize(
    ("ours", "reference", "same"),
    [
        (A, A.tocsc(), True),
        (A, sp.csr_array(A.toarray() * (1 + 1e-13)), True),
        (sp.csr_array([[np.nan, 1.0]]), sp.csr_array([[np.nan, 1.0]]), True),
        (sp.csr_array(([1.0, np.nan], [1, 0], [0, 2]), shape=(1, 2)), sp.csr_array([[np.nan, 1.0]]), True),
        (sp.csr_array([[np.nan, 1.0]]), sp.csr_array([[np.nan, 2.0]]), False),
        (sp.csr_array([[np.nan, 1.0]]), sp.csr_array([[0.5, 1.0]]), False),
        (sp.csr_array([[1.0, 0.0]]), sp.csr_array([[1.0, 3.0]]), False),
        (np.array([np.nan, 1.0]), np.array([np.nan, 1.0]), True),
        (np.array([np.nan, 1.0]), np.array([0.0, 1.0]), False),
        (np.ones(3), np.ones((3, 1)), False),
    ],
)
def test_agreement(ours, reference, same):
    assert agree(ours, reference) is same


@pytest.fixture
def uncompiled(monkeypatch):
    """Leave the compiler, and the waiting, out."""
    monkeypatch.setattr(Kernel, "compiled", Kernel.in_scipy)
    monkeypatch.setattr(timing, "BATCH", 1e-5)
    monkeypatch.setattr(job, "machine", lambda threads: MACHINE)


@pytest.fixture
def matrix_file(tmp_path):
    scipy.io.mmwrite(tmp_path / "mine.mtx", A)
    return tmp_path / "mine.mtx"


def test_the_whole_command(capsys, tmp_path, uncompiled, matrix_file):
    assert main(["bench", str(matrix_file), "--seconds", "0", "--output", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "mine.mtx: 4 x 3, 4 entries, float64" in out
    assert "1.0 entries on average, 2 at most; 1 are empty" in out
    for name in ("A @ x", "A.T @ Z", "A.tocsc()", "A.sum(axis=1)"):
        assert any(name in line for line in out.splitlines())
    assert "operations a byte" in out
    assert err == ""  # no bar where nobody looks
    drawn = tmp_path / "out" / "mine-roofline.png"
    assert drawn.exists() is (importlib.util.find_spec("matplotlib") is not None)
    assert (str(drawn) in out) is drawn.exists()


@pytest.mark.parametrize(("load", "said"), [(0.3, False), (3.0, True)])
def test_a_busy_machine_is_told(monkeypatch, load, said):
    monkeypatch.setattr(job.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(job.os, "getloadavg", lambda: (load, 0, 0), raising=False)
    assert any(line.startswith("load") for line in job.describe(A, "m.mtx", 2)) is said


@pytest.mark.slow
def test_the_whole_command_compiled(capsys, tmp_path, matrix_file):
    assert main(["bench", str(matrix_file), "--seconds", "0", "--output", str(tmp_path)]) == 0
    assert "A @ x" in capsys.readouterr().out


def test_without_matplotlib(capsys, tmp_path, uncompiled, matrix_file, monkeypatch):
    monkeypatch.setattr(roofline, "find_spec", lambda name: None)
    assert main(["bench", str(matrix_file), "--seconds", "0", "--output", str(tmp_path / "out")]) == 0
    assert "picture" not in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_wrong_result_stops_it(capsys, uncompiled, matrix_file, monkeypatch):
    monkeypatch.setattr(Kernel, "compiled", lambda self, A: lambda: 2 * self.in_scipy(A)())
    assert "A @ x: the result differs from SciPy's" in refusal(capsys, matrix_file, "--seconds", "0")


def test_the_bar_is_drawn_on_a_terminal_and_taken_away(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with job.progress(2) as advance:
        advance("first")
        advance("second")
    err = capsys.readouterr().err
    assert f"[{' ' * 24}] 0/2 first" in err
    assert f"[{'#' * 12}{' ' * 12}] 1/2 second" in err
    assert err.endswith("\r\033[K")


def test_a_picture_that_cannot_be_written(tmp_path):
    pytest.importorskip("matplotlib")
    written(tmp_path / "taken", "a file")
    with pytest.raises(BenchError, match="taken"):
        picture(tmp_path / "taken" / "x.png", [Point("A", "A @ x", 0.2, 1e9, 5e8)], MACHINE, "title")


def test_the_roofline_in_the_terminal():
    points = [Point("A", "A @ x", 0.1, 1e9, 5e8), Point("B", "A @ X", 5.0, 2e10, 1e9)]
    lines = in_terminal(points, MACHINE).splitlines()
    window = Window.around(points, MACHINE)
    assert window.right > np.log10(MACHINE.peak / MACHINE.stream)
    drawing = "\n".join(line[9:] for line in lines[1:-2])
    assert all(drawing.count(letter) == 1 for letter in "AaBb")
    place = {
        letter: (row, line.index(letter))
        for row, line in enumerate(drawing.splitlines())
        for letter in line
        if letter != " "
    }
    assert place["A"][0] < place["a"][0]  # higher up
    assert place["A"][1] == place["a"][1] < place["B"][1]


def test_race_gives_one_number_a_round():
    calls = []
    first, second = timing.race([lambda: calls.append(1), lambda: calls.append(2)], 0)
    assert len(first.seconds) == len(second.seconds) == timing.FEWEST
    assert first.best <= first.median
    assert set(calls) == {1, 2}
