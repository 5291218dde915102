"""How events and notes change the records of the desk."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from agents.decider import StateNote
from agents.desk.index import DeskState
from agents.desk.state import (
    LEAD,
    OPERATOR,
    POSTS,
    RESPONSIBLE,
    ItemNoted,
    Operator,
    PresenceNoted,
    Row,
    RowNoted,
    SignInNoted,
    WorkItem,
    WorkNoted,
    person_key,
    work_key,
)
from schemas.records import (
    Assigned,
    Decided,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Overflowed,
    Returned,
    WorkChanged,
)

Changes = dict[str, Row | None]
"""Key to new record; None: removed."""
WorkHistory = Offered | Assigned | Returned | Overflowed | HoldingReplyDue | HoldingReplyCancelled | Escalated
RUNGS = {"operator": OPERATOR, "responsible": RESPONSIBLE, "lead": LEAD}


def evolve(state: DeskState, event: Decided | StateNote) -> Changes:
    """Returns the records that an event or a note changes. Raises LookupError where the record is missing."""
    match event:
        case WorkNoted():
            return _work(state, event)
        case ItemNoted():
            return {event.key: replace(_existing(state.item(event.key), event.key), **event.fields)}
        case SignInNoted():
            return _signed_in(state, event)
        case PresenceNoted():
            return {event.key: replace(_present(state, event.key), **event.fields)}
        case RowNoted():
            return {event.key: event.row}
        case (
            Offered()
            | Assigned()
            | Returned()
            | Overflowed()
            | HoldingReplyDue()
            | HoldingReplyCancelled()
            | Escalated()
        ):
            return _decided(state, event)
    raise TypeError(f"the desk cannot apply {type(event).__name__}")


def _decided(state: DeskState, event: WorkHistory) -> Changes:
    found = _existing(state.work(event.aggregate), event.aggregate)
    key = state.works[event.aggregate]
    item = replace(found, seq=event.seq, last_event_at=event.time)
    match event:
        case Offered():
            offer: dict[str, Any] = {"operator": event.operator, "offer_id": event.id, "expires_at": event.expires_at}
            offer["through"] = _through(state, item, event.operator)
            return {key: replace(item, status="offered", reserved_for=None, reserved_until=0, **offer)}
        case Assigned():
            return {key: replace(item, status="assigned", expires_at=None)}
        case Returned():
            back = replace(
                item,
                status="queued",
                operator=None,
                offer_id=None,
                expires_at=None,
                returns=event.times,
                waiting=False,
                asked_at=None,
                unanswered_at=None,
                through=None,
            )
            return {key: back, **_freed(state, event.operator, event.time)}
        case Overflowed():
            return {key: replace(item, overflowed_to=event.next_desk, passed_desks=(*item.passed_desks, event.desk))}
        case HoldingReplyDue():
            if event.suppressed is not None:
                return {key: replace(item, held=True)}
            return {key: replace(item, held=True, holding_id=event.id, holding_until=event.expires_at)}
        case HoldingReplyCancelled():
            return {key: replace(item, holding_id=None, holding_until=0)}
        case Escalated():
            return {key: replace(item, rung=max(item.rung, RUNGS.get(event.rung, 0)))}


def _work(state: DeskState, note: WorkNoted) -> Changes:
    fact = note.work
    key = work_key(fact.desk, fact.aggregate)
    old = state.item(key)
    if fact.change in ("answered", "withdrawn"):
        return {key: None, **(_freed(state, old.operator, fact.time) if old is not None and old.operator else {})}
    if old is None:
        return {key: _item(fact, note)}
    return {key: _changed(old, fact, note)}


def _item(fact: WorkChanged, note: WorkNoted) -> WorkItem:
    return WorkItem(
        desk=fact.desk,
        work_id=fact.aggregate,
        case_id=fact.case_id,
        brand=fact.brand,
        channel=fact.channel,
        author_id=fact.author_id,
        queued_at=fact.time,
        last_event_at=fact.time,
        **_of_cases(fact, note),
    )


def _changed(old: WorkItem, fact: WorkChanged, note: WorkNoted) -> WorkItem:
    return replace(old, last_event_at=max(old.last_event_at, fact.time), waiting=note.waits, **_of_cases(fact, note))


def _of_cases(fact: WorkChanged, note: WorkNoted) -> dict[str, Any]:
    """The fields that follow a WorkChanged."""
    posts = fact.posts if len(fact.posts) <= POSTS else [*fact.posts[: POSTS // 2], *fact.posts[-POSTS // 2 :]]
    return {
        "label": fact.label,
        "priority": fact.priority,
        "mode": fact.mode,
        "due_at": fact.due_at,
        "lang": fact.lang,
        "url": fact.url,
        "work_seq": fact.seq,
        "started_at": fact.started_at,
        "visibility": fact.visibility,
        "non_sla": fact.non_sla,
        "uncertain": fact.uncertain,
        "share": fact.share,
        "window_closes_at": fact.window_closes_at,
        "conversation": fact.conversation,
        "posts": tuple(posts),
        "skills": tuple(fact.skills),
        "weight": note.weight,
        "steps": note.steps,
        "together": fact.together,
        "awaits": fact.waiting,
    }


def _signed_in(state: DeskState, note: SignInNoted) -> Changes:
    """The operator at this desk, and at their other desks the capacity that they have from now on."""
    shift = note.shift
    key = person_key(shift.desk, shift.name)
    old = state.operator(key)
    known = state.people.get(shift.name)
    changed: Changes = {}
    for desk, row in known.rows.items() if known is not None else ():
        if desk != shift.desk and row.capacity != shift.capacity:
            changed[person_key(desk, shift.name)] = replace(row, capacity=shift.capacity)
    rows = known.rows.values() if known is not None else ()
    pauses = [row.paused_until for row in rows if row.paused_until is not None and row.paused_until > note.at]
    changed[key] = Operator(
        desk=shift.desk,
        name=shift.name,
        capacity=shift.capacity,
        languages=shift.languages,
        skills=shift.skills,
        until=note.until,
        idle_since=note.at if old is None or old.left else old.idle_since,
        said_at=shift.begins_at,
        paused_until=max(pauses, default=None),
    )
    return changed


def _through(state: DeskState, item: WorkItem, operator: str) -> str:
    """The desk through which an operator gets an item: the item's own where they work there."""
    desk = state.placed(item)[0]
    taking = state.people[operator].taking
    return desk if desk in taking or not taking else min(taking)


def _freed(state: DeskState, operator: str, time: int) -> Changes:
    """The operator's records, idle since `time` (ms)."""
    known = state.people.get(operator)
    if known is None:
        return {}
    return {
        person_key(desk, operator): replace(row, idle_since=time) for desk, row in known.rows.items() if not row.left
    }


def _present(state: DeskState, key: str) -> Operator:
    row = state.operator(key)
    if row is None:
        raise LookupError(f"the desk has no operator {key}: the log and the state disagree")
    return row


def _existing(row: WorkItem | None, key: str) -> WorkItem:
    if row is None:
        raise LookupError(f"the desk has no item {key}: the log and the state disagree")
    return row
