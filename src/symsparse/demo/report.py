"""What the demo says while it runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from symsparse.inspection import Explanation

from .data import Dataset
from .reference import Baselines

if TYPE_CHECKING:
    from .job import Race


class Report:
    """Print results as plain lines; spinners and the progress bar appear on a terminal only."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, markup=False, soft_wrap=True)

    def waiting(self, what: str) -> AbstractContextManager:
        """Show that something is going on."""
        return self.console.status(f"{what} ...") if self.console.is_terminal else nullcontext()

    @contextmanager
    def progress(self, n_steps: int) -> Iterator[Callable[[float, Sequence[float]], None]]:
        """Show a bar over `n_steps`; call the yielded function once per step, with the loss and the accuracies."""
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
        )
        terminal = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not terminal) as bar:
            task = bar.add_task("", total=n_steps)

            def advance(loss: float, accuracies: Sequence[float]) -> None:
                if terminal:
                    held_out = f", held-out accuracy {accuracies[-1]:.1%}" if accuracies else ""
                    bar.update(task, advance=1, description=f"loss {loss:.3f}{held_out}")

            yield advance

    def corpus(self, dataset: Dataset) -> None:
        """Say how much data there is."""
        X = dataset.X_train
        n_train, n_test = len(dataset.y_train), len(dataset.y_test)
        cells = X.shape[0] * X.shape[1]
        sparse = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        self._line("corpus", dataset.source)
        self._line(
            "",
            f"{n_train + n_test:,} documents in {len(dataset.classes):,} classes, {n_test:,} of them held out",
        )
        self._line("X", f"{X.shape[0]:,} documents x {X.shape[1]:,} {dataset.unit}, {X.dtype}")
        self._line("", f"{X.nnz:,} entries, density {X.nnz / cells:.3%}")
        self._line("", f"{_size(sparse)} sparse, {_size(cells * X.dtype.itemsize)} if it were dense")

    def training(self, compile_seconds: float, seconds: float, n_steps: int, sklearn_seconds: float) -> None:
        """Say how long compiling and training took."""
        self._line("compiling", f"{compile_seconds:.1f} s for the training step and the prediction")
        self._line(
            "training",
            f"{seconds:.2f} s for {n_steps:,} steps (scikit-learn's solver: {sklearn_seconds:.2f} s)",
        )

    def accuracy(self, ours: float, rivals: Baselines) -> None:
        """Put the held-out accuracies beside each other."""
        self._table(
            "held-out accuracy",
            {
                "most frequent class": f"{rivals.majority:6.1%}",
                "scikit-learn's LogisticRegression": f"{rivals.sklearn:6.1%}  with the same objective",
                "symsparse": f"{ours:6.1%}",
            },
        )

    def words(self, telling: Mapping[str, np.ndarray], unit: str) -> None:
        """List the words (or other columns, as `unit` says) that speak most for each class."""
        self._table(f"most telling {unit}", {name: ", ".join(words) for name, words in telling.items()})

    def race(self, race: "Race", batch: int) -> None:
        """Put the times per step beside each other."""
        self._table(
            f"one step on {batch:,} documents (median; the weights agree to {race.difference:.0e})",
            {
                "by hand, in SciPy and NumPy": f"{race.scipy * 1e3:6.2f} ms",
                "symsparse": f"{race.ours * 1e3:6.2f} ms  {race.scipy / race.ours:.1f} times as fast",
            },
        )

    def explanation(self, step: Explanation) -> None:
        """Say what a training step consists of."""
        self.console.print(f"\none training step: {step.short()}")

    def written(self, page: Path, *pictures: Path) -> None:
        """Say where the files are."""
        self.console.print()
        self._line("step", f"{page}: the training step explained in full")
        self._line("pictures", ", ".join(map(str, pictures)))

    def _line(self, name: str, what: str) -> None:
        self.console.print(f"{name:<10} {what}")

    def _table(self, title: str, rows: Mapping[str, str]) -> None:
        width = max(map(len, rows))
        self.console.print(
            "\n".join(("", title, *(f"  {name:<{width}}  {what}" for name, what in rows.items())))
        )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
