"""The artefacts of release 0.1.0, whose answers stay what they were: a policy that names one stays in force in an upgrade."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from agents.classify.features import tokens
from agents.classify.model import Model, form
from agents.classify.port import LANGUAGES

_PREFIX = 5
_NOT_LETTERS = re.compile("[\u0300-\u036f'\u2019]")
_TOKEN = re.compile(
    rb"[a-z]+|[A-Z]+"
    rb"|(?:[?!]|\xc2[\xbf\xa1]){1,3}"
    rb"|[:;]-?[()]|\.{2,3}"
    rb"|\xe2[\x98-\x9e][\x80-\xbf]|\xf0\x9f[\x80-\xbf]{2}"
)


class EarlierModel(Model):
    """A loaded artefact of format 2: one set of weights, and a post in whatever language is taken for one of LANGUAGES."""

    reads = (2, 1)
    tells = len(LANGUAGES)

    def __init__(self, hash: str, archive: Mapping[str, NDArray[Any]], brands: Sequence[str]) -> None:
        """Makes a model of the arrays of an artefact. Raises ValueError or KeyError where they do not fit together."""
        offset = archive["offset"]
        super().__init__(hash, {**archive, "offset": np.stack([offset, offset])}, brands)

    def _features(self, text: str) -> set[int]:
        return set(map(crc32, _parts(text)))

    def _named(self, text: str) -> dict[int, str]:
        # A prefix may end within a character, such as the third of "¿¿¿".
        return {crc32(part): part.decode("utf-8", "replace") for part in _parts(text)}

    def _spoken(self, texts: Sequence[str], found: Sequence[set[int]], langs: Sequence[str]) -> list[int]:
        primaries = [tag.replace("_", "-").partition("-")[0].lower() for tag in langs]
        spoken = [LANGUAGES.index(primary) if primary in LANGUAGES else -1 for primary in primaries]
        untold = [at for at, lang in enumerate(spoken) if lang < 0]
        told = self._language.scores([found[at] for at in untold]).argmax(axis=1)
        for at, best in zip(untold, told.tolist(), strict=True):
            spoken[at] = best
        return spoken


def load(path: Path) -> Model:
    """Returns the model of an artefact of any release. Raises ModelError where it is missing, damaged or of another format."""
    return (EarlierModel if form(path) == EarlierModel.reads else Model).load(path)


def _parts(text: str) -> list[bytes]:
    words = tokens(text, _NOT_LETTERS, _TOKEN)
    pairs = [first + b" " + second for first, second in pairwise(words)]
    return words + pairs + [word[:_PREFIX] + b"*" for word in words if len(word) > _PREFIX]
