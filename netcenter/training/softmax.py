"""Softmax regression on soft labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

_NONE, _FLAT = np.zeros(0, np.intp), np.zeros((0, 0))


def fit(
    x: Any,
    wanted: NDArray[np.float64],
    weights: NDArray[np.float64],
    penalty: float,
    start: NDArray[np.float64] | None = None,
    moved: NDArray[np.int_] = _NONE,
    directions: NDArray[np.float64] = _FLAT,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weights of shape (columns, classes), intercept) for x of shape (rows, columns), dense or sparse.

    wanted: probabilities of shape (rows, classes). weights: of the rows. penalty: of the squared weights, half of
    it; the intercept goes free. start: scores of shape (rows, classes) that the answer is added to. directions, of
    shape (moved, width): the weights of the columns `moved` may also move along these together, at the price of
    a step in each direction.
    """
    columns, classes = x.shape[1], wanted.shape[1]
    across = x.T.tocsr() if hasattr(x, "tocsr") else x.T
    base = 0.0 if start is None else start
    total = wanted.sum(axis=1, keepdims=True)

    def folded(flat: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        steps = flat[:-classes].reshape(-1, classes)
        weights = steps[:columns].copy()
        weights[moved] += directions @ steps[columns:]
        return weights, flat[-classes:]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, b = folded(flat)
        chances = log_softmax(np.asarray(x @ w) + b + base)
        slope = (np.exp(chances) * total - wanted) * weights[:, None]
        value = -(weights[:, None] * wanted * chances).sum() + penalty / 2 * (flat[:-classes] ** 2).sum()
        down = across @ slope
        steps = np.concatenate([down, directions.T @ down[moved]]).ravel() + penalty * flat[:-classes]
        return float(value), np.concatenate([steps, slope.sum(axis=0)])

    start_at = np.zeros((columns + directions.shape[1] + 1) * classes)
    found = minimize(loss, start_at, jac=True, method="L-BFGS-B", options={"maxiter": 150, "maxcor": 8})
    return folded(found.x)


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the probabilities of scores of shape (rows, classes)."""
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of shape (rows, classes)."""
    return np.exp(log_softmax(scores))


def balanced(label: NDArray[np.int_], lang: NDArray[np.int_], classes: int, least: int = 60) -> NDArray[np.float64]:
    """Weights by which each class counts the same within its language; one of fewer than `least` rows counts less."""
    weights = np.ones(len(label))
    for at in np.unique(lang):
        here = lang == at
        counts = np.bincount(label[here], minlength=classes)
        weights[here] = here.sum() / classes / np.maximum(counts, least)[label[here]]
    return weights
