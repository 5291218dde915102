"""The form of the names of brands, channels, desks and skills, and the key of a name as people write it."""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, normalize

NAME = re.compile(r"[a-z0-9_-]+")
"""Matches a whole name. Keys are names joined by `|`, so a name may not hold a `|`."""
NAME_FORM = "letters a-z, digits, - and _"
"""The same rule in words, for error messages."""

#: Marks of ownership, and apostrophes: they leave no trace in a key.
_DROPPED = str.maketrans(dict.fromkeys("™®©℠'’‘‛`´ʼʹ＇", ""))
#: Latin letters that Unicode does not take apart, and the plus sign, which tells "Canal+" from "Canal".
_SPELLED = {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
_PLUS = " plus "
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


@lru_cache(maxsize=8_192)
def key_of(name: str) -> str:
    """The key of a name as people write it; empty where the name has no letter and no digit.

    1. Marks such as ™ and apostrophes are left out; capital and small letters, and the forms of one letter, are one.
    2. A Latin letter loses its accent, and `+` becomes the word plus.
    3. A run of any other characters than letters, digits, `-` and `_` becomes one `-`; at the ends it is left out.
    4. A name in which letters of another script remain is written in Punycode (RFC 3492) after `xn--`, as in domains.

    A name that is a key stays as it is, so the key of a key is that key.
    """
    folded = normalize("NFKC", normalize("NFKC", name.translate(_DROPPED)).casefold()).translate(_DROPPED)
    plain = normalize("NFC", _without_accents(folded))
    words = "".join(c if c in "-_" or category(c)[0] in "LNM" else " " for c in plain)
    key = re.sub(r"-* [ -]*", "-", words.strip())
    if not any(category(c)[0] in "LN" for c in key):
        return key if NAME.fullmatch(key) else ""
    return key if key.isascii() else f"xn--{key.encode('punycode').decode('ascii')}"


def _without_accents(text: str) -> str:
    """The text with Latin letters only as a to z; letters of other scripts keep their marks."""
    found: list[str] = []
    marked = False
    for c in normalize("NFD", text):
        if category(c) == "Mn":
            found += (c,) if marked else ()
            continue
        spelled = _PLUS if c == "+" else _SPELLED.get(c, c)
        marked = spelled[-1] not in _LATIN and category(spelled[-1])[0] in "LM"
        found.append(spelled)
    return "".join(found)
