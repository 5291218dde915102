"""The teacher: softmax regression on sentence embeddings, without what only tells the language."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import balanced, fit, softmax

PENALTY = 20.0
_SCALE = 10.0
"""Embeddings of posts differ by a tenth of their length."""


def teach(
    embeddings: NDArray[np.float32],
    lang: NDArray[np.int_],
    label: NDArray[np.int_],
    learnt: NDArray[np.bool_],
    seen: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Probabilities of shape (rows, labels) for every row, learnt from the labels of the rows `learnt`.

    seen: the rows whose texts may be looked at (those of a source left out may not). The directions in which the
    mean of a language lies apart are taken out, so that what was learnt in one language serves the others.
    """
    mean = embeddings[seen].mean(axis=0)
    apart = np.array([embeddings[seen & (lang == at)].mean(axis=0) for at in np.unique(lang[seen])]) - mean
    span = np.linalg.svd(apart - apart.mean(axis=0), full_matrices=False)[2][: len(LANGUAGES) - 1]
    x = (embeddings - mean).astype(np.float64) * _SCALE
    x -= (x @ span.T) @ span
    known = label[learnt]
    weights, intercept = fit(x[learnt], np.eye(len(LABELS))[known], balanced(known, lang[learnt], len(LABELS)), PENALTY)
    return softmax(x @ weights + intercept)
