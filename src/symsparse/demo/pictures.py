"""The pictures of the demo, drawn off screen: figures without pyplot need no display and no backend."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from .data import Dataset
from .reference import Baselines

MODEL, RIVAL, QUIET = "#0b6e99", "#d9730d", "#9b9a97"
RESOLUTION = 130
DOCUMENTS_SHOWN, WORDS_SHOWN = 60, 60


def learning_curve(path: Path, losses: NDArray, accuracies: Sequence[float], rivals: Baselines) -> None:
    """Draw the mini-batch loss per step and the held-out accuracy per epoch, beside the baselines."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(accuracies) + 1)
    left.plot(np.arange(1, len(losses) + 1) * len(epochs) / len(losses), losses, color=MODEL, linewidth=1)
    left.set(title="Loss of each mini-batch", xlabel="epoch", ylabel="cross-entropy", yscale="log")

    right.plot(epochs, np.multiply(accuracies, 100), color=MODEL, marker="o", markersize=3, label="symsparse")
    right.axhline(100 * rivals.sklearn, color=RIVAL, linestyle="--", label="scikit-learn, converged")
    right.axhline(100 * rivals.majority, color=QUIET, linestyle=":", label="most frequent class")
    right.set(title="Held-out accuracy", xlabel="epoch", ylabel="%", ylim=(0, 100))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(loc="center right", frameon=False)
    figure.savefig(path, dpi=RESOLUTION)


def spy_block(
    path: Path, dataset: Dataset, classes: NDArray[np.intp], words: Sequence[NDArray[np.intp]]
) -> None:
    """Draw where a block of X has entries: documents of a few classes by the most telling words of each."""
    rows = [np.flatnonzero(dataset.y_train == label)[:DOCUMENTS_SHOWN] for label in classes]
    columns = [np.array(telling[:WORDS_SHOWN]) for telling in words]
    block = dataset.X_train[np.concatenate(rows)][:, np.concatenate(columns)]

    figure = Figure(figsize=(8, 8), layout="constrained")
    axes = figure.subplots()
    axes.spy(block, markersize=1.5, color=MODEL, aspect="auto")
    names = [dataset.classes[label] for label in classes]
    for sizes, ticks, line in (
        ([len(part) for part in columns], axes.set_xticks, axes.axvline),
        ([len(part) for part in rows], axes.set_yticks, axes.axhline),
    ):
        ends = np.cumsum(sizes)
        ticks(ends - np.array(sizes) / 2 - 0.5, names)
        for end in ends[:-1]:
            line(end - 0.5, color=QUIET, linewidth=0.6)
    axes.tick_params(length=0)
    for label in axes.get_xticklabels():
        label.set(rotation=30, horizontalalignment="left", rotation_mode="anchor")
    axes.set_title(f"A block of X, {block.shape[0]:,} x {block.shape[1]:,}: {block.nnz:,} entries")
    axes.set_xlabel(f"the most telling {dataset.unit} of each class")
    axes.set_ylabel("documents")
    figure.savefig(path, dpi=RESOLUTION)
