"""`operators`: who is signed in where and holds what, from the state of the role desk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from agents.desk.index import DeskState, Person
from agents.desk.state import NEVER, Operator, PlannedShift, WorkItem
from netcenter.errors import UsageError
from netcenter.operate.desk_explained import due_text, second_text
from netcenter.operate.operator_records import OfferedCustomer
from schemas.records import OperatorChanged
from schemas.times import rfc3339
from sinks.readable import counted, duration


def desks_where(
    state: DeskState, operator: str, unread: Sequence[OperatorChanged] | None, *, planned: bool
) -> list[str]:
    """The desks at which an operator is signed in. planned: also where a shift begins later. unread: what the operator has said
    that the state does not know yet; None: not known.

    Raises UsageError where there is none, as far as that can be known.
    """
    desks = {desk for desk, row in _rows(state, operator) if not row.left}
    if planned:
        desks |= {shift.desk for shift in planned_shifts(state) if shift.name == operator}
    for said in unread or ():
        if said.change == "signed_in":
            desks.add(said.desk)
        elif said.change == "signed_out":
            desks.discard(said.desk)
    if desks:
        return sorted(desks)
    if unread is None:
        raise UsageError(
            f"the role desk is far behind (`netcenter lag`), so where {operator} is signed in is not known: say --desk"
        )
    raise UsageError(
        f"{operator} is signed in at no desk: `netcenter operators list` shows who is, and `netcenter operators sign-in` is the way in"
    )


def checked_presence(
    state: DeskState,
    operator: str,
    desks: Sequence[str],
    unread: Sequence[OperatorChanged] | None,
    *,
    planned: bool,
) -> None:
    """Raises UsageError where an operator is known not to be at one of these desks. The arguments are those of `desks_where`."""
    if unread is None:
        return
    there = set(desks_where(state, operator, unread, planned=planned))
    if absent := [desk for desk in desks if desk not in there]:
        raise UsageError(
            f"{operator} is not signed in at {absent[0]}, but at {', '.join(sorted(there))}: nothing was written"
        )


def not_open(state: DeskState, operator: str, offer: OfferedCustomer | str) -> str | None:
    """Why an answer to an offer would change nothing, as far as the state of the desk can tell; None: the offer is open."""
    offered = [item for _, item in state.hands(operator) if item.status == "offered"]
    if isinstance(offer, OfferedCustomer):
        if any((item.brand, item.channel, item.author_id) == offer for item in offered):
            return None
        why = f"{operator} has no open offer of this customer's case"
    else:
        if any(item.offer_id == offer for item in offered):
            return None
        key = state.offers.get(offer)
        item = None if key is None else state.item(key)
        why = f"no offer {offer} is open" if item is None else f"the offer {offer} is made to {item.operator}"
    return f"{why}, so this changes nothing: `netcenter operators list` shows the open offers"


def _rows(state: DeskState, operator: str) -> list[tuple[str, Operator]]:
    person = state.people.get(operator)
    return [] if person is None else sorted(person.rows.items())


def planned_shifts(state: DeskState) -> list[PlannedShift]:
    """The shifts that begin later, in the order of their beginnings."""
    rows = (state.get(key) for keys in state.shifts.values() for key in keys)
    return sorted((row for row in rows if isinstance(row, PlannedShift)), key=lambda row: (row.begins_at, row.name))


def people_of(state: DeskState, desk: str | None = None) -> list[Person]:
    """Those who are signed in, or whose lease has run out, or who still hold something, by name. desk: at this desk only."""
    found = [
        person
        for person in state.people.values()
        if any(not row.left and desk in (None, name) for name, row in person.rows.items())
        or any(True for _ in state.hands(person.name, desk))
    ]
    return sorted(found, key=lambda person: person.name)


def people_text(state: DeskState, now: int) -> str:
    """Who is at the desks, as lines of text; times in UTC. now: ms; how far the desk has come."""
    people, shifts = people_of(state), planned_shifts(state)
    ahead = f", {counted(len(shifts), 'shift', 'shifts')} ahead" if shifts else ""
    lines = [f"{counted(len(people), 'operator', 'operators')}{ahead}; as the desk stands at {second_text(now)}"]
    for person in people:
        lines += ["", *person_lines(state, person, now)]
    for shift in shifts:
        until = "" if shift.until is None else f" until {second_text(shift.until)}"
        lines += [
            "",
            f"{shift.name}  from {second_text(shift.begins_at)}{until} at {shift.desk}, capacity {shift.capacity}",
        ]
    return "\n".join(lines)


def person_lines(state: DeskState, person: Person, now: int) -> Iterator[str]:
    """One operator, and what they hold or are offered."""
    yield f"{person.name}  {person.load}/{person.capacity}"
    for desk, row in sorted(person.rows.items()):
        if not row.left:
            yield f"  at {desk}: {presence_text(row)}{_can(row)}"
    for _, item in state.hands(person.name):
        if item.status == "offered":
            until = "" if item.expires_at is None else f" until {second_text(item.expires_at)}"
            yield f"  offered{until}: {case_text(item, now)}; offer {item.offer_id}"
        else:
            waits = ", waits for the customer" if item.waiting else ""
            yield f"  has{waits}: {case_text(item, now)}"


def presence_text(row: Operator) -> str:
    """Whether an operator takes work at a desk, and until when."""
    if row.left:
        return "signed out"
    if row.gone_at is not None:
        return (
            f"away, the lease ran out at {second_text(row.until)}; what they have returns at {second_text(row.gone_at)}"
        )
    if row.paused_until is not None:
        back = "until they resume" if row.paused_until >= NEVER else f"until {second_text(row.paused_until)}"
        return f"pauses {back}"
    return f"takes work until {second_text(row.until)}"


def _can(row: Operator) -> str:
    words = [", ".join(row.languages) or "every language", *row.skills]
    return f"; {'; '.join(words)}"


def case_text(item: WorkItem, now: int) -> str:
    """A case in a line: no text and no author."""
    due = "no answer promised" if item.due_at is None else due_text(item.due_at, now)
    waits = f"waits {duration(max(0, now - item.queued_at))}"
    weight = f", weight {item.weight}" if item.weight > 1 else ""
    return ", ".join(
        filter(
            None,
            (
                f"case {item.case_id}",
                f"priority {item.priority}{weight}",
                item.label,
                item.lang,
                due,
                waits,
                item.url,
            ),
        )
    )


# --- for programs -----------------------------------------------------------------------------------------------------


def people_json(state: DeskState, now: int) -> dict[str, Any]:
    """The same as `people_text`; times in RFC 3339."""
    return {
        "now": rfc3339(now),
        "operators": [person_json(state, person) for person in people_of(state)],
        "shifts": [
            {
                "operator": shift.name,
                "desk": shift.desk,
                "capacity": shift.capacity,
                "languages": list(shift.languages),
                "skills": list(shift.skills),
                "begins_at": rfc3339(shift.begins_at),
                "until": _time(shift.until),
            }
            for shift in planned_shifts(state)
        ],
    }


def person_json(state: DeskState, person: Person) -> dict[str, Any]:
    """One operator with desks and cases."""
    return {
        "operator": person.name,
        "capacity": person.capacity,
        "load": person.load,
        "desks": [
            {
                "desk": desk,
                "takes_work": row.takes_work(),
                "until": _time(row.until),
                "paused": row.paused_until is not None,
                "paused_until": _time(row.paused_until),
                "lease_ran_out": row.gone_at is not None,
                "languages": list(row.languages),
                "skills": list(row.skills),
            }
            for desk, row in sorted(person.rows.items())
            if not row.left
        ],
        "holds": [case_json(item) for _, item in state.hands(person.name)],
    }


def case_json(item: WorkItem) -> dict[str, Any]:
    """A case at a desk."""
    return {
        "case_id": item.case_id,
        "work_id": item.work_id,
        "desk": item.where,
        "brand": item.brand,
        "channel": item.channel,
        "status": item.status,
        "operator": item.operator,
        "offer_id": item.offer_id,
        "expires_at": _time(item.expires_at),
        "label": item.label,
        "priority": item.priority,
        "lang": item.lang,
        "weight": item.weight,
        "waits_for_customer": item.waiting,
        "due_at": _time(item.due_at),
        "queued_at": rfc3339(item.queued_at),
        "returns": item.returns,
        "kept_for": item.reserved_for,
        "kept_until": _time(item.reserved_until or None),
        "url": item.url,
    }


def _time(ms: int | None) -> str | None:
    return None if ms is None or ms >= NEVER else rfc3339(ms)
