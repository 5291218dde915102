"""Learns weights for one brand from its corrections; the answers for other brands stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from agents.classify.features import features
from agents.classify.linear import Linear
from agents.classify.model import Model, opened
from agents.classify.port import ANSWER_LANGUAGES, LABELS
from netcenter.errors import CommandError
from netcenter.training import packing
from netcenter.training.figures import confusion, macro_f1
from netcenter.training.softmax import fit
from netcenter.training.student import unit
from netcenter.training.training_rows import TrainingRows

LEAST = 40
"""A brand with fewer corrections gets no weights, because weights from so few corrections would change too many
answers.
"""
ONE_LABEL = 0.9
"""If one label has a larger share of a batch, the batch is refused, because it may be a mistake or an attack."""
WORSE = 0.005
"""The most macro-F1 that the reference set may lose."""
_PENALTY = 1.0
_IN_ROWS = 2
_FEW = 5
"""The weight of a label is computed as if the label had at least this many corrections."""
_FOLDS = 5


class CorrectionsRefused(CommandError):
    """No artefact was written from the corrections; the message says why and what to check."""


@dataclass(frozen=True)
class Adapted:
    """A brand's accuracy on its corrections before and after; each correction is tested with weights that were not
    learnt from it. A correction counts with the square root of its label's rarity. Macro-F1 would depend too much on a
    few posts of the rarest label.
    """

    corrections: int
    before: float
    after: float


def adapt(base: Path, rows: TrainingRows, reference: TrainingRows, out: Path) -> tuple[Path, dict[str, Adapted]]:
    """Write the base artefact with weights for each brand that has LEAST corrections; return (its path, gains by brand).

    A brand's earlier weights are replaced. Raises CorrectionsRefused for a batch of one label, where no brand gains on
    corrections that its weights were not learnt from, or where the reference set loses more than WORSE of macro-F1.
    """
    model = Model.load(base)
    _, arrays, meta = opened(base)
    parts = {name: _part_of(arrays, at) for at, name in enumerate(meta["brands"])}
    gains: dict[str, Adapted] = {}
    for brand in sorted(set(rows.brand)):
        mine = rows.take(np.array([name == brand for name in rows.brand]))
        if not brand or len(mine) < LEAST:
            continue
        _sound(brand, mine)
        plain = model.logits(mine.text, _tags(mine), [""] * len(mine))
        gain = _gain(mine, plain)
        if gain.after > gain.before:
            parts[brand] = _learnt(mine, plain)
            gains[brand] = gain
    if not gains:
        raise CorrectionsRefused(
            f"nothing to publish: no brand has {LEAST} corrections that make it better on those it had not seen; "
            "collect more, or look whether they contradict each other"
        )
    kept = {name: value for name, value in arrays.items() if name != "meta" and not name.startswith("brand")}
    names = sorted(parts)
    for at, name in enumerate(names):
        kept |= {f"brand{at}_{member}": value for member, value in parts[name].items()}
    told = {name: [gain.corrections, gain.before, gain.after] for name, gain in gains.items()}
    meta |= {"brands": names, "base": model.hash, "corrections": meta.get("corrections", {}) | told}
    path = packing.write(kept, meta, out)
    try:
        _no_worse(model, Model.load(path), reference)
    except CorrectionsRefused:
        path.unlink()
        raise
    return path, gains


def _sound(brand: str, rows: TrainingRows) -> None:
    counts = np.bincount(rows.label, minlength=len(LABELS))
    if counts.max() > ONE_LABEL * len(rows):
        raise CorrectionsRefused(
            f"refused: {counts.max()} of the {len(rows)} corrections of {brand} say {LABELS[counts.argmax()]}; "
            "that is no sample of its posts: look who sent them, and leave them out"
        )


def _gain(rows: TrainingRows, plain: NDArray[np.float64]) -> Adapted:
    after = plain.copy()
    fold = np.arange(len(rows)) % _FOLDS
    for at in range(_FOLDS):
        part = _learnt(rows.take(fold != at), plain[fold != at])
        after[fold == at] += _scores(part, [rows.text[i] for i in np.flatnonzero(fold == at)])
    worth = _evened(rows)
    before, right = (float(worth[one.argmax(axis=1) == rows.label].sum() / worth.sum()) for one in (plain, after))
    return Adapted(len(rows), round(before, 3), round(right, 3))


def _evened(rows: TrainingRows) -> NDArray[np.float64]:
    """Return a weight for each row, higher for rare labels."""
    counts = np.bincount(rows.label, minlength=len(LABELS))
    return np.asarray(np.sqrt(len(rows) / len(LABELS) / np.maximum(counts, _FEW))[rows.label])


def _learnt(rows: TrainingRows, plain: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return the linear part that is added to the plain scores; a label that is rare among the corrections weighs more."""
    ids, x = _matrix(rows.text)
    columns = np.flatnonzero(x.count_nonzero(axis=0) >= _IN_ROWS)
    if not len(columns):
        columns = np.arange(1)
    weights, intercept = fit(unit(x[:, columns]), np.eye(len(LABELS))[rows.label], _evened(rows), _PENALTY, start=plain)
    part = packing.part("", ids[columns], weights, intercept)
    return {name.removeprefix("_"): value for name, value in part.items()}


def _matrix(texts: Sequence[str]) -> tuple[NDArray[np.uint32], csr_array]:
    found = [sorted(features(text)) or [0] for text in texts]
    flat = np.concatenate([np.array(row, np.uint32) for row in found])
    ids, columns = np.unique(flat, return_inverse=True)
    ends = np.cumsum([0, *map(len, found)])
    return ids, csr_array((np.ones(len(flat)), columns, ends), shape=(len(found), len(ids)))


def _scores(part: dict[str, NDArray[Any]], texts: Sequence[str]) -> NDArray[np.float64]:
    linear = Linear({f"brand_{name}": value for name, value in part.items()}, "brand", len(LABELS))
    return linear.scores([features(text) for text in texts])


def _part_of(arrays: dict[str, NDArray[Any]], at: int) -> dict[str, NDArray[Any]]:
    prefix = f"brand{at}_"
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _no_worse(old: Model, new: Model, reference: TrainingRows) -> None:
    before, after = (_macro_f1(model, reference) for model in (old, new))
    if after < before - WORSE:
        raise CorrectionsRefused(
            f"refused: macro-F1 on the reference set falls from {before:.3f} to {after:.3f}; "
            "look at the corrections of the brands that the reference set names"
        )


def _macro_f1(model: Model, rows: TrainingRows) -> float:
    chosen = model.logits(rows.text, _tags(rows), rows.brand).argmax(axis=1)
    return macro_f1(confusion(rows.label, chosen))


def _tags(rows: TrainingRows) -> list[str]:
    return [ANSWER_LANGUAGES[at] for at in rows.lang.tolist()]
