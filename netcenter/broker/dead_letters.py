"""Dead letters as the log tells them: where each stood, why, what became of it, and whether it can be put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kafka import TopicPartition

from netcenter.broker.reading import Span, records, spans
from netcenter.broker.topics import admin, as_in_log, counts_of
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.dead_letters import DEAD_LETTER, ORIGIN, STATE, failure_of, is_mark, text, without_failure
from schemas.keys import KEYLESS
from schemas.records import Record
from streams.topology import Batch

State = Literal["waiting", "put back", "failed again", "discarded"]
Mark = Literal["put back", "discarded"]
_WRITER = "ce_source"
_SINK = "sink"


@dataclass(frozen=True)
class Letter:
    """A record that could not be handled."""

    id: str
    """topic/partition/offset of the dead letter itself."""
    topic: str
    partition: int
    offset: int
    """Where the record stood."""
    stage: str
    error: str
    message: str
    at: int
    """ms; the broker's time of the dead letter."""
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    state: State = "waiting"
    came_back: str | None = None
    """The letter that it became when it failed again."""

    @property
    def origin(self) -> str:
        """Where the record stood, and whether a sink alone has refused it: then a role's letter of it is another matter."""
        return f"{self.topic}/{self.partition}/{self.offset}{' sink' if self.stage == _SINK else ''}"

    def record(self) -> Record | None:
        """The record, where its bytes can be read."""
        try:
            return codec.decode(self.value)
        except WireError:
            return None

    def stays(self) -> str | None:
        """Why it is not put back, and what to do instead; None where it can be."""
        if self.topic not in {t.name for t in PIPELINE.topics}:
            return "it does not say which topic it came from: its headers may tell who wrote it"
        if self.key is None and self.value is None:
            return "it has neither key nor value: discard it"
        there = f"it stands at {self.topic}/{self.partition}/{self.offset}"
        if self.stage == _SINK:
            says = f"{there}, and a receiver has refused it: mend that, then `netcenter rebuild` gives PostgreSQL all again"
            others = [
                r.name for r in PIPELINE.roles if not r.decides and r.name != PROJECTION and self.topic in r.reads
            ]
            return says + "".join(f", or set the group of {r} back to that offset, its worker stopped" for r in others)
        kind = codec.kind(self.value)
        if kind in KEYLESS:
            return f"a {kind.__name__} holds only where it stood: discard it"
        if self.topic not in _inputs() or (PIPELINE.topic(self.topic).public and self._is_ours()):
            return (
                f"{there}, where Netcenter itself wrote it, and a copy would be read as another: after a mend `netcenter "
                "replay --log mentions` tells what it leads to"
            )
        return None

    def _is_ours(self) -> bool:
        """Whether a role wrote the record; else people's tools or producers did."""
        writer = dict(self.headers).get(_WRITER) or b""
        return any(writer.endswith(role.name.encode()) for role in PIPELINE.roles if self.topic in role.writes)


def _inputs() -> set[str]:
    """The input topics but for those that mirror another: what is in these, only its role writes."""
    mirrors = {role.shape.output_topic for role in PIPELINE.roles if isinstance(role.shape, Batch)}
    return set(PIPELINE.input_topics()) - mirrors


@dataclass
class _Marks:
    """What has become of letters."""

    by_id: dict[str, Mark] = field(default_factory=dict)
    by_origin: dict[str, Mark] = field(default_factory=dict)
    """A record that two have refused, or one sink twice, has several letters, and is put back for all of them."""
    came_back: dict[str, str] = field(default_factory=dict)

    def of(self, letter: Letter) -> Letter:
        """The letter with its state."""
        mark = self.by_id.get(letter.id) or self.by_origin.get(letter.origin)
        again = self.came_back.get(letter.id) if mark == "put back" else None
        return replace(letter, state="failed again" if again else mark or "waiting", came_back=again)


def letters(settings: Settings, kafka: str) -> Iterator[Letter]:
    """Every dead letter with what has become of it, in the order of topics and partitions."""
    found = _spans(settings, kafka)
    marks = _Marks()
    for record in records(kafka, found):
        _note(settings, record, marks)
    for record in records(kafka, found):
        if not is_mark(record.headers):
            yield marks.of(_letter(settings, record))


def count_waiting(settings: Settings, kafka: str) -> int:
    """How many letters nobody has put back or discarded."""
    marks, seen = _Marks(), list[tuple[str, str]]()
    for record in records(kafka, _spans(settings, kafka)):
        _note(settings, record, marks)
        if not is_mark(record.headers):
            letter = _letter(settings, record)
            seen.append((letter.id, letter.origin))
    return sum(id not in marks.by_id and origin not in marks.by_origin for id, origin in seen)


def _spans(settings: Settings, kafka: str) -> dict[TopicPartition, Span]:
    with closing(admin(kafka)) as client:
        as_in_log(settings, client)  # else a wrong prefix would have no letters
        have = set(client.list_topics())
        names = [name for t in PIPELINE.dead_topics() if (name := settings.prefix + t.name) in have]
        counts = counts_of(client, names) if names else {}
        return spans(client, [TopicPartition(name, n) for name, count in counts.items() for n in range(count)])


def _note(settings: Settings, r: Any, marks: _Marks) -> None:
    head = dict(r.headers)
    about = text(head.get(DEAD_LETTER)) or ""
    if not is_mark(r.headers):
        if about:
            marks.came_back[about] = _id(settings, r)
    elif head[STATE] == b"discarded":
        marks.by_id[about] = "discarded"
    else:
        marks.by_id[about] = marks.by_origin[text(head.get(ORIGIN)) or ""] = "put back"


def _id(settings: Settings, r: Any) -> str:
    return f"{r.topic.removeprefix(settings.prefix)}/{r.partition}/{r.offset}"


def _letter(settings: Settings, r: Any) -> Letter:
    failure = failure_of(r.headers)
    return Letter(
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
    )
