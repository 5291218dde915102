"""`replay`: the same deciding objects over a file or over a role's own inbox, with no Kafka."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agents.policy import Policy, digest, parse
from netcenter.pipeline import PIPELINE
from netcenter.player import play
from schemas import codec
from schemas.files import Line
from schemas.jsonform import event
from schemas.records import (
    Alert,
    Assigned,
    CaseOpened,
    ClassifiedMention,
    ClockChanged,
    PolicyChanged,
    Record,
    Reply,
    SurgeOpened,
    Tick,
)
from streams.batch import BatchCore
from streams.core import Core, Fact, Output, SetAside
from streams.fold import FoldCore
from streams.partitioner import partition_of
from streams.shapes import Batch, Fold, Role

#: File of the output folder by topic.
FILES = {"cases": "cases.jsonl", "assignments": "assignments.jsonl", "surges": "surges.jsonl", "alerts": "alerts.jsonl"}


class Replay:
    """A whole pipeline in memory: every role, every inbox partition."""

    def __init__(self, policy_text: str, partitions: int, *, roles: Sequence[Role] | None = None) -> None:
        self.partitions = partitions
        self.policy = parse(policy_text, 1)
        self._changed = PolicyChanged(version=1, hash=digest(policy_text), applied_at=0)
        wanted = [r for r in (PIPELINE.roles if roles is None else roles) if r.decides]
        self._cores: dict[str, list[Core]] = {r.inbox: [self._core(r, n) for n in range(partitions)] for r in wanted}
        self._queues: dict[tuple[str, int], list[Fact]] = {}
        self._offsets: Counter[tuple[str, int]] = Counter()
        self.written: dict[str, list[Record]] = {t.name: [] for t in PIPELINE.topics}
        """Records by topic, in the order written; Ticks and policy changes left out."""
        self.set_aside: list[SetAside] = []

    def _count(self, topic: str) -> int:
        return PIPELINE.topic(topic).partitions or self.partitions

    def _policy(self, version: int, hash: str) -> Policy:
        return self.policy

    def _core(self, role: Role, number: int) -> Core:
        given = (PIPELINE, role, number, self._count, self._policy)
        core: Core
        if isinstance(role.shape, Fold):
            core = FoldCore(*given, role.shape.decider())
        elif isinstance(role.shape, Batch):
            core = BatchCore(*given, role.shape.stage(number))
        else:
            raise TypeError(f"{role.name} decides nothing")
        core.in_force(self._changed)
        return core

    def feed(self, topic: str, partition: int, record: Record, *, offset: int | None = None, stamp: int = 0) -> None:
        """Append a record to an inbox partition; it is handled by `drain`."""
        at = self._offsets[topic, partition] if offset is None else offset
        self._offsets[topic, partition] = at + 1
        self._queues.setdefault((topic, partition), []).append(Fact(at, record, stamp))

    def drain(self) -> None:
        """Handle everything that was fed and all that follows from it."""
        while self._queues:
            for topic in self._cores:
                for number in range(self.partitions):
                    facts = self._queues.pop((topic, number), None)
                    if facts:
                        self._take(self._cores[topic][number], facts)

    def _take(self, core: Core, facts: list[Fact]) -> None:
        for result in core.take(facts):
            if isinstance(result, SetAside):
                self.set_aside.append(result)
            else:
                self._write(result)

    def _write(self, output: Output) -> None:
        record = output.record
        if not isinstance(record, (Tick, PolicyChanged)):
            self.written[output.topic].append(record)
        if output.topic in self._cores:
            number = output.partition
            if number is None:
                number = partition_of(output.key or b"", self._count(output.topic))
            self.feed(output.topic, number, record)

    def hand_on_time(self) -> None:
        """What every checkpoint ends with: the newest Ticks, hop by hop."""
        for cores in self._cores.values():
            for core in cores:
                for tick in core.ticks():
                    self._write(tick)
            self.drain()

    def run(self, lines: Iterable[Line], *, interval: int, until: int) -> None:
        """Play lines through the whole pipeline on the event clock."""
        first = PIPELINE.roles[0].inbox
        for item in play(lines, interval=interval, until=until):
            if isinstance(item, int):
                self.drain()
                for number in range(self.partitions):
                    self.feed(first, number, Tick(clock="event", time=item, role=PIPELINE.clock_role, partition=number))
                self.drain()
                self.hand_on_time()
            else:
                topic = PIPELINE.topic(item.topic)
                if topic.name not in self._cores:
                    continue  # for a role that is left out
                key = topic.key(item.record)
                self.feed(topic.name, partition_of(key, self.partitions), item.record)
        self.drain()

    def summary(self) -> dict[str, Any]:
        """Counts, in the words of `demo --json`."""
        posts = [r for r in self.written["classified"] if isinstance(r, ClassifiedMention)]
        cases, alerts = self.written["cases"], [r for r in self.written["alerts"] if isinstance(r, Alert)]
        return {
            "mentions": len(posts),
            "replies": sum(isinstance(r, Reply) for r in self.written["classified"]),
            "dead_letters": len(self.set_aside),
            "labels": dict(Counter(str(p.label) for p in posts)),
            "cases": sum(isinstance(r, CaseOpened) for r in cases),
            "breaches": sum(isinstance(r, ClockChanged) and r.change == "breached" for r in cases),
            "assignments": sum(isinstance(r, Assigned) for r in self.written["assignments"]),
            "surges": sum(isinstance(r, SurgeOpened) for r in self.written["surges"]),
            "alerts_opened": sum(a.state == "open" and a.version == 1 for a in alerts),
            "alerts_resolved": sum(a.state == "resolved" for a in alerts),
        }

    def write(self, folder: Path) -> None:
        """cases.jsonl, assignments.jsonl, surges.jsonl, alerts.jsonl and summary.json. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        for topic, name in FILES.items():
            key = PIPELINE.topic(topic).key
            with (folder / name).open("wb") as out:
                for record in self.written[topic]:
                    out.write(msgspec.json.encode(event(record, key(record).decode())) + b"\n")
        (folder / "summary.json").write_text(json.dumps(self.summary(), indent=1) + "\n")


def replay_inbox(
    role_name: str,
    policy_texts: dict[int, str],
    partition: int,
    partitions: int,
    records: Iterable[tuple[int, int, bytes]],
) -> list[Record]:
    """What a deciding role makes of one of its own inbox partitions.

    policy_texts: by version. records: (offset, stamp in ms, value) as the log has them. The records decided, in order.
    """
    role = PIPELINE.role(role_name)
    if not isinstance(role.shape, Fold):
        raise TypeError(f"{role_name} does not fold an inbox")

    def policy(version: int, _hash: str) -> Policy:
        return parse(policy_texts[version], version)

    core = FoldCore(
        PIPELINE, role, partition, lambda t: PIPELINE.topic(t).partitions or partitions, policy, role.shape.decider()
    )
    facts = [Fact(offset, codec.decode(value), stamp) for offset, stamp, value in records]
    results = core.take(facts)
    decided: list[Record] = []
    seen: set[str] = set()
    for result in results:
        if isinstance(result, Output) and not isinstance(result.record, (Tick, PolicyChanged)):
            id = getattr(result.record, "id", "")
            if id not in seen:  # one event, several topics
                seen.add(id)
                decided.append(result.record)
    return decided
