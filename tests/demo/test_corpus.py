"""The docstring corpus."""

from pathlib import Path

import numpy as np
import pytest

from symsparse.demo import corpus


def test_source_docstrings_of_every_kind(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""module"""\n'
        "class A:\n"
        '    """class"""\n'
        "    if True:\n"
        "        def f(self):\n"
        '            """method"""\n'
        "    async def g(self):\n"
        '        """coroutine"""\n'
        "def undocumented(): 'a string'.upper()\n"
        'add_newdoc("place", "name", """new doc""")\n'
        'add_newdoc("place", "name", ("attribute", """attribute doc"""))\n',
        encoding="utf-8",
    )
    texts = corpus.source_docstrings(path)
    assert {"module", "class", "method", "coroutine", "new doc", "attribute doc"} <= set(texts)
    assert "a string" not in texts


@pytest.mark.parametrize("content", [b"", b"def f(:\n", b"\xff\xfe\x00", b"x = 1\0", b"(" * 500])
def test_files_that_are_not_python_have_no_docstrings(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(content)
    assert corpus.source_docstrings(path) == []


def test_missing_file_has_no_docstrings(tmp_path: Path) -> None:
    assert corpus.source_docstrings(tmp_path / "none.py") == []


def test_strip_names_removes_what_names_the_label() -> None:
    text = "See scipy.stats.norm or SciPy's norm.\n>>> import numpy\n...     np.sum(1)\nUse np.linalg.norm, plt.plot."
    stripped = corpus.strip_names(text)
    assert stripped.split() == ["See", "or", "'s", "norm.", "Use", ",", "."]


def test_strip_names_keeps_ordinary_words() -> None:
    text = "A sparse matrix of special statistics, interp.1d and the sp line of the input."
    assert corpus.strip_names(text) == text


@pytest.fixture(scope="module")
def scipy_corpus() -> tuple[list[str], list[str]]:
    return corpus.docstring_corpus(("scipy",), min_documents=100)


def test_corpus_is_large_distinct_and_labelled(scipy_corpus: tuple[list[str], list[str]]) -> None:
    documents, labels = scipy_corpus
    assert len(documents) == len(labels) > 1000
    assert len(set(documents)) == len(documents)
    names, counts = np.unique(labels, return_counts=True)
    assert {"scipy.stats", "scipy.special", "scipy.sparse"} <= set(names)
    assert counts.min() >= 100
    assert not any("scipy" in document.lower().split() for document in documents)


def test_corpus_is_the_same_every_time(scipy_corpus: tuple[list[str], list[str]]) -> None:
    assert corpus.docstring_corpus(("scipy",), min_documents=100) == scipy_corpus


def test_a_package_that_is_not_installed_is_passed_over() -> None:
    assert corpus.docstring_corpus(("no_such_package_here",)) == ([], [])
