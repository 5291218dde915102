"""The student: weights of words, pairs and prefixes, taught by labels and by the teacher; what the artefact holds.

A text's word vectors are summed like its features, so a weight of the vectors' directions is a weight of each word:
after training both are folded into one weight a feature, and nothing of the vectors is left to load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, hstack

from agents.classify.features import features
from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import balanced, fit
from netcenter.training.training_rows import TrainingRows
from netcenter.training.word_vectors import contexts, vectors

_MOST = 6.0
"""Times that a rare label is counted."""


@dataclass(frozen=True)
class StudentSettings:
    """What was chosen by leaving out each source in turn; docs/model-card.md has the figures of the others."""

    mix: float = 0.5
    """How much of a labelled row's aim is its label; the rest is the teacher's."""
    taught: float = 1.0
    """The weight of a post that only the teacher labelled, beside 1 of a labelled one."""
    evenly: float = 0.5
    """How far posts that only the teacher labelled are weighted until each label counts the same in its language."""
    most: int = 4_000
    """Posts of a source that only the teacher labels: more of one tell little of the others."""
    penalty: float = 1.0
    least: int = 3
    """Rows with a feature; one in fewer is learnt by heart, and might name a person."""
    dimensions: int = 256
    power: float = 0.5
    vectors: float = 1.5
    """The length of word vectors beside the 1 of features."""
    company: int = 96
    """Dimensions of what tells a feature by the posts it stands in; as long as word vectors."""


@dataclass(frozen=True)
class FeatureTable:
    """The features of rows as a matrix of 0 and 1, and the columns that are words with a vector."""

    ids: NDArray[np.uint32]
    x: csr_array
    words: NDArray[np.int_]
    embeddings: NDArray[np.float32]
    """Of the words, in their order."""
    posts: NDArray[np.float32]
    """Embeddings of the rows."""


@dataclass(frozen=True)
class Weights:
    """One weight per feature and class, for ids in ascending order, and an offset per language."""

    ids: NDArray[np.uint32]
    columns: NDArray[np.int_]
    """Where the ids stand in the table that was learnt from."""
    weights: NDArray[np.float64]
    offset: NDArray[np.float64]

    def scores(self, table: FeatureTable, rows: NDArray[np.bool_], lang: NDArray[np.int_]) -> NDArray[np.float64]:
        """Scores of shape (rows, classes), as the artefact will give them."""
        return np.asarray(unit(table.x[rows][:, self.columns]) @ self.weights + self.offset[lang[rows]])


def tabulate(
    texts: list[str], posts: NDArray[np.float32], word_ids: NDArray[np.uint32], embeddings: NDArray[np.float32]
) -> FeatureTable:
    """The features of texts, whose embeddings are posts; word_ids ascend, and embeddings follow them."""
    found = [sorted(features(text)) for text in texts]
    flat = np.concatenate([np.array(row, np.uint32) for row in found])
    ids, columns = np.unique(np.concatenate([flat, word_ids]), return_inverse=True)
    ends = np.cumsum([0, *map(len, found)])
    x = csr_array((np.ones(len(flat)), columns[: len(flat)], ends), shape=(len(found), len(ids)))
    return FeatureTable(ids, x, columns[len(flat) :], embeddings, posts)


def learn(
    table: FeatureTable,
    rows: TrainingRows,
    chances: NDArray[np.float64],
    seen: NDArray[np.bool_],
    settings: StudentSettings,
) -> Weights:
    """Weights learnt from the rows `seen`: labelled ones from their labels and the teacher, others from it alone."""
    labelled, label, lang = rows.labelled[seen], rows.label[seen], rows.lang[seen]
    wanted = chances[seen].copy()
    given = np.eye(len(LABELS))[label[labelled]]
    wanted[labelled] = settings.mix * given + (1 - settings.mix) * wanted[labelled]
    weights = np.where(labelled, 1.0, settings.taught) * rows.weight[seen]
    weights[labelled] *= balanced(label[labelled], lang[labelled], len(LABELS))
    wanted[~labelled] *= _evened(wanted[~labelled], lang[~labelled], settings.evenly)
    x = table.x[np.flatnonzero(seen)]
    counts = x.count_nonzero(axis=0)
    told = counts[table.words] > 0
    words = table.words[told]
    known = counts >= settings.least
    known[words] = True
    columns = np.flatnonzero(known)
    x, frequency = x[:, columns], counts[columns] / x.shape[0]
    words = np.searchsorted(columns, words)
    directions = np.zeros((len(columns) + len(LANGUAGES), settings.dimensions + settings.company), np.float32)
    alone = vectors(table.embeddings[told], frequency[words], settings.dimensions, settings.power)
    company = contexts(x, table.posts[seen], lang, settings.company, settings.power)
    directions[words, : alone.shape[1]] = settings.vectors * alone
    directions[: len(columns), settings.dimensions : settings.dimensions + company.shape[1]] = (
        settings.vectors * company
    )
    spoken = csr_array(np.eye(len(LANGUAGES))[lang])
    learnt, intercept = fit(hstack([unit(x), spoken]).tocsr(), wanted, weights, settings.penalty, directions=directions)
    count = len(columns)
    return Weights(table.ids[columns], columns, learnt[:count], learnt[count:] + intercept)


def _evened(chances: NDArray[np.float64], lang: NDArray[np.int_], evenly: float) -> NDArray[np.float64]:
    """Weights of the labels of each row, (rows, labels), that leave each language its sum."""
    weights = np.ones_like(chances)
    for at in np.unique(lang):
        sums = chances[lang == at].sum(axis=0)
        found = np.minimum(sums.sum() / len(LABELS) / np.maximum(sums, 1), _MOST) ** evenly
        weights[lang == at] = found * sums.sum() / (sums @ found)
    return weights


def unit(x: csr_array) -> csr_array:
    """Rows scaled to length 1, as the model does; a row without features stays 0."""
    return diags_array(1 / np.sqrt(np.maximum(x.count_nonzero(axis=1), 1))) @ x
