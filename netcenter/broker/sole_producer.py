"""A producer whose transactional id fences every other producer of that id: two commands at once cannot both write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from kafka import KafkaProducer, TopicPartition
from kafka.errors import (
    InvalidProducerEpochError,
    InvalidRecordError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RecordListTooLargeError,
)

from netcenter.broker.client import TRANSACTION_TIMEOUT_MS, open_producer
from netcenter.broker.commit_outcome import committed
from netcenter.errors import CommandError
from schemas.headers import Headers
from streams.kafka_connection import KafkaConnection

_FENCED = (ProducerFencedError, InvalidProducerEpochError)
#: A topic with these answers refuses the same records again: its configs are not those that the pipeline needs.
_REFUSED_BY_TOPIC = (InvalidRecordError, MessageSizeTooLargeError, RecordListTooLargeError)
_BEGIN_S = 30.0
"""The most seconds for which a command waits until it is the only writer. A transaction that a killed command left open
is aborted within that time.
"""
_COMMIT_S = 30.0
_OUTCOME_S = TRANSACTION_TIMEOUT_MS / 1000 + 5
"""The most seconds for which the log is asked what has come of a transaction."""
_CLOSE_S = 5


class RawRecord(NamedTuple):
    """The bytes of a record, and its place."""

    topic: str
    """The name on the broker, with the prefix."""
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Overtaken(CommandError):
    """Another command with the same transactional id began meanwhile. The transaction that was open holds nowhere."""


class OpenTransaction:
    """A transaction that is being filled: the records that were sent in it, and the first one that was refused."""

    def __init__(self, producer: KafkaProducer, longest_s: float) -> None:
        self._producer, self._longest_s = producer, longest_s
        self._refused: list[Exception] = []
        self._last: Any = None

    def send(self, record: RawRecord) -> Any:
        """Sends a record, and returns its future. Raises KafkaError where this record or an earlier one is refused."""
        self._raise()
        future = self._producer.send(
            record.topic, key=record.key, value=record.value, partition=record.partition, headers=record.headers
        )
        future.add_errback(self._refused.append)
        self._last = future
        return future

    def last(self) -> tuple[TopicPartition, int] | None:
        """(partition, offset) of the last record, once all were flushed. None where there is no record, or the broker does
        not say where it stands, as of a record that it was sent twice.
        """
        where = None if self._last is None else self._last.get(0)
        return (
            None if where is None or where.offset < 0 else (TopicPartition(where.topic, where.partition), where.offset)
        )

    def flush(self) -> None:
        """Returns when the broker has every record. Raises KafkaError."""
        self._producer.flush(self._longest_s)
        self._raise()

    def _raise(self) -> None:
        if self._refused:
            raise self._refused[0]


class SoleProducer:
    """Writes whole transactions, as the only producer of its transactional id. A context manager.

    When the context is entered, every earlier producer of the id is fenced and its open transaction is aborted. What is
    read afterwards up to the last stable offset therefore holds until this producer writes, or is fenced itself.
    """

    def __init__(
        self,
        kafka: KafkaConnection,
        transactional_id: str,
        doing: str,
        *,
        transaction_timeout_ms: int = TRANSACTION_TIMEOUT_MS,
    ) -> None:
        """doing: what fails, for errors, as in `the policy cannot be applied`. Raises Unreachable."""
        self._kafka, self._doing, self._longest_s = kafka, doing, transaction_timeout_ms / 1000
        self._producer = open_producer(kafka, transactional_id, transaction_timeout_ms=transaction_timeout_ms)

    def __enter__(self) -> Self:
        try:
            failed = self._in_time(self._producer.init_transactions, _BEGIN_S)
            if failed is not None:
                raise self._holds_nowhere(failed) from failed
        except BaseException:
            self.close()
            raise
        return self

    def write(self, records: Iterable[RawRecord]) -> None:
        """Writes records in one transaction. When this method returns, every reader of committed records sees all of
        them. This user may read the topic of the last one.

        Raises Overtaken where another command began meanwhile: then no reader sees any of them. Raises CommandError for
        every other fault; it says whether anything was written, or that this is not known.
        """
        with self.transaction() as opened:
            for record in records:
                opened.send(record)

    @contextmanager
    def transaction(self) -> Iterator[OpenTransaction]:
        """A transaction that is committed at the end of the context, and aborted where the context raises.

        Raises as `write` does, and what the context raises, a KafkaError as CommandError.
        """
        try:
            self._producer.begin_transaction()
            opened = OpenTransaction(self._producer, self._longest_s)
            yield opened
            opened.flush()
        except KafkaError as error:
            told = self._holds_nowhere(error)  # before the abort, after which the producer no longer knows the cause
            self._abort()
            raise told from error
        except BaseException:
            self._abort()
            raise
        failed = self._in_time(self._producer.commit_transaction, _COMMIT_S)
        if failed is not None:
            self._ask(failed, opened)

    def _ask(self, failed: Exception, opened: OpenTransaction) -> None:
        """Asks the log what has come of a commit that failed. Returns where the transaction holds; raises CommandError."""
        last = opened.last()
        holds = None if last is None else committed(self._kafka, *last, _OUTCOME_S)
        if holds is None:
            raise CommandError(
                f"{self._doing}, or it is: Kafka at {self._kafka} has not said whether it has committed ({_named(failed)}). "
                "Look what stands, and run the command again"
            ) from failed
        if not holds:
            raise self._holds_nowhere(failed) from failed

    def _abort(self) -> None:
        # Where this fails too, the broker aborts the transaction after its timeout, or for the next producer of the id.
        self._in_time(self._producer.abort_transaction, _CLOSE_S)

    def _in_time(self, call: Callable[[], object], seconds: float) -> Exception | None:
        """Runs a call of the producer that has no deadline of its own: while Kafka is away, it would wait for ever. Returns
        the error with which the call ended, None where it ended without.
        """
        found: list[Exception] = []

        def run() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the thread that waits handles it
                found.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            found.append(KafkaTimeoutError(f"no answer for {seconds:.0f} s"))
        return next(iter(found), None)

    def _holds_nowhere(self, error: Exception) -> CommandError:
        """The error of a transaction that no reader sees anything of."""
        causes: list[object] = [error, *error.args, getattr(self._producer._transaction_manager, "last_error", None)]
        if any(isinstance(cause, _FENCED) for cause in causes):
            return Overtaken(f"{self._doing}: another command of its kind began meanwhile")
        wrong_topic = any(isinstance(cause, _REFUSED_BY_TOPIC) for cause in causes)
        do = "see how the topic differs by `netcenter topics apply --check`" if wrong_topic else "run the command again"
        return CommandError(f"{self._doing}: {_named(error)}, from Kafka at {self._kafka}; nothing was written: {do}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the producer. A transaction that is open holds nowhere."""
        # The broker aborts an uncommitted transaction after its timeout, or when the next producer with this
        # transactional id starts.
        try:
            self._producer.close(timeout=_CLOSE_S)
        except KafkaError:
            # Whatever is still buffered belongs to a transaction that was not committed: it holds nowhere.
            return


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
