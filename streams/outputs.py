"""Writes the records that a partition decided on into the open transaction, with their partitions and headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from schemas import codec, headers
from schemas.records import Record, SourceIdle, Tick
from streams import metrics
from streams.core import Core, Output
from streams.decoder import Decoder
from streams.partitioner import partitions_of
from streams.signatures import Signatures

Add = Callable[[str, int, bytes | None, bytes | None, headers.Headers], None]
"""Takes (topic on the broker, partition, key, value, headers), as `TransactionBatches.add`."""


class OutputWriter:
    """Writes the outputs of one input partition."""

    def __init__(
        self,
        core: Core,
        decoder: Decoder,
        group: str,
        topic: Callable[[str], str],
        signatures: Signatures,
    ) -> None:
        """group: the consumer group, which names the writer in headers. topic: gives a topic's name on the broker."""
        self.role, self.number, self._group = core.role.name, core.number, group
        self._decoder = decoder
        self._place = b"%s/%d/" % (core.role.input_topic.encode(), core.number)
        self._ways = {
            name: (
                topic(name),
                core.pipeline.partitions(name, core.partitions),
                core.pipeline.topic(name).carrying,
                signatures.of(core.pipeline.topic(name)),
            )
            for name in core.role.writes
        }
        """(name on the broker, partitions, the records that carry CloudEvents headers, signatures) by a topic's name without the
        prefix.
        """
        self._input = core.pipeline.topic(core.role.input_topic)
        self._input_name = topic(self._input.name)
        self._input_signatures = signatures.of(self._input)

    def write(self, outputs: list[Output], add: Add, position: int) -> None:
        """Adds the records to the open transaction, in order.

        position: of the partition. For a record without a fact, the header names the last record before it as the
        source.
        """
        writer, ways, place = self._group, self._ways, self._place
        before: Record | None = None
        told: headers.Headers = []
        for output, partition in zip(outputs, self._partitions(outputs), strict=True):
            topic, _, carries, signatures = ways[output.topic]
            record = output.record
            head: headers.Headers = []
            if type(record) in carries:
                if record is not before:  # otherwise it is a copy for another topic, with the same headers
                    fact, before = output.fact, record
                    source = b"%s%d" % (place, fact.offset if fact else position - 1)
                    told = headers.of(record, writer, headers.time_of(record), source, fact.trace if fact else None)
                head = told
            if signatures.rings and (ring := signatures.rings.get(type(record))) is not None:
                head = [*head, signatures.header(ring, partition, output.key, output.value or b"")]
            add(topic, partition, output.key, output.value, head)
        for name, count in Counter([output.topic for output in outputs]).items():
            metrics.RECORDS_PRODUCED.labels(self.role, name).inc(count)

    def append(self, record: Tick | SourceIdle, add: Add, position: int, time: int) -> None:
        """Adds a control record to the input partition itself. position, time: of the partition; time is the watermark, ms."""
        head: headers.Headers = []
        if type(record) in self._input.carrying:
            id = None
            if isinstance(record, SourceIdle):  # it has no id and no time of its own
                place = f"{self._input.name}/{self.number}/{position}"
                id = f"idle/{record.role}/{record.partition}/{place}".encode()
            head = headers.of(record, self._group, time, None, id=id)
        value, signatures = codec.encode(record), self._input_signatures
        if (ring := signatures.rings.get(type(record))) is not None:
            head.append(signatures.header(ring, self.number, None, value))
        add(self._input_name, self.number, None, value, head)

    def _partitions(self, outputs: list[Output]) -> list[int]:
        """The partition of each output: a given one, or that of its key, which is usually the key of a fact just
        decoded.
        """
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
