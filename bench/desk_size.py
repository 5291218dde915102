"""A desk with 5,000 operators and 200,000 cases that wait: CPU microseconds a decision, records it changes, and bytes of state.

`python -m bench.desk_size [OPERATORS WAITING DECISIONS]`; it takes two minutes.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from agents.decider import At, Timer, collect, stepper
from agents.policy import Policy, parse
from bench.state import resident
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from schemas import ids
from schemas.records import Assigned, OfferAnswered, Offered, OperatorChanged, Record, Returned, WorkChange, WorkChanged
from streams.gc_tuning import rarely_collected
from streams.topology import Fold

OPERATORS, WAITING, DECISIONS = 5_000, 200_000, 60_000
NOON = 1_795_176_000_000
_MINUTE = 60_000
_CAPACITY = 3
_LANGUAGES: tuple[list[str], ...] = (["es"], ["es", "pt"], ["es", "en"], ["es", "pt", "en"], ["pt", "en"], [])
_SKILLS: tuple[list[str], ...] = ([], [], [], ["refunds"], ["vip"], ["refunds", "vip"])
#: Of the measured decisions: new work, an answer to an offer, an answer to a customer, a timer, presence.
_MIX = ("queued", "accepted", "declined", "answered", "changed", "renewed", "timer")
_WEIGHTS = (24, 22, 4, 22, 12, 6, 10)


class BigDesk:
    """The desk's decider over its state, and the facts that lead there."""

    def __init__(self, seed: int = 7) -> None:
        shape = PIPELINE.role("desk").shape
        if not isinstance(shape, Fold):
            raise TypeError("the role desk is no Fold")
        self.decider = shape.decider()
        self.state = self.decider.initial()
        self._step = stepper(self.decider, self.state)
        self._policy: Policy = parse(DEFAULT_POLICY.read_text(), 1)
        self._random, self._number, self.now = Random(seed), 0, NOON
        self.work: dict[str, WorkChanged] = {}
        self.offers: dict[str, Offered] = {}
        self.assigned: dict[str, Offered] = {}
        self.dues: dict[str, int] = {}

    def take(self, fact: Record | Timer) -> tuple[int, int, int]:
        """(nanoseconds of CPU, records changed, events) of one decision."""
        at = At(self.now, self.now, self._policy, "cause")
        events: list[Any] = []
        started = time.thread_time_ns()
        wakes = self._step(fact, at, collect, None, events)
        spent = time.thread_time_ns() - started
        for key, due in wakes:
            if due is None:
                self.dues.pop(key, None)
            else:
                self.dues[key] = due
        for event in events:
            self._follow(event)
        return spent, len(wakes), len(events)

    def _follow(self, event: Any) -> None:
        if isinstance(event, Offered):
            self.offers[event.aggregate] = event
        elif isinstance(event, Assigned):
            self.assigned[event.aggregate] = self.offers.pop(event.aggregate)
        elif isinstance(event, Returned):
            self.offers.pop(event.aggregate, None)
            self.assigned.pop(event.aggregate, None)

    # --- facts ----------------------------------------------------------------------------------------------------

    def signed_in(self, number: int) -> OperatorChanged:
        """An operator of one of the kinds that there are."""
        random = self._random
        return OperatorChanged(
            id=str(number),
            desk="care",
            operator=f"o{number}",
            change="signed_in",
            at=self.now,
            until=NOON + 12 * 60 * _MINUTE,
            capacity=_CAPACITY,
            languages=random.choice(_LANGUAGES),
            skills=random.choice(_SKILLS),
        )

    def queued(self) -> WorkChanged:
        """Work of any priority, due from now to three hours ahead."""
        self._number += 1
        n, random = self._number, self._random
        started = self.now - random.randrange(60 * _MINUTE)
        work = WorkChanged(
            id=f"w{n}",
            aggregate=ids.make("work", n),
            seq=1,
            time=self.now,
            cause="c",
            policy=1,
            reason="r",
            desk="care",
            case_id=ids.make("case", n),
            brand="andina",
            channel=random.choice(("twitter", "facebook", "instagram", "whatsapp")),
            author_id=f"u{n}",
            change="queued",
            label=random.choice(("complaint", "question")),
            priority=random.choice((1, 2, 3, 4, 7)),
            mode="live",
            started_at=started,
            due_at=started + random.choice((60, 120, 240)) * _MINUTE,
            lang=random.choice(("es", "pt", "en", "und")),
            skills=random.choice(([], [], [], [], ["refunds"], ["vip"])),
            posts=[str(n)],
            url=f"https://twitter.example/andina/{n}",
            together=True,
        )
        self.work[work.aggregate] = work
        return work

    def _later(self, work_id: str, change: WorkChange) -> WorkChanged:
        old = self.work[work_id]
        new = msgspec.structs.replace(
            old, id=f"{old.id}.{old.seq}", seq=old.seq + 1, time=self.now, change=change, posts=[*old.posts[-3:], "p"]
        )
        self.work[work_id] = new
        if change == "answered":
            del self.work[work_id]
            self.assigned.pop(work_id, None)
        return new

    def _said(self, offer: Offered, answer: Any) -> OfferAnswered:
        return OfferAnswered(
            id=offer.id, desk="care", operator=offer.operator, offer_id=offer.id, answer=answer, at=self.now
        )

    def fact(self, kind: str) -> Record | Timer | None:
        """A fact of a kind; None where there is nothing that it could be about."""
        random = self._random
        if kind == "queued":
            return self.queued()
        if kind in ("accepted", "declined"):
            return self._said(self.offers[_any(random, self.offers)], kind) if self.offers else None
        if kind == "answered":
            return self._later(_any(random, self.assigned), "answered") if self.assigned else None
        if kind == "changed":
            return self._later(_any(random, self.work), "changed")
        if kind == "renewed":
            name = f"o{random.randrange(OPERATORS)}"
            until = NOON + 13 * 60 * _MINUTE
            return OperatorChanged(id=name, desk="care", operator=name, change="renewed", at=self.now, until=until)
        due = [(at, key) for key, at in self._sample() if at <= self.now]
        if not due:
            return None
        at, key = min(due)
        return Timer(key, at)

    def _sample(self) -> Iterator[tuple[str, int]]:
        """Some of the records that wait for a time."""
        keys = list(self.dues)
        for _ in range(min(200, len(keys))):
            key = keys[self._random.randrange(len(keys))]
            yield key, self.dues[key]


def _any(random: Random, found: dict[str, Any]) -> str:
    """One of the keys; of many, one of the first, so that it costs little."""
    skipped = random.randrange(min(len(found), 500))
    return next(key for n, key in enumerate(found) if n == skipped)


def measure(operators: int = OPERATORS, waiting: int = WAITING, decisions: int = DECISIONS) -> dict[str, Any]:
    """The figures of a desk of this size: its state is made by facts, then facts of all kinds are measured."""
    desk = BigDesk()
    before = resident()
    with rarely_collected():
        for number in range(operators):
            desk.take(desk.signed_in(number))
        for _ in range(operators * _CAPACITY + waiting):
            desk.take(desk.queued())
            if desk.offers and len(desk.offers) > 200:
                desk.take(desk.fact("accepted") or desk.queued())
        gc.collect()
        grown = resident() - before
        gc.freeze()
        spent, changed, touched = _measured(desk, decisions)
    bytes_of, count_of = _stored(desk)
    total = sorted(one for found in spent.values() for one in found)
    return {
        "operators": operators,
        "queued": sum(getattr(row, "status", "") == "queued" for row in desk.state.values()),
        "decisions": len(total),
        "median_us": _us(total, 0.5),
        "p99_us": _us(total, 0.99),
        "longest_us": _us(total, 1.0),
        "by_fact_us": {k: [_us(sorted(v), 0.5), _us(sorted(v), 0.99), len(v)] for k, v in sorted(spent.items())},
        "changed_records_a_decision": round(sum(changed) / len(changed), 2),
        "changed_records_an_event": round(sum(changed) / max(1, sum(touched)), 2),
        "most_changed_records": max(changed),
        "stored_bytes": {k: round(bytes_of[k] / n) for k, n in count_of.items()},
        "stored_records": dict(count_of),
        "resident_bytes_a_case": round(grown / (operators * _CAPACITY + waiting)),
    }


def _measured(desk: BigDesk, decisions: int) -> tuple[dict[str, list[int]], list[int], list[int]]:
    spent: dict[str, list[int]] = defaultdict(list)
    changed, touched = [], []
    random = Random(11)
    for n in range(decisions):
        desk.now = NOON + n * 60 * _MINUTE // decisions
        [kind] = random.choices(_MIX, _WEIGHTS)
        fact = desk.fact(kind)
        if fact is not None:
            took, records, events = desk.take(fact)
            spent[kind].append(took)
            changed.append(records)
            touched.append(events)
    return spent, changed, touched


def _stored(desk: BigDesk) -> tuple[Counter[str], Counter[str]]:
    """(bytes, records) by kind of record, as the changelog has them: key and MessagePack."""
    sizes, counts = Counter[str](), Counter[str]()
    for key in [*desk.state]:
        row = desk.state[key]
        name = type(row).__name__
        sizes[name] += len(key.encode()) + len(msgspec.msgpack.encode(row))
        counts[name] += 1
    return sizes, counts


def _us(ordered: list[int], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000, 1) if ordered else 0.0


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:])), indent=1))
