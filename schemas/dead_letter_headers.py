"""Headers of the `.dead` topics: where a dead letter's record was, why it failed, and the marks that settle it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from schemas.headers import Headers

_PREFIX = "__connect.errors."
_TOPIC, _PARTITION, _OFFSET = _PREFIX + "topic", _PREFIX + "partition", _PREFIX + "offset"
_STAGE, _ERROR, _MESSAGE = _PREFIX + "stage", _PREFIX + "exception.class.name", _PREFIX + "exception.message"

#: The most digits of a number, so that it fits into a long.
_LONGEST_NUMBER = 18

DEAD_LETTER = "netcenter.dead_letter"
"""`topic/partition/offset` of a dead letter: on a redriven record, of its former dead letter; on a mark, of the dead
letter that the mark settles.
"""
STATE = "netcenter.state"
"""On a mark: whether the dead letter was redriven or discarded. A mark is a record of a `.dead` topic that is not a
dead letter.
"""
ORIGIN = "netcenter.origin"
"""On a mark: the origin of the dead letter that the mark settles."""


class Failure(NamedTuple):
    """The content of a dead letter's headers; a field is None where its header is missing or unreadable."""

    topic: str | None
    """Topic, partition and offset say where the record was."""
    partition: int | None
    offset: int | None
    stage: str | None
    error: str | None
    """The name of the error's class."""
    message: str | None


def failure_headers(topic: str, partition: int, offset: int, stage: str, error: str, message: str) -> Headers:
    """The headers that a record gets as a dead letter. `message` must not hold the words of a post."""
    return [
        (_TOPIC, topic.encode()),
        (_PARTITION, b"%d" % partition),
        (_OFFSET, b"%d" % offset),
        (_STAGE, stage.encode()),
        (_ERROR, error.encode()),
        (_MESSAGE, message.encode("utf-8", "replace")),
    ]


def failure_of(headers: Iterable[tuple[str, bytes | None]]) -> Failure:
    """Parses the headers of a dead letter. Any program may have written them, so every header is checked."""
    found = {name: value for name, value in headers if name.startswith(_PREFIX)}
    return Failure(
        topic=text(found.get(_TOPIC)),
        partition=_number(found.get(_PARTITION)),
        offset=_number(found.get(_OFFSET)),
        stage=text(found.get(_STAGE)),
        error=text(found.get(_ERROR)),
        message=text(found.get(_MESSAGE)),
    )


def without_failure(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """The headers that the record had before it became a dead letter."""
    return [(name, value) for name, value in headers if not name.startswith(_PREFIX)]


def is_mark(headers: Iterable[tuple[str, bytes | None]]) -> bool:
    """Whether a record of a `.dead` topic is a mark, not a dead letter."""
    names = {name for name, _ in headers}
    return STATE in names and _TOPIC not in names


def is_redriven(headers: Iterable[tuple[str, bytes | None]]) -> bool:
    """Whether a record of any other topic was sent again by `dead redrive`."""
    return any(name == DEAD_LETTER for name, _ in headers)


def text(value: bytes | None) -> str | None:
    """A header's value as text; bytes that are not UTF-8 become U+FFFD."""
    return None if value is None else value.decode("utf-8", "replace")


def _number(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) <= _LONGEST_NUMBER else None
