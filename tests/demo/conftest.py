"""Tiny corpora for the demo's tests."""

import gzip
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from symsparse.demo.extras import EXTRAS

if any(find_spec(module) is None for module in EXTRAS):
    collect_ignore_glob = ["test_*.py"]

TOPICS = {
    "cooking": "salt pepper oven onion butter knife simmer garlic",
    "sailing": "mast harbour keel anchor wind rudder tide hull",
    "weaving": "loom thread shuttle cloth warp weft yarn spindle",
}


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """Twenty short texts for each of three topics."""
    rng = np.random.default_rng(0)
    common = ["the", "a", "of", "with", "some", "and", "more", "then"]
    for topic, words in TOPICS.items():
        folder = tmp_path / "texts" / topic
        folder.mkdir(parents=True)
        for i in range(20):
            chosen = [*rng.choice(words.split(), 6), *rng.choice(common, 6)]
            (folder / f"{i}.txt").write_text(" ".join(chosen), encoding="utf-8")
    return tmp_path / "texts"


@pytest.fixture
def svmlight_file(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of svmlight files with two separable classes, labelled -1 and 1."""

    def write(name: str = "data.svm.gz", lines: list[str] | None = None) -> Path:
        if lines is None:
            rng = np.random.default_rng(0)
            lines = []
            for i in range(60):
                first = 1 if i % 2 else 6
                columns = np.sort(rng.choice(np.arange(first, first + 8), 4, replace=False))
                entries = " ".join(f"{column}:{rng.uniform(1, 100):.3f}" for column in columns)
                lines.append(f"{1 if i % 2 else -1} {entries}")
        path = tmp_path / name
        content = "".join(f"{line}\n" for line in lines).encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write
