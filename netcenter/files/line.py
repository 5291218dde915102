"""One record of a file, a row that is refused, a policy that a file brings into force, and the error of a file that
cannot be read.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from schemas.records import Record, Time

Topic = Literal["mentions", "classified", "desk", "volumes", "policy"]


class FileError(ValueError):
    """The message is `<file>:<line>: <field>: what is wrong and how to correct it`; it never quotes a text or an
    author.
    """


class PolicyText(Record, kw_only=True, frozen=True, gc=False):
    """A policy that comes into force within a file. It is no record of the log: there `netcenter policy apply` writes one."""

    at: Time
    """ms; from when on it is in force."""
    file: str
    """The file of the policy, as the line names it."""
    text: str


class Line(msgspec.Struct, frozen=True):
    """One record of a file."""

    at: int
    """ms; its place in the order of play: received_at, else created_at, observed_at or at; of a count, the end of its minutes."""
    topic: Topic
    """Where it belongs."""
    record: Record
    number: int
    """The number of the line on which the record starts, from 1."""


class Refused(msgspec.Struct, frozen=True):
    """A row of a file that makes no record."""

    number: int
    """The number of the line on which the row starts, from 1."""
    field: str
    """The field that is wrong; empty where the whole row is."""
    why: str
    """What is wrong and how to correct it. It never quotes a text or an author."""
    raw: str
    """The row as it stands in the file, without the line end."""

    def in_words(self, file: str) -> str:
        """`<file>:<line>: <field>: <why>`."""
        return f"{file}:{self.number}: {self.field + ': ' if self.field else ''}{self.why}"
