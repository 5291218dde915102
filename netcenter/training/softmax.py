"""Softmax regression on soft labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize


def fit(
    x: Any,
    wanted: NDArray[np.float64],
    weights: NDArray[np.float64],
    penalty: float,
    start: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weights of shape (columns, classes), intercept) for x of shape (rows, columns), dense or sparse.

    wanted: probabilities of shape (rows, classes). weights: of the rows. penalty: of the squared weights, half of
    it; the intercept goes free. start: scores of shape (rows, classes) that the answer is added to.
    """
    columns, classes = x.shape[1], wanted.shape[1]
    across = x.T.tocsr() if hasattr(x, "tocsr") else x.T
    base = 0.0 if start is None else start

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        w, b = flat[:-classes].reshape(columns, classes), flat[-classes:]
        chances = log_softmax(np.asarray(x @ w) + b + base)
        slope = (np.exp(chances) * wanted.sum(axis=1, keepdims=True) - wanted) * weights[:, None]
        value = -(weights[:, None] * wanted * chances).sum() + penalty / 2 * (w * w).sum()
        return float(value), np.concatenate([(across @ slope + penalty * w).ravel(), slope.sum(axis=0)])

    found = minimize(
        loss, np.zeros((columns + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": 150, "maxcor": 8}
    ).x
    return found[:-classes].reshape(columns, classes), found[-classes:]


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
