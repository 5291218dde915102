"""A producer whose transactional id fences every other producer of that id: two commands at once cannot both write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NamedTuple, Self

from kafka import TopicPartition
from kafka.errors import InvalidProducerEpochError, KafkaError, KafkaTimeoutError, ProducerFencedError
from kafka.producer.future import RecordMetadata

from netcenter.broker.client import TRANSACTION_TIMEOUT_MS, open_producer
from netcenter.broker.commit_outcome import committed
from netcenter.errors import CommandError
from schemas.headers import Headers
from streams.kafka_connection import KafkaConnection

_FENCED = (ProducerFencedError, InvalidProducerEpochError)
_BEGIN_S = 30.0
"""The most seconds for which a command waits until it is the only writer. A transaction that a killed command left open
is aborted within that time.
"""
_COMMIT_S = 30.0
_OUTCOME_S = TRANSACTION_TIMEOUT_MS / 1000 + 5
"""The most seconds for which the log is asked what has come of a transaction: the broker aborts an open one within them."""
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


class SoleProducer:
    """Writes whole transactions, as the only producer of its transactional id. A context manager.

    When the context is entered, every earlier producer of the id is fenced and its open transaction is aborted. What is
    read afterwards up to the last stable offset therefore holds until this producer writes, or is fenced itself.
    """

    def __init__(self, kafka: KafkaConnection, transactional_id: str, doing: str) -> None:
        """doing: what fails, for errors, as in `the policy cannot be applied`. Raises Unreachable."""
        self._kafka, self._doing = kafka, doing
        self._producer = open_producer(kafka, transactional_id)

    def __enter__(self) -> Self:
        try:
            error = self._in_time(self._producer.init_transactions, _BEGIN_S)
            if error is not None:
                raise self._failed(error) from error
        except BaseException:
            self._close()
            raise
        return self

    def write(self, records: Iterable[RawRecord]) -> None:
        """Writes records in one transaction. When this method returns, every reader of committed records sees all of
        them. This user may read the topic of the last one.

        Raises Overtaken where another command began meanwhile: then no reader sees any of them. Raises CommandError for
        every other fault; it says whether anything was written, or that this is not known.
        """
        try:
            self._producer.begin_transaction()
            futures = [
                self._producer.send(r.topic, key=r.key, value=r.value, partition=r.partition, headers=r.headers)
                for r in records
            ]
            self._producer.flush(TRANSACTION_TIMEOUT_MS / 1000)
            last = [future.get(0) for future in futures][-1]
        except KafkaError as error:
            raise self._failed(error) from error
        failed = self._in_time(self._producer.commit_transaction, _COMMIT_S)
        if failed is not None:
            self._ask(failed, last)

    def _ask(self, error: Exception, last: RecordMetadata) -> None:
        """Asks the log what has come of a commit that failed. Returns where the transaction holds; raises CommandError."""
        tp = TopicPartition(last.topic, last.partition)
        # A broker that was sent a record twice does not say where it stands.
        holds = None if last.offset < 0 else committed(self._kafka, tp, last.offset, _OUTCOME_S)
        if holds is None:
            raise CommandError(
                f"{self._doing}, or it was done: Kafka at {self._kafka} has not said whether it has committed "
                f"({_named(error)}). Look what stands, and run the command again"
            ) from error
        if not holds:
            raise self._failed(error) from error

    def _in_time(self, call: Callable[[], object], seconds: float) -> Exception | None:
        """Runs a call of the producer that has no deadline of its own: while Kafka is away, it would wait for ever. Returns
        the error with which it ended.
        """
        failed: list[Exception] = []

        def run() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - the thread that waits handles it
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            late: Exception = KafkaTimeoutError(f"no answer for {seconds:.0f} s")
            return late
        return next(iter(failed), None)

    def _failed(self, error: Exception) -> CommandError:
        """The error of a transaction that holds nowhere."""
        causes: list[object] = [error, *error.args, getattr(self._producer._transaction_manager, "last_error", None)]
        if any(isinstance(cause, _FENCED) for cause in causes):
            return Overtaken(f"{self._doing}: another command of its kind began meanwhile")
        return CommandError(
            f"{self._doing}: Kafka at {self._kafka}: {_named(error)}; nothing was written: is it up? Run the command again"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        # The broker aborts an uncommitted transaction after its timeout, or when the next producer with this
        # transactional id starts.
        try:
            self._producer.close(timeout=_CLOSE_S)
        except KafkaError:
            # Whatever is still buffered belongs to a transaction that was not committed: it holds nowhere.
            return


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
