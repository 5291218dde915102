"""Dead letters: list them, look at one, put them back after a fix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition

from netcenter.errors import UsageError
from netcenter.ingest import Log
from netcenter.pipeline import PIPELINE
from netcenter.reading import records, spans
from netcenter.settings import Settings
from netcenter.topics import admin
from schemas import codec
from schemas.codec import WireError
from schemas.records import Record
from streams.deadletters import ERROR, MESSAGE, OFFSET, PARTITION, PREFIX, STAGE, TOPIC
from streams.partitioner import partition_of


@dataclass(frozen=True)
class Letter:
    """A record that could not be handled."""

    id: str
    """topic/partition/offset of the dead letter itself."""
    topic: str
    partition: int
    offset: int
    """Where the record stood."""
    stage: str
    error: str
    message: str
    at: int
    """ms; the broker's time of the dead letter."""
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    def record(self) -> Record | None:
        """The record, where its bytes can be read."""
        try:
            return codec.decode(self.value)
        except WireError:
            return None


def count_letters(settings: Settings, kafka: str) -> int:
    """How many dead letters there are."""
    return sum(1 for _ in letters(settings, kafka))


def letters(settings: Settings, kafka: str) -> Iterator[Letter]:
    """Every dead letter, in the order of topics and partitions."""
    client = admin(kafka)
    try:
        have = set(client.list_topics())
        names = [settings.prefix + t.name for t in PIPELINE.dead_topics()]
        found = spans(client, [TopicPartition(t, n) for t in names if t in have for n in range(settings.partitions)])
    finally:
        client.close()
    for record in records(kafka, found):
        yield _letter(settings, record)


def _letter(settings: Settings, r: Any) -> Letter:
    head = {name: value.decode("utf-8", "replace") for name, value in r.headers if name.startswith(PREFIX)}
    return Letter(
        id=f"{r.topic.removeprefix(settings.prefix)}/{r.partition}/{r.offset}",
        topic=head.get(TOPIC, ""),
        partition=int(head.get(PARTITION, -1)),
        offset=int(head.get(OFFSET, -1)),
        stage=head.get(STAGE, ""),
        error=head.get(ERROR, ""),
        message=head.get(MESSAGE, ""),
        at=r.timestamp,
        key=r.key,
        value=r.value,
        headers=[(name, value) for name, value in r.headers if not name.startswith(PREFIX)],
    )


def put_back(settings: Settings, kafka: str, found: list[Letter]) -> int:
    """Send letters to the topics they came from, each on its key's own partition; how many.

    A record that was handled meanwhile is dropped by its id. Raises UsageError for one whose topic is not known.
    """
    for letter in found:
        if letter.topic not in {t.name for t in PIPELINE.topics}:
            raise UsageError(f"{letter.id} does not say which topic it came from: it cannot be put back")
    with Log(settings, kafka) as log:
        for letter in found:
            partition = letter.partition if letter.key is None else partition_of(letter.key, settings.partitions)
            log.raw(settings.prefix + letter.topic, partition, letter.key, letter.value, letter.headers)
    return len(found)
