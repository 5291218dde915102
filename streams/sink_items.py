"""Decodes the records of a topic into the items that a sink takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import codec
from schemas.codec import WireError
from schemas.records import Record, Tick
from sinks.port import RefusedItem, SinkItem
from streams.decoder import Decoder
from streams.signatures import NO_SIGNATURES, Signatures
from streams.topology import Pipeline


class SinkItems(msgspec.Struct, frozen=True, gc=False):
    """A batch of one partition: its raw records, and an item for each."""

    topic: str
    """The name without the prefix."""
    partition: int
    raw: Sequence[Any]
    items: list[SinkItem]
    wrong: dict[int, str]
    """By offset: why an item's bytes are not a record."""
    time: int
    """ms; the time of the newest Tick, 0 without one."""

    def unreadable(self) -> list[RefusedItem]:
        """The items whose bytes are not a record."""
        if not self.wrong:
            return []
        items = {item.offset: item for item in self.items}
        return [RefusedItem(items[offset], "decode", "WireError", why) for offset, why in self.wrong.items()]


def sink_items(
    pipeline: Pipeline,
    topic: str,
    partition: int,
    records: Sequence[Any],
    partitions: int,
    signatures: Signatures = NO_SIGNATURES,
) -> SinkItems:
    """Decodes raw records of a Kafka client. topic: its name without the prefix; partitions: how many the topic has.

    An invalid record from outside becomes an item without a record: the role that decides on this topic makes it a dead
    letter.
    """
    dead = topic.endswith(".dead")
    if not dead and pipeline.topic(topic).inputs:
        return _from_outside(Decoder(pipeline.topic(topic), partition, partitions, signatures), records)
    tombstones = not dead and pipeline.topic(topic).kept is None
    items: list[SinkItem] = []
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
        items.append(SinkItem(topic, partition, r.offset, r.key, record, r.headers, r.timestamp))
    return SinkItems(topic, partition, records, items, wrong, time)


def _from_outside(decoder: Decoder, records: Sequence[Any]) -> SinkItems:
    topic, partition = decoder.input_topic, decoder.number
    facts, _ = decoder.facts(records)
    found = {fact.offset: fact.record for fact in facts}
    items = [
        SinkItem(topic.name, partition, r.offset, r.key, found.get(r.offset), r.headers, r.timestamp) for r in records
    ]
    time = max((tick.time for tick in found.values() if type(tick) is Tick), default=0)
    return SinkItems(topic.name, partition, records, items, {}, time)
