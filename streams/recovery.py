"""Recovery of an input partition: state and position from its changelog, and a Batch's memory from its output topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import NamedTuple, Protocol

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import codec, headers
from schemas.codec import WireError
from schemas.keys import KEYLESS
from schemas.records import Record, Tick
from streams.batch import BatchCore
from streams.checkpoint import PROGRESS, unpack_progress
from streams.errors import Misconfigured
from streams.fold import FoldCore
from streams.policies import Policies

RESTORE = "Restore it, or rebuild what the role knows: docs/lost_log.md"
"""What an operator can do about a changelog that is incomplete."""
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

    def topic(self, name: str) -> str:
        """A topic's name on the broker."""
        ...

    def reader(self) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
        """A consumer without a group that reads committed records; use it in a `with` statement."""
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

    1. Where the changelog still ends at `known_end`, no other owner has written: the core in memory is current.
    2. Refuse a changelog whose beginning was deleted. Raises Misconfigured.
    3. Where another owner has written, start with a new core.
    4. Read the newest value of each key.
    5. Wait for the policy that was in force, and take position, watermark and policy from the progress record.
    6. Restore the state.
    7. For a Batch: restore the recent ids and the open minute from the tail of the output topic.

    Raises Misconfigured where the changelog holds records that the role has not written.
    """
    role = core.role
    changelog = TopicPartition(host.topic(role.changelog), core.number)
    async with host.reader() as reader:
        end = (await reader.end_offsets([changelog]))[changelog]
        if end == known_end:
            return Recovered(core, end, None)
        first = (await reader.beginning_offsets([changelog]))[changelog]
        if first > 0:  # compaction does not move the beginning: it keeps the newest record of each key
            raise Misconfigured(
                f"{role.changelog}/{core.number} begins at offset {first}: a part of what {role.name} remembers was "
                f"deleted, as by a cleanup.policy other than compact. {RESTORE}"
            )
        if known_end >= 0:
            core = make_core()
        newest = await _newest(reader, changelog, end)
        await _resume(core, newest.pop(PROGRESS.decode(), None), host.policies)
        await _restore(core, newest)
        if isinstance(core, BatchCore):
            await _recall(reader, TopicPartition(host.topic(core.output_topic), core.number), core)
    return Recovered(core, end, len(newest))


async def _newest(reader: AIOKafkaConsumer, tp: TopicPartition, end: int) -> dict[str, bytes]:
    """The newest value by key of a compacted partition. The state keeps the same objects, without a copy."""
    newest: dict[str, bytes] = {}
    reader.assign([tp])
    await reader.seek_to_beginning(tp)
    while await reader.position(tp) < end:
        for record in (await reader.getmany(tp, timeout_ms=200, max_records=READ_AT_ONCE)).get(tp, ()):
            if record.value is None:
                newest.pop(record.key.decode("utf-8", "replace"), None)
            else:
                newest[record.key.decode("utf-8", "replace")] = record.value
        await asyncio.sleep(0)
    return newest


async def _resume(core: FoldCore | BatchCore, packed: bytes | None, policies: Policies) -> None:
    if packed is None:
        return
    try:
        progress = unpack_progress(packed)
    except msgspec.MsgspecError as error:
        raise _not_ours(core, PROGRESS.decode(), error) from None
    if progress.policy:
        await policies.ensure(progress.policy, progress.policy_hash)
    core.resume(progress)


async def _restore(core: FoldCore | BatchCore, newest: dict[str, bytes]) -> None:
    for number, (key, value) in enumerate(newest.items()):
        try:
            core.restore(key, value)
        except Exception as error:  # noqa: BLE001 - whatever the bytes of another program lead to
            raise _not_ours(core, key, error) from None
        if number % _RESTORED_AT_ONCE == 0:
            await asyncio.sleep(0)


def _not_ours(core: FoldCore | BatchCore, key: str, error: Exception) -> Misconfigured:
    return Misconfigured(
        f"{core.role.changelog}/{core.number} holds under the key {key[:_KEY_SHOWN]!r} what {core.role.name} has not "
        f"written ({type(error).__name__}): find who writes there; if the key is not one of yours, write it again with a "
        f"null value, then start again. {RESTORE}"
    )


# --- the tail of the output topic ---------------------------------------------------------------------------------


async def _recall(reader: AIOKafkaConsumer, tp: TopicPartition, core: BatchCore) -> None:
    """Restores the tail of the output partition, from as far back as the stage needs."""
    end = (await reader.end_offsets([tp]))[tp]
    first = (await reader.beginning_offsets([tp]))[tp]
    if first < end:
        start = await _tail_start(reader, tp, first, end, core.stage.recalls(core.watermark.time))
        # Records before the tail's first Tick have no known time and are left out, unless the log begins with them.
        now = 0 if start == first else None
        async for record, offset in _records(reader, tp, start, end):
            if isinstance(record, Tick):
                now = record.time
            elif now is not None and offset is not None and type(record) not in KEYLESS:
                core.recall(record, offset, now)
    core.stage.tick(
        core.watermark.time
    )  # the minutes that have ended are in the log already: they must not be written again


async def _tail_start(reader: AIOKafkaConsumer, tp: TopicPartition, first: int, end: int, since: int) -> int:
    """An offset from which on the partition holds everything since a time (ms); `first` where the whole log is
    needed.
    """
    start, back = end, _TAIL
    while start > first:
        start, before, back = max(first, start - back), start, 2 * back
        if await _reaches(reader, tp, start, before, since):
            break
    return start


async def _reaches(reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int, time: int) -> bool:
    """Whether the first Tick from `start` to `end` is of that time (ms) or earlier."""
    async with aclosing(_records(reader, tp, start, end)) as records:
        async for record, _ in records:
            if isinstance(record, Tick):
                return record.time <= time
    return False


async def _records(
    reader: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int
) -> AsyncGenerator[tuple[Record, int | None], None]:
    """(record, offset of the input record that led to it) of an output partition. Bytes that are not a record are
    skipped.

    The offset is None for a record of another program.
    """
    reader.assign([tp])
    reader.seek(tp, start)
    while await reader.position(tp) < end:
        for r in (await reader.getmany(tp, timeout_ms=200, max_records=50_000)).get(tp, ()):
            with suppress(WireError):
                yield codec.decode(r.value), headers.source_offset(r.headers)
