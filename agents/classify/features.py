"""The features of a text for the classifier: a set of hashed words, word pairs, prefixes, marks and emoji."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

VERSION = 2
"""Goes up with every change of the features, because weights fit only the features that they were learnt from."""

# Limits the time that one record can take. Posts are shorter, and the topic of a longer text is clear from its
# beginning.
MAX_CHARS = 4_000

_PREFIX = 5
# Accents and apostrophes; what joins or varies emoji (joiners, variants, skin tones, gender); marks that cannot be seen.
_NOT_LETTERS = re.compile(
    "[\u0300-\u036f'\u2019\u00ad\u200b-\u200f\u2060\ufe00-\ufe0f\ufeff\u2640\u2642\U0001f3fb-\U0001f3ff]"
)
_STRETCHED = re.compile(rb"([a-z])\1\1+")
# The text is in lower case already, so words in capitals can replace links, handles and numbers.
_KINDS = (
    (re.compile(rb"https?:\S*|www\.\S*"), b" LINK "),
    (re.compile(rb"@\w+"), b" HANDLE "),
    (re.compile(rb"[0-9]+"), b" NUMBER "),
)
_HANDLE = re.compile(r"\s*@\w")
_TOKEN = re.compile(
    rb"[a-z]+|[A-Z]+"
    rb"|(?:[?!]|\xc2[\xbf\xa1]){1,3}"  # ? ! and their inverted forms, in UTF-8.
    rb"|[:;]-?[()]|\.{2,3}"
    rb"|\xe2[\x8c-\x8f\x96-\x9e\xac-\xaf][\x80-\xbf]"  # Symbols: U+2300-23FF, U+2580-27BF, U+2B00-2BFF.
    rb"|\xf0\x9f[\x80-\xbf]{2}"  # Emoji: U+1F000-1FFFF.
)


def tokens(text: str, not_letters: re.Pattern[str] = _NOT_LETTERS, token: re.Pattern[bytes] = _TOKEN) -> list[bytes]:
    """Returns the words and marks of a text in order, without accents, case, apostrophes and repeated letters ("sooo").

    Any string is valid. Lone surrogates and everything after MAX_CHARS are left out. not_letters and token: what is left
    out and what is a token, which earlier artefacts saw in another way.
    """
    text = text[:MAX_CHARS]
    text = (
        text.lower().replace("'", "")
        if text.isascii()
        else not_letters.sub("", unicodedata.normalize("NFKD", text).lower())
    )
    raw = text.encode("utf-8", "ignore")
    for pattern, kind in _KINDS:
        raw = pattern.sub(kind, raw)
    return token.findall(_STRETCHED.sub(rb"\1", raw))


def begins_with_handle(text: str) -> bool:
    """Whether the first word of a text is a handle, as in a post that is addressed to somebody."""
    return _HANDLE.match(text) is not None


def features(text: str) -> set[int]:
    """The 32-bit ids of a text's tokens, pairs of neighbours and prefixes of longer words. May be empty."""
    return set(map(crc32, _parts(text)))


def named(text: str) -> dict[int, str]:
    """The ids that `features` returns, each with its token, pair or prefix, in the order of the text."""
    return {crc32(part): part.decode() for part in _parts(text)}


def word_features(text: str) -> set[int]:
    """The ids of a text's words and their prefixes alone, which tell its language."""
    words = [word for word in tokens(text) if word[:1].islower()]
    return set(map(crc32, words + _prefixes(words)))


def _parts(text: str) -> list[bytes]:
    words = tokens(text)
    pairs = [first + b" " + second for first, second in pairwise(words)]
    return words + pairs + _prefixes(words)


def _prefixes(words: Sequence[bytes]) -> list[bytes]:
    """The prefixes of longer words. A mark such as ¿¿¿ is long, too, but has none: a prefix would end within a character."""
    return [word[:_PREFIX] + b"*" for word in words if len(word) > _PREFIX and word.isalpha()]
