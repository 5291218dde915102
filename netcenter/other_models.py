"""Another classifier in the place of ours: one that answers over HTTP, or a Python class of one's own.

A JSON file in NETCENTER_MODELS, named by the first 16 digits of its SHA-256, describes it; the policy names the full hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import stamina

from agents.classify.port import LABELS, LANGUAGES, Classification, Classifier, Unavailable
from netcenter.errors import UsageError

_TRIES = 5


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the JSON file says: just one of `http` and `python`, and whatever else makes its answers."""

    http: str | None = None
    """URL that takes POST {"texts": [...], "langs": [...], "brands": [...]} and gives {"answers": [...]}: objects
    with probabilities (complaint, question, praise, other) and lang."""
    python: str | None = None
    """module:name of what gives a Classifier when called with the hash."""
    version: str = ""
    """Change it with every change of the answers: replays rely on it."""
    timeout: float = 10.0
    """Seconds."""


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Answer(msgspec.Struct, frozen=True):
    probabilities: tuple[_Share, _Share, _Share, _Share]
    lang: str


class _Answers(msgspec.Struct, frozen=True):
    answers: list[_Answer]


class HttpClassifier:
    """Asks a model server. Unavailable when it does not answer or answers nonsense: the worker stops and starts over."""

    def __init__(self, hash: str, url: str, timeout: float) -> None:
        self.hash, self._url = hash, url
        self._client = httpx.Client(timeout=timeout)

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As the port says."""
        asked = list(zip(texts, langs, brands, strict=True))
        if not asked:
            return []
        body = msgspec.json.encode(
            {"texts": [_sent(text) for text, _, _ in asked], "langs": [_sent(x) for x in langs], "brands": list(brands)}
        )
        try:
            for attempt in stamina.retry_context(on=httpx.TransportError, attempts=_TRIES, timeout=None):
                with attempt:
                    response = self._client.post(self._url, content=body, headers={"content-type": "application/json"})
            response.raise_for_status()
            answers = msgspec.json.decode(response.content, type=_Answers).answers
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            raise Unavailable(
                f"the classifier at {self._url} does not answer as it must: {type(error).__name__}"
            ) from None
        if len(answers) != len(asked) or not {answer.lang for answer in answers} <= set(LANGUAGES):
            raise Unavailable(f"the classifier at {self._url} answers other than it was asked, or in unknown languages")
        return [_classification(answer) for answer in answers]


def described(path: Path) -> Classifier:
    """The classifier that a file describes. Raises UsageError naming the file."""
    content = path.read_bytes()
    hash = hashlib.sha256(content).hexdigest()
    try:
        told = msgspec.json.decode(content, type=Described)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    if (told.http is None) == (told.python is None):
        raise UsageError(f"{path}: name just one of http and python")
    if told.http is not None:
        return HttpClassifier(hash, told.http, told.timeout)
    module, _, name = (told.python or "").partition(":")
    try:
        made: Classifier = getattr(import_module(module), name)(hash)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: python: {told.python!r} cannot be had: {error}") from None
    return made


def _sent(text: str) -> str:
    """As UTF-8 can say it: lone surrogates become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _classification(answer: _Answer) -> Classification:
    confidence = max(answer.probabilities)
    label = LABELS[answer.probabilities.index(confidence)]
    return Classification(label, confidence, answer.probabilities, answer.lang)
