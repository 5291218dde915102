"""What a mention costs to store: records and bytes a mention in each topic, changelogs and PostgreSQL, for the demo's story."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import Any

import psycopg2
from kafka import TopicPartition

from netcenter.broker.client import open_consumer
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import batches_of
from netcenter.demo.run import Demo
from netcenter.demo.worker_processes import Workers
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.records import Mention, PolicyChanged, SourceIdle, Tick


class _Stored(Demo):
    """The demo, which looks at the topics before it ends its servers."""

    figures: dict[str, Any]

    def _await_end(self, settings: Settings, workers: Workers) -> None:
        super()._await_end(settings, workers)
        self.figures = _figures(self, settings)


def measure() -> dict[str, Any]:
    """Play the demo's story, and return for each topic what a mention has led to there."""
    demo = _Stored(inputs=None, keep=False, as_json=True)
    demo.run()
    return demo.figures


def _figures(demo: _Stored, settings: Settings) -> dict[str, Any]:
    records, sizes = Counter[str](), Counter[str]()
    mentions = 0
    kafka = demo._connection(settings, "monitoring")
    changelogs = {role.changelog for role in PIPELINE.roles if role.decides}
    names = {topic.name for topic in PIPELINE.topics if topic.name != "policy"} | changelogs
    counts = {topic.name: PIPELINE.partitions(topic.name, settings.partitions) for topic in PIPELINE.topics}
    places = [TopicPartition(name, n) for name in names for n in range(counts.get(name, settings.partitions))]
    with closing(open_consumer(kafka)) as consumer:
        for batch in batches_of(consumer, committed_ranges_at(kafka, places), 50_000):
            for tp, found in batch.items():
                for record in found:
                    kind = None if tp.topic in changelogs else _kind(record.value)
                    if kind in (Tick, SourceIdle, PolicyChanged):
                        continue
                    mentions += tp.topic == "mentions" and kind is Mention
                    records[tp.topic] += 1
                    sizes[tp.topic] += _size(record)
    topics = {
        name: {"records": round(records[name] / mentions, 3), "bytes": round(sizes[name] / mentions)}
        for name in sorted(names)
    }
    return {"mentions": mentions, "a mention": topics, "PostgreSQL, bytes a mention": _postgres(settings) // mentions}


def _kind(value: bytes | None) -> type[Any] | None:
    try:
        return type(codec.decode(value))
    except WireError:
        return None


def _size(record: Any) -> int:
    """Bytes of key, value and headers."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _postgres(settings: Settings) -> int:
    """Bytes of the tables and their indexes."""
    with closing(psycopg2.connect(settings.postgres)) as connection, connection.cursor() as cursor:
        cursor.execute("select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint from pg_stat_user_tables")
        row = cursor.fetchone()
        return int(row[0]) if row else 0


if __name__ == "__main__":
    print(json.dumps(measure()))
