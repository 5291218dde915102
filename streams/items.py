"""Records of a topic as the items that a sink takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import codec
from schemas.codec import WireError
from schemas.records import Record, Tick
from sinks.port import Item
from streams.intake import Intake
from streams.topology import Pipeline, Topic


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """What one partition brought, as a sink takes it."""

    items: list[Item]
    #: What is wrong with the bytes of an item, by offset.
    wrong: dict[int, str]
    #: ms; the newest Tick's, 0 without one.
    time: int


def decoded(pipeline: Pipeline, topic: str, partition: int, records: Sequence[Any], partitions: int) -> Decoded:
    """Records as a Kafka client gives them, of a topic by its own name and number of partitions.

    What comes from outside and is not as it must be has no record here: the role that reads the topic sets it aside.
    """
    dead = topic.endswith(".dead")
    if not dead and pipeline.topic(topic).inputs:
        return _from_outside(pipeline.topic(topic), partition, records, partitions)
    tombstones = not dead and pipeline.topic(topic).kept is None
    items: list[Item] = []
    wrong: dict[int, str] = {}
    time = 0
    for r in records:
        record: Record | None = None
        if not dead and not (tombstones and r.value is None):
            try:
                record = codec.decode(r.value)
            except WireError as error:
                wrong[r.offset] = str(error)
            if type(record) is Tick:
                time = max(time, record.time)
        items.append(Item(topic, partition, r.offset, r.key, record, r.headers, r.timestamp))
    return Decoded(items, wrong, time)


def _from_outside(topic: Topic, partition: int, records: Sequence[Any], partitions: int) -> Decoded:
    facts, _ = Intake(topic, partition, partitions).facts(records)
    found = {fact.offset: fact.record for fact in facts}
    items = [Item(topic.name, partition, r.offset, r.key, found.get(r.offset), r.headers, r.timestamp) for r in records]
    return Decoded(items, {}, max((tick.time for tick in found.values() if type(tick) is Tick), default=0))
