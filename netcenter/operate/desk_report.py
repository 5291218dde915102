"""`desk show`: the queue of a desk in its own order, who holds what, who is free, and to whom the next case goes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from agents.desk.choice import Choice, choose
from agents.desk.index import DeskState, Person
from agents.desk.order import in_order
from agents.desk.state import Turns, WorkItem, turns_key
from agents.policy import Policy
from netcenter.operate.desk_explained import candidates_text, second_text
from netcenter.operate.desk_people import case_json, case_text, people_of, person_json, person_lines
from schemas.times import rfc3339
from sinks.readable import counted


class QueuedCase(NamedTuple):
    """A case in a queue, and why it has its place."""

    item: WorkItem
    reason: str


class DeskView(NamedTuple):
    """A desk at a moment."""

    desk: str
    now: int
    """ms; how far the role desk has come."""
    waiting: int
    """Cases in the queue."""
    queue: list[QueuedCase]
    """The first of them, in the order in which they would be offered to somebody who may have each."""
    next: QueuedCase | None
    """The first that somebody who is free may have; where nobody may have any, the first of the queue."""
    goes_to: Choice | None
    """To whom it goes."""
    kept: list[WorkItem]
    """Cases that only one person is offered now."""
    people: list[Person]


def view_of(state: DeskState, desk: str, policy: Policy, now: int, most: int) -> DeskView:
    """A desk as its state and the policy in force have it. now: ms. most: so many cases of the queue."""
    queue = state.queues.get(desk)
    cases = list[QueuedCase]()
    waiting = 0
    if queue is not None:
        waiting = sum(len(places) for wants in queue.classes.values() for places in wants.values())
        turns = state.get(turns_key(desk))
        known = turns if isinstance(turns, Turns) else Turns()
        for pick in in_order(queue, state.item, policy.desk(desk), known, now, most):
            if (item := state.item(pick.key)) is not None:
                cases.append(QueuedCase(item, pick.reason))
    going = next(((case, choice) for case in cases if (choice := choose(state, case.item, now)) is not None), None)
    kept = [item for item in _kept(state) if state.placed(item)[0] == desk]
    return DeskView(
        desk,
        now,
        waiting,
        cases,
        going[0] if going else cases[0] if cases else None,
        going[1] if going else None,
        kept,
        people_of(state, desk),
    )


def _kept(state: DeskState) -> Iterator[WorkItem]:
    for keys in state.asked_for.values():
        for key in sorted(keys):
            item = state.item(key)
            if item is not None and item.reserved_until:
                yield item


def view_text(state: DeskState, view: DeskView) -> str:
    """A desk as lines of text; times in UTC."""
    lines = [f"{summary_line(state, view)}; as the desk stands at {second_text(view.now)}", "", *_next(state, view)]
    lines += ["", "queue" if view.queue else "queue: empty"]
    for place, case in enumerate(view.queue, 1):
        lines += [f"{place:>4}  {case_text(case.item, view.now)}", f"      {case.reason}"]
    if (more := view.waiting - len(view.queue)) > 0:
        lines.append(f"      … and {more:,} more")
    for item in view.kept:
        lines.append(
            f"   -  {case_text(item, view.now)}; kept for {item.reserved_for} until {second_text(item.reserved_until)}"
        )
    lines += ["", "people" if view.people else "people: nobody is signed in"]
    for person in view.people:
        lines += [f"  {line}" for line in person_lines(state, person, view.now)]
    return "\n".join(lines)


def summary_line(state: DeskState, view: DeskView) -> str:
    """A desk in a line: what waits, is offered and accepted, and who takes work."""
    return f"{view.desk}: {_counts(state, view)}"


def desks_of_state(state: DeskState) -> set[str]:
    """The desks at which something waits or somebody is, whether the policy has them or not."""
    return {*state.queues, *(desk for person in state.people.values() for desk in person.rows)}


def _next(state: DeskState, view: DeskView) -> Iterator[str]:
    if view.next is None:
        yield "next: nothing waits"
    elif view.goes_to is None:
        yield f"next: case {view.next.item.case_id}, {view.next.reason}"
        yield f"  to nobody now: {_why_nobody(state, view)}"
    else:
        yield f"next: case {view.next.item.case_id}, {view.next.reason}"
        yield f"  to {view.goes_to.person.name}: {view.goes_to.reason}"
        yield f"  candidates: {candidates_text([person.candidate() for person in view.goes_to.candidates])}"


def _why_nobody(state: DeskState, view: DeskView) -> str:
    takes = [state.people[name] for name in sorted(state.desks.get(view.desk, ()))]
    if not takes:
        return "nobody takes work here: `netcenter operators sign-in`"
    free = [person.name for person in takes if person.room > 0]
    if not free:
        return f"all {len(takes)} who take work have as much as they can have: whoever is free first and may have it gets it"
    return f"{', '.join(free)} would have room, and cannot have it, or have given it back a short while ago"


def _counts(state: DeskState, view: DeskView) -> str:
    items = [item for person in view.people for _, item in state.hands(person.name, view.desk)]
    offered = sum(item.status == "offered" for item in items)
    takes = state.present(view.desk)
    free = sum(state.people[name].room > 0 for name in state.desks.get(view.desk, ()))
    kept = f", {len(view.kept):,} kept for one person" if view.kept else ""
    return (
        f"{counted(view.waiting, 'case waits', 'cases wait')}{kept}, {offered:,} offered, {len(items) - offered:,} accepted; "
        f"{counted(takes, 'operator takes', 'operators take')} work, {free:,} of them free"
    )


def view_json(state: DeskState, view: DeskView) -> dict[str, Any]:
    """The same for programs, without authors; times in RFC 3339."""
    to = view.goes_to
    return {
        "desk": view.desk,
        "now": rfc3339(view.now),
        "waiting": view.waiting,
        "next": None
        if view.next is None
        else {
            "case_id": view.next.item.case_id,
            "reason": view.next.reason,
            "operator": None if to is None else to.person.name,
            "because": _why_nobody(state, view) if to is None else to.reason,
            "candidates": [] if to is None else [person.name for person in to.candidates],
        },
        "queue": [{**case_json(case.item), "reason": case.reason} for case in view.queue],
        "kept": [
            {**case_json(item), "kept_for": item.reserved_for, "kept_until": rfc3339(item.reserved_until)}
            for item in view.kept
        ],
        "people": [person_json(state, person) for person in view.people],
    }
