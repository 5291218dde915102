"""The key of each record in each topic, as UTF-8 bytes."""

from __future__ import annotations

from typing import Any

from schemas.records import ClassifiedMention, PolicyChanged, SourceIdle, Tick

#: Control records: they are written to every partition and have no key.
KEYLESS = frozenset({Tick, PolicyChanged, SourceIdle})
ALL_DESKS = b"desks"
"""The key of every record in the topic `desk`."""


def customer(record: Any) -> bytes:
    """`brand|channel|author_id`; the author's id may hold `|`, so it is the last part of the key."""
    if type(record) is ClassifiedMention:
        record = record.mention
    return f"{record.brand}|{record.channel}|{record.author_id}".encode("utf-8", "replace")


def brand(record: Any) -> bytes:
    """The brand."""
    return str(record.brand).encode()


def desk(record: Any) -> bytes:
    """The desk."""
    return str(record.desk).encode()


def all_desks(_record: Any) -> bytes:
    """The same for all: the desks are decided together, because an operator who works at two of them has one capacity."""
    return ALL_DESKS


def fingerprint(record: Any) -> bytes:
    """An alert's fingerprint."""
    return str(record.fingerprint).encode()


def delivery(record: Any) -> bytes:
    """The receiver and the alert's fingerprint: `receiver|fingerprint`."""
    return f"{record.receiver}|{record.fingerprint}".encode()


def tick_writer(record: Any) -> bytes:
    """The writer of a Tick: `role/partition`."""
    return f"{record.role}/{record.partition}".encode()


def version(record: Any) -> bytes:
    """A policy's version."""
    return b"%d" % record.version
