"""Which clock the log follows: the wall clock of the brokers, or the event clock of played files."""

from __future__ import annotations

from kafka import TopicPartition

from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.records import Clock, Tick
from streams.kafka_connection import KafkaConnection

#: A Tick is searched in this many offsets at the beginning and at the end of a partition.
_LOOKED_AT = 1_000


def clock_of_log(settings: Settings, kafka: KafkaConnection) -> Clock:
    """The clock in a Tick among the first or the last thousand offsets of `mentions`/0.

    Raises Unreachable, and CommandError where there is no topic or no Tick.
    """
    tp = TopicPartition(settings.prefix + PIPELINE.roles[0].input_topic, 0)
    first, end = committed_ranges_at(kafka, [tp])[tp]
    for start in (first, max(first, end - _LOOKED_AT)):
        for record in records_of(kafka, {tp: (start, min(end, start + _LOOKED_AT))}):
            clock = _clock(record.value)
            if clock is not None:
                return clock
    raise CommandError(f"{tp.topic} holds no Tick: run `netcenter topics apply --clock wall|event`")


def _clock(value: bytes | None) -> Clock | None:
    try:
        record = codec.decode(value)
    except WireError:
        return None
    return record.clock if isinstance(record, Tick) else None
