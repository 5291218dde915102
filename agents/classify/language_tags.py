"""Which language a network's tag names. It stands apart from agents/classify/language.py because reading a file needs it alone."""

import re

from agents.classify.port import LANGUAGES

ANOTHER = len(LANGUAGES) + 1
"""The position of a language that is not one of LANGUAGES, beside their own positions."""

_CODES = {"spa": "es", "por": "pt", "eng": "en"}
_TAG = re.compile("[a-z]{2,3}")
#: Codes without a language: those of ISO 639, Twitter's (qme, qht, in the private range), and what a table without a value says.
_NO_LANGUAGE = re.compile("und|mul|mis|zxx|art|nan?|q[a-t][a-z]")


def tagged(tag: str) -> int | None:
    """Returns the position of the language that a tag such as "es-MX" or "pt_BR" names: one of LANGUAGES, or ANOTHER.

    None where the tag names no language.
    """
    primary = tag.replace("_", "-").partition("-")[0].lower()
    known = _CODES.get(primary, primary)
    if known in LANGUAGES:
        return LANGUAGES.index(known)
    return ANOTHER if _TAG.fullmatch(primary) and not _NO_LANGUAGE.fullmatch(primary) else None


def language_of_tag(tag: str) -> str:
    """Returns the name in LANGUAGES of the language that a tag names, and "und" where it names none of them."""
    at = tagged(tag)
    return "und" if at is None or at == ANOTHER else LANGUAGES[at]
