"""The whole pipeline in memory: it runs the same objects as workers do, one for every role and every partition of its
input topic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from agents.decider import Unanswered
from agents.policy import Policy, digest, parse
from netcenter.errors import CommandError, Unreachable
from netcenter.files.line import Line, PolicyText
from netcenter.ingest.schedule import with_ticks
from netcenter.pipeline import PIPELINE
from netcenter.runtime.classifiers import lacks_model
from netcenter.simulation.people import SimulatedPeople
from schemas.records import PolicyChanged, Record, Tick
from streams.batch import BatchCore
from streams.core import Core, Fact, Output, Result
from streams.cores import new_core
from streams.fold import FoldCore
from streams.partitioner import partition_of, partitions_of
from streams.policies import foreign, passed_over
from streams.topology import Role
from streams.watermark import Watermark

Tell = Callable[[str, list[Record]], None]
"""Called with a topic and the records written to it, in order, without Ticks and policy changes."""
Say = Callable[[int, int], None]
"""Called at every Tick with the number of records played so far and the time of the Tick (ms)."""
#: The most lines of one minute that are held until the minute ends; further lines are handled before its end.
_MOST_WAITING = 20_000
_TOPICS = {"classified": "mentions"}
"""The topic to which lines are appended: a ClassifiedMention of a file is appended to `mentions`, and its label is
kept.
"""
#: The most changed state records of a partition that stay objects; if there are more, they are packed as at a
#: checkpoint.
_MOST_CHANGED = 4_000


class Replay:
    """Runs the roles: `give` and `append` add facts, `drain` decides on them, and `pass_time` passes Ticks on as a
    checkpoint does.

    Only the state of the roles is kept; `tell` is called with the records that the roles write.
    """

    def __init__(
        self,
        policies: Mapping[int, str],
        partitions: int,
        tell: Tell,
        *,
        in_force: Sequence[int] | None = None,
        roles: Sequence[Role] | None = None,
        given: Tell = lambda *_: None,
    ) -> None:
        """policies: texts by version. in_force: the policy version with which each partition starts. given: called with
        the records that are given, as `tell` is with those that the roles write.

        Without in_force, version 1 is in force all the time and PolicyChanged records are ignored. Raises PolicyError.
        """
        self.partitions, self._tell, self._given = partitions, tell, given
        policies = self._policies = dict(policies)
        self._follows = in_force is not None
        wanted = [r for r in (PIPELINE.roles if roles is None else roles) if r.decides]
        self._policy = cache(lambda version, _hash: _parsed(policies, version))
        self._passed_over = cache(
            lambda version, hash: foreign(version, hash, policies) or passed_over(version, policies, lacks_model)
        )
        self._cores = {r.input_topic: [self._core(r, n) for n in range(partitions)] for r in wanted}
        self._ways = {t.name: _Way(self._count(t.name), t.name in self._cores) for t in PIPELINE.topics}
        merging = {r: PIPELINE.sources(r, partitions) for r in wanted}
        self._merged = {r: Watermark(sources) for r, sources in merging.items() if sources}
        """The time of each role in whose input topic the records of several partitions come together."""
        self._held: dict[tuple[str, int], list[Fact]] = {}
        """Facts by (topic, partition) that wait until the watermark of their partition is known."""
        self.dead_letters = 0
        """Facts that could not be handled: the dead letters."""
        self._start(policies, [1] * partitions if in_force is None else in_force)

    def _core(self, role: Role, number: int) -> Core:
        return new_core(PIPELINE, role, number, self.partitions, self._policy, encodes=False)

    def _count(self, topic: str) -> int:
        return PIPELINE.partitions(topic, self.partitions)

    def _start(self, policies: Mapping[int, str], in_force: Sequence[int]) -> None:
        """Put policies in force: partitions by customer start with their own version, all others with the oldest
        version.
        """
        of_customers = {PIPELINE.roles[0].input_topic, *PIPELINE.mirrors()}
        for topic, cores in self._cores.items():
            for core, own in zip(cores, in_force, strict=True):
                version = own if topic in of_customers else min(in_force)
                core.in_force(PolicyChanged(version=version, hash=digest(policies[version]), applied_at=0))

    def give(self, topic: str, records: Sequence[Record]) -> None:
        """Append records to an input topic, each to the partition of its key. Does nothing if the role that reads it is left out."""
        way = self._ways[topic]
        if way.read:
            self._given(topic, list(records))
            key = PIPELINE.topic(topic).key
            for record, number in zip(records, partitions_of([key(r) for r in records], way.count), strict=True):
                way.waiting[number].append(Fact(way.ends[number], record))
                way.ends[number] += 1

    def append(self, topic: str, partition: int, facts: Sequence[Fact]) -> None:
        """Append facts with their offsets to one partition of an input topic."""
        way = self._ways[topic]
        if way.read and facts:
            way.waiting[partition] += [
                fact
                for fact in facts
                if type(fact.record) is not PolicyChanged
                or (self._follows and not self._passed_over(fact.record.version, fact.record.hash))
            ]
            way.ends[partition] = facts[-1].offset + 1

    def change_policy(self, text: str) -> None:
        """Put a policy in force in every partition of the first topic, as `netcenter policy apply` does, behind the records
        that were given before. Does nothing where one policy is in force all the time.
        """
        if not self._follows:
            return
        topic, version = PIPELINE.roles[0].input_topic, max(self._policies) + 1
        self._policies[version] = text
        changed = PolicyChanged(version=version, hash=digest(text), applied_at=0)
        for number, end in enumerate(self._ways[topic].ends):
            self.append(topic, number, [Fact(end, changed)])

    def drain(self) -> None:
        """Handle all waiting facts, and the facts that follow from them."""
        while any(any(self._ways[topic].waiting) for topic in self._cores):
            for topic, cores in self._cores.items():
                waiting = self._ways[topic].waiting
                for number, core in enumerate(cores):
                    facts = waiting[number]
                    if facts:
                        waiting[number] = []
                        self._take(core, facts)

    def _take(self, core: Core, facts: list[Fact]) -> None:
        place = core.role.input_topic, core.number
        while facts:
            try:
                taken = core.take(facts)
            except Unanswered as error:
                raise Unreachable(f"{error}") from None
            self._write(taken.results)
            self._pack(core)
            if core.waits_to_begin:
                self._held.setdefault(place, []).extend(taken.left)
                return
            facts = self._held.pop(place, []) + taken.left

    def pass_time(self) -> None:
        """Pass the newest Ticks on from role to role, as each checkpoint of a worker does."""
        for cores in self._cores.values():
            for core in cores:
                self._write(core.ticks())
            self.drain()

    def tick(self, time: int, left_out: int = 0) -> None:
        """Handle all waiting facts, then advance the watermark of every partition of every role to a time (ms, event
        clock).

        left_out: the number of Ticks before this one at which nothing was due; the offsets count them. The roles take
        their turns in the order of the flow. Only a partition in which something is due takes a Tick; for other
        partitions, setting the watermark costs a twentieth of a Tick.
        """
        self.drain()
        for topic, cores in self._cores.items():
            way = self._ways[topic]
            woken = [number for number, core in enumerate(cores) if (due := core.due()) is not None and due <= time]
            if woken and isinstance(cores[0], BatchCore):
                # Each partition of a Batch writes its Ticks to the same output partition, and the next role needs a
                # Tick in every partition.
                woken = list(range(len(cores)))
            for number in woken:
                writers = sorted(cores[number].watermark.expected)
                ticks = [Tick(clock="event", time=time, role=role, partition=n) for role, n in writers]
                way.waiting[number] += [Fact(way.ends[number], tick) for tick in ticks]
            self.drain()
            way.ends = [end + 1 + left_out for end in way.ends]
            for core in cores:
                core.pass_over(time)

    def due(self) -> int | None:
        """ms; a Tick before this time changes nothing but the watermark. None: all Ticks change only the watermark,
        until more facts are added.
        """
        dues = [due for cores in self._cores.values() for core in cores if (due := core.due()) is not None]
        return min(dues, default=None)

    def _write(self, results: Sequence[Result]) -> None:
        ways = self._ways
        for result in results:
            if type(result) is not Output:
                self.dead_letters += 1
                continue
            if result.topic == PIPELINE.watermarks:
                self._merge(result.record)
                continue
            record, way = result.record, ways[result.topic]
            if type(record) is not Tick and type(record) is not PolicyChanged:
                way.told.append(record)
            if way.read:
                number = result.partition
                if number is None:
                    number = partition_of(result.key or b"", way.count)
                way.waiting[number].append(Fact(way.ends[number], record))
                way.ends[number] += 1
        for topic, way in ways.items():
            if way.told:
                told, way.told = way.told, []
                self._tell(topic, told)

    def _merge(self, tick: Record) -> None:
        """Append a Tick to every partition whose sources have all come further, as its owner does in a worker."""
        if not isinstance(tick, Tick):
            raise TypeError(f"{type(tick).__name__} is no Tick")
        for role, merged in self._merged.items():
            before = merged.time
            if (tick.role, tick.partition) in merged.expected:
                merged.tick(tick)
            if merged.time > before:
                way = self._ways[role.input_topic]
                for n in range(way.count):
                    own = Tick(clock=tick.clock, time=merged.time, role=role.name, partition=n)
                    way.waiting[n].append(Fact(way.ends[n], own))
                    way.ends[n] += 1

    def _pack(self, core: Core) -> None:
        """Turn changed state records into bytes, as a checkpoint does, so that a million customers fit into memory."""
        if isinstance(core, FoldCore):
            if len(core.touched) > _MOST_CHANGED:
                for _ in core.packed():
                    pass
                core.committed()
        elif isinstance(core, BatchCore):
            for _ in core.packed():
                pass


class _Way:
    """The records that wait in one topic."""

    __slots__ = ("count", "ends", "read", "told", "waiting")

    def __init__(self, count: int, read: bool) -> None:
        self.count, self.read = count, read
        self.waiting: list[list[Fact]] = [[] for _ in range(count)]
        """By partition, the facts that wait for the role that reads the topic."""
        self.ends = [0] * count
        self.told: list[Record] = []
        """The records with which `tell` was not called yet."""


def _parsed(policies: Mapping[int, str], version: int) -> Policy:
    text = policies.get(version)
    if text is None:
        raise CommandError(f"the log names policy {version}, whose text is not in the topic policy")
    return parse(text, version)


def play_lines(
    replays: Sequence[Replay],
    lines: Iterable[Line],
    *,
    interval: int,
    run_on: int,
    say: Say = lambda *_: None,
    people: Mapping[int, SimulatedPeople] = MappingProxyType({}),
) -> None:
    """Play lines, which are in the order of time, on the event clock; for interval and run_on (ms) see `with_ticks`.

    Ticks at which nothing is due are left out, so a gap in the lines costs no time unless timers are due in it.
    people: the operators of a replay by its number; whoever is told what it writes. They act at Ticks, so the interval
    says how exactly they keep their time.
    """
    waiting: dict[str, list[Record]] = {}
    played = held = before = 0

    def hand_in() -> None:
        for replay in replays:
            for topic, records in waiting.items():
                replay.give(topic, records)
        waiting.clear()

    def due() -> int | None:
        dues = [replay.due() for replay in replays] + [team.due() for team in people.values()]
        return min((due for due in dues if due is not None), default=None)

    for item in with_ticks(lines, interval=interval, run_on=run_on, due=due):
        if isinstance(item, int):
            hand_in()
            for number, replay in enumerate(replays):
                replay.tick(item, (item - before) // interval - 1 if before else 0)
                if number in people:
                    _act(replay, people[number], item, begins=not before)
            played, held, before = played + held, 0, item
            say(played, item)
        elif isinstance(item.record, PolicyText):
            hand_in()
            for replay in replays:
                replay.change_policy(item.record.text)
        else:
            waiting.setdefault(_TOPICS.get(item.topic, item.topic), []).append(item.record)
            held += 1
            if held % _MOST_WAITING == 0:
                hand_in()
                for replay in replays:
                    replay.drain()


def _act(replay: Replay, people: SimulatedPeople, time: int, *, begins: bool) -> None:
    """Let the operators act until a time (ms), and handle what they write. begins: this is the first Tick."""
    if begins:
        people.begin(time)
    while written := people.act(time):
        for topic, records in written.items():
            replay.give(topic, records)
        replay.drain()
