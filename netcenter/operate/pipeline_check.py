"""Whether the whole pipeline works, as far as Kafka shows it: what the heartbeat asks before each beat."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from kafka.errors import KafkaError

from netcenter.broker.alert_log import waiting_alerts
from netcenter.broker.client import open_admin
from netcenter.broker.groups import GroupMember
from netcenter.broker.lag import LagMonitor, RolePosition
from netcenter.broker.log_clock import clock_of_log
from netcenter.errors import CommandError
from netcenter.operate.doctor.finding import duration_text
from netcenter.pipeline import PIPELINE
from netcenter.runtime.kafka_security import in_words
from netcenter.settings import Settings
from netcenter.workers import missing_to_run
from schemas.records import AlertDelivery, Clock
from schemas.times import rfc3339
from sinks.readable import counted
from streams.kafka_connection import KafkaConnection
from streams.topology import Role

_Stood = dict[RolePosition, float]


class PipelineCheck:
    """Asks Kafka, again and again, whether every role works.

    1. Each role that always runs has a worker; so has each optional role that is set up here or that has worked before.
    2. On the wall clock, no role is further behind in event time than the limit.
    3. No role has stood still for longer than the limit while records wait for it. So receivers count too, which have no
       event time; and so does a log that follows the event clock of played files, whose time may stand still.
    4. No receiver of alerts has accepted nothing for longer than the limit: an alert that waits is one that nobody was told.
    """

    def __init__(self, settings: Settings, kafka: KafkaConnection, behind_s: float) -> None:
        """behind_s: the limit, in seconds."""
        self._settings, self._kafka, self._behind_s = settings, kafka, behind_s
        self._clock: Clock | None = None
        self._stood: dict[tuple[str, str, int], tuple[int, float]] = {}
        """By role, topic and partition: the position, and since when it has stood (s of the monotonic clock)."""

    def faults(self) -> list[str]:
        """What is wrong now, each in a line with what to do; empty when all is well. It raises nothing."""
        try:
            return list(self._faults())
        except (KafkaError, CommandError) as error:
            return [f"Kafka: {in_words(error, self._settings)}"]

    def _faults(self) -> Iterator[str]:
        with closing(open_admin(self._kafka)) as client:
            monitor = LagMonitor(self._settings, self._kafka, client)
            monitor.groups.await_loaded()
            if self._clock is None:
                self._clock = clock_of_log(monitor.settings, self._kafka)
            members, positions = monitor.groups.members(), monitor.positions(PIPELINE.roles)
            roles = [r for r in PIPELINE.roles if _counts(r, members[r.name], positions[r.name])]
            stood = self._standing([p for role in roles for p in positions[role.name]])
            waiting = monitor.records_behind(stood)
            untold = waiting_alerts(monitor.settings, self._kafka, client)
        for role in roles:
            if not members[role.name]:
                yield _without_worker(role)
                continue
            yield from self._behind(role, positions[role.name])
            yield from self._untold(role, [alert for alert in untold if alert.receiver == role.name])
            for position, seconds in stood.items():
                if position.role == role.name and waiting.get(position):
                    yield (
                        f"{role.name} has not moved in {position.name} for {duration_text(round(seconds * 1000))}, and "
                        f"{waiting[position]:,} records wait there: see its log and its /ready"
                    )

    def _behind(self, role: Role, positions: list[RolePosition]) -> Iterator[str]:
        """The fault of a role that is too far behind in event time."""
        timed = [p for p in positions if p.topic == PIPELINE.timed_topic(role)]
        if self._clock != "wall" or not timed:
            return
        slowest, now = min(timed, key=lambda p: p.time), int(time.time() * 1000)
        if slowest.time == 0:
            yield f"{role.name} has read nothing from {slowest.name} yet: see its log and its /ready"
        elif now - slowest.time > self._behind_s * 1000:
            yield (
                f"{role.name} stands at {rfc3339(slowest.time)} in {slowest.name}, {duration_text(now - slowest.time)} behind "
                "the clock: see `netcenter doctor`"
            )

    def _untold(self, role: Role, waiting: list[AlertDelivery]) -> Iterator[str]:
        """The fault of a receiver that does not accept what it is given."""
        oldest, now = min((one.at for one in waiting), default=0), int(time.time() * 1000)
        if waiting and now - oldest > self._behind_s * 1000:
            yield (
                f"{role.name} has not told {counted(len(waiting), 'alert', 'alerts')}, the oldest for {duration_text(now - oldest)}: "
                f"{waiting[-1].answer}"
            )

    def _standing(self, positions: list[RolePosition]) -> _Stood:
        """The positions that have stood for longer than the limit with offsets behind them, each with its seconds."""
        now, before = time.monotonic(), self._stood
        self._stood = {}
        found: _Stood = {}
        for p in positions:
            place, last = (p.role, p.topic, p.partition), before.get((p.role, p.topic, p.partition))
            since = last[1] if last is not None and last[0] == p.offset and p.offsets_behind else now
            self._stood[place] = p.offset, since
            if now - since > self._behind_s:
                found[p] = now - since
        return found


def _counts(role: Role, members: list[GroupMember], positions: list[RolePosition]) -> bool:
    """Whether a role must have a worker."""
    worked = bool(members) or any(p.committed is not None for p in positions)
    return role.enabled_by is None or worked or missing_to_run(role) is None


def _without_worker(role: Role) -> str:
    end = ""
    if role.enabled_by is not None and missing_to_run(role) is not None:
        end = f"; if you no longer use it, `kafka-consumer-groups.sh --delete --group {role.name}` says so"
    return f"{role.name} has no worker: run `netcenter worker {role.name}`{end}"
