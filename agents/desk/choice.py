"""Which operator an item is offered to, and why."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from agents.desk.index import DeskState, Person, Profile, Rank, fits, want_of
from agents.desk.state import DeskCustomer, WorkItem

#: The most candidates that an offer names.
CANDIDATES = 10
_NAMED = 3


class Choice(NamedTuple):
    """The operator whom an item is offered to."""

    person: Person
    reason: str
    candidates: list[Person]
    """At most `CANDIDATES`, the one who is chosen first."""


def choose(state: DeskState, item: WorkItem, now: int) -> Choice | None:
    """Returns the operator for an item that waits; None where nobody who may have it is free.

    First the person for whom it is reserved, then who answered this customer last, then the least loaded.
    """
    if item.reserved_for is not None and (found := _the_person(state, item, item.reserved_for)) is not None:
        return Choice(found, f"{found.name} is the person asked for", [found])
    if item.reserved(now):
        return None
    row = state.get(item.customer)
    if isinstance(row, DeskCustomer) and row.operator is not None and row.answered_until > now:
        known = state.people.get(row.operator)
        if known is not None and may_have(state, known, item, now):
            return _chosen(state, item, now, known, f"same_operator: {known.name} answered this customer before")
    best = next(_free(state, item, now), None)
    if best is not None:
        return _chosen(state, item, now, state.people[best.name], None)
    sole = state.sole(state.placed(item)[0])
    if sole is not None and can_take(state, sole, item):
        return Choice(sole, f"alone: {sole.name} is the only one at the desk", [sole])
    return None


def chosen_by(state: DeskState, item: WorkItem, person: Person, now: int) -> Choice:
    """Returns the choice of an operator who has become free and whose turn is this item."""
    if item.reserved_for == person.name and item.reserved(now):
        return Choice(person, f"{person.name} is the person asked for", [person])
    return _chosen(state, item, now, person, None)


def can_take(state: DeskState, person: Person, item: WorkItem) -> bool:
    """Whether somebody takes work at the item's desk, has room, and has its language and skills."""
    desk = state.placed(item)[0]
    profile = person.taking.get(desk)
    return profile is not None and person.has_room(item.weight) and fits(state.asked(desk, want_of(item)), profile)


def may_have(state: DeskState, person: Person, item: WorkItem, now: int) -> bool:
    """Whether somebody can take an item, and has not given it back a short while ago."""
    return can_take(state, person, item) and not item.rests(person.name, now)


def _the_person(state: DeskState, item: WorkItem, name: str) -> Person | None:
    """The person asked for, where they take work at any desk and have room. Language and skills are not asked of them."""
    person = state.people.get(name)
    return person if person is not None and person.taking and person.has_room(item.weight) else None


def _free(state: DeskState, item: WorkItem, now: int) -> Iterator[Rank]:
    """Those who may have the item, in order."""
    resting = {name for name, until in item.resting if until > now}
    for rank in merge(*_fitting(state, item)):
        if rank.name not in resting and state.people[rank.name].has_room(item.weight):
            yield rank


def _fitting(state: DeskState, item: WorkItem) -> list[list[Rank]]:
    """Those who are free and can do what the item asks for, by what they can do."""
    desk = state.placed(item)[0]
    want = state.asked(desk, want_of(item))
    return [ranks for profile, ranks in state.free.get(desk, {}).items() if fits(want, profile)]


def _chosen(state: DeskState, item: WorkItem, now: int, person: Person, why: str | None) -> Choice:
    others = [state.people[rank.name] for rank in islice(_free(state, item, now), CANDIDATES + 1)]
    candidates = [person, *(one for one in others if one is not person)][:CANDIDATES]
    if why is None:
        named = ", ".join(f"{one.name} {one.load}/{one.capacity}" for one in candidates[:_NAMED])
        more = sum(map(len, _fitting(state, item))) - _NAMED if len(candidates) > _NAMED else 0
        why = f"least_loaded: {named}" + (f" and {more} more" if more > 0 else "")
    desk = state.placed(item)[0]
    want = want_of(item)
    asked = state.asked(desk, want)
    if item.lang in person.taking.get(desk, Profile((), ())).languages:
        why += f"; {person.name} speaks {item.lang}"
    if asked.lang != want.lang:
        why += f"; nobody at {desk} speaks {item.lang}"
    if asked.skills != want.skills:
        why += f"; nobody at {desk} has {', '.join(want.skills)}"
    return Choice(person, why, candidates)
