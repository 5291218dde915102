"""The state of the desk with its indexes: the queues, who is free, who holds what."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeVar
from zlib import crc32

from agents.decider import State
from agents.desk.state import NEVER, Operator, PlannedShift, Row, RunningCrisis, WorkItem
from schemas.records import Candidate

K = TypeVar("K", str, tuple[str, str])
ROOT, LAST = 0, 99
"""The classes of a crisis: the case of the author whose post it is about goes first, work without a promised time last."""


class Want(NamedTuple):
    """What an item asks of an operator."""

    lang: str
    """Empty: any."""
    skills: tuple[str, ...]
    weight: int


class Profile(NamedTuple):
    """What an operator can do at a desk."""

    languages: tuple[str, ...]
    skills: tuple[str, ...]


class Place(NamedTuple):
    """Sort key of an item within its class: the earliest due first, then the item that was queued first."""

    due_at: int
    queued_at: int
    key: str
    """The item's key in the state."""


class Rank(NamedTuple):
    """Sort key of an operator: the least loaded for their capacity, the longest idle, then by a hash of the name."""

    used: float
    idle_since: int
    drawn: int
    name: str


@lru_cache(maxsize=65_536)
def fits(want: Want, profile: Profile) -> bool:
    """Returns whether an operator has the language and the skills that an item asks for."""
    speaks = not want.lang or not profile.languages or want.lang in profile.languages
    return speaks and set(want.skills) <= set(profile.skills)


def want_of(item: WorkItem) -> Want:
    """Returns what an item asks for now. A third of its skills is given up at each relaxation, and with the last the language."""
    lang = "" if item.relaxed >= 3 or item.lang == "und" else item.lang
    kept = -(-len(item.skills) * (3 - min(item.relaxed, 3)) // 3)
    return Want(lang, item.skills[:kept], item.weight)


def place_of(key: str, item: WorkItem) -> Place:
    """Returns the place of an item in its class."""
    return Place(NEVER if item.due_at is None else item.due_at, item.queued_at, key)


@dataclass(slots=True)
class Person:
    """An operator over all their desks."""

    name: str
    rows: dict[str, Operator] = field(default_factory=dict)
    """By desk."""
    held: set[str] = field(default_factory=set)
    """The keys of the items that they hold or are offered."""
    load: int = 0
    """Units of work held and offered, at all desks."""
    taking: dict[str, Profile] = field(default_factory=dict)
    """The desks at which they take work, and what they can do there."""
    listed: list[tuple[str, Profile, Rank]] = field(default_factory=list)
    """Where they are listed as free."""

    @property
    def capacity(self) -> int:
        """Units of work at a time."""
        return max((row.capacity for row in self.rows.values() if not row.left), default=0)

    @property
    def room(self) -> int:
        """Units that are free."""
        return self.capacity - self.load

    def has_room(self, weight: int) -> bool:
        """Whether an item fits in. An item that is heavier than all of somebody's capacity takes all of it."""
        return min(weight, self.capacity) <= self.room and self.room > 0

    def units(self, item: WorkItem) -> int:
        """The units of their capacity that an item takes."""
        return min(item.load, self.capacity) if self.capacity else item.load

    def rank(self) -> Rank:
        """Their place among free operators."""
        idle = max((row.idle_since for row in self.rows.values()), default=0)
        return Rank(self.load / self.capacity, idle, crc32(self.name.encode()), self.name)

    def candidate(self) -> Candidate:
        """As an Offered event names them."""
        return Candidate(operator=self.name, load=self.load, capacity=self.capacity)


def profile_of(row: Operator) -> Profile:
    """Returns what an operator can do at a desk."""
    return Profile(row.languages, row.skills)


@dataclass(slots=True)
class DeskQueue:
    """The queued items of one desk."""

    classes: dict[int, dict[Want, list[Place]]] = field(default_factory=dict)
    """By class and by what is asked for: the places, in order."""
    windows: dict[Want, list[tuple[int, str]]] = field(default_factory=dict)
    """By what is asked for: (when the reply window closes in ms, key) of the items that have one, in order."""

    def add(self, rank: int, want: Want, place: Place, closes_at: int | None) -> None:
        """Adds an item of a class."""
        insort(self.classes.setdefault(rank, {}).setdefault(want, []), place)
        if closes_at is not None:
            insort(self.windows.setdefault(want, []), (closes_at, place.key))

    def remove(self, rank: int, want: Want, place: Place, closes_at: int | None) -> None:
        """Removes an item of a class."""
        wants = self.classes[rank]
        places = wants[want]
        del places[bisect_left(places, place)]
        if not places:
            del wants[want]
            if not wants:
                del self.classes[rank]
        if closes_at is not None:
            closing = self.windows[want]
            del closing[bisect_left(closing, (closes_at, place.key))]
            if not closing:
                del self.windows[want]

    def copy(self) -> DeskQueue:
        """A copy that can be taken apart."""
        classes = {rank: {want: [*places] for want, places in wants.items()} for rank, wants in self.classes.items()}
        return DeskQueue(classes, {want: [*closing] for want, closing in self.windows.items()})


class _Queued(NamedTuple):
    desk: str
    rank: int
    want: Want
    place: Place
    closes_at: int | None


class DeskState(State[Row]):
    """The records of the desk, and in memory the indexes over them. An offer looks at the heads of the queues and at the first of
    the free operators, not at the whole desk.
    """

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, DeskQueue] = {}
        """By desk."""
        self.people: dict[str, Person] = {}
        """By name."""
        self.desks: dict[str, set[str]] = {}
        """By desk: the names of those who take work there."""
        self.profiles: dict[str, dict[Profile, int]] = {}
        """By desk: how many of those who take work there can do what."""
        self.free: dict[str, dict[Profile, list[Rank]]] = {}
        """By desk and profile: those who take work and have room, in order."""
        self.offers: dict[str, str] = {}
        """By id of an open offer: the key of its item."""
        self.works: dict[str, str] = {}
        """By id of a round of work: the key of its item."""
        self.asked_for: dict[str, list[Place]] = {}
        """By person: the places of the queued items that they are to have, in order."""
        self.shifts: dict[tuple[str, str], set[str]] = {}
        """By desk and operator: the keys of the shifts that are planned."""
        self.crises: dict[str, dict[str, RunningCrisis]] = {}
        """By brand and id: the crises that run."""
        self._queued: dict[str, _Queued] = {}

    def put(self, key: str, record: Row | None) -> None:
        """Sets or removes a record and updates the indexes."""
        self._unlink(key, self.get(key))
        super().put(key, record)
        if isinstance(record, WorkItem):
            self._link(key, record)
        elif isinstance(record, Operator):
            person = self._person(record.name)
            capacity = person.capacity
            person.rows[record.desk] = record
            self._weigh(person, capacity)
        elif isinstance(record, PlannedShift):
            self.shifts.setdefault((record.desk, record.name), set()).add(key)
        elif isinstance(record, RunningCrisis) and record.over_at is None:
            self.crises.setdefault(record.brand, {})[record.crisis] = record
            self._queue_again(record.brand)

    # --- reading -------------------------------------------------------------------------------------------------

    def item(self, key: str) -> WorkItem | None:
        """Returns the item under a key; None where the key has no item."""
        row = self.get(key)
        return row if isinstance(row, WorkItem) else None

    def work(self, work_id: str) -> WorkItem | None:
        """Returns the item of a round of work; None where there is none."""
        key = self.works.get(work_id)
        return None if key is None else self.item(key)

    def operator(self, key: str) -> Operator | None:
        """Returns the operator under a key; None where the key has no operator."""
        row = self.get(key)
        return row if isinstance(row, Operator) else None

    def hands(self, name: str, desk: str | None = None) -> Iterator[tuple[str, WorkItem]]:
        """Yields (key, item) of what an operator holds or is offered, in the order of the keys. desk: only what they have through it."""
        person = self.people.get(name)
        for key in sorted(person.held) if person is not None else ():
            item = self.item(key)
            if item is not None and (desk is None or (item.through or item.where) == desk):
                yield key, item

    def placed(self, item: WorkItem) -> tuple[str, int]:
        """Returns the desk and the class of an item. Crises of its brand change both."""
        desk, rank = item.where, 2 * item.priority
        crises = self.crises.get(item.brand)
        if not crises:
            return desk, rank
        if any(crisis.root is not None and crisis.root in item.posts for crisis in crises.values()):
            return desk, ROOT
        for _, crisis in sorted(crises.items()):
            if crisis.root is not None and crisis.root == item.conversation:
                return (crisis.team, rank) if crisis.team else (desk, 2 * max(item.priority, crisis.behind) + 1)
        return desk, LAST if item.non_sla else rank

    def present(self, desk: str) -> int:
        """Returns how many take work at a desk."""
        return len(self.desks.get(desk, ()))

    def asked(self, desk: str, want: Want) -> Want:
        """Returns what is asked for at a desk. What nobody who takes work there has is not asked for: first skills, then language."""
        profiles = self.profiles.get(desk, {})
        for lang, skills in ((want.lang, want.skills), (want.lang, ())):
            asked = Want(lang, skills, want.weight)
            if any(fits(asked, profile) for profile in profiles):
                return asked
        return Want("", (), want.weight)

    def sole(self, desk: str) -> Person | None:
        """Returns the only one who takes work at a desk; None where nobody or several do."""
        names = self.desks.get(desk, ())
        return self.people[next(iter(names))] if len(names) == 1 else None

    # --- the indexes ---------------------------------------------------------------------------------------------

    def _link(self, key: str, item: WorkItem) -> None:
        self.works[item.work_id] = key
        if item.operator is not None:
            person = self._person(item.operator)
            person.held.add(key)
            person.load += person.units(item)
            self._list(person)
            if item.status == "offered" and item.offer_id is not None:
                self.offers[item.offer_id] = key
            return
        if item.reserved_for is not None:
            insort(self.asked_for.setdefault(item.reserved_for, []), place_of(key, item))
        if not item.reserved_until:
            self._queue(key, item)

    def _queue(self, key: str, item: WorkItem) -> None:
        desk, rank = self.placed(item)
        queued = _Queued(desk, rank, want_of(item), place_of(key, item), item.window_closes_at)
        self._queued[key] = queued
        self.queues.setdefault(desk, DeskQueue()).add(*queued[1:])

    def _unqueue(self, key: str) -> None:
        queued = self._queued.pop(key, None)
        if queued is not None:
            queue = self.queues[queued.desk]
            queue.remove(*queued[1:])
            if not queue.classes:
                del self.queues[queued.desk]

    def _unlink(self, key: str, record: Row | None) -> None:
        if isinstance(record, WorkItem):
            self._unqueue(key)
            self.works.pop(record.work_id, None)
            self.offers.pop(record.offer_id or "", None)
            if record.operator is not None:
                person = self.people[record.operator]
                person.held.discard(key)
                person.load -= person.units(record)
                self._list(person)
                self._forget(person)
            elif record.reserved_for is not None:
                places = self.asked_for[record.reserved_for]
                del places[bisect_left(places, place_of(key, record))]
                if not places:
                    del self.asked_for[record.reserved_for]
        elif isinstance(record, Operator):
            person = self.people[record.name]
            capacity = person.capacity
            del person.rows[record.desk]
            self._weigh(person, capacity)
            self._forget(person)
        elif isinstance(record, PlannedShift):
            _discard(self.shifts, (record.desk, record.name), key)
        elif isinstance(record, RunningCrisis) and record.over_at is None:
            del self.crises[record.brand][record.crisis]
            if not self.crises[record.brand]:
                del self.crises[record.brand]
            self._queue_again(record.brand)

    def _person(self, name: str) -> Person:
        if name not in self.people:
            self.people[name] = Person(name)
        return self.people[name]

    def _forget(self, person: Person) -> None:
        if not person.rows and not person.held:
            del self.people[person.name]

    def _weigh(self, person: Person, before: int) -> None:
        """Counts what a person holds anew, if their capacity is not what it was before, and lists them."""
        if person.capacity != before:
            items = (self.item(key) for key in person.held)
            person.load = sum(person.units(item) for item in items if item is not None)
        self._list(person)

    def _list(self, person: Person) -> None:
        """Lists a person as free where they are, or no longer."""
        for desk, profile, rank in person.listed:
            profiles = self.free[desk]
            ranks = profiles[profile]
            del ranks[bisect_left(ranks, rank)]
            if not ranks:
                del profiles[profile]
                if not profiles:
                    del self.free[desk]
        person.listed = []
        taking = {desk: profile_of(person.rows[desk]) for desk in sorted(person.rows) if person.rows[desk].takes_work()}
        if taking != person.taking:
            for desk, profile in person.taking.items():
                self._takes(desk, person.name, profile, -1)
            for desk, profile in taking.items():
                self._takes(desk, person.name, profile, 1)
            person.taking = taking
        if taking and person.room > 0:
            rank = person.rank()
            for desk, profile in taking.items():
                insort(self.free.setdefault(desk, {}).setdefault(profile, []), rank)
                person.listed.append((desk, profile, rank))

    def _takes(self, desk: str, name: str, profile: Profile, change: int) -> None:
        """Counts somebody in among those who take work at a desk, or out."""
        if change > 0:
            self.desks.setdefault(desk, set()).add(name)
        else:
            _discard(self.desks, desk, name)
        counts = self.profiles.setdefault(desk, {})
        counts[profile] = counts.get(profile, 0) + change
        if not counts[profile]:
            del counts[profile]
            if not counts:
                del self.profiles[desk]

    def _queue_again(self, brand: str) -> None:
        """Puts the queued items of a brand to their places again, because a crisis has begun or is over."""
        for key in [*self._queued]:
            item = self.item(key)
            if item is not None and item.brand == brand:
                self._unqueue(key)
                self._queue(key, item)


def _discard(index: dict[K, set[str]], name: K, key: str) -> None:
    """Removes a key from a set of an index, and the set with its last key."""
    keys = index.get(name)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del index[name]
