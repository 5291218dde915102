"""What stands in the topics and tables at the end, beside what a replay with no Kafka says should."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
from kafka import TopicPartition
from msgspec.structs import replace
from psycopg2.extensions import make_dsn

from agents.classify.volumes import LATEST
from agents.policy import Policy
from netcenter.broker.client import open_consumer
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import batches_of
from netcenter.files.line import Line
from netcenter.ingest.schedule import in_order_of_play
from netcenter.pipeline import PIPELINE, PUBLIC
from netcenter.replay import Replay
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.headers import source_of
from schemas.keys import KEYLESS, customer
from schemas.records import (
    Action,
    Alert,
    ClassifiedMention,
    Decided,
    Kind,
    Mention,
    Record,
    SurgeOpened,
    SurgeUpdated,
    Volume,
)
from schemas.times import rfc3339
from sinks.port import SinkItem
from sinks.postgres.sink import PostgresSink
from sinks.postgres.tables import TABLES
from streams.core import Fact
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from tests.support.chaos import create_database

MINUTE = 60_000
_SHOWN = 12


@dataclass(frozen=True)
class Row:
    """A committed record of a topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    stamp: int
    record: Record | None

    @property
    def source(self) -> tuple[str, int] | None:
        """(topic, partition) of the fact that led to it; None for what a tool wrote, and for time."""
        found = source_of(self.headers.items())
        return None if found is None else found[:2]


Log = dict[str, list[Row]]


def read_all(settings: Settings, kafka: KafkaConnection, *only: str, fuzzed: bool = False) -> Log:
    """Every committed record of every topic of the pipeline (or of these), partition by partition in order.

    fuzzed: bytes that are no record are no record; otherwise they fail.
    """
    every = [t for t in (*PIPELINE.topics, *PIPELINE.dead_topics()) if t.name not in ("policy", PIPELINE.watermarks)]
    wanted = [t for t in every if not only or t.name in only]
    log: Log = {t.name: [] for t in wanted}
    counts = {t.name: PIPELINE.partitions(t.name, settings.partitions) for t in wanted}
    tps = [TopicPartition(settings.prefix + name, n) for name, count in counts.items() for n in range(count)]
    raw: dict[TopicPartition, list[Any]] = {tp: [] for tp in tps}
    ranges = committed_ranges_at(kafka, tps)
    with closing(open_consumer(kafka)) as consumer:
        for batch in batches_of(consumer, ranges, 5_000):
            for tp, rows in batch.items():
                raw[tp] += rows
    for tp, rows in raw.items():
        name = tp.topic.removeprefix(settings.prefix)
        for r in rows:
            record: Record | None = None
            if not name.endswith(".dead") and r.value is not None:
                with suppress(*((WireError,) if fuzzed else ())):
                    record = codec.decode(r.value)
            log[name].append(Row(name, r.partition, r.offset, r.key, r.value, dict(r.headers), r.timestamp, record))
    return log


# --- records beside records ---------------------------------------------------------------------------------------


def told(record: Any) -> str:
    """One line of a history."""
    what = getattr(record, "change", None) or getattr(record, "state", None) or ""
    time, seq = getattr(record, "time", None), getattr(record, "seq", "-")
    return f"{seq:>4} {rfc3339(time) if time else '':24} {type(record).__name__:18} {what:12} {getattr(record, 'reason', '')[:90]}"


def _fields(ours: Record, theirs: Record) -> str:
    if type(ours) is not type(theirs):
        return f"  {type(ours).__name__} where {type(theirs).__name__} was expected"
    names = [n for n in ours.__struct_fields__ if getattr(ours, n) != getattr(theirs, n)]
    return "\n".join(f"  {n}: {getattr(ours, n)!r} where {getattr(theirs, n)!r} was expected" for n in names)


def same(ours: Sequence[Record], theirs: Sequence[Record], what: str) -> None:
    """Fails unless both hold the same records in the same order; shows where they part."""
    if list(ours) == list(theirs):
        return
    at = next((n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    lines = [f"{what}: {len(ours)} records where {len(theirs)} were expected, the first difference is number {at}"]
    if at < min(len(ours), len(theirs)):
        lines.append(_fields(ours[at], theirs[at]))
    for name, found in (("found", ours), ("expected", theirs)):
        lines.append(f" {name}:")
        lines += [
            f" {'>' if n == at else ' '} {told(r)}" for n, r in enumerate(found) if at - _SHOWN <= n <= at + _SHOWN
        ]
    raise AssertionError("\n".join(lines))


def histories(found: Iterable[Record | None]) -> dict[str, list[Decided]]:
    """Decided events by aggregate, in order."""
    grouped: dict[str, list[Decided]] = defaultdict(list)
    for record in found:
        if isinstance(record, Decided):
            grouped[record.aggregate].append(record)
    return grouped


def unless_escalated(alerts: Iterable[Record | None]) -> list[Record | None]:
    """Alerts without those of escalated cases."""
    return [alert for alert in alerts if not (isinstance(alert, Alert) and alert.kind == "escalation")]


def without_offsets(record: Record | None) -> Record | None:
    """A surge as it would be told over any log: where its posts stand is each log's own."""
    if not isinstance(record, SurgeOpened | SurgeUpdated):
        return record
    return replace(record, evidence=replace(record.evidence, offsets=[]))


def same_histories(ours: dict[str, list[Decided]], theirs: dict[str, list[Decided]], what: str) -> None:
    """Fails unless every aggregate has the same whole history in both; shows the earliest that differs."""
    different = [a for a in ours.keys() | theirs.keys() if ours.get(a) != theirs.get(a)]
    if not different:
        return

    def parted(aggregate: str) -> int:
        a, b = ours.get(aggregate, []), theirs.get(aggregate, [])
        pairs = zip(a, b, strict=False)
        first = next((x for x, y in pairs if x != y), None) or (a[len(b) :] or b[len(a) :])[0]
        return first.time

    first = min(different, key=lambda a: (parted(a), a))
    missing, more = sum(a not in ours for a in different), sum(a not in theirs for a in different)
    summary = f"{what}: {len(different)} of {len(theirs)} histories differ ({missing} missing, {more} that should not be); {first}"
    same(ours.get(first, []), theirs.get(first, []), summary)


def same_as_its_input_topic(log: Log, name: str, policy: str, partitions: int, but: Iterable[str] = ()) -> None:
    """Fails unless all that a role wrote is what its decider makes of its input topic, topic by topic, in order.

    but: topics that are left out.
    """
    role = PIPELINE.role(name)
    for number in range(partitions):
        expected: defaultdict[str, list[Record]] = defaultdict(list)
        alone = Replay({1: policy}, partitions, partial(_keep, expected), roles=[role])
        rows = [r for r in log[role.input_topic] if r.partition == number]
        alone.append(
            role.input_topic, number, [Fact(r.offset, r.record, r.stamp) for r in rows if r.record is not None]
        )
        alone.drain()
        assert alone.dead_letters == 0, (
            f"{name} could not handle {alone.dead_letters} facts of {role.input_topic}/{number}"
        )
        for topic in (PIPELINE.topic(name) for name in role.writes if name not in (PIPELINE.watermarks, *but)):
            key = topic.key
            for target in range(partitions):
                ours = [
                    r.record
                    for r in log[topic.name]
                    if r.partition == target and r.source == (role.input_topic, number)
                ]
                theirs = [r for r in expected[topic.name] if partition_of(key(r), partitions) == target]
                what = f"{topic.name}/{target} as decided from {role.input_topic}/{number}"
                same([r for r in ours if r is not None], theirs, what)


def _keep(found: defaultdict[str, list[Record]], topic: str, records: list[Record]) -> None:
    found[topic] += records


# --- each record once ---------------------------------------------------------------------------------------------


def identity(record: Record) -> str | None:
    """What must not come twice in a topic."""
    return record.mention.id if isinstance(record, ClassifiedMention) else getattr(record, "id", None)


def twice(log: Log, but: Iterable[str]) -> dict[str, list[str]]:
    """Ids that stand more than once in a topic, by topic."""
    found = {}
    for name, rows in log.items():
        counts = Counter(identity(r.record) for r in rows if r.record is not None and type(r.record) not in KEYLESS)
        again = [str(id) for id, count in counts.items() if id is not None and count > 1]
        if again and name not in but:
            found[name] = again
    return found


def gaps(log: Log) -> list[str]:
    """Histories whose sequence is not 1, 2, 3 in a public topic."""
    found = []
    for name in PUBLIC:
        for aggregate, events in histories(r.record for r in log[name]).items():
            numbers = [e.seq for e in events]
            if numbers != list(range(1, len(numbers) + 1)):
                found.append(f"{name} {aggregate}: {numbers[:40]}")
    return found


# --- volumes ------------------------------------------------------------------------------------------------------

Counts = dict[tuple[str, int, int], Counter[tuple[str, str]]]
_OLDER = ("", "older")
"""The place of posts that are too old to be counted by channel."""


def counted(lines: list[Line], policy: Policy, partitions: int, *, until: int) -> Counts:
    """Posts by (brand, minute in which they were read, partition), each by (channel, share or post), the oldest apart: straight from
    the file.
    """
    found: Counts = defaultdict(Counter)
    seen: set[str] = set()
    now = 0
    for item in in_order_of_play(lines, interval=MINUTE, run_on=until):
        if isinstance(item, int):
            now = item
            continue
        post = item.record
        if not isinstance(post, Mention) or post.id in seen:
            continue
        seen.add(post.id)
        if post.author_id in policy.brand(post.brand).accounts.get(post.channel, ()):
            continue
        number, minute = partition_of(customer(post), partitions), now - now % MINUTE
        old = minute - post.created_at > LATEST
        found[post.brand, minute, number][_OLDER if old else (post.channel, _share_or_post(post.kind))] += 1
    return dict(found)


def told_volumes(log: Log) -> Counts:
    """The same from the Volumes: of each place the one with the highest offset counts."""
    newest: dict[tuple[str, int, int], Volume] = {}
    for row in log["volumes"]:
        v = row.record
        if isinstance(v, Volume):
            place = (v.brand, v.minute, v.partition)
            if place not in newest or newest[place].offset < v.offset:
                newest[place] = v
    found: Counts = {}
    for place, volume in newest.items():
        counts: Counter[tuple[str, str]] = Counter()
        for c in [*volume.counts, *(c for late in volume.late for c in late.counts)]:
            counts[c.channel, _share_or_post(c.kind)] += c.count
        if volume.older:
            counts[_OLDER] = volume.older
        found[place] = counts
    return found


def _share_or_post(kind: Kind) -> Kind:
    """Of late posts a Volume tells only shares from others."""
    return "share" if kind == "share" else "post"


# --- PostgreSQL ---------------------------------------------------------------------------------------------------


def folded(settings: Settings, log: Log, name: str) -> str:
    """The URI of a new database that holds what the sink makes of the topics when nothing disturbs it."""
    server = settings.postgres or ""
    create_database(server, name)
    uri = make_dsn(server, dbname=name)
    fold_into(uri, log, settings.prefix)
    return uri


def fold_into(uri: str, log: Log, prefix: str) -> None:
    """Writes what the sink makes of the topics, which have a prefix, into a database."""
    sink = PostgresSink(uri, prefix=prefix)
    sink.open()
    try:
        for topic in PIPELINE.role("postgres").reads:
            items = [
                SinkItem(topic, r.partition, r.offset, r.key, r.record, list(r.headers.items()), r.stamp)
                for r in log[topic]
            ]
            for start in range(0, len(items), 5_000):
                refused = sink.write(items[start : start + 5_000])
                assert not refused, refused[:3]
    finally:
        sink.close()


def remembered(classified: Iterable[Record | None]) -> list[str]:
    """Ids of the posts whose customers were not forgotten after them, in the order of the partitions."""
    kept: dict[bytes, list[str]] = defaultdict(list)
    for record in classified:
        if isinstance(record, ClassifiedMention):
            kept[customer(record)].append(record.mention.id)
        elif isinstance(record, Action) and record.action == "forget":
            kept.pop(customer(record), None)
    return [id for ids in kept.values() for id in ids]


def tables(uri: str) -> dict[str, dict[str, Any]]:
    """Every row of every table, by table and key."""
    connection = psycopg2.connect(uri)
    try:
        with connection.cursor() as cursor:
            found = {}
            kept = {"sink_offsets": ("topic", "partition"), "forgotten": ("customer",)}
            keys = {t.name: t.key for t in TABLES} | kept
            for name, key in keys.items():
                cursor.execute(f"select * from {name}")
                names = [c.name for c in cursor.description or ()]
                rows = [dict(zip(names, values, strict=True)) for values in cursor]
                found[name] = {" ".join(str(row[k]) for k in key): row for row in rows}
            return found
    finally:
        connection.close()


def same_tables(ours: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> None:
    """Fails unless every table has the same rows; shows the first that differs."""
    for name, expected in theirs.items():
        found = ours[name]
        different = sorted(k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k))
        if different:
            a, b = found.get(different[0]), expected.get(different[0])
            if a is not None and b is not None:
                what = {c: (_plain(a[c]), _plain(b[c])) for c in b if a[c] != b[c]}
            else:
                what = {"found": (a, None), "expected": (b, None)}
            raise AssertionError(
                f"table {name}: {len(different)} rows differ; the first is {different[0]}: (found, expected) {what}"
            )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else value
