"""The hand-written step and scikit-learn's side of the comparison."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from symsparse.demo.data import load
from symsparse.demo.reference import ScipyStep, baselines, inverse_penalty


def objective(W: np.ndarray, b: np.ndarray, X: np.ndarray, y: np.ndarray, l2: float) -> float:
    logits = X @ W + b
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean() + l2 / 2 * (W**2).sum()


def numeric_gradients(W: np.ndarray, b: np.ndarray, *rest: Any) -> Iterator[np.ndarray]:
    parameters = W.copy(), b.copy()
    for parameter in parameters:
        numeric = np.empty_like(parameter)
        for i in np.ndindex(parameter.shape):
            ends = []
            for change in (1e-6, -1e-6):
                kept, parameter[i] = parameter[i], parameter[i] + change
                ends.append(objective(*parameters, *rest))
                parameter[i] = kept
            numeric[i] = (ends[0] - ends[1]) / 2e-6
        yield numeric


def test_two_steps_by_numerical_gradients() -> None:
    rng = np.random.default_rng(0)
    X = sp.random_array((20, 7), density=0.5, format="csr", rng=rng)
    y = rng.integers(0, 3, 20)
    step = ScipyStep(X, y, 3, l2=0.1)
    step.W[:], step.b[:] = rng.normal(size=(7, 3)), rng.normal(size=3)
    parameters, velocities = [step.W.copy(), step.b.copy()], [0.0, 0.0]
    for first, last, rate in ((3, 12, 0.5), (15, 25, 0.25)):  # there are 20 rows
        documents, labels = X.toarray()[first:last], y[first:last]
        assert step(first, last, rate) == pytest.approx(objective(*parameters, documents, labels, 0.0))
        for i, numeric in enumerate(numeric_gradients(*parameters, documents, labels, 0.1)):
            velocities[i] = 0.9 * velocities[i] + numeric
            parameters[i] = parameters[i] - rate * velocities[i]
        assert step.W == pytest.approx(parameters[0], abs=1e-7)
        assert step.b == pytest.approx(parameters[1], abs=1e-7)


def test_inverse_penalty_gives_two_classes_the_same_optimum(svmlight_file: Callable[..., Path]) -> None:
    from sklearn.linear_model import LogisticRegression

    dataset = load(svmlight_file(), None, seed=0)
    X, y, l2 = dataset.X_train.astype(float), dataset.y_train, 0.01
    fitted = LogisticRegression(C=inverse_penalty(l2, dataset), tol=1e-8, max_iter=1000).fit(X, y)
    W = np.column_stack([-fitted.coef_[0], fitted.coef_[0]]) / 2
    b = np.array([-fitted.intercept_[0], fitted.intercept_[0]]) / 2
    best = objective(W, b, X.toarray(), y, l2)
    for scale in (0.98, 1.02):
        assert objective(scale * W, b, X.toarray(), y, l2) > best
    rng = np.random.default_rng(0)
    for _ in range(5):
        assert objective(W + 0.01 * rng.normal(size=W.shape), b, X.toarray(), y, l2) > best


def test_inverse_penalty_without_penalty(text_folder: Path) -> None:
    dataset = load(None, text_folder, seed=0)
    assert inverse_penalty(0, dataset) == np.inf
    assert inverse_penalty(0.5, dataset) == pytest.approx(1 / (48 * 0.5))


def test_baselines(text_folder: Path) -> None:
    rivals = baselines(load(None, text_folder, seed=0), l2=1e-3)
    assert rivals.majority == pytest.approx(1 / 3)
    assert rivals.sklearn > 0.9
