"""Which language a text is in, by its script and its words."""

import re

import numpy as np
from numpy.typing import NDArray

from agents.classify.features import MAX_CHARS, tokens
from agents.classify.language_tags import ANOTHER
from agents.classify.port import LANGUAGES

UNDETERMINED = len(LANGUAGES)
"""The text does not tell: it has no words, or words of several languages. Positions below are those of LANGUAGES."""
_MARGIN = 1.0
"""How far the best language must lead in log-odds. A difference is exact on every processor, a probability is not."""
#: A run of letters of another alphabet, or one sign of a script that has no spaces between words.
_OTHER_WORD = re.compile(
    "[\u0370-\u1cff\u1f00-\u1fff\u2c00-\u2c5f\u2c80-\u2dff\ua4d0-\ua6ff\ua800-\uab2f\uab70-\uabff\ufb1d-\ufdfb\ufe70-\ufefc]+"
    "|[\u2e80-\u2fdf\u3041-\ua4cf\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_FEW_LETTERS = 3
"""Fewer letters of another script may be a face, such as in ¯\\_(ツ)_/¯."""
_NO_WORDS = re.compile(r"@\w+|https?:\S*|www\.\S*")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f]+")


def by_scores(scores: NDArray[np.float64]) -> list[int]:
    """Returns the language of each text for scores of shape (texts, LANGUAGES and another language): UNDETERMINED where
    the best does not lead by the margin.
    """
    best = scores.argmax(axis=1)
    leads = np.sort(scores, axis=1)
    best = np.where(best == len(LANGUAGES), ANOTHER, best)
    found: list[int] = np.where(leads[:, -1] - leads[:, -2] >= _MARGIN, best, UNDETERMINED).tolist()
    return found


def by_script(text: str, by_words: int) -> int:
    """Returns the language of a text whose Latin words tell `by_words`: ANOTHER where more words are in another script,
    or where some are and the Latin ones tell nothing.
    """
    if text.isascii() or _OTHER_WORD.search(text) is None:
        return by_words
    bare = _NO_WORDS.sub(" ", text[:MAX_CHARS])
    other = _OTHER_WORD.findall(bare)
    if sum(map(len, other)) < _FEW_LETTERS:
        return by_words
    return ANOTHER if by_words == UNDETERMINED or len(other) > len(_LATIN_WORD.findall(bare)) else by_words


def wordless(text: str) -> bool:
    """Returns whether a text has no words in any script: emoji, marks, handles, links and numbers say the same in every language."""
    return not any(token[:1].islower() for token in tokens(text)) and not _OTHER_WORD.search(
        _NO_WORDS.sub(" ", text[:MAX_CHARS])
    )
