"""The ladder: who is asked when nobody answers a case, and the case is kept for them."""

from __future__ import annotations

from collections.abc import Iterator

from agents.decider import At, StateNote
from agents.desk.index import DeskState
from agents.desk.plan import used
from agents.desk.state import LEAD, OPERATOR, RESPONSIBLE, ItemNoted, WorkItem
from agents.policy import Desk
from schemas.records import Decided, Escalated, Rung

Events = Iterator[Decided | StateNote]
_NAMES: dict[int, Rung] = {OPERATOR: "operator", RESPONSIBLE: "responsible", LEAD: "lead"}


def climb(
    state: DeskState, key: str, rung: int, why: str, at: At, *, asked: bool = False, timed: bool = False
) -> Events:
    """Tells that a case climbs to a rung, unless it is as high already, and keeps it for the person of that rung.

    An item that an operator has stays with them: whoever takes it over asks them. An item that waits is offered to that person
    alone for as long as an offer lasts, if they are signed in; after that they come first among those who are free.

    asked: an operator asked for it, so it is kept for that person until it climbs further, signed in or not. timed: it climbs for the
    time alone. Then nothing is told where the policy names nobody for the rung: a brand without operators would hear of each case.
    """
    item = state.item(key)
    if item is None or rung > LEAD or (item.rung >= rung and not asked):
        return
    desk = at.policy.desk(item.where)
    person = _person(item, desk, rung)
    if person is None and (timed or (rung != RESPONSIBLE and not asked)):
        return
    yield _escalated(state, item, rung, person, f"{why}{_nobody(state, item, desk.name)}", at)
    if rung == OPERATOR or person is None:
        return
    steps = item.steps
    if rung == RESPONSIBLE and desk.lead is not None:
        steps = tuple(sorted((*steps, (at.time + at.policy.alerts.unaccepted, "unaccepted"))))
    fields: dict[str, object] = {"steps": steps}
    if item.status == "queued":
        known = state.people.get(person)
        signed_in = known is not None and bool(known.taking)
        kept = at.policy.alerts.unaccepted if asked else desk.offer_timeout
        if item.window_closes_at is not None:
            # Whoever is not here must not keep a case until nobody can answer it any more.
            kept = max(0, min(kept, item.window_closes_at - desk.window_first - at.time))
        fields |= {
            "reserved_for": person,
            "reserved_until": at.time + kept if kept and (asked or signed_in) else 0,
            "resting": tuple(rest for rest in item.resting if rest[0] != person),
        }
    yield ItemNoted(key, fields)


def ask(state: DeskState, key: str, at: At) -> Events:
    """Asks the operator who accepted a case and has not answered it."""
    item = state.item(key)
    if item is None or item.operator is None:
        return
    desk = at.policy.desk(item.where)
    minutes = max(0, at.time - (item.asked_at or at.time) + desk.answer_within) // 60_000
    why = f"asked: {item.operator} has had the case for {minutes} min without an answer"
    yield _escalated(state, item, OPERATOR, item.operator, why, at)
    yield ItemNoted(key, {"unanswered_at": at.time + desk.return_unanswered})


def _person(item: WorkItem, desk: Desk, rung: int) -> str | None:
    if rung == OPERATOR:
        return item.operator
    return desk.responsible if rung == RESPONSIBLE else desk.lead


def _nobody(state: DeskState, item: WorkItem, desk: str) -> str:
    return "" if item.operator is not None or state.present(desk) else f"; nobody takes work at {desk}"


def _escalated(state: DeskState, item: WorkItem, rung: int, person: str | None, why: str, at: At) -> Escalated:
    at = at.not_before(item.last_event_at)
    return Escalated(
        **at.envelope(item.work_id, item.seq + 1, f"{_NAMES[rung]}: {why}"),
        desk=state.placed(item)[0],
        case_id=item.case_id,
        brand=item.brand,
        mode=item.mode,
        rung=_NAMES[rung],
        to=person or "",
        used=used(item, at.time),
    )
