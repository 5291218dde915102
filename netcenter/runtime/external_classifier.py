"""Another classifier in the place of ours: one that answers over HTTP, or a Python class of one's own.

A JSON file in NETCENTER_MODELS, named by the first 16 digits of its SHA-256, describes it; the policy names the full hash.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import stamina

from agents.classify.port import LABELS, LANGUAGES, Classification, Classifier, External
from agents.decider import Unanswered
from netcenter.errors import UsageError

_TRIES = 5
#: How often a single post must fail, and another one not, before it is at fault.
_CERTAIN = 3
_HARMLESS = ("hello", "en", "")


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
    """Seconds without an answer after which the server counts as away."""


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Answer(msgspec.Struct, frozen=True):
    probabilities: tuple[_Share, _Share, _Share, _Share]
    lang: str


class _Answers(msgspec.Struct, frozen=True):
    answers: list[_Answer]


class BadAnswer(ValueError):
    """A model server answers others, but not this."""


class HttpClassifier:
    """Asks a model server. What it cannot be asked for one post it may be asked for others: then that post is at fault."""

    def __init__(self, hash: str, url: str, timeout: float) -> None:
        self.hash, self._url = hash, url
        self._client = httpx.Client(timeout=timeout)

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As the port says."""
        return _patiently(lambda: self.ask(texts, langs, brands))

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As the port says. Raises BadAnswer where the server answers others, but not these."""
        posts = list(zip(texts, langs, brands, strict=True))
        if not posts:
            return []
        failed = ""
        for _ in range(1 if len(posts) > 1 else _CERTAIN):
            try:
                return self._answers(posts)
            except (httpx.HTTPError, msgspec.DecodeError, BadAnswer) as error:
                failed = _what(error)
            self._check()
        raise BadAnswer(f"the classifier at {self._url} answers others, but not this: {failed}")

    def _check(self) -> None:
        """Raises Unanswered where the server answers nobody."""
        try:
            self._answers([_HARMLESS])
        except (httpx.HTTPError, msgspec.DecodeError, BadAnswer) as error:
            raise Unanswered(f"the classifier at {self._url} does not answer as it must: {_what(error)}") from None

    def _answers(self, posts: list[tuple[str, str, str]]) -> list[Classification]:
        texts, langs, brands = ([_sent(post[n]) for post in posts] for n in range(3))
        body = msgspec.json.encode({"texts": texts, "langs": langs, "brands": brands})
        response = self._client.post(self._url, content=body, headers={"content-type": "application/json"})
        response.raise_for_status()
        answers = msgspec.json.decode(response.content, type=_Answers).answers
        if len(answers) != len(posts):
            raise BadAnswer(f"{len(answers)} answers for {len(posts)} posts")
        if not {answer.lang for answer in answers} <= set(LANGUAGES):
            raise BadAnswer("an unknown language")
        return [_classification(answer) for answer in answers]


class _OneAtATime:
    """A classifier of one's own: it may take as long as it likes, and need not know of threads."""

    def __init__(self, own: Classifier) -> None:
        self.hash, self._own = own.hash, own
        self._turn = threading.Lock()

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As the port says."""
        return _patiently(lambda: self.ask(texts, langs, brands))

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """As the port says."""
        with self._turn:
            return self._own.classify(texts, langs, brands)


def _patiently(ask: Callable[[], list[Classification]]) -> list[Classification]:
    """For those who ask while a person waits: a short absence is no fault."""
    for attempt in stamina.retry_context(on=Unanswered, attempts=_TRIES, timeout=None):
        with attempt:
            return ask()
    raise TypeError("tried at least once")


def _what(error: Exception) -> str:
    """The kind of a failure; a status or our own words too, never what the server said: it might hold a post."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}".rstrip()
    return str(error) if isinstance(error, BadAnswer) else type(error).__name__


def described(path: Path) -> External:
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
    return _OneAtATime(made)


def _sent(text: str) -> str:
    """As UTF-8 can say it: lone surrogates become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _classification(answer: _Answer) -> Classification:
    confidence = max(answer.probabilities)
    label = LABELS[answer.probabilities.index(confidence)]
    return Classification(label, confidence, answer.probabilities, answer.lang)
