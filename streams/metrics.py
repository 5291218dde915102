"""Every metric of a worker: name, labels, unit and meaning. docs/metrics.md is made from this list.

Labels are roles, topics, partitions and stages, never texts or authors. Names follow Prometheus: base units, and counters end
in `_total`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

Kind = Literal["counter", "gauge", "histogram"]

# Else the client publishes a second series `…_created` for each counter and histogram, which no page names.
disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class MetricSpec:
    """A metric as it is published."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    unit: str
    meaning: str


SPECS: list[MetricSpec] = []
"""All metrics, in the order of docs/metrics.md."""


def _counter(name: str, meaning: str, *labels: str, unit: str) -> Counter:
    SPECS.append(MetricSpec(name, "counter", labels, unit, meaning))
    return Counter(name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str, unit: str) -> Gauge:
    SPECS.append(MetricSpec(name, "gauge", labels, unit, meaning))
    return Gauge(name, meaning, labels)


def _seconds(name: str, meaning: str, *labels: str) -> Histogram:
    SPECS.append(MetricSpec(name, "histogram", labels, "seconds", meaning))
    return Histogram(name, meaning, labels)


READY = _gauge(
    "netcenter_ready",
    "1 when every assigned partition is recovered and nothing is awaited, else 0",
    "role",
    unit="0 or 1",
)
CERTIFICATE_EXPIRY = _gauge(
    "netcenter_kafka_certificate_expiry_timestamp_seconds",
    "When the certificate expires that the worker showed at its last connection to Kafka; absent without one",
    "role",
    unit="seconds since the epoch",
)
ASSIGNED_PARTITIONS = _gauge(
    "netcenter_assigned_partitions", "Partitions that this worker owns", "role", unit="partitions"
)
RECORDS_CONSUMED = _counter(
    "netcenter_records_consumed_total", "Records read and handled, dead letters among them", "role", unit="records"
)
RECORDS_PRODUCED = _counter(
    "netcenter_records_produced_total",
    "Records written to output topics; of a transaction that is aborted too",
    "role",
    "topic",
    unit="records",
)
RECORDS_LOST = _counter(
    "netcenter_records_lost_total",
    "Offsets that retention deleted before the role had read them, markers of transactions among them",
    "role",
    "topic",
    "partition",
    unit="offsets",
)
DEAD_LETTERS = _counter(
    "netcenter_dead_letters_total",
    "Records that became dead letters, by the stage that refused them",
    "role",
    "stage",
    unit="records",
)
DEAD_LETTER_RATIO = _gauge(
    "netcenter_dead_letter_ratio",
    "Dead letters among a partition's last records; from 0.1 on look at the producer",
    "role",
    "partition",
    unit="ratio, 0 to 1",
)
DUPLICATES_DROPPED = _counter(
    "netcenter_duplicates_dropped_total", "Repeated records that were dropped", "role", unit="records"
)
STATE_RECORDS = _gauge(
    "netcenter_state_records", "Records of state that a partition keeps", "role", "partition", unit="records"
)
LEFT_OUT = _gauge(
    "netcenter_left_out",
    "What was too much to be kept since this worker owned the partition, such as conversations of a brand in a minute",
    "role",
    "partition",
    unit="items",
)
WATERMARK_SECONDS = _gauge(
    "netcenter_watermark_timestamp_seconds",
    "Event time of the last checkpoint of an input partition; of a sink, the event time that its receiver has of a partition "
    "with Ticks",
    "role",
    "partition",
    unit="seconds since the epoch",
)
COMMITTED_OFFSET = _gauge(
    "netcenter_committed_offset",
    "Offset to read next, as the last checkpoint holds it or the receiver has it",
    "role",
    "topic",
    "partition",
    unit="offset",
)
CHECKPOINT_SECONDS = _seconds("netcenter_checkpoint_duration_seconds", "Time to commit a checkpoint", "role")
RECOVERY_SECONDS = _seconds("netcenter_recovery_duration_seconds", "Time to recover a partition", "role")
SINK_RECORDS = _counter("netcenter_sink_records_total", "Records that a receiver has taken", "role", unit="records")
SINK_SECONDS = _seconds("netcenter_sink_write_duration_seconds", "Time of one write to a receiver", "role")
SINK_RETRIES = _counter(
    "netcenter_sink_retries_total",
    "Writes that failed because the receiver accepted nothing then",
    "role",
    unit="writes",
)
SINK_WAITING = _gauge(
    "netcenter_sink_waiting_records", "Alerts that their receiver has not accepted yet", "role", unit="records"
)
SINK_OUTAGE = _gauge(
    "netcenter_sink_outage_timestamp_seconds",
    "Since when a receiver of alerts accepts nothing; 0 while it accepts what it is given",
    "role",
    unit="seconds since the epoch",
)
SINK_GIVEN_UP = _gauge(
    "netcenter_sink_given_up",
    "1 where a receiver of alerts said that it is gone for good (410): nothing is sent until its worker is started again, else 0",
    "role",
    unit="0 or 1",
)


def start_at_zero(role: str, topics: Iterable[str], stages: Iterable[str], *, decides: bool, batch: bool) -> None:
    """Publishes a worker's counters and histograms at 0, so that a rate over its first event is right.

    topics: the output topics. stages: the stages that may make a record a dead letter. decides: a role that is no sink.
    """
    READY.labels(role).set(0)
    ASSIGNED_PARTITIONS.labels(role).set(0)
    deciding = [CHECKPOINT_SECONDS, RECOVERY_SECONDS, *([DUPLICATES_DROPPED] if batch else [])]
    for metric in (RECORDS_CONSUMED, *(deciding if decides else [SINK_RECORDS, SINK_SECONDS, SINK_RETRIES])):
        metric.labels(role)
    for topic in topics:
        RECORDS_PRODUCED.labels(role, topic)
    for stage in stages:
        DEAD_LETTERS.labels(role, stage)


def forget(role: str, topic: str, number: int, partition: str) -> None:
    """Removes the gauges of a partition that this worker no longer owns, so that none stays with its last value.

    partition: the name of the partition in the label `partition`.
    """
    for gauge in (DEAD_LETTER_RATIO, STATE_RECORDS, LEFT_OUT, WATERMARK_SECONDS):
        gauge.remove(role, partition)
    COMMITTED_OFFSET.remove(role, topic, str(number))
