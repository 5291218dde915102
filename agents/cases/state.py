"""What cases remembers of a customer: what it has learnt, each with its own time, and what it has told of it.

Written as arrays, which is half the bytes of maps with names: a field may only be added at the end, with a default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from schemas.records import CloseReason, Kind, Label, Metric, NoReply, Visibility

#: Bounds of one customer's record.
MESSAGES = 50
ANSWERS = 5
ACTS = 10
KEPT = 10
LABELLINGS = 4
#: Of one post.
VERSIONS = 4

GRAVITY: dict[str, int] = {"other": 0, "praise": 1, "question": 2, "complaint": 3}
#: ms; 9999-12-31T23:59:59Z, the due of a clock that is only measured.
FOREVER = 253_402_300_799_000

#: `edited`: another version of the post has taken its place.
Dismissal = Literal["", "no_reply", "deleted_unanswered", "hidden", "edited"]
#: What an operator or a silence does to a whole case.
Deed = Literal["resolve", "silence", "no_target", "mute", "reopen", "wait", "transfer", "escalate"]


class Labelling(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a message was said to be, and the target that the policy then in force gave it."""

    at: int
    """ms; the post's own time, or the relabelling's."""
    label: Label
    rule: str
    due_at: int | None = None
    """ms; None: no target."""
    courtesy: bool = False
    resolve_by: int | None = None
    """ms; by when the case must be resolved; None: no target."""


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A post of the case, without its text. Its label is the one said last, its due the last one that had a target."""

    native_id: str
    at: int
    """ms; the post's own time, as every `at` here is the thing's own."""
    label: Label
    kind: Kind
    visibility: Visibility
    lang: str
    desk: str
    rule: str
    priority: int
    due_at: int | None
    """ms; None: no target."""
    courtesy: bool = False
    uncertain: bool = False
    followers: int | None = None
    reach: int | None = None
    """As it came; what was learnt later is `grown`."""
    promoted: bool = False
    grown: int | None = None
    paid: bool = False
    """Promoted, as learnt later."""
    resolve_by: int | None = None
    skills: tuple[str, ...] = ()
    done_at: int | None = None
    """ms; since when it needs no answer although it may have had none."""
    done: Dismissal = ""
    """Why."""
    undue_at: int | None = None
    """ms; since when its label has no target, where an earlier one had."""
    labellings: tuple[Labelling, ...] = ()
    """All of them, once it has been relabelled."""

    @property
    def chatter(self) -> bool:
        """Opens no case: neither a label that asks for something nor a rule that gives it a target."""
        return self.label == "other" and self.due_at is None and not self.labellings

    @property
    def light(self) -> bool:
        """Neither a complaint nor a question: after an answer it asks for nothing."""
        return self.label == "praise" or self.label == "other"

    @property
    def timed_as(self) -> Label:
        """The label that has the due."""
        if self.undue_at is None:
            return self.label
        return next(one.label for one in reversed(self.labellings) if one.due_at is not None)

    @property
    def widest(self) -> int | None:
        """People; the largest reach known."""
        return self.reach if self.grown is None else max(self.grown, self.reach or 0)


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A human reply; it answers every message up to `at`."""

    at: int
    id: str
    privately: bool = False
    to: str = ""
    """native_id of the post that it names, where that had not come or was of later: it is never before that post."""


class Act(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something done to the whole case, by an operator or (`silence`, `no_target`) by cases itself."""

    at: int
    deed: Deed
    until: int = 0
    """ms; a mute's end. Of others: how long it is kept where there is no case."""
    desk: str = ""
    """Where to, for transfer."""
    since: int = 0
    """ms; the last word before a silence: it holds only while no later one comes to be known."""


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An action or an update about a post that has not come yet, or has only just: an edit may come to be known after it."""

    at: int
    native_id: str
    until: int
    """ms; dropped then."""
    label: Label | None = None
    no_reply: NoReply | None = None
    deleted: bool = False
    grown: int | None = None
    paid: bool = False
    edited: bool = False
    """`label`, `lang` and `uncertain` are what the classifier says of new words."""
    lang: str = ""
    uncertain: bool = False
    hidden: bool | None = None

    @property
    def changes(self) -> bool:
        """What it does to a post depends on the words that the post had then."""
        return self.edited or self.deleted or self.hidden is not None or self.no_reply is not None


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """By when a case must be resolved."""

    due_at: int | None = None
    """ms; None: it is only measured."""
    label: Label = "other"
    courtesy: bool = False
    rule: str = "none"
    counted: int = 0
    """ms that the calendar counts from the start to the due, pauses left out."""


class Base(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What the case had come to at a time when nothing was left to answer; what came before is no longer kept."""

    at: int
    opened_at: int
    closed_at: int | None = None
    why: CloseReason = "unknown"
    reopened: int = 0
    first_answer: int | None = None
    last_at: int = 0
    last_post: int = 0
    label: Label = "other"
    priority: int = 9
    desk: str = ""
    escalated: bool = False
    muted_until: int = 0
    firsts: int = 0
    nexts: int = 0
    """Response clocks so far, by metric."""
    lives: int = 0
    """Resolution clocks that have ended void, so far."""
    started_at: int | None = None
    """ms; of the resolution clock, as all below."""
    target: Target | None = None
    """Moved by the pauses that have ended."""
    paused_ms: int = 0
    paused_at: int | None = None
    met: bool = False
    """It has been told, met, at least once."""
    paused_counted: int = 0
    """Of `paused_ms`, what the calendar counts."""


class Known(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """What has been learnt of a customer. The order in which it was learnt leaves no trace."""

    messages: tuple[Message, ...] = ()
    """Of the case, by time; at most MESSAGES."""
    answers: tuple[Answer, ...] = ()
    """By time; the last ANSWERS."""
    acts: tuple[Act, ...] = ()
    """By time; the last ACTS."""
    kept: tuple[Kept, ...] = ()
    """The last KEPT."""
    base: Base | None = None
    url: str | None = None
    """Of the newest message."""


class Clock(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """An SLA clock as last told."""

    metric: Metric
    cycle: int
    label: Label
    started_at: int
    due_at: int
    target: int = 0
    """ms between start and due that the calendar counts, pauses left out; 0: only measured."""
    courtesy: bool = False
    warned: int = 0
    met_at: int | None = None
    detected_at: int | None = None
    """Set once breached."""
    paused_at: int | None = None
    paused_ms: int = 0
    late_arrival: bool = False
    privately: bool = False
    void: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The case as its events tell it, open or closed a short while ago."""

    id: str
    seq: int
    desk: str
    label: Label
    priority: int
    lang: str
    conversation: str | None = None
    followers: int | None = None
    reach: int | None = None
    promoted: bool = False
    waiting: bool = False
    escalated: bool = False
    why: CloseReason | None = None
    """Set while it is closed."""
    closed_at: int = 0
    """ms; when its last closing was told."""
    reopened: int = 0
    muted_until: int = 0
    """ms"""
    clocks: tuple[Clock, ...] = ()
    rounds: int = 0
    """Rounds of work so far."""
    work: int = 0
    """seq of the running round; 0: none runs."""
    skills: tuple[str, ...] = ()
    window: int | None = None
    """ms; of the running round, as told to the desk; so are the skills."""


class Customer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record per customer with a case, or of whom something waits for its post."""

    known: Known = Known()
    told: Told | None = None
    wake: int | None = None


class Learnt(msgspec.Struct, frozen=True, gc=False):
    """Note: the customer's record as it is to be remembered when a fact has been dealt with."""

    key: str
    known: Known
    wake: int | None
    forget: bool = False
    """The case goes, and what was told of it."""


def gravest(messages: Sequence[Message]) -> Label:
    """The label of the gravest; there must be one."""
    label = messages[0].label
    for m in messages[1:]:
        if GRAVITY[m.label] > GRAVITY[label]:
            label = m.label
    return label


def most_urgent(messages: Sequence[Message]) -> int:
    """The least priority; there must be one."""
    priority = messages[0].priority
    for m in messages[1:]:
        if m.priority < priority:
            priority = m.priority
    return priority


def settled(clock: Clock, base: Base) -> bool:
    """Whether a clock ended before what is still kept."""
    if clock.metric == "first_response":
        return clock.cycle <= base.firsts
    return clock.cycle <= (base.nexts if clock.metric == "next_response" else base.lives)
