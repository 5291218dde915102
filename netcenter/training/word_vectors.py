"""Vectors of words, from the embedding of each word alone and from the embeddings of the posts that contain it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[\U0001F000-\U0001FFFF\u2600-\u27BF]")
_NO_WORD = re.compile(r"@\w+|https?:\S*")
_MARKS = re.compile("[\u0300-\u036f'\u2019]")
_LONGEST = 20
_DRAWN = 5
_LEAST = 5
"""A word in fewer posts gets no vector: it may be a person's name."""


def vocabulary(texts: Sequence[str]) -> tuple[NDArray[np.uint32], list[str]]:
    """Return (feature ids, ascending; the most common spelling of each word) of the words that enough texts contain."""
    counts: Counter[str] = Counter()
    spellings: dict[str, Counter[str]] = {}
    for text in texts:
        for word in set(_WORD.findall(_NO_WORD.sub("", text))):
            folded = _MARKS.sub("", unicodedata.normalize("NFKD", word).lower())
            counts[folded] += 1
            spellings.setdefault(folded, Counter())[word.lower()] += 1
    found = {
        crc32(folded.encode()): spellings[folded].most_common(1)[0][0]
        for folded, count in sorted(counts.items())
        if count >= _LEAST and len(folded) < _LONGEST
    }
    ids = np.array(sorted(found), np.uint32)
    return ids, [found[id] for id in ids.tolist()]


def vectors(
    embeddings: NDArray[np.float32], frequency: NDArray[np.float64], dimensions: int, power: float
) -> NDArray[np.float32]:
    """Return word vectors of shape (words, dimensions) with a mean square length of 1.

    embeddings: of the words alone, (words, width). frequency: the share of posts that contain the word; rare words get
    longer vectors. power: how far the variances of the directions are made equal (0 not at all, 1 fully).
    """
    return _scaled(_turned(embeddings - embeddings.mean(axis=0), dimensions, power), frequency)


def contexts(
    x: csr_array, embeddings: NDArray[np.float32], lang: NDArray[np.int_], dimensions: int, power: float
) -> NDArray[np.float32]:
    """Return a context vector for each feature: the mean embedding of the posts that contain the feature.

    x: posts by features, 0 and 1. embeddings: of the posts. The result has shape (features, dimensions) and a mean
    square length of 1. The mean of each language is subtracted first; the vector of a feature with few posts is pulled
    towards 0.
    """
    apart = embeddings.copy()
    for at in np.unique(lang):
        apart[lang == at] -= apart[lang == at].mean(axis=0)
    counts = x.count_nonzero(axis=0)
    found = (x.T @ _turned(apart, dimensions, power)) / (counts + _DRAWN)[:, None]
    return _scaled(found, counts / x.shape[0])


def _turned(rows: NDArray[np.float32], dimensions: int, power: float) -> NDArray[np.float64]:
    """Return the coordinates of rows along the directions in which the rows vary most."""
    centred = rows.astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][: min(dimensions, len(values), len(centred))]
    return np.asarray(centred @ axes[:, order] / np.maximum(values[order], values.max() * 1e-6) ** (power / 2))


def _scaled(rows: NDArray[np.float64], frequency: NDArray[np.float64]) -> NDArray[np.float32]:
    rows = rows * np.clip(-np.log(np.maximum(frequency, 1e-5)), 0.5, 8)[:, None]
    return np.asarray(rows / max(np.sqrt((rows * rows).sum(axis=1).mean()), 1e-12), np.float32)
