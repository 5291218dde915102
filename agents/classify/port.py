"""The port of the classifier: what the stage needs of a classifier, the built-in one or another."""

from collections.abc import Sequence
from typing import Protocol, get_args

import msgspec

from schemas.records import Language

LABELS = ("complaint", "question", "praise", "other")
"""The labels, the gravest first. The probabilities of a classification are in this order."""
ANSWER_LANGUAGES: tuple[str, ...] = get_args(Language)
"""The languages that an answer may name: `und` where the text tells none, or another than those of LANGUAGES."""
LANGUAGES = tuple(lang for lang in ANSWER_LANGUAGES if lang != "und")
"""The languages in which posts are classified."""


class Classification(msgspec.Struct, frozen=True):
    """The answer for one text. `confidence` is the probability of `label`; `probabilities` are in the order of LABELS."""

    label: str
    confidence: float
    probabilities: tuple[float, float, float, float]
    lang: str


class Classifier(Protocol):
    """A classifier of texts in batches.

    The same text, language tag and brand must give the same answer in any batch, because replays rely on it. The suite in
    `tests/contract` runs over every implementation.
    """

    hash: str
    """64 hex digits. A different hash means different answers. The policy names the hash of the classifier in force."""

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """Returns one answer for each text, in order. Any string is a valid text.

        `langs[i]` is the post's language tag ("es", "es-MX", or "" where unknown), `brands[i]` the brand that it mentions.
        Raises ValueError where the three differ in length, and Unanswered where the classifier does not answer now.
        """


class External(Classifier, Protocol):
    """A classifier that asks an external service, which takes time.

    `ask` is called in a thread, outside the event loop, before a transaction begins. `classify` may try several times.
    """

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """Returns what `classify` returns, but tries only once. The caller repeats the call until it succeeds."""
