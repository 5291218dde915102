"""`desk explain`: each offer, return and escalation of a case in words, and what it waits for now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agents.desk.state import WorkItem
from netcenter.operate.work_history import WorkHistory
from schemas import jsonform
from schemas.records import (
    Assigned,
    Candidate,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Overflowed,
    Returned,
    WorkEvent,
)
from schemas.times import rfc3339
from sinks.readable import counted, duration

_WIDTH = 22
"""The width of the column of headings and times, in characters."""
_RETURNED = {
    "declined": "{0} declines",
    "timed_out": "{0} has not answered the offer in time",
    "signed_out": "{0} has signed out",
    "lapsed": "the lease of {0} has run out",
    "unanswered": "{0} has the case, and has not answered the customer in time",
    "escalated": "{0} has escalated it",
    "no_room": "the customer has written again, and {0} has no room for it any more",
    "paused": "{0} pauses",
    "unknown": "{0} has it no more, for a reason that this release does not know",
}
_LIMITS = {
    "customer": "this customer has had one a short while ago",
    "account": "the brand has sent as many on this channel as an hour may have",
    "conversation": "this conversation has had one",
    "unknown": "of a limit that this release does not know",
}


def history_text(history: WorkHistory, item: WorkItem | None, now: int) -> str:
    """The way of a case through the desks, as lines of text, each with a heading or its time in front; times in UTC.

    item: the case's work that is at a desk now; None: there is none. now: ms; how far the desk has come.
    """
    lines = [("case", history.case_id)]
    for number, events in enumerate(history.rounds, 1):
        first = events[0]
        lines.append((f"round {number}", f"{first.aggregate}, at the desk {first.desk}"))  # type: ignore[attr-defined]
        for event in events:
            lines += [(second_text(event.time), what) if not n else ("", what) for n, what in enumerate(_told(event))]
    lines += [("now" if not n else "", what) for n, what in enumerate(waits_for(item, now))]
    return "\n".join(f"{heading:<{_WIDTH}}{text}".rstrip() for heading, text in lines)


def history_json(history: WorkHistory, item: WorkItem | None, now: int) -> dict[str, Any]:
    """The same for programs, without authors."""
    rounds = [
        [{"type": type(event).__name__, **without_authors(jsonform.fields(event))} for event in events]
        for events in history.rounds
    ]
    return {"case_id": history.case_id, "rounds": rounds, "now": " ".join(waits_for(item, now))}


def without_authors(value: Any) -> Any:
    """A record's fields without `author_id`, at every depth."""
    if isinstance(value, dict):
        return {name: without_authors(one) for name, one in value.items() if name != "author_id"}
    return [without_authors(one) for one in value] if isinstance(value, list) else value


def waits_for(item: WorkItem | None, now: int) -> Iterator[str]:
    """What a case waits for, in a line or two. now: ms."""
    if item is None:
        yield "it waits at no desk: the customer was answered, or needs no answer any more"
        return
    since = f"{second_text(item.queued_at)}, {duration(max(0, now - item.queued_at))} ago"
    due = "no answer is promised" if item.due_at is None else due_text(item.due_at, now)
    if item.status == "offered":
        until = "" if item.expires_at is None else f", until {second_text(item.expires_at)}"
        yield f"it waits for {item.operator} to accept it{until}; {due}"
        yield f"in their place: netcenter operators accept {item.operator} {item.offer_id} --desk {item.where}"
    elif item.status == "assigned":
        if item.waiting:
            yield f"{item.operator} has it, and waits for the customer to write"
        else:
            yield f"it waits for an answer of {item.operator} to the customer; {due}"
    else:
        yield f"it waits in the queue of {item.where}, since {since}; {due}"
        yield f"who is before it, and who is free: netcenter desk show {item.where}"
        if item.reserved_for is not None:
            alone = f", alone until {second_text(item.reserved_until)}" if item.reserved_until else ""
            yield f"it is kept for {item.reserved_for}{alone}"


def second_text(ms: int) -> str:
    """A moment to the second, `2026-11-20 14:03:00`, in UTC."""
    return rfc3339(ms // 1000 * 1000).replace("T", " ").removesuffix("Z")


def due_text(due_at: int, now: int) -> str:
    """When an answer is due, against now; both ms."""
    return f"due in {duration(due_at - now)}" if due_at > now else f"overdue for {duration(now - due_at)}"


def _told(event: WorkEvent) -> Iterator[str]:
    """What an event says, in a line, and then its reason."""
    yield _what(event)
    if isinstance(event, Offered) and event.candidates:
        yield f"  candidates: {candidates_text(event.candidates)}"
    yield f"  because: {event.reason}"


def _what(event: WorkEvent) -> str:
    match event:
        case Offered():
            return f"offered to {event.operator} at {event.desk}, until {second_text(event.expires_at)}; priority {event.priority}"
        case Assigned():
            return f"{event.operator} accepts, {duration(event.waited_ms)} after it was queued"
        case Returned():
            why = _RETURNED[event.return_reason].format(event.operator)
            return f"{why}: back in the queue of {event.desk}, returned {counted(event.times, 'time', 'times')} so far"
        case Overflowed():
            return f"goes on from {event.desk} to the desk {event.next_desk}"
        case HoldingReplyDue():
            return _holding(event)
        case HoldingReplyCancelled():
            return "the holding reply is taken back: it must not be sent any more"
        case Escalated():
            used = f"; {event.used} % of the target are used" if event.used else ""
            return f"climbs to the rung {event.rung}: {event.to or 'the policy names nobody'} is asked{used}"
        case _:
            return type(event).__name__


def _holding(event: HoldingReplyDue) -> str:
    text = f"the holding reply {event.template} in {event.lang}"
    if event.suppressed is not None:
        return f"{text} is not sent: {_LIMITS[event.suppressed]}"
    if event.dry_run:
        return f"{text} would be sent: the brand is in shadow mode"
    return f"{text} is due, until {second_text(event.expires_at)}"


def candidates_text(candidates: Sequence[Candidate]) -> str:
    """Who could have had it, the best first, with their load and capacity."""
    return ", ".join(f"{one.operator} {one.load}/{one.capacity}" for one in candidates)
