"""The order of a file in time: whether it can be played while it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from netcenter.files.file_reader import Place
from netcenter.files.line import FileError, Line, PolicyText
from schemas.records import ContactCount


class TimeOrder(msgspec.Struct, frozen=True):
    """What a look at the times of a file tells."""

    rows: int
    sorted: bool
    """Whether no record is earlier than one before it."""
    policy: int | None
    """The number of the first line that holds a policy."""


def time_order(found: Iterable[Place]) -> TimeOrder:
    """Look at the classes and times of all rows, see `netcenter.files.file_reader.places`. Raises FileError as that does."""
    rows, newest, ordered, policy = 0, 0, True, None
    for number, cls, at in found:
        rows += 1
        if cls is not None:
            if at < newest or cls is ContactCount:
                ordered = False  # when the minutes of a count are over is known from several rows
            newest = at
            if cls is PolicyText and policy is None:
                policy = number
    return TimeOrder(rows, ordered, policy)


def still_in_order(lines: Iterable[Line], file: str) -> Iterator[Line]:
    """The lines of a file whose order was looked at before. Raises FileError where it is no longer so."""
    newest = 0
    for line in lines:
        if line.at < newest:
            raise FileError(f"{file}:{line.number}: is earlier than a line before it: was the file changed meanwhile?")
        newest = line.at
        yield line
