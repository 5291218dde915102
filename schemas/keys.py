"""The keys of the topics: what a record is keyed by, as UTF-8 bytes."""

from __future__ import annotations

from typing import Any

from schemas.records import ClassifiedMention, Overflowed, PolicyChanged, SourceIdle, Tick

#: Records that stand in every partition and have no key of their own.
KEYLESS = frozenset({Tick, PolicyChanged, SourceIdle})


def customer(record: Any) -> bytes:
    """`brand|channel|author_id`: whatever follows the second bar is the author's id."""
    if type(record) is ClassifiedMention:
        record = record.mention
    return f"{record.brand}|{record.channel}|{record.author_id}".encode("utf-8", "replace")


def brand(record: Any) -> bytes:
    """The brand."""
    return str(record.brand).encode()


def desk(record: Any) -> bytes:
    """The desk."""
    return str(record.desk).encode()


def work_desk(record: Any) -> bytes:
    """The desk that must act: an Overflowed goes to the next one."""
    return desk(record) if type(record) is not Overflowed else record.next_desk.encode()


def identity(record: Any) -> bytes:
    """An alert's identity."""
    return str(record.identity).encode()


def version(record: Any) -> bytes:
    """A policy's version."""
    return b"%d" % record.version
