"""The classifier: reads an artefact of learnt weights and labels texts in batches."""

import hashlib
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from agents.classify.features import VERSION, features
from agents.classify.linear import Linear

LABELS = ("complaint", "question", "praise", "other")
"""In the order of gravity, which is also the order of a classification's probabilities."""
LANGUAGES = ("es", "pt", "en")
FORMAT = 1
"""The layout of an artefact: goes up when an older reader could not read it, or would read it wrongly."""
ARTEFACTS = Path(__file__).parent / "artefacts"


class ModelError(Exception):
    """An artefact cannot be used; the message names the file, what is wrong and what to do."""


class Classification(msgspec.Struct, frozen=True):
    """One text's answer; confidence is the label's own probability, and probabilities follow LABELS."""

    label: str
    confidence: float
    probabilities: tuple[float, float, float, float]
    lang: str


class Model:
    """A loaded artefact; safe to share, since classifying changes nothing in it."""

    def __init__(self, hash: str, labels: dict[str, Linear], language: Linear) -> None:
        self.hash = hash
        self._labels = labels
        self._language = language

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the artefact at path; ModelError if it is missing, damaged or of another format."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"cannot read the classifier's artefact {path}: {error.strerror}; "
                "put the file there, or name a model in the policy that is there"
            ) from error
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                meta = json.loads(archive["meta"].tobytes())
                found = (meta["format"], meta["features"])
                if found != (FORMAT, VERSION):
                    raise ModelError(
                        f"the classifier's artefact {path} has format and features {found}, this version "
                        f"reads {(FORMAT, VERSION)}; train it again, or run the version that made it"
                    )
                labels = {lang: Linear(archive, lang, len(LABELS)) for lang in LANGUAGES}
                language = Linear(archive, "language", len(LANGUAGES))
        except ModelError:
            raise
        except Exception as error:  # zipfile and numpy raise a dozen unrelated types on damaged bytes
            raise ModelError(
                f"the classifier's artefact {path} is damaged ({error!r}); copy it again from where it was made"
            ) from error
        return cls(hashlib.sha256(content).hexdigest(), labels, language)

    def classify(self, texts: Sequence[str], langs: Sequence[str]) -> list[Classification]:
        """One answer per text, in order; any string works. ValueError if langs is not as long as texts.

        langs[i] is the post's own language tag ("es", "es-MX", "" unknown). The language is told from the
        text where the tag is not one of LANGUAGES.
        """
        found = [features(text) for text in texts]
        spoken = [_tagged(tag) for _, tag in zip(texts, langs, strict=True)]
        untold = [at for at, tag in enumerate(spoken) if not tag]
        told = self._language.scores([found[at] for at in untold]).argmax(axis=1)
        for at, best in zip(untold, told, strict=True):
            spoken[at] = LANGUAGES[best]
        answers: dict[int, Classification] = {}
        for lang, linear in self._labels.items():
            mine = [at for at, other in enumerate(spoken) if other == lang]
            for at, scores in zip(mine, linear.scores([found[at] for at in mine]).tolist(), strict=True):
                answers[at] = _answer(scores, lang)
        return [answers[at] for at in range(len(texts))]


def artefact(hash: str, directory: Path = ARTEFACTS) -> Path | None:
    """The path in directory of the artefact with that full hash, or None if it is not there, whole."""
    for path in directory.glob("*.npz"):
        if hash.startswith(path.stem) and hashlib.sha256(path.read_bytes()).hexdigest() == hash:
            return path
    return None


def _tagged(tag: str) -> str:
    """The language a tag such as "es-MX" or "pt_BR" names, or "" if it is none of LANGUAGES."""
    primary = tag.replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else ""


def _answer(scores: list[float], lang: str) -> Classification:
    """The softmax of scores, to four decimals: the last bits of exp() may differ between machines."""
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    complaint, question, praise, other = (round(power / total, 4) for power in powers)
    probabilities = (complaint, question, praise, other)
    confidence = max(probabilities)
    return Classification(LABELS[probabilities.index(confidence)], confidence, probabilities, lang)
