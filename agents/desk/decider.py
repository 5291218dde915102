"""The Decider of the desk: offers the first in the queue to the least loaded operator, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar

from agents.decider import At, Timer
from agents.desk import state as st
from agents.desk.state import DeskState, Free, Item, Lapsed, Lease, Operator, Rests, Row
from schemas.records import (
    Assigned,
    Candidate,
    OfferAnswered,
    Offered,
    OperatorChanged,
    Record,
    Returned,
    ReturnReason,
    WorkChanged,
)

#: Candidates named in an offer.
CANDIDATES = 10

Events = Iterator[Any]


class DeskDecider:
    """Decides over `desk`. State: one `Item` per round of work and one `Operator` per person, by desk.

    What `decide` yields beside events goes through `evolve` only: the incoming WorkChanged, OperatorChanged
    or wake-up where it must be remembered, and the notes, which carry what the policy then in force said.
    """

    record_types: ClassVar[Any] = Row
    reads: ClassVar[tuple[type[Record], ...]] = (WorkChanged, OperatorChanged, OfferAnswered)

    def initial(self) -> DeskState:
        """An empty state."""
        return DeskState()

    def evolve(self, state: DeskState, event: Any) -> dict[str, Row | None]:
        """The records that an event, a note or a remembered fact changes."""
        return st.evolve(state, event)

    def due(self, record: Row) -> int | None:
        """ms; the end of an offer, of a rest, or of a lease."""
        if isinstance(record, Operator):
            return record.until if record.gone_at is None else record.gone_at
        if record.status == "queued":
            return min((until for _, until in record.resting), default=None)
        return record.expires_at

    def decide(self, state: DeskState, fact: Any, at: At) -> Events:
        """Events that follow from work, an operator, his answer or a wake-up; else nothing."""
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
        item = state.item(st.work_key(fact.desk, fact.aggregate))
        if fact.change == "unknown" or (item is None) != (fact.change == "queued"):
            return
        if item is not None and fact.seq <= item.work_seq:
            return
        yield fact
        yield from self._offer(state, fact.desk, at.not_before(fact.time))

    def _operator(self, state: DeskState, fact: OperatorChanged, at: At) -> Events:
        key = st.person_key(fact.desk, fact.operator)
        if fact.change == "left" and key in state:
            for item in state.hands(fact.desk, fact.operator):
                yield from self._return(item, "left", at)
            yield fact
        elif fact.change in ("came", "renewed"):
            yield fact
            if fact.until is None:
                yield Lease(key, at.time + at.policy.desk(fact.desk).lease)
        yield from self._offer(state, fact.desk, at)

    def _answer(self, state: DeskState, fact: OfferAnswered, at: At) -> Events:
        item = state.item(state.offers.get(fact.offer_id, ""))
        if item is None or item.operator != fact.operator or item.desk != fact.desk:
            return
        key = st.person_key(fact.desk, fact.operator)
        person = state.operator(key)
        until = at.time + at.policy.desk(fact.desk).lease
        if person is not None and person.until < until:
            yield Lease(key, until)
        at = at.not_before(item.told_at)
        if fact.answer == "accepted":
            waited = max(0, at.time - item.queued_at)
            yield Assigned(
                **at.envelope(item.work_id, item.seq + 1, f"accepted: after {waited // 1000} s in the queue"),
                desk=item.desk,
                case_id=item.case_id,
                brand=item.brand,
                operator=fact.operator,
                offer_id=fact.offer_id,
                waited=waited,
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
            yield Lapsed(fact.key, at.time + at.policy.desk(row.desk).return_after) if lapsing else fact
        elif isinstance(row, Item):
            if row.status == "offered":
                yield from self._return(row, "timed_out", at)
            else:
                yield fact
        if row is not None:
            yield from self._offer(state, row.desk, at)

    def _return(self, item: Item, why: ReturnReason, at: At) -> Events:
        """Back to the queue, in its old place, and for a while not to the same operator."""
        operator, at = item.operator or "", at.not_before(item.told_at)
        yield Returned(
            **at.envelope(item.work_id, item.seq + 1, f"{why}: {operator} had it {item.status}"),
            desk=item.desk,
            case_id=item.case_id,
            brand=item.brand,
            operator=operator,
            offer_id=item.offer_id or "",
            why=why,
            times=item.returns + 1,
        )
        until = at.time + at.policy.desk(item.desk).retry_after
        yield Rests(st.work_key(item.desk, item.work_id), operator, until)

    def _offer(self, state: DeskState, desk: str, at: At) -> Events:
        """Offers as long as there is work and somebody free for it.

        A queued item is passed over only when it rests for everybody who is free. So one pass looks at no
        more than what the free operators have lately given back, and one item more.
        """
        while desk in state.queues:
            present = state.present(desk, at.time)
            free = [f for f in present if f.load < f.operator.capacity]
            found = self._next(state, desk, free, len(present) == 1, at.time) if free else None
            if found is None:
                return
            yield self._offered(*found, at)

    def _next(
        self, state: DeskState, desk: str, free: list[Free], alone: bool, now: int
    ) -> tuple[Item, list[Free]] | None:
        """The first item in the queue with its candidates; whoever is alone gets what rests for him last."""
        again: Item | None = None
        for item in state.queue(desk):
            resting = {name for name, until in item.resting if until > now}
            fit = [f for f in free if f.operator.name not in resting]
            if fit:
                return item, fit
            again = again or item
        return (again, free) if again is not None and alone else None

    def _offered(self, item: Item, fit: list[Free], at: At) -> Offered:
        fit, at = sorted(fit, key=lambda f: _rank(f, item.lang)), at.not_before(item.told_at)
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


def _rank(free: Free, lang: str) -> tuple[bool, float, int, str]:
    """Who comes first: the language, the lower load for his capacity, the longer idle, the name."""
    person = free.operator
    stranger = bool(person.languages) and lang != "und" and lang not in person.languages
    return stranger, free.load / person.capacity, person.idle_since, person.name


def _by(due: int | None) -> str:
    return "no target" if due is None else f"due {datetime.fromtimestamp(due // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
