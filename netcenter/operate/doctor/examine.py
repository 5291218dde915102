"""Every check, in the order in which it would fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

from kafka.errors import KafkaError

from netcenter.broker.topics import admin
from netcenter.errors import CommandError
from netcenter.operate.doctor import log, roles, transactions
from netcenter.operate.doctor.finding import Check, Finding, Survey
from netcenter.operate.doctor.postgres import postgres
from netcenter.operate.doctor.servers import broker_disk, disk
from netcenter.runtime.endpoints import kafka_of
from netcenter.settings import Settings

#: By what a finding calls what it looked at, where a check itself cannot be made.
_CHECKS: dict[str, Check] = {
    "topics": log.topics,
    "partitions": log.partitions,
    "groups": roles.groups,
    "disk of Kafka": broker_disk,
    "clock": log.clock,
    "policy": log.policy,
    "transactions": transactions.open_for_long,
    "positions": roles.positions,
    "changelogs": roles.changelogs,
    "workers": roles.workers,
    "dead letters": log.dead_letters,
}
#: Without these the rest would only say the same again.
_FIRST = ("topics", "groups")


def examine(settings: Settings) -> list[Finding]:
    """Everything that can be looked at."""
    return list(_look(settings))


def _look(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", True, ".".join(map(str, sys.version_info[:3])))
    yield from disk(settings)
    try:
        kafka = kafka_of(settings)
        client = admin(kafka)
    except CommandError as error:
        yield Finding("Kafka", False, str(error))
        yield from postgres(settings, None)
        return
    with closing(client):
        yield Finding("Kafka", True, kafka)
        survey = Survey(settings, kafka, client)
        well = True
        for what, check in _CHECKS.items():
            try:
                found = list(check(survey))
            except (KafkaError, CommandError) as error:
                found = [Finding(what, False, f"cannot be looked at: {type(error).__name__}: {error}")]
            yield from found
            if what in _FIRST and not all(finding.ok for finding in found):
                well = False
                break
        yield from postgres(settings, survey if well else None)
