"""Writes Ticks into the input partitions that a worker owns, outside of their transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.records import Tick
from streams.dead_letter_limit import Log
from streams.errors import Unavailable
from streams.kafka_connection import KafkaConnection
from streams.kafka_errors import REFUSALS, translate
from streams.partition import Partition
from streams.transaction import TIMEOUT_MS

_CLOSE_S = 2.0


class TickWriter:
    """One idempotent producer for the Ticks of all owned partitions, used in an `async with` statement.

    A Tick needs no transaction: it is decided on when it is read, so it changes nothing that a checkpoint holds. The Tick of a
    worker that no longer owns the partition does no harm either: what it promises stands before it in the log, or it is
    below the last Tick and changes nothing.
    """

    def __init__(self, kafka: KafkaConnection, log: Log) -> None:
        self._kafka, self._log = kafka, log
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        """Starts the producer. Raises Unavailable, or Stop."""
        producer = AIOKafkaProducer(
            **self._kafka.for_aiokafka(), enable_idempotence=True, linger_ms=0, request_timeout_ms=TIMEOUT_MS
        )
        try:
            await producer.start()
        except REFUSALS as error:
            raise translate(error, "starting the producer of Ticks") from error
        self._producer = producer
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes the producer; Ticks that Kafka does not take in time are given up."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            try:
                await asyncio.wait_for(producer.stop(), _CLOSE_S)
            except (TimeoutError, KafkaError) as error:
                self._log.warning("producer of Ticks not closed", why=type(error).__name__)

    async def write(self, ticks: Sequence[tuple[Partition, Tick]]) -> None:
        """Appends each Tick to its partition, and waits until Kafka has all of them. Raises Unavailable, or Stop."""
        if self._producer is None:
            raise Unavailable("the producer of Ticks is not started")
        waiting: list[tuple[str, int, bytes | None, bytes | None, Any]] = []
        for partition, tick in ticks:
            partition.put(tick, lambda *record: waiting.append(record))
        try:
            sent = [
                await self._producer.send(topic, value, key=key, partition=number, headers=headers)
                for topic, number, key, value, headers in waiting
            ]
            await asyncio.gather(*sent)
        except REFUSALS as error:
            names = ", ".join(sorted({topic for topic, *_ in waiting}))
            raise translate(error, f"writing Ticks to {names}") from error
