"""Presence: operators sign in, at once or for a shift planned ahead, renew their lease, pause, resume, sign out, or stay away."""

from __future__ import annotations

from collections.abc import Iterator

from agents.decider import At, StateNote
from agents.desk import offers
from agents.desk.index import DeskState
from agents.desk.state import (
    NEVER,
    Operator,
    PlannedShift,
    PresenceNoted,
    RowNoted,
    SignInNoted,
    person_key,
    shift_key,
)
from schemas.records import Decided, OperatorChanged

Events = Iterator[Decided | StateNote]
#: ms; how long the record of an operator who has signed out stays, so that a late record brings nobody back.
REMEMBERED = 3_600_000


def changed(state: DeskState, fact: OperatorChanged, at: At) -> Events:
    """What follows from an OperatorChanged. One that is older than what the operator has said since changes nothing."""
    key = person_key(fact.desk, fact.operator)
    row = state.operator(key)
    if row is not None and fact.at < row.said_at:
        return
    # A clock that runs ahead must not make what the operator says later look old.
    said_at = min(fact.at, at.time)
    match fact.change:
        case "signed_in":
            yield from _signs_in(state, fact, at)
        case "renewed" if row is not None and not row.left:
            lease = at.policy.desk(fact.desk).lease
            until = at.time + lease if fact.until is None else fact.until
            if until > at.time:
                yield PresenceNoted(key, {"until": max(row.until, until), "gone_at": None, "said_at": said_at})
                yield from offers.fill(state, fact.operator, at)
        case "paused" if fact.until is None or fact.until > at.time:
            yield from _pauses(state, fact, at)
        case "resumed":
            for own, one in _rows(state, fact.operator):
                if one.paused_until is not None:
                    yield PresenceNoted(own, {"paused_until": None, "said_at": max(one.said_at, said_at)})
            yield from offers.fill(state, fact.operator, at)
        case "signed_out":
            yield from _signs_out(state, fact, row, at)


def signs_of_life(state: DeskState, name: str, at: At) -> Events:
    """An operator has done something, so that their leases hold on."""
    for key, row in _rows(state, name):
        until = at.time + at.policy.desk(row.desk).lease
        if row.until < until:
            yield PresenceNoted(key, {"until": until, "gone_at": None})


def woken(state: DeskState, key: str, row: Operator, at: At) -> Events:
    """A pause or a lease has ended, or the record is not needed any more."""
    if row.left:
        yield RowNoted(key, None)
    elif row.gone_at is not None:
        for held, _ in [*state.hands(row.name, row.desk)]:
            yield from offers.returned(state, held, "lapsed", at)
            yield from offers.place(state, held, at)
        yield RowNoted(key, None)
        yield from offers.fill(state, row.name, at)
    elif row.paused_until is not None and row.paused_until <= at.time < row.until:
        yield PresenceNoted(key, {"paused_until": None})
        yield from offers.fill(state, row.name, at)
    else:
        back = [held for held, item in state.hands(row.name, row.desk) if item.status == "offered"]
        before = state.profiles.get(row.desk, {}).copy()
        yield PresenceNoted(key, {"gone_at": at.time + at.policy.desk(row.desk).return_after})
        for held in back:
            yield from offers.returned(state, held, "lapsed", at)
            yield from offers.place(state, held, at)
        yield from offers.fill_after(state, row.desk, before, at)
        yield from offers.fill(state, row.name, at)


def begins(state: DeskState, key: str, shift: PlannedShift, at: At) -> Events:
    """A planned shift begins."""
    yield RowNoted(key, None)
    yield from _signed_in(state, shift, at)


def _signs_in(state: DeskState, fact: OperatorChanged, at: At) -> Events:
    shift = PlannedShift(
        desk=fact.desk,
        name=fact.operator,
        capacity=fact.capacity,
        languages=tuple(fact.languages),
        skills=tuple(fact.skills),
        begins_at=fact.at,
        until=fact.until,
    )
    if fact.at > at.time:
        yield RowNoted(shift_key(fact.desk, fact.operator, fact.at), shift)
    else:
        yield from _signed_in(state, shift, at)


def _signed_in(state: DeskState, shift: PlannedShift, at: At) -> Events:
    until = at.time + at.policy.desk(shift.desk).lease if shift.until is None else shift.until
    if until > at.time:
        before = state.profiles.get(shift.desk, {}).copy()
        yield SignInNoted(shift, at.time, until)
        yield from offers.fill(state, shift.name, at)
        yield from offers.fill_after(state, shift.desk, before, at)


def _pauses(state: DeskState, fact: OperatorChanged, at: At) -> Events:
    """An operator pauses at all desks. What they were offered goes back, what they have accepted stays with them."""
    rows = [(key, row) for key, row in _rows(state, fact.operator) if row.here()]
    before = {row.desk: state.profiles.get(row.desk, {}).copy() for _, row in rows}
    for key, row in rows:
        until = NEVER if fact.until is None else fact.until
        lease = row.until if fact.until is None else max(row.until, fact.until + at.policy.desk(row.desk).lease)
        yield PresenceNoted(
            key, {"paused_until": until, "until": lease, "said_at": max(row.said_at, min(fact.at, at.time))}
        )
    for held, item in [*state.hands(fact.operator)]:
        if item.status == "offered":
            yield from offers.returned(state, held, "paused", at, rest=0)
            yield from offers.place(state, held, at)
    for _, row in rows:
        yield from offers.fill_after(state, row.desk, before[row.desk], at)


def _signs_out(state: DeskState, fact: OperatorChanged, row: Operator | None, at: At) -> Events:
    """An operator leaves a desk: all that they have there goes back. Without a shift that runs, those planned ahead are cancelled."""
    if row is None or row.left:
        for planned in sorted(state.shifts.get((fact.desk, fact.operator), ())):
            yield RowNoted(planned, None)
        return
    key = person_key(fact.desk, fact.operator)
    back = [held for held, _ in state.hands(fact.operator, fact.desk)]
    before = state.profiles.get(fact.desk, {}).copy()
    yield PresenceNoted(
        key, {"left": True, "gone_at": at.time + REMEMBERED, "said_at": min(fact.at, at.time), "paused_until": None}
    )
    for held in back:
        yield from offers.returned(state, held, "signed_out", at)
        yield from offers.place(state, held, at)
    yield from offers.fill_after(state, fact.desk, before, at)
    yield from offers.fill(state, fact.operator, at)


def _rows(state: DeskState, name: str) -> list[tuple[str, Operator]]:
    """(key, record) of an operator at each desk that they have not left."""
    person = state.people.get(name)
    rows = person.rows if person is not None else {}
    return [(person_key(desk, name), rows[desk]) for desk in sorted(rows) if not rows[desk].left]
