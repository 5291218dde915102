"""The teacher: softmax regression on sentence embeddings, from which the differences between languages are removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import balanced, fit, softmax


@dataclass(frozen=True)
class TeacherSettings:
    """Settings of the teacher, chosen by leaving out sources; docs/model-card.md compares them with others."""

    evenly: float = 0.5
    """How far the labels are balanced in each language: 0 not at all, 1 fully. Fully, rare labels were found too often."""
    penalty: float = 40.0


USUAL = TeacherSettings()


_SCALE = 10.0
"""The differences between posts are about a tenth of an embedding's length. This factor makes them about 1."""


def teach(
    embeddings: NDArray[np.float32],
    lang: NDArray[np.int_],
    label: NDArray[np.int_],
    learnt: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    settings: TeacherSettings = USUAL,
) -> NDArray[np.float64]:
    """Return probabilities of shape (rows, labels) for every row, learnt from the labels of the rows `learnt`.

    seen: the rows whose texts may be used, which excludes a source that is left out. The directions in which the means
    of the languages differ are removed, so that a label learnt in one language is recognised in the others.
    """
    mean = embeddings[seen].mean(axis=0)
    apart = np.array([embeddings[seen & (lang == at)].mean(axis=0) for at in np.unique(lang[seen])]) - mean
    span = np.linalg.svd(apart - apart.mean(axis=0), full_matrices=False)[2][: len(LANGUAGES) - 1]
    x = (embeddings - mean).astype(np.float64) * _SCALE
    x -= (x @ span.T) @ span
    known = label[learnt]
    even = balanced(known, lang[learnt], len(LABELS), settings.evenly)
    weights, intercept = fit(x[learnt], np.eye(len(LABELS))[known], even, settings.penalty)
    return softmax(x @ weights + intercept)
