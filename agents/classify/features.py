"""The features of a text for the classifier: a set of hashed words, word pairs, prefixes, marks and emoji."""

import re
import unicodedata
from itertools import pairwise
from zlib import crc32

VERSION = 1
"""Goes up with every change of the features, because weights fit only the features that they were learnt from."""

# Limits the time that one record can take. Posts are shorter, and the topic of a longer text is clear from its
# beginning.
MAX_CHARS = 4_000

_PREFIX = 5
_NOT_LETTERS = re.compile("[\u0300-\u036f'\u2019]")
_STRETCHED = re.compile(rb"([a-z])\1\1+")
# The text is in lower case already, so words in capitals can replace links, handles and numbers.
_KINDS = (
    (re.compile(rb"https?:\S*|www\.\S*"), b" LINK "),
    (re.compile(rb"@\w+"), b" HANDLE "),
    (re.compile(rb"[0-9]+"), b" NUMBER "),
)
_TOKEN = re.compile(
    rb"[a-z]+|[A-Z]+"
    rb"|(?:[?!]|\xc2[\xbf\xa1]){1,3}"  # ? ! and their inverted forms, in UTF-8.
    rb"|[:;]-?[()]|\.{2,3}"
    rb"|\xe2[\x98-\x9e][\x80-\xbf]|\xf0\x9f[\x80-\xbf]{2}"  # Symbols and emoji: U+2600-27BF, U+1F000-1FFFF.
)


def tokens(text: str) -> list[bytes]:
    """Returns the words and marks of a text in order, without accents, case, apostrophes and repeated letters ("sooo").

    Any string is valid. Lone surrogates and everything after MAX_CHARS are left out.
    """
    text = text[:MAX_CHARS]
    text = (
        text.lower().replace("'", "")
        if text.isascii()
        else _NOT_LETTERS.sub("", unicodedata.normalize("NFKD", text).lower())
    )
    raw = text.encode("utf-8", "ignore")
    for pattern, kind in _KINDS:
        raw = pattern.sub(kind, raw)
    return _TOKEN.findall(_STRETCHED.sub(rb"\1", raw))


def features(text: str) -> set[int]:
    """The 32-bit ids of a text's tokens, pairs of neighbours and prefixes of longer words. May be empty."""
    return set(map(crc32, _parts(text)))


def named(text: str) -> dict[int, str]:
    """The ids that `features` returns, each with its token, pair or prefix, in the order of the text."""
    # A prefix may end within a character, such as the third of "¿¿¿".
    return {crc32(part): part.decode("utf-8", "replace") for part in _parts(text)}


def _parts(text: str) -> list[bytes]:
    words = tokens(text)
    pairs = [first + b" " + second for first, second in pairwise(words)]
    prefixes = [word[:_PREFIX] + b"*" for word in words if len(word) > _PREFIX]
    return words + pairs + prefixes
