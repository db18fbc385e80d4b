"""Run the demo from data to pictures."""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import symsparse

from . import DemoError
from .data import Dataset, load
from .model import Model, compile_model, reset, step_sizes
from .pictures import learning_curve, spy_block
from .reference import ScipyStep, baselines
from .report import Report

RACE_STEPS = 30
RACE_WARM_UP = 3
CLASSES_SHOWN = 6
WORDS_SHOWN = 8


def run(options: argparse.Namespace) -> None:
    """Do what ``python -m symsparse demo`` promises; `options` come from its parser.

    Raises
    ------
    DemoError
        If the data, the options or the output folder cannot be used.
    """
    report = Report()
    with report.waiting("reading the documents"):
        dataset = load(options.data, options.text, options.seed)
    output = writable_folder(options.output)
    report.corpus(dataset)

    with report.waiting("fitting scikit-learn's LogisticRegression"):
        rivals = baselines(dataset, options.l2)
    with report.waiting("compiling the training step and the prediction"):
        model = compile_model(dataset.X_train, dataset.y_train, len(dataset.classes), options.l2)
    training = train(model, dataset, options, report)
    report.training(model.compile_seconds, training.seconds, len(training.losses), rivals.sklearn_seconds)
    report.accuracy(training.accuracies[-1], rivals)

    W = model.W.get_value()
    shown = np.argsort(-np.bincount(dataset.y_train), kind="stable")[:CLASSES_SHOWN]
    telling = telling_words(W, shown)
    words = [dataset.words[order[:WORDS_SHOWN]] for order in telling]
    names = [dataset.classes[label] for label in shown]
    report.words(dict(zip(names, words, strict=True)), dataset.unit)

    batch = min(options.batch, len(dataset.y_train))
    with report.waiting("timing one step beside SciPy's"):
        timing = race(model, dataset, batch, options)
    report.race(timing, batch)

    with report.waiting("explaining the training step"):
        step = symsparse.explain(model.step, 0, batch, dataset.X_train.dtype.type(options.rate))
    report.explanation(step)

    curve, spy, page = output / "learning-curve.png", output / "spy.png", output / "training-step.html"
    try:
        page.write_text(step.html(), encoding="utf-8")
        learning_curve(curve, training.losses, training.accuracies, rivals)
        spy_block(spy, dataset, shown, telling)
    except OSError as error:
        raise DemoError(f"{error.filename or output}: {error.strerror or error}") from error
    report.written(page, curve, spy)


def writable_folder(folder: Path) -> Path:
    """Make `folder` if need be, and see that files can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise DemoError(f"cannot write into {folder}: {error.strerror or error}") from error


@dataclass(frozen=True)
class Training:
    """The course of training: the loss of each step, held-out accuracy after each epoch, time spent in steps."""

    losses: NDArray[np.float64]
    accuracies: list[float]
    seconds: float


def batches(n_documents: int, batch: int) -> NDArray[np.int64]:
    """Cut the documents into slices of near equal size, at most `batch`; returns where they start and stop."""
    n = -(-n_documents // batch)
    cuts = np.arange(n + 1) * n_documents // n
    return np.column_stack([cuts[:-1], cuts[1:]])


def train(model: Model, dataset: Dataset, options: argparse.Namespace, report: Report) -> Training:
    """Train `model` for ``options.epochs`` passes over the slices, each in another order."""
    rng = np.random.default_rng(options.seed)
    slices = batches(len(dataset.y_train), options.batch)
    n_steps = options.epochs * len(slices)
    rates = iter(step_sizes(options.rate, n_steps).astype(dataset.X_train.dtype))
    losses: list[float] = []
    accuracies: list[float] = []
    seconds = 0.0
    with report.progress(n_steps) as advance:
        for _ in range(options.epochs):
            for first, last in rng.permutation(slices):
                start = time.perf_counter()
                losses.append(float(model.step(first, last, next(rates))))
                seconds += time.perf_counter() - start
                advance(losses[-1], accuracies)
            if not np.isfinite(losses[-1]):
                raise DemoError(f"the loss is no longer finite; lower --rate (it is {options.rate:g})")
            accuracies.append(float(np.mean(model.predict(dataset.X_test) == dataset.y_test)))
    return Training(np.array(losses), accuracies, seconds)


@dataclass(frozen=True)
class Race:
    """Median seconds per step, and how far apart the two sets of weights ended, relative to their size."""

    ours: float
    scipy: float
    difference: float


def race(model: Model, dataset: Dataset, batch: int, options: argparse.Namespace) -> Race:
    """Take the same steps with the compiled function and with SciPy, in turns, from the same start."""
    reset(model.state)
    by_hand = ScipyStep(dataset.X_train, dataset.y_train, len(dataset.classes), options.l2)
    rng = np.random.default_rng(options.seed)
    rates = step_sizes(options.rate, RACE_WARM_UP + RACE_STEPS).astype(dataset.X_train.dtype)
    seconds: tuple[list[float], list[float]] = ([], [])
    for rate in rates:
        first = rng.integers(len(dataset.y_train) - batch + 1)
        for step, record in zip((model.step, by_hand), seconds, strict=True):
            start = time.perf_counter()
            step(first, first + batch, rate)
            record.append(time.perf_counter() - start)
    ours, scipy = (float(np.median(record[RACE_WARM_UP:])) for record in seconds)
    size = max(float(np.abs(by_hand.W).max()), np.finfo(by_hand.W.dtype).tiny)
    return Race(ours, scipy, float(np.abs(model.W.get_value() - by_hand.W).max()) / size)


def telling_words(W: NDArray, classes: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """For each class, order the words by how much more they speak for it than for the average class."""
    relative = W[:, classes] - W.mean(axis=1, keepdims=True)
    return list(np.argsort(-relative, axis=0, kind="stable").T)
