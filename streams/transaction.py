"""The fenced producer of an input partition, and the batches of records in its open transaction."""

from __future__ import annotations

import asyncio
import time as wall
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas.headers import Headers
from streams.errors import Fenced, Stop
from streams.kafka_connection import KafkaConnection
from streams.kafka_errors import REFUSALS, TOO_LARGE, translate

TIMEOUT_MS = 10_000
"""Kafka aborts a transaction that is open for longer."""
_BATCH_BYTES = 262_144
_REQUEST_BYTES = 4 << 20
_CLOSE_S = 2.0


class _OpenBatch:
    """A batch that is being filled. `append` is the builder's own method, because aiokafka's wrapper would double the
    cost.
    """

    __slots__ = ("append", "batch", "count")

    def __init__(self, batch: BatchBuilder) -> None:
        self.batch = batch
        self.append = batch._builder.append
        """Takes (place in the batch, time or None, key, value, headers); returns None when there is no room."""
        self.count = 0

    def close(self) -> BatchBuilder:
        """Closes the batch and returns it for sending."""
        self.batch._relative_offset = self.count
        self.batch.close()
        return self.batch


class TransactionBatches:
    """The records of an open transaction, in one open batch per topic partition and the batches that are full."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self._open: dict[tuple[str, int], _OpenBatch] = {}
        self._full: list[tuple[str, int, _OpenBatch]] = []
        self._sent: list[tuple[str, int, _OpenBatch, asyncio.Future[Any]]] = []

    def add(self, topic: str, partition: int, key: bytes | None, value: bytes | None, head: Headers) -> None:
        """Appends a record; nothing is sent before `send`. Raises Stop for a record that is larger than any batch."""
        batch = self._open.get((topic, partition))
        if batch is not None:
            if batch.append(batch.count, None, key, value, head) is not None:
                batch.count += 1
                return
            self._full.append((topic, partition, batch))
        batch = self._open[topic, partition] = _OpenBatch(self.producer.create_batch())
        if batch.append(0, None, key, value, head) is None:
            raise Stop(f"a record of {len(value or b'')} bytes for {topic}/{partition} fits no batch of {_BATCH_BYTES}")
        batch.count = 1

    async def send(self, *, full: bool) -> None:
        """Sends the full batches, or all of them; does not wait for the broker's answer."""
        if not full:
            self._full += [(topic, partition, batch) for (topic, partition), batch in self._open.items()]
            self._open = {}
        ready, self._full = self._full, []
        for topic, partition, batch in ready:
            try:
                future = await self.producer.send_batch(batch.close(), topic, partition=partition)
            except IllegalOperation:
                # The transaction has failed with an earlier batch, whose own error says why.
                await self._answers(self._sent)
                raise
            # Only `delivered` awaits the future. If the transaction is given up before, asyncio would log the future's
            # error.
            future.add_done_callback(lambda sent: sent.cancelled() or sent.exception())
            self._sent.append((topic, partition, batch, future))

    async def delivered(self) -> dict[tuple[str, int], int]:
        """Sends everything and waits until the broker has it. Returns the offset after the last record by topic partition.

        Raises if the broker refused anything.
        """
        await self.send(full=False)
        sent, self._sent = self._sent, []
        found = await self._answers(sent)
        return {
            (topic, n): metadata.offset + batch.count
            for (topic, n, batch, _), metadata in zip(sent, found, strict=True)
        }

    async def _answers(self, sent: list[tuple[str, int, _OpenBatch, asyncio.Future[Any]]]) -> list[Any]:
        try:
            return await asyncio.gather(*(future for *_, future in sent))
        except TOO_LARGE as error:
            for topic, n, batch, future in sent:
                if future.done() and isinstance(future.exception(), TOO_LARGE):
                    raise Stop(
                        f"{topic}/{n} does not take {batch.batch.size()} bytes in {batch.count} records: raise "
                        f"max.message.bytes of that topic, or delete it there ({type(error).__name__})"
                    ) from error
            raise


class Transaction:
    """The transactions of one owner of an input partition, one after the other: begin, add records, send, commit."""

    def __init__(self, name: str, kafka: KafkaConnection, transactional_id: str) -> None:
        """name: of the input partition, for errors. Nothing happens before `start`."""
        self.name = name
        self.open = False
        self.since = 0.0
        """When the open transaction began (s of the monotonic clock)."""
        self.sent = 0.0
        """When batches that were not full were last sent (s of the monotonic clock)."""
        self.records = 0
        """Input records handled in the open transaction."""
        self._kafka, self._id = kafka, transactional_id
        self._producer: AIOKafkaProducer | None = None
        self._batches: TransactionBatches | None = None

    @property
    def started(self) -> bool:
        """Whether this owner may write: from `start` to `stop`."""
        return self._producer is not None

    async def start(self) -> None:
        """Fences the partition's last owner: its open transaction is aborted, and it can commit nothing more."""
        self._producer = producer = AIOKafkaProducer(
            **self._kafka.for_aiokafka(),
            transactional_id=self._id,
            transaction_timeout_ms=TIMEOUT_MS,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
            linger_ms=0,
            request_timeout_ms=TIMEOUT_MS,
        )
        await producer.start()
        self._batches = TransactionBatches(producer)

    async def stop(self) -> None:
        """Closes the producer; an open transaction is aborted. After TimeoutError and KafkaError the producer is closed
        as well.
        """
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await asyncio.wait_for(producer.stop(), _CLOSE_S)

    async def begin(self) -> None:
        """Begins a transaction where none is open. Raises Fenced after `stop`."""
        if self.open:
            return
        if self._producer is None:
            raise Fenced(f"{self.name}: no longer ours")
        try:
            await self._producer.begin_transaction()
        except REFUSALS as error:
            raise self.translated(error, "beginning a transaction") from error
        self.open, self.records = True, 0
        self.since = self.sent = wall.monotonic()

    @property
    def batches(self) -> TransactionBatches:
        """The object that takes the records of the open transaction. Raises Fenced before `start`."""
        if self._batches is None:
            raise Fenced(f"{self.name}: no longer ours")
        return self._batches

    async def send(self, *, full: bool) -> None:
        """Sends the full batches, or all of them; does not wait for the broker's answer."""
        if not full:
            self.sent = wall.monotonic()
        try:
            await self.batches.send(full=full)
        except REFUSALS as error:
            raise self.translated(error, "sending") from error

    async def commit(self) -> dict[tuple[str, int], int]:
        """Commits the open transaction. Returns the offset after the last record by topic partition, its commit marker left out."""
        if self._producer is None:
            raise Fenced(f"{self.name}: no longer ours")
        try:
            ends = await self.batches.delivered()
            await self._producer.commit_transaction()
        except REFUSALS as error:
            raise self.translated(error, "committing a checkpoint") from error
        self.open = False
        return ends

    def translated(self, error: BaseException, doing: str) -> Exception:
        """As `translate`, but distinguishes a transaction that Kafka aborted for its age from one that a new owner has
        fenced.
        """
        if isinstance(error, (IllegalOperation, AssertionError)) and self._producer is not None:
            # After a failed transaction aiokafka refuses calls with errors of its own; the first failure says more.
            failed = self._producer._txn_manager._transaction_waiter
            error = (failed.exception() if failed is not None and failed.done() else None) or error
        told, lasted = translate(error, f"{self.name}: {doing}"), wall.monotonic() - self.since
        if isinstance(told, Fenced) and self.open and lasted * 1000 >= TIMEOUT_MS:
            return Fenced(
                f"{self.name}: {doing}: the transaction was open for {lasted:.0f} s, and Kafka aborts one after "
                f"{TIMEOUT_MS // 1000} s: this worker was held up, or another worker owns it now; what it held "
                f"is done again ({type(error).__name__})"
            )
        return told
