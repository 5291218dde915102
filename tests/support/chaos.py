"""The whole pipeline as processes that may be killed: servers, workers, the file, and people who answer offers."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg2
from kafka import TopicPartition

from netcenter.broker import provisioning
from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import log_ends
from netcenter.broker.reading import TopicFollower
from netcenter.demo.story import STORY_TEAM
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.ingest.player import Played, ingest
from netcenter.ingest.schedule import TICK, by_time
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings, variable
from netcenter.simulation.reactions import answer_to
from netcenter.simulation.team import read_team
from schemas import codec
from schemas.records import Clock, Offered
from streams.kafka_connection import KafkaConnection
from tests.support import forked
from tests.support.kafka_rights import variables
from tests.support.waiting import until

HOUR = 3_600_000
SEED = 7
#: Every role but the receivers.
ROLES = tuple(role.name for role in PIPELINE.roles if role.enabled_by is None)
#: A worker that ends so often by itself does so for a reason.
_MOST_DEATHS = 12


def create_database(server: str, name: str) -> None:
    """A new, empty database."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create database {name}")
    connection.close()


@dataclass
class Worker:
    """A worker in a process of its own."""

    role: str
    process: Any
    log: Path
    wanted: bool = True
    """Whether another takes its place when it ends."""

    def alive(self) -> bool:
        """Whether it still runs."""
        return bool(self.process.is_alive())

    def ended(self, seconds: float) -> int:
        """Its exit code, once it has ended."""
        self.process.join(seconds)
        assert self.process.exitcode is not None, f"still running after {seconds} s: {self.text()[-2000:]}"
        return int(self.process.exitcode)

    def said(self, event: str) -> bool:
        """Whether it has logged this event."""
        return f'"event": "{event}"' in self.text()

    def text(self) -> str:
        """All it has said."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


@dataclass
class Plant:
    """A pipeline under one prefix: the topics, the workers, what is played into it. A context manager."""

    addresses: Addresses
    folder: Path
    policy: str
    prefix: str
    partitions: int
    environment: dict[str, str] = field(default_factory=dict)
    command: Callable[..., None] = forked.command
    """What runs `netcenter` in a process of its own."""
    clock: Clock = "event"
    keys: dict[str, Path] = field(default_factory=dict)
    """The files of signing keys, by setting; none: nothing is signed."""
    workers: list[Worker] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    """Ends that nobody asked for, by role and exit code."""

    def __post_init__(self) -> None:
        """The settings that the workers get too."""
        self.settings = Settings(
            kafka=self.addresses.kafka,
            postgres=f"{self.addresses.postgres.rpartition('/')[0]}/{self.database}",
            prefix=self.prefix,
            partitions=self.partitions,
            **self.keys,  # type: ignore[arg-type]
        )
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def database(self) -> str:
        """The name of its own database: a sink's offsets are those of one log."""
        return f"plant_{self.prefix.strip('.')}"

    def __enter__(self) -> Self:
        create_database(self.addresses.postgres, self.database)
        provisioning.apply(self.settings, self.as_user("setup"), self.clock, self.policy)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kafka(self) -> KafkaConnection:
        """Its Kafka."""
        return KafkaConnection(self.addresses.kafka)

    def as_user(self, user: str) -> KafkaConnection:
        """Its Kafka as a user of an installation connects to it; this Kafka knows no users."""
        return self.kafka

    def given(self, user: str = "monitoring") -> dict[str, str]:
        """The environment that makes a command, or the worker of a role, work on this plant as a user of an installation."""
        return {
            **variables(self.as_user(user)),
            "NETCENTER_POSTGRES": self.settings.postgres or "",
            "NETCENTER_PREFIX": self.prefix,
            "NETCENTER_PARTITIONS": str(self.partitions),
            # The least that the settings allow: a killed worker's partitions wait so long for the next one.
            "NETCENTER_SESSION_S": "6",
            "NETCENTER_OFFSET_COMMIT_S": "0.1",
            **{variable(setting): str(file) for setting, file in self.keys.items()},
            **self.environment,
        }

    def ends(self) -> dict[TopicPartition, int]:
        """Where each input topic ends."""
        names = [self.prefix + name for name in PIPELINE.input_topics()]
        with closing(open_admin(self.kafka)) as client:
            return log_ends(client, [TopicPartition(name, n) for name in names for n in range(self.partitions)])

    # --- workers --------------------------------------------------------------------------------------------------

    def start(self, *roles: str) -> list[Worker]:
        """A worker for each role, in a process of its own."""
        return [self._start(role) for role in roles]

    def _start(self, role: str) -> Worker:
        number = sum(w.role == role for w in self.workers)
        log = self.folder / f"{role}.{number}.log"
        environment = {**os.environ, **self.given(role)}
        process = forked.start(self.command, log, self.folder, environment, ["worker", role])
        worker = Worker(role, process, log)
        self.workers.append(worker)
        return worker

    def alive(self, *roles: str) -> list[Worker]:
        """The workers that run, of these roles or of all."""
        return [w for w in self.workers if w.alive() and (not roles or w.role in roles)]

    def kill(self, worker: Worker) -> None:
        """SIGKILL, and another one at once."""
        worker.wanted = False
        worker.process.kill()
        worker.process.join()
        self._start(worker.role)

    def leave(self, worker: Worker) -> None:
        """SIGTERM; nobody takes its place."""
        worker.wanted = False
        worker.process.terminate()

    def tend(self) -> None:
        """Start another worker for each that has ended by itself, as a supervisor does; too often is a failure."""
        for worker in list(self.workers):
            if worker.wanted and not worker.alive():
                worker.wanted = False
                self.deaths[f"{worker.role} exit {worker.process.exitcode}"] += 1
                assert self.deaths.total() <= _MOST_DEATHS, (
                    f"workers keep ending: {dict(self.deaths)}; see {self.folder}"
                )
                self._start(worker.role)

    def stop(self, *roles: str) -> None:
        """SIGTERM to all (of these roles), SIGKILL to who is still there after 15 s."""
        leaving = self.alive(*roles)
        for worker in leaving:
            self.leave(worker)
        deadline = time.monotonic() + 15
        for worker in leaving:
            worker.process.join(max(0.1, deadline - time.monotonic()))
            if worker.alive():
                worker.process.kill()
                worker.process.join()

    # --- waiting --------------------------------------------------------------------------------------------------

    @contextmanager
    def monitor(self) -> Iterator[LagMonitor]:
        """A monitor of the lag under this prefix."""
        kafka = self.as_user("monitoring")
        client = open_admin(kafka)
        try:
            yield LagMonitor(self.settings, kafka, client)
        finally:
            client.close()

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Wait for it, tending the workers meanwhile."""

        def tended() -> Any:
            self.tend()
            return condition()

        until(tended, seconds, f"{what}; deaths {dict(self.deaths)}; the workers' logs are in {self.folder}")

    def await_workers(self, *roles: str) -> None:
        """Until each of these roles owns its partitions."""
        self.until(
            lambda: all(any(w.said("partitions owned") for w in self.alive(role)) for role in roles),
            60,
            f"workers of {roles}",
        )

    def await_drained(self, end: int, roles: Iterable[str], seconds: float, people: People | None = None) -> None:
        """Until each of these roles has reached the event time `end` (ms) and has nothing left to read."""
        wanted = [PIPELINE.role(name) for name in roles]
        deciding = [role for role in wanted if role.decides]

        with self.monitor() as monitor:

            def drained() -> bool:
                return monitor.slowest(deciding)[0] >= end and all(monitor.is_drained(role) for role in wanted)

            # An answer that came between two looks is work again: so look again after the people are done.
            self.until(
                lambda: drained() and (people is None or people.done()) and drained(),
                seconds,
                f"all of {list(roles)} drained",
            )


class Playing:
    """`ingest` on a thread: plays lines into a plant, `time` says how far it is."""

    def __init__(self, plant: Plant, lines: list[Line], *, run_on: int, ahead: int, follow: Iterable[str]) -> None:
        self.time = 0
        """ms; the newest Tick sent."""
        self.failed: BaseException | None = None
        self.played: Played | None = None
        self._given = (plant, lines, run_on, ahead, list(follow))
        self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        plant, lines, run_on, ahead, follow = self._given

        def on_tick(played: Played, _: Any) -> None:
            self.time = played.time

        try:
            self.played = ingest(
                plant.settings,
                plant.as_user("ingest"),
                by_time(lines),
                interval=TICK,
                run_on=run_on,
                ahead=ahead,
                follow=follow,
                on_tick=on_tick,
            )
            self.time = self.played.time
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failed = error

    def done(self) -> bool:
        """Whether all is played; raises what went wrong."""
        if self.failed is not None:
            raise self.failed
        return not self._thread.is_alive()


class People:
    """Operators who answer what they are offered, on a thread."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.failed: BaseException | None = None
        self.answers = 0
        self._asked = threading.Event()
        self._settled = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operators", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(20)

    def done(self) -> bool:
        """Whether every offer that stands in the log by now has been answered, and the answers stand in the log."""
        if self.failed is not None:
            raise self.failed
        self._settled.clear()
        self._asked.set()
        return self._settled.wait(5)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failed = error

    def _work(self) -> None:
        settings, team = self.plant.settings, read_team(STORY_TEAM)
        tps = [TopicPartition(settings.prefix + "assignments", n) for n in range(settings.partitions)]
        with (
            TopicFollower(self.plant.as_user("operators"), tps) as follower,
            LogWriter(settings, self.plant.as_user("operators"), "operators") as log,
        ):
            while not self._stop.is_set():
                asked = self._asked.is_set()
                for raw in follower.new_records():
                    offer = codec.decode(raw.value)
                    answer = answer_to(offer, team) if isinstance(offer, Offered) else None
                    if answer is not None:
                        log.send("desk", answer)
                        self.answers += 1
                if asked:
                    log.flush()
                    self._asked.clear()
                    self._settled.set()
                else:
                    self._asked.wait(0.05)
