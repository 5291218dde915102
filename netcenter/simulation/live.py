"""Simulated operators at a running pipeline: they read `assignments` and `desk`, and write `desk` and `mentions`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition

from netcenter.broker.client import open_admin
from netcenter.broker.log_clock import clock_of_log
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.reading import TopicFollower
from netcenter.broker.topics import settings_of_log
from netcenter.pipeline import PIPELINE
from netcenter.runtime.signing import signatures_of
from netcenter.settings import Settings
from netcenter.simulation.people import Records, SimulatedPeople
from netcenter.simulation.team import Team
from schemas.records import Tick
from streams.decoder import Decoder
from streams.kafka_connection import KafkaConnection

_POLL_S = 0.02
_END_S = 10
_READ = ("desk", "assignments")


def work(
    settings: Settings,
    kafka: KafkaConnection,
    team: Team,
    stopped: Callable[[float], bool],
) -> Counter[str]:
    """Let a team work until it is stopped; then whoever is signed in signs out. Returns how many records of each kind it wrote.

    stopped: waits for so many seconds, and says whether to stop. On the wall clock the team keeps this machine's time; on
    the event clock it keeps that of the Ticks in `desk`. What it did not finish before, a team that starts again finishes.
    Raises Unreachable, CommandError, and UsageError for wrong settings of the keys.
    """
    wall = clock_of_log(settings, kafka) == "wall"
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
    people, wrote = SimulatedPeople(team), Counter[str]()
    log_reader = _Reader(settings)
    begun = now = 0

    def write(records: Records) -> None:
        for topic, found in records.items():
            for record in found:
                log.send(topic, record)
                wrote[type(record).__name__] += 1

    with TopicFollower(kafka, log_reader.partitions) as follower, LogWriter(settings, kafka, "operators") as log:
        while not stopped(_POLL_S):
            found = log_reader.records(follower.new_records())
            now = int(time.time() * 1000) if wall else log_reader.time
            if not begun and now:
                people.begin(now)
                begun = now
            for topic, records in found:
                people.tell(topic, records)
            if begun:
                write(people.act(now))
        write(people.leave(now))
    return wrote


class _Reader:
    """Decodes raw records of the topics that operators read, as the roles do, and follows the Ticks in them."""

    def __init__(self, settings: Settings) -> None:
        self._prefix, signatures = settings.prefix, signatures_of(settings)
        self._decoders: dict[tuple[str, int], Decoder] = {}
        for name in _READ:
            count = PIPELINE.partitions(name, settings.partitions)
            for number in range(count):
                decoder = Decoder(PIPELINE.topic(name), number, count, signatures)
                self._decoders[settings.prefix + name, number] = decoder
        self.partitions = [TopicPartition(topic, number) for topic, number in self._decoders]
        self.time = 0
        """ms; the newest Tick."""

    def records(self, raw: list[Any]) -> list[tuple[str, list[Any]]]:
        """(topic, records) without Ticks, in the order of each partition."""
        found = []
        for one in raw:
            facts, _ = self._decoders[one.topic, one.partition].facts([one])
            for fact in facts:
                if isinstance(fact.record, Tick):
                    self.time = max(self.time, fact.record.time)
                else:
                    found.append((one.topic.removeprefix(self._prefix), [fact.record]))
        return found


class TeamAtWork:
    """A team that works in a thread while something else goes on. A context manager: at its end it raises the error of its
    thread, if there is one.
    """

    def __init__(self, settings: Settings, kafka: KafkaConnection, team: Team) -> None:
        self._settings, self._kafka, self._team = settings, kafka, team
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="operators", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(_END_S)
        if error is None and self._failed is not None:
            raise self._failed

    def _run(self) -> None:
        try:
            work(self._settings, self._kafka, self._team, self._stop.wait)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._failed = error
