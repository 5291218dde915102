"""The Decider of the desk: offers the first item in the queue to the least loaded operator, and takes it back when
nobody accepts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from agents.decider import At, StateNote, Timer
from agents.desk.evolve import evolve
from agents.desk.state import (
    DeskState,
    LapseNoted,
    LeaseNoted,
    Operator,
    OperatorForgotten,
    OperatorNoted,
    PresentOperator,
    RestNoted,
    RestsEnded,
    Row,
    WorkItem,
    WorkNoted,
    person_key,
    work_key,
)
from schemas.records import (
    Assigned,
    Candidate,
    Decided,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Record,
    Returned,
    ReturnReason,
    WorkChanged,
)
from schemas.times import rfc3339

#: The most candidates that an offer names.
CANDIDATES = 10

Events = Iterator[Decided | StateNote]


class DeskDecider:
    """Decides over the topic `desk`. State: one `WorkItem` per round of work and one `Operator` per person, by desk.

    Facts that count later, and durations from the policy in force (of leases, and of waits after a return), enter the
    state through notes.
    """

    record_types: ClassVar[Any] = Row
    reads: ClassVar[tuple[type[Record], ...]] = (WorkChanged, OperatorChanged, OfferAnswered)

    def initial(self) -> DeskState:
        """Returns an empty state."""
        return DeskState()

    def evolve(self, state: DeskState, event: Decided | StateNote) -> dict[str, Row | None]:
        """Returns the records that an event or a note changes."""
        return evolve(state, event)

    def due(self, record: Row) -> int | None:
        """Returns when (ms) the next offer, lease, or wait of an item after a return ends; None: nothing ends."""
        if isinstance(record, Operator):
            return record.until if record.gone_at is None else record.gone_at
        if record.status == "queued":
            return min((until for _, until in record.resting), default=None)
        return record.expires_at

    def decide(self, state: DeskState, fact: Any, at: At) -> Events:
        """Yields the events and notes that follow from a WorkChanged, OperatorChanged, OfferAnswered or timer; nothing
        for another fact.
        """
        match fact:
            case WorkChanged():
                yield from self._work(state, fact, at)
            case OperatorChanged():
                yield from self._operator(state, fact, at)
            case OfferAnswered():
                yield from self._answer(state, fact, at)
            case Timer():
                yield from self._woken(state, fact, at)

    def _work(self, state: DeskState, fact: WorkChanged, at: At) -> Events:
        item = state.item(work_key(fact.desk, fact.aggregate))
        if fact.change == "unknown" or (item is None) != (fact.change == "queued"):
            return
        if item is not None and fact.seq <= item.work_seq:
            return
        yield WorkNoted(fact)
        yield from self._offer(state, fact.desk, at.not_before(fact.time))

    def _operator(self, state: DeskState, fact: OperatorChanged, at: At) -> Events:
        key = person_key(fact.desk, fact.operator)
        if fact.change == "signed_out" and key in state:
            for item in state.hands(fact.desk, fact.operator):
                yield from self._return(item, "signed_out", at)
            yield OperatorNoted(fact)
        elif fact.change in ("signed_in", "renewed"):
            yield OperatorNoted(fact)
            if fact.until is None:
                yield LeaseNoted(key, at.time + at.policy.desk(fact.desk).lease)
        yield from self._offer(state, fact.desk, at)

    def _answer(self, state: DeskState, fact: OfferAnswered, at: At) -> Events:
        item = state.item(state.offers.get(fact.offer_id, ""))
        if item is None or item.operator != fact.operator or item.desk != fact.desk:
            return
        key = person_key(fact.desk, fact.operator)
        person = state.operator(key)
        until = at.time + at.policy.desk(fact.desk).lease
        if person is not None and person.until < until:
            yield LeaseNoted(key, until)
        at = at.not_before(item.last_event_at)
        if fact.answer == "accepted":
            waited_ms = max(0, at.time - item.queued_at)
            yield Assigned(
                **at.envelope(item.work_id, item.seq + 1, f"accepted: after {waited_ms // 1000} s in the queue"),
                desk=item.desk,
                case_id=item.case_id,
                brand=item.brand,
                operator=fact.operator,
                offer_id=fact.offer_id,
                waited_ms=waited_ms,
            )
        elif fact.answer == "declined":
            yield from self._return(item, "declined", at)
            yield from self._offer(state, fact.desk, at)

    def _woken(self, state: DeskState, fact: Timer, at: At) -> Events:
        row = state.get(fact.key)
        if isinstance(row, Operator):
            lapsing = row.gone_at is None
            for item in state.hands(row.desk, row.name):
                if item.status == "offered" or not lapsing:
                    yield from self._return(item, "lapsed", at)
            if lapsing:
                yield LapseNoted(fact.key, at.time + at.policy.desk(row.desk).return_after)
            else:
                yield OperatorForgotten(fact.key)
        elif isinstance(row, WorkItem):
            if row.status == "offered":
                yield from self._return(row, "timed_out", at)
            else:
                yield RestsEnded(fact.key, fact.at)
        if row is not None:
            yield from self._offer(state, row.desk, at)

    def _return(self, item: WorkItem, return_reason: ReturnReason, at: At) -> Events:
        """Puts the item back into the queue, in its old place; for a while it is not offered to the same operator."""
        operator, at = item.operator or "", at.not_before(item.last_event_at)
        yield Returned(
            **at.envelope(item.work_id, item.seq + 1, f"{return_reason}: {operator} had it {item.status}"),
            desk=item.desk,
            case_id=item.case_id,
            brand=item.brand,
            operator=operator,
            offer_id=item.offer_id or "",
            return_reason=return_reason,
            times=item.returns + 1,
        )
        until = at.time + at.policy.desk(item.desk).retry_after
        yield RestNoted(work_key(item.desk, item.work_id), operator, until)

    def _offer(self, state: DeskState, desk: str, at: At) -> Events:
        """Offers items, in the order of the queue, until no operator is free or no item can be offered. An item is
        passed over only while every free operator has given it back lately. So one pass looks at the items that the
        free operators have lately given back, and at one more item.
        """
        while desk in state.queues:
            present = state.present(desk, at.time)
            free = [f for f in present if f.load < f.operator.capacity]
            found = self._next(state, desk, free, len(present) == 1, at.time) if free else None
            if found is None:
                return
            yield self._offered(*found, at)

    def _next(
        self, state: DeskState, desk: str, free: list[PresentOperator], alone: bool, now: int
    ) -> tuple[WorkItem, list[PresentOperator]] | None:
        """Returns the first item that can be offered, with its candidates; None where there is none.

        A sole operator is offered again what they returned, after everything else.
        """
        again: WorkItem | None = None
        for item in state.queue(desk):
            resting = {name for name, until in item.resting if until > now}
            fit = [f for f in free if f.operator.name not in resting]
            if fit:
                return item, fit
            again = again or item
        return (again, free) if again is not None and alone else None

    def _offered(self, item: WorkItem, fit: list[PresentOperator], at: At) -> Offered:
        fit, at = sorted(fit, key=lambda f: _rank(f, item.lang)), at.not_before(item.last_event_at)
        best = fit[0].operator
        why = f"least_loaded: {', '.join(f'{f.operator.name} {f.load}/{f.operator.capacity}' for f in fit[:3])}"
        if len(fit) > 3:
            why += f" and {len(fit) - 3} more"
        if item.lang in best.languages:
            why += f"; {best.name} speaks {item.lang}"
        why += f"; first in the queue, {_by(item.due_at)}"
        return Offered(
            **at.envelope(item.work_id, item.seq + 1, why),
            desk=item.desk,
            case_id=item.case_id,
            brand=item.brand,
            channel=item.channel,
            author_id=item.author_id,
            operator=best.name,
            expires_at=at.time + at.policy.desk(item.desk).offer_timeout,
            due_at=item.due_at,
            label=item.label,
            priority=item.priority,
            mode=item.mode,
            candidates=[
                Candidate(operator=f.operator.name, load=f.load, capacity=f.operator.capacity) for f in fit[:CANDIDATES]
            ],
            lang=item.lang,
            url=item.url,
        )


def _rank(free: PresentOperator, lang: str) -> tuple[bool, float, int, str]:
    """Sort key of candidates: speaks the language, lower load per capacity, longer idle, name."""
    person = free.operator
    stranger = bool(person.languages) and lang != "und" and lang not in person.languages
    return stranger, free.load / person.capacity, person.idle_since, person.name


def _by(due: int | None) -> str:
    return "no target" if due is None else f"due {rfc3339(due)}"
