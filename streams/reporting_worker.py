"""The worker of a sink that chooses itself when it sends what it was given, and reports what became of it."""

from __future__ import annotations

import time as wall
from collections.abc import AsyncIterator, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas import headers
from sinks.port import ReceiverStanding, ReportingSink, SinkItem
from streams import metrics
from streams.errors import Stop
from streams.kafka_errors import translate
from streams.partitioner import partition_of
from streams.recovery import READ_AT_ONCE
from streams.settings import WorkerSettings
from streams.sink_items import sink_items
from streams.sink_worker import SinkWorker
from streams.threads import first_of, in_thread
from streams.topology import Pipeline, Role

#: Seconds between two tries to write a report.
_AGAIN_S = 1.0
#: Seconds between two equal log lines about a receiver that accepts nothing.
_SAID_S = 600.0


class ReportingWorker(SinkWorker):
    """Runs a ReportingSink. At each assignment it reads the whole topics of reports and of inputs, because what the sink must
    know is there; then it reads on as every sink does. A receiver that accepts nothing holds up no reading.
    """

    interval_s = 0.0
    """An item is sent at once, because people wait for it."""

    def __init__(self, pipeline: Pipeline, role: Role, settings: WorkerSettings, sink: ReportingSink) -> None:
        super().__init__(pipeline, role, settings, sink)
        self.reporting = sink
        self._routes = pipeline.routes(role)
        self._failures = 0
        """The failed tries that were counted."""
        self._said: tuple[str | None, float] = None, -_SAID_S
        """Why the receiver accepts nothing, as the log says last, and when it said so."""

    async def prepare(self) -> None:
        """As for every sink; publishes how the receiver stands, too."""
        self._publish(ReceiverStanding())
        await super().prepare()

    def ready(self) -> str | None:
        """The checks of every sink; also, the receiver must accept what it is given."""
        return _outage(self.reporting.standing()) or super().ready()

    # --- the past ---------------------------------------------------------------------------------------------------

    async def _recall(self, own_names: Collection[TP]) -> None:
        """Reads the reports, then the inputs of the partitions that are owned from now on, each to its present end."""
        if not self._idle.is_set():  # a write of the last assignment
            in_thread(self.sink.interrupt, f"{self.role.name}: interrupting")
            await self._idle.wait()
        reports = [(name, n) for name in self.role.writes for n in range(self.partitions(name))]
        try:
            async with self.reader() as reader:
                for part in (reports, [(tp.topic, tp.partition) for tp in own_names]):
                    async for items in self._read(reader, part):
                        await self.calls.until_reached(lambda given=items: self.reporting.recall(given), "recalling")  # type: ignore[misc]
        except KafkaError as error:
            raise translate(error, f"{self.group}: reading what became of its records") from error

    async def _read(
        self, reader: AIOKafkaConsumer, partitions: Collection[tuple[str, int]]
    ) -> AsyncIterator[list[SinkItem]]:
        """The records of these partitions, from the beginning to the present end, in order within each. A record that cannot
        be read is an item without one.
        """
        wanted = [TopicPartition(self.topic(topic), n) for topic, n in partitions]
        ends = await reader.end_offsets(wanted)
        reader.assign(wanted)
        await reader.seek_to_beginning(*wanted)
        self.rebalance.step("the past", f"reading {', '.join(sorted({topic for topic, _ in partitions}))}")
        while any([await reader.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await reader.getmany(timeout_ms=100, max_records=READ_AT_ONCE)).items():
                self.rebalance.moved()
                topic, signatures = tp.topic.removeprefix(self.settings.prefix), self.settings.signatures
                count = self.partitions(topic)
                yield sink_items(self.pipeline, topic, tp.partition, records, count, signatures).items
        self.rebalance.done("the past")

    def _begin(self, own_names: dict[TP, TP], positions: dict[TP, int]) -> dict[TP, int | None]:
        found = super()._begin(own_names, positions)
        self._news.set()
        return found

    # --- sending ----------------------------------------------------------------------------------------------------

    async def _something(self) -> None:
        """Waits for a new item, or until the sink has something to send."""
        await first_of(None if self.rebalancing else self.reporting.due(), self._news)

    def _owing(self) -> bool:
        return not self.rebalancing and self.reporting.due() == 0.0

    async def _report(self) -> None:
        """Writes the sink's reports, each until Kafka has it; then says how the receiver stands."""
        for report in self.reporting.reports():
            for topic, key in self._routes[type(report)]:
                to, head = key(report), headers.of(report, self.group, headers.time_of(report), None)
                record = {"key": to, "value": topic.wire.encode(report), "headers": head}
                await self._send(
                    self.topic(topic.name), record | {"partition": partition_of(to, self.partitions(topic.name))}
                )
                metrics.RECORDS_PRODUCED.labels(self.role.name, topic.name).inc()
            if report.outcome == "accepted":
                metrics.SINK_RECORDS.labels(self.role.name).inc()
        self._tell(self.reporting.standing())

    async def _send(self, topic: str, record: dict[str, Any]) -> None:
        while True:
            try:
                if self.dead_letters.producer is None:
                    raise Stop(f"{topic}: no producer for reports")
                await self.dead_letters.producer.send_and_wait(topic, **record)
                return
            except KafkaError as failure:
                await first_of(_AGAIN_S, self._done)
                if self._done.is_set() or not failure.retriable:
                    raise translate(failure, f"{topic}: writing a report") from failure

    def _count_taken(self, items: int) -> None:
        """Counts nothing: the reports say what the receiver has taken."""

    # --- how the receiver stands ------------------------------------------------------------------------------------

    def _tell(self, standing: ReceiverStanding) -> None:
        """Logs why the receiver accepts nothing: once for each reason, and again at intervals."""
        self._publish(standing)
        before, at = self._said
        now = wall.monotonic()
        if standing.why is None:
            if before is not None:
                self.log.info("the receiver accepts again, or nothing waits for it any more")
            self._said = None, -_SAID_S
        elif standing.why != before or now - at >= _SAID_S:
            self._said = standing.why, now
            what = "the receiver was given up" if standing.given_up else "the receiver accepts nothing, trying on"
            self.log.warning(what, why=standing.why, waiting=standing.waiting, for_s=_lasted(standing))

    def _publish(self, standing: ReceiverStanding) -> None:
        role = self.role.name
        metrics.SINK_RETRIES.labels(role).inc(standing.failures - self._failures)
        self._failures = standing.failures
        metrics.SINK_WAITING.labels(role).set(standing.waiting)
        metrics.SINK_OUTAGE.labels(role).set(standing.since)
        metrics.SINK_GIVEN_UP.labels(role).set(int(standing.given_up))


def _lasted(standing: ReceiverStanding) -> int:
    return max(round(wall.time() - standing.since), 0)


def _outage(standing: ReceiverStanding) -> str | None:
    """Why the receiver accepts nothing, since when, and how many records wait; None where it accepts what it is given."""
    if standing.why is None:
        return None
    end = "; nothing is sent until this worker is started again" if standing.given_up else ""
    return f"receiver: {standing.why}; for {_lasted(standing)} s, {standing.waiting} waiting{end}"
