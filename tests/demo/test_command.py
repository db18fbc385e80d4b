"""The command line: what it prints, and how it refuses."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import symsparse
from symsparse.__main__ import main


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must end with exit code 2 and one line on stderr; return the line."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = leaving.code
    captured = capsys.readouterr()
    assert code == 2
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "choose a command"),
        (("nonsense",), "nonsense"),
        (("demo", "--seed", "-1"), "--seed: must be at least 0, but is -1"),
        (("demo", "--seed", "x"), "--seed: not a whole number: 'x'"),
        (("demo", "--epochs", "0"), "--epochs"),
        (("demo", "--epochs", "1.5"), "--epochs"),
        (("demo", "--batch", "0"), "--batch"),
        (("demo", "--l2", "-1"), "--l2"),
        (("demo", "--l2", "nan"), "--l2"),
        (("demo", "--l2", "much"), "--l2: not a number"),
        (("demo", "--rate", "inf"), "--rate"),
        (("demo", "--unknown"), "--unknown"),
        (("demo", "--data", "a", "--text", "b"), "not allowed with"),
        (("demo", "--data", "no/such/file.svm"), "No such file"),
        (("demo", "--data", "no/such/file.svm.gz"), "No such file"),
        (("demo", "--text", "no/such/folder"), "no such folder"),
    ],
)
def test_refused_arguments(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str) -> None:
    assert said in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("empty.svm", b"", "no documents"),
        ("comment.svm", b"# nothing else\n\n", "no documents"),
        ("garbage.svm", bytes(range(256)) * 20, "not an svmlight file"),
        ("words.svm", b"cat 1:2\ndog 2:3\n", "not an svmlight file"),
        ("unsorted.svm", b"1 3:1 2:1\n0 1:1\n", "not an svmlight file"),
        ("negative.svm", b"1 -3:1\n0 1:1\n", "not an svmlight file"),
        ("fake.svm.gz", b"1 1:2\n0 2:3\n", "gzip"),
        ("cut.svm.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x33\x54", "cut.svm.gz"),
        ("one.svm", b"1 1:2\n1 2:3\n1 2:1\n", "one class"),
        ("alone.svm", b"1 1:2\n2 2:3\n", "every class has one document"),
        ("zeros.svm", b"1 1:0\n1 1:0\n2 2:0\n2 2:0\n", "every feature is zero"),
        ("bare.svm", b"1\n1\n2\n2\n", "every feature is zero"),
        ("inf.svm", b"1 1:inf\n1 2:1\n2 1:1\n2 2:1\n", "infinite"),
        ("regression.svm", b"".join(b"%d 1:1\n" % i for i in range(30)), "classes are expected"),
    ],
)
def test_refused_svmlight_files(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    line = refusal(capsys, "demo", "--data", path)
    assert said in line
    assert name in line


def test_a_folder_is_no_svmlight_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "directory" in refusal(capsys, "demo", "--data", tmp_path).lower()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no text files"),
        ({"lonely.txt": b"a file beside the classes"}, "no text files"),
        ({"a/1.txt": b"one", "a/2.txt": b"two"}, "one class"),
        ({"a/1.txt": b"", "b/1.txt": b"", "a/2.txt": b" ", "b/2.txt": b"12 ."}, "no words"),
        ({"a/1.txt": b"one", "b/1.txt": b"two"}, "every class has one document"),
        ({"a/1.txt": b"one", "a/2.txt": b"two", "b/1.bin": b"\x7fELF\0\0\1"}, "1.bin: not a text file"),
        ({"a/1.txt": b"one", "b/1.bin": bytes(range(1, 256))}, "1.bin: not a text file"),
    ],
)
def test_refused_text_folders(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert said in refusal(capsys, "demo", "--text", tmp_path)


def test_a_file_is_no_text_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("text", encoding="utf-8")
    assert "not a folder" in refusal(capsys, "demo", "--text", path)


@pytest.mark.parametrize("name", ["taken", "taken/below"])
def test_refused_output_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, svmlight_file: Callable[..., Path], name: str
) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    line = refusal(capsys, "demo", "--data", svmlight_file(), "--output", tmp_path / name)
    assert "cannot write into" in line


def test_missing_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from symsparse.demo import extras

    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert "pip install 'symsparse[demo]'" in refusal(capsys, "demo")


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 2)])
def test_interrupted_and_out_of_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: type[BaseException], code: int
) -> None:
    from symsparse.demo import job

    def fail(options: object) -> None:
        raise error

    monkeypatch.setattr(job, "run", fail)
    assert main(["demo"]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"symsparse {symsparse.__version__}\n"


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    facts = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {"symsparse", "python", "numpy", "scipy", "numba", "pytensor", "threads"} <= set(facts)
    assert {"threading layers", "threading layer", "backend numba", "backend jax", "backend c"} <= set(facts)


def test_importing_the_command_line_imports_no_extra() -> None:
    code = "import sys, symsparse.__main__; print({'sklearn', 'matplotlib', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
