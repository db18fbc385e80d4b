"""The hand-written step and scikit-learn's side of the comparison."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from symsparse.demo.data import load
from symsparse.demo.reference import ScipyStep, baselines, inverse_penalty


def objective(W: np.ndarray, b: np.ndarray, X: np.ndarray, y: np.ndarray, l2: float) -> float:
    logits = X @ W + b
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(y)), y].mean() + l2 / 2 * (W**2).sum()


def test_first_adam_step_moves_against_the_sign_of_the_numerical_gradient() -> None:
    rng = np.random.default_rng(0)
    X = sp.random_array((20, 7), density=0.5, format="csr", rng=rng)
    y = rng.integers(0, 3, 20)
    W0, b0 = rng.normal(size=(7, 3)), rng.normal(size=3)
    step = ScipyStep(X, y, 3, l2=0.1)
    step.W[:], step.b[:] = W0, b0
    rows = np.array([3, 8, 8, 1, 19])
    loss = step(rows, 1.0)
    dense = X.toarray()[rows]
    assert loss == pytest.approx(objective(W0, b0, dense, y[rows], 0.0))
    for parameter, mean in ((W0, step.moments[0][0]), (b0, step.moments[1][0])):
        numeric = np.empty_like(parameter)
        for i in np.ndindex(parameter.shape):
            ends = []
            for change in (1e-6, -1e-6):
                kept, parameter[i] = parameter[i], parameter[i] + change
                ends.append(objective(W0, b0, dense, y[rows], 0.1))
                parameter[i] = kept
            numeric[i] = (ends[0] - ends[1]) / 2e-6
        assert mean / 0.1 == pytest.approx(numeric, abs=1e-7)


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
