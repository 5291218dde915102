"""Word vectors from the teacher: each word of the posts put through it once."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[\U0001F000-\U0001FFFF\u2600-\u27BF]")
_NO_WORD = re.compile(r"@\w+|https?:\S*")
_MARKS = re.compile("[\u0300-\u036f'\u2019]")
_LONGEST = 20
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
) -> NDArray[np.float64]:
    """Word vectors of shape (words, dimensions) with a mean square length of 1.

    embeddings: of the words alone, (words, width). frequency: the share of posts with the word; rare words tell
    more. power: how far the directions are made alike (0 not at all, 1 wholly).
    """
    centred = embeddings.astype(np.float64) - embeddings.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(values)[::-1][: min(dimensions, len(values), len(centred))]
    turned = centred @ axes[:, order] / np.maximum(values[order], values.max() * 1e-6) ** (power / 2)
    turned *= np.clip(-np.log(np.maximum(frequency, 1e-5)), 0.5, 8)[:, None]
    return np.asarray(turned / max(np.sqrt((turned * turned).sum(axis=1).mean()), 1e-12))
