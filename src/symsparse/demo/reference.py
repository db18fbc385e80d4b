"""The rivals: the same step written by hand in SciPy, and scikit-learn's solution of the same problem."""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .data import Dataset

MOMENTUM = 0.9  # as in model.py, which needs PyTensor; this file does not


class ScipyStep:
    """One step with momentum on the same objective, differentiated by hand, every buffer reused.

    A careful SciPy user would write this: elementwise work is done in place, and the gradient is ``X.T @ residuals``.
    """

    def __init__(self, X: sp.csr_array, y: NDArray[np.int64], n_classes: int, l2: float) -> None:
        self.X, self.y, self.l2 = X, y, X.dtype.type(l2)
        self.W = np.zeros((X.shape[1], n_classes), X.dtype)
        self.b = np.zeros(n_classes, X.dtype)
        self.velocities = np.zeros_like(self.W), np.zeros_like(self.b)
        self.scratch = np.empty_like(self.W)

    def __call__(self, first: int, last: int, rate: float) -> float:
        """Take the step and return the mean loss on these rows before it."""
        X, y = self.X[first:last], self.y[first:last]
        each = np.arange(len(y))
        residuals = X @ self.W
        residuals += self.b
        residuals -= residuals.max(axis=1, keepdims=True)
        picked = residuals[each, y]
        np.exp(residuals, out=residuals)
        total = residuals.sum(axis=1, keepdims=True)
        loss = np.mean(np.log(total[:, 0]) - picked)
        residuals /= total
        residuals[each, y] -= 1
        residuals /= len(y)

        W_velocity, b_velocity = self.velocities
        W_velocity *= MOMENTUM
        W_velocity += np.multiply(self.W, self.l2, out=self.scratch)
        W_velocity += X.T @ residuals
        self.W -= np.multiply(W_velocity, rate, out=self.scratch)
        b_velocity *= MOMENTUM
        b_velocity += residuals.sum(axis=0)
        self.b -= rate * b_velocity
        return float(loss)


@dataclass(frozen=True)
class Baselines:
    """What to measure the model against, on the held-out documents.

    Attributes
    ----------
    majority
        Accuracy of always answering the most frequent class.
    sklearn
        Accuracy of `sklearn.linear_model.LogisticRegression` with the same objective.
    sklearn_seconds
        Time its fit took.
    """

    majority: float
    sklearn: float
    sklearn_seconds: float


def baselines(dataset: Dataset, l2: float) -> Baselines:
    """Fit the rivals on the training part of `dataset`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    majority = np.bincount(dataset.y_train).argmax()
    classifier = LogisticRegression(C=inverse_penalty(l2, dataset), max_iter=300)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(dataset.X_train, dataset.y_train)
    seconds = time.perf_counter() - start
    return Baselines(
        majority=float(np.mean(dataset.y_test == majority)),
        sklearn=float(np.mean(classifier.predict(dataset.X_test) == dataset.y_test)),
        sklearn_seconds=seconds,
    )


def inverse_penalty(l2: float, dataset: Dataset) -> float:
    """Translate our `l2` into scikit-learn's C.

    scikit-learn minimises ``sum of losses + ||W||^2 / (2 C)``, we minimise its N-th part: ``C = 1 / (N l2)``. For two
    classes it keeps one column w where we keep two, which at the optimum are w/2 and -w/2 with half the penalty of w.
    """
    if l2 == 0:
        return np.inf
    columns = 2 if len(dataset.classes) == 2 else 1
    return columns / (len(dataset.y_train) * l2)
