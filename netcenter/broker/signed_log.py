"""Whether the records of a log are signed, as far as the newest records tell."""

from __future__ import annotations

from kafka import TopicPartition

from netcenter.broker.control_records import ControlRecords
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection
from streams.signatures import SIGNATURE

#: The newest offsets of each partition that are looked at; some are markers of transactions.
_LOOKED_AT = 200


def signed_record(settings: Settings, kafka: KafkaConnection, topic: str) -> str | None:
    """`topic/partition/offset` of a signed record among the newest of a topic; None where there is none.

    Anybody can write the header of a signature: with keys, only that of a control record counts, and only where it is
    right. topic: without the prefix. settings: with the partition count of the log. Raises Unreachable, CommandError, and
    UsageError as `signatures_of` does.
    """
    control = ControlRecords(settings)
    tps = [TopicPartition(settings.prefix + topic, n) for n in range(settings.partitions)]
    ranges = {tp: (max(first, end - _LOOKED_AT), end) for tp, (first, end) in committed_ranges_at(kafka, tps).items()}
    given = (r for r in records_of(kafka, ranges) if any(name == SIGNATURE for name, _ in r.headers))
    signed = (r for r in given if not control.verifies or control.record(r) is not None)
    return next((f"{topic}/{r.partition}/{r.offset}" for r in signed), None)
