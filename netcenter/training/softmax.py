"""Softmax regression that learns from probabilities instead of single labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

_STEPS = 100


def fit(
    x: Any,
    wanted: NDArray[np.float64],
    weights: NDArray[np.float64],
    penalty: float,
    start: NDArray[np.float64] | None = None,
    directions: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (weights of shape (columns, classes), intercept) for x of shape (rows, columns), dense or sparse.

    wanted: target probabilities of shape (rows, classes). weights: one for each row. penalty: factor of half the sum
    of squared weights; the intercept is not penalised. start: scores of shape (rows, classes) to which the model's
    scores are added. directions, of shape (columns, width): the weights of all columns may also change together along
    each direction, and the penalty counts such a change once.
    """
    columns, classes = x.shape[1], wanted.shape[1]
    along = np.zeros((columns, 0), np.float32) if directions is None else directions
    moved = np.asarray(x @ along, np.float32)
    across = x.T.tocsr() if hasattr(x, "tocsr") else x.T
    base = 0.0 if start is None else start
    total = wanted.sum(axis=1, keepdims=True)

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        steps = flat[:-classes].reshape(-1, classes)
        scores = np.asarray(x @ steps[:columns]) + moved @ steps[columns:].astype(np.float32) + flat[-classes:] + base
        chances = log_softmax(scores)
        slope = (np.exp(chances) * total - wanted) * weights[:, None]
        value = -(weights[:, None] * wanted * chances).sum() + penalty / 2 * (flat[:-classes] ** 2).sum()
        down = np.concatenate([across @ slope, moved.T @ slope.astype(np.float32)])
        return float(value), np.concatenate([down.ravel() + penalty * flat[:-classes], slope.sum(axis=0)])

    start_at = np.zeros((columns + along.shape[1] + 1) * classes)
    options = {"maxiter": _STEPS, "maxcor": 8}
    found = minimize(loss, start_at, jac=True, method="L-BFGS-B", options=options).x
    steps = found[:-classes].reshape(-1, classes)
    return steps[:columns] + along @ steps[columns:], found[-classes:]


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of the probabilities of scores of shape (rows, classes)."""
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of scores, both of shape (rows, classes)."""
    return np.exp(log_softmax(scores))


def balanced(
    label: NDArray[np.int_], lang: NDArray[np.int_], classes: int, evenly: float = 1.0, least: int = 60
) -> NDArray[np.float64]:
    """Return row weights that make each class count the same in its language; a class with fewer than `least` rows
    counts less. evenly: how far, 0 not at all, 1 fully.
    """
    weights = np.ones(len(label))
    for at in np.unique(lang):
        here = lang == at
        counts = np.maximum(np.bincount(label[here], minlength=classes), least)[label[here]]
        weights[here] = (here.sum() / classes / counts) ** evenly
        if evenly < 1:
            weights[here] *= here.sum() / weights[here].sum()
    return weights
