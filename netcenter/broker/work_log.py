"""The history of a case's work, from the topic `assignments`."""

from __future__ import annotations

from contextlib import closing

from kafka import TopicPartition

from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.reading import records_of
from netcenter.broker.sound_records import SoundRecords
from netcenter.broker.topics import settings_of_log
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas.records import Offered, WorkEvent
from streams.kafka_connection import KafkaConnection

ASSIGNMENTS = next(topic.name for topic in PIPELINE.topics if Offered in topic.records)


def work_of_cases(settings: Settings, kafka: KafkaConnection, beginning: str) -> list[WorkEvent]:
    """The desk's events about every case whose id begins so, in the order of the log. It reads the whole topic. Raises
    Unreachable, CommandError.
    """
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
        count = PIPELINE.partitions(ASSIGNMENTS, settings.partitions)
        tps = [TopicPartition(settings.prefix + ASSIGNMENTS, number) for number in range(count)]
        ranges = committed_ranges(client, tps)
    found = (record for record, _ in SoundRecords(settings).of(records_of(kafka, ranges)))
    return [one for one in found if isinstance(one, WorkEvent) and _case_of(one).startswith(beginning)]


def _case_of(event: WorkEvent) -> str:
    return str(getattr(event, "case_id", ""))
