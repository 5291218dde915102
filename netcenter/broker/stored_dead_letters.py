"""Reads the dead letters of the log: where each record was, why it failed, and whether the dead letter was redriven or
discarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kafka import TopicPartition

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import OffsetRange, committed_ranges
from netcenter.broker.reading import records_of
from netcenter.broker.topics import partition_counts, settings_of_log
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.dead_letter_headers import DEAD_LETTER, ORIGIN, STATE, failure_of, is_mark, text, without_failure
from schemas.headers import ce_source
from schemas.keys import KEYLESS
from schemas.records import Record
from streams.kafka_connection import KafkaConnection
from streams.received_batches import Withheld

State = Literal["waiting", "redriven", "failed again", "discarded"]
Mark = Literal["redriven", "discarded"]
"""The content of a mark: a record of a `.dead` topic about an earlier dead letter. A mark is not a dead letter
itself.
"""
_SOURCE = "ce_source"
_SINK = "sink"


@dataclass(frozen=True)
class StoredDeadLetter:
    """A record that could not be handled, as its dead letter in the log describes it."""

    id: str
    """topic/partition/offset of the dead letter itself."""
    topic: str
    """The topic that held the record."""
    partition: int
    offset: int
    stage: str
    error: str
    message: str
    at: int
    """ms; the broker's time of the dead letter."""
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    """The record's own headers."""
    writer: str = ""
    """The role that wrote the record, by its headers; empty where a command or another producer wrote it."""
    state: State = "waiting"
    failed_again_as: str | None = None
    """The id of the newer dead letter, if the record failed again after a redrive."""

    @property
    def origin(self) -> str:
        """The record's place in the log, followed by ` sink` when only a sink has refused the record. Dead letters with
        the same origin are redriven together. A role's and a sink's dead letters of one record have different origins.
        """
        return f"{self.topic}/{self.partition}/{self.offset}{' sink' if self.stage == _SINK else ''}"

    def record(self) -> Record | None:
        """The record; None where its bytes cannot be decoded."""
        try:
            return codec.decode(self.value)
        except WireError:
            return None

    def obstacle(self) -> str | None:
        """Why the record cannot be redriven, and what to do instead; None where it can be redriven."""
        if self.topic not in {t.name for t in PIPELINE.topics}:
            return "it does not say which topic it came from: its headers may tell who wrote it"
        if self.key is None and self.value is None:
            return "it has neither key nor value: discard it"
        if self.value is not None and self.value.startswith(Withheld.BEGINNING):
            return "of its record only the size and the SHA-256 are kept: discard it"
        place = f"it stands at {self.topic}/{self.partition}/{self.offset}"
        if self.stage == _SINK:
            others = [r for r in PIPELINE.roles if not r.decides and r.name != PROJECTION and self.topic in r.reads]
            mend = f"{place}, and a receiver has refused it: mend that, then `netcenter rebuild` gives PostgreSQL all again"
            return mend + "".join(
                f"; {r.name} tells the next version of the alert"
                if r.writes
                else f", or set the group of {r.name} back to that offset, its worker stopped"
                for r in others
            )
        kind = codec.kind(self.value)
        if kind in KEYLESS:
            return f"a {kind.__name__} holds only where it stood: discard it"
        if self.topic not in _redrive_topics() or (PIPELINE.topic(self.topic).public and self.writer):
            return (
                f"{place}, where Netcenter itself wrote it, and a copy would be read as another record: after a mend "
                "`netcenter replay --log mentions` tells what it leads to"
            )
        return None


def _redrive_topics() -> set[str]:
    """The input topics, except topics that mirror another topic, because only a role writes to a mirror."""
    return set(PIPELINE.unmirrored_input_topics())


@dataclass
class _Marks:
    """The marks of all dead letters that were read."""

    by_id: dict[str, Mark] = field(default_factory=dict)
    by_origin: dict[str, Mark] = field(default_factory=dict)
    """If a role and a sink, or a sink twice, refused a record, it has several dead letters. One redrive settles all of
    them.
    """
    failed_again: dict[str, str] = field(default_factory=dict)
    """The id of the newer dead letter, by the id of the redriven dead letter."""

    def apply(self, letter: StoredDeadLetter) -> StoredDeadLetter:
        """The dead letter with its state."""
        mark = self.by_id.get(letter.id) or self.by_origin.get(letter.origin)
        again = self.failed_again.get(letter.id) if mark == "redriven" else None
        return replace(letter, state="failed again" if again else mark or "waiting", failed_again_as=again)


def read_dead_letters(settings: Settings, kafka: KafkaConnection) -> Iterator[StoredDeadLetter]:
    """Every dead letter with its state, in the order of topics and partitions.

    The topics are read twice, because a mark comes after the dead letter that it is about.
    """
    ranges = _ranges(settings, kafka)
    marks = _Marks()
    for record in records_of(kafka, ranges):
        _collect_mark(settings, record, marks)
    for record in records_of(kafka, ranges):
        if not is_mark(record.headers):
            yield marks.apply(_dead_letter(settings, record))


def count_waiting(settings: Settings, kafka: KafkaConnection) -> int:
    """The number of dead letters that were neither redriven nor discarded."""
    marks, seen = _Marks(), list[tuple[str, str]]()
    for record in records_of(kafka, _ranges(settings, kafka)):
        _collect_mark(settings, record, marks)
        if not is_mark(record.headers):
            letter = _dead_letter(settings, record)
            seen.append((letter.id, letter.origin))
    return sum(id not in marks.by_id and origin not in marks.by_origin for id, origin in seen)


def _ranges(settings: Settings, kafka: KafkaConnection) -> dict[TopicPartition, OffsetRange]:
    with closing(open_admin(kafka)) as client:
        # Raises an error for a wrong prefix, because otherwise there would seem to be no dead letters.
        settings_of_log(settings, client)
        counts = partition_counts(client, [settings.prefix + topic.name for topic in PIPELINE.dead_topics()])
        return committed_ranges(
            client, [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
        )


def _collect_mark(settings: Settings, r: Any, marks: _Marks) -> None:
    """Stores a mark. For a dead letter of a redriven record, stores the id of the record's earlier dead letter."""
    head = dict(r.headers)
    about = text(head.get(DEAD_LETTER)) or ""
    if not is_mark(r.headers):
        if about:
            marks.failed_again[about] = _id(settings, r)
    elif head[STATE] == b"discarded":
        marks.by_id[about] = "discarded"
    else:
        marks.by_id[about] = marks.by_origin[text(head.get(ORIGIN)) or ""] = "redriven"


def _id(settings: Settings, r: Any) -> str:
    return f"{r.topic.removeprefix(settings.prefix)}/{r.partition}/{r.offset}"


def _dead_letter(settings: Settings, r: Any) -> StoredDeadLetter:
    failure = failure_of(r.headers)
    return StoredDeadLetter(
        id=_id(settings, r),
        topic=failure.topic or "",
        partition=-1 if failure.partition is None else failure.partition,
        offset=-1 if failure.offset is None else failure.offset,
        stage=failure.stage or "",
        error=failure.error or "",
        message=failure.message or "",
        at=r.timestamp,
        key=r.key,
        value=r.value,
        headers=without_failure(r.headers),
        writer=_writer(settings, failure.topic or "", r),
    )


def _writer(settings: Settings, topic: str, r: Any) -> str:
    """The role that wrote a record of a topic; empty where none did."""
    source = text(dict(r.headers).get(_SOURCE))
    roles = (role.name for role in PIPELINE.roles if topic in role.writes)
    return next((role for role in roles if source == ce_source(settings.prefix + role)), "")
