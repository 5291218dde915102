"""Whether the records of a log are signed, as far as the newest records tell."""

from __future__ import annotations

from kafka import TopicPartition

from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection
from streams.signatures import SIGNATURE

#: The newest offsets of each partition that are looked at; some are markers of transactions.
_LOOKED_AT = 200


def signed_record(settings: Settings, kafka: KafkaConnection, topic: str) -> str | None:
    """`topic/partition/offset` of a signed record among the newest of a topic; None where there is none.

    topic: without the prefix. settings: with the partition count of the log. Raises Unreachable, and CommandError.
    """
    tps = [TopicPartition(settings.prefix + topic, n) for n in range(settings.partitions)]
    ranges = {tp: (max(first, end - _LOOKED_AT), end) for tp, (first, end) in committed_ranges_at(kafka, tps).items()}
    signed = (r for r in records_of(kafka, ranges) if any(name == SIGNATURE for name, _ in r.headers))
    return next((f"{topic}/{r.partition}/{r.offset}" for r in signed), None)
