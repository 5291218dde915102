"""The state of a desk: its queue, its operators, the indexes that keep an offer cheap, and the notes that change it."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from agents.decider import Carried, State, StateNote
from schemas.records import Label, Mode, OperatorChanged, WorkChanged

#: The most operators that an item remembers as having given it back; beyond that, the oldest are forgotten.
RESTING = 20
_NO_DUE = 1 << 62


class WorkItem(msgspec.Struct, frozen=True, kw_only=True, tag="item", omit_defaults=True):
    """One round of work on a case, from the moment it is queued until it is answered or withdrawn."""

    desk: str
    work_id: str
    case_id: str
    brand: str
    channel: str
    author_id: str
    label: Label
    priority: int
    mode: Mode
    due_at: int | None
    lang: str
    url: str | None
    queued_at: int
    """ms; when the item was first queued. A return to the queue does not change it."""
    work_seq: int
    """seq of the last WorkChanged about this round."""
    seq: int = 0
    """seq of the desk's last event about this round."""
    status: Literal["queued", "offered", "assigned"] = "queued"
    operator: str | None = None
    offer_id: str | None = None
    expires_at: int | None = None
    returns: int = 0
    resting: tuple[tuple[str, int], ...] = ()
    """Operators who gave the item back, and until when (ms) it is not offered to them again."""
    last_event_at: int = 0
    """ms; time of the last event about this round, of the cases role or of the desk."""

    @property
    def place(self) -> tuple[int, int, str]:
        """Sort key in the queue: the earliest due first, then the item that was queued first."""
        return (_NO_DUE if self.due_at is None else self.due_at, self.queued_at, self.work_id)


class Operator(msgspec.Struct, frozen=True, kw_only=True, tag="operator", omit_defaults=True):
    """An operator who is signed in at the desk."""

    desk: str
    name: str
    capacity: int
    languages: tuple[str, ...]
    until: int
    """ms; when the lease ends. Until then the operator counts as present."""
    idle_since: int
    """ms; when the operator last had a case taken away or finished; at first, when they signed in."""
    gone_at: int | None = None
    """ms; set when the lease has run out: when the operator's assigned work returns to the queue and the record is
    removed.
    """

    def present(self, now: int) -> bool:
        """Returns whether the lease holds at `now` (ms)."""
        return self.gone_at is None and self.until > now


class WorkNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the state follows a WorkChanged: an item is queued, changed or removed."""

    work: WorkChanged


class OperatorNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the state follows an OperatorChanged: an operator has signed in, has renewed the lease or has signed out."""

    operator: OperatorChanged


class LeaseNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the operator under `key` counts as present until a new time (ms)."""

    key: str
    until: int


class LapseNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the lease of the operator under `key` has run out; their assigned work returns to the queue at `gone_at`
    (ms).
    """

    key: str
    gone_at: int


class RestNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the item under `key` is not offered to the operator again before `until` (ms)."""

    key: str
    operator: str
    until: int


class RestsEnded(StateNote, msgspec.Struct, frozen=True):
    """Note: for the item under `key`, every wait before a new offer to the same operator that ends by `at` (ms) is
    over.
    """

    key: str
    at: int


class OperatorForgotten(StateNote, msgspec.Struct, frozen=True):
    """Note: the operator under `key` was away for too long, so the record is removed."""

    key: str


Row = WorkItem | Operator


class PresentOperator(NamedTuple):
    """An operator whose lease holds, with the number of cases that they hold or are offered."""

    operator: Operator
    load: int


class DeskState(State[Row]):
    """The records of items and operators, and in memory the indexes over them: queues, operators, holders, open offers."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, list[tuple[int, int, str]]] = {}
        """By desk: the sort keys of its queued items, in order."""
        self.people: dict[str, set[str]] = {}
        """By desk: the keys of its operators."""
        self.held: dict[str, set[str]] = {}
        """By key of an operator: the keys of the items that they hold or are offered."""
        self.offers: dict[str, str] = {}
        """By id of an open offer: the key of its item."""

    def put(self, key: str, record: Row | None) -> None:
        """Sets or removes a record and updates the indexes. Finding the place in the queue takes O(log n)."""
        self._unlink(key, self.get(key))
        super().put(key, record)
        if isinstance(record, Operator):
            self.people.setdefault(record.desk, set()).add(key)
        elif record is not None and record.operator is None:
            insort(self.queues.setdefault(record.desk, []), record.place)
        elif record is not None and record.operator is not None:
            self.held.setdefault(person_key(record.desk, record.operator), set()).add(key)
            if record.status == "offered" and record.offer_id is not None:
                self.offers[record.offer_id] = key

    def _unlink(self, key: str, record: Row | None) -> None:
        if isinstance(record, Operator):
            _remove(self.people, record.desk, key)
        elif record is not None and record.operator is None:
            queue = self.queues[record.desk]
            del queue[bisect_left(queue, record.place)]
            if not queue:
                del self.queues[record.desk]
        elif record is not None and record.operator is not None:
            _remove(self.held, person_key(record.desk, record.operator), key)
            self.offers.pop(record.offer_id or "", None)

    def item(self, key: str) -> WorkItem | None:
        """Returns the item under a key; None where the key has no item."""
        row = self.get(key)
        return row if isinstance(row, WorkItem) else None

    def operator(self, key: str) -> Operator | None:
        """Returns the operator under a key; None where the key has no operator."""
        row = self.get(key)
        return row if isinstance(row, Operator) else None

    def queue(self, desk: str) -> Iterator[WorkItem]:
        """Yields the queued items of a desk, in order."""
        for _, _, work_id in self.queues.get(desk, ()):
            item = self.item(work_key(desk, work_id))
            if item is not None:
                yield item

    def present(self, desk: str, now: int) -> list[PresentOperator]:
        """Returns the operators of a desk whose lease holds at `now` (ms), each with their load."""
        found, held = [], self.held
        for key in self.people.get(desk, ()):
            person = self.get(key)
            if isinstance(person, Operator) and person.present(now):
                found.append(PresentOperator(person, len(held.get(key, ()))))
        return found

    def hands(self, desk: str, operator: str) -> list[WorkItem]:
        """Returns the items that an operator holds or is offered, in the order of their keys."""
        items = (self.item(key) for key in sorted(self.held.get(person_key(desk, operator), ())))
        return [item for item in items if item is not None]


def carried(_key: str, record: Row) -> Carried:
    """Returns an item or operator for another log: it goes with its desk."""
    return Carried(record.desk.encode(), record)


def work_key(desk: str, work_id: str) -> str:
    """Returns the state key of an item."""
    return f"work:{desk}:{work_id}"


def person_key(desk: str, operator: str) -> str:
    """Returns the state key of an operator."""
    return f"operator:{desk}:{operator}"


def _remove(index: dict[str, set[str]], name: str, key: str) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]
