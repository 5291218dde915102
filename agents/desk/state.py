"""The records of the desk: items of work, operators, crises, customers, and the notes that change them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from agents.decider import Carried, StateNote
from schemas import ids, keys
from schemas.records import Label, Mode, Visibility, WorkChanged

#: The most operators that an item remembers as having given it back; beyond that, the oldest are forgotten.
RESTING = 20
#: The most posts of a round of work that an item remembers: the oldest, among which a root is, and the newest.
POSTS = 10
NEVER = 1 << 62

Step = Literal["relax", "holding", "operator", "responsible", "lead", "unaccepted", "overflow"]
OPERATOR, RESPONSIBLE, LEAD = 1, 2, 3
"""The rungs of the ladder, as an item remembers them; 0: none was told."""


class WorkItem(msgspec.Struct, frozen=True, kw_only=True, tag="item", omit_defaults=True):
    """One round of work on a case, from the moment it is queued until it is answered or withdrawn."""

    desk: str
    """The desk that cases named."""
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
    """ms; when the offer ends."""
    returns: int = 0
    resting: tuple[tuple[str, int], ...] = ()
    """Operators who gave the item back, and until when (ms) it is not offered to them again."""
    last_event_at: int = 0
    """ms; time of the last event about this round, of the cases role or of the desk."""
    awaits: bool = False
    """Whether an operator waits for the customer, says cases."""
    through: str | None = None
    """The desk at which its operator is signed in, through which they have it."""
    overflowed_to: str | None = None
    """The desk in whose queue the item is; None: its own."""
    passed_desks: tuple[str, ...] = ()
    """The desks that the item has left."""
    started_at: int = 0
    """ms; when its response clock started."""
    visibility: Visibility = "public"
    non_sla: bool = False
    uncertain: bool = False
    share: bool = False
    window_closes_at: int | None = None
    """ms; when the channel's reply window closes."""
    conversation: str | None = None
    posts: tuple[str, ...] = ()
    """native ids of unanswered posts."""
    skills: tuple[str, ...] = ()
    relaxed: int = 0
    """Thirds of the wanted skills that are no longer asked for; from 3 on the language is not asked for either."""
    weight: int = 1
    """Units of an operator's capacity."""
    waiting: bool = False
    """Its operator waits for the customer, and it takes no capacity."""
    reserved_for: str | None = None
    """The person who is to have it."""
    reserved_until: int = 0
    """ms; until then only this person is offered it."""
    rung: int = 0
    """The highest rung of the ladder that was told."""
    steps: tuple[tuple[int, Step], ...] = ()
    """What is to be done when (ms) while nobody has answered, the earliest first."""
    asked_at: int | None = None
    """ms; when the operator who accepted it is to be asked, or was."""
    unanswered_at: int | None = None
    """ms; when it returns to the queue, because its operator was asked and has not answered."""
    held: bool = False
    """Whether a holding reply was due, sent or not."""
    holding_id: str | None = None
    """The HoldingReplyDue that may still be sent."""
    holding_until: int = 0
    """ms; when that reply expires."""
    together: bool = False
    """Whether cases wrote it for the one partition of all desks."""

    @property
    def where(self) -> str:
        """The desk in whose queue the item is."""
        return self.overflowed_to or self.desk

    @property
    def load(self) -> int:
        """The units that it takes of its operator's capacity."""
        return 0 if self.waiting else self.weight

    @property
    def customer(self) -> str:
        """The state key of its customer."""
        return customer_key(self.brand, self.channel, self.author_id)

    def rests(self, operator: str, now: int) -> bool:
        """Whether an operator has given it back and is not offered it yet again."""
        return any(name == operator and until > now for name, until in self.resting)

    def reserved(self, now: int) -> bool:
        """Whether only one person may have it now."""
        return self.reserved_for is not None and self.reserved_until > now

    def resting_with(self, operator: str, until: int) -> tuple[tuple[str, int], ...]:
        """Returns who rests, with this operator until `until` (ms)."""
        others = tuple(rest for rest in self.resting if rest[0] != operator)
        return (*others, (operator, until))[-RESTING:]

    def due(self) -> int | None:
        """Returns when (ms) something is to be done about it; None: nothing is."""
        moments = [at for at, _ in self.steps[:1]]
        if self.status == "offered" and self.expires_at is not None:
            moments.append(self.expires_at)
        elif self.status == "queued":
            moments += [until for _, until in self.resting]
            if self.reserved_for is not None and self.reserved_until:
                moments.append(self.reserved_until)
        elif not self.waiting:
            asked = self.asked_at if self.unanswered_at is None else self.unanswered_at
            if asked is not None:
                moments.append(asked)
        return min(moments, default=None)


class Operator(msgspec.Struct, frozen=True, kw_only=True, tag="operator", omit_defaults=True):
    """An operator at one desk: signed in, on a pause, away, or signed out a while ago."""

    desk: str
    name: str
    capacity: int
    """Units of work at a time, at all desks together."""
    languages: tuple[str, ...]
    until: int
    """ms; when the lease ends. Until then the operator counts as present."""
    idle_since: int
    """ms; when the operator last had a case taken away or finished; at first, when they signed in."""
    gone_at: int | None = None
    """ms; set when the lease has run out: when the operator's assigned work returns to the queue and the record is
    removed.
    """
    skills: tuple[str, ...] = ()
    paused_until: int | None = None
    """ms; when the pause ends; None: there is none."""
    said_at: int = 0
    """ms; the newest `at` of what the operator has said of their presence."""
    left: bool = False
    """Signed out. The record stays for a while, so that a late sign-in or renewal brings nobody back."""

    def here(self) -> bool:
        """Returns whether the operator is signed in, on a pause or not."""
        return not self.left and self.gone_at is None

    def takes_work(self) -> bool:
        """Returns whether the operator may be offered work."""
        return self.here() and self.paused_until is None and self.capacity > 0

    def due(self) -> int | None:
        """Returns when (ms) a pause or a lease ends, or the record is removed."""
        if self.gone_at is not None:
            return self.gone_at
        return self.until if self.paused_until is None else min(self.until, self.paused_until)


class PlannedShift(msgspec.Struct, frozen=True, kw_only=True, tag="shift", omit_defaults=True):
    """A shift of an operator at a desk that begins later."""

    desk: str
    name: str
    capacity: int
    languages: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    begins_at: int
    """ms"""
    until: int | None = None
    """ms; None: as long as the policy's lease."""


class RunningCrisis(msgspec.Struct, frozen=True, kw_only=True, tag="crisis", omit_defaults=True):
    """A crisis that runs, or is over."""

    crisis: str
    brand: str
    root: str | None = None
    """native_id of the post that it is about."""
    team: str | None = None
    """The desk that works on its conversation; None: nobody in particular."""
    over_at: int | None = None
    """ms; when it was over. The record stays while a copy of its beginning may come."""
    behind: int = 0
    """The last priority of complaints: without a team the conversation comes after them."""


class DeskCustomer(msgspec.Struct, frozen=True, kw_only=True, tag="customer", omit_defaults=True):
    """Who answered a customer last, and the holding reply that they got. The key is a hash: the record names no customer."""

    operator: str | None = None
    answered_until: int = 0
    """ms; until then the customer counts as answered by that operator."""
    held_until: int = 0
    """ms; until then they get no second holding reply."""


class HoldingCount(msgspec.Struct, frozen=True, kw_only=True, tag="holdings", omit_defaults=True):
    """The holding replies that a brand had due on a channel within the last hour, or the one of a conversation."""

    until: int
    """ms; when none of them counts any more."""
    times: tuple[int, ...]
    """ms; when they were due, the newest last."""


class Turns(msgspec.Struct, frozen=True, kw_only=True, tag="turns", omit_defaults=True):
    """Whose turn it is at a desk, so that no class of work waits for ever."""

    classes: dict[int, int] = {}
    """By class: percent of an offer that it has saved up while others were offered."""
    overdue: dict[int, int] = {}
    """By class: how many offers in a row went to work that could still be answered in time."""
    passed_over: dict[int, int] = {}
    """By class: how many offers in a row went past its first item, which was too heavy for the operator's room."""


Row = WorkItem | Operator | PlannedShift | RunningCrisis | DeskCustomer | HoldingCount | Turns


# --- notes: changes of state that no event tells -----------------------------------------------------------------


class WorkNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the state follows a WorkChanged: an item is queued, changed or removed."""

    work: WorkChanged
    weight: int = 1
    steps: tuple[tuple[int, Step], ...] = ()
    waits: bool = False
    """Whether it takes no capacity of its operator from now on."""


class ItemNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: fields of the item under `key` change."""

    key: str
    fields: dict[str, Any]


class SignInNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: an operator has signed in at `at` (ms), until `until` (ms)."""

    shift: PlannedShift
    at: int
    until: int


class PresenceNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: fields of the operator under `key` change."""

    key: str
    fields: dict[str, Any]


class RowNoted(StateNote, msgspec.Struct, frozen=True):
    """Note: the record under `key` is this one from now on; None: it is removed."""

    key: str
    row: Row | None


# --- keys --------------------------------------------------------------------------------------------------------


def carried(_key: str, record: Row) -> Carried:
    """Returns a record for another log: all desks are in one partition."""
    return Carried(keys.ALL_DESKS, record)


def work_key(desk: str, work_id: str) -> str:
    """Returns the state key of an item; desk: the one that cases named."""
    return f"work:{desk}:{work_id}"


def person_key(desk: str, operator: str) -> str:
    """Returns the state key of an operator at a desk."""
    return f"operator:{desk}:{operator}"


def shift_key(desk: str, operator: str, begins_at: int) -> str:
    """Returns the state key of a planned shift."""
    return f"shift:{desk}:{operator}:{begins_at}"


def crisis_key(crisis: str) -> str:
    """Returns the state key of a crisis."""
    return f"crisis:{crisis}"


def customer_key(brand: str, channel: str, author_id: str) -> str:
    """Returns the state key of a customer, which does not name them."""
    return "customer:" + ids.make("desk customer", brand, channel, author_id)


def account_key(brand: str, channel: str) -> str:
    """Returns the state key of the holding replies of a brand on a channel."""
    return f"holding:{brand}:{channel}"


def conversation_key(brand: str, channel: str, root: str) -> str:
    """Returns the state key of the holding reply of a conversation."""
    return f"holding:{brand}:{channel}:{root}"


def turns_key(desk: str) -> str:
    """Returns the state key of the turns of a desk."""
    return f"turns:{desk}"
