"""Reading, splitting and vectorising."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symsparse.demo import DemoError, data


def test_text_folder(text_folder: Path) -> None:
    dataset = data.load(None, text_folder, seed=0)
    assert dataset.classes == ["cooking", "sailing", "weaving"]
    assert dataset.X_train.shape == (48, len(dataset.words))
    assert dataset.X_test.shape == (12, len(dataset.words))
    assert np.bincount(dataset.y_test).tolist() == [4, 4, 4]
    assert dataset.X_train.dtype == np.float32
    assert dataset.X_train.has_canonical_format
    assert {"harbour", "the"} <= set(dataset.words)


def test_subfolders_hidden_files_and_old_encodings(tmp_path: Path) -> None:
    for name, content in {
        "a/x/1": b"caf\xe9 one",
        "a/2": b"two words",
        "b/1": "thé three".encode(),
        "b/2": b"four",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "a" / ".hidden").write_bytes(b"\0\1")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").write_text("not in a class", encoding="utf-8")
    documents, labels = data.read_text_folder(tmp_path)
    assert documents == ["two words", "café one", "thé three", "four"]
    assert labels == ["a", "a", "b", "b"]


@pytest.mark.parametrize("name", ["data.svm", "data.svm.gz"])
def test_svmlight_keeps_labels_and_column_numbers(svmlight_file: Callable[..., Path], name: str) -> None:
    dataset = data.load(svmlight_file(name), None, seed=0)
    assert dataset.classes == ["-1", "1"]
    assert dataset.words.tolist() == [f"#{column}" for column in range(1, 14)]
    assert len(dataset.y_train) + len(dataset.y_test) == 60
    largest = abs(dataset.X_train).max(axis=0).toarray()
    assert largest == pytest.approx(np.full(13, largest[0]))
    assert dataset.X_train.power(2).sum() == pytest.approx(48)


def test_svmlight_leaves_out_columns_without_entries(svmlight_file: Callable[..., Path]) -> None:
    lines = ["0 7:1 1000000:2", "0 7:2 1000000:1", "2.5 7:1 40:0", "2.5 7:3"] * 3
    dataset = data.load(svmlight_file("wide.svm", lines), None, seed=0)
    assert dataset.words.tolist() == ["#7", "#1000000"]
    assert dataset.classes == ["0", "2.5"]


def test_split_is_disjoint_complete_stratified_and_seeded() -> None:
    y = np.repeat([0, 1, 2, 3], [50, 10, 2, 1])
    train, test = data.split("y", y, seed=1)
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(63))
    assert not np.array_equal(np.sort(train), train)
    assert np.bincount(y[test], minlength=4).tolist() == [10, 2, 1, 0]
    assert np.array_equal(data.split("y", y, seed=1)[1], test)
    assert not np.array_equal(data.split("y", y, seed=2)[1], test)


def test_nothing_to_hold_out() -> None:
    with pytest.raises(DemoError, match="one document"):
        data.split("y", np.arange(3), seed=0)


def test_weights_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch, text_folder: Path) -> None:
    monkeypatch.setattr(data, "WEIGHT_BYTES_LIMIT", 100)
    with pytest.raises(DemoError, match="GiB of weights"):
        data.load(None, text_folder, seed=0)
