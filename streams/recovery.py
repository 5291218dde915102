"""Recovery of an input partition: state and position from its changelog, and a Batch's memory from its output topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import codec, headers
from schemas.codec import NewerRecord, WireError
from schemas.keys import KEYLESS
from schemas.records import Record, Tick
from schemas.state_forms import FormError, NewerForm, StateForms
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS, PROGRESS_FORMS, REBUILDING, read_progress
from streams.core import Progress
from streams.decoder import newer_record
from streams.errors import Misconfigured
from streams.fold import FoldCore
from streams.policies import Policies
from streams.rebalance_watch import RebalanceWatch
from streams.topology import Role

#: The most characters of a key in an error.
_KEY_SHOWN = 100
#: After this many records of a changelog the event loop gets time for heartbeats and health checks.
READ_AT_ONCE = 2_000
_RESTORED_AT_ONCE = 500
#: The number of records that are read first from an output topic's end; then twice as many, and so on.
_TAIL = 8_192


class RecoveryHost(Protocol):
    """The methods of the worker that recovery needs."""

    policies: Policies
    rebalance: RebalanceWatch

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        ...

    def reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A consumer without a group that reads committed records; use it in a `with` statement."""
        ...

    async def written_end(self, tp: TopicPartition) -> int:
        """The offset after the last record of a partition, records of open transactions included."""
        ...


class Recovered(NamedTuple):
    """A core in the state of the last checkpoint of its partition."""

    core: FoldCore | BatchCore
    changelog_end: int
    """The changelog's end offset when it was read."""
    records: int | None
    """Number of state records that were read; None where the core in memory was still current."""


async def recover(
    core: FoldCore | BatchCore, known_end: int, make_core: Callable[[], FoldCore | BatchCore], host: RecoveryHost
) -> Recovered:
    """Brings a core to the state of the last checkpoint of its partition; the partition's last owner must be fenced.

    known_end: the changelog's end when this core was current, -1 for a new core.

    1. Refuse a changelog in which a transaction is open: its last owner has none any more, so its state is being moved.
    2. Where the changelog still ends at `known_end`, no other owner has written: the core in memory is current.
    3. Where another owner has written, start with a new core.
    4. Read the newest value of each key. Refuse a changelog that is half rebuilt.
    5. Wait for the policy that was in force, and take position, watermark and policy from the progress record.
    6. Refuse a changelog whose beginning was deleted.
    7. Restore the state; an older form is lifted.
    8. For a Batch: restore the recent ids and the open minute from the tail of the output topic.

    Raises Misconfigured where the changelog holds records that the role has not written, or that this release cannot
    read.
    """
    role, watch = core.role, host.rebalance
    name = f"{role.input_topic}/{core.number}"
    changelog = TopicPartition(host.topic(role.changelog), core.number)
    watch.step(name, f"looking for the end of {changelog.topic}/{core.number}")
    # Asked before the end of what is committed: a transaction that ends between both is read, or was aborted.
    written = await host.written_end(changelog)
    async with host.reader() as reader:
        end = (await reader.end_offsets([changelog]))[changelog]
        if end < written:
            raise Refusal(role, core.number).moving()
        if end == known_end:
            return Recovered(core, end, None)
        first = (await reader.beginning_offsets([changelog]))[changelog]
        if known_end >= 0:
            core = make_core()
        watch.step(name, f"reading {changelog.topic}/{core.number} up to offset {end}")
        newest = await _newest(reader, changelog, end, Refusal(role, core.number), watch)
        watch.step(name, "waiting for the policy that was in force")
        await _resume(core, newest.pop(PROGRESS.decode(), None), host.policies)
        if first > core.whole_from:  # compaction does not move the beginning: it keeps the newest record of each key
            raise Misconfigured(
                f"{role.changelog}/{core.number} begins at offset {first}: a part of what {role.name} remembers was "
                f"deleted, as by a cleanup.policy other than compact. {restore(role.name)}"
            )
        watch.step(name, f"restoring {len(newest)} records of state")
        await _restore(core, newest, watch)
        if isinstance(core, BatchCore):
            output = TopicPartition(host.topic(core.output_topic), core.number)
            watch.step(name, f"reading the tail of {output.topic}/{core.number}")
            await _recall(reader, output, core, watch)
    return Recovered(core, end, len(newest))


def restore(role: str) -> str:
    """What an operator can do about a role's changelog that is incomplete."""
    return f"Restore it, or make the state again from the log: `netcenter rebuild {role}` (docs/lost_log.md)"


class Refusal:
    """The errors about the records of one partition of a role's changelog; each names the record and the remedy."""

    def __init__(self, role: Role, number: int) -> None:
        self._role, self._place = role, f"{role.changelog}/{number}"
        self._remove = f"`netcenter changelog remove {role.name} {number}"

    def rebuilding(self) -> Misconfigured:
        """The changelog is half rebuilt."""
        name = self._role.name
        return Misconfigured(
            f"{self._place} is not whole: `netcenter rebuild {name}` is at work, or was ended; wait for it, or run it "
            f"again, then start {name} again"
        )

    def moving(self) -> Misconfigured:
        """A command moves the state from here, or to here."""
        return Misconfigured(
            f"{self._place} is held by an open transaction: `netcenter rescale` or `savepoint restore` is at work, or was ended "
            f"less than ten minutes ago; wait for it, then start {self._role.name} again (docs/growth.md)"
        )

    def moved(self, prefix: str) -> Misconfigured:
        """Another log continues this one."""
        return Misconfigured(
            f"{self._place} is closed: `netcenter rescale` has moved this log to the prefix {prefix!r}, where "
            f"{self._role.name} goes on: set NETCENTER_PREFIX={prefix} and NETCENTER_PARTITIONS for this worker (docs/growth.md)"
        )

    def nameless(self, offset: int) -> Misconfigured:
        """A record whose key is not UTF-8, at an offset."""
        return Misconfigured(
            f"{self._place} holds at offset {offset} a record whose key {self._role.name} has not written: find who writes "
            f"there; take it out by {self._remove} --offset {offset}`, then start again"
        )

    def unread(self, key: str, error: Exception) -> Misconfigured:
        """A record that this release cannot read, and why."""
        name, progress = self._role.name, key == PROGRESS.decode()
        holds = f"{self._place} holds under the key {key[:_KEY_SHOWN]!r}"
        if isinstance(error, FormError):
            forms = PROGRESS_FORMS if progress else self._role.forms
            reads = _numbers(forms)
            if isinstance(error, NewerForm):
                return Misconfigured(
                    f"{holds} form {error.form}, and this release reads {reads}: a newer release wrote it; start that "
                    f"release again (docs/upgrade.md), or rebuild {name} for this one: `netcenter rebuild {name}`"
                )
            return Misconfigured(
                f"{holds} form {error.form}, and this release reads {reads}: run `netcenter rebuild {name}`, which makes "
                f"the state of {name} again from {self._role.input_topic}"
            )
        way_out = (
            f"rebuild {name}: `netcenter rebuild {name}`"
            if progress
            else f"if the key is not one of yours, take it out by {self._remove} KEY`; otherwise `netcenter rebuild {name}`"
        )
        what = str(error) if isinstance(error, WrongPlace) else type(error).__name__
        return Misconfigured(
            f"{holds} what {name} has not written ({what}): find who writes there; {way_out}; then start again"
        )


def _numbers(forms: StateForms) -> str:
    return f"form {forms.newest}" if forms.oldest == forms.newest else f"forms {forms.oldest} to {forms.newest}"


class WrongPlace(ValueError):
    """A progress of another partition."""


def progress_of(packed: bytes, role: Role, number: int) -> Progress:
    """The progress of a partition. Raises WrongPlace, and the errors of `read_progress`."""
    progress = read_progress(packed)
    if progress.partition not in ("", f"{role.input_topic}/{number}"):
        raise WrongPlace(f"the progress of {progress.partition}")
    return progress


async def _newest(
    reader: AIOKafkaConsumer, tp: TopicPartition, end: int, refusal: Refusal, watch: RebalanceWatch
) -> dict[str, bytes]:
    """The newest value by key of a compacted partition. The state keeps the same objects, without a copy."""
    newest: dict[str, bytes] = {}
    nameless: dict[bytes, int] = {}
    """The offset of the newest record of each key that is no text; -1 where the key was removed."""
    reader.assign([tp])
    await reader.seek_to_beginning(tp)
    while await reader.position(tp) < end:
        records = (await reader.getmany(tp, timeout_ms=200, max_records=READ_AT_ONCE)).get(tp, ())
        if records:
            watch.moved()
        for record in records:
            if record.key is None:  # it stands for no state, and Kafka's compaction drops it
                continue
            try:
                key = record.key.decode()
            except UnicodeDecodeError:
                nameless[record.key] = -1 if record.value is None else record.offset
                continue
            if record.value is None:
                newest.pop(key, None)
            else:
                newest[key] = record.value
        await asyncio.sleep(0)
    if (first := min((offset for offset in nameless.values() if offset >= 0), default=None)) is not None:
        raise refusal.nameless(first)
    if REBUILDING.decode() in newest:
        raise refusal.rebuilding()
    return newest


async def _resume(core: FoldCore | BatchCore, packed: bytes | None, policies: Policies) -> None:
    if packed is None:
        return
    try:
        progress = progress_of(packed, core.role, core.number)
    except Exception as error:  # noqa: BLE001 - whatever the bytes of another program lead to
        raise Refusal(core.role, core.number).unread(PROGRESS.decode(), error) from None
    if progress.moved_to:
        raise Refusal(core.role, core.number).moved(progress.moved_to)
    if progress.policy:
        await policies.ensure(progress.policy, progress.policy_hash)
    core.resume(progress)


async def _restore(core: FoldCore | BatchCore, newest: dict[str, bytes], watch: RebalanceWatch) -> None:
    for number, (key, value) in enumerate(newest.items()):
        try:
            core.restore(key, value)
        except Exception as error:  # noqa: BLE001 - whatever the bytes of another program lead to
            raise Refusal(core.role, core.number).unread(key, error) from None
        if number % _RESTORED_AT_ONCE == 0:
            watch.moved()
            await asyncio.sleep(0)


# --- the tail of the output topic ---------------------------------------------------------------------------------


async def _recall(reader: AIOKafkaConsumer, tp: TopicPartition, core: BatchCore, watch: RebalanceWatch) -> None:
    """Restores the tail of the output partition, from as far back as the stage needs."""
    end = (await reader.end_offsets([tp]))[tp]
    first = (await reader.beginning_offsets([tp]))[tp]
    if first < end:
        start = await _tail_start(reader, tp, first, end, core.stage.recalls(core.watermark.time), watch)
        # Records before the tail's first Tick have no known time and are left out, unless the log begins with them.
        now = 0 if start == first else None
        async for record, offset in _records(reader, tp, start, end, watch):
            if isinstance(record, Tick):
                now = record.time
            elif now is not None and offset is not None and type(record) not in KEYLESS:
                core.recall(record, offset, now)
    core.stage.tick(
        core.watermark.time
    )  # the minutes that have ended are in the log already: they must not be written again


async def _tail_start(
    reader: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int, since: int, watch: RebalanceWatch
) -> int:
    """An offset from which on the partition holds everything since a time (ms); `first` where the whole log is
    needed.
    """
    start, back = end, _TAIL
    while start > first:
        start, before, back = max(first, start - back), start, 2 * back
        if await _reaches(reader, tp, start, before, since, watch):
            break
    return start


async def _reaches(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int, time: int, watch: RebalanceWatch
) -> bool:
    """Whether the first Tick from `start` to `end` is of that time (ms) or earlier."""
    async with aclosing(_records(reader, tp, start, end, watch)) as records:
        async for record, _ in records:
            if isinstance(record, Tick):
                return record.time <= time
    return False


async def _records(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int, watch: RebalanceWatch
) -> AsyncGenerator[tuple[Record, int | None], None]:
    """(record, offset of the input record that led to it) of an output partition. Bytes that are not a record are
    skipped.

    The offset is None for a record of another program.
    """
    reader.assign([tp])
    reader.seek(tp, start)
    while await reader.position(tp) < end:
        found = (await reader.getmany(tp, timeout_ms=200, max_records=50_000)).get(tp, ())
        if found:
            watch.moved()
        for r in found:
            try:
                record = codec.decode(r.value)
            except NewerRecord as error:
                raise Misconfigured(newer_record(tp.topic, tp.partition, r.offset, error)) from None
            except WireError:
                continue
            yield record, headers.source_offset(r.headers)
