"""Runs every check, causes before their consequences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing

from kafka.errors import KafkaError

from netcenter.broker.client import open_admin
from netcenter.errors import CommandError
from netcenter.operate.doctor import log, own_rights, positions, transactions, worker_checks
from netcenter.operate.doctor.certificate import certificate
from netcenter.operate.doctor.disks import broker_disk, disk
from netcenter.operate.doctor.finding import Finding
from netcenter.operate.doctor.postgres import postgres
from netcenter.operate.doctor.survey import Check, Survey
from netcenter.runtime.endpoints import kafka_of
from netcenter.runtime.kafka_security import in_words
from netcenter.settings import Settings

#: The checks of the log, in order. The name is the subject of the finding when the check itself fails.
_CHECKS: dict[str, Check] = {
    "rights": own_rights.rights,
    "topics": log.topics,
    "partitions": log.partitions,
    "configs of topics": log.configs,
    "first records": log.seeds,
    "groups": worker_checks.groups,
    "disk of Kafka": broker_disk,
    "clock": log.clock,
    "policy": log.policy,
    "signatures": log.signatures,
    "transactions": transactions.open_for_long,
    "positions": positions.positions,
    "changelogs": positions.changelogs,
    "workers": worker_checks.workers,
    "dead letters": log.dead_letters,
}
#: When one of these checks finds a fault, the checks after it would only report that fault again: they are left out.
_PREREQUISITES = ("rights", "topics", "groups")


def examine(settings: Settings) -> list[Finding]:
    """The findings of every check. A check that fails is a finding too; no error is raised."""
    return list(_findings(settings))


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", True, ".".join(map(str, sys.version_info[:3])))
    yield from disk(settings)
    try:
        kafka = kafka_of(settings)
        client = open_admin(kafka)
    except CommandError as error:
        yield Finding("Kafka", False, str(error))
        yield from postgres(settings, None)
        return
    with closing(client):
        yield Finding("Kafka", True, str(kafka))
        yield from certificate(kafka)
        survey = Survey(settings, kafka, client)
        complete = True
        for subject, check in _CHECKS.items():
            try:
                found = list(check(survey))
            except (KafkaError, CommandError) as error:
                found = [Finding(subject, False, f"cannot be looked at: {in_words(error, settings)}")]
            yield from found
            if subject in _PREREQUISITES and not all(finding.ok for finding in found):
                complete = False
                break
        yield from postgres(settings, survey if complete else None)
