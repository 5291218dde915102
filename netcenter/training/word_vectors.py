"""What the teacher knows of words: each put through it alone, and each by the posts it stands in."""

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
"""Posts with a word. One in fewer is learnt as it stands, or may be somebody's name."""


def vocabulary(texts: Sequence[str]) -> tuple[NDArray[np.uint32], list[str]]:
    """(ids of features, ascending; each word in its commonest spelling) of the words in enough texts."""
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
    """Word vectors of shape (words, dimensions) with a mean square length of 1.

    embeddings: of the words alone, (words, width). frequency: the share of posts with the word; rare words tell
    more. power: how far the directions are made alike (0 not at all, 1 wholly).
    """
    return _scaled(_turned(embeddings - embeddings.mean(axis=0), dimensions, power), frequency)


def contexts(
    x: csr_array, embeddings: NDArray[np.float32], lang: NDArray[np.int_], dimensions: int, power: float
) -> NDArray[np.float32]:
    """A vector for each feature from the company that it keeps: the mean embedding of the posts it stands in.

    x: posts by features, 0 and 1. embeddings: of the posts. Shape (features, dimensions), a mean square length of 1.
    What tells only the language is taken out of the posts; a feature of few posts is drawn to 0.
    """
    apart = embeddings.copy()
    for at in np.unique(lang):
        apart[lang == at] -= apart[lang == at].mean(axis=0)
    counts = x.count_nonzero(axis=0)
    found = (x.T @ _turned(apart, dimensions, power)) / (counts + _DRAWN)[:, None]
    return _scaled(found, counts / x.shape[0])


def _turned(rows: NDArray[np.float32], dimensions: int, power: float) -> NDArray[np.float64]:
    """Their coordinates along the directions in which they differ most."""
    centred = rows.astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][: min(dimensions, len(values), len(centred))]
    return np.asarray(centred @ axes[:, order] / np.maximum(values[order], values.max() * 1e-6) ** (power / 2))


def _scaled(rows: NDArray[np.float64], frequency: NDArray[np.float64]) -> NDArray[np.float32]:
    rows = rows * np.clip(-np.log(np.maximum(frequency, 1e-5)), 0.5, 8)[:, None]
    return np.asarray(rows / max(np.sqrt((rows * rows).sum(axis=1).mean()), 1e-12), np.float32)
