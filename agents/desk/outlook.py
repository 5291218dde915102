"""What a desk looks like at a moment: who waits in which order, who holds what, who is free."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from agents.desk.choice import choose
from agents.desk.index import DeskQueue, DeskState, Person
from agents.desk.order import in_order
from agents.desk.state import Turns, WorkItem, turns_key
from agents.policy import Policy

#: The most places of a queue that are told in order.
MOST = 200


class WaitingItem(msgspec.Struct, frozen=True):
    """An item that waits at a desk."""

    item: WorkItem
    reason: str
    """Why it has this place."""
    next: str | None
    """The operator who would be offered it now, and why; None: nobody who may have it is free."""


class AtDesk(msgspec.Struct, frozen=True):
    """An operator at a desk."""

    name: str
    capacity: int
    load: int
    """Units of work held and offered, at all desks."""
    languages: tuple[str, ...]
    skills: tuple[str, ...]
    until: int
    """ms; end of the lease."""
    paused_until: int | None
    gone_at: int | None
    """ms; when the work of an operator whose lease has run out returns to the queue."""


class Outlook(msgspec.Struct, frozen=True):
    """A desk at a moment."""

    desk: str
    waiting: list[WaitingItem]
    """The first `MOST` in the desk's own order."""
    queued: int
    """How many wait in all."""
    held: list[WorkItem]
    """What operators hold and are offered, by operator."""
    operators: list[AtDesk]
    """Those who have not signed out, by name."""


def outlook(state: DeskState, desk: str, policy: Policy, now: int, most: int = MOST) -> Outlook:
    """Returns a desk at `now` (ms), under the policy in force, with at most so many of its queue."""
    kept = (state.item(place.key) for places in state.asked_for.values() for place in places)
    reserved = [item for item in kept if item is not None and item.reserved_until and state.placed(item)[0] == desk]
    waiting = [_waiting(state, item, f"kept for {item.reserved_for}", now) for item in reserved]
    queue = state.queues.get(desk, DeskQueue())
    turns = state.get(turns_key(desk))
    for pick in in_order(
        queue, state.item, policy.desk(desk), turns if isinstance(turns, Turns) else Turns(), now, most
    ):
        item = state.item(pick.key)
        if item is not None:
            waiting.append(_waiting(state, item, pick.reason, now))
    queued = len(reserved) + sum(len(places) for wants in queue.classes.values() for places in wants.values())
    people = [state.people[name] for name in sorted(state.people)]
    return Outlook(
        desk=desk,
        waiting=waiting[:most],
        queued=queued,
        held=[item for person in people for _, item in state.hands(person.name, desk)],
        operators=[one for person in people for one in _at_desk(person, desk)],
    )


def desks(state: DeskState) -> list[str]:
    """Returns the desks that have work or operators."""
    items = (state.item(key) for key in state.works.values())
    with_work = {state.placed(item)[0] for item in items if item is not None}
    return sorted(with_work | {desk for person in state.people.values() for desk in person.rows})


def _waiting(state: DeskState, item: WorkItem, reason: str, now: int) -> WaitingItem:
    choice = choose(state, item, now)
    return WaitingItem(item, reason, None if choice is None else f"{choice.person.name}: {choice.reason}")


def _at_desk(person: Person, desk: str) -> Iterator[AtDesk]:
    row = person.rows.get(desk)
    if row is not None and not row.left:
        yield AtDesk(
            name=person.name,
            capacity=person.capacity,
            load=person.load,
            languages=row.languages,
            skills=row.skills,
            until=row.until,
            paused_until=row.paused_until,
            gone_at=row.gone_at,
        )
