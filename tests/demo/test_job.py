"""The demo from end to end: once on tiny texts, and (slow) on the docstrings themselves."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import symsparse
from symsparse.__main__ import build_parser, main
from symsparse.demo import DemoError, job
from symsparse.demo.data import Dataset, load
from symsparse.demo.model import Model, compile_model, reset, step_sizes
from symsparse.demo.reference import ScipyStep
from symsparse.demo.report import Report

L2 = 1e-3


@pytest.fixture
def dataset(text_folder: Path) -> Dataset:
    return load(None, text_folder, seed=0)


@pytest.fixture
def model(dataset: Dataset) -> Model:
    return compile_model(dataset.X_train, dataset.y_train, len(dataset.classes), L2)


def test_step_matches_the_hand_written_one(model: Model, dataset: Dataset) -> None:
    by_hand = ScipyStep(dataset.X_train, dataset.y_train, len(dataset.classes), L2)
    rng = np.random.default_rng(0)
    for rate in step_sizes(10, 8).astype(np.float32):
        first = rng.integers(0, len(dataset.y_train))  # the last slices are shorter
        assert model.step(first, first + 11, rate) == pytest.approx(
            by_hand(first, first + 11, rate), rel=1e-4
        )
    assert model.W.get_value() == pytest.approx(by_hand.W, rel=1e-3, abs=1e-3)
    assert model.b.get_value() == pytest.approx(by_hand.b, rel=1e-3, abs=1e-3)
    scores = dataset.X_test @ by_hand.W + by_hand.b
    assert np.array_equal(model.predict(dataset.X_test), scores.argmax(axis=1))
    reset(model.state)
    assert not model.W.get_value().any()


def test_step_is_two_products_on_a_view_and_the_second_adds_to_the_velocity(model: Model) -> None:
    step = symsparse.explain(model.step, 0, 11, np.float32(1))
    assert not step.densifications
    assert not step.symbolic
    assert [part.kernel for part in step.steps] == [
        "indexing.run_pattern",
        "matmul.gather_matrix",
        "matmul.usmm_scatter_matrix",
    ]
    assert step.steps[0].flops == 0
    state = [variable.get_value(borrow=True) for variable in model.state]
    model.step(0, 11, np.float32(1))
    after = [variable.get_value(borrow=True) for variable in model.state]
    assert all(map(np.shares_memory, state, after))
    assert all(array.any() for array in after)


def test_divergence_is_reported(model: Model, dataset: Dataset) -> None:
    options = build_parser().parse_args(["demo", "--rate", "1e38", "--epochs", "3"])
    with pytest.raises(DemoError, match="lower --rate"), np.errstate(all="ignore"):
        job.train(model, dataset, options, Report())


def test_step_sizes_fall_to_zero() -> None:
    sizes = step_sizes(0.1, 50)
    assert sizes == pytest.approx(np.linspace(0.1, 0.002, 50))


def test_batches_cover_every_document_once() -> None:
    slices = job.batches(103, 25)
    assert np.array_equal(np.concatenate([np.arange(*ends) for ends in slices]), np.arange(103))
    assert set(np.diff(slices).ravel()) == {20, 21}
    assert job.batches(10, 10**9).tolist() == [[0, 10]]


def test_telling_words_are_relative_to_the_other_classes() -> None:
    W = np.array([[5.0, 5.0, 5.0], [1.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    assert [order[0] for order in job.telling_words(W, np.array([0, 1]))] == [1, 2]


def percentages(printed: str) -> list[float]:
    """Return the majority's, scikit-learn's and our accuracy from what the demo printed."""
    block = printed.partition("held-out accuracy\n")[2].partition("\n\n")[0]
    return [float(number) for number in re.findall(r"([\d.]+)%", block)]


def test_demo_on_a_text_folder(capsys: pytest.CaptureFixture[str], text_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "pictures"
    assert main(["demo", "--text", str(text_folder), "--batch", "16", "--output", str(output)]) == 0
    captured = capsys.readouterr()
    majority, sklearn, ours = percentages(captured.out)
    assert majority == pytest.approx(33.3)
    assert sklearn > 90
    assert ours > 90
    assert "harbour" in captured.out.partition("most telling words")[2]
    assert "by hand" in captured.out
    assert "one training step: no densification; 0 symbolic phases per call" in captured.out
    assert captured.out.count("usmm_scatter_matrix") == 1
    assert (output / "training-step.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "\x1b" not in captured.out
    for name in ("learning-curve.png", "spy.png"):
        assert (output / name).read_bytes().startswith(b"\x89PNG")


def test_demo_on_an_svmlight_file_without_penalty(
    capsys: pytest.CaptureFixture[str], svmlight_file: Callable[..., Path], tmp_path: Path
) -> None:
    options = ["--l2", "0", "--epochs", "40", "--batch", "1000", "--output", str(tmp_path)]
    assert main(["demo", "--data", str(svmlight_file()), *options]) == 0
    printed = capsys.readouterr().out
    _, sklearn, ours = percentages(printed)
    assert sklearn > 80
    assert ours > 80
    assert "48 documents x 13 features" in printed
    assert "one step on 48 documents" in printed
    assert "#" in printed.partition("most telling features")[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Cannot cache compiled function")  # as PyTensor does outside pytest
def test_demo_on_the_docstrings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--output", str(tmp_path)]) == 0
    majority, sklearn, ours = percentages(capsys.readouterr().out)
    assert majority < 30
    assert abs(ours - sklearn) <= 1
