"""Learns which language a text is in: from the posts, and from word frequencies of these and other languages (wordfreq)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from agents.classify.features import word_features
from agents.classify.port import LANGUAGES
from netcenter.errors import CommandError
from netcenter.training import packing
from netcenter.training.softmax import fit
from netcenter.training.student import unit
from netcenter.training.training_rows import TrainingRows

OTHERS = (
    *("ca", "cs", "da", "de", "fi", "fil", "fr", "hu", "id", "is", "it", "lt", "lv"),
    *("ms", "nb", "nl", "pl", "ro", "sh", "sk", "sl", "sv", "tr", "vi"),
)
"""Languages in Latin letters that stand for every language in which posts are not classified."""
_WORDS = 6_000
"""The commonest words of each language."""
_LONGEST = 16
"""Words of the longest made text."""
_KNOWN = 16
"""Made texts of a language in which posts are classified, for each three of another language."""
_LEAST = 3
"""A feature in fewer texts is not used."""
_PENALTY = 1 / 3


def learn_languages(rows: TrainingRows, made: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of the artefact's linear part `language`, whose last class is another language.

    made: how many texts are made of each of OTHERS, by drawing words at the rate at which the language uses them.
    Word order is lost in that, but the model looks at no order. Raises CommandError where wordfreq is missing.
    """
    texts = [sorted(word_features(text)) for text in rows.text]
    langs = rows.lang.tolist()
    random = np.random.default_rng(0)
    counts = [(lang, at, made * _KNOWN // 3) for at, lang in enumerate(LANGUAGES)]
    counts += [(lang, len(LANGUAGES), made) for lang in OTHERS]
    for lang, at, count in counts:
        texts += _made(lang, count, random)
        langs += [at] * count
    ids, columns = np.unique(np.array([id for text in texts for id in text], np.uint32), return_inverse=True)
    ends = np.cumsum([0, *map(len, texts)])
    x = csr_array((np.ones(len(columns)), columns, ends), shape=(len(texts), len(ids)))
    kept = np.flatnonzero(x.count_nonzero(axis=0) >= _LEAST)
    spoken = np.array(langs)
    share = np.bincount(spoken) / len(spoken)
    # One heavy row without any word, which may be in every language: the intercept alone then tells none.
    wordless = csr_array((1, len(kept)))
    weights, intercept = fit(
        vstack([unit(x[:, kept]), wordless]).tocsr(),
        np.vstack([np.eye(len(share))[spoken], np.full(len(share), 1 / len(share))]),
        np.append(1 / len(share) / share[spoken], len(spoken)),
        _PENALTY,
    )
    return packing.part("language", ids[kept], weights, intercept)


def _made(lang: str, count: int, random: np.random.Generator) -> Iterator[list[int]]:
    """Yield the features of made texts: their words are drawn at the rate at which the language uses them."""
    words, rates = _vocabulary(lang)
    lengths = random.integers(1, _LONGEST + 1, count)
    drawn = random.choice(len(words), lengths.sum(), p=rates)
    for text in np.split(drawn, np.cumsum(lengths)[:-1]):
        yield sorted(set().union(*(words[at] for at in text.tolist())))


@cache
def _vocabulary(lang: str) -> tuple[list[set[int]], NDArray[np.float64]]:
    """Return the features of a language's commonest words, and the rate of each."""
    try:
        from wordfreq import get_frequency_dict
    except ImportError:
        raise CommandError("learning languages needs wordfreq: install netcenter[train]") from None
    rated = sorted(get_frequency_dict(lang, "small").items(), key=lambda pair: (-pair[1], pair[0]))[:_WORDS]
    rates = np.array([rate for _, rate in rated])
    return [word_features(word) for word, _ in rated], rates / rates.sum()
