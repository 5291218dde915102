"""Makes probabilities honest: a scale and an offset per label for each language, fitted on sources left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import log_softmax, softmax

_HOLD = 30.0
"""How many rows' worth of evidence it takes to move a language's offsets from 0."""
_USED = 0.25


def calibrate(
    scores: NDArray[np.float64], label: NDArray[np.int_], lang: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(scale of each language, offset of each language and label) so that softmax(scores * scale + offset) loses
    least on the labels.

    A quarter of the offsets is used: all of them give the fewest mistakes on the sources at hand, whose mix of labels
    they learn, and fewer of the rarer labels elsewhere.
    """
    scale, offset = np.ones(len(LANGUAGES)), np.zeros((len(LANGUAGES), len(LABELS)))
    for at in np.unique(lang):
        mine, known = scores[lang == at], label[lang == at]

        def loss(
            found: NDArray[np.float64], mine: NDArray[np.float64] = mine, known: NDArray[np.int_] = known
        ) -> float:
            chances = log_softmax(mine * np.exp(found[0]) + _USED * found[1:])
            return float(-chances[np.arange(len(known)), known].sum() + _HOLD / 2 * (found[1:] ** 2).sum())

        found = minimize(loss, np.zeros(1 + len(LABELS)), method="L-BFGS-B").x
        scale[at], offset[at] = np.exp(found[0]), _USED * (found[1:] - found[1:].mean())
    return scale.round(4), offset.round(4)


def calibrated(
    scores: NDArray[np.float64], lang: NDArray[np.int_], scale: NDArray[np.float64], offset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probabilities of scores, by the scale and offset that `calibrate` gave."""
    return softmax(scores * scale[lang, None] + offset[lang])
