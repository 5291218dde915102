"""A toy pipeline on the real broker: its topics, its workers in processes of their own, what stands in its logs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from unittest import mock

from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from agents.policy import digest
from netcenter.broker import (
    command_headers,
    control_records,
    log_writer,
    policy_standing,
    provisioning,
    seeding,
    topics,
)
from netcenter.broker.client import open_admin, open_producer
from netcenter.broker.offsets import committed_ranges, log_ends
from netcenter.broker.reading import TopicFollower
from netcenter.settings import Settings
from schemas import codec, ids
from schemas.keys import KEYLESS, customer
from schemas.records import ClassifiedMention, Mention, PolicyChanged, Record, Tick
from streams.committed_offsets import parsed
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from tests.support import forked, toy
from tests.support.waiting import until

T = TypeVar("T")
#: 2026-11-20T12:00:00Z
NOON = 1_795_176_000_000
MINUTE = 60_000


def mention(author: str, number: int, text: str = "where is my bag", at: int = NOON, **more: Any) -> Mention:
    """A post of an author."""
    native_id = f"{author}-{number}"
    return Mention(
        id=ids.mention("andina", "twitter", native_id),
        brand="andina",
        channel="twitter",
        author_id=author,
        native_id=native_id,
        created_at=at,
        text=text,
        **more,
    )


def classified(post: Mention) -> ClassifiedMention:
    """The post as classify would write it."""
    return ClassifiedMention(
        label="question",
        confidence=0.9,
        uncertain=False,
        classified_lang="en",
        own=False,
        probabilities=[0.1, 0.9, 0.0, 0.0],
        model=toy.MODEL[:16],
        policy=1,
        mention=post,
    )


def author_on(partition: int, partitions: int, number: int = 0) -> str:
    """The number-th author whose posts belong on this partition."""
    found = (f"u{n}" for n in range(100_000) if partition_of(customer(mention(f"u{n}", 0)), partitions) == partition)
    for _ in range(number):
        next(found)
    return next(found)


def _child(
    log: Path, environment: dict[str, str], role: str, kafka: KafkaConnection, prefix: str, given: dict[str, Any]
) -> None:
    forked.speak_into(log)
    os.environ.update(environment)
    sys.exit(toy.worker(role, kafka, prefix, given))


@dataclass
class Row:
    """A committed record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    timestamp: int

    @cached_property
    def record(self) -> Record:
        """The decoded value."""
        return codec.decode(self.value)


class Worker:
    """A worker in a process of its own."""

    def __init__(self, process: Any, log: Path) -> None:
        self.process, self.log = process, log
        self._lines: list[dict[str, Any]] = []
        self._read = 0  # bytes of the log that `_lines` were read from

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """What it has logged as JSON, in whole lines; nothing once a test has deleted the log."""
        if not self.log.exists():
            self._lines, self._read = [], 0
        elif self.log.stat().st_size > self._read:
            with self.log.open("rb") as log:
                log.seek(self._read)
                new, end, _ = log.read().rpartition(b"\n")
            self._read += len(new + end)
            self._lines += [json.loads(line) for line in new.splitlines() if line.startswith(b"{")]
        return [line for line in self._lines if event in (None, line["event"])]

    def text(self) -> str:
        """All it has said."""
        return self.log.read_text() if self.log.exists() else ""

    def owned(self) -> list[int]:
        """Partitions of the newest assignment."""
        owned = self.lines("partitions owned")
        return owned[-1]["partitions"] if owned else []

    def send_signal(self, number: signal.Signals) -> None:
        """SIGSTOP, SIGCONT and the like."""
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """At once, without a word."""
        self.process.kill()
        self.process.join(10)

    def alive(self) -> bool:
        """Whether it still runs."""
        return bool(self.process.is_alive())

    def stop(self) -> int:
        """Ask it to stop; its exit code."""
        if self.alive():
            self.process.terminate()
        return self.ended(15)

    def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.text()[-2000:]}"
        return int(self.process.exitcode)


@dataclass
class World:
    """The toy's topics under one prefix."""

    kafka: KafkaConnection
    prefix: str
    folder: Path
    partitions: int = 2
    clock: Any = "event"
    workers: list[Worker] = field(default_factory=list)
    _admin: KafkaAdminClient | None = None

    def __enter__(self) -> Self:
        self.apply()
        self.producer: KafkaProducer = open_producer(self.kafka)
        self._readers: dict[str, tuple[TopicFollower, list[Row]]] = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            if worker.alive():
                worker.kill()
        for consumer, _ in self._readers.values():
            consumer.close()
        self.producer.close(timeout=5)
        if self._admin is not None:
            self._admin.close()

    @property
    def admin(self) -> KafkaAdminClient:
        """An admin client, opened at its first use."""
        if self._admin is None:
            self._admin = open_admin(self.kafka)
        return self._admin

    def apply(self) -> None:
        """Create the topics that are missing."""
        settings = Settings(prefix=self.prefix, partitions=self.partitions)
        with ExitStack() as patches:
            for module in (topics, log_writer, command_headers, control_records, policy_standing, seeding):
                patches.enter_context(mock.patch.object(module, "PIPELINE", toy.PIPELINE))
            provisioning.apply(settings, self.kafka, self.clock, toy.POLICY)

    # --- workers --------------------------------------------------------------------------------------------------

    def start(self, role: str, environment: dict[str, str] | None = None, **given: Any) -> Worker:
        """A worker of this role."""
        log = self.folder / f"{self.prefix}{role}.{len(self.workers)}.log"
        settings = {"partitions": self.partitions, "session_s": 2.0, "heartbeat_s": 0.5, **given}
        process = forked.start(_child, log, environment or {}, role, self.kafka, self.prefix, settings)
        worker = Worker(process, log)
        self.workers.append(worker)
        return worker

    def started(self, *roles: str, **given: Any) -> list[Worker]:
        """One worker for each role, each owning every partition."""
        workers = [self.start(role, **given) for role in roles]
        self.await_owned(workers)
        return workers

    def await_owned(self, workers: Iterable[Worker], each: int | None = None) -> None:
        """Until each worker owns `each` partitions, by default all."""
        wanted = self.partitions if each is None else each
        for worker in workers:
            self.until(lambda w=worker: len(w.owned()) == wanted, 25, f"{wanted} partitions owned, {worker.log}")  # type: ignore[misc]

    def until(self, condition: Callable[[], T], seconds: float, what: str) -> T:
        """As `tests.support.waiting.until`, and no worker fails meanwhile."""

        def checked() -> T:
            for worker in self.workers:
                assert not worker.lines("worker failed"), worker.text()[-4000:]
            return condition()

        return until(checked, seconds, what)

    # --- producing ------------------------------------------------------------------------------------------------

    def send(self, topic: str, record: Record, partition: int | None = None, **more: Any) -> None:
        """A record as a good producer sends it; `more` overrides value, key, headers."""
        key = None if type(record) in KEYLESS else toy.PIPELINE.topic(topic).key(record)
        if partition is None:
            assert key is not None, "say on which partition"
            partition = partition_of(key, self.partitions)
        self.raw(topic, partition, **{"key": key, "value": codec.encode(record), **more})

    def raw(self, topic: str, partition: int, **more: Any) -> None:
        """Bytes as they are."""
        self.producer.send(self.prefix + topic, partition=partition, **more)

    def tick(self, time: int, topic: str = "mentions", *, role: str = "clock", only: int | None = None) -> None:
        """A Tick on every partition (or one), as written by the role's own partition of that number."""
        for n in range(self.partitions) if only is None else (only,):
            self.send(topic, Tick(clock=self.clock, time=time, role=role, partition=n), n)

    def seed(self, topic: str) -> None:
        """The policy and noon in a topic that only roles write, for a test without them."""
        for n in range(self.partitions):
            self.send(topic, PolicyChanged(version=1, hash=digest(toy.POLICY), applied_at=NOON), n)
            for role, number in toy.PIPELINE.writers(topic, n):
                self.send(topic, Tick(clock=self.clock, time=NOON, role=role, partition=number), n)

    def flush(self) -> None:
        """Everything sent is at the broker."""
        self.producer.flush(30)

    # --- reading --------------------------------------------------------------------------------------------------

    def rows(self, topic: str) -> list[Row]:
        """Every committed record of a topic until now, partition by partition in order."""
        if topic not in self._readers:
            known = toy.PIPELINE.topic(topic.removesuffix(".dead")) if not topic.endswith(".changelog") else None
            count = known.partitions if known and known.partitions else self.partitions
            tps = [TopicPartition(self.prefix + topic, n) for n in range(count)]
            self._readers[topic] = TopicFollower(self.kafka, tps), []
        follower, rows = self._readers[topic]
        rows += [
            Row(topic, r.partition, r.offset, r.key, r.value, dict(r.headers), r.timestamp)
            for r in follower.new_records()
        ]
        return rows

    def records(self, topic: str, kind: type[Record] = Record) -> list[Any]:
        """The committed records of that kind."""
        return [record for row in self.rows(topic) if isinstance(record := row.record, kind)]

    def await_records(self, topic: str, kind: type[Record], count: int, seconds: float = 20) -> list[Any]:
        """The same, once there are so many at least."""
        self.until(lambda: len(self.records(topic, kind)) >= count, seconds, f"{count} {kind.__name__} in {topic}")
        return self.records(topic, kind)

    def state(self, role: str) -> dict[bytes, bytes]:
        """The newest value by key of a role's changelog, deleted ones left out."""
        newest = {
            row.key: row.value for row in self.rows(f"{role}.changelog") if not (row.key or b"").startswith(b"\0")
        }
        return {key: value for key, value in newest.items() if key is not None and value is not None}

    def uncommitted(self, topic: str) -> int:
        """How many offsets of a topic stand in transactions that are still open."""
        tps = [TopicPartition(self.prefix + topic, n) for n in range(self.partitions)]
        committed = committed_ranges(self.admin, tps)
        return sum(end - committed[tp][1] for tp, end in log_ends(self.admin, tps).items())

    # --- the group --------------------------------------------------------------------------------------------------

    def members(self, role: str) -> list[set[int]]:
        """The partitions of each member of a role's group, as its coordinator says."""
        group = self.admin.describe_groups([self.prefix + role])[self.prefix + role]
        assert group["protocol_data"] == "sticky", group["protocol_data"]
        found = []
        for member in group["members"]:
            assigned = member["member_assignment"]
            parts = assigned["assigned_partitions"] if assigned else []
            found.append({n for part in parts for n in part["partitions"]})
        return found

    def offsets(self, role: str) -> dict[int, tuple[int, int]]:
        """(next offset, event time in ms) that the group has committed, by partition of its input topic."""
        return {n: (offset, parsed(metadata)[0]) for n, (offset, metadata) in self.committed(role).items()}

    def committed(self, role: str) -> dict[int, tuple[int, str]]:
        """(next offset, metadata) that the group has committed, by partition of its input topic."""
        group = self.admin.list_group_offsets({self.prefix + role: None})[self.prefix + role]
        return {tp.partition: (found.offset, found.metadata) for tp, found in group.items()}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ready(port: int) -> tuple[int, str]:
    """What a worker's `/ready` answers; (0, "") where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
