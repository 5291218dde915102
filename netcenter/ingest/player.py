"""`ingest`: plays the lines of a file into the log; on the event clock with Ticks, at the pace of the slowest role."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from netcenter.broker.client import open_admin
from netcenter.broker.lag import LagMonitor
from netcenter.broker.log_clock import clock_of_log
from netcenter.broker.log_writer import LogWriter
from netcenter.files.line import Line
from netcenter.ingest.pacing import Pacing, Waiting
from netcenter.ingest.schedule import with_ticks
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Tick
from streams.kafka_connection import KafkaConnection
from streams.topology import Role


@dataclass
class Played:
    """The progress of a played file."""

    records: int = 0
    ticks: int = 0
    time: int = 0
    """ms; the time of the newest Tick."""
    taken: int = 0
    """The records that the broker has, once the play has ended in whatever way."""


def ingest(
    settings: Settings,
    kafka: KafkaConnection,
    lines: Iterable[Line],
    *,
    interval: int,
    run_on: int,
    ahead: int,
    follow: Iterable[str] | None = None,
    on_tick: Callable[[Played, Any], None] = lambda *_: None,
    on_wait: Callable[[Waiting], None] = lambda _: None,
    played: Played | None = None,
) -> Played:
    """Plays lines, which are in order of play, into the log. Raises Unreachable, and CommandError.

    The broker is asked before the first line is read, and a line is read when it is played.
    interval: ms between Ticks. run_on: ms of Ticks after the last line. ahead: ms of event time that the file may be
    ahead of the slowest role. follow: names of the roles to wait for, with or without a worker; empty: no role; None:
    all deciding roles, and each sink that has or had a worker. on_tick: called after every Tick with what was played
    and the slowest role's (time, name). on_wait: called repeatedly while the file waits. On a wall clock this sends no
    Ticks and waits for no role. played: counted while the file is played, for whoever is interrupted. A gap without
    due timers is skipped when it is longer than `ahead` and every deciding role is followed.
    """
    clock, played = clock_of_log(settings, kafka), played or Played()
    input_topic = PIPELINE.roles[0].input_topic
    log = LogWriter(settings, kafka, "ingest")
    try:
        with log, closing(open_admin(kafka)) as client:
            monitor = LagMonitor(settings, kafka, client)
            roles = [PIPELINE.role(name) for name in follow] if follow is not None else _expected_roles(monitor)
            timed = [role for role in roles if PIPELINE.timed_topic(role) is not None]
            pacing = Pacing(monitor, log, timed, ahead, on_wait)
            due = pacing.next_due if clock == "event" else lambda: None
            for item in with_ticks(lines, interval=interval, run_on=run_on, due=due):
                if isinstance(item, Line):
                    log.send(item.topic, item.record)
                    played.records += 1
                    pacing.record_played(item.at)
                elif clock == "event":
                    log.send_to_all(input_topic, partial(_tick, item))
                    played.ticks, played.time = played.ticks + 1, item
                    on_tick(played, pacing.tick_played(item))
    finally:
        played.taken = log.taken
    return played


def _tick(time_ms: int, partition: int) -> Tick:
    return Tick(clock="event", time=time_ms, role=PIPELINE.clock_role, partition=partition)


def _expected_roles(monitor: LagMonitor) -> list[Role]:
    """Every role that decides, and each other role that has a worker or whose group has committed offsets."""
    had = {name for name, positions in monitor.groups.positions(PIPELINE.roles).items() if positions}
    running = {role.name for role in monitor.groups.running()}
    return [role for role in PIPELINE.roles if role.decides or role.name in had | running]
