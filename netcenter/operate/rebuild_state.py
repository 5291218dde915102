"""`rebuild ROLE`: makes the state of a deciding role again from the log, while the other roles run.

1. In each partition, fence the owner and mark the changelog: from now on no worker reads it, until the mark is removed.
   The mark is this rebuild's own: where it is gone, or is another's, this rebuild ends and writes nothing more.
2. Find the position of each partition: in the changelog's progress; where that is lost, by the outputs of the role, which
   are read once for all partitions.
3. A Fold: run its decider over the input topic up to that position, and drop what it decides. A Batch: read what it
   remembers from its output topic.
4. Write the state over the old one; then, in one transaction, write the progress and remove the mark.

Steps 3 and 4 are done partition after partition.

After a crash at any step the mark is still there, and the next run begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from uuid import uuid4

from kafka import TopicPartition

from agents.policy import digest, parse
from netcenter.broker.changelogs import Change, ChangelogWriter, changelog_partition, newest_records
from netcenter.broker.client import open_admin, open_consumer
from netcenter.broker.groups import ConsumerGroups
from netcenter.broker.offsets import OffsetRange, committed_ranges
from netcenter.broker.policy_standing import roles_progress
from netcenter.broker.policy_topic import StoredPolicy, stored_policies
from netcenter.broker.reading import batches_of
from netcenter.broker.refused_records import RefusedRecords
from netcenter.broker.topics import settings_of_log
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.settings import Settings
from schemas import codec, headers
from schemas.codec import WireError
from schemas.keys import KEYLESS
from schemas.records import PolicyChanged, Tick
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS, REBUILDING, progress_writer
from streams.core import Core, Fact, Progress
from streams.cores import new_core, written_forms
from streams.decoder import Decoder
from streams.fold import FoldCore
from streams.kafka_connection import KafkaConnection
from streams.policies import foreign, passed_over
from streams.recovery import progress_of
from streams.topology import Role

#: Records of one poll.
_AT_ONCE = 2_000

Say = Callable[[str], None]
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RebuiltPartition:
    """The figures of one rebuilt partition."""

    partition: str
    """The input partition, `topic/number`."""
    read: int
    """Records that the state was made from."""
    state: int
    """Records of the state."""
    position: int
    """The offset from which the role goes on."""
    lost: int
    """The offsets at the beginning of the input partition that retention has deleted."""


@dataclass(frozen=True)
class _Old:
    """What the changelog of a partition held when it was marked."""

    marked_at: int
    """The offset of the mark."""
    progress: Progress | None
    """None where it is lost."""
    keys: set[bytes]
    """Of the state records."""


class StateRebuild:
    """The rebuild of one role's state."""

    def __init__(self, settings: Settings, kafka: KafkaConnection, role: Role, say: Say, told: Told) -> None:
        """say: called with a line for the user. told: called with the partition, the offset read to, and the offset to
        read to. Raises CommandError, Unreachable, and Misconfigured for a form that cannot be written.
        """
        self._kafka, self._role, self._say, self._told = kafka, role, say, told
        self._mark = uuid4().hex.encode()
        self._form, self._progress_form = written_forms(role, settings.upgrade_from)
        with closing(open_admin(kafka)) as client:
            self._settings = settings_of_log(settings, client)
            self._inputs = committed_ranges(client, self._partitions_of(role.input_topic))
            self._hints = ConsumerGroups(settings.prefix, client).positions([role]).get(role.name, {})
        self._policies = stored_policies(self._settings, kafka)
        texts = {version: held.text for version, held in self._policies.items()}
        self._passed_over = cache(
            lambda version, hash: foreign(version, hash, texts) or passed_over(version, texts, role.lacks)
        )
        self._policy = cache(lambda version, _hash: parse(texts[version], version))

    def _partitions_of(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._settings.prefix + topic, n) for n in range(self._count(topic))]

    def _count(self, topic: str) -> int:
        return PIPELINE.partitions(topic, self._settings.partitions)

    def losses(self) -> list[str]:
        """One line for each input partition whose beginning retention has deleted; none where all can be made again."""
        carried = [
            f"{self._role.changelog}/{number} was carried over from the log under {log!r}: what {self._role.name} knew from there "
            "is lost, because it is not in this log; restore a savepoint instead (docs/growth.md)"
            for number, log in sorted(self._continued().items())
        ]
        if not isinstance(self._core(0), FoldCore):
            return carried  # a Batch remembers no longer than its output topic is kept
        return carried + [
            f"{self._role.input_topic}/{tp.partition} begins at offset {first}: what {self._role.name} knew only from the "
            "records before it is lost, and what follows from them is decided as if they had never been"
            for tp, (first, _) in sorted(self._inputs.items())
            if first
        ]

    def _continued(self) -> dict[int, str]:
        """By partition: the prefix of the log from which the state was carried over."""
        with closing(open_admin(self._kafka)) as client:
            known = roles_progress(self._settings, self._kafka, client, [self._role]).get(self._role.name, {})
        return {number: progress.continues for number, progress in known.items() if progress.continues}

    def run(self) -> list[RebuiltPartition]:
        """Rebuilds every partition. Raises CommandError and Unreachable: run it again then, unless another rebuild of this
        role has taken over.
        """
        found = {tp.partition: self._marked(tp.partition) for tp in sorted(self._inputs)}
        lost = [number for number, old in found.items() if old.progress is None]
        reached = self._reached(lost) if lost else {}
        return [self._rebuild(number, old, reached.get(number, 0)) for number, old in found.items()]

    def _marked(self, number: int) -> _Old:
        """Fences the owner of a partition and marks its changelog. Returns what the changelog holds then."""
        with ChangelogWriter(self._settings, self._kafka, self._role, number) as writer:
            writer.write([(REBUILDING, self._mark)])
        newest = newest_records(self._kafka, changelog_partition(self._settings, self._role, number))
        marked_at = self._own(number, newest.pop(REBUILDING, None)).offset
        return _Old(marked_at, self._known(number, newest.pop(PROGRESS, None)), set(newest))

    def _check_marked(self, number: int, old: _Old) -> None:
        """Raises CommandError where the changelog's newest mark is not the one of this rebuild: what it has read, and
        made, is of the past then.
        """
        changelog = changelog_partition(self._settings, self._role, number)
        self._own(number, newest_records(self._kafka, changelog, since=old.marked_at).get(REBUILDING))

    def _own(self, number: int, mark: Any | None) -> Any:
        if mark is None or mark.value != self._mark:
            raise CommandError(
                f"another command has taken {self._role.changelog}/{number} over since this one began, such as a second "
                f"`netcenter rebuild {self._role.name}`: this one writes nothing more there; wait for the other one, and "
                f"if it has not ended well, run `netcenter rebuild {self._role.name}` again"
            )
        return mark

    def _rebuild(self, number: int, old: _Old, reached: int) -> RebuiltPartition:
        """reached: the position where the changelog holds no progress."""
        core = self._core(number)
        position = reached if old.progress is None else old.progress.position
        if isinstance(core, BatchCore):
            read, state = self._remembered(core, position)
        else:
            read, state = self._decided(core, position)
        progress = old.progress or core.progress()
        progress.position = position
        progress.partition = f"{self._role.input_topic}/{number}"
        progress.whole_from = old.marked_at
        check = partial(self._check_marked, number, old)
        check()  # before a worker is fenced that may own the partition rightly
        with ChangelogWriter(self._settings, self._kafka, self._role, number, check) as writer:
            writer.write(_changes(old.keys, state))
            # Both in one transaction: a worker sees the whole state, or the mark.
            writer.write([(PROGRESS, progress_writer(self._progress_form)(progress)), (REBUILDING, None)])
        first = self._inputs[self._input(number)][0]
        return RebuiltPartition(
            progress.partition, read, len(state), position, 0 if isinstance(core, BatchCore) else first
        )

    def _core(self, number: int) -> FoldCore | BatchCore:
        given = (PIPELINE, self._role, number, self._settings.partitions, self._policy)
        return new_core(*given, encodes=False, form=self._form)

    def _input(self, number: int) -> TopicPartition:
        return TopicPartition(self._settings.prefix + self._role.input_topic, number)

    # --- the position -----------------------------------------------------------------------------------------

    def _known(self, number: int, record: Any | None) -> Progress | None:
        """The progress in the changelog; None where there is none that this release can read."""
        if record is None:
            return None
        try:
            return progress_of(record.value, self._role, number)
        except Exception as error:  # noqa: BLE001 - whatever the bytes of another program lead to
            self._say(
                f"{self._role.changelog}/{number}: its progress cannot be read ({type(error).__name__}); the outputs in the "
                "log say how far the role has come"
            )
            return None

    def _reached(self, numbers: Iterable[int]) -> dict[int, int]:
        """By partition: the position after the last input record whose outputs stand in the log, or that the group has
        committed.

        The outputs of a checkpoint and its position are committed as one, and each output names its input record.
        """
        committed = {number: self._hints.get((self._role.input_topic, number)) for number in numbers}
        reached = {number: 0 if hint is None else hint.offset for number, hint in committed.items()}
        with closing(open_admin(self._kafka)) as client:
            wanted = [tp for name in self._role.writes for tp in self._partitions_of(name)]
            ranges = committed_ranges(client, wanted)
        for _, records in self._records(ranges):
            for record in records:
                source = headers.source_of(record.headers)
                if source is not None and source[0] == self._role.input_topic and source[1] in reached:
                    reached[source[1]] = max(reached[source[1]], source[2] + 1)
        return reached

    # --- the state --------------------------------------------------------------------------------------------

    def _decided(self, core: FoldCore, position: int) -> tuple[int, dict[str, bytes]]:
        """(records read, packed records of the state) after the input records before a position."""
        tp = self._input(core.number)
        first, end = self._inputs[tp]
        if position > max(end, first):
            self._inputs[tp] = first, end = self._now(tp)
        if position > end:
            raise CommandError(
                f"{self._role.name} has read {self._role.input_topic}/{core.number} up to offset {position}, and it ends at "
                f"{end}: it is another topic of that name, or it was cut; restore it first (docs/lost_log.md)"
            )
        refused = RefusedRecords(self._settings, self._kafka, [self._role.input_topic])
        decoder = Decoder(PIPELINE.topic(self._role.input_topic), core.number, self._settings.partitions, refused)
        state, held, read = dict[str, bytes](), list[Fact](), 0
        if first:
            self._begin(core, tp)
        for _, records in self._records({tp: (first, position)}):
            read += len(records)
            facts = [fact for fact in decoder.facts(records)[0] if not self._skipped(fact)]
            held = _take(core, held, facts)
            _pack(core, state)
            if records:
                self._told(f"{self._role.input_topic}/{core.number}", records[-1].offset + 1 - first, position - first)
        return read, state

    def _skipped(self, fact: Fact) -> bool:
        changed = fact.record
        return isinstance(changed, PolicyChanged) and bool(self._passed_over(changed.version, changed.hash))

    def _begin(self, core: Core, tp: TopicPartition) -> None:
        """Puts the policy in force that was in force where the log begins now: the newest one that is older."""
        with closing(open_consumer(self._kafka)) as consumer:
            first = next(
                (r[0] for batch in batches_of(consumer, {tp: self._inputs[tp]}) for r in batch.values() if r), None
            )
        stamp = 0 if first is None else first.timestamp
        held = {v: p for v, p in self._policies.items() if not self._passed_over(v, digest(p.text))}
        core.in_force(_changed(held, max((v for v, p in held.items() if p.stamp <= stamp), default=min(held))))

    def _now(self, tp: TopicPartition) -> OffsetRange:
        with closing(open_admin(self._kafka)) as client:
            return committed_ranges(client, [tp])[tp]

    def _remembered(self, core: BatchCore, position: int) -> tuple[int, dict[str, bytes]]:
        """(records read, packed records of the state) of a Batch, from the partition that mirrors its input."""
        tp = TopicPartition(self._settings.prefix + core.output_topic, core.number)
        state, read, now = dict[str, bytes](), 0, 0
        for _, records in self._records({tp: self._now(tp)}):
            read += len(records)
            for raw in records:
                try:
                    record = codec.decode(raw.value)
                except WireError:
                    continue
                offset = headers.source_offset(raw.headers)
                if isinstance(record, Tick):
                    now = record.time
                    core.watermark.tick(
                        Tick(clock=record.clock, time=now, role=PIPELINE.clock_role, partition=core.number)
                    )
                elif isinstance(record, PolicyChanged):
                    core.in_force(record)
                elif offset is not None and type(record) not in KEYLESS:
                    core.recall(record, offset, now)
            _pack(core, state)
        return read, state

    def _records(self, ranges: dict[TopicPartition, OffsetRange]) -> Iterator[tuple[TopicPartition, list[Any]]]:
        with closing(open_consumer(self._kafka, reset="none")) as consumer:
            for batch in batches_of(consumer, ranges, _AT_ONCE):
                yield from batch.items()


def _take(core: FoldCore, held: list[Fact], facts: list[Fact]) -> list[Fact]:
    """Takes facts as a worker does, and drops the results. Returns the facts that wait for the first watermark."""
    while facts:
        taken = core.take(facts)
        if core.waits_to_begin:
            return held + taken.left
        facts, held = held + taken.left, []
    return held


def _pack(core: FoldCore | BatchCore, state: dict[str, bytes]) -> None:
    for key, value in core.packed():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    if isinstance(core, FoldCore):
        core.committed()


def _changes(old: set[bytes], state: dict[str, bytes]) -> Iterator[Change]:
    """The changes that put a state in the place of the old keys."""
    yield from ((key, None) for key in sorted(old - {key.encode() for key in state}))
    yield from ((key.encode(), value) for key, value in state.items())


def _changed(policies: dict[int, StoredPolicy], version: int) -> PolicyChanged:
    return PolicyChanged(version=version, hash=digest(policies[version].text), applied_at=0)
