"""The changelogs of the roles: reads them as they are, and writes to them as their owner does, in fenced transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition

from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import records_of
from netcenter.broker.sole_producer import Overtaken, RawRecord, SoleProducer
from netcenter.errors import CommandError
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection
from streams.topology import Role

#: A transaction has at most this many bytes of keys and values, so that it is delivered within the broker's limit.
_BYTES = 4 << 20
#: How often a transaction is begun anew, a second apart, after a worker that was started meanwhile has fenced it.
_TRIES = 60
#: Owners that are fenced at once.
_AT_ONCE = 16

Change = tuple[bytes, bytes | None]
"""(key, value) of a record for a changelog; a value of None removes the key."""


def changelog_partition(settings: Settings, role: Role, number: int) -> TopicPartition:
    """The changelog's partition for an input partition of a role."""
    return TopicPartition(settings.prefix + role.changelog, number)


def changelog_record(settings: Settings, role: Role, number: int, change: Change) -> RawRecord:
    """The record that makes a change in the changelog of a partition."""
    key, value = change
    return RawRecord(settings.prefix + role.changelog, number, key, value, [])


def newest_records(kafka: KafkaConnection, tp: TopicPartition, since: int = 0) -> dict[bytes, Any]:
    """The newest raw record of each key in a partition of a changelog, without the keys that were removed. Raises
    Unreachable, and CommandError where the topic is missing.

    since: an offset; records before it are left out.
    """
    newest: dict[bytes, Any] = {}
    first, end = committed_ranges_at(kafka, [tp])[tp]
    for record in records_of(kafka, {tp: (max(first, since), end)}):
        if record.key is None:  # it stands for no state, and Kafka's compaction drops it
            continue
        if record.value is None:
            newest.pop(record.key, None)
        else:
            newest[record.key] = record
    return newest


def fence_owners(settings: Settings, kafka: KafkaConnection, roles: Iterable[Role]) -> None:
    """Makes sure that no worker of these roles that is still somewhere commits anything more. Raises CommandError, and
    Unreachable.
    """

    def fence(place: tuple[Role, int]) -> None:
        with ChangelogWriter(settings, kafka, *place):
            pass

    # Nothing is decided meanwhile, and each producer waits for its coordinator: many wait at once.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fence, [(role, number) for role in roles for number in range(settings.partitions)]))


class ChangelogWriter:
    """Writes to one partition of a role's changelog, with the transactional id of the partition's owner: a worker that
    owns it can commit nothing more. A context manager.

    A worker that starts meanwhile fences this writer, and the writer fences it in turn. Whatever was read before may
    have changed then.
    """

    def __init__(
        self,
        settings: Settings,
        kafka: KafkaConnection,
        role: Role,
        number: int,
        fenced: Callable[[], None] = lambda: None,
    ) -> None:
        """fenced: called whenever the owner was fenced, before anything is written: it raises where what the caller means
        to write is no longer right. What it reads holds until this writer writes, or is fenced itself.
        """
        self._fenced = fenced
        self._tp = changelog_partition(settings, role, number)
        self._role, self._kafka = role.name, kafka
        self._id = f"{settings.prefix}{role.name}-{number}"
        self._producer: SoleProducer | None = None

    def __enter__(self) -> Self:
        """Fences the owner. Raises CommandError, Unreachable, and what `fenced` raises."""
        try:
            self._retried(lambda _: None)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, changes: Iterable[Change]) -> None:
        """Writes changes, in order, in transactions of a few megabytes. Raises CommandError, Unreachable, and what `fenced`
        raises: the transactions before hold then.
        """
        part, size = list[RawRecord](), 0
        for key, value in changes:
            part.append(RawRecord(self._tp.topic, self._tp.partition, key, value, []))
            size += len(key) + len(value or b"")
            if size > _BYTES:
                self._write(part)
                part, size = [], 0
        if part:
            self._write(part)

    def _write(self, records: list[RawRecord]) -> None:
        self._retried(lambda producer: producer.write(records))

    def _retried(self, use: Callable[[SoleProducer], None]) -> None:
        """Calls `use` with a producer that fences the partition's owner; again where another owner has fenced this one."""
        for _ in range(_TRIES):
            try:
                if self._producer is None:
                    place = f"{self._tp.topic}/{self._tp.partition}"
                    self._producer = SoleProducer(self._kafka, self._id, f"{place} cannot be written").__enter__()
                    self._fenced()
                use(self._producer)
                return
            except Overtaken:
                self._close()
            time.sleep(1)
        raise CommandError(
            f"workers of {self._role} start again and again and take {self._tp.topic}/{self._tp.partition} over: stop them, "
            "then run this again"
        )

    def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
