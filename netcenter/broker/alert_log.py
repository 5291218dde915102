"""The alerts of the log: every incident with its versions, and what each receiver answered to them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.reading import records_of
from netcenter.broker.sound_records import SoundRecords
from netcenter.broker.topics import settings_of_log
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.settings import Settings
from schemas.records import Alert, AlertDelivery
from streams.kafka_connection import KafkaConnection

ALERTS, DELIVERIES = "alerts", "deliveries"
RECEIVERS = tuple(
    role.name for role in PIPELINE.roles if not role.decides and role.name != PROJECTION and ALERTS in role.reads
)
"""The roles that tell a receiver of alerts, in the order of the flow. A route of the policy names receivers so."""
_LOOKED_AT = 5_000
"""The newest offsets of `deliveries` in which alerts that wait are looked for."""
FINAL = ("accepted", "refused", "passed_over")
"""The outcomes after which a receiver's role does not send that version again."""


class StoredAlert(NamedTuple):
    """A version of an alert in the log."""

    alert: Alert
    stamp: int
    """ms; the broker's time of the record."""


@dataclass
class AlertHistory:
    """An incident: the versions of its alert that the log still has, and the answers to them."""

    versions: list[StoredAlert] = field(default_factory=list)
    """In their order; the last one holds. Compaction deletes earlier ones after a while."""
    deliveries: list[AlertDelivery] = field(default_factory=list)
    """In the order in which they were written."""
    answering: set[str] = field(default_factory=set)
    """The receivers that have answered to any alert of the log."""

    @property
    def last(self) -> Alert:
        """The newest version."""
        return self.versions[-1].alert

    @property
    def fires(self) -> bool:
        """Whether the incident is not over."""
        return self.last.state == "firing"

    def named(self) -> list[str]:
        """The receivers that the newest version names, and every other one that was told of the incident."""
        names = RECEIVERS if self.last.receivers is None else self.last.receivers
        return list(dict.fromkeys((*names, *(d.receiver for d in self._of_this_time()))))

    def answer_of(self, receiver: str) -> AlertDelivery | None:
        """The last answer of a receiver, since the incident last began; None: there is none yet."""
        return next((d for d in reversed(self._of_this_time()) if d.receiver == receiver), None)

    def answers_to(self, alert: Alert) -> list[AlertDelivery]:
        """The last answer of each receiver to one version."""
        return list({d.receiver: d for d in self.deliveries if d.alert_id == alert.id}.values())

    def told_after(self, delivery: AlertDelivery) -> int | None:
        """ms from the record of the version to an answer; None where compaction has deleted that version."""
        stamp = next((v.stamp for v in self.versions if v.alert.id == delivery.alert_id), None)
        return None if stamp is None else max(0, delivery.at - stamp)

    def _of_this_time(self) -> list[AlertDelivery]:
        return [d for d in self.deliveries if d.starts_at == self.last.starts_at]


def alert_partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    """Every partition of one of the two topics. settings: with the partition count of the log."""
    count = PIPELINE.partitions(topic, settings.partitions)
    return [TopicPartition(settings.prefix + topic, number) for number in range(count)]


def alert_histories(settings: Settings, kafka: KafkaConnection) -> dict[str, AlertHistory]:
    """Every incident of the log by its fingerprint, in the order in which they began. Raises Unreachable, CommandError."""
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
        partitions = [*alert_partitions(settings, ALERTS), *alert_partitions(settings, DELIVERIES)]
        ranges = committed_ranges(client, partitions)
    found: dict[str, AlertHistory] = {}
    answering: set[str] = set()
    for record, stamp in SoundRecords(settings).of(records_of(kafka, ranges)):
        if isinstance(record, Alert):
            found.setdefault(record.fingerprint, AlertHistory(answering=answering)).versions.append(
                StoredAlert(record, stamp)
            )
        elif isinstance(record, AlertDelivery):
            answering.add(record.receiver)
            if record.fingerprint in found:
                found[record.fingerprint].deliveries.append(record)
    return dict(sorted(found.items(), key=lambda item: (item[1].last.starts_at, item[0])))


def waiting_alerts(settings: Settings, kafka: KafkaConnection, client: KafkaAdminClient) -> list[AlertDelivery]:
    """For each alert that a receiver has not accepted yet, its last answer with the time of the first one since then, as far as
    the newest records of `deliveries` tell. settings: with the partition count of the log. Raises CommandError.
    """
    ranges = committed_ranges(client, alert_partitions(settings, DELIVERIES))
    newest = {tp: (max(first, end - _LOOKED_AT), end) for tp, (first, end) in ranges.items()}
    waiting: dict[tuple[str, str], AlertDelivery] = {}
    for record, _ in SoundRecords(settings).of(records_of(kafka, newest)):
        if isinstance(record, AlertDelivery):
            about = record.receiver, record.fingerprint
            if record.outcome != "waiting":
                waiting.pop(about, None)
            elif (first := waiting.setdefault(about, record)) is not record:
                waiting[about] = msgspec.structs.replace(record, at=first.at)
    return list(waiting.values())
