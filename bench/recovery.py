"""Recovery of a fold's partition with its timers from a changelog on a real Kafka, by the worker's own code."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import uvloop
from aiokafka import AIOKafkaProducer
from kafka.admin import NewTopic

from agents.policy import parse
from bench.state import NOON, PIPELINE, POLICY, Keeper, Kept, kept, key_of, peak, resident, wake_of
from netcenter.broker.client import open_admin
from schemas import codec, ids
from schemas.records import Tick
from streams.checkpoint import PROGRESS
from streams.core import Progress
from streams.deciding_worker import DecidingWorker
from streams.fold import FoldCore
from streams.kafka_connection import KafkaConnection
from streams.partition import Partition
from streams.transaction import TransactionBatches
from streams.worker import WorkerSettings

_FLUSH_EVERY = 20_000
_LOOK_S = 0.005


def measure(kafka: KafkaConnection, keys: int = 1_000_000) -> dict[str, Any]:
    """Measure keys/s, resident bytes a key and the longest pause of the event loop, in a process of its own."""
    prefix = f"b{uuid4().hex[:8]}."
    _create(kafka, prefix)
    asyncio.run(_fill(kafka, prefix, keys))
    command = [sys.executable, "-m", "bench.recovery", str(kafka), prefix]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _create(kafka: KafkaConnection, prefix: str) -> None:
    compacted = {"cleanup.policy": "compact"}
    admin = open_admin(kafka)
    try:
        admin.create_topics(
            [
                NewTopic(f"{prefix}keeper.changelog", 1, 1, topic_configs=compacted),
                NewTopic(f"{prefix}changes", 1, 1),
                NewTopic(f"{prefix}told", 1, 1),
            ]
        )
    finally:
        admin.close()


async def _fill(kafka: KafkaConnection, prefix: str, keys: int) -> None:
    topic, (pack, _), (pack_progress, _) = (
        f"{prefix}keeper.changelog",
        codec.state_codec(Kept),
        codec.state_codec(Progress),
    )
    producer = AIOKafkaProducer(**kafka.for_aiokafka(), max_batch_size=262_144, max_request_size=4 << 20)
    await producer.start()
    try:
        batches = TransactionBatches(producer)
        for number in range(keys):
            key = key_of(number)
            record = kept(ids.make("case", key), 1, NOON, wake_of(number))
            batches.add(topic, 0, key.encode(), pack(record), [])
            if number % _FLUSH_EVERY == 0:
                await batches.delivered()
        progress = Progress(position=2, clock="event", watermark=NOON - 60_000, writers={"clock/0": NOON - 60_000})
        batches.add(topic, 0, PROGRESS, pack_progress(progress), [])
        await batches.delivered()
    finally:
        await producer.stop()


async def _recover(kafka: KafkaConnection, prefix: str) -> dict[str, Any]:
    settings = WorkerSettings(kafka=kafka, prefix=prefix, partitions=1)
    worker = DecidingWorker(PIPELINE, PIPELINE.role("keeper"), settings)

    def core() -> FoldCore:
        return FoldCore(PIPELINE, worker.role, 0, worker.settings.partitions, worker.policies.get, Keeper())

    partition = Partition(core, worker)
    before = resident()
    stalls = [0.0]
    looking = asyncio.create_task(_look(stalls))
    started = time.perf_counter()
    await partition.own()
    took = time.perf_counter() - started
    looking.cancel()
    fold, highest, steady = partition.core, peak(), resident()
    assert isinstance(fold, FoldCore)
    keys = len(fold.state)
    fold.policy = parse(POLICY, 1)
    started = time.perf_counter()
    tick = codec.encode(Tick(clock="event", time=NOON + 59_999, role="clock", partition=0))
    await partition.take([SimpleNamespace(offset=2, key=None, value=tick, timestamp=0, headers=())])
    fired = len(fold.touched)
    await partition.commit()
    burst = time.perf_counter() - started
    await partition.release(commit=False)
    return {
        "keys": keys,
        "timers": fold.timers() + fired,
        "seconds": round(took, 2),
        "keys_per_s": round(keys / took),
        "steady_bytes_a_key": round((steady - before) / keys),
        "peak_bytes_a_key": round((highest - before) / keys),
        "peak_resident_mb": round(highest / 2**20),
        "longest_stall_ms": round(max(stalls) * 1000),
        "burst": fired,
        "burst_committed_s": round(burst, 2),
    }


async def _look(stalls: list[float]) -> None:
    """Record the longest delay with which the event loop wakes a sleeping task."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(_LOOK_S)
        stalls.append(time.perf_counter() - asked - _LOOK_S)


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_recover(KafkaConnection(sys.argv[1]), sys.argv[2]))))
