"""A consumer without a group that reads committed records: changelogs, tails, policies, and the time at an offset."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import codec
from schemas.codec import WireError
from schemas.records import Tick
from streams.kafka_connection import KafkaConnection

_LOOK_BACK = 1_000


@asynccontextmanager
async def reading(kafka: KafkaConnection, isolation: str = "read_committed") -> AsyncIterator[AIOKafkaConsumer]:
    """A started reader; it is stopped at the end of the `with`."""
    reader = AIOKafkaConsumer(
        **kafka.for_aiokafka(),
        group_id=None,
        isolation_level=isolation,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
    )
    try:
        await reader.start()
        # aiokafka's stop() raises CancelledError when its background task has never run; this line lets the task run
        # once.
        await asyncio.sleep(0)
        yield reader
    finally:
        await reader.stop()


async def written_end(kafka: KafkaConnection, tp: TopicPartition) -> int:
    """The offset after the last record of a partition, records of open transactions included."""
    async with reading(kafka, "read_uncommitted") as reader:
        return int((await reader.end_offsets([tp]))[tp])


async def own_host(reader: AIOKafkaConsumer) -> str:
    """This machine's address in its connection to the broker; empty without a connection."""
    await reader.topics()  # the first connection is closed already: this opens another
    for connection in reader._client._conns.values():
        if connection._writer is not None:
            return str(connection._writer.get_extra_info("sockname")[0])
    return ""


async def times_at(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
    """The event time (ms) at each of these offsets, which is the time of the last Tick before it. A partition without
    such a Tick is left out.
    """
    first = await reader.beginning_offsets(list(ends)) if ends else {}
    left, times, look = dict(ends), dict[TopicPartition, int](), _LOOK_BACK
    while left:
        starts = {tp: max(first[tp], end - look) for tp, end in left.items()}
        reader.assign(list(left))
        for tp, start in starts.items():
            reader.seek(tp, start)
        while any([await reader.position(tp) < end for tp, end in left.items()]):
            for tp, found in (await reader.getmany(timeout_ms=100)).items():
                for time in (_time(r.value) for r in found if r.offset < left[tp]):
                    times[tp] = max(time, times.get(tp, 0))
        left = {tp: end for tp, end in left.items() if times.get(tp, 0) == 0 and starts[tp] > first[tp]}
        look *= 8
    return {tp: time for tp, time in times.items() if time}


def _time(value: bytes | None) -> int:
    """ms of a Tick; 0 for any other record."""
    try:
        record = codec.decode(value)
    except WireError:
        return 0
    return record.time if isinstance(record, Tick) else 0
