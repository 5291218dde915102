"""External classifiers, used instead of the bundled one: a model server that answers over HTTP, or a Python class.

A JSON file in the folder NETCENTER_MODELS describes such a classifier. The file is named by the first 16 hex digits of its
SHA-256, and the policy names the full hash.
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

from agents.classify.port import ANSWER_LANGUAGES, LABELS, Classification, Classifier, External
from agents.decider import Unanswered
from netcenter.errors import UsageError
from sinks.http_client import HttpClient, HttpRoute, status_line
from sinks.port import SinkError

#: The number of times that `classify` asks before it gives up.
_TRIES = 5
#: A post itself counts as faulty when it has failed this many times while another post has not.
_CERTAIN = 3
#: Text, language and brand of a post that every working server can answer.
_HARMLESS = ("hello", "en", "")
_ROUTE = HttpRoute("NETCENTER_CLASSIFIER")


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of the JSON file; exactly one of `http` and `python` is set."""

    http: str | None = None
    """A URL that takes POST {"texts": [...], "langs": [...], "brands": [...]} and returns {"answers": [...]}, where each answer
    is an object with `probabilities` (complaint, question, praise, other) and `lang`."""
    python: str | None = None
    """module:name of a function or class that returns a Classifier when it is called with the hash."""
    version: str = ""
    """Any text. Change it whenever the answers change, because it changes the hash, and replays rely on the hash."""
    timeout: float = 10.0
    """Seconds without an answer after which a request fails."""


_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class _Answer(msgspec.Struct, frozen=True):
    probabilities: tuple[_Share, _Share, _Share, _Share]
    lang: str


class _Answers(msgspec.Struct, frozen=True):
    answers: list[_Answer]


class BadAnswer(ValueError):
    """A model server answers other posts, but not these."""


class HttpClassifier:
    """Asks a model server. A post counts as faulty if the server does not answer it but answers other posts."""

    def __init__(self, hash: str, url: str, timeout: float, route: HttpRoute = _ROUTE) -> None:
        """route: whose certificates are believed, and the proxy. Raises SinkError."""
        self.hash, self._url = hash, url
        self._client = HttpClient(route, timeout)

    def close(self) -> None:
        """Close the connections; the next question opens others."""
        self._client.close()

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One classification for each post. Raises BadAnswer as `ask` does, and Unanswered after several tries."""
        return _patiently(lambda: self.ask(texts, langs, brands))

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One classification for each post, with few tries.

        Raises BadAnswer where the server answers other posts but not these, Unanswered where it answers no post.
        """
        posts = list(zip(texts, langs, brands, strict=True))
        if not posts:
            return []
        failed = ""
        for _ in range(1 if len(posts) > 1 else _CERTAIN):
            try:
                return self._answers(posts)
            except (httpx.HTTPError, msgspec.DecodeError, BadAnswer) as error:
                failed = self._what(error)
            self._check()
        raise BadAnswer(f"the classifier at {self._url} answers others, but not this: {failed}")

    def _check(self) -> None:
        """Raise Unanswered where the server does not answer even a harmless post."""
        try:
            self._answers([_HARMLESS])
        except (httpx.HTTPError, msgspec.DecodeError, BadAnswer) as error:
            raise Unanswered(f"the classifier at {self._url} does not answer as it must: {self._what(error)}") from None

    def _answers(self, posts: list[tuple[str, str, str]]) -> list[Classification]:
        texts, langs, brands = ([_sent(post[n]) for post in posts] for n in range(3))
        body = msgspec.json.encode({"texts": texts, "langs": langs, "brands": brands})
        try:
            client = self._client.now()
        except SinkError as error:
            raise Unanswered(f"the classifier at {self._url}: {error}") from None
        response = client.post(self._url, content=body, headers={"content-type": "application/json"})
        response.raise_for_status()
        answers = msgspec.json.decode(response.content, type=_Answers).answers
        if len(answers) != len(posts):
            raise BadAnswer(f"{len(answers)} answers for {len(posts)} posts")
        if not {answer.lang for answer in answers} <= set(ANSWER_LANGUAGES):
            raise BadAnswer("an unknown language")
        return [_classification(answer) for answer in answers]

    def _what(self, error: Exception) -> str:
        """Why a question has failed, in words. They never quote the server's answer, which might hold the text of a post."""
        if isinstance(error, httpx.HTTPStatusError):
            status = status_line(error.response.status_code)
            remedy = self._client.refused_by_proxy() if error.response.status_code == 407 else None
            return f"{status}: {remedy}" if remedy else status
        if isinstance(error, httpx.TransportError):
            return f"it {self._client.why(error, httpx.URL(self._url).host)}"
        return str(error) if isinstance(error, BadAnswer) else type(error).__name__


class _OneAtATime:
    """An external Python classifier, called from one thread at a time."""

    def __init__(self, own: Classifier) -> None:
        self.hash, self._own = own.hash, own
        self._turn = threading.Lock()

    def classify(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One classification for each post. Raises BadAnswer as `ask` does, and Unanswered after several tries."""
        return _patiently(lambda: self.ask(texts, langs, brands))

    def ask(self, texts: Sequence[str], langs: Sequence[str], brands: Sequence[str]) -> list[Classification]:
        """One classification for each post, from the Python classifier."""
        with self._turn:
            return self._own.classify(texts, langs, brands)


def _patiently(ask: Callable[[], list[Classification]]) -> list[Classification]:
    """The answer of `ask`. Calls `ask` again a few times while the classifier does not answer. Raises Unanswered."""
    for attempt in stamina.retry_context(on=Unanswered, attempts=_TRIES, timeout=None):
        with attempt:
            return ask()
    raise TypeError("tried at least once")


def described(path: Path, route: HttpRoute = _ROUTE) -> External:
    """The classifier that a JSON file describes. route: to its server. Raises UsageError, which names the file; SinkError."""
    content = path.read_bytes()
    hash = hashlib.sha256(content).hexdigest()
    try:
        told = msgspec.json.decode(content, type=Description)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    if (told.http is None) == (told.python is None):
        raise UsageError(f"{path}: name just one of http and python")
    if told.http is not None:
        return HttpClassifier(hash, told.http, told.timeout, route)
    module, _, name = (told.python or "").partition(":")
    try:
        made: Classifier = getattr(import_module(module), name)(hash)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}: python: {told.python!r} cannot be had: {error}") from None
    return _OneAtATime(made)


def _sent(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD, because UTF-8 cannot express them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _classification(answer: _Answer) -> Classification:
    confidence = max(answer.probabilities)
    label = LABELS[answer.probabilities.index(confidence)]
    return Classification(label, confidence, answer.probabilities, answer.lang)
