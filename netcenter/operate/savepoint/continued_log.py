"""Writes a savepoint into the empty topics of a new log, in one transaction: all of it is there, or nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from math import gcd
from typing import Any

from kafka import KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.producer.future import RecordMetadata

from agents.policy import Policy, parse
from netcenter.broker.changelogs import ChangelogWriter, changelog_partition
from netcenter.broker.client import open_admin, open_producer
from netcenter.broker.command_headers import CommandHeaders
from netcenter.broker.commit_outcome import committed
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_topic import text_headers
from netcenter.broker.provisioning import create
from netcenter.broker.reading import any_record
from netcenter.broker.topics import existing_topics, partition_counts, required_topics
from netcenter.errors import CommandError
from netcenter.operate.savepoint.carried_state import LogHead, StateRecord
from netcenter.operate.savepoint.state_at_rest import DECIDING
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.headers import Headers
from schemas.records import PolicyChanged, Record, Tick
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS, progress_writer
from streams.core import Progress
from streams.cores import new_core, written_forms
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from streams.topology import Role

#: ms; Kafka aborts the transaction when it takes longer. A broker allows 15 minutes by default.
_LONGEST_MS = 600_000
_FLUSH_S = 120.0
#: The most seconds for which the log is asked what has come of the transaction.
_OUTCOME_S = 30.0
Closing = Callable[[], Iterable[tuple[TopicPartition, bytes, bytes]]]
"""Gives (partition, key, value) of the records that close the old log, in the same transaction."""


class ContinuedLog:
    """A new log under the settings' prefix, with the settings' number of partitions, which continues another log."""

    def __init__(self, settings: Settings, kafka: KafkaConnection) -> None:
        """Raises UsageError where the settings of the keys for signatures cannot be used."""
        self._settings, self._kafka = settings, kafka
        self._headers = CommandHeaders(settings, kafka, "rescale")
        self.moved: Counter[str] = Counter()
        """State records written so far, by role."""

    def prepare(self) -> None:
        """Creates the topics that are missing. Raises CommandError where records or workers are there, and Unreachable."""
        self.check_empty()
        self.check_idle()
        with closing(open_admin(self._kafka)) as client:
            required = required_topics(self._settings)
            have = existing_topics(client, (topic.name for topic in required))
            missing = [topic for topic in required if topic.name not in have]
            if missing:
                create(client, missing)

    def check_empty(self) -> None:
        """Raises CommandError where a topic holds records: a savepoint is restored into a new log only."""
        with closing(open_admin(self._kafka)) as client:
            wanted = {topic.name: topic.num_partitions for topic in required_topics(self._settings)}
            have = partition_counts(client, wanted)
            self._check_counts(wanted, have)
            counts = {topic.name: self._count(topic.name) for topic in PIPELINE.topics}
            for name, count in (counts | {role.changelog: self._settings.partitions for role in DECIDING}).items():
                topic, numbers = self._settings.prefix + name, range(count)
                if topic not in have:
                    continue
                if any_record(self._kafka, committed_ranges(client, [TopicPartition(topic, n) for n in numbers])):
                    raise CommandError(
                        f"{topic} holds records already: a log that continues another one begins with empty topics; choose "
                        "another NETCENTER_PREFIX, and do not run `netcenter topics apply` for it"
                    )

    def _check_counts(self, wanted: Mapping[str, int], have: Mapping[str, int]) -> None:
        for name, count in have.items():
            if count != wanted[name]:
                raise CommandError(
                    f"{name} has {count} partitions, and NETCENTER_PARTITIONS means {wanted[name]}: set it right, or delete "
                    "the topics of this prefix"
                )

    def check_idle(self) -> None:
        """Raises CommandError where workers of the new log run already: they would begin without the state."""
        with closing(open_admin(self._kafka)) as client:
            members = ConsumerGroups(self._settings.prefix, client).members(DECIDING)
        running = [role.name for role in DECIDING if members[role.name]]
        if running:
            raise CommandError(
                f"workers of {self._settings.prefix}{running[0]} run already: stop the workers of the new prefix, and start "
                "them after this command"
            )

    def write(self, records: Iterable[StateRecord], head: Callable[[], LogHead], close: Closing = tuple) -> None:
        """Writes the state, and commits it; on any error nothing of it is there, and the old log is as it was.

        head: called after the last record. Raises CommandError, and what `records` and `head` raise.
        """
        producer = open_producer(self._kafka, f"{self._settings.prefix}rescale", transaction_timeout_ms=_LONGEST_MS)
        with closing(producer):
            try:
                producer.init_transactions()
                producer.begin_transaction()
                try:
                    sender = _Sender(producer)
                    self._fill(sender, records, head, close)
                    self.check_idle()
                except BaseException:
                    producer.abort_transaction()
                    raise
            except KafkaError as error:
                raise _not_written(error) from error
            try:
                producer.commit_transaction()
            except KafkaError as error:
                self._ask(error, sender.last())
        self._fence()

    def _ask(self, error: KafkaError, last: RecordMetadata) -> None:
        """Asks the log what has come of a commit that failed. Returns where the state is written; raises CommandError."""
        holds = committed(self._kafka, TopicPartition(last.topic, last.partition), last.offset, _OUTCOME_S)
        if holds is None:
            raise CommandError(
                f"Kafka at {self._kafka} has not said whether the state is written ({type(error).__name__}: {error}): run "
                f"this again when Kafka answers; where it is written, that finds records under {self._settings.prefix!r}"
            ) from error
        if not holds:
            raise _not_written(error) from error

    def _fill(
        self, sender: _Sender, records: Iterable[StateRecord], head: Callable[[], LogHead], close: Closing
    ) -> None:
        memories: dict[str, dict[int, list[tuple[str, bytes]]]] = defaultdict(lambda: defaultdict(list))
        roles = {role.name: role for role in DECIDING}
        for record in records:
            if record.by is None:
                memories[record.role][record.partition].append((record.key, record.value))
            else:
                number = partition_of(record.by, self._settings.partitions)
                sender.send(self._changelog(roles[record.role], number), record.key.encode(), record.value)
                self.moved[record.role] += 1
        at = head()
        for version, text in sorted(at.policies.items()):
            head_of_text = text_headers(at.sources.get(version))
            sender.send(
                TopicPartition(self._settings.prefix + "policy", 0), b"%d" % version, text.encode(), head_of_text
            )
        for role in DECIDING:
            self._begin(sender, role, at, memories[role.name])
        for tp, key, value in close():
            sender.send(tp, key, value)
        sender.flush()

    def _begin(self, sender: _Sender, role: Role, head: LogHead, memories: dict[int, list[tuple[str, bytes]]]) -> None:
        """Writes what a role's input topic begins with, what a Batch remembers, and the progress after both."""
        form, progress_form = written_forms(role, self._settings.upgrade_from)
        changed = PolicyChanged(version=head.policy, hash=head.policy_hash, applied_at=head.taken_at)
        policies = {head.policy: parse(head.policies[head.policy], head.policy)}
        pack = progress_writer(progress_form)
        positions = {
            number: [
                self._seed(sender, role.input_topic, number, record)
                for record in self._seeds(role, number, head, changed)
            ][-1]
            for number in range(self._settings.partitions)
        }
        sender.flush()
        for number, last in positions.items():
            core = new_core(PIPELINE, role, number, self._count, _chosen(policies), encodes=False, form=form)
            core.continue_log(head.prefix, last.get(0).offset + 1, head.clock, head.watermark, changed)
            if isinstance(core, BatchCore):
                core.stage.take_over(
                    sources(memories, head.partitions, number, self._settings.partitions), head.watermark
                )
                for key, value in core.packed():
                    sender.send(self._changelog(role, number), key.encode(), value)
                    self.moved[role.name] += 1
            sender.send(self._changelog(role, number), PROGRESS, pack(core.progress()))

    def _seeds(self, role: Role, number: int, head: LogHead, changed: PolicyChanged) -> Iterator[Record]:
        """The records with which a partition of an input topic begins, for whoever reads the log from its beginning."""
        [(writer, partition)] = PIPELINE.writers(role.input_topic, number)
        yield Tick(clock=head.clock, time=head.watermark, role=writer, partition=partition)
        yield changed

    def _seed(self, sender: _Sender, topic: str, number: int, record: Record) -> Any:
        value = codec.encode(record)
        head = self._headers.of(topic, record, number, None, value)
        return sender.send(TopicPartition(self._settings.prefix + topic, number), None, value, head)

    def _changelog(self, role: Role, number: int) -> TopicPartition:
        return changelog_partition(self._settings, role, number)

    def _count(self, topic: str) -> int:
        return PIPELINE.topic(topic).partitions or self._settings.partitions

    def _fence(self) -> None:
        """Makes a worker begin again that has recovered an empty changelog just before the commit."""
        for role in DECIDING:
            for number in range(self._settings.partitions):
                with ChangelogWriter(self._settings, self._kafka, role, number):
                    pass


class _Sender:
    """Sends records in an open transaction, and raises the first refusal."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self._refused: list[Any] = []
        self._last: Any = None

    def send(self, tp: TopicPartition, key: bytes | None, value: bytes | None, headers: Headers | None = None) -> Any:
        """Sends a record, and returns its future. Raises KafkaError."""
        self._raise()
        future = self._producer.send(tp.topic, key=key, value=value, partition=tp.partition, headers=headers or [])
        future.add_errback(self._refused.append)
        self._last = future
        return future

    def last(self) -> RecordMetadata:
        """Where the last record stands, once all were flushed."""
        return self._last.get(0)

    def flush(self) -> None:
        """Returns when the broker has every record. Raises KafkaError."""
        self._producer.flush(_FLUSH_S)
        self._raise()

    def _raise(self) -> None:
        if self._refused:
            raise self._refused[0]


def _not_written(error: KafkaError) -> CommandError:
    return CommandError(
        f"the state cannot be written: {type(error).__name__}: {error}; nothing was changed, run this again"
    )


def closed(
    settings: Settings, progress: Iterable[tuple[Role, int, Progress]], prefix: str
) -> Iterator[tuple[TopicPartition, bytes, bytes]]:
    """The records that close a log, because the log under `prefix` continues it: its workers refuse to go on."""
    for role, number, stands in progress:
        stands.moved_to = prefix
        _, form = written_forms(role, settings.upgrade_from)
        yield changelog_partition(settings, role, number), PROGRESS, progress_writer(form)(stands)


def _chosen(policies: dict[int, Policy]) -> Callable[[int, str], Policy]:
    return lambda version, _hash: policies[version]


def sources(
    memories: dict[int, list[tuple[str, bytes]]], old: int, number: int, new: int
) -> Iterator[list[tuple[str, bytes]]]:
    """What was remembered in each old partition from which a key may come to a new partition.

    A key's hash modulo the number of partitions is its partition, so both are equal modulo the numbers' common divisor.
    """
    common = gcd(old, new)
    return (memory for partition, memory in sorted(memories.items()) if partition % common == number % common)
