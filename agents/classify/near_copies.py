"""Near-equal texts: which posts of a minute say the same, word for word or with a few words changed.

A text is the set of its pairs of neighbouring words, without names, tags, numbers, marks and emoji. Two texts that share most of
their pairs are one. Texts are compared only where the lowest or the highest hash of their pairs is the same, so the work does
not grow with the number of posts.
"""

from __future__ import annotations

import re
from itertools import pairwise
from zlib import crc32

#: Texts with fewer pairs of words are often the same by chance.
_LEAST = 5
#: At most so many words of a text are read.
_WORDS = 60
#: Two texts are near-equal where they share this part of all their pairs.
_SHARED = 0.5
_WORD = re.compile(r"(?<![@#\w])[^\W\d_]+")
"""A word of letters that is no name and no tag."""
_32_BITS = 0xFFFFFFFF


class NearCopies:
    """The different texts of a stretch of time. `of` names the text that a post says."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, tuple[str, frozenset[int]]] = {}
        """By the lowest and by the highest hash of a text: its name and its pairs."""

    def of(self, text: str) -> str | None:
        """The name of a post's text, the same for near-equal texts of this stretch of time; None where the text is too short to
        tell. 16 hex digits: the lowest and the highest hash of its pairs, of which near-equal texts of other times have at
        least one.
        """
        words = " ".join(_WORD.findall(text.lower())[:_WORDS]).encode().split()
        if len(words) <= _LEAST:
            return None
        hashes = [*map(crc32, words)]
        pairs = frozenset([(a ^ b * 3) & _32_BITS for a, b in pairwise(hashes)])
        lowest, highest = min(pairs), max(pairs)
        known = self._known
        for key in (lowest, highest):
            found = known.get(key)
            if found is not None and len(found[1] & pairs) >= _SHARED * len(found[1] | pairs):
                return found[0]
        name = f"{lowest:08x}{highest:08x}"
        known[lowest] = known[highest] = name, pairs
        return name
