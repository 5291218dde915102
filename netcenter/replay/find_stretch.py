"""Finds the stretch of the log that the user wants to replay."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import OffsetRange, committed_ranges_at
from netcenter.broker.policy_topic import stored_policies
from netcenter.broker.refused_records import RefusedRecords
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError, UsageError
from netcenter.pipeline import PIPELINE
from netcenter.replay.seek import Seeker, decoded, source_of, time_of
from netcenter.replay.stretch import Stretch, as_clock
from netcenter.runtime.classifiers import lacks_model
from netcenter.settings import Settings
from schemas.records import PolicyChanged, Tick
from schemas.times import rfc3339
from streams.core import Fact
from streams.kafka_connection import KafkaConnection
from streams.policies import passed_over

SOURCES = ("mentions", "classified")
"""The topics that can be replayed. `classified` replaces `mentions` where `mentions` does not go back far enough."""


@dataclass(frozen=True)
class Range:
    """The part of the log that the user wants: event times (ms), or offsets of `mentions` with both ends inclusive, or
    all.
    """

    topic: str
    since: int | None = None
    until: int | None = None
    offsets: Mapping[int, OffsetRange] = field(default_factory=dict)


def find(settings: Settings, kafka: KafkaConnection, wanted: Range) -> Stretch:
    """The stretch of the log and the policies in force in it. Raises CommandError, also when it holds no record."""
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
    wrong = [n for n in wanted.offsets if n >= settings.partitions]
    if wrong:
        raise UsageError(f"--offsets {wrong[0]}: there are {settings.partitions} partitions, from 0")
    policies = stored_policies(settings, kafka)
    sources = SOURCES if wanted.topic == SOURCES[0] else (wanted.topic,)
    logs = {topic: _log(settings, kafka, topic, wanted) for topic in sources}
    refused = RefusedRecords(settings, kafka, [topic.name for topic in PIPELINE.topics])
    with Seeker(kafka, refused) as seeker:
        topic = next((t for t, log in logs.items() if _reaches(seeker, t, log, wanted)), wanted.topic)
        log = logs[topic]
        found = {tp: _span(seeker, topic, tp, span, wanted) for tp, span in log.items()}
        if not any(seeker.first(tp, span, _fact) for tp, span in found.items()):
            raise CommandError(_nothing(seeker, topic, log))
        opening, stamps = dict[int, Fact](), list[int]()
        for tp, (start, end) in found.items():
            ends = (seeker.first(tp, (start, end), _any), seeker.last_before(tp, end, start, _any))
            stamps += [raw.timestamp for raw in ends if raw is not None]
            before = _opening(seeker, tp, (start, end), log[tp][0])
            if before is not None:
                opening[tp.partition] = before
        texts = {version: held.text for version, held in policies.items()}
        held = {v: p for v, p in policies.items() if v == min(policies) or not passed_over(v, texts, lacks_model)}
        in_force = {tp.partition: seeker.policy(tp, found[tp][0], log[tp][0], held) for tp in found}
    return Stretch(
        settings=settings,
        kafka=kafka,
        topic=topic,
        spans={tp.partition: span for tp, span in found.items()},
        opening=opening,
        stamps=(min(stamps), max(stamps)),
        policies=texts,
        refused=refused,
        in_force=[in_force.get(n, min(in_force.values())) for n in range(settings.partitions)],
    )


def _log(settings: Settings, kafka: KafkaConnection, topic: str, wanted: Range) -> dict[TopicPartition, OffsetRange]:
    """The offsets that the topic still holds, of the requested partitions."""
    numbers = sorted(wanted.offsets) or range(settings.partitions)
    return committed_ranges_at(kafka, [TopicPartition(settings.prefix + topic, n) for n in numbers])


def _reaches(seeker: Seeker, topic: str, log: dict[TopicPartition, OffsetRange], wanted: Range) -> bool:
    """Whether a topic still holds the beginning of the requested stretch."""
    for tp, span in log.items():
        if span[0] == 0:
            continue
        if wanted.offsets and topic == SOURCES[0]:
            reaches = span[0] <= wanted.offsets[tp.partition][0]
        else:
            value, least = _begin(wanted, tp.partition)
            first = seeker.first(tp, span, value)
            reaches = first is not None and (value(first) or 0) <= least
        if not reaches:
            return False
    return True


def _begin(wanted: Range, number: int) -> tuple[Any, int]:
    if wanted.offsets:
        return source_of, wanted.offsets[number][0]
    return time_of, wanted.since or 0


def _span(seeker: Seeker, topic: str, tp: TopicPartition, log: OffsetRange, wanted: Range) -> OffsetRange:
    """The offsets to replay. For a stretch by time: from the last Tick at or before `since` to the first at or after
    `until`.
    """
    first, end = log
    if wanted.offsets:
        low, high = wanted.offsets[tp.partition]
        if topic == SOURCES[0]:
            return max(first, low), min(end, high + 1)
        _, begin = seeker.part(tp, log, source_of, low)
        _, after = seeker.part(tp, log, source_of, high + 1)
        return end if begin is None else begin.offset, end if after is None else after.offset
    if wanted.since is not None:
        before, at = seeker.part(tp, log, time_of, wanted.since)
        begin = at if at is None or before is None or time_of(at) == wanted.since else before
        first = end if begin is None else first if before is None else begin.offset
    if wanted.until is not None:
        _, after = seeker.part(tp, log, time_of, wanted.until)
        end = end if after is None else after.offset + 1
    return first, max(first, end)


def _opening(seeker: Seeker, tp: TopicPartition, span: OffsetRange, first: int) -> Fact | None:
    """The last Tick before a stretch. None when the stretch begins with a Tick or with the log, or no Tick is left."""
    start, end = span
    raw = next(seeker.records(tp, start, end), None) if start > 0 else None
    if raw is None or time_of(raw) is not None:
        return None
    before = seeker.last_before(tp, start, first, time_of)
    tick = decoded(before) if before is not None else None
    return as_clock(tick.clock, tp.partition, time_of(before) or 0, start) if isinstance(tick, Tick) else None


def _any(raw: Any) -> int:
    return int(raw.offset)


def _fact(raw: Any) -> int | None:
    return None if isinstance(decoded(raw), Tick | PolicyChanged) else int(raw.offset)


def _nothing(seeker: Seeker, topic: str, log: dict[TopicPartition, OffsetRange]) -> str:
    """An error text that says which offsets and times the topic holds instead."""
    held = []
    for tp, (first, end) in log.items():
        ticks = seeker.first(tp, (first, end), time_of), seeker.last_before(tp, end, first, time_of)
        times = " to ".join(rfc3339(time_of(tick) or 0) for tick in ticks if tick is not None)
        held.append(f"{tp.topic}/{tp.partition} holds offsets {first} to {end - 1}, {times or 'no time'}")
    return "\n".join([f"no post, reply or action in that stretch of {topic}; check --since, --until, --offsets", *held])
