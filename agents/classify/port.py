"""What the stage needs of a classifier: ours, or another one in its place."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

LABELS = ("complaint", "question", "praise", "other")
"""In the order of gravity, which is also the order of a classification's probabilities."""
LANGUAGES = ("es", "pt", "en")


class Classification(msgspec.Struct, frozen=True):
    """One text's answer; confidence is the label's own probability, and probabilities follow LABELS."""

    label: str
    confidence: float
    probabilities: tuple[float, float, float, float]
    lang: str


class Unavailable(Exception):
    """A classifier cannot answer now, whatever the posts: no post is at fault, so none may become a dead letter."""


class Classifier(Protocol):
    """Answers in batches. The same text, tag and brand must give the same answer in any batch: replays rely on it.

    `tests/contract` holds every implementation to this.
    """

    hash: str
    """64 hex digits that name just these answers; the policy says which are in force."""

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One answer per text, in order; any string works.

        langs[i] is the post's own language tag ("es", "es-MX", "" unknown); brands[i] whom it mentions.
        ValueError if the three are not equally long; Unavailable if nothing can be answered now.
        """
