"""The worker of a receiver of alerts without Kafka: what it writes, in which order, and what it says of a receiver that is away."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from netcenter.pipeline import PIPELINE
from schemas import codec
from schemas.records import Alert, AlertDelivery
from sinks.alert_receiver import GivenUp, NeverThis, Notice, NotNow, Receipt
from sinks.alert_sink import AlertSink
from streams.kafka_connection import KafkaConnection
from streams.reporting_worker import ReportingWorker
from streams.settings import WorkerSettings
from streams.signatures import NO_SIGNATURES
from streams.sink_items import SinkItems, sink_items
from tests.support.samples import alert

ROLE = PIPELINE.role("webhook")


class Pager:
    """A receiver that answers as it is told; each call is written down."""

    renewed_each: float | None = None

    def __init__(self, happened: list[str], *answers: Exception) -> None:
        self.happened, self.answers = happened, list(answers)

    def open(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""

    def tell(self, notice: Notice) -> Receipt:
        self.happened.append(f"told {notice.alert.version}")
        if self.answers:
            raise self.answers.pop(0)
        return Receipt("202 Accepted")


class LogProducer:
    """A producer that writes down what it sends, and fails so often first."""

    def __init__(self, happened: list[str], failures: int = 0) -> None:
        self.happened, self.failures = happened, failures
        self.sent: list[dict[str, Any]] = []

    async def send_and_wait(self, topic: str, **sent: Any) -> None:
        """As a producer's."""
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError
        record = codec.decode(sent["value"])
        self.happened.append(record.outcome if isinstance(record, AlertDelivery) else topic)
        self.sent.append({"topic": topic, **sent})


def batch(*alerts: Alert, first: int = 0) -> SinkItems:
    """Alerts as they come from Kafka."""
    raw = [
        SimpleNamespace(offset=first + n, key=b"k", value=codec.encode(one), timestamp=0, headers=[])
        for n, one in enumerate(alerts)
    ]
    return sink_items(PIPELINE, "alerts", 0, raw, 8, NO_SIGNATURES)


def run(
    happened: list[str], test: Callable[[ReportingWorker], Awaitable[None]], *answers: Exception, failures: int = 0
) -> tuple[ReportingWorker, LogProducer, list[Any]]:
    """A worker, its producer, and what it has logged."""
    made: list[ReportingWorker] = []
    producer: Any = LogProducer(happened, failures)

    async def inner() -> None:
        sink = AlertSink("webhook", Pager(happened, *answers))
        worker = ReportingWorker(PIPELINE, ROLE, WorkerSettings(kafka=KafkaConnection("127.0.0.1:1")), sink)
        worker.dead_letters.producer = producer
        worker._owned = {TP("alerts", 0)}
        made.append(worker)
        await test(worker)

    with capture_logs() as lines:
        asyncio.run(asyncio.wait_for(inner(), 30))
    return made[0], producer, lines


async def write(worker: ReportingWorker, *batches: SinkItems) -> None:
    """Write, and go on while the sink owes something."""
    await worker._write(list(batches))
    while worker.reporting.due() == 0.0:
        await worker._write([])


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"netcenter_sink_{name}", {"role": "webhook"})


def test_a_report_is_in_the_log_before_anything_else_is_sent() -> None:
    """The announcement before the call, its outcome before the next one; in its partition and with the headers of CloudEvents."""
    happened: list[str] = []
    before = gauge("records_total") or 0.0
    _, producer, _ = run(happened, lambda worker: write(worker, batch(alert(1), alert(1, "surge:norte:1"))))
    assert happened == ["waiting", "told 1", "accepted"] * 2
    assert gauge("records_total") == before + 2
    for sent in producer.sent:
        record = codec.decode(sent["value"])
        assert isinstance(record, AlertDelivery)
        assert (sent["topic"], sent["partition"]) == ("deliveries", 0)
        assert sent["key"] == f"webhook|{record.fingerprint}".encode()
        assert dict(sent["headers"])["ce_id"] == record.id.encode()


def test_a_report_is_written_again_until_kafka_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.reporting_worker._AGAIN_S", 0.0)
    happened: list[str] = []
    run(happened, lambda worker: write(worker, batch(alert(1))), failures=3)
    assert happened == ["waiting", "told 1", "accepted"]


def test_a_refused_alert_is_a_dead_letter_also_when_its_batch_is_long_gone() -> None:
    """Then its bytes are made anew; the report comes first."""
    happened: list[str] = []

    async def test(worker: ReportingWorker) -> None:
        await write(worker, batch(alert(1)))
        await asyncio.sleep(worker.reporting.due() or 0.0)
        await write(worker)

    _, producer, lines = run(happened, test, NotNow("away", after=0.01), NeverThis("Http400", "answers 400"))
    assert happened[-3:] == ["told 1", "refused", "alerts.dead"]
    dead = producer.sent[-1]
    assert codec.decode(dead["value"]) == alert(1)
    assert (dead["key"], dead["partition"]) == (b"k", 0)
    assert [line["error"] for line in lines if line["event"] == "dead letter"] == ["Http400"]


def test_each_reason_is_told_once_and_readiness_says_how_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """And again at intervals; when the receiver accepts again that is said too."""
    happened: list[str] = []
    reasons = [NotNow("answers 503"), NotNow("answers 503"), NotNow("answers 401")]

    async def test(worker: ReportingWorker) -> None:
        for n in range(3):
            await write(worker, batch(alert(1, f"surge:andina:{n}"), first=n))
            assert re.fullmatch(f"receiver: {reasons[n]}; for [0-9]+ s, {n + 1} waiting", worker.ready() or "")
            assert (gauge("waiting_records"), gauge("given_up")) == (n + 1, 0)
            assert gauge("outage_timestamp_seconds")
        with monkeypatch.context() as later:
            later.setattr("streams.reporting_worker._SAID_S", 0.0)
            worker._tell(worker.reporting.standing())
        await write(worker, batch(alert(1, "surge:norte:1"), first=3))
        assert "receiver" not in (worker.ready() or "")
        assert (gauge("waiting_records"), gauge("outage_timestamp_seconds")) == (0, 0)

    _, _, lines = run(happened, test, *reasons)
    said = [(line["event"], line.get("why")) for line in lines]
    away = "the receiver accepts nothing, trying on"
    assert said == [
        (away, "answers 503"),
        (away, "answers 401"),
        (away, "answers 401"),
        ("the receiver accepts again, or nothing waits for it any more", None),
    ]
    assert happened.count("accepted") == 4


def test_a_receiver_that_was_given_up_is_said_everywhere() -> None:
    async def test(worker: ReportingWorker) -> None:
        await write(worker, batch(alert(1)))
        assert str(worker.ready()).endswith("1 waiting; nothing is sent until this worker is started again")
        assert gauge("given_up") == 1

    _, _, [line] = run([], test, GivenUp("answers 410"))
    assert (line["event"], line["waiting"]) == ("the receiver was given up", 1)
