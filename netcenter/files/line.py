"""One record of a file, and the error of a file that cannot be read."""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.records import Record

Topic = Literal["mentions", "classified", "desk", "volumes"]


class FileError(ValueError):
    """The message is `<file>:<line>: <field>: what is wrong and how to correct it`; it never quotes a text or an
    author.
    """


class Line(msgspec.Struct, frozen=True):
    """One record of a file."""

    at: int
    """ms; its place in the order of play: received_at, else created_at, observed_at, at or minute."""
    topic: Topic
    """Where it belongs."""
    record: Record
    number: int
    """The number of the line on which the record starts, from 1."""
