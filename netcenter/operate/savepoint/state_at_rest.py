"""Reads the state of every deciding role of a log whose workers are stopped and have read everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing
from functools import cached_property
from typing import Any

from kafka import TopicPartition

from agents.decider import Unusable
from agents.policy import Policy, parse
from netcenter.broker.changelogs import changelog_partition
from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.offsets import committed_ranges, log_ends
from netcenter.broker.policy_topic import PolicyLog, policy_log
from netcenter.broker.reading import batches_of
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError
from netcenter.operate.savepoint.carried_state import LogHead, StateRecord
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec
from schemas.codec import WireError
from schemas.records import SourceIdle, Tick
from streams import raw_records
from streams.batch import BatchCore
from streams.core import Progress
from streams.cores import new_core, written_forms
from streams.fold import FoldCore
from streams.kafka_connection import KafkaConnection
from streams.log_reader import reading, written_end
from streams.policies import Policies, PolicyTexts
from streams.rebalance_watch import RebalanceWatch
from streams.recovery import recover
from streams.topology import POLICY_TOPIC, Fold, Role

DECIDING = tuple(role for role in PIPELINE.roles if role.decides)


class _HeldPolicies(Policies):
    """The policies of the log; a missing one is an error, because nobody waits for it here."""

    def __init__(self, topic: str, texts: PolicyTexts) -> None:
        super().__init__(topic, lambda: reading(KafkaConnection("")), lambda _: None)
        self._held = texts

    async def ensure(self, version: int, hash: str) -> None:
        """Raises CommandError where the text is missing."""
        if (version, hash) not in self._held.by_hash:
            raise CommandError(
                f"{self.topic} does not hold policy {version}, which is in force: write its text again first"
            )


class StateAtRest:
    """The state of a log. `records` reads it; what stands in the way is in `faults` afterwards, and `head` is known."""

    def __init__(self, settings: Settings, kafka: KafkaConnection) -> None:
        """settings: with the prefix of the log. Raises Unreachable, and CommandError where no Netcenter is there."""
        self._kafka = kafka
        raw_records.install()  # as in a worker: `recover` relies on it to pass the markers of transactions
        with closing(open_admin(kafka)) as client:
            self.settings = settings_of_log(settings, client)
        self.faults: list[str] = []
        """One line for each reason for which the state cannot be taken now."""
        self.progress: list[tuple[Role, int, Progress]] = []
        """(role, partition, progress) of every partition that was read."""
        self.holds_changelogs = False
        """Whether an open transaction of this command holds every changelog, so that no worker can begin."""
        self._ends: dict[TopicPartition, int] = {}
        """The end of each partition of a changelog when it was read."""
        self.policies: Policies = _HeldPolicies(settings.prefix + POLICY_TOPIC, self._log.texts)
        """The policies of the log."""
        self.rebalance = RebalanceWatch()
        """Nobody looks at it here; a recovery tells it how far it has come."""

    @cached_property
    def _log(self) -> PolicyLog:
        return policy_log(self.settings, self._kafka)

    def running(self) -> list[str]:
        """One line for each deciding role that has workers."""
        with closing(open_admin(self._kafka)) as client:
            members = ConsumerGroups(self.settings.prefix, client).members(DECIDING)
        return [
            f"{self.settings.prefix}{role.name} has {len(members[role.name])} workers: stop them"
            for role in DECIDING
            if members[role.name]
        ]

    def records(self) -> Iterator[StateRecord]:
        """Every state record, role after role. Raises CommandError, Unreachable, and Misconfigured as `recover` does."""
        with asyncio.Runner() as runner:
            for role in DECIDING:
                for number in range(self.settings.partitions):
                    core = self._core(role, number)
                    found = runner.run(recover(core, -1, lambda core=core: core, self))  # type: ignore[misc]
                    self._ends[changelog_partition(self.settings, role, number)] = found.changelog_end
                    yield from self._of(found.core)
        self.faults += self._unread()
        self.faults += self._written()

    def head(self) -> LogHead:
        """Where the log stands, once all records were read. Raises CommandError where it cannot be taken, with all faults."""
        self._compare()
        if self.faults:
            raise CommandError("; ".join(self.faults))
        last = max((progress for _, _, progress in self.progress), key=lambda progress: progress.watermark)
        return LogHead(
            prefix=self.settings.prefix,
            partitions=self.settings.partitions,
            clock=last.clock,  # type: ignore[arg-type]
            watermark=last.watermark,
            policy=last.policy,
            policy_hash=last.policy_hash,
            policies=self._log.texts.seen_from(last.policy, last.policy_hash),
            taken_at=int(time.time() * 1000),
            sources={version: held[-1].source for version, held in self._log.versions.items() if held[-1].source},
        )

    # --- as the host of a recovery ----------------------------------------------------------------------------

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        return self.settings.prefix + name

    def reader(self) -> AbstractAsyncContextManager[Any]:
        """A consumer without a group."""
        return reading(self._kafka)

    async def written_end(self, tp: TopicPartition) -> int:
        """The offset after the last record of a partition; 0 where this command itself has records there."""
        return 0 if self.holds_changelogs else await written_end(self._kafka, tp)

    # --- one partition ----------------------------------------------------------------------------------------

    def _core(self, role: Role, number: int) -> FoldCore | BatchCore:
        form, _ = written_forms(role, self.settings.upgrade_from)
        return new_core(PIPELINE, role, number, self.settings.partitions, self._policy, encodes=False, form=form)

    def _count(self, topic: str) -> int:
        return PIPELINE.partitions(topic, self.settings.partitions)

    def _policy(self, version: int, hash: str) -> Policy:
        return parse(self._log.texts.by_hash[version, hash], version)

    def _of(self, core: FoldCore | BatchCore) -> Iterator[StateRecord]:
        role, number = core.role, core.number
        self.progress.append((role, number, core.progress()))
        place = f"{self.settings.prefix}{role.input_topic}/{number}"
        if not core.watermark.time or core.policy is None:
            self.faults.append(f"{role.name} has decided nothing in {place}: there is nothing to carry over yet")
            return
        if isinstance(core, BatchCore):
            if core.stage.due() is not None:
                self.faults.append(
                    f"{place} has posts in a minute that has not ended: let {role.name} run for a minute more"
                )
            for key, value in core.stage.memory(core.watermark.time):
                yield StateRecord(role.name, number, None, key, value)
            return
        assert isinstance(role.shape, Fold)
        try:
            for key, by, value in core.carried(role.shape.carried):
                yield StateRecord(role.name, number, by, key, value)
        except Unusable as error:
            self.faults.append(f"{role.changelog}/{number}: {error}")

    def _unread(self) -> Iterator[str]:
        """A line for each partition of which its role has not read a record that it must read; Ticks may be left, because
        time goes on anyway.
        """
        readers = {
            TopicPartition(self.settings.prefix + role.input_topic, number): (role, progress.position)
            for role, number, progress in self.progress
        }
        with closing(open_admin(self._kafka)) as client:
            ends, last = committed_ranges(client, readers), log_ends(client, readers)
        for tp in readers:
            if ends[tp][1] < last[tp]:
                yield f"a transaction is open in {tp.topic}/{tp.partition}: wait for ten seconds"
        left: dict[TopicPartition, int] = {}
        ranges = {tp: (position, ends[tp][1]) for tp, (_, position) in readers.items()}
        with closing(open_consumer(self._kafka)) as consumer:
            for batch in batches_of(consumer, ranges):
                for tp, records in batch.items():
                    for raw in records:
                        if not _tells_time(raw):
                            left.setdefault(tp, raw.offset)
        for tp, offset in left.items():
            yield (
                f"{readers[tp][0].name} has not read {tp.topic}/{tp.partition} from offset {offset} on (of {ends[tp][1]}): stop "
                "what writes there, and let the workers run until `netcenter lag` shows nothing behind"
            )

    def _written(self) -> Iterator[str]:
        """A line for each partition of a changelog that was written after it was read."""
        with closing(open_admin(self._kafka)) as client:
            ends = committed_ranges(client, self._ends)
        for tp, end in self._ends.items():
            if ends[tp][1] != end:
                yield f"{tp.topic}/{tp.partition} was written while it was read: stop the workers that have started"

    def _compare(self) -> None:
        versions: dict[int, str] = {}
        for role, number, progress in self.progress:
            if progress.policy:
                versions.setdefault(progress.policy, f"{role.name}/{number}")
        if len(versions) > 1:
            told = ", ".join(f"{version} in {place}" for version, place in sorted(versions.items()))
            self.faults.append(f"a policy change is on its way (version {told}): let the workers run until all have it")


def _tells_time(raw: Any) -> bool:
    try:
        return isinstance(codec.decode(raw.value), Tick | SourceIdle)
    except WireError:
        return False
