"""Time of an input topic in which the records of several partitions come together: one Tick a partition, written by its owner.

Each role writes its Ticks into the topic of watermarks, in the transaction that commits the records before them. The owner of
a partition further down follows that topic, and appends the least of the Ticks of its sources to its own partition. There the
Tick stands after every record that it promises: these records were appended before it could be read.
"""

from __future__ import annotations

import asyncio
import time as wall
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import codec
from schemas.codec import NewerRecord, WireError
from schemas.records import Clock, SourceIdle, Tick
from streams.dead_letter_limit import Log
from streams.decoder import newer_record
from streams.errors import Stop
from streams.partition import Partition, append_if_owned
from streams.tick_writer import TickWriter
from streams.watermark import Watermark, Writer, WrongTick

#: Seconds between two looks, where no Tick comes.
_LOOK_S = 0.25
#: Seconds between two Ticks that fire timers of the same partition, on the wall clock.
_DUE_S = 0.25
_AGAIN_S = 1.0
_POLL_MS = 200


class MergedClock:
    """Follows the Ticks of the sources of one role, and appends Ticks to the partitions that a worker owns."""

    def __init__(
        self,
        topic: str,
        role: str,
        sources: frozenset[Writer],
        owned: Mapping[int, Partition],
        reader: Callable[[], AbstractAsyncContextManager[AIOKafkaConsumer]],
        ticks: TickWriter,
        log: Log,
    ) -> None:
        """topic: of watermarks, by its name on the broker. owned: changes while the worker runs."""
        self._role, self._owned, self._reader, self._ticks, self._log = role, owned, reader, ticks, log
        self._tp = TopicPartition(topic, 0)
        self.merged = Watermark(sources)
        """The least of the sources' Ticks."""
        self._heard: dict[Writer, float] = {}
        """By source: when its last Tick was read (s of the monotonic clock)."""
        self.unread: str | None = None
        """A line that says why the topic cannot be read; None while it is read."""
        self._read_to_end = False
        self._news = asyncio.Event()

    # --- following --------------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Reads the topic of watermarks from its beginning, and again from there after an error, without end."""
        while True:
            try:
                async with self._reader() as reader:
                    await self._follow(reader)
            except (KafkaError, OSError) as error:
                self.unread = f"{self._tp.topic} cannot be read ({type(error).__name__})"
                self._log.debug("watermarks not read", why=type(error).__name__)  # `/ready` and the heartbeat say it
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, reader: AIOKafkaConsumer) -> None:
        self._read_to_end = False
        reader.assign([self._tp])
        await reader.seek_to_beginning(self._tp)
        end = (await reader.end_offsets([self._tp]))[self._tp]
        while True:
            found = await reader.getmany(self._tp, timeout_ms=_POLL_MS)
            for record in found.get(self._tp, ()):
                self._hear(record.value, record.offset)
            if not self._read_to_end and await reader.position(self._tp) >= end:
                self._read_to_end, self.unread = True, None
                self.start_over()
            if found and self._read_to_end:
                self._news.set()

    def _hear(self, value: bytes | None, offset: int) -> None:
        try:
            tick = codec.decode(value)
            if not isinstance(tick, Tick):
                raise WireError(f"{type(tick).__name__} is no Tick")
            if (writer := (tick.role, tick.partition)) not in self.merged.expected:
                return  # of a role whose records come together elsewhere
            self.merged.tick(tick)
            self._heard[writer] = wall.monotonic()
        except NewerRecord as error:
            raise Stop(newer_record(self._tp.topic, 0, offset, error)) from None
        except (WireError, WrongTick) as error:
            self._log.warning("not a watermark, passed over", topic=self._tp.topic, offset=offset, why=str(error))

    def start_over(self) -> None:
        """Starts every source's time of silence again, because silence means nothing while Kafka does not answer."""
        self._heard.clear()

    def unheard(self) -> list[Writer]:
        """The sources whose first Tick is missing, so that the time is not known."""
        return self.merged.unheard()

    # --- appending --------------------------------------------------------------------------------------------

    async def append(self, tick_s: float, source_idle_s: float) -> None:
        """Appends Ticks to the owned partitions, without end; the durations hold on the wall clock.

        tick_s: the least seconds between two Ticks of a partition in which nothing is due; while the log is at rest the
        sources' own Ticks come seldom. source_idle_s: seconds without a Tick after which a source no longer delays the
        time.
        """
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), _LOOK_S)
            self._news.clear()
            if self._read_to_end and self.merged.kind is not None:
                self._leave_out(source_idle_s)
                await self._append(list(self._owned.values()), tick_s)

    def _leave_out(self, source_idle_s: float) -> None:
        """Declares the sources idle that delay the time and have been silent for too long."""
        if self.merged.kind != "wall":
            return
        now = wall.monotonic()
        for writer in self.merged.holding_back():
            silent = now - self._heard.setdefault(writer, now)
            if silent >= source_idle_s:
                role, number = writer
                self._log.warning("source idle", writer=f"{role}/{number}", silent_s=round(silent))
                self.merged.source_idle(SourceIdle(role=role, partition=number, silent_ms=int(silent * 1000)))

    async def _append(self, partitions: Sequence[Partition], tick_s: float) -> None:
        for partition in partitions:
            if changed := self._sources_changed(partition):
                await append_if_owned(self._owned, partition, changed)
        ticks = [(p, tick) for p in partitions if (tick := self._tick(p, tick_s)) is not None]
        if ticks:
            await self._ticks.write(ticks)

    def _sources_changed(self, partition: Partition) -> list[Tick | SourceIdle]:
        """A SourceIdle for each source that became idle, and a Tick for each that came back."""
        idle, told, now = self.merged.idle, partition.own_ticks.idle, wall.monotonic()
        records: list[Tick | SourceIdle] = []
        for role, number in sorted(idle - told):
            silent = now - self._heard.get((role, number), now)
            records.append(SourceIdle(role=role, partition=number, silent_ms=int(silent * 1000)))
        for role, number in sorted(told - idle):
            time = self.merged.last.get((role, number), 0)
            records.append(Tick(clock=self._clock(), time=time, role=role, partition=number))
        partition.own_ticks.idle = set(idle)
        return records

    def _tick(self, partition: Partition, tick_s: float) -> Tick | None:
        """The partition's next Tick; None where it is not time for one."""
        own, time, now = partition.own_ticks, self.merged.time, wall.monotonic()
        if time <= own.time or own.time > partition.core.heard.last.get((self._role, partition.number), 0):
            return None  # nothing new, or the last Tick was not read back yet
        if own.time and self.merged.kind == "wall":
            due = partition.core.due()
            if now - own.at < (_DUE_S if due is not None and due <= time else tick_s):
                return None
        own.time, own.at = time, now
        return Tick(clock=self._clock(), time=time, role=self._role, partition=partition.number)

    def _clock(self) -> Clock:
        return "wall" if self.merged.kind == "wall" else "event"
