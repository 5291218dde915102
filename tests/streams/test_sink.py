"""The sink's shell without Kafka: what it does while its receiver is away, slow, frozen or put back, and when it must stop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from structlog.testing import capture_logs

from netcenter.embedded import EmbeddedPostgres
from netcenter.pipeline import PIPELINE
from sinks.port import ReceiverUnreachable, RefusedItem, SinkError, SinkItem
from sinks.postgres import holding
from sinks.postgres.sink import PostgresSink
from streams.dead_letter_limit import DeadLetterLimit
from streams.errors import Ended, Misconfigured, Stop
from streams.kafka_connection import KafkaConnection
from streams.receiver_calls import Outdated
from streams.settings import WorkerSettings
from streams.signatures import NO_SIGNATURES
from streams.sink_items import SinkItems, sink_items
from streams.sink_worker import SinkWorker
from tests.support import toy
from tests.support.samples import classified, items
from tests.support.world import NOON, World

ROLE = PIPELINE.role("postgres")


class Hanging:
    """A receiver that does what it is told, and hangs until it is let go."""

    keeps_offsets = True

    def __init__(self) -> None:
        self.let_go, self.called = threading.Event(), threading.Event()
        self.outcomes: list[Exception] = []
        self.heeds, self.interrupted = True, False
        self.why: str | None = "waits for Godot"
        self.silent = False
        self.calls = 0

    def open(self) -> None:
        self.calls += 1
        self.called.set()
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.let_go.wait(30)
        if self.interrupted:
            self.interrupted = False
            raise ReceiverUnreachable("interrupted")

    def positions(self, topic_partitions: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
        return {}

    def write(self, items: Sequence[SinkItem]) -> list[RefusedItem]:
        self.open()
        return []

    def held(self) -> str | None:
        if self.silent:
            raise ReceiverUnreachable("no answer at all")
        return self.why

    def interrupt(self) -> None:
        if self.heeds:
            self.interrupted = True
            self.let_go.set()

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def receiver() -> Iterator[Hanging]:
    receiver = Hanging()
    yield receiver
    receiver.let_go.set()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests wait for a tenth of what a worker does."""
    for name in ("_LASTS_S", "_FINISH_S", "_INTERRUPTED_S"):
        monkeypatch.setattr(f"streams.receiver_calls.{name}", 0.1)


def run(sink: Any, test: Callable[[SinkWorker], Awaitable[None]]) -> list[Any]:
    """A worker of that sink, and what it has logged meanwhile."""

    async def inner() -> None:
        await test(SinkWorker(PIPELINE, ROLE, WorkerSettings(kafka=KafkaConnection("127.0.0.1:1")), sink))

    with capture_logs() as lines:
        asyncio.run(asyncio.wait_for(inner(), 30))
    return lines


async def holds(condition: Callable[[], Any], what: str) -> Any:
    for _ in range(1_000):
        found = condition()
        if found:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within 20 s: {what}")


def test_a_call_that_lasts_is_told_and_the_worker_is_not_ready(receiver: Hanging) -> None:
    """What is waited for stands in one line of the log, and in readiness while it lasts; afterwards in neither."""

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await holds(lambda: "waits for Godot" in (worker.ready() or ""), "the reason in readiness")
        receiver.let_go.set()
        await call
        assert worker.ready() == f"waiting for the first answer of Kafka at {worker.settings.kafka}"

    lines = run(receiver, test)
    assert [line["why"] for line in lines if line["event"] == "the receiver is slow"] == ["waits for Godot"]
    assert lines[-1]["event"] == "receiver reached again"


def test_readiness_says_what_is_wrong_now(receiver: Hanging) -> None:
    """A lock that was waited for is not the cause of a server that is away since."""

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await holds(lambda: "waits for Godot" in (worker.ready() or ""), "the reason in readiness")
        receiver.outcomes = [ReceiverUnreachable("away", after=3600.0)]
        receiver.interrupt()
        await holds(lambda: worker.ready() == "receiver: away", "the newer reason alone")
        worker._told_to_stop()
        with pytest.raises(Ended):
            await call

    run(receiver, test)


def test_a_call_that_gets_on_is_slow_to_nobody(receiver: Hanging) -> None:
    """As a webhook's with many alerts, each of which is answered."""
    receiver.why = None

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await asyncio.to_thread(receiver.called.wait)
        await asyncio.sleep(0.3)
        assert worker.ready() == f"waiting for the first answer of Kafka at {worker.settings.kafka}"
        receiver.let_go.set()
        await call

    assert run(receiver, test) == []


def test_a_receiver_that_answers_nothing_is_let_go_and_tried_again(receiver: Hanging) -> None:
    """A frozen server: its connection would be held for ever."""
    receiver.silent = True

    async def test(worker: SinkWorker) -> None:
        await worker.calls.until_reached(receiver.open, "a write")

    lines = run(receiver, test)
    assert "no answer at all" in lines[0]["why"]
    assert receiver.calls == 2


def test_a_stop_lets_a_call_end_that_does(receiver: Hanging) -> None:
    """It is written, and told to the group: nothing to do again."""

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await asyncio.to_thread(receiver.called.wait)
        worker._told_to_stop()
        receiver.let_go.set()
        assert await call is None

    run(receiver, test)


@pytest.mark.parametrize("heeds", [True, False], ids=["it heeds the interruption", "it heeds nothing"])
def test_a_stop_waits_for_no_receiver(receiver: Hanging, heeds: bool) -> None:
    """Nor does the end of the loop wait for the thread; nothing is wrong, so the worker ends well."""
    receiver.heeds = heeds

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await asyncio.to_thread(receiver.called.wait)
        worker._told_to_stop()
        with pytest.raises(Ended) as raised:
            await call
        worker.fail(raised.value)
        assert worker.failure is None

    lines = run(receiver, test)
    assert [line["event"] for line in lines] == (
        ["receiver not reached, trying on"] if heeds else ["left in the middle; the next start does it again"]
    )


def test_a_stop_while_the_receiver_is_away_is_no_failure(receiver: Hanging) -> None:
    """Also where it has asked to be left alone for an hour."""
    receiver.outcomes = [ReceiverUnreachable("busy", after=3600.0)]

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write"))
        await holds(lambda: worker.calls.down, "the receiver is away")
        worker._told_to_stop()
        with pytest.raises(Ended):
            await call

    [line] = run(receiver, test)
    assert (line["why"], line["again_in_s"]) == ("busy", 3600.0)


def test_each_reason_is_told_once(receiver: Hanging, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that restarts refuses, then starts, then wants another password: three lines for six tries."""
    monkeypatch.setattr("streams.receiver_calls._RETRY_MOST_S", 0.01)
    receiver.outcomes = [
        ReceiverUnreachable(why, after=0.0) for why in ("away", "away", "starting", "starting", "password")
    ]
    receiver.let_go.set()

    async def test(worker: SinkWorker) -> None:
        await worker.calls.until_reached(receiver.open, "a write")

    lines = run(receiver, test)
    assert [line.get("why") for line in lines] == ["away", "starting", "password", None]


def test_wrong_settings_end_the_worker(receiver: Hanging) -> None:
    """Waiting would not help."""
    receiver.outcomes = [SinkError("set it right")]

    async def test(worker: SinkWorker) -> None:
        with pytest.raises(Misconfigured, match="set it right"):
            await worker.calls.until_reached(receiver.open, "opening")

    run(receiver, test)


def test_a_batch_whose_partitions_were_taken_away_is_not_tried_for_ever(receiver: Hanging) -> None:
    """Whoever owns them reads it again; meanwhile this worker may have been given others."""
    receiver.outcomes = [ReceiverUnreachable("away", after=3600.0)]

    async def test(worker: SinkWorker) -> None:
        call = asyncio.create_task(worker.calls.until_reached(receiver.open, "a write", worker._revoked))
        await holds(lambda: worker.calls.down, "the receiver is away")
        await worker.revoked(set())
        with pytest.raises(Outdated):
            await call

    run(receiver, test)
    assert receiver.calls == 1


class DeadLetterProducer:
    """A producer of dead letters that fails a given number of times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.sent = failures, list[int]()

    async def send_and_wait(self, topic: str, *, value: bytes, **_: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError
        self.sent.append(int(value))


def waiting(count: int) -> SinkItems:
    """Records none of which can be decoded."""
    records = [SimpleNamespace(offset=n, value=b"%d" % n, key=None, headers=[], timestamp=0) for n in range(count)]
    return sink_items(PIPELINE, "cases", 0, records, 1, NO_SIGNATURES)


def test_every_dead_letter_stands_in_its_topic_before_there_are_too_many(receiver: Hanging) -> None:
    """The receiver has moved past them: what is not there now is nowhere."""
    producer: Any = DeadLetterProducer()

    async def test(worker: SinkWorker) -> None:
        worker.dead_letters.producer = producer
        worker.dead_letters.limits = {TP("cases", 0): DeadLetterLimit("cases/0", "cases.dead", 0.01, 100)}
        with pytest.raises(Stop, match="became dead letters"):
            await worker._write([waiting(20)])

    receiver.let_go.set()
    run(receiver, test)
    assert producer.sent == list(range(20))


def test_a_dead_letter_is_written_once_however_often_it_is_tried(
    receiver: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka may be away for a moment too."""
    monkeypatch.setattr("streams.sink_dead_letters._AGAIN_S", 0.0)
    producer: Any = DeadLetterProducer(failures=3)

    async def test(worker: SinkWorker) -> None:
        worker.dead_letters.producer = producer
        await worker._write([waiting(2)])

    receiver.let_go.set()
    receiver.outcomes = [ReceiverUnreachable("away", after=0.0)] * 2
    run(receiver, test)
    assert receiver.calls == 3
    assert producer.sent == [0, 1]


# --- as a process -------------------------------------------------------------------------------------------------------


def test_a_worker_ends_well_though_its_receiver_hangs_or_is_away(world: World, tmp_path: Path) -> None:
    """Told to stop it waits for neither; the next start does again what was not done."""
    down, hangs, rows = (tmp_path / name for name in ("down", "hangs", "rows"))
    down.touch()
    hangs.touch()
    away = world.start("rows", {toy.DOWN: str(down), toy.ROWS: str(rows)})
    world.until(lambda: away.lines("receiver not reached, trying on"), 20, "a sink that waits for its receiver")
    assert away.stop() == 0
    hanging = world.start("rows", {toy.HANG: str(hangs), toy.ROWS: str(rows)})
    world.tick(NOON, "cases", only=0)
    world.flush()
    world.until(lambda: not hangs.exists(), 20, "in the middle of a write")
    assert hanging.stop() == 0
    assert hanging.lines("left in the middle; the next start does it again")
    after = world.start("rows", {toy.ROWS: str(rows)})
    world.until(lambda: rows.exists() and rows.read_text() == "cases 0 0\n", 20, "written")
    assert after.stop() == 0


# --- on a server that is frozen -----------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL of this test alone."""
    postgres = EmbeddedPostgres(tmp_path, durable=False)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


def processes(uri: str) -> list[int]:
    """Of the server: the first, and its children."""
    connection = psycopg2.connect(uri)
    with connection.cursor() as cursor:
        cursor.execute("select pg_read_file('postmaster.pid')")
        first = int(cursor.fetchall()[0][0].splitlines()[0])
    connection.close()
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True, check=True)
    return [first, *map(int, children.stdout.split())]


def freeze(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def test_a_frozen_server_is_noticed_and_waited_for(own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections stay open and nothing answers; when it thaws, everything is written once."""
    monkeypatch.setitem(holding.CONNECTION, "connect_timeout", "2")
    sink = PostgresSink(own)
    sink.open()
    sink.write(items([classified(1)]))

    async def test(worker: SinkWorker) -> None:
        frozen = processes(own)
        freeze(frozen, signal.SIGSTOP)
        try:
            batch = items([classified(2)], first=1)
            call = asyncio.create_task(worker.calls.until_reached(lambda: sink.write(batch), "a write"))
            await holds(lambda: "gives no answer" in (worker.ready() or ""), "the silence in readiness")
            await holds(lambda: worker.calls.down, "the connection was given up")
        finally:
            freeze(frozen, signal.SIGCONT)
        assert await call == []
        assert "receiver" not in (worker.ready() or "")

    lines = run(sink, test)
    assert any("gives no answer" in line.get("why", "") for line in lines)
    assert sink.positions([("classified", 0)]) == {("classified", 0): 2}
    sink.close()
