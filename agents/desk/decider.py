"""The Decider of the desk: each case to exactly one operator, in the order and to the person that the policy's desk says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec.structs import replace

from agents.decider import At, StateNote, Timer
from agents.desk import holding_replies, ladder, offers, presence
from agents.desk.evolve import evolve
from agents.desk.index import ROOT, DeskState
from agents.desk.plan import steps_of
from agents.desk.state import (
    OPERATOR,
    RESPONSIBLE,
    DeskCustomer,
    HoldingCount,
    ItemNoted,
    Operator,
    PlannedShift,
    Row,
    RowNoted,
    RunningCrisis,
    Step,
    Turns,
    WorkItem,
    WorkNoted,
    crisis_key,
    work_key,
)
from schemas.records import (
    CrisisClosed,
    CrisisOpened,
    Decided,
    OfferAnswered,
    OperatorChanged,
    Record,
    WorkChanged,
)

Events = Iterator[Decided | StateNote]
#: ms; how long an operator who has escalated a case is not offered it again.
_GIVEN_UP = 86_400_000
#: ms; how long a crisis that is over is remembered: as long as the topic keeps its beginning.
_COPIES = 30 * 86_400_000


class DeskDecider:
    """Decides over the topic `desk`. State: a record for each round of work and each operator at a desk, and small ones for crises,
    customers and turns.

    Facts that count later, and durations from the policy in force, enter the state through notes.
    """

    record_types: ClassVar[Any] = Row
    reads: ClassVar[tuple[type[Record], ...]] = (
        WorkChanged,
        OperatorChanged,
        OfferAnswered,
        CrisisOpened,
        CrisisClosed,
    )

    def __init__(self, together: bool = True) -> None:
        """together: whether all desks are in one partition. Beside release 0.1.0 each desk is in its own."""
        self.together = together

    def initial(self) -> DeskState:
        """Returns an empty state."""
        return DeskState()

    def evolve(self, state: DeskState, event: Decided | StateNote) -> dict[str, Row | None]:
        """Returns the records that an event or a note changes."""
        return evolve(state, event)

    def due(self, record: Row) -> int | None:
        """Returns when (ms) something is to be done about a record; None: nothing is."""
        match record:
            case WorkItem():
                return record.due() if record.together or not self.together else record.queued_at
            case Operator():
                return record.due()
            case PlannedShift():
                return record.begins_at
            case DeskCustomer():
                return max(record.answered_until, record.held_until)
            case HoldingCount():
                return record.until
            case RunningCrisis():
                return None if record.over_at is None else record.over_at + _COPIES
            case Turns():
                return None

    def decide(self, state: DeskState, fact: Any, at: At) -> Events:
        """Yields the events and notes that follow from a fact or a timer; nothing for another fact."""
        match fact:
            case WorkChanged():
                yield from self._work(state, fact, at)
            case OperatorChanged():
                yield from presence.changed(state, fact, at)
            case OfferAnswered():
                yield from _answer(state, fact, at)
            case CrisisOpened() | CrisisClosed():
                yield from _crisis(state, fact, at)
            case Timer():
                yield from self._woken(state, fact, at)

    def _work(self, state: DeskState, fact: WorkChanged, at: At) -> Events:
        key = work_key(fact.desk, fact.aggregate)
        item = state.item(key)
        if fact.change == "unknown" or (self.together and not fact.together):
            return
        if (item is None and fact.change != "queued") or (item is not None and fact.seq <= item.work_seq):
            return
        at = at.not_before(fact.time)
        if item is None:
            yield from _queued(state, key, fact, at)
        elif fact.change in ("answered", "withdrawn"):
            yield from _ended(state, key, item, fact, at)
        else:
            yield from _changed(state, key, item, fact, at)

    def _woken(self, state: DeskState, fact: Timer, at: At) -> Events:
        row = state.get(fact.key)
        match row:
            case WorkItem() if self.together and not row.together:
                yield RowNoted(fact.key, None)
            case WorkItem():
                yield from _item_woken(state, fact.key, row, at)
            case Operator():
                yield from presence.woken(state, fact.key, row, at)
            case PlannedShift():
                yield from presence.begins(state, fact.key, row, at)
            case DeskCustomer() | HoldingCount() | RunningCrisis():
                yield RowNoted(fact.key, None)


# --- work ----------------------------------------------------------------------------------------------------------


def _queued(state: DeskState, key: str, fact: WorkChanged, at: At) -> Events:
    desk = at.policy.desk(fact.desk)
    yield WorkNoted(fact, desk.weight(fact.channel, fact.label), steps_of(fact, None, desk, at))
    if state.present(fact.desk) == 0:
        if desk.holding is not None and desk.holding.closed:
            yield from holding_replies.due(state, key, at)
        yield from offers.overflow(state, key, at)
    if fact.escalated:
        yield from _escalated(state, key, fact, at)
    yield from _of_a_crisis(state, key, at)
    yield from offers.place(state, key, at)


def _changed(state: DeskState, key: str, item: WorkItem, fact: WorkChanged, at: At) -> Events:
    desk = at.policy.desk(item.where)
    person = state.people.get(item.operator) if item.operator is not None else None
    waits = fact.waiting and desk.wait_frees and item.status == "assigned"
    if item.waiting and not waits and person is not None and not person.has_room(item.weight):
        yield from offers.returned(state, key, "no_room", at, rest=0)
    item = state.item(key) or item
    weight = desk.weight(fact.channel, fact.label) if item.status == "queued" else item.weight
    yield WorkNoted(fact, weight, steps_of(fact, item, desk, at), waits)
    if item.status == "assigned" and item.waiting != waits:
        yield ItemNoted(key, {"asked_at": None if waits else at.time + desk.answer_within, "unanswered_at": None})
    if fact.escalated:
        yield from _escalated(state, key, fact, at)
    yield from _of_a_crisis(state, key, at)
    yield from offers.place(state, key, at)
    if person is not None:
        yield from offers.fill(state, person.name, at)


def _ended(state: DeskState, key: str, item: WorkItem, fact: WorkChanged, at: At) -> Events:
    yield from holding_replies.cancelled(state, key, f"the work is {fact.change}", at)
    yield WorkNoted(fact)
    if fact.change == "answered":
        known = state.get(item.customer)
        held_until = known.held_until if isinstance(known, DeskCustomer) else 0
        until = at.time + at.policy.desk(item.where).same_operator
        operator = fact.operator or item.operator
        yield RowNoted(item.customer, DeskCustomer(operator=operator, answered_until=until, held_until=held_until))
    if item.operator is not None:
        yield from offers.fill(state, item.operator, at)


def _escalated(state: DeskState, key: str, fact: WorkChanged, at: At) -> Events:
    """An operator asks that the person responsible takes the case, or the lead where that person asks."""
    item = state.item(key)
    if item is None:
        return
    desk = at.policy.desk(item.where)
    own = fact.escalated_by is not None and fact.escalated_by == desk.responsible
    rung = RESPONSIBLE + 1 if own else RESPONSIBLE
    person = desk.lead if rung > RESPONSIBLE else desk.responsible
    holder = item.operator
    if holder is not None and holder != person:
        yield from offers.returned(state, key, "escalated", at, rest=_GIVEN_UP, climbs=False)
    elif holder is None and fact.escalated_by is not None and fact.escalated_by != person:
        yield ItemNoted(key, {"resting": item.resting_with(fact.escalated_by, at.time + _GIVEN_UP)})
    by = fact.escalated_by or "an operator"
    yield from ladder.climb(state, key, rung, f"{by} asks for it", at, asked=True)
    if holder is not None and holder != person:
        yield from offers.place(state, key, at)
        yield from offers.fill(state, holder, at)


def _answer(state: DeskState, fact: OfferAnswered, at: At) -> Events:
    key = state.offers.get(fact.offer_id) if fact.offer_id else _open_offer(state, fact)
    item = None if key is None else state.item(key)
    if key is None or item is None or item.operator != fact.operator:
        return
    yield from presence.signs_of_life(state, fact.operator, at)
    at = at.not_before(item.last_event_at)
    if fact.answer == "accepted":
        yield from offers.accepted(state, key, at)
        yield from offers.fill(state, fact.operator, at)
    elif fact.answer == "declined":
        yield from offers.returned(state, key, "declined", at)
        yield from offers.fill(state, fact.operator, at)
        yield from offers.place(state, key, at)


def _open_offer(state: DeskState, fact: OfferAnswered) -> str | None:
    """The key of the operator's open offer of a customer's case."""
    customer = fact.brand, fact.channel, fact.author_id
    for key, item in state.hands(fact.operator):
        if item.status == "offered" and (item.brand, item.channel, item.author_id) == customer:
            return key
    return None


# --- crises --------------------------------------------------------------------------------------------------------


def _crisis(state: DeskState, fact: CrisisOpened | CrisisClosed, at: At) -> Events:
    """A crisis begins or is over: the work of its brand has other places from now on."""
    key, at = crisis_key(fact.aggregate), at.not_before(fact.time)
    before = state.get(key)
    if isinstance(fact, CrisisClosed):
        if not isinstance(before, RunningCrisis) or before.over_at is not None:
            return
        yield RowNoted(key, replace(before, over_at=at.time))
    elif before is not None:
        return
    else:
        desk = at.policy.desk(at.policy.brand(fact.brand).desk)
        behind = max((rule.priority for rule in at.policy.rules if "complaint" in rule.match.label), default=0)
        yield RowNoted(
            key,
            RunningCrisis(
                crisis=fact.aggregate, brand=fact.brand, root=fact.root, team=desk.crisis_desk, behind=behind
            ),
        )
        for about in [*state.works.values()]:
            yield from _of_a_crisis(state, about, at)
    yield from offers.fill_all(state, state.free, at)


def _of_a_crisis(state: DeskState, key: str, at: At) -> Events:
    """The case of the author whose post a crisis is about goes to the person responsible."""
    item = state.item(key)
    if item is not None and item.rung < RESPONSIBLE and state.placed(item)[1] == ROOT:
        yield from ladder.climb(state, key, RESPONSIBLE, "a crisis is about its post", at)
        yield from offers.place(state, key, at)


# --- timers --------------------------------------------------------------------------------------------------------


def _item_woken(state: DeskState, key: str, item: WorkItem, at: At) -> Events:
    """All that is due for an item, in this order: its offer or its silence ends, reservations and rests end, then its steps."""
    holder = item.operator
    if item.status == "offered" and item.expires_at is not None and item.expires_at <= at.time:
        yield from offers.returned(state, key, "timed_out", at)
    elif item.status == "assigned" and not item.waiting:
        if item.unanswered_at is not None and item.unanswered_at <= at.time:
            yield from offers.returned(state, key, "unanswered", at)
        elif item.unanswered_at is None and item.asked_at is not None and item.asked_at <= at.time:
            yield from ladder.ask(state, key, at)
    waits = state.item(key)
    if waits is not None and waits.status == "queued":
        ended: dict[str, Any] = {"resting": tuple(rest for rest in waits.resting if rest[1] > at.time)}
        if 0 < waits.reserved_until <= at.time:
            ended["reserved_until"] = 0
        yield ItemNoted(key, ended)
    while (due := state.item(key)) is not None and due.steps and due.steps[0][0] <= at.time:
        yield ItemNoted(key, {"steps": due.steps[1:]})
        yield from _stepped(state, key, due.steps[0][1], at)
    if holder is not None:
        yield from offers.fill(state, holder, at)
    yield from offers.place(state, key, at)


def _stepped(state: DeskState, key: str, step: Step, at: At) -> Events:
    item = state.item(key)
    if item is None:
        return
    desk = at.policy.desk(item.where)
    match step:
        case "relax":
            yield ItemNoted(key, {"relaxed": item.relaxed + 1})
        case "holding":
            yield from holding_replies.due(state, key, at)
        case "operator":
            lonely = item.operator is None and state.present(item.where) == 0
            rung = RESPONSIBLE if lonely else OPERATOR
            yield from ladder.climb(state, key, rung, f"{desk.ladder.operator} % of its target is used", at, timed=True)
        case "responsible":
            yield from ladder.climb(
                state, key, RESPONSIBLE, f"{desk.ladder.responsible} % of its target is used", at, timed=True
            )
        case "lead":
            yield from ladder.climb(
                state, key, RESPONSIBLE + 1, f"{desk.ladder.lead} % of its target is used", at, timed=True
            )
        case "unaccepted" if item.status != "assigned":
            minutes = at.policy.alerts.unaccepted // 60_000
            yield from ladder.climb(
                state, key, RESPONSIBLE + 1, f"nobody has accepted it for {minutes} min", at, timed=True
            )
        case "overflow" if item.status == "queued":
            yield from offers.overflow(state, key, at)
        case "overflow" if item.status == "offered":
            again = (at.time + desk.offer_timeout, step)
            yield ItemNoted(key, {"steps": tuple(sorted((*item.steps, again)))})
