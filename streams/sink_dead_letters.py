"""Dead letters of a sink's worker: it has no transaction, so each is written again until Kafka has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas import codec
from schemas.dead_letter_headers import failure_headers, is_redriven
from schemas.headers import Headers
from schemas.keys import KEYLESS
from sinks.port import RefusedItem, SinkItem
from streams import metrics
from streams.dead_letter_limit import DeadLetterLimit, Log, limit_of, report_share
from streams.errors import Stop
from streams.kafka_errors import translate
from streams.received_batches import fitting
from streams.settings import WorkerSettings
from streams.sink_items import SinkItems
from streams.threads import first_of

#: Seconds between two tries to write a dead letter.
_AGAIN_S = 1.0


class SinkDeadLetters:
    """Writes the items that a receiver refuses to the `.dead` topics, and counts them."""

    def __init__(
        self,
        role: str,
        topic: Callable[[str], str],
        room: Callable[[str], int],
        settings: WorkerSettings,
        done: asyncio.Event,
        log: Log,
    ) -> None:
        """topic: gives a topic's name on the broker; room: the most bytes of a dead letter of that topic, without the
        headers that say why. done: set when the worker must stop.
        """
        self.role, self._topic, self._room, self._settings, self._done, self._log = (
            role,
            topic,
            room,
            settings,
            done,
            log,
        )
        self.limits: dict[TP, DeadLetterLimit] = {}
        """The limit of each partition; topics' names are without the prefix."""
        self.producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Starts the producer."""
        self.producer = AIOKafkaProducer(
            **self._settings.kafka.for_aiokafka(), enable_idempotence=True, max_request_size=4 << 20
        )
        await self.producer.start()

    async def stop(self) -> None:
        """Stops the producer."""
        if self.producer is not None:
            await self.producer.stop()

    def own(self, partitions: Collection[TP]) -> None:
        """Counts for these partitions from now on, each from zero."""
        self.limits = {
            tp: limit_of(f"{tp.topic}/{tp.partition}", f"{tp.topic}.dead", self._settings) for tp in partitions
        }

    async def write(self, batches: Sequence[SinkItems], refused: Collection[RefusedItem]) -> None:
        """Writes the refused items of these batches, or of earlier ones, whose bytes are made anew from their records. Raises
        Stop where a refused item is a dead letter itself.
        """
        if not refused:
            return
        raw = {
            (item.topic, item.partition, item.offset): r
            for batch in batches
            for r, item in zip(batch.raw, batch.items, strict=True)
        }
        for one in refused:
            item = one.item
            await self._write(raw.get((item.topic, item.partition, item.offset)) or _as_read(item), one)

    async def _write(self, r: Any, refused: RefusedItem) -> None:
        item, stage, error, message = refused.item, refused.stage, refused.error, refused.message
        name = f"{item.topic}/{item.partition}"
        if item.topic.endswith(".dead"):
            raise Stop(f"{name}: the dead letter at offset {item.offset} itself was refused: {error}: {message}")
        metrics.DEAD_LETTERS.labels(self.role, stage).inc()
        self._log.warning("dead letter", partition=name, offset=item.offset, stage=stage, error=error, why=message)
        head = failure_headers(item.topic, item.partition, item.offset, stage, error, message)
        while True:
            try:
                await self._send(r, item, head)
                return
            except KafkaError as failure:
                # The receiver's position is after this record: after a restart it would not be read again.
                await first_of(_AGAIN_S, self._done)
                if self._done.is_set() or not failure.retriable:
                    raise translate(failure, f"{name}: writing a dead letter") from failure

    async def _send(self, r: Any, item: SinkItem, head: Headers) -> None:
        if self.producer is None:
            raise Stop(f"{item.topic}/{item.partition}: no producer for dead letters")
        key, value, sent = fitting(r, self._room(item.topic))
        await self.producer.send_and_wait(
            self._topic(f"{item.topic}.dead"), value=value, key=key, partition=item.partition, headers=[*sent, *head]
        )

    def count(self, batches: Sequence[SinkItems], refused: Collection[RefusedItem]) -> None:
        """Counts records and dead letters of written batches, without control records, and without those that fail again after
        `dead redrive`. Raises Stop above a limit; call it when all dead letters are written.
        """
        bad = {(one.item.topic, one.item.partition, one.item.offset) for one in refused}
        for batch in batches:
            limit = self.limits.get(TP(batch.topic, batch.partition))
            if limit is None or not (bad or batch.wrong or limit):
                continue
            counted = [item for item in batch.items if type(item.record) not in KEYLESS]
            failed = {i.offset for i in counted if i.offset in batch.wrong or (i.topic, i.partition, i.offset) in bad}
            counted = [i for i in counted if i.offset not in failed or not is_redriven(i.headers)]
            limit.took(len(counted), [n for n, i in enumerate(counted) if i.offset in failed])
            report_share(limit, self.role, limit.name, self._log)
            if limit.reached:
                raise limit.stop()


class _Again(NamedTuple):
    """A record as a Kafka client reads it."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    offset: int


def _as_read(item: SinkItem) -> _Again:
    value = None if item.record is None else codec.encode(item.record)
    return _Again(item.key, value, item.headers, item.offset)
