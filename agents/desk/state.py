"""What a desk remembers of its queue and its people, with the indexes that keep offering cheap."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from agents.decider import State, Timer
from schemas.records import Assigned, Label, Mode, Offered, OperatorChanged, Returned, WorkChanged

#: Operators who had a case before, as remembered in its item.
RESTING = 20
_NO_DUE = 1 << 62


class Item(msgspec.Struct, frozen=True, kw_only=True, tag="item", omit_defaults=True):
    """One round of work, from queued until answered or withdrawn."""

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
    """ms; of the first queueing, kept when it returns."""
    work_seq: int
    """Of the last WorkChanged."""
    seq: int = 0
    """Of the last event about this work by the desk."""
    status: Literal["queued", "offered", "assigned"] = "queued"
    operator: str | None = None
    offer_id: str | None = None
    expires_at: int | None = None
    returns: int = 0
    resting: tuple[tuple[str, int], ...] = ()
    """Operators who gave it back, and until when (ms) it is not offered to them again."""
    told_at: int = 0
    """ms; time of the last event about it."""

    @property
    def place(self) -> tuple[int, int, str]:
        """Its place in the queue: the earliest due first, then the first queued."""
        return (_NO_DUE if self.due_at is None else self.due_at, self.queued_at, self.work_id)


class Operator(msgspec.Struct, frozen=True, kw_only=True, tag="operator", omit_defaults=True):
    """Somebody at the desk."""

    desk: str
    name: str
    capacity: int
    languages: tuple[str, ...]
    until: int
    """ms; end of the lease."""
    idle_since: int
    """ms; when a case last left his hands, or he came."""
    gone_at: int | None = None
    """ms; set once the lease has lapsed: when his assigned work returns and he is forgotten."""

    def present(self, now: int) -> bool:
        """Whether the lease holds at `now` (ms)."""
        return self.gone_at is None and self.until > now


class Lease(msgspec.Struct, frozen=True):
    """Note: the operator counts as present until then (ms)."""

    key: str
    until: int


class Lapsed(msgspec.Struct, frozen=True):
    """Note: the lease has run out; what he has been assigned returns at `gone_at` (ms)."""

    key: str
    gone_at: int


class Rests(msgspec.Struct, frozen=True):
    """Note: the item is not offered to the operator again before `until` (ms)."""

    key: str
    operator: str
    until: int


Row = Item | Operator


class Free(NamedTuple):
    """An operator who could take a case, with what he holds."""

    operator: Operator
    load: int


class DeskState(State[Row]):
    """Records of items and operators; in memory also the queues in order, who holds what, and open offers."""

    def __init__(self) -> None:
        super().__init__()
        self.queues: dict[str, list[tuple[int, int, str]]] = {}
        self.people: dict[str, set[str]] = {}
        self.held: dict[str, set[str]] = {}
        """Keys of the items offered or assigned, by key of the operator."""
        self.offers: dict[str, str] = {}
        """Key of the item by the id of its open offer."""

    def put(self, key: str, record: Row | None) -> None:
        """Sets or removes a record and keeps the indexes true; O(log n) to find its place in the queue."""
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
            _leave(self.people, record.desk, key)
        elif record is not None and record.operator is None:
            queue = self.queues[record.desk]
            del queue[bisect_left(queue, record.place)]
            if not queue:
                del self.queues[record.desk]
        elif record is not None and record.operator is not None:
            _leave(self.held, person_key(record.desk, record.operator), key)
            self.offers.pop(record.offer_id or "", None)

    def item(self, key: str) -> Item | None:
        """The item, if there is one."""
        row = self.get(key)
        return row if isinstance(row, Item) else None

    def operator(self, key: str) -> Operator | None:
        """The operator, if he is known."""
        row = self.get(key)
        return row if isinstance(row, Operator) else None

    def queue(self, desk: str) -> Iterator[Item]:
        """Queued items, in order."""
        for _, _, work_id in self.queues.get(desk, ()):
            item = self.item(work_key(desk, work_id))
            if item is not None:
                yield item

    def present(self, desk: str, now: int) -> list[Free]:
        """Everybody whose lease holds, with his load."""
        found, held = [], self.held
        for key in self.people.get(desk, ()):
            person = self.get(key)
            if isinstance(person, Operator) and person.present(now):
                found.append(Free(person, len(held.get(key, ()))))
        return found

    def hands(self, desk: str, operator: str) -> list[Item]:
        """The items that he holds or has been offered, by key."""
        items = (self.item(key) for key in sorted(self.held.get(person_key(desk, operator), ())))
        return [item for item in items if item is not None]


def work_key(desk: str, work_id: str) -> str:
    """The state key of an item."""
    return f"work:{desk}:{work_id}"


def person_key(desk: str, operator: str) -> str:
    """The state key of an operator."""
    return f"operator:{desk}:{operator}"


def _leave(index: dict[str, set[str]], name: str, key: str) -> None:
    index[name].discard(key)
    if not index[name]:
        del index[name]


def evolve(state: DeskState, event: Any) -> dict[str, Row | None]:
    """The records that an event, a note or a remembered fact changes."""
    match event:
        case WorkChanged():
            return _work(state, event)
        case OperatorChanged():
            return _operator(state, event)
        case Timer():
            return {event.key: _woken(state.get(event.key), event.at)}
        case Lease():
            person = _known(state.operator(event.key), event.key)
            return {event.key: replace(person, until=event.until, gone_at=None)}
        case Lapsed():
            person = _known(state.operator(event.key), event.key)
            return {event.key: replace(person, gone_at=event.gone_at)}
        case Rests():
            item = _known(state.item(event.key), event.key)
            others = tuple(r for r in item.resting if r[0] != event.operator)
            return {event.key: replace(item, resting=(*others, (event.operator, event.until))[-RESTING:])}
    key = work_key(event.desk, event.aggregate)
    item = replace(_known(state.item(key), key), seq=event.seq, told_at=event.time)
    match event:
        case Offered():
            return {
                key: replace(
                    item,
                    status="offered",
                    operator=event.operator,
                    offer_id=event.id,
                    expires_at=event.expires_at,
                )
            }
        case Assigned():
            return {key: replace(item, status="assigned", expires_at=None)}
        case Returned():
            back = replace(item, status="queued", operator=None, offer_id=None, expires_at=None, returns=event.times)
            return {key: back, **_freed(state, event.desk, event.operator, event.time)}
    raise TypeError(f"the desk cannot apply {type(event).__name__}")


def _work(state: DeskState, event: WorkChanged) -> dict[str, Row | None]:
    key = work_key(event.desk, event.aggregate)
    old = state.item(key)
    if event.change in ("answered", "withdrawn"):
        freed = _freed(state, event.desk, old.operator, event.time) if old is not None and old.operator else {}
        return {key: None, **freed}
    if old is not None:
        return {
            key: replace(
                old,
                label=event.label,
                priority=event.priority,
                mode=event.mode,
                due_at=event.due_at,
                lang=event.lang,
                url=event.url,
                work_seq=event.seq,
                told_at=max(old.told_at, event.time),
            )
        }
    return {
        key: Item(
            desk=event.desk,
            work_id=event.aggregate,
            case_id=event.case_id,
            brand=event.brand,
            channel=event.channel,
            author_id=event.author_id,
            label=event.label,
            priority=event.priority,
            mode=event.mode,
            due_at=event.due_at,
            lang=event.lang,
            url=event.url,
            queued_at=event.time,
            work_seq=event.seq,
            told_at=event.time,
        )
    }


def _operator(state: DeskState, event: OperatorChanged) -> dict[str, Row | None]:
    key = person_key(event.desk, event.operator)
    if event.change == "left":
        return {key: None}
    old = state.operator(key)
    return {
        key: Operator(
            desk=event.desk,
            name=event.operator,
            capacity=event.capacity,
            languages=tuple(event.languages),
            until=event.at if event.until is None else event.until,
            idle_since=event.at if old is None else old.idle_since,
        )
    }


def _woken(row: Row | None, at: int) -> Row | None:
    """After a wake-up that the state must remember: rests that are over, an operator who is gone."""
    if isinstance(row, Item):
        return replace(row, resting=tuple(r for r in row.resting if r[1] > at))
    return None


def _freed(state: DeskState, desk: str, operator: str, time: int) -> dict[str, Row | None]:
    key = person_key(desk, operator)
    person = state.operator(key)
    return {} if person is None else {key: replace(person, idle_since=time)}


def _known(row: Any, key: str) -> Any:
    if row is None:
        raise LookupError(f"the desk has no record {key}: the log and the state disagree")
    return row
