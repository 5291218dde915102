"""Which clock the log follows: the wall clock of the brokers, or the event clock of played files."""

from __future__ import annotations

from kafka import TopicPartition

from netcenter.broker.control_records import SIGNED, ControlRecords
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Clock, Tick
from streams.kafka_connection import KafkaConnection

#: A Tick is searched in this many offsets at the beginning and at the end of a partition.
_LOOKED_AT = 1_000


def clock_of_log(settings: Settings, kafka: KafkaConnection) -> Clock:
    """The clock in a Tick that the roles take, among the first or the last thousand offsets of `mentions`/0.

    Raises Unreachable, UsageError as `signatures_of` does, and CommandError where there is no topic or no such Tick.
    """
    tp = TopicPartition(settings.prefix + PIPELINE.roles[0].input_topic, 0)
    first, end = committed_ranges_at(kafka, [tp])[tp]
    control = ControlRecords(settings)
    for start in (first, max(first, end - _LOOKED_AT)):
        for record in control.of(records_of(kafka, {tp: (start, min(end, start + _LOOKED_AT))})):
            if isinstance(record, Tick):
                return record.clock
    signed = f" that is {SIGNED}" if control.verifies else ""
    raise CommandError(f"{tp.topic} holds no Tick{signed}: run `netcenter topics apply --clock wall|event`")
