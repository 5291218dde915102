"""How events and notes change the state of a desk."""

from __future__ import annotations

from typing import TypeVar

from msgspec.structs import replace

from agents.decider import StateNote
from agents.desk.state import (
    RESTING,
    DeskState,
    LapseNoted,
    LeaseNoted,
    Operator,
    OperatorForgotten,
    OperatorNoted,
    RestNoted,
    RestsEnded,
    Row,
    WorkItem,
    WorkNoted,
    person_key,
    work_key,
)
from schemas.records import Assigned, Decided, Offered, OperatorChanged, Returned, WorkChanged

R = TypeVar("R", WorkItem, Operator)
Changes = dict[str, Row | None]
"""Key to new record; None: removed."""


def evolve(state: DeskState, event: Decided | StateNote) -> Changes:
    """Returns the records that an event or a note changes. Raises LookupError where the record is missing."""
    match event:
        case WorkNoted():
            return _work(state, event.work)
        case OperatorNoted():
            return _operator(state, event.operator)
        case LeaseNoted():
            person = _existing(state.operator(event.key), event.key)
            return {event.key: replace(person, until=event.until, gone_at=None)}
        case LapseNoted():
            person = _existing(state.operator(event.key), event.key)
            return {event.key: replace(person, gone_at=event.gone_at)}
        case OperatorForgotten():
            return {event.key: None}
        case RestNoted():
            item = _existing(state.item(event.key), event.key)
            others = tuple(r for r in item.resting if r[0] != event.operator)
            return {event.key: replace(item, resting=(*others, (event.operator, event.until))[-RESTING:])}
        case RestsEnded():
            item = _existing(state.item(event.key), event.key)
            return {event.key: replace(item, resting=tuple(r for r in item.resting if r[1] > event.at))}
        case Offered() | Assigned() | Returned():
            return _decided(state, event)
    raise TypeError(f"the desk cannot apply {type(event).__name__}")


def _decided(state: DeskState, event: Offered | Assigned | Returned) -> Changes:
    key = work_key(event.desk, event.aggregate)
    item = replace(_existing(state.item(key), key), seq=event.seq, last_event_at=event.time)
    match event:
        case Offered():
            offered = replace(
                item, status="offered", operator=event.operator, offer_id=event.id, expires_at=event.expires_at
            )
            return {key: offered}
        case Assigned():
            return {key: replace(item, status="assigned", expires_at=None)}
        case Returned():
            back = replace(item, status="queued", operator=None, offer_id=None, expires_at=None, returns=event.times)
            return {key: back, **_freed(state, event.desk, event.operator, event.time)}


def _work(state: DeskState, fact: WorkChanged) -> Changes:
    key = work_key(fact.desk, fact.aggregate)
    old = state.item(key)
    if fact.change in ("answered", "withdrawn"):
        freed = _freed(state, fact.desk, old.operator, fact.time) if old is not None and old.operator else {}
        return {key: None, **freed}
    if old is not None:
        changed = replace(
            old,
            label=fact.label,
            priority=fact.priority,
            mode=fact.mode,
            due_at=fact.due_at,
            lang=fact.lang,
            url=fact.url,
            work_seq=fact.seq,
            last_event_at=max(old.last_event_at, fact.time),
        )
        return {key: changed}
    item = WorkItem(
        desk=fact.desk,
        work_id=fact.aggregate,
        case_id=fact.case_id,
        brand=fact.brand,
        channel=fact.channel,
        author_id=fact.author_id,
        label=fact.label,
        priority=fact.priority,
        mode=fact.mode,
        due_at=fact.due_at,
        lang=fact.lang,
        url=fact.url,
        queued_at=fact.time,
        work_seq=fact.seq,
        last_event_at=fact.time,
    )
    return {key: item}


def _operator(state: DeskState, fact: OperatorChanged) -> Changes:
    key = person_key(fact.desk, fact.operator)
    if fact.change == "signed_out":
        return {key: None}
    old = state.operator(key)
    person = Operator(
        desk=fact.desk,
        name=fact.operator,
        capacity=fact.capacity,
        languages=tuple(fact.languages),
        until=fact.at if fact.until is None else fact.until,
        idle_since=fact.at if old is None else old.idle_since,
    )
    return {key: person}


def _freed(state: DeskState, desk: str, operator: str, time: int) -> Changes:
    """The operator's record, idle since `time` (ms)."""
    key = person_key(desk, operator)
    person = state.operator(key)
    return {} if person is None else {key: replace(person, idle_since=time)}


def _existing(row: R | None, key: str) -> R:
    if row is None:
        raise LookupError(f"the desk has no record {key}: the log and the state disagree")
    return row
