"""Calibrates probabilities: fits a scale and an offset per label for each language, on sources that were left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import log_softmax, softmax

_HOLD = 30.0
"""How strongly a language's offsets are pulled to 0: as much as by this number of rows."""
_USED = 0.25
"""The used share of the fitted offsets."""


def calibrate(
    scores: NDArray[np.float64], label: NDArray[np.int_], lang: NDArray[np.int_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (a scale for each language, an offset for each language and label).

    They minimise the log loss of softmax(scores * scale + offset) on the labels. Only a quarter of each offset is used.
    The whole offset gives the fewest mistakes on these sources, because it fits their mix of labels, but in other
    sources it would find fewer of the rarer labels.
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
    """Return the probabilities of scores, with the scale and offset that `calibrate` returned."""
    return softmax(scores * scale[lang, None] + offset[lang])
