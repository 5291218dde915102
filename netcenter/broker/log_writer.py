"""Writes records to the topics of the log, as the roles' own producers do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Self

from kafka.errors import KafkaError, KafkaTimeoutError

from netcenter.broker.client import close_producer, open_admin, open_producer
from netcenter.broker.command_headers import CommandHeaders
from netcenter.broker.sole_producer import RawRecord
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.records import Record
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of

_FLUSH_S = 60


class LogRecords:
    """Makes the bytes of the records that commands write: the one place where these records get their headers."""

    def __init__(self, settings: Settings, kafka: KafkaConnection, writer: str) -> None:
        """settings: with the partition count of the log. writer: the command that writes. Raises UsageError as
        `CommandHeaders` does.
        """
        self._prefix, self._headers = settings.prefix, CommandHeaders(settings, kafka, writer)

    def record(self, topic: str, record: Record, partition: int, key: bytes | None = None) -> RawRecord:
        """A record of a partition of a topic, which is named without the prefix. Raises UsageError where it needs a
        signature and this command has no key.
        """
        value = codec.encode(record)
        headers = self._headers.of(topic, record, partition, key, value)
        return RawRecord(self._prefix + topic, partition, key, value, headers)


class LogWriter:
    """Appends records. A context manager: when it ends without an error, the broker has every record."""

    def __init__(self, settings: Settings, kafka: KafkaConnection, writer: str) -> None:
        """writer: the command that writes, which the header `ce_source` of the records names.

        Raises Unreachable, CommandError where no Netcenter is under the prefix, and UsageError for wrong settings of the
        keys.
        """
        with closing(open_admin(kafka)) as client:
            self.settings = settings_of_log(settings, client)
        self._pipeline = PIPELINE.for_earlier() if settings.upgrade_from else PIPELINE
        self._records = LogRecords(self.settings, kafka, writer)
        self._producer = open_producer(kafka)
        self._failed: list[KafkaError] = []
        self.taken = 0
        """How many records the broker has, without those that were sent to a partition of their own."""

    def send(self, topic: str, record: Record, partition: int | None = None) -> None:
        """Append a record. partition: None means the partition of the record's key.

        Raises CommandError when the broker has refused an earlier record; if it refuses this record, a later call
        raises. Raises UsageError as `CommandHeaders.of`.
        """
        if partition is not None:
            self._append(self._records.record(topic, record, partition))
            return
        key = self._pipeline.topic(topic).key(record)
        partition = partition_of(key, PIPELINE.partitions(topic, self.settings.partitions))
        self._append(self._records.record(topic, record, partition, key)).add_callback(self._count)

    def _count(self, _: object) -> None:
        self.taken += 1

    def send_bytes(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Append bytes without headers. topic: with the prefix. Raises CommandError as `send` does."""
        self._append(RawRecord(topic, partition, key, value, []))

    def send_to_all(self, topic: str, make: Callable[[int], Record]) -> None:
        """Append a record to every partition of a topic. make: the record of a partition, by its number."""
        for number in range(PIPELINE.partitions(topic, self.settings.partitions)):
            self.send(topic, make(number), number)

    def _append(self, raw: RawRecord) -> Any:
        self._raise_refusal()
        topic, partition, key, value, headers = raw
        future = self._producer.send(topic, key=key, value=value, partition=partition, headers=headers)
        return future.add_errback(self._failed.append)

    def flush(self) -> None:
        """Return when the broker has every record. Raises CommandError."""
        try:
            self._producer.flush(_FLUSH_S)
        except KafkaTimeoutError:
            raise CommandError(
                f"Kafka has not taken all records within {_FLUSH_S} s: is it up? See `netcenter doctor`"
            ) from None
        self._raise_refusal()

    def _raise_refusal(self) -> None:
        if self._failed:
            # The cause says to the command line whether a right is missing, and to what.
            refused = self._failed[0]
            raise CommandError(f"Kafka refused a record: {type(refused).__name__}: {refused}") from refused

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            close_producer(self._producer)
