"""Which item an operator is offered next, and why: the order of a desk's queue."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from functools import cache
from heapq import merge
from typing import NamedTuple

from agents.desk.index import LAST, ROOT, DeskQueue, Place, Want, place_of, want_of
from agents.desk.state import NEVER, Turns, WorkItem
from agents.policy import Desk

#: Percent of an offer that a waiting class saves up with each offer of another class: each gets at least this share.
SHARE = 10
#: After so many offers in a row to work that can still be answered in time, the most overdue work of the class has its turn.
OVERDUE_TURN = 3
#: After so many offers that went past a heavier item, an operator keeps their room until it fits in.
PASSES = 10

MayHave = Callable[[WorkItem], bool]
"""Whether an operator may be offered an item now."""
Can = Callable[[Want], bool]
"""Whether an operator can do what an item asks for."""


def _whatever(_want: Want) -> bool:
    return True


class _RoomIsKept(Exception):
    """An operator keeps the room that they have for an item that is too heavy for it yet."""


class Pick(NamedTuple):
    """An item that is next, with the turns after it."""

    key: str
    reason: str
    turns: Turns | None
    """None: nobody's turn changes."""
    urgency: tuple[int, int]
    """Compares the picks of several desks: the smaller goes first."""


class _Head(NamedTuple):
    """The first item of a class that somebody may have."""

    place: Place
    overdue: bool
    both: bool
    """Whether work that can still be answered in time waits beside overdue work."""


class OrderedQueue:
    """A desk's queue at a moment, for one operator or for all."""

    def __init__(self, queue: DeskQueue, item: Callable[[str], WorkItem | None], desk: Desk, now: int) -> None:
        """item: gives an item by its key. now: ms."""
        self._queue, self._item, self._desk, self._now = queue, item, desk, now

    def next(self, turns: Turns, may_have: MayHave, can: Can = _whatever, has_room: Can = _whatever) -> Pick | None:
        """Returns the item that is next; None where there is none, or where room must be kept for a heavier one.

        can: whether the operator can do what an item asks for. has_room: whether it is light enough for them now.
        """
        can = cache(can)
        try:
            return self._closing(can, has_room, may_have) or self._by_class(turns, can, has_room, may_have)
        except _RoomIsKept:
            return None

    def _closing(self, can: Can, has_room: Can, may_have: MayHave) -> Pick | None:
        until = self._now + self._desk.window_first
        for closes_at, key in merge(*(closing for want, closing in self._queue.windows.items() if can(want))):
            if closes_at > until:
                return None
            item = self._item(key)
            if item is not None and closes_at > self._now and may_have(item):
                if not has_room(want_of(item)):
                    raise _RoomIsKept
                minutes = max(0, closes_at - self._now) // 60_000
                return Pick(key, f"its reply window closes in {minutes} min", None, (-1, closes_at))
        return None

    def _by_class(self, turns: Turns, can: Can, has_room: Can, may_have: MayHave) -> Pick | None:
        waiting = [rank for rank, wants in sorted(self._queue.classes.items()) if any(map(can, wants))]
        saved = {rank: value for rank, value in turns.classes.items() if rank in self._queue.classes}
        owed = sorted((rank for rank in waiting if saved.get(rank, 0) >= 100), key=lambda rank: (-saved[rank], rank))
        for rank in (*owed, *(rank for rank in waiting if rank not in owed)):
            head, passes = self._head(rank, turns, can, may_have), False
            if head is not None and not self._is_light(head, has_room):
                head, passes = self._head(rank, turns, lambda want: can(want) and has_room(want), may_have), True
                if rank in owed or (head is not None and turns.passed_over.get(rank, 0) >= PASSES):
                    raise _RoomIsKept
            if head is not None:
                after = _after(turns, rank, head, saved, waiting, passes)
                return Pick(head.place.key, _why(rank, head, rank in owed), after, (rank, head.place.due_at))
        return None

    def _is_light(self, head: _Head, has_room: Can) -> bool:
        item = self._item(head.place.key)
        return item is None or has_room(want_of(item))

    def _head(self, rank: int, turns: Turns, can: Can, may_have: MayHave) -> _Head | None:
        """The first item of a class: what can still be answered in time, or in its turn what is overdue the longest."""
        late = Place(self._now + self._desk.handling, 0, "")
        lists = [places for want, places in self._queue.classes[rank].items() if can(want)]
        starts = [bisect_left(places, late) for places in lists]
        in_time = self._first(
            [_from(places, n, len(places)) for places, n in zip(lists, starts, strict=True)], may_have
        )
        overdue = self._first([_from(places, 0, n) for places, n in zip(lists, starts, strict=True) if n], may_have)
        if in_time is None or overdue is None:
            only = in_time or overdue
            return None if only is None else _Head(only, in_time is None, False)
        turn = turns.overdue.get(rank, 0) + 1 >= OVERDUE_TURN
        return _Head(overdue if turn else in_time, turn, True)

    def _first(self, lists: list[Iterator[Place]], may_have: MayHave) -> Place | None:
        """The first place, over several lists, whose item somebody may have."""
        for place in merge(*lists):
            item = self._item(place.key)
            if item is not None and may_have(item):
                return place
        return None


def _from(places: list[Place], start: int, end: int) -> Iterator[Place]:
    return (places[n] for n in range(start, end))


def _after(
    turns: Turns, chosen: int, head: _Head, saved: dict[int, int], waiting: Collection[int], passes: bool
) -> Turns | None:
    """The turns after an offer; None where they stay as they are. A class that waits saves up while others are offered before it.

    passes: the offer goes past a heavier item.
    """
    classes = {**saved, chosen: max(0, saved.get(chosen, 0) - 100)}
    for rank in waiting:
        if rank != chosen and _has_share(rank):
            classes[rank] = saved.get(rank, 0) + SHARE
    overdue = {rank: count for rank, count in turns.overdue.items() if rank != chosen}
    if head.both and not head.overdue:
        overdue[chosen] = turns.overdue.get(chosen, 0) + 1
    passed = {rank: count for rank, count in turns.passed_over.items() if rank != chosen and rank in waiting}
    if passes:
        passed[chosen] = turns.passed_over.get(chosen, 0) + 1
    kept = {rank: classes[rank] for rank in sorted(classes) if classes[rank]}
    after = Turns(classes=kept, overdue=overdue, passed_over=passed)
    return None if after == turns else after


def _has_share(rank: int) -> bool:
    """Whether a class gets a share of the offers: the conversation of a crisis, and what waits while it lasts, do not."""
    return rank not in (ROOT, LAST) and rank % 2 == 0


def _why(rank: int, head: _Head, owed: bool) -> str:
    words = _class(rank)
    if owed:
        words += ", whose share of the offers this is"
    if head.overdue:
        return f"the longest overdue of {words}" + (", one offer in three goes to such" if head.both else "")
    return f"first of {words}" + ("" if head.place.due_at == NEVER else " by its due")


def _class(rank: int) -> str:
    if rank == ROOT:
        return "the case that a crisis is about"
    if rank == LAST:
        return "what waits while there is a crisis"
    return f"priority {rank // 2}" + (" of a crisis' conversation" if rank % 2 else "")


def in_order(
    queue: DeskQueue, item: Callable[[str], WorkItem | None], desk: Desk, turns: Turns, now: int, most: int
) -> Iterator[Pick]:
    """Yields the first items of a queue, at most so many, as operators who may have anything would get them one after another."""
    left = queue.copy()
    ordered = OrderedQueue(left, item, desk, now)
    taken = 0
    while taken < most:
        pick = ordered.next(turns, lambda one: True)
        if pick is None:
            return
        yield pick
        taken += 1
        turns = pick.turns or turns
        found = item(pick.key)
        if found is not None:
            _remove(left, found, pick.key)


def _remove(queue: DeskQueue, item: WorkItem, key: str) -> None:
    place = place_of(key, item)
    for rank, wants in [*queue.classes.items()]:
        places = wants.get(want_of(item), [])
        n = bisect_left(places, place)
        if n < len(places) and places[n] == place:
            queue.remove(rank, want_of(item), place, item.window_closes_at)
