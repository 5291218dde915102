"""What the role desk knows now: its state and its policy, from its changelog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import msgspec
from kafka import TopicPartition

from agents.desk.index import DeskState
from agents.desk.outlook import Outlook, desks, outlook
from agents.desk.state import WorkItem
from agents.policy import Policy, parse
from netcenter.broker.changelogs import changelog_partition, newest_records
from netcenter.broker.client import open_admin
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.policy_topic import PolicyLog, policy_log
from netcenter.broker.reading import records_of
from netcenter.broker.sound_records import SoundRecords
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import keys
from schemas.records import OperatorChanged, Record
from schemas.state_forms import FormError
from streams.checkpoint import PROGRESS, REBUILDING, read_progress
from streams.core import Progress
from streams.cores import new_core
from streams.fold import FoldCore
from streams.kafka_connection import KafkaConnection
from streams.partitioner import partition_of

ROLE = PIPELINE.role("desk")
_UNREAD = 20_000
"""The most offsets that the role has not read yet in which a record is looked for."""


@dataclass
class DeskStanding:
    """The state of the desks at the role's last checkpoint."""

    settings: Settings
    """With the partition count of the log."""
    kafka: KafkaConnection
    state: DeskState
    progress: dict[int, Progress]
    """By partition of the input topic."""

    @property
    def now(self) -> int:
        """ms of event time: how far the role has come."""
        return min(progress.watermark for progress in self.progress.values())

    @cached_property
    def policy(self) -> Policy:
        """The policy by which the role decides. Raises CommandError where its text is missing, and Unreachable."""
        newest = max(self.progress.values(), key=lambda progress: progress.policy)
        if not newest.policy:
            raise CommandError("the role desk has no policy yet: run `netcenter policy apply`")
        return _text_of(policy_log(self.settings, self.kafka), newest)

    def outlook(self, desk: str, most: int) -> Outlook:
        """What a desk looks like now, with at most so many cases of its queue. Raises as `policy`."""
        return outlook(self.state, desk, self.policy, self.now, most)

    def desks(self) -> list[str]:
        """The desks that have work or operators."""
        return desks(self.state)

    def work_of(self, case_id: str) -> WorkItem | None:
        """The work of a case that is at a desk; None where there is none."""
        rows = (self.state[key] for key in self.state)
        return next((row for row in rows if isinstance(row, WorkItem) and row.case_id == case_id), None)

    def cases(self) -> list[str]:
        """The ids of the cases that are at a desk."""
        return [row.case_id for row in (self.state[key] for key in self.state) if isinstance(row, WorkItem)]

    def unread(self, operator: str) -> list[OperatorChanged] | None:
        """What an operator has said that the role has not read yet, in order; None: too much is unread to tell. Raises
        Unreachable, CommandError.
        """
        topic = self.settings.prefix + ROLE.input_topic
        places = {TopicPartition(topic, number): progress.position for number, progress in self.progress.items()}
        ends = committed_ranges_at(self.kafka, places)
        ranges = {tp: (max(first, places[tp]), end) for tp, (first, end) in ends.items()}
        if sum(end - start for start, end in ranges.values()) > _UNREAD:
            return None
        found = SoundRecords(self.settings).of(records_of(self.kafka, ranges))
        return [record for record, _ in found if _is_of(record, operator)]  # type: ignore[misc]


def desk_standing(settings: Settings, kafka: KafkaConnection) -> DeskStanding:
    """The state of the desks now. Raises Unreachable, and CommandError where there is none, or it cannot be read."""
    with closing(open_admin(kafka)) as client:
        settings = settings_of_log(settings, client)
    core = new_core(PIPELINE, ROLE, 0, settings.partitions, _no_policy, encodes=False)
    assert isinstance(core, FoldCore) and isinstance(core.state, DeskState)
    progress = dict(_restored(settings, kafka, core))
    if not progress:
        raise CommandError("the role desk has decided nothing yet: is a worker of it running? See `netcenter lag`")
    return DeskStanding(settings, kafka, core.state, progress)


def _partitions(settings: Settings) -> Iterable[int]:
    """The partitions in which desks are decided: one for all, unless an earlier release decides too."""
    if settings.upgrade_from:
        return range(settings.partitions)
    return [partition_of(keys.ALL_DESKS, PIPELINE.partitions(ROLE.input_topic, settings.partitions))]


def _restored(settings: Settings, kafka: KafkaConnection, core: FoldCore) -> Iterator[tuple[int, Progress]]:
    """Restores the records of the desks, and yields how far the role has come there."""
    for number in _partitions(settings):
        tp = changelog_partition(settings, ROLE, number)
        newest = newest_records(kafka, tp)
        place = f"{tp.topic}/{tp.partition}"
        if REBUILDING in newest:
            raise CommandError(f"{place} is being made again by `netcenter rebuild desk`: wait until that has ended")
        packed = newest.pop(PROGRESS, None)
        try:
            for key, record in newest.items():
                core.restore(key.decode(), record.value)
            if packed is not None:
                yield number, read_progress(packed.value)
        except (ValueError, msgspec.MsgspecError, FormError) as error:
            why = " ".join(str(error).split())
            raise CommandError(
                f"{place} holds what this release cannot read ({type(error).__name__}: {why}): see `netcenter upgrade check`"
            ) from None


def _no_policy(version: int, _hash: str) -> Policy:
    raise CommandError(f"policy {version} was asked for, though nothing is decided here")


def _text_of(policies: PolicyLog, progress: Progress) -> Policy:
    text = policies.texts.by_hash.get((progress.policy, progress.policy_hash))
    if text is None:
        raise CommandError(f"the log does not hold policy {progress.policy}: run `netcenter policy repair`")
    return parse(text, progress.policy)


def _is_of(record: Record, operator: str) -> bool:
    return isinstance(record, OperatorChanged) and record.operator == operator
