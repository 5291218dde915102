"""`ingest`: play a file into Kafka; on the event clock with its Ticks, and not too far before the slowest role."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from netcenter.broker.lag import Watch
from netcenter.broker.reading import records, spans
from netcenter.broker.topics import admin, as_in_log, missing_topics, producer
from netcenter.errors import CommandError
from netcenter.files.line import Line
from netcenter.ingest.schedule import play
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.headers import rfc3339
from schemas.records import Clock, Record, Tick
from streams.committed_offsets import NEVER
from streams.partitioner import partition_of
from streams.topology import Role

_POLL_S = 0.05
#: Seconds without progress after which it is told who holds up the file, and then again.
_QUIET_S, _AGAIN_S = 5.0, 60.0
#: ms; a round of all roles takes about as long as an hour of Ticks.
_NEAR = 3_600_000


@dataclass
class Played:
    """What has been played so far."""

    records: int = 0
    ticks: int = 0
    time: int = 0
    """ms; the newest Tick."""


class Log:
    """Writes to the topics as a producer of ours does. A context manager: at its end the broker has everything.

    writer: the command that writes, as the records' `ce_source` names it.
    """

    def __init__(self, settings: Settings, kafka: str, writer: str) -> None:
        self._writer = settings.prefix + writer
        with closing(admin(kafka)) as client:
            self.settings = as_in_log(settings, client)
        self._producer = producer(kafka)
        self._failed: list[KafkaError] = []

    def send(self, topic: str, record: Record, partition: int | None = None) -> None:
        """Append a record; errors show at the next send or at `flush`."""
        key = None
        if partition is None:
            key = PIPELINE.topic(topic).key(record)
            partition = partition_of(key, self.settings.partitions)
        head = PIPELINE.topic(topic).command_headers(record, self._writer)
        self.raw(self.settings.prefix + topic, partition, key, codec.encode(record), head)

    def raw(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> None:
        """Append bytes."""
        if self._failed:
            raise CommandError(f"Kafka refused a record: {type(self._failed[0]).__name__}: {self._failed[0]}")
        future = self._producer.send(topic, key=key, value=value, partition=partition, headers=headers)
        future.add_errback(self._failed.append)

    def to_all(self, topic: str, make: Callable[[int], Record]) -> None:
        """Append a record to every partition."""
        for number in range(PIPELINE.topic(topic).partitions or self.settings.partitions):
            self.send(topic, make(number), number)

    def flush(self) -> None:
        """Wait until the broker has everything. Raises CommandError."""
        try:
            self._producer.flush(60)
        except KafkaTimeoutError:
            raise CommandError(
                "Kafka has not taken all records within 60 s: is it up? See `netcenter doctor`"
            ) from None
        if self._failed:
            raise CommandError(f"Kafka refused a record: {type(self._failed[0]).__name__}: {self._failed[0]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self._producer.close(timeout=5)


def _event_tick(time_ms: int, partition: int) -> Tick:
    return Tick(clock="event", time=time_ms, role=PIPELINE.clock_role, partition=partition)


def clock_of(settings: Settings, kafka: str) -> Clock:
    """Whose clock the log follows, from its newest or first Tick. Raises CommandError."""
    tp = TopicPartition(settings.prefix + PIPELINE.roles[0].input_topic, 0)
    client = admin(kafka)
    try:
        have = set(client.list_topics())
        if tp.topic not in have:
            raise CommandError(missing_topics(have, [tp.topic]))
        first, end = spans(client, [tp])[tp]
    finally:
        client.close()
    for start in (first, max(first, end - 1_000)):
        for record in records(kafka, {tp: (start, min(end, start + 1_000))}):
            found = _tick(record.value)
            if found is not None:
                return found.clock
    raise CommandError(f"{tp.topic} holds no Tick: run `netcenter topics apply --clock wall|event`")


def _tick(value: bytes | None) -> Tick | None:
    try:
        record = codec.decode(value)
    except WireError:
        return None
    return record if isinstance(record, Tick) else None


@dataclass(frozen=True)
class Held:
    """What is told while the file waits for a role."""

    slowest: tuple[int, str]
    """ms of event time, and the role that stands there."""
    line: str
    """Now and then: who holds it up, and what to do; else empty."""


def ingest(
    settings: Settings,
    kafka: str,
    lines: Iterable[Line],
    *,
    interval: int,
    until: int,
    ahead: int,
    follow: Iterable[str] | None = None,
    say: Callable[[Played, Any], None] = lambda *_: None,
    held: Callable[[Held], None] = lambda _: None,
) -> Played:
    """Play lines into the log.

    interval: ms between Ticks. until: ms that time runs on after the last line. ahead: ms of event time that the file may
    be before the slowest role. follow: the roles waited for, whether they have a worker or not; by default all that
    decide, and PostgreSQL's if it ever had one; none: nobody is waited for. say: called at every Tick with what was played
    and the slowest role's (time, name). held: called again and again while the file waits. On a wall clock there are no
    Ticks to send and nothing to wait for.

    A gap in which nothing falls due is passed over, once it is longer than `ahead` and every role that decides is followed.
    """
    clock, played = clock_of(settings, kafka), Played()
    input_topic = PIPELINE.roles[0].input_topic
    with Log(settings, kafka, "ingest") as log, closing(admin(kafka)) as client:
        watch = Watch(settings, kafka, client)
        roles = [PIPELINE.role(name) for name in follow] if follow is not None else _expected(watch)
        timed = [role for role in roles if PIPELINE.timed_topic(role) is not None]
        leash = _Leash(watch, log, timed, ahead, held)
        due = leash.due if clock == "event" else lambda: None
        for item in play(lines, interval=interval, until=until, due=due):
            if isinstance(item, Line):
                log.send(item.topic, item.record)
                played.records += 1
                leash.line(item.at)
            elif clock == "event":
                log.to_all(input_topic, partial(_event_tick, item))
                played.ticks, played.time = played.ticks + 1, item
                say(played, leash.tick(item))
    return played


def _expected(watch: Watch) -> list[Role]:
    """The roles of the pipeline, those left out that nobody has to run and nobody has run."""
    had = {name for name, told in watch.told(PIPELINE.roles).items() if told}
    running = {role.name for role in watch.running()}
    return [role for role in PIPELINE.roles if role.decides or role.name in had | running]


class _Leash:
    """Keeps the file near the slowest role, and asks the roles what is due next."""

    def __init__(
        self, watch: Watch, log: Log, roles: list[Role], ahead: int, held: Callable[[Held], None] = lambda _: None
    ) -> None:
        self.watch, self.log, self.roles, self.ahead, self.held = watch, log, roles, ahead, held
        self.slowest = (0, "")
        self._due = self._time = self._ask_at = 0
        self._all_followed = {role.name for role in PIPELINE.roles if role.decides} <= {role.name for role in roles}

    def line(self, at: int) -> None:
        """One was played; what follows from it falls due in the next hours, and is come by Tick by Tick."""
        self._ask_at = at + self.ahead

    def tick(self, time: int) -> tuple[int, str]:
        """One was sent: return once no role is further behind than it may be; the slowest's (time, name)."""
        self._time = time
        return self.wait(time - self.ahead)

    def due(self) -> int | None:
        """When something is due: at once, where that is not asked for yet or not known."""
        if not self._all_followed or self._time < self._ask_at:
            return self._time
        self.wait(self._time, asks=True)
        near = self._due <= self._time + min(self.ahead, _NEAR)
        # To ask means to wait for everybody: what is near is cheaper to come by Tick by Tick, and much of it may be.
        self._ask_at = self._time + self.ahead if near else self._due
        return self._time if near else None if self._due >= NEVER else self._due

    def wait(self, until: int, *, asks: bool = False) -> tuple[int, str]:
        """Return once every role has reached an event time (ms); the slowest's (time, name)."""
        started = told = time.monotonic()
        flushed, best = False, self.slowest[0]
        while self.roles and (asks or self.slowest[0] < until):
            if not flushed:
                self.log.flush()
                flushed = True
            # Time never falls: a broker that is away knows none.
            found, self._due = self.watch.standing(self.roles)
            self.slowest = max(self.slowest, found, key=lambda place: place[0])
            if found[0] >= until:
                break
            now, line = time.monotonic(), ""
            if self.slowest[0] > best:
                started, best = now, self.slowest[0]
                told = now
            if now - told > (_QUIET_S if told == started else _AGAIN_S):
                told, line = now, self._line(found, now - started)
            self.held(Held(found, line))
            time.sleep(_POLL_S)
        return self.slowest

    def _line(self, slowest: tuple[int, str], seconds: float) -> str:
        at, name = slowest
        stands = f"it has stood at {rfc3339(at)} for {seconds:.0f} s" if at else "it has told nothing yet"
        if name in {role.name for role in self.watch.running()}:
            return f"waiting for {name}: {stands}; `netcenter doctor` says what is wrong with it"
        return f"waiting for {name}: no worker of it runs; start `netcenter worker {name}`, or all of them"
