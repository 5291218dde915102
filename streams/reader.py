"""A plain consumer without a group, read committed: for changelogs, tails and policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer


@asynccontextmanager
async def reading(kafka: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A started reader, stopped at the end."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=8 << 20,
        fetch_max_wait_ms=50,
    )
    await reader.start()
    # aiokafka's stop() raises CancelledError when its background task has never run: let it run once.
    await asyncio.sleep(0)
    try:
        yield reader
    finally:
        await reader.stop()
