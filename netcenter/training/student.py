"""The student: the linear model of words, word pairs and prefixes that the artefact holds.

It learns from labels and from the teacher's probabilities. In training, a feature's weight also depends on its word
vector. Afterwards both parts are added up to one weight for each feature, so the artefact holds no vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array, hstack

from agents.classify.features import begins_with_handle, features
from agents.classify.port import LABELS, LANGUAGES
from netcenter.training.softmax import balanced, fit
from netcenter.training.training_rows import TrainingRows
from netcenter.training.word_vectors import contexts, vectors

_MOST = 6.0
"""A rare label is weighted with at most this factor."""


@dataclass(frozen=True)
class StudentSettings:
    """Settings of training, chosen by leaving out each source in turn; docs/model-card.md compares them with others."""

    mix: float = 0.7
    """The share of the label in the target of a labelled row; the teacher's probabilities are the rest."""
    taught: float = 1.0
    """The weight of a post that only the teacher labelled; a labelled post weighs 1."""
    evenly: float = 0.5
    """How far the labels of the teacher's posts are balanced in each language: 0 not at all, 1 fully."""
    most: int = 4_000
    """The most unlabelled posts of one source; more of them teach little about other sources."""
    penalty: float = 2.0
    least: int = 3
    """A feature in fewer rows is left out: its few posts would be memorised, and it might be a person's name."""
    dimensions: int = 256
    power: float = 0.5
    vectors: float = 1.5
    """The length of word vectors; features have length 1."""
    company: int = 96
    """Dimensions of the context vector of a feature, which is the mean embedding of its posts."""
    made: int = 3_000
    """Texts that are made of each other language's words, to recognise languages in which posts are not classified."""


@dataclass(frozen=True)
class FeatureTable:
    """The features of rows as a matrix of 0 and 1 (`x`), and the columns of words that have an embedding (`words`)."""

    ids: NDArray[np.uint32]
    x: csr_array
    handle: NDArray[np.intp]
    """For each row, 1 where its text begins with a handle, else 0."""
    words: NDArray[np.int_]
    embeddings: NDArray[np.float32]
    """Embeddings of the words, in the order of `words`."""
    posts: NDArray[np.float32]
    """Embeddings of the rows' texts."""


@dataclass(frozen=True)
class Weights:
    """Two sets of weights, for posts in general and for those that begin with a handle."""

    ids: NDArray[np.uint32]
    """The ids of the features, ascending."""
    columns: NDArray[np.int_]
    """For each id, its column in the table from which the weights were learnt."""
    weights: NDArray[np.float64]
    """Shape (2, features, classes)."""
    offset: NDArray[np.float64]
    """Shape (2, languages, classes)."""

    def scores(self, table: FeatureTable, rows: NDArray[np.bool_], lang: NDArray[np.int_]) -> NDArray[np.float64]:
        """Return scores of shape (rows, classes), equal to those of the artefact."""
        x, handle = unit(table.x[rows][:, self.columns]), table.handle[rows]
        both = np.stack([x @ one for one in self.weights])
        return np.asarray(both[handle, np.arange(len(handle))] + self.offset[handle, lang[rows]])


def tabulate(
    texts: list[str], posts: NDArray[np.float32], word_ids: NDArray[np.uint32], embeddings: NDArray[np.float32]
) -> FeatureTable:
    """Return the feature table of texts. posts: embeddings of the texts. embeddings: of the words, as word_ids (ascending)."""
    found = [sorted(features(text)) for text in texts]
    flat = np.concatenate([np.array(row, np.uint32) for row in found])
    ids, columns = np.unique(np.concatenate([flat, word_ids]), return_inverse=True)
    ends = np.cumsum([0, *map(len, found)])
    x = csr_array((np.ones(len(flat)), columns[: len(flat)], ends), shape=(len(found), len(ids)))
    handle = np.array([begins_with_handle(text) for text in texts], np.intp)
    return FeatureTable(ids, x, handle, columns[len(flat) :], embeddings, posts)


def learn(
    table: FeatureTable,
    rows: TrainingRows,
    chances: NDArray[np.float64],
    seen: NDArray[np.bool_],
    settings: StudentSettings,
) -> Weights:
    """Return weights learnt from the rows `seen`: labelled rows learn from label and teacher, other rows from the
    teacher alone.
    """
    lang, places = rows.lang[seen], np.flatnonzero(seen)
    wanted, weights = _aims(rows, chances, seen, settings)
    columns, directions = _directions(table, lang, places, settings)
    x = unit(table.x[places][:, columns])
    spoken = csr_array(np.eye(len(LANGUAGES))[lang])
    begins = diags_array(table.handle[places].astype(float))
    addressed = (begins @ x).tocsr()
    again = np.flatnonzero(addressed.count_nonzero(axis=0) >= settings.least)
    x = hstack([x, spoken, addressed[:, again], begins @ spoken]).tocsr()
    still = np.zeros((x.shape[1] - len(columns), directions.shape[1]), np.float32)
    learnt, intercept = fit(x, wanted, weights, settings.penalty, directions=np.vstack([directions, still]))
    ends = np.cumsum([len(columns), len(LANGUAGES), len(again)])
    general, offset, further, further_offset = np.split(learnt, ends)
    addressed_weights = general.copy()
    addressed_weights[again] += further
    offset = offset + intercept
    return Weights(
        table.ids[columns],
        columns,
        np.stack([general, addressed_weights]),
        np.stack([offset, offset + further_offset]),
    )


def _aims(
    rows: TrainingRows, chances: NDArray[np.float64], seen: NDArray[np.bool_], settings: StudentSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (target probabilities, weights) of the rows `seen`."""
    labelled, label, lang = rows.labelled[seen], rows.label[seen], rows.lang[seen]
    wanted = chances[seen].copy()
    given = np.eye(len(LABELS))[label[labelled]]
    # The teacher does not know the emoji and insults of the seeds, which are there to tell the student.
    mix = np.where(rows.measured[seen][labelled], settings.mix, 1)[:, None]
    wanted[labelled] = mix * given + (1 - mix) * wanted[labelled]
    weights = np.where(labelled, 1.0, settings.taught) * rows.weight[seen]
    weights[labelled] *= balanced(label[labelled], lang[labelled], len(LABELS))
    wanted[~labelled] *= _evened(wanted[~labelled], lang[~labelled], settings.evenly)
    return wanted, weights


def _directions(
    table: FeatureTable, lang: NDArray[np.int_], places: NDArray[np.intp], settings: StudentSettings
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return (the columns that get a weight, their vectors), from the rows at `places` alone."""
    x = table.x[places]
    counts = x.count_nonzero(axis=0)
    told = counts[table.words] > 0
    words = table.words[told]
    known = counts >= settings.least
    known[words] = True
    columns = np.flatnonzero(known)
    x, frequency = x[:, columns], counts[columns] / x.shape[0]
    words = np.searchsorted(columns, words)
    directions = np.zeros((len(columns), settings.dimensions + settings.company), np.float32)
    alone = vectors(table.embeddings[told], frequency[words], settings.dimensions, settings.power)
    company = contexts(x, table.posts[places], lang, settings.company, settings.power)
    directions[words, : alone.shape[1]] = settings.vectors * alone
    directions[:, settings.dimensions : settings.dimensions + company.shape[1]] = settings.vectors * company
    return columns, directions


def _evened(chances: NDArray[np.float64], lang: NDArray[np.int_], evenly: float) -> NDArray[np.float64]:
    """Return weights of shape (rows, labels) that balance the labels and keep the sum of each language."""
    weights = np.ones_like(chances)
    for at in np.unique(lang):
        sums = chances[lang == at].sum(axis=0)
        found = np.minimum(sums.sum() / len(LABELS) / np.maximum(sums, 1), _MOST) ** evenly
        weights[lang == at] = found * sums.sum() / (sums @ found)
    return weights


def unit(x: csr_array) -> csr_array:
    """Return the rows scaled to length 1, as the model scales them; a row without features stays 0."""
    return diags_array(1 / np.sqrt(np.maximum(x.count_nonzero(axis=1), 1))) @ x
