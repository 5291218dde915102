"""What a sink refuses is in the dead letters before its worker goes on, whatever happens next."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import REGISTRY

from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.dead_letter_headers import DEAD_LETTER
from schemas.records import Tick
from sinks.port import RefusedItem, SinkItem
from streams import metrics
from streams.committed_offsets import CommittedOffset
from streams.dead_letter_limit import DeadLetterLimit
from streams.errors import Stop
from streams.kafka_connection import KafkaConnection
from streams.signatures import NO_SIGNATURES
from streams.sink_items import sink_items
from streams.sink_worker import SinkWorker
from streams.worker import WorkerSettings
from tests.support.world import NOON, classified, mention

TOPIC = TP("classified", 0)


class Receiver:
    """Refuses the posts of some numbers; writes down what happens, in order."""

    def __init__(self, refuses: set[int]) -> None:
        self.refuses, self.happened = refuses, list[tuple[str, Any]]()

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        self.happened.append(("written", [item.offset for item in items]))
        return [RefusedItem(i, "sink", "TooLong", "no room") for i in items if i.offset in self.refuses]

    async def send_and_wait(self, topic: str, **sent: Any) -> None:
        """As a producer's."""
        self.happened.append(("dead", sent["value"]))


def written(receiver: Receiver, values: list[bytes], window: int, redriven: Container[int] = ()) -> None:
    """One batch of one partition. redriven: offsets of records that were sent again. Raises Stop above the limit."""

    async def run() -> None:
        settings = WorkerSettings(kafka=KafkaConnection("nowhere"), dead_window=window)
        made: Any = receiver
        worker = SinkWorker(PIPELINE, PIPELINE.role("postgres"), settings, made)
        worker.dead_letters.producer = made
        worker._owned = {TOPIC}
        worker.dead_letters.limits = {TOPIC: DeadLetterLimit("classified/0", "classified.dead", 1.0, window)}
        again = [(DEAD_LETTER, b"classified.dead/0/1")]
        raw = [
            SimpleNamespace(offset=n, key=b"k", value=v, timestamp=NOON, headers=again if n in redriven else [])
            for n, v in enumerate(values)
        ]
        await worker._write([sink_items(PIPELINE, TOPIC.topic, 0, raw, 1, NO_SIGNATURES)])

    asyncio.run(run())


GOOD = [codec.encode(classified(mention("u", n))) for n in range(8)]


def test_what_cannot_be_read_is_a_dead_letter_before_the_receiver_passes_it() -> None:
    """The receiver keeps its offsets with the write: who starts behind them sees the record no more."""
    receiver = Receiver(set())
    written(receiver, [GOOD[0], b"bad", GOOD[1]], 1_000)
    assert receiver.happened == [("dead", b"bad"), ("written", [0, 1, 2])]


def test_a_sink_that_stops_for_its_dead_letters_has_written_all_of_them() -> None:
    """Not only those up to the limit: the receiver has passed the others too."""
    receiver = Receiver({1, 2, 3, 4, 5})
    with pytest.raises(Stop, match=r"classified/0: 4 of the last 4 records"):
        written(receiver, GOOD, 4)
    assert [value for what, value in receiver.happened if what == "dead"] == GOOD[1:6]


def test_good_records_count_and_ticks_do_not() -> None:
    """A refused record among good ones stops no sink, however often; Ticks between refused ones save none."""
    tick = codec.encode(Tick(clock="event", time=NOON, role="classify", partition=0))
    written(Receiver({0, 2, 4, 6}), GOOD, 3)
    with pytest.raises(Stop):
        written(Receiver({0, 2, 4}), [GOOD[0], tick, GOOD[1], tick, GOOD[2]], 3)


def test_a_record_that_fails_again_after_a_redrive_does_not_count() -> None:
    """Neither one that the receiver refuses nor one that cannot be read; fresh ones between them still stop the sink."""
    values = [*GOOD[:4], *[b"bad"] * 4]
    written(Receiver({0, 1, 2, 3}), values, 4, redriven=range(8))
    written(Receiver({0, 1, 2, 3}), values, 4, redriven=(1, 2, 3, 5, 7))
    with pytest.raises(Stop, match="4 of the last 4"):
        written(Receiver({0, 1, 2, 3}), values, 4, redriven=(1, 3, 5, 7))


def test_records_that_a_receiver_has_taken_are_counted_without_the_refused_ones() -> None:
    """Those stand among the dead letters."""
    before = metrics.SINK_RECORDS.labels("postgres")._value.get()
    written(Receiver({1, 2}), GOOD, 1_000)
    assert metrics.SINK_RECORDS.labels("postgres")._value.get() - before == len(GOOD) - 2


def test_a_sink_publishes_its_event_time_and_commits_what_it_wrote_last_before_its_partitions_leave() -> None:
    """Otherwise a receiver without offsets of its own gets the last write again at each rebalance."""
    committed: list[dict[TP, CommittedOffset]] = []

    async def run() -> None:
        made: Any = Receiver(set())
        worker = SinkWorker(PIPELINE, PIPELINE.role("postgres"), WorkerSettings(kafka=KafkaConnection("nowhere")), made)

        async def commit(offsets: dict[TP, CommittedOffset]) -> None:
            committed.append(offsets)

        worker.commit_offsets = commit  # type: ignore[method-assign]
        worker._owned, worker.rebalancing = {TOPIC, TP("alerts", 1)}, False
        worker._committed = {TOPIC: CommittedOffset(8, NOON), TP("alerts", 1): CommittedOffset(3, 0)}
        worker.committed_offsets()
        assert gauge("watermark_timestamp_seconds", partition="classified/0") == NOON / 1000
        assert gauge("watermark_timestamp_seconds", partition="alerts/1") is None, "alerts has no Ticks"
        assert gauge("committed_offset", topic="alerts", partition="1") == 3
        await worker.revoked({TOPIC})
        assert committed == [{TOPIC: CommittedOffset(8, NOON)}]
        assert gauge("watermark_timestamp_seconds", partition="classified/0") is None
        assert gauge("committed_offset", topic="classified", partition="0") is None
        assert gauge("committed_offset", topic="alerts", partition="1") == 3

    asyncio.run(run())


def gauge(name: str, **labels: str) -> float | None:
    """What the process publishes; None where it publishes nothing."""
    return REGISTRY.get_sample_value(f"netcenter_{name}", {"role": "postgres", **labels})
