"""`alert test`: writes a test alert and its resolution into the log, and waits for the answers of its receivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import msgspec

from agents.policy import Policy
from netcenter.broker.alert_log import ALERTS, DELIVERIES, FINAL, RECEIVERS, alert_partitions
from netcenter.broker.client import open_admin
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.reading import TopicFollower
from netcenter.broker.sound_records import SoundRecords
from netcenter.errors import CommandError, UsageError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import ids
from schemas.records import Alert, AlertDelivery, Severity
from streams.kafka_connection import KafkaConnection

_LOOK_S = 0.2
"""Seconds between two looks at the log."""


@dataclass(frozen=True)
class AlertTrial:
    """What a test alert says, and to whom."""

    route: str
    """The route, or the receiver, that is tried."""
    receivers: tuple[str, ...]
    brand: str
    severity: Severity
    policy: Policy | None
    """The one in force; None: there is none."""


Told = Callable[[AlertDelivery], None]
"""Is given each final answer as it comes."""


def receivers_called(names: Collection[str]) -> tuple[str, ...]:
    """These receivers, each once. Raises UsageError for a name that no receiver has."""
    for name in names:
        if name not in RECEIVERS:
            raise UsageError(f"--to: no receiver is called {name!r}; there are: {', '.join(RECEIVERS)}")
    return tuple(dict.fromkeys(names))


def receivers_of_route(
    settings: Settings, kafka: KafkaConnection, policy: Policy | None, route: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(the receivers of a route that have ever had a worker, its other receivers).

    Raises UsageError for a route that the policy does not have, CommandError where there is no policy or where no receiver of
    the route was ever started, and Unreachable.
    """
    if policy is None:
        raise CommandError("the log has no policy: run `netcenter policy apply`")
    routes = {one.name: one for one in policy.alerts.routes}
    if route not in routes:
        raise UsageError(f"policy {policy.version} has no route {route!r}; there are: {', '.join(routes) or 'none'}")
    named = dict.fromkeys(routes[route].receivers)
    with closing(open_admin(kafka)) as client:
        groups = ConsumerGroups(settings.prefix, client)
        roles = [PIPELINE.role(name) for name in RECEIVERS if name in named]
        members, positions = groups.members(roles), groups.positions(roles)
    started = tuple(role.name for role in roles if members.get(role.name) or positions.get(role.name))
    if not started:
        raise CommandError(
            f"no receiver of the route {route} was ever started ({', '.join(named)}): run `netcenter worker {next(iter(named))}`"
        )
    return started, tuple(name for name in named if name not in started)


def try_receivers(settings: Settings, kafka: KafkaConnection, trial: AlertTrial, wait_s: float, told: Told) -> None:
    """Fires the test alert, waits for the answers, resolves it, and waits for the answers to that.

    It is resolved whatever happens in between. Raises Unreachable, and CommandError where a receiver did not accept both
    within `wait_s` seconds each.
    """
    firing = _alert(trial)
    with LogWriter(settings, kafka, "alert") as log:
        follower = TopicFollower(kafka, alert_partitions(log.settings, DELIVERIES), from_end=True)
        with closing(follower):
            answers = _Answers(SoundRecords(log.settings), follower, told)
            log.send(ALERTS, firing)
            try:
                log.flush()
                faults = answers.await_all(firing, trial.receivers, wait_s)
            finally:
                over = _over(firing)
                log.send(ALERTS, over)
                log.flush()
            faults = faults or answers.await_all(over, trial.receivers, wait_s)
    if faults:
        raise CommandError("; ".join(_remedy(settings, kafka, name, fault) for name, fault in faults.items()))


def _alert(trial: AlertTrial) -> Alert:
    runbooks = trial.policy.alerts.runbooks if trial.policy else None
    fingerprint, now = f"test:{trial.route}:{uuid4().hex[:8]}", int(time.time() * 1000)
    return Alert(
        id=ids.make("alert", now, 1, fingerprint),
        aggregate=fingerprint,
        seq=1,
        time=now,
        cause=ids.make("alert-test", fingerprint),
        policy=trial.policy.version if trial.policy else 0,
        reason="test: netcenter alert test",
        state="firing",
        kind="test",
        severity=trial.severity,
        brand=trial.brand,
        mode="live",
        summary=f"This is a test of {trial.route}: nothing is wrong, and nobody has to do anything.",
        starts_at=now,
        evidence={"route": trial.route},
        links={"runbook": f"{runbooks.rstrip('/')}/test.md"} if runbooks else {},
        receivers=list(trial.receivers),
    )


def _over(firing: Alert) -> Alert:
    now = int(time.time() * 1000)
    return msgspec.structs.replace(
        firing,
        id=ids.make("alert", firing.starts_at, firing.version + 1, firing.fingerprint),
        seq=firing.version + 1,
        time=now,
        state="resolved",
        ends_at=now,
        summary=f"The test of {firing.evidence['route']} is over.",
    )


class _Answers:
    """Waits in the log for what receivers answer."""

    def __init__(self, records: SoundRecords, follower: TopicFollower, told: Told) -> None:
        self._records, self._follower, self._told = records, follower, told
        self._found: dict[tuple[str, str], AlertDelivery] = {}

    def await_all(self, alert: Alert, receivers: Collection[str], seconds: float) -> dict[str, str]:
        """The fault of each receiver that did not accept the alert; "" where it did not answer at all."""
        deadline = time.monotonic() + seconds
        while self._unfinished(alert, receivers) and time.monotonic() < deadline:
            for record, _ in self._records.of(self._follower.new_records()):
                if isinstance(record, AlertDelivery):
                    self._found[record.alert_id, record.receiver] = record
                    if record.alert_id == alert.id and record.outcome in FINAL:
                        self._told(record)
            time.sleep(_LOOK_S)
        answers = {name: self._found.get((alert.id, name)) for name in receivers}
        return {
            name: one.answer if one else "" for name, one in answers.items() if not one or one.outcome != "accepted"
        }

    def _unfinished(self, alert: Alert, receivers: Collection[str]) -> list[str]:
        done = {name for (id, name), found in self._found.items() if id == alert.id and found.outcome in FINAL}
        return [name for name in receivers if name not in done]


def _remedy(settings: Settings, kafka: KafkaConnection, receiver: str, fault: str) -> str:
    """One line for a receiver that did not accept the test."""
    if fault:
        return f"{receiver} did not accept the test: {fault}"
    with closing(open_admin(kafka)) as client:
        running = ConsumerGroups(settings.prefix, client).members([PIPELINE.role(receiver)])[receiver]
    if running:
        return f"{receiver} did not answer in time, though its worker runs: see its log and its /ready"
    return f"{receiver} did not answer, and has no worker: run `netcenter worker {receiver}`"
