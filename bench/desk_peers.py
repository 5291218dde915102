"""Desks as others run them, as small Deciders: first come first served, round robin (Chatwoot), and least load (Zendesk).

They have what the simulated operators need: offers that are accepted, declined or time out, and work that ends. They have no
skills, no classes, no ladder. What differs is which work is next, and who gets it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import msgspec
from msgspec.structs import replace

from agents.decider import At, State, StateNote, Timer
from schemas.records import (
    Assigned,
    Decided,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Record,
    Returned,
    ReturnReason,
    WorkChanged,
)

Events = Iterator[Decided | StateNote]
#: ms; how long an operator is not offered again what they gave back.
_REST = 600_000
Order = tuple[int, int, str]


class PeerItem(msgspec.Struct, frozen=True, tag="item"):
    """A round of work."""

    work: WorkChanged
    seq: int = 0
    operator: str | None = None
    offer_id: str = ""
    expires_at: int | None = None
    returns: int = 0
    resting: dict[str, int] = {}
    """Operators who gave it back, and until when (ms) they are not offered it again."""


class PeerOperator(msgspec.Struct, frozen=True, tag="operator"):
    """Somebody who is signed in."""

    name: str
    capacity: int
    idle_since: int
    served: int = 0
    """The number of the last offer that they got, of all offers."""


class PeerPut(StateNote, msgspec.Struct, frozen=True):
    """Note: a record is set; None: it is removed."""

    key: str
    row: PeerItem | PeerOperator | None


class PeerState(State[PeerItem | PeerOperator]):
    """The records, the queue in its order, and who holds what."""

    def __init__(self, order: Callable[[WorkChanged], Order]) -> None:
        super().__init__()
        self.order = order
        self.queue: list[Order] = []
        self.people: dict[str, str] = {}
        """By key: the name of each operator who is signed in."""
        self.held: dict[str, set[str]] = {}
        self.offers: dict[str, str] = {}
        self.offered = 0
        """The number of the last offer."""

    def put(self, key: str, record: PeerItem | PeerOperator | None) -> None:
        """Sets or removes a record and updates the indexes."""
        before = self.get(key)
        if isinstance(before, PeerItem):
            if before.operator is None:
                del self.queue[bisect_left(self.queue, self.order(before.work))]
            else:
                self.held[before.operator].discard(key)
                self.offers.pop(before.offer_id, None)
        super().put(key, record)
        if isinstance(record, PeerItem):
            if record.operator is None:
                insort(self.queue, self.order(record.work))
            else:
                self.held.setdefault(record.operator, set()).add(key)
                self.offers[record.offer_id] = key
        elif isinstance(record, PeerOperator):
            self.people[key] = record.name
            self.offered = max(self.offered, record.served)
        elif key in self.people:
            del self.people[key]

    def present(self) -> list[tuple[PeerOperator, int]]:
        """Those who are signed in, each with the number of cases that they hold or are offered."""
        found = ((self.get(key), name) for key, name in sorted(self.people.items()))
        return [(row, len(self.held.get(name, ()))) for row, name in found if isinstance(row, PeerOperator)]


class PeerDesk:
    """One queue for everybody. `order` says which work is next, `choose` who gets it."""

    record_types: ClassVar[Any] = PeerItem | PeerOperator
    reads: ClassVar[tuple[type[Record], ...]] = (WorkChanged, OperatorChanged, OfferAnswered)
    limited: ClassVar[bool] = True
    """Whether an operator's capacity is kept."""

    def order(self, work: WorkChanged) -> Order:
        """Sort key of the queue."""
        return (0, work.time, work.aggregate)

    def choose(self, free: list[tuple[PeerOperator, int]]) -> PeerOperator:
        """Who gets the next work, of those who are free."""
        return min(free, key=lambda one: (one[0].idle_since, one[0].name))[0]

    def initial(self) -> PeerState:
        """Returns an empty state."""
        return PeerState(self.order)

    def evolve(self, state: PeerState, event: Decided | StateNote) -> dict[str, PeerItem | PeerOperator | None]:
        """Returns the records that an event or a note changes: the notes change all."""
        return {event.key: event.row} if isinstance(event, PeerPut) else {}

    def due(self, record: PeerItem | PeerOperator) -> int | None:
        """Returns when (ms) the offer of an item ends, or the first rest of a queued one."""
        if not isinstance(record, PeerItem):
            return None
        return min(record.resting.values(), default=None) if record.operator is None else record.expires_at

    def decide(self, state: PeerState, fact: Any, at: At) -> Events:
        """Yields what follows from a fact: at the end, offers to all who are free."""
        match fact:
            case WorkChanged():
                yield from self._work(state, fact, at)
            case OperatorChanged():
                yield from self._operator(state, fact, at)
            case OfferAnswered():
                yield from self._answer(state, fact, at)
            case Timer():
                row = state.get(fact.key)
                if isinstance(row, PeerItem) and row.operator is not None:
                    yield from self._return(row, "timed_out", at)
                elif isinstance(row, PeerItem):
                    resting = {name: until for name, until in row.resting.items() if until > fact.at}
                    yield PeerPut(fact.key, replace(row, resting=resting))
            case _:
                return
        yield from self._offer(state, at)

    def _work(self, state: PeerState, fact: WorkChanged, at: At) -> Events:
        old = state.get(fact.aggregate)
        if not isinstance(old, PeerItem):
            if fact.change == "queued":
                yield PeerPut(fact.aggregate, PeerItem(fact))
        elif fact.change in ("answered", "withdrawn"):
            yield PeerPut(fact.aggregate, None)
            if old.operator is not None:
                yield from self._idle(state, old.operator, at)
        else:
            yield PeerPut(fact.aggregate, replace(old, work=replace(fact, time=old.work.time)))

    def _operator(self, state: PeerState, fact: OperatorChanged, at: At) -> Events:
        key = f"operator:{fact.operator}"
        if fact.change == "signed_in":
            old = state.get(key)
            served = old.served if isinstance(old, PeerOperator) else 0
            yield PeerPut(key, PeerOperator(fact.operator, fact.capacity, at.time, served))
        elif fact.change == "signed_out" and key in state:
            for held in sorted(state.held.get(fact.operator, ())):
                row = state.get(held)
                if isinstance(row, PeerItem):
                    yield from self._return(row, "signed_out", at)
            yield PeerPut(key, None)

    def _answer(self, state: PeerState, fact: OfferAnswered, at: At) -> Events:
        row = state.get(state.offers.get(fact.offer_id, ""))
        if not isinstance(row, PeerItem) or row.expires_at is None:
            return
        if fact.answer == "declined":
            yield from self._return(row, "declined", at)
            return
        work = row.work
        yield Assigned(
            **at.envelope(work.aggregate, row.seq + 1, "accepted"),
            desk=work.desk,
            case_id=work.case_id,
            brand=work.brand,
            operator=fact.operator,
            offer_id=fact.offer_id,
            waited_ms=max(0, at.time - work.time),
        )
        yield PeerPut(work.aggregate, replace(row, seq=row.seq + 1, expires_at=None))

    def _return(self, row: PeerItem, why: ReturnReason, at: At) -> Events:
        work, operator = row.work, row.operator or ""
        yield Returned(
            **at.envelope(work.aggregate, row.seq + 1, why),
            desk=work.desk,
            case_id=work.case_id,
            brand=work.brand,
            operator=operator,
            offer_id=row.offer_id,
            return_reason=why,
            times=row.returns + 1,
        )
        resting = {**row.resting, operator: at.time + _REST}
        yield PeerPut(work.aggregate, PeerItem(work, row.seq + 1, returns=row.returns + 1, resting=resting))

    def _idle(self, state: PeerState, name: str, at: At) -> Events:
        key = f"operator:{name}"
        row = state.get(key)
        if isinstance(row, PeerOperator):
            yield PeerPut(key, replace(row, idle_since=at.time))

    def _offer(self, state: PeerState, at: At) -> Events:
        """Offers the work in its order, each to somebody who is free and did not give it back lately."""
        while True:
            present = state.present()
            free = [one for one in present if not self.limited or one[1] < one[0].capacity]
            found = self._next(state, free, at) if free else None
            if found is None:
                return
            yield from self._offered(state, *found, at)

    def _next(
        self, state: PeerState, free: list[tuple[PeerOperator, int]], at: At
    ) -> tuple[PeerItem, PeerOperator] | None:
        for *_, key in state.queue:
            row = state.get(key)
            if isinstance(row, PeerItem):
                fit = [one for one in free if row.resting.get(one[0].name, 0) <= at.time]
                if fit:
                    return row, self.choose(fit)
        return None

    def _offered(self, state: PeerState, row: PeerItem, to: PeerOperator, at: At) -> Events:
        work, served = row.work, state.offered + 1
        offer = Offered(
            **at.envelope(work.aggregate, row.seq + 1, type(self).__name__),
            desk=work.desk,
            case_id=work.case_id,
            brand=work.brand,
            channel=work.channel,
            author_id=work.author_id,
            operator=to.name,
            expires_at=at.time + at.policy.desk(work.desk).offer_timeout,
            due_at=work.due_at,
            label=work.label,
            priority=work.priority,
            mode=work.mode,
        )
        yield offer
        given = replace(row, seq=row.seq + 1, operator=to.name, offer_id=offer.id, expires_at=offer.expires_at)
        yield PeerPut(work.aggregate, given)
        yield PeerPut(f"operator:{to.name}", replace(to, served=served))


class FirstComeFirstServed(PeerDesk):
    """The oldest work goes to whoever has been idle the longest."""


class RoundRobin(PeerDesk):
    """As Chatwoot assigns: new work goes at once to the next of those who are signed in, however much they have."""

    limited = False

    def choose(self, free: list[tuple[PeerOperator, int]]) -> PeerOperator:
        """Who was served the longest ago."""
        return min(free, key=lambda one: (one[0].served, one[0].name))[0]


class LeastLoad(PeerDesk):
    """As Zendesk's omnichannel routing: by priority and then by age, to whoever has the most capacity to spare."""

    def order(self, work: WorkChanged) -> Order:
        """By priority, then by age."""
        return (work.priority, work.time, work.aggregate)

    def choose(self, free: list[tuple[PeerOperator, int]]) -> PeerOperator:
        """Who has the most to spare; of equals, who was served the longest ago."""
        return min(free, key=lambda one: (one[1] - one[0].capacity, one[0].served, one[0].name))[0]


PEERS: dict[Literal["first come first served", "round robin", "least load"], type[PeerDesk]] = {
    "first come first served": FirstComeFirstServed,
    "round robin": RoundRobin,
    "least load": LeastLoad,
}
