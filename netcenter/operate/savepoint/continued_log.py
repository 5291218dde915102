"""Writes a savepoint into the empty topics of a new log, in one transaction: all of it is there, or nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from math import gcd
from typing import Any

from kafka import TopicPartition

from agents.policy import Policy, parse
from netcenter.broker.changelogs import changelog_record, fence_owners
from netcenter.broker.client import open_admin
from netcenter.broker.command_headers import CommandHeaders
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_topic import text_headers
from netcenter.broker.provisioning import create
from netcenter.broker.reading import any_record
from netcenter.broker.sole_producer import OpenTransaction, RawRecord, SoleProducer
from netcenter.broker.topics import existing_topics, partition_counts, required_topics
from netcenter.errors import CommandError
from netcenter.operate.savepoint.carried_state import LogHead, StateRecord
from netcenter.operate.savepoint.state_at_rest import DECIDING
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.records import PolicyChanged, Record, Tick
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS, progress_writer
from streams.core import Progress
from streams.cores import new_core, written_forms
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of
from streams.topology import POLICY_TOPIC, Role

#: ms; Kafka aborts the transaction when it takes longer. A broker allows 15 minutes by default.
_LONGEST_MS = 600_000
Holding = Callable[[OpenTransaction], None]
"""Sees to it that nothing of the old log changes while a transaction is open. Raises CommandError."""
Closing = Callable[[], Iterable[RawRecord]]
"""Gives the records that close the old log, in the same transaction."""


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

    def write(
        self,
        records: Iterable[StateRecord],
        head: Callable[[], LogHead],
        *,
        hold: Holding = lambda _: None,
        close: Closing = tuple,
    ) -> None:
        """Writes the state, and commits it; on any error nothing of it is there, and the old log is as it was.

        hold: called before the first record is read. head: called after the last record. Raises CommandError, also where
        another command has written this log meanwhile, and what `hold`, `records` and `head` raise.
        """
        doing = "the state cannot be written"
        with SoleProducer(
            self._kafka, f"{self._settings.prefix}rescale", doing, transaction_timeout_ms=_LONGEST_MS
        ) as producer:
            self.check_empty()  # again: from now on no other command of this kind can write
            with producer.transaction() as opened:
                hold(opened)
                self._fill(opened, records, head, close)
                self.check_idle()
        # A worker that has recovered an empty changelog just before the commit begins again.
        fence_owners(self._settings, self._kafka, DECIDING)

    def _fill(
        self, opened: OpenTransaction, records: Iterable[StateRecord], head: Callable[[], LogHead], close: Closing
    ) -> None:
        memories: dict[str, dict[int, list[tuple[str, bytes]]]] = defaultdict(lambda: defaultdict(list))
        roles = {role.name: role for role in DECIDING}
        for record in records:
            if record.by is None:
                memories[record.role][record.partition].append((record.key, record.value))
            else:
                number = partition_of(record.by, self._settings.partitions)
                opened.send(self._kept(roles[record.role], number, record.key.encode(), record.value))
                self.moved[record.role] += 1
        at = head()
        for version, text in sorted(at.policies.items()):
            source = text_headers(at.sources.get(version))
            opened.send(RawRecord(self._settings.prefix + POLICY_TOPIC, 0, b"%d" % version, text.encode(), source))
        for role in DECIDING:
            self._begin(opened, role, at, memories[role.name])
        for closing_record in close():
            opened.send(closing_record)
        opened.flush()

    def _begin(
        self, opened: OpenTransaction, role: Role, head: LogHead, memories: dict[int, list[tuple[str, bytes]]]
    ) -> None:
        """Writes what a role's input topic begins with, what a Batch remembers, and the progress after both."""
        form, progress_form = written_forms(role, self._settings.upgrade_from)
        changed = PolicyChanged(version=head.policy, hash=head.policy_hash, applied_at=head.taken_at)
        policies = {head.policy: parse(head.policies[head.policy], head.policy)}
        pack = progress_writer(progress_form)
        positions = {
            number: [
                self._seed(opened, role.input_topic, number, record)
                for record in self._seeds(role, number, head, changed)
            ][-1]
            for number in range(self._settings.partitions)
        }
        opened.flush()
        for number, last in positions.items():
            core = new_core(
                PIPELINE, role, number, self._settings.partitions, _chosen(policies), encodes=False, form=form
            )
            core.continue_log(head.prefix, last.get(0).offset + 1, head.clock, head.watermark, changed)
            if isinstance(core, BatchCore):
                core.stage.take_over(
                    sources(memories, head.partitions, number, self._settings.partitions), head.watermark
                )
                for key, value in core.packed():
                    opened.send(self._kept(role, number, key.encode(), value))
                    self.moved[role.name] += 1
            opened.send(self._kept(role, number, PROGRESS, pack(core.progress())))

    def _seeds(self, role: Role, number: int, head: LogHead, changed: PolicyChanged) -> Iterator[Record]:
        """The records with which a partition of an input topic begins, for whoever reads the log from its beginning."""
        [(writer, partition)] = PIPELINE.writers(role.input_topic, number)
        yield Tick(clock=head.clock, time=head.watermark, role=writer, partition=partition)
        yield changed

    def _seed(self, opened: OpenTransaction, topic: str, number: int, record: Record) -> Any:
        value = codec.encode(record)
        head = self._headers.of(topic, record, number, None, value)
        return opened.send(RawRecord(self._settings.prefix + topic, number, None, value, head))

    def _kept(self, role: Role, number: int, key: bytes, value: bytes | None) -> RawRecord:
        return changelog_record(self._settings, role, number, (key, value))

    def _count(self, topic: str) -> int:
        return PIPELINE.partitions(topic, self._settings.partitions)


def closed(settings: Settings, progress: Iterable[tuple[Role, int, Progress]], prefix: str) -> Iterator[RawRecord]:
    """The records that close a log, because the log under `prefix` continues it: its workers refuse to go on."""
    for role, number, stands in progress:
        stands.moved_to = prefix
        _, form = written_forms(role, settings.upgrade_from)
        yield changelog_record(settings, role, number, (PROGRESS, progress_writer(form)(stands)))


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
