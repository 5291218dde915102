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


class Classifier(Protocol):
    """Answers in batches. The same text, tag and brand must give the same answer in any batch: replays rely on it.

    `tests/contract` holds every implementation to this.
    """

    hash: str
    """64 hex digits that name just these answers; the policy says which are in force."""

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One answer per text, in order; any string works.

        langs[i] is the post's own language tag ("es", "es-MX", "" unknown); brands[i] whom it mentions.
        ValueError if the three are not equally long; Unanswered if nothing can be answered now.
        """


class External(Classifier, Protocol):
    """A classifier that takes its time, for it asks somebody else: `ask` is called beside the event loop, before a
    transaction begins, and by one thread at a time or by several as it allows. `classify` may try longer.
    """

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As `classify`, tried once: whoever calls it tries again for as long as it takes."""
