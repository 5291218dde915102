"""A producer of its own transactional id: each wait has an end, a fenced one says so, and an open transaction is undone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from netcenter.broker import changelogs, sole_producer
from netcenter.broker.changelogs import ChangelogWriter
from netcenter.broker.sole_producer import Overtaken, RawRecord, SoleProducer
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection

KAFKA = KafkaConnection("nowhere:1")
RECORD = RawRecord("topic", 0, b"key", b"value", [])


class Future:
    """A record that is accepted, or refused."""

    def __init__(self, refused: Exception | None) -> None:
        self._refused = refused

    def add_errback(self, call: Callable[[Exception], None]) -> None:
        """Called at once."""
        if self._refused is not None:
            call(self._refused)

    def get(self, _: float) -> SimpleNamespace:
        """Where the record stands."""
        return SimpleNamespace(topic="topic", partition=0, offset=7)


class Producer:
    """A KafkaProducer of which one call fails, or never returns."""

    calls: list[str]
    broken: dict[str, Exception]
    hanging: set[str]

    def __init__(self) -> None:
        self.calls, self.broken, self.hanging = [], {}, set()
        self._transaction_manager = self
        self.last_error: Exception | None = None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.hanging:
            threading.Event().wait()
        if name in self.broken:
            raise self.broken[name]

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self._call(name)

    def send(self, *_: Any, **__: Any) -> Future:
        """A record."""
        self.calls.append("send")
        return Future(self.broken.get("send"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Producer]:
    """The producers, in the order in which they are opened."""
    found = [Producer(), Producer(), Producer()]
    left = iter(found)
    monkeypatch.setattr(sole_producer, "open_producer", lambda *_, **__: next(left))
    for name in ("_BEGIN_S", "_COMMIT_S", "_CLOSE_S"):
        monkeypatch.setattr(sole_producer, name, 0.05)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(sole_producer, "committed", lambda *_: False)
    return found


def sole() -> SoleProducer:
    """A producer of whichever id."""
    return SoleProducer(KAFKA, "id", "nothing can be done")


def writer() -> ChangelogWriter:
    """A writer of cases.changelog/0."""
    return ChangelogWriter(Settings(), KAFKA, PIPELINE.role("cases"), 0)


@pytest.mark.parametrize("name", ["init_transactions", "commit_transaction"])
def test_a_broker_that_does_not_answer_ends_the_command_with_a_line(opened: list[Producer], name: str) -> None:
    opened[0].hanging = {name}
    line = "nothing can be done: KafkaTimeoutError: .*no answer for 0 s, from Kafka at nowhere:1; nothing was written"
    with pytest.raises(CommandError, match=line), sole() as it:
        it.write([RECORD])
    assert opened[0].calls[-1] == "close"


@pytest.mark.parametrize("name", ["init_transactions", "commit_transaction"])
def test_so_it_does_for_whoever_writes_to_a_changelog(opened: list[Producer], name: str) -> None:
    opened[0].hanging = {name}
    with (
        pytest.raises(
            CommandError, match=r"cases\.changelog/0 cannot be written: KafkaTimeoutError: .*nothing was written"
        ),
        writer() as it,
    ):
        it.write([(b"key", b"value")])


FAILED = [KafkaError("unhandled"), ProducerFencedError(), InvalidProducerEpochError(), RuntimeError("in flight")]


@pytest.mark.parametrize("failed", FAILED, ids=repr)
@pytest.mark.parametrize("holds", [True, False, None])
def test_a_commit_that_failed_is_what_the_log_says(
    opened: list[Producer], monkeypatch: pytest.MonkeyPatch, failed: Exception, holds: bool | None
) -> None:
    """The client cannot know whether an earlier try was taken, also where it is told that it is fenced."""
    asked: list[Any] = []

    def committed(_: KafkaConnection, *where: Any) -> bool | None:
        asked.append(where[:2])
        return holds

    monkeypatch.setattr(sole_producer, "committed", committed)
    opened[0].broken = {"commit_transaction": failed}
    with sole() as it:
        if holds:
            it.write([RECORD])
        else:
            with pytest.raises(CommandError) as raised:
                it.write([RECORD])
            said = (
                "Look what stands" if holds is None else "another command" if _fences(failed) else "nothing was written"
            )
            assert said in str(raised.value) and isinstance(raised.value, Overtaken) == (said == "another command")
    assert asked == [(TopicPartition("topic", 0), 7)]


def _fences(error: Exception) -> bool:
    return isinstance(error, ProducerFencedError | InvalidProducerEpochError)


@pytest.mark.parametrize("failed", FAILED, ids=repr)
@pytest.mark.parametrize("name", ["init_transactions", "flush"])
def test_before_the_commit_nothing_is_asked_because_nothing_can_hold(
    opened: list[Producer], monkeypatch: pytest.MonkeyPatch, name: str, failed: Exception
) -> None:
    monkeypatch.setattr(sole_producer, "committed", lambda *_: pytest.fail("nothing was committed"))
    opened[0].broken = {name: failed}
    with pytest.raises((CommandError, RuntimeError)), sole() as it:
        it.write([RECORD])


@pytest.mark.parametrize("name", ["begin_transaction", "send", "flush"])
@pytest.mark.parametrize(
    "fence", [ProducerFencedError(), InvalidProducerEpochError(), KafkaError(ProducerFencedError())]
)
def test_a_fenced_producer_is_overtaken_and_the_transaction_aborted(
    opened: list[Producer], name: str, fence: Exception
) -> None:
    opened[0].broken = {name: fence, "abort_transaction": KafkaError("too late")}
    with pytest.raises(Overtaken, match="nothing can be done: another command"), sole() as it:
        it.write([RECORD])
    assert opened[0].calls[-2:] == ["abort_transaction", "close"]


def test_a_record_that_is_refused_is_not_committed(opened: list[Producer]) -> None:
    opened[0].broken = {"send": KafkaError("too large")}
    with pytest.raises(CommandError, match="nothing can be done: KafkaError: .*too large"), sole() as it:
        it.write([RECORD, RECORD])
    assert opened[0].calls == ["init_transactions", "begin_transaction", "send", "abort_transaction", "close"]


def test_a_transaction_whose_context_raises_is_aborted_in_time(opened: list[Producer]) -> None:
    opened[0].hanging = {"abort_transaction"}

    def fail() -> None:
        with it.transaction() as open_one:
            open_one.send(RECORD)
            raise LookupError

    with sole() as it, pytest.raises(LookupError):
        fail()
    assert "commit_transaction" not in opened[0].calls


@pytest.mark.parametrize("name", ["init_transactions", "begin_transaction", "send", "commit_transaction"])
def test_a_changelog_is_taken_back_from_a_worker_that_has_taken_it_over(opened: list[Producer], name: str) -> None:
    opened[0].broken = {name: ProducerFencedError()}
    with writer() as it:
        it.write([(b"key", b"value")])
    assert opened[0].calls[-1] == "close"
    assert opened[1].calls == ["init_transactions", "begin_transaction", "send", "flush", "commit_transaction", "close"]


def test_workers_that_take_it_over_again_and_again_are_named(
    opened: list[Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changelogs, "_TRIES", 3)
    for producer in opened:
        producer.broken = {"init_transactions": ProducerFencedError()}
    with (
        pytest.raises(CommandError, match=r"workers of cases start again and again and take cases\.changelog/0"),
        writer(),
    ):
        pass
