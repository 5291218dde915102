"""Learns linear softmax weights over hashed features, and measures them on sources they have not seen."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from sklearn.linear_model import LogisticRegression

from agents.classify.features import features
from agents.classify.model import LABELS, LANGUAGES

WEAK_WEIGHT = 0.2
"""What a row with a pattern's label counts for, beside one that was read and labelled by the guide."""
LEFT_OUT = frozenset({"umsab_polar"})
"""Sources whose weak labels hurt; their rows that were read again are used."""
MIN_ROWS = 5
"""A feature in fewer rows is left out: it would be learnt by heart, and might name a person."""
INVERSE_PENALTY = 3.0

# The corpora stand in these words for the links they took out.
_PLACEHOLDER = re.compile(r"\b(URL|http)\b(?!:)")


@dataclass(frozen=True)
class Corpus:
    """Rows as arrays of equal length; lang and label are positions in LANGUAGES and LABELS."""

    ids: NDArray[np.uint32]  # the feature of each column of x, ascending
    x: csr_array  # rows by features, 1 where the row has the feature
    lang: NDArray[np.int_]
    label: NDArray[np.int_]
    source: NDArray[np.str_]
    judged: NDArray[np.bool_]  # read and labelled by the guide


@dataclass(frozen=True)
class Linear:
    """Learnt weights of shape (columns, classes) for some columns of a corpus."""

    columns: NDArray[np.int_]
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def scores(self, x: csr_array) -> NDArray[np.float64]:
        """Scores of shape (rows, classes)."""
        return np.asarray(_unit(x[:, self.columns]) @ self.weights + self.intercept)


def read(directory: Path) -> Corpus:
    """The rows of labelled.parquet, and those of training.parquet that it does not label better."""
    fields = ["text", "lang", "label", "source"]
    rows = pq.read_table(directory / "labelled.parquet", columns=fields).to_pylist()
    judged = len(rows)
    seen = {row["text"] for row in rows}
    for row in pq.read_table(directory / "training.parquet", columns=fields).to_pylist():
        if row["source"] not in LEFT_OUT and row["text"] not in seen:
            seen.add(row["text"])
            rows.append(row)
    found = [sorted(features(_PLACEHOLDER.sub("https://link", row["text"]))) for row in rows]
    ids, columns = np.unique(np.concatenate(found).astype(np.uint32), return_inverse=True)
    ends = np.cumsum([0, *map(len, found)])
    return Corpus(
        ids=ids,
        x=csr_array((np.ones(len(columns)), columns, ends), shape=(len(rows), len(ids))),
        lang=np.array([LANGUAGES.index(row["lang"]) for row in rows]),
        label=np.array([LABELS.index(row["label"]) for row in rows]),
        source=np.array([row["source"] for row in rows]),
        judged=np.arange(len(rows)) < judged,
    )


def fit(x: csr_array, classes: NDArray[np.int_], count: int, weights: NDArray[np.float64]) -> Linear:
    """Weights for the features that are frequent enough in x; each class counts the same in sum.

    ValueError if one of the count classes has no row.
    """
    columns = np.flatnonzero(x.count_nonzero(axis=0) >= MIN_ROWS)
    totals = np.bincount(classes, weights, minlength=count)
    if not totals.all():
        raise ValueError(f"no rows to learn class {totals.argmin()} of {count} from; add a source that has some")
    balanced = weights * (totals.sum() / count / totals)[classes]
    learner = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
    learner.fit(_unit(x[:, columns]), classes, sample_weight=balanced)
    return Linear(columns, learner.coef_.T, learner.intercept_)


def fit_labels(corpus: Corpus, rows: NDArray[np.bool_], lang: int) -> Linear:
    """The labels' weights for one language, learnt from its rows among those given."""
    rows = rows & (corpus.lang == lang)
    weights = np.where(corpus.judged[rows], 1.0, WEAK_WEIGHT)
    return fit(corpus.x[rows], corpus.label[rows], len(LABELS), weights)


def fit_language(corpus: Corpus, rows: NDArray[np.bool_]) -> Linear:
    """The languages' weights, learnt from the rows given."""
    return fit(corpus.x[rows], corpus.lang[rows], len(LANGUAGES), np.ones(np.count_nonzero(rows)))


def families(sources: Sequence[str]) -> Iterator[set[str]]:
    """Sources to leave out together: a corpus and its translation (mt_), or its two halves (umsab)."""
    stems = {source: re.sub(r"^mt_|_(neutral|polar)$", "", source) for source in sources}
    for stem in sorted(set(stems.values())):
        yield {source for source in sources if stems[source] == stem}


def _unit(x: csr_array) -> csr_array:
    """Rows scaled to length 1, as the model does; a row without features stays 0."""
    return diags_array(1 / np.sqrt(np.maximum(x.count_nonzero(axis=1), 1))) @ x
