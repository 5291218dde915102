"""Writes the records that a partition decided on into the open transaction, with their partitions and headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache

from schemas import headers
from schemas.keys import KEYLESS
from schemas.records import ClassifiedMention, Record
from streams import metrics
from streams.core import Core, Output
from streams.decoder import Decoder
from streams.partitioner import partitions_of

Add = Callable[[str, int, bytes | None, bytes | None, headers.Headers], None]
"""Takes (topic on the broker, partition, key, value, headers), as `TransactionBatches.add`."""
#: Fields that hold a record's own time: the first of these that it has.
_TIMES = ("time", "created_at", "observed_at", "minute", "at")


class OutputWriter:
    """Writes the outputs of one input partition."""

    def __init__(self, core: Core, decoder: Decoder, topic: Callable[[str], str]) -> None:
        """topic: gives a topic's name on the broker."""
        self.role, self.number = core.role.name, core.number
        self._decoder = decoder
        self._place = b"%s/%d/" % (core.role.input_topic.encode(), core.number)
        self._ways = {
            name: (topic(name), core.partitions(name), core.pipeline.topic(name).wire.headers)
            for name in core.role.writes
        }
        """(name on the broker, partitions, whether records carry headers) by a topic's own name."""

    def write(self, outputs: list[Output], add: Add) -> None:
        """Adds the records to the open transaction, in order."""
        role, ways, place = self.role, self._ways, self._place
        before: Record | None = None
        told: headers.Headers = []
        for output, partition in zip(outputs, self._partitions(outputs), strict=True):
            topic, _, carries = ways[output.topic]
            record, fact = output.record, output.fact
            head: headers.Headers = []
            if carries and fact is not None and type(record) not in KEYLESS:
                if record is not before:  # otherwise a copy for another topic, with the same headers
                    told, before = (
                        headers.of(record, role, _time_of(record), b"%s%d" % (place, fact.offset), fact.trace),
                        record,
                    )
                head = told
            add(topic, partition, output.key, output.value, head)
        for name, count in Counter([output.topic for output in outputs]).items():
            metrics.RECORDS_PRODUCED.labels(role, name).inc(count)

    def _partitions(self, outputs: list[Output]) -> list[int]:
        """The partition of each output: its own, or that of its key, which most often is the key of a fact just decoded."""
        here, number, own, ways = self._decoder.here, self.number, self._decoder.partitions, self._ways
        places = [
            number if o.partition is None and o.key in here and ways[o.topic][1] == own else o.partition
            for o in outputs
        ]
        strays: dict[int, list[int]] = {}
        for n, place in enumerate(places):
            if place is None:
                strays.setdefault(ways[outputs[n].topic][1], []).append(n)
        for count, those in strays.items():
            for n, home in zip(those, partitions_of([outputs[n].key or b"" for n in those], count), strict=True):
                places[n] = home
        return places  # type: ignore[return-value]


def _time_of(record: Record) -> int:
    """ms; the record's own time, for its headers; 0 where it has none."""
    if type(record) is ClassifiedMention:
        record = record.mention
    name = _time_field(type(record))
    value = getattr(record, name) if name else None
    return max(0, min(int(value), headers.LAST)) if value is not None else 0


@cache
def _time_field(kind: type[Record]) -> str | None:
    return next((name for name in _TIMES if name in kind.__struct_fields__), None)
