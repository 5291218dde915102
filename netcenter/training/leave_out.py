"""Leave-one-source-out answers: each source is answered by a model that was trained without that source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.calibrate import calibrate, calibrated
from netcenter.training.student import FeatureTable, StudentSettings, learn
from netcenter.training.teacher import USUAL, TeacherSettings, teach
from netcenter.training.training_rows import TrainingRows


@dataclass(frozen=True)
class Answers:
    """Scores of shape (rows, labels) for each labelled row, by models that were trained without its source."""

    student: NDArray[np.float64]
    teacher: NDArray[np.float64]


SMALL = 200
"""Sources with fewer labelled posts are left out together with others: that takes less time, and is the harder test."""
_GROUPS = 5


def families(sources: Sequence[str]) -> Iterator[set[str]]:
    """Yield the sources to leave out together, of the source of each labelled post.

    A corpus is left out with its translation (mt_), and the halves of another together (umsab). Sources with fewer than
    SMALL posts are left out in five groups, the largest shared out first.
    """
    stems = {source: re.sub(r"^mt_|_(neutral|polar)$", "", source) for source in sources}
    counts = Counter(map(stems.get, sources))
    small = [stem for stem, count in sorted(counts.items(), key=lambda pair: (-pair[1], str(pair[0]))) if count < SMALL]
    groups = {stem: f"group {at % _GROUPS}" for at, stem in enumerate(small)} if len(small) > _GROUPS else {}
    own = {source: groups.get(stem, stem) for source, stem in stems.items()}
    for name in sorted(set(own.values())):
        yield {source for source, group in own.items() if group == name}


def answers(
    rows: TrainingRows,
    table: FeatureTable,
    settings: StudentSettings,
    say: Callable[[str], None] = lambda family: None,
    teacher: TeacherSettings = USUAL,
    among: NDArray[np.bool_] | None = None,
) -> Answers:
    """Leave out each source in turn, also from the unlabelled rows, and return the scores of its labelled rows.

    among: the rows that may be learnt from; None for all.
    """
    students = np.zeros((len(rows), len(LABELS)))
    teachers = np.zeros((len(rows), len(LABELS)))
    for family in families(rows.source[rows.measured].tolist()):
        out = np.isin(rows.source, list(family))
        tested, seen = out & rows.labelled, ~out if among is None else ~out & among
        chances = teach(table.posts, rows.lang, rows.label, rows.measured & seen, seen, teacher)
        teachers[tested] = np.log(chances[tested])
        students[tested] = learn(table, rows, chances, seen, settings).scores(table, tested, rows.lang)
        say(", ".join(sorted(family)))
    return Answers(students, teachers)


def calibrated_on_others(rows: TrainingRows, scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probabilities of labelled rows; the probabilities of a source are calibrated on the other sources."""
    chances = np.zeros_like(scores)
    for family in families(rows.source.tolist()):
        out = np.isin(rows.source, list(family))
        fitted = calibrate(scores[~out], rows.label[~out], rows.lang[~out])
        chances[out] = calibrated(scores[out], rows.lang[out], *fitted)
    return chances


def baseline(rows: TrainingRows) -> NDArray[np.float64]:
    """Return leave-one-source-out scores of a baseline: TF-IDF of words and pairs with a logistic regression per language."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    scores = np.full((len(rows), len(LABELS)), -20.0)
    for family in families(rows.source[rows.measured].tolist()):
        out = np.isin(rows.source, list(family))
        for lang in range(len(LANGUAGES)):
            tested = np.flatnonzero(out & rows.labelled & (rows.lang == lang))
            learnt = np.flatnonzero(~out & rows.labelled & (rows.lang == lang))
            if not len(tested):
                continue
            words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode")
            x = words.fit_transform([rows.text[at] for at in learnt])
            learner = LogisticRegression(C=4, max_iter=300, class_weight="balanced").fit(x, rows.label[learnt])
            chances = learner.predict_proba(words.transform([rows.text[at] for at in tested]))
            scores[np.ix_(tested, learner.classes_)] = np.log(np.maximum(chances, 1e-9))
    return scores
