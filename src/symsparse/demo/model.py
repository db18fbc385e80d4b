"""The model, written with symsparse: this file is what the demo is about."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from numpy.typing import NDArray

import symsparse

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Model:
    """Multinomial logistic regression with its two compiled functions.

    Attributes
    ----------
    step
        ``step(rows, rate) -> loss``: one Adam step on those rows of the training matrix; returns their mean loss.
    predict
        ``predict(X) -> classes`` for any sparse matrix with the same columns.
    W, b
        Shared variables: one column of weights and one intercept per class.
    state
        Every shared variable that a step changes.
    compile_seconds
        Time from symbols to machine code, for both functions.
    """

    step: Any
    predict: Any
    W: Any
    b: Any
    state: list[Any]
    compile_seconds: float


def compile_model(X_train: sp.csr_array, y_train: NDArray[np.int64], n_classes: int, l2: float) -> Model:
    """Write down the loss, differentiate it, and compile one training step and the prediction.

    The objective is that of scikit-learn's `LogisticRegression` divided by the number of documents: mean cross-entropy
    plus ``l2 / 2 * ||W||^2``, the intercept free of penalty.
    """
    start = time.perf_counter()
    dtype = X_train.dtype
    n_features = X_train.shape[1]

    X = symsparse.shared(X_train, name="X", frozen=True)
    y = pytensor.shared(y_train, name="y")
    W = zeros("W", dtype, n_features, n_classes)
    b = zeros("b", dtype, n_classes)

    rows = pt.vector("rows", dtype="int64")
    rate = pt.scalar("rate", dtype=dtype)
    log_p = pt.special.log_softmax(X[rows] @ W + b, axis=1)
    loss = -log_p[pt.arange(rows.shape[0]), y[rows]].mean()
    objective = loss + dtype.type(l2 / 2) * (W**2).sum()

    updates = adam(objective, [W, b], rate)
    step = pytensor.function([rows, rate], loss, updates=updates)

    documents = symsparse.csr_matrix("documents", dtype=dtype.name)
    predict = pytensor.function([documents], pt.argmax(documents @ W + b, axis=1))

    state = [variable for variable, _ in updates]
    step(np.arange(1), dtype.type(0))  # the first call finishes the compilation
    predict(X_train[:1])
    reset(state)
    return Model(step, predict, W, b, state, time.perf_counter() - start)


def zeros(name: str, dtype: Any, *shape: int) -> Any:
    """Return a shared variable full of zeros whose shape is known to the compiler."""
    return pytensor.shared(np.zeros(shape, dtype), name=name, shape=shape)


def reset(state: list[Any]) -> None:
    """Set every shared variable of `state` to zero: the untrained model."""
    for variable in state:
        variable.set_value(np.zeros_like(variable.get_value(borrow=True)))


def adam(objective: Any, parameters: list[Any], rate: Any) -> list[tuple[Any, Any]]:
    """Return the updates of one Adam step; `rate` is the step size with the bias correction in it."""
    updates = []
    for parameter, gradient in zip(parameters, pytensor.grad(objective, parameters), strict=True):
        keep1, take1, keep2, take2, epsilon = np.array(
            [BETA1, 1 - BETA1, BETA2, 1 - BETA2, EPSILON], parameter.dtype
        )
        mean = zeros(f"mean of d{parameter.name}", parameter.dtype, *parameter.type.shape)
        square = zeros(f"mean of d{parameter.name}^2", parameter.dtype, *parameter.type.shape)
        new_mean = keep1 * mean + take1 * gradient
        new_square = keep2 * square + take2 * gradient**2
        updates += [
            (mean, new_mean),
            (square, new_square),
            (parameter, parameter - rate * new_mean / (pt.sqrt(new_square) + epsilon)),
        ]
    return updates


def step_sizes(rate: float, n_steps: int) -> NDArray[np.float64]:
    """Step sizes that fall linearly to zero, times Adam's correction for moments that start at zero."""
    t = np.arange(1, n_steps + 1)
    return rate * (1 - (t - 1) / n_steps) * np.sqrt(1 - BETA2**t) / (1 - BETA1**t)
