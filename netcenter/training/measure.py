"""Measures the classifier on sources it has not seen, and fits its temperature there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score, log_loss

from agents.classify.model import LABELS, LANGUAGES
from netcenter.training.learning import Corpus, families, fit_labels, fit_language

MIN_TAUGHT = 100
"""Judged rows of each label that must remain in a language for a source left out to count in the temperature:
with fewer, what is measured is a model far worse than the one that is written."""


def measure(corpus: Corpus) -> tuple[float, dict[str, Any]]:
    """Leave out each source in turn, from the weak rows too, and judge the answers on its judged rows.

    Gives the temperature that makes probabilities honest on sources never seen, and the figures.
    """
    scores = np.zeros((len(corpus.label), len(LABELS)))
    told = np.zeros(len(corpus.label), int)
    counts = np.zeros(len(corpus.label), bool)
    for family in families(sorted(set(corpus.source.tolist()))):
        out = np.isin(corpus.source, list(family))
        tested = out & corpus.judged
        if not tested.any():
            continue
        told[tested] = fit_language(corpus, ~out).scores(corpus.x[tested]).argmax(axis=1)
        for lang in np.unique(corpus.lang[tested]):
            here = tested & (corpus.lang == lang)
            scores[here] = fit_labels(corpus, ~out, lang).scores(corpus.x[here])
            taught = corpus.label[~out & corpus.judged & (corpus.lang == lang)]
            counts |= here & (np.bincount(taught, minlength=len(LABELS)).min() >= MIN_TAUGHT)
    temperature = fitted_temperature(scores[counts], corpus.label[counts])
    metrics: dict[str, Any] = {}
    for at, lang in enumerate(LANGUAGES):
        here = corpus.judged & (corpus.lang == at)
        each = f1_score(corpus.label[here], scores[here].argmax(axis=1), labels=range(len(LABELS)), average=None)
        metrics[lang] = {
            "rows": int(here.sum()),
            "macro_f1": round(float(each.mean()), 3),
            **{label: round(float(f1), 3) for label, f1 in zip(LABELS, each, strict=True)},
            "language_told": round(float((told[here] == at).mean()), 3),
        }
    chances = softmax(scores[counts] / temperature)
    metrics["calibration"] = {
        "rows": int(counts.sum()),
        "log_loss": round(float(log_loss(corpus.label[counts], chances)), 3),
        "error": round(calibration_error(chances, corpus.label[counts]), 3),
    }
    return temperature, metrics


def table(metrics: dict[str, Any]) -> str:
    """The figures of each language as lines of text; those of a label are its F1."""
    lines = ["sources left out" + "".join(f"{name:>14}" for name in metrics[LANGUAGES[0]])]
    for lang in LANGUAGES:
        lines.append(f"{lang:16}" + "".join(f"{figure:14}" for figure in metrics[lang].values()))
    return "\n".join(lines)


def fitted_temperature(scores: NDArray[np.float64], labels: NDArray[np.int_]) -> float:
    """What to divide scores by so that their softmax loses least on the labels."""

    def loss(temperature: float) -> float:
        return float(log_loss(labels, softmax(scores / temperature)))

    return round(float(minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x), 3)


def calibration_error(chances: NDArray[np.float64], labels: NDArray[np.int_]) -> float:
    """The mean distance between confidence and share of right answers, over ten bins of confidence."""
    confidence, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    bins = np.minimum((confidence * 10).astype(int), 9)
    return float(sum(abs((confidence - right)[bins == at].sum()) for at in range(10)) / len(right))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of shape (rows, classes)."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
