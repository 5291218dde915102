"""Finds offsets by the content of records: times and source offsets never decrease within a partition, so bisection
works.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition

from netcenter.broker.client import open_consumer
from netcenter.broker.offsets import OffsetRange
from netcenter.broker.policy_topic import StoredPolicy
from netcenter.broker.reading import records_in
from netcenter.broker.refused_records import RefusedRecords
from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.codec import WireError
from schemas.headers import source_offset
from schemas.records import PolicyChanged, Record, Tick
from streams.kafka_connection import KafkaConnection

_FETCH = 64 * 1024
_LOOK_BACK = 1_000
#: ms; if a log's first record is this much later than a policy's text, the log no longer holds the PolicyChanged of
#: that policy.
_LONG_AFTER = 60_000
Value = Callable[[Any], int | None]
"""Returns a value of a raw record that never decreases within a partition; None for a record without such a value."""


def time_of(raw: Any) -> int | None:
    """The time of a Tick in ms, see `ms_of`; None for any other record."""
    record = decoded(raw)
    return ms_of(record, int(raw.timestamp)) if type(record) is Tick else None


def ms_of(tick: Tick, stamp: int) -> int:
    """The time of a Tick in ms; in `mentions` on the wall clock, the broker's timestamp counts."""
    return stamp if tick.clock == "wall" and tick.role == PIPELINE.clock_role else tick.time


def source_of(raw: Any) -> int | None:
    """The offset of the record in `mentions` that led to this record; None where its headers do not say."""
    return source_offset(raw.headers)


def decoded(raw: Any) -> Record | None:
    """The decoded record; None where the bytes are not a record of Netcenter."""
    try:
        return codec.decode(raw.value)
    except WireError:
        return None


class Seeker:
    """Reads single places of topics, without the records that the roles have refused because of their signature: their
    times mean nothing. A context manager that closes its consumer.
    """

    def __init__(self, kafka: KafkaConnection, refused: RefusedRecords) -> None:
        self._refused = refused
        self._consumer = open_consumer(kafka, _FETCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def records(self, tp: TopicPartition, start: int, end: int) -> Iterator[Any]:
        """The raw records from offset `start` to before `end`. Another call ends the iteration of the earlier one."""
        return self._refused.without(records_in(self._consumer, tp, (start, end)))

    def first(self, tp: TopicPartition, span: OffsetRange, value: Value) -> Any | None:
        """The first raw record of a span for which `value` is not None."""
        return next((r for r in self.records(tp, *span) if value(r) is not None), None)

    def part(self, tp: TopicPartition, span: OffsetRange, value: Value, least: int) -> tuple[Any | None, Any | None]:
        """The last raw record whose value is below `least`, and the first raw record whose value is not."""
        below = above = None
        low, high = span
        while low < high:
            middle = (low + high) // 2
            found = self.first(tp, (middle, high), value)
            if found is None:
                high = middle
            elif (value(found) or 0) >= least:
                above, high = found, middle
            else:
                below, low = found, found.offset + 1
        return below, above

    def last_before(self, tp: TopicPartition, offset: int, first: int, value: Value) -> Any | None:
        """The last raw record before an offset for which `value` is not None; `first` is where the log begins."""
        look = _LOOK_BACK
        while True:
            start = max(first, offset - look)
            found = [r for r in self.records(tp, start, offset) if value(r) is not None]
            if found or start == first:
                return found[-1] if found else None
            look *= 8

    def span(self, tp: TopicPartition) -> OffsetRange:
        """The first offset and the end of the committed records."""
        return self._consumer.beginning_offsets([tp])[tp], self._consumer.end_offsets([tp])[tp]

    def at_stamp(self, tp: TopicPartition, stamp: int) -> int | None:
        """The offset of the first record that the broker wrote at this time (ms) or later; None when there is none."""
        found = self._consumer.offsets_for_times({tp: max(0, stamp)})[tp]
        return None if found is None else int(found.offset)

    def policy(self, tp: TopicPartition, start: int, first: int, policies: Mapping[int, StoredPolicy]) -> int:
        """The policy version in force just before an offset; `first` is where the log begins."""
        oldest = min(policies)
        for version in sorted(policies.keys() - {oldest}, reverse=True):
            stamp = policies[version].stamp
            at = self.at_stamp(tp, stamp)
            if at is None or at >= start:
                continue
            for raw in self.records(tp, at, start):
                if at == first > 0 and raw.timestamp > stamp + _LONG_AFTER:
                    return version
                record = decoded(raw)
                if (
                    isinstance(record, PolicyChanged)
                    and record.version == version
                    and record.hash == policies[version].hash
                ):
                    return version
        return oldest
