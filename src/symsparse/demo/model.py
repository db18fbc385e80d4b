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

MOMENTUM = 0.9


@dataclass(frozen=True)
class Model:
    """Multinomial logistic regression with its two compiled functions.

    Attributes
    ----------
    step
        ``step(first, last, rate) -> loss``: one step on the rows ``first:last`` of the training matrix; returns
        their mean loss before it.
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

    first, last = (pt.scalar(name, dtype="int64") for name in ("first", "last"))
    rate = pt.scalar("rate", dtype=dtype)
    documents, labels = X[first:last], y[first:last]  # views, not copies
    log_p = pt.special.log_softmax(documents @ W + b, axis=1)
    loss = -log_p[pt.arange(labels.shape[0]), labels].mean()
    objective = loss + dtype.type(l2 / 2) * (W**2).sum()

    updates = momentum(objective, [W, b], rate)
    step = pytensor.function([first, last, rate], loss, updates=updates)

    unseen = symsparse.csr_matrix("unseen", dtype=dtype.name)
    predict = pytensor.function([unseen], pt.argmax(unseen @ W + b, axis=1))

    state = [variable for variable, _ in updates]
    step(0, 1, dtype.type(0))  # the first call finishes the compilation
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


def momentum(objective: Any, parameters: list[Any], rate: Any) -> list[tuple[Any, Any]]:
    """Return the updates of one step of gradient descent with momentum.

    For W the new velocity, ``MOMENTUM * velocity + l2 * W + documents.T @ g``, is one ``usmm``, which adds to the old
    velocity in place.
    """
    updates = []
    for parameter, gradient in zip(parameters, pytensor.grad(objective, parameters), strict=True):
        velocity = zeros(f"velocity of {parameter.name}", parameter.dtype, *parameter.type.shape)
        new_velocity = np.array(MOMENTUM, parameter.dtype) * velocity + gradient
        updates += [(velocity, new_velocity), (parameter, parameter - rate * new_velocity)]
    return updates


def step_sizes(rate: float, n_steps: int) -> NDArray[np.float64]:
    """Step sizes that fall linearly from `rate` to zero."""
    return rate * (1 - np.arange(n_steps) / n_steps)
