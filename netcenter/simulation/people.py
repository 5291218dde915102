"""Simulated operators over time: what they write, from their shifts and from what the desk writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import msgspec

from netcenter.simulation.reactions import answer_to, handling_ms
from netcenter.simulation.shifts import shifts_from
from netcenter.simulation.team import OperatorGroup, Team
from schemas import ids
from schemas.records import (
    Assigned,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Overflowed,
    Presence,
    Record,
    Reply,
    Returned,
    WorkChanged,
)

APP = "simulation"
"""The tool that the replies of simulated operators name."""
_SPARE = 60_000
"""ms by which the lease outlasts the shift: the operator signs out, or goes on, before it lapses."""
Records = dict[str, list[Record]]
"""By topic."""


class _Worker(msgspec.Struct):
    """An operator at work: they answer one case after the other, in the order in which they accepted them."""

    hand: list[str] = msgspec.field(default_factory=list)
    """The rounds of work that they have accepted."""
    begun: int = 0
    """A number that rises whenever they begin with a case or put it down."""


class SimulatedPeople:
    """A team at work. `tell` says what was written, `due` when somebody acts next, and `act` what they write.

    It reads no clock: `begin` and `act` are told the time. The same records and times give the same acts.
    """

    def __init__(self, team: Team) -> None:
        self._team = team
        self._workers = {name: _Worker() for name in team.members}
        self._offers: dict[str, Offered] = {}
        """The last offer of each round of work that somebody of the team is offered or holds."""
        self._planned: list[tuple[int, int, Callable[[int], Iterator[tuple[str, Record]]]]] = []
        """When (ms) somebody acts, a number that keeps the order, and the act."""
        self._number = self._begun = 0
        self._present: set[str] = set()
        """Who has signed in by a shift."""
        self._ended: set[str] = set()
        """The rounds of work that were answered or withdrawn. Records of two topics may be told in any order."""

    def begin(self, time: int) -> None:
        """Start at a time (ms): nobody acts before it, and whoever has a shift then signs in."""
        self._begun = time
        for name, group in self._team.members.items():
            self._next_shift(name, group, shifts_from(group.shifts, self._team.zone, time))

    def due(self) -> int | None:
        """ms; when somebody acts next; None: nobody does, unless more is told."""
        return self._planned[0][0] if self._planned else None

    def act(self, time: int) -> Records:
        """What the team writes up to a time (ms), by topic. Call it again until it is empty: what was written may lead on."""
        found: Records = {}
        while self._planned and self._planned[0][0] <= time:
            at, _, act = heappop(self._planned)
            for topic, record in act(at):
                found.setdefault(topic, []).append(record)
        return found

    def leave(self, time: int) -> Records:
        """What the team writes when it is stopped at a time (ms): whoever is signed in by a shift signs out."""
        members = ((name, self._team.members[name]) for name in sorted(self._present))
        return {"desk": [_presence(name, g, desk, time, "signed_out", None) for name, g in members for desk in g.desks]}

    def _plan(self, at: int, act: Callable[[int], Iterator[tuple[str, Record]]]) -> None:
        self._number += 1
        heappush(self._planned, (max(at, self._begun), self._number, act))

    # --- shifts ---------------------------------------------------------------------------------------------------

    def _next_shift(self, name: str, group: OperatorGroup, shifts: Iterator[tuple[int, int]]) -> None:
        shift = next(shifts, None)
        if shift is None:
            return
        begins, ends = shift

        def start(at: int) -> Iterator[tuple[str, Record]]:
            self._present.add(name)
            for desk in group.desks:
                yield "desk", _presence(name, group, desk, at, "signed_in", ends + _SPARE)
            self._plan_end(name, group, ends, shifts)

        self._plan(begins, start)

    def _plan_end(self, name: str, group: OperatorGroup, ends: int, shifts: Iterator[tuple[int, int]]) -> None:
        following = next((shift for shift in shifts if shift[1] > ends), None)

        def stop(at: int) -> Iterator[tuple[str, Record]]:
            goes_on = following is not None and following[0] <= ends
            if not goes_on:
                self._present.discard(name)
            for desk in group.desks:
                if goes_on and following is not None:
                    yield "desk", _presence(name, group, desk, at, "signed_in", following[1] + _SPARE)
                else:
                    yield "desk", _presence(name, group, desk, at, "signed_out", None)
            if following is None:
                return
            if goes_on:
                self._plan_end(name, group, following[1], shifts)
            else:
                self._next_shift(name, group, _then(following, shifts))

        self._plan(ends, stop)

    # --- what is written ------------------------------------------------------------------------------------------

    def tell(self, topic: str, records: list[Record]) -> None:
        """Take note of records of `assignments` and `desk`, in their order; others are ignored."""
        if topic == "assignments":
            for record in records:
                self._hear(record)
        elif topic == "desk":
            for record in records:
                if isinstance(record, WorkChanged) and record.change in ("answered", "withdrawn"):
                    self._ended.add(record.aggregate)
                    self._drop(record.aggregate, record.time)

    def _hear(self, record: Record) -> None:
        if isinstance(record, Offered):
            if record.operator in self._team.members and record.aggregate not in self._ended:
                self._offered(record)
        elif isinstance(record, Assigned):
            self._assigned(record)
        elif isinstance(record, Returned | Overflowed):
            self._drop(record.aggregate, record.time)

    def _offered(self, offer: Offered) -> None:
        self._offers[offer.aggregate] = offer
        answer = answer_to(offer, self._team)
        if answer is not None:
            self._plan(answer.at, lambda at: self._answer(offer, answer, at))

    def _answer(self, offer: Offered, answer: OfferAnswered, at: int) -> Iterator[tuple[str, Record]]:
        worker, held = self._workers[offer.operator], self._offers.get(offer.aggregate)
        if held is not None and held.id == offer.id and offer.aggregate not in worker.hand:
            yield "desk", msgspec.structs.replace(answer, at=at)

    def _assigned(self, assigned: Assigned) -> None:
        worker, offer = self._workers.get(assigned.operator), self._offers.get(assigned.aggregate)
        if worker is None or offer is None or offer.id != assigned.offer_id or assigned.aggregate in worker.hand:
            return
        worker.hand.append(assigned.aggregate)
        if len(worker.hand) == 1:
            self._start(worker, assigned.time)

    def _start(self, worker: _Worker, time: int) -> None:
        """The operator begins with the first case in their hand."""
        worker.begun += 1
        if not worker.hand:
            return
        offer, begun = self._offers[worker.hand[0]], worker.begun
        lasting = handling_ms(offer, self._team)
        if lasting is not None:
            self._plan(time + lasting, lambda at: self._reply(worker, offer, begun, at))

    def _reply(self, worker: _Worker, offer: Offered, begun: int, at: int) -> Iterator[tuple[str, Record]]:
        if worker.begun == begun:
            self._drop(offer.aggregate, at)
            yield "mentions", _reply_to(offer, at)

    def _drop(self, work_id: str, time: int) -> None:
        """A round of work is out of the hands of whoever was offered it or held it."""
        offer = self._offers.pop(work_id, None)
        worker = None if offer is None else self._workers[offer.operator]
        if worker is None or work_id not in worker.hand:
            return
        first = worker.hand[0] == work_id
        worker.hand.remove(work_id)
        if first:
            self._start(worker, time)


def _then(first: tuple[int, int], others: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    yield first
    yield from others


def _presence(
    name: str, group: OperatorGroup, desk: str, at: int, change: Presence, until: int | None
) -> OperatorChanged:
    signs_in = change == "signed_in"
    return OperatorChanged(
        id=ids.make("operator", desk, name, at, change),
        desk=desk,
        operator=name,
        change=change,
        at=at,
        until=until,
        capacity=group.capacity if signs_in else 3,
        languages=group.languages if signs_in else [],
        skills=group.skills if signs_in else [],
    )


def _reply_to(offer: Offered, at: int) -> Reply:
    """The operator's answer. Its id follows from the offer, so that it is written once however often it is sent."""
    native_id = f"{APP}-{offer.id}"
    return Reply(
        id=ids.reply(offer.brand, offer.channel, native_id),
        brand=offer.brand,
        channel=offer.channel,
        author_id=offer.author_id,
        native_id=native_id,
        created_at=at,
        received_at=at,
        kind="human",
        operator=offer.operator,
        app=APP,
    )
