"""The code that Fold and Batch share, without Kafka: facts in, records out, and the progress that a checkpoint
keeps.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from agents.policy import Policy
from schemas import codec, keys
from schemas.keys import KEYLESS
from schemas.records import Decided, PolicyChanged, Record, SourceIdle, Tick
from streams.signatures import STAGE as SIGNATURE
from streams.topology import Pipeline, Role, Topic
from streams.truncation import TooLarge, truncate
from streams.watermark import Watermark, WrongTick, sound


class Fact(msgspec.Struct, gc=False):
    """A decoded record of an input partition."""

    offset: int
    record: Record
    stamp: int = 0
    """ms; the broker's time."""
    value: bytes | None = None
    """The record's bytes as they were read."""
    trace: bytes | None = None
    """The record's traceparent header."""


class Output(msgspec.Struct, gc=False):
    """A record to write."""

    topic: str
    key: bytes | None
    value: bytes | None
    """None in a replay, where nothing reads the bytes."""
    record: Record
    fact: Fact | None
    """The fact that led to the record; None for a Tick."""
    partition: int | None = None
    """None: the partition of its key."""


STAGES = ("decode", SIGNATURE, "validate", "key", "partition", "clock", "policy", "decide")
"""The stages of a deciding role that may make a record a dead letter."""


class DeadLetter(msgspec.Struct, gc=False):
    """A fact that could not be handled, and why."""

    fact: Fact
    stage: str
    error: str
    message: str


Result = Output | DeadLetter


class Taken(msgspec.Struct, gc=False):
    """The result of `Core.take` for a batch of facts."""

    results: list[Result]
    left: list[Fact] = []
    """The facts that were not taken; empty where all were taken."""


class Progress(msgspec.Struct):
    """The progress in a partition: one record of the changelog at each checkpoint."""

    position: int = 0
    """The input offset to read next."""
    clock: str | None = None
    """`wall` or `event`; None before the first Tick."""
    watermark: int = 0
    """ms of event time."""
    last_tick: int = 0
    """ms; the newest Tick written downstream."""
    writers: dict[str, int] = {}
    """`role/partition`: ms of the last Tick of that writer."""
    idle: list[str] = []
    """`role/partition` of the writers that the watermark does not wait for."""
    policy: int = 0
    policy_hash: str = ""
    known_from: int = -1
    """Offset of the record that gave the first watermark, where facts came before that record; -1 otherwise."""
    partition: str = ""
    """The input partition, `topic/number`; empty where the record does not say."""
    whole_from: int = 0
    """The changelog's offset from which on it holds the whole state: where the last rebuild began, or 0."""
    continues: str = ""
    """The log that this log continues, as its prefix: the state was carried over and cannot be made from this log alone."""
    moved_to: str = ""
    """The prefix of the log that continues this log. Nothing may be decided here any more. Empty while the log is in use."""


def why(error: Exception) -> str:
    """The message of an error class of ours, as one line of at most 200 characters. It never holds a post's words."""
    return " ".join(str(error).split())[:200]


def where(error: Exception) -> str:
    """The type and the place of an error of any kind: its message might hold a post's words, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    last = (
        f" at {Path(frames[-1].filename).parent.name}/{Path(frames[-1].filename).name}:{frames[-1].lineno}"
        if frames
        else ""
    )
    return f"{type(error).__name__}{last}"


class Core:
    """One input partition of a deciding role, without input or output of its own. Subclasses say what a fact leads
    to.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        role: Role,
        number: int,
        partitions: int,
        policies: Callable[[int, str], Policy],
        *,
        encodes: bool = True,
        form: int | None = None,
    ) -> None:
        """partitions: NETCENTER_PARTITIONS. encodes: False where nothing reads the bytes of the outputs; their values are None
        then. form: of the state records for the changelog; None: the newest. Raises NotLifted for a form that this release
        does not write.
        """
        self.forms = role.forms
        self._write = self.forms.writer(self.forms.newest if form is None else form)
        """Makes a value for the changelog of (key, bytes in the newest form); None where the bytes are the value."""
        self.pipeline, self.role, self.number = pipeline, role, number
        self.partitions, self.policies = partitions, policies
        self.encodes = encodes
        self.routes = pipeline.routes(role)
        self._ways = {record: list(_ways(found)) for record, found in self.routes.items()}
        rooms = [way[-1] for ways in self._ways.values() for way in ways]
        self._ample = min(rooms, default=0) // _SURELY
        self._tells_time = pipeline.watermarks in role.writes
        self.policy_topics = pipeline.policy_topics(role)
        self.watermark = Watermark(pipeline.writers(role.input_topic, number), pipeline.sources(role, partitions))
        self.position = 0
        """The input offset to read next."""
        self._unfinished = False
        """Whether the last `take` left facts. If so, no later Tick may be taken before them."""
        self.waits_to_begin = False
        """Whether facts wait for the first watermark or the first policy. The core does not keep these facts; its caller passes them
        again.
        """
        self.heard = self.watermark
        """The watermark after all Ticks that were read. While facts wait, it is ahead of `watermark`."""
        self.known_from = -1
        """As `Progress.known_from`. No timer fires before that offset: the facts before it have not been taken yet."""
        self.whole_from = 0
        """As `Progress.whole_from`."""
        self.continues = ""
        """As `Progress.continues`."""
        self.last_tick = 0
        """ms; the newest Tick written downstream."""
        self.policy: Policy | None = None
        self.policy_hash = ""

    # --- progress ---------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """The progress that a checkpoint keeps in addition to the state."""
        return Progress(
            position=self.position,
            clock=self.watermark.kind,
            watermark=self.watermark.time,
            last_tick=self.last_tick,
            writers={f"{role}/{n}": time for (role, n), time in self.watermark.last.items()},
            idle=[f"{role}/{n}" for role, n in sorted(self.watermark.idle)],
            policy=self.policy.version if self.policy else 0,
            policy_hash=self.policy_hash,
            known_from=self.known_from,
            partition=f"{self.role.input_topic}/{self.number}",
            whole_from=self.whole_from,
            continues=self.continues,
        )

    def resume(self, progress: Progress) -> None:
        """Continues from the progress in a checkpoint."""
        self.position, self.last_tick, self.known_from = progress.position, progress.last_tick, progress.known_from
        self.whole_from, self.continues = progress.whole_from, progress.continues
        self.watermark = Watermark(
            self.watermark.expected,
            self.watermark.sources,
            kind=progress.clock,
            time=progress.watermark,
            last={_writer(name): time for name, time in progress.writers.items()},
            idle=map(_writer, progress.idle),
        )
        self.heard = self.watermark
        if progress.policy:
            self.policy, self.policy_hash = self.policies(progress.policy, progress.policy_hash), progress.policy_hash

    def continue_log(self, log: str, position: int, clock: str, time: int, changed: PolicyChanged) -> None:
        """Begins at a position of a new log where another log ended: with its clock, its watermark (ms) and its policy.

        Every writer of Ticks stands at that time: what was due downstream by then has been decided in the other log.
        """
        self.continues, self.position, self.last_tick = log, position, time
        expected, sources = self.watermark.expected, self.watermark.sources
        self.watermark = Watermark(expected, sources, kind=clock, time=time, last=dict.fromkeys(expected, time))
        self.heard = self.watermark
        self.in_force(changed)

    # --- control records ------------------------------------------------------------------------------------

    def in_force(self, changed: PolicyChanged) -> bool:
        """Puts a policy in force; False where this policy or a newer one is in force already."""
        if self.policy is not None and changed.version <= self.policy.version:
            return False
        self.policy = self.policies(changed.version, changed.hash)
        self.policy_hash = changed.hash
        return True

    def handed_on(self, changed: PolicyChanged, fact: Fact) -> list[Result]:
        """A policy change for every partition downstream."""
        value = codec.encode(changed) if self.encodes else None
        return [
            Output(t.name, None, value, changed, fact, n)
            for t in self.policy_topics
            for n in range(self.pipeline.partitions(t.name, self.partitions))
        ]

    def ticks(self) -> list[Output]:
        """A Tick of the watermark for the roles downstream, where it has advanced; called once for each checkpoint.

        It is written after all other records of the checkpoint, into the topic of watermarks and not beside them: the owner
        of each partition downstream writes the least of these Ticks into that partition.
        """
        mark = self.watermark
        if not self._tells_time:
            return []
        if mark.time <= self.last_tick or mark.kind is None or self._unfinished or self.position <= self.known_from:
            return []
        self.last_tick = mark.time
        tick = Tick(clock=mark.kind, time=self.last_tick, role=self.role.name, partition=self.number)  # type: ignore[arg-type]
        value = codec.encode(tick) if self.encodes else None
        return [Output(self.pipeline.watermarks, keys.tick_writer(tick), value, tick, None, 0)]

    # --- outputs --------------------------------------------------------------------------------------------

    def route(self, record: Record, fact: Fact, results: list[Result]) -> None:
        """Appends a record to the results for every topic that lists its type. Raises TooLarge when it cannot be truncated."""
        if not self.encodes and len(_measure(record)) <= self._ample:  # MessagePack costs a tenth of Avro
            for _, name, key, _, _ in self._ways[type(record)]:
                results.append(Output(name, key(record), None, record, fact))
            return
        value = b""
        for topic, name, key, encode, room in self._ways[type(record)]:
            by = key(record)
            if encode is not None:
                value = encode(record)
            if len(value) + len(by) > room:
                record, value = self._cut(record, topic, room - len(by))
            results.append(Output(name, by, value, record, fact))

    def _cut(self, record: Record, topic: Topic, room: int) -> tuple[Record, bytes]:
        if not isinstance(record, Decided):
            raise TooLarge(f"{type(record).__name__} above the {topic.limit} bytes of {topic.name}")
        record = truncate(record, room)
        return record, topic.wire.encode(record)

    def due(self) -> int | None:
        """ms; a Tick before this time changes nothing but the watermark. None: no Tick changes anything but the
        watermark.
        """
        raise NotImplementedError

    def pass_over(self, time: int) -> None:
        """Advances the watermark as if every writer had sent a Tick of this time (ms); nothing may be due up to this
        time.
        """
        self.watermark.pass_over(time)
        self.last_tick = self.watermark.time

    # --- facts ----------------------------------------------------------------------------------------------

    def take(self, facts: list[Fact]) -> Taken:
        """Takes facts in order. Returns the records that follow from them, and the facts that are left.

        1. Nothing is left: all facts were taken.
        2. `waits_to_begin`: there is no watermark or no policy yet, and the facts that are left wait for it. Pass the records
           that follow in the log to `take` as they come: the core only uses their Ticks and the first policy.
        3. Otherwise pass the facts that are left to `take` again at once. Where facts waited before this call, none of this
           call was taken: read the log again from `position`.
        """
        taken = self._take(facts) if self.watermark.time and self.policy is not None else self._before_beginning(facts)
        self._unfinished = bool(taken.left)
        return taken

    def _take(self, facts: list[Fact]) -> Taken:
        """As `take`, when the watermark and the policy are known or there are only control records."""
        raise NotImplementedError

    def _before_beginning(self, facts: list[Fact]) -> Taken:
        """As `take`, before the first watermark or the first policy: only control records before the first fact are taken. Behind
        it, the core hears what tells the first time and which policy is the first: both hold for the facts that wait.
        """
        results: list[Result] = []
        first = 0
        if not self.waits_to_begin:
            first = next((n for n, fact in enumerate(facts) if type(fact.record) not in KEYLESS), len(facts))
            results = self._take(facts[:first]).results
        left = facts[first:]
        if not left or (self.watermark.time and self.policy is not None):
            return Taken(results, left)
        if not self.waits_to_begin:
            self.waits_to_begin, self.heard = True, self.watermark.copy()
        for fact in left:
            if type(fact.record) is PolicyChanged:
                results += self._first_policy(fact)
            elif not self.watermark.time and self._hear(fact):
                self.watermark, self.known_from = self.heard, fact.offset
                results += self._new_time(fact)
            if self.watermark.time and self.policy is not None:
                self.waits_to_begin = False
                break
        return Taken(results, left)

    def _first_policy(self, fact: Fact) -> list[Result]:
        """The results of a policy change behind the facts that wait for it."""
        raise NotImplementedError

    def _hear(self, fact: Fact) -> bool:
        """Looks at a record after the waiting facts. True: it gives the first watermark. A wrong Tick is reported when
        it is taken.
        """
        record = fact.record
        if isinstance(record, Tick):
            try:
                self.heard.tick(self.tick_of(fact, record, self.heard))
            except WrongTick:
                return False
        elif isinstance(record, SourceIdle):
            self.heard.source_idle(record)
        return self.heard.time > 0

    def tick_of(self, fact: Fact, tick: Tick, watermark: Watermark) -> Tick:
        """The Tick with the time that this role uses. Raises WrongTick."""
        return sound(tick)

    def _new_time(self, fact: Fact) -> list[Result]:
        """Returns the results that are due after a record has advanced the watermark, before any fact is decided at the
        new time.
        """
        return []


#: Bytes that headers may need in addition to key and value.
_OVERHEAD = 4096
#: A bound: MessagePack also writes field names, so Avro takes less than twice as many bytes, and the key at most as
#: many again.
_SURELY = 3
_measure = msgspec.msgpack.Encoder().encode


_Way = tuple[Topic, str, Callable[[Any], bytes], Callable[[Record], bytes] | None, int]


def _ways(found: list[tuple[Topic, Callable[[Any], bytes]]]) -> Iterator[_Way]:
    """(topic, name, key function, encoder, bytes that key and value may have). Encoder None: the bytes are the last topic's."""
    before = None
    for topic, key in found:
        encode = None if topic.wire is before else topic.wire.encode
        before = topic.wire
        yield topic, topic.name, key, encode, topic.limit - _OVERHEAD


def _writer(name: str) -> tuple[str, int]:
    role, _, number = name.rpartition("/")
    return role, int(number)
