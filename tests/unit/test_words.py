"""What somebody reads at three in the morning when Kafka refuses or does not answer."""

from __future__ import annotations

import io
import json
import logging
import sys
import time

import pytest
import structlog
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
)

from netcenter.runtime import logs
from streams.errors import Fenced, Stop, Unavailable
from streams.kafka_connection import KafkaConnection
from streams.kafka_errors import translate
from streams.transaction import Transaction


def hidden(cause: Exception) -> KafkaError:
    """As aiokafka's sender tells what it does not know."""
    error = KafkaError("Unexpected error during batch delivery")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ProducerFenced(), Fenced, "doing: another worker owns it now (ProducerFenced)"),
        (hidden(ProducerFenced()), Fenced, "doing: another worker owns it now (ProducerFenced)"),
        (hidden(InvalidProducerIdMapping()), Unavailable, "after transactional.id.expiration.ms without a write"),
        (MessageSizeTooLargeError(), Stop, "doing: too large for the topic: raise its max.message.bytes"),
        (KafkaConnectionError(), Unavailable, "doing: Kafka does not answer (KafkaConnectionError)"),
        (hidden(ValueError("odd")), Stop, "doing: KafkaError: KafkaError: Unexpected error during batch delivery"),
    ],
)
def test_an_error_of_the_client_says_what_and_where_and_what_must_happen(
    error: Exception, kind: type[Exception], words: str
) -> None:
    """One line, whatever aiokafka wrapped it in."""
    told = translate(error, "doing")
    assert type(told) is kind
    assert words in str(told) and "\n" not in str(told)


@pytest.mark.parametrize(
    ("age", "words"), [(1.0, "another worker owns it now"), (11.0, "was open for 11 s, and Kafka")]
)
def test_a_transaction_that_kafka_ended_for_its_age_is_not_told_as_one_that_was_taken(age: float, words: str) -> None:
    """Only the one that was open for too long can be either."""
    transaction = Transaction("classified/0", KafkaConnection("127.0.0.1:9"), "p.counts-0")
    transaction.open, transaction.since = True, time.monotonic() - age
    told = transaction.translated(InvalidProducerEpoch(), "committing a checkpoint")
    assert isinstance(told, Fenced)
    assert str(told).startswith("classified/0: committing a checkpoint: ") and words in str(told)


def record(name: str, message: str, *args: object, failed: bool = False) -> logging.LogRecord:
    """As a logger makes it."""
    error = ValueError("odd") if failed else None
    info = (ValueError, error, None) if error is not None else None
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, args, info)


def test_a_minute_of_the_same_from_a_library_is_one_line_and_then_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each heartbeat that fails says so, for every connection anew."""
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    quiet, let_through = logs.LibraryFilter(), []
    for attempt in range(41):
        one = record("aiokafka.consumer.group_coordinator", "Heartbeat to %s failed", attempt)
        let_through += [one.getMessage()] if quiet.filter(one) else []
        now += 1.5
    assert let_through == ["Heartbeat to 0 failed", "Heartbeat to 40 failed (and 39 times more before)"]


def test_a_traceback_of_a_library_becomes_its_last_line_and_ours_is_left_alone() -> None:
    """Where it was raised in aiokafka helps nobody at night; an error of ours that nobody expected keeps its own."""
    theirs, ours = record("mode.service", "Crashed", failed=True), record("netcenter", "unexpected", failed=True)
    quiet = logs.LibraryFilter()
    assert quiet.filter(theirs) and quiet.filter(ours)
    assert theirs.getMessage() == "Crashed: ValueError: odd" and theirs.exc_info is None
    assert ours.exc_info is not None


def test_each_line_of_the_log_is_json_of_one_write_whoever_says_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's thread writes beside ours: two ways of writing would mix two lines in one."""

    class Written(io.StringIO):
        """Standard error that keeps each write."""

        def __init__(self) -> None:
            super().__init__()
            self.writes: list[str] = []

        def write(self, text: str, /) -> int:
            self.writes.append(text)
            return len(text)

    written = Written()
    monkeypatch.setattr(sys, "stderr", written)
    logs.set_up("info")
    structlog.get_logger("netcenter").info("lease renewed", owner="a")
    for level in (logging.WARNING, 35, 99):
        logging.getLogger("elsewhere").log(level, "Not %s\nresponding", "yet")
    told = [json.loads(one) for one in written.writes]
    assert all(one.endswith("\n") and one.count("\n") == 1 for one in written.writes)
    assert [(one["event"], one["level"], one.get("logger")) for one in told] == [
        ("lease renewed", "info", None),
        ("Not yet\nresponding", "warning", "elsewhere"),
        ("Not yet\nresponding", "warning", "elsewhere"),
        ("Not yet\nresponding", "critical", "elsewhere"),
    ]
