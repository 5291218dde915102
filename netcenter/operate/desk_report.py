"""`desk show`: the queue of a desk in its own order, who holds what, who is free, and to whom the next case goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agents.desk.index import DeskState
from agents.desk.outlook import Outlook, WaitingItem
from netcenter.operate.desk_explained import second_text
from netcenter.operate.desk_people import case_json, case_text, people_of, person_json, person_lines
from schemas.times import rfc3339
from sinks.readable import counted


def desk_text(state: DeskState, seen: Outlook, now: int) -> str:
    """A desk as lines of text; times in UTC. now: ms; how far the role desk has come."""
    lines = [f"{summary_line(state, seen)}; as the desk stands at {second_text(now)}", "", *_next(state, seen)]
    lines += ["", "queue" if seen.waiting else "queue: empty"]
    for place, case in enumerate(seen.waiting, 1):
        lines += [f"{place:>4}  {case_text(case.item, now)}", f"      {case.reason}{_until(case)}"]
    if (more := seen.queued - len(seen.waiting)) > 0:
        lines.append(f"      … and {more:,} more")
    people = people_of(state, seen.desk)
    lines += ["", "people" if people else "people: nobody is signed in"]
    for person in people:
        lines += [f"  {line}" for line in person_lines(state, person, now)]
    return "\n".join(lines)


def _until(case: WaitingItem) -> str:
    return f" until {second_text(case.item.reserved_until)}" if case.item.reserved_until else ""


def summary_line(state: DeskState, seen: Outlook) -> str:
    """A desk in a line: what waits, is offered and accepted, and who takes work."""
    offered = sum(item.status == "offered" for item in seen.held)
    takes = state.present(seen.desk)
    free = sum(state.people[name].room > 0 for name in state.desks.get(seen.desk, ()))
    return (
        f"{seen.desk}: {counted(seen.queued, 'case waits', 'cases wait')}, {offered:,} offered, {len(seen.held) - offered:,} accepted; "
        f"{counted(takes, 'operator takes', 'operators take')} work, {free:,} of them free"
    )


def _goes(seen: Outlook) -> WaitingItem | None:
    """The first case that somebody who is free may have; where nobody may have any, the first of all."""
    return next((case for case in seen.waiting if case.next is not None), seen.waiting[0] if seen.waiting else None)


def _next(state: DeskState, seen: Outlook) -> Iterator[str]:
    case = _goes(seen)
    if case is None:
        yield "next: nothing waits"
        return
    yield f"next: case {case.item.case_id}, {case.reason}"
    yield f"  to {case.next}" if case.next is not None else f"  to nobody now: {_why_nobody(state, seen.desk)}"


def _why_nobody(state: DeskState, desk: str) -> str:
    takes = [state.people[name] for name in sorted(state.desks.get(desk, ()))]
    if not takes:
        return "nobody takes work here: `netcenter operators sign-in`"
    free = [person.name for person in takes if person.room > 0]
    if not free:
        return f"all {len(takes)} who take work have as much as they can have: whoever is free first and may have it gets it"
    return f"{', '.join(free)} would have room, and cannot have it, or have given it back a short while ago"


def desk_json(state: DeskState, seen: Outlook, now: int) -> dict[str, Any]:
    """The same as `desk_text` for programs, without authors; times in RFC 3339."""
    case = _goes(seen)
    goes = None
    if case is not None:
        name, _, why = (case.next or "").partition(": ")
        goes = {
            "case_id": case.item.case_id,
            "reason": case.reason,
            "operator": name or None,
            "because": why or _why_nobody(state, seen.desk),
        }
    return {
        "desk": seen.desk,
        "now": rfc3339(now),
        "queued": seen.queued,
        "next": goes,
        "queue": [{**case_json(case.item), "reason": case.reason} for case in seen.waiting],
        "people": [person_json(state, person) for person in people_of(state, seen.desk)],
    }
