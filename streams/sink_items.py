"""Decodes the records of a topic into the items that a sink takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import codec
from schemas.codec import NewerRecord, WireError
from schemas.records import Record, Tick
from sinks.port import RefusedItem, SinkItem
from streams.decoder import Decoder, newer_record
from streams.errors import Misconfigured
from streams.signatures import SignatureCheck
from streams.topology import Pipeline

STAGES = ("decode", "sink")
"""The stages of a sink that may make a record a dead letter: the bytes cannot be read, or the receiver refuses them."""


class SinkItems(msgspec.Struct, frozen=True, gc=False):
    """A batch of one partition: its raw records, and an item for each."""

    topic: str
    """The name without the prefix."""
    partition: int
    raw: Sequence[Any]
    items: list[SinkItem]
    wrong: dict[int, WireError]
    """By offset: why an item's bytes are not a record that this release can read."""
    time: int
    """ms; the time of the newest Tick, 0 without one."""

    def unreadable(self) -> list[RefusedItem]:
        """The items whose bytes are not a record."""
        if not self.wrong:
            return []
        items = {item.offset: item for item in self.items}
        return [
            RefusedItem(items[offset], "decode", type(error).__name__, str(error))
            for offset, error in self.wrong.items()
        ]


def sink_items(
    pipeline: Pipeline,
    topic: str,
    partition: int,
    records: Sequence[Any],
    partitions: int,
    signatures: SignatureCheck,
) -> SinkItems:
    """Decodes raw records of a Kafka client. topic: its name without the prefix; partitions: how many the topic has.

    An invalid record from outside becomes an item without a record: the role that decides on this topic makes it a dead
    letter. Raises Misconfigured for a record of a newer release in a topic into which only roles write; in other topics
    such a record is a dead letter of the sink.
    """
    dead = topic.endswith(".dead")
    if not dead and pipeline.topic(topic).inputs:
        return _from_outside(Decoder(pipeline.topic(topic), partition, partitions, signatures), records)
    tombstones = not dead and pipeline.topic(topic).kept is None
    items: list[SinkItem] = []
    wrong: dict[int, WireError] = {}
    time = 0
    for r in records:
        record: Record | None = None
        if not dead and not (tombstones and r.value is None):
            try:
                record = codec.decode(r.value)
            except NewerRecord as error:
                raise Misconfigured(newer_record(topic, partition, r.offset, error)) from None
            except WireError as error:
                wrong[r.offset] = error
            if type(record) is Tick:
                time = max(time, record.time)
        items.append(SinkItem(topic, partition, r.offset, r.key, record, r.headers, r.timestamp))
    return SinkItems(topic, partition, records, items, wrong, time)


def _from_outside(decoder: Decoder, records: Sequence[Any]) -> SinkItems:
    topic, partition = decoder.input_topic, decoder.number
    facts, dead = decoder.facts(records)
    newer = {d.fact.offset: NewerRecord(d.message) for d in dead if d.error == NewerRecord.__name__}
    found = {fact.offset: fact.record for fact in facts}
    items = [
        SinkItem(topic.name, partition, r.offset, r.key, found.get(r.offset), r.headers, r.timestamp) for r in records
    ]
    time = max((tick.time for tick in found.values() if type(tick) is Tick), default=0)
    return SinkItems(topic.name, partition, records, items, {**newer}, time)
