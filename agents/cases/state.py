"""The state of a customer: what has been observed, each thing with its own time, and what has been emitted about it.

The records are written as arrays, which take half the bytes of maps with names. So a field may only be added at the end,
with a default. Times are milliseconds since the epoch, UTC; a record's `at` is its own time, and not the time at which
it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from agents.decider import Carried, StateNote
from schemas.records import CloseReason, Kind, Label, Metric, NoReply, Visibility

#: The most messages, replies, actions, changes of posts and labellings of a message in one customer's record.
MESSAGES = 50
ANSWERS = 5
CASE_ACTIONS = 10
POST_CHANGES = 10
LABELLINGS = 4
#: The most versions of one post.
VERSIONS = 4

#: How grave a label is.
GRAVITY: dict[str, int] = {"other": 0, "praise": 1, "question": 2, "complaint": 3}

#: Why a message needs no answer although nobody may have answered it; `edited`: another version of the post replaced
#: it.
Dismissal = Literal["", "no_reply", "deleted_unanswered", "hidden", "edited"]
#: The kinds of actions on a whole case, by an operator or, for `silence` and `no_target`, by the cases role itself.
CaseActionKind = Literal["resolve", "silence", "no_target", "mute", "reopen", "wait", "transfer", "escalate"]


class Labelling(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A label that a message was given, and the target that the policy then in force set for it."""

    at: int
    """ms; the post's own time for its first label, else when it was relabelled."""
    label: Label
    rule: str
    due_at: int | None = None
    """ms; due of the first response; None: no target."""
    non_sla: bool = False
    resolve_by: int | None = None
    """ms; by when the case must be resolved; None: no target."""


class Message(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A post of the case, without its text. The label is the latest label; the due is that of the latest label with a
    target.
    """

    native_id: str
    at: int
    """ms; the post's own time."""
    label: Label
    kind: Kind
    visibility: Visibility
    lang: str
    desk: str
    rule: str
    priority: int
    due_at: int | None
    """ms; due of the first response; None: no target."""
    non_sla: bool = False
    uncertain: bool = False
    followers: int | None = None
    reach: int | None = None
    """Number of people who may have seen the post, as first reported; `grown` is a larger number reported later."""
    promoted: bool = False
    grown: int | None = None
    paid: bool = False
    """Whether a later update said that the post is promoted."""
    resolve_by: int | None = None
    """ms; by when the case must be resolved; None: no target."""
    skills: tuple[str, ...] = ()
    done_at: int | None = None
    """ms; since when the message needs no answer although nobody may have answered it."""
    done: Dismissal = ""
    """Why the message needs no answer."""
    undue_at: int | None = None
    """ms; since when its label has no target, where an earlier label had one."""
    labellings: tuple[Labelling, ...] = ()
    """All its labels with their times; empty until it is relabelled."""

    @property
    def chatter(self) -> bool:
        """Whether it opens no case: its label asks for nothing and no rule gives it a target."""
        return self.label == "other" and self.due_at is None and not self.labellings

    @property
    def light(self) -> bool:
        """Whether it is neither a complaint nor a question: after an answer it asks for nothing."""
        return self.label == "praise" or self.label == "other"

    @property
    def timed_as(self) -> Label:
        """The label that its due belongs to."""
        if self.undue_at is None:
            return self.label
        return next(one.label for one in reversed(self.labellings) if one.due_at is not None)

    @property
    def widest(self) -> int | None:
        """People; the largest reach observed."""
        return self.reach if self.grown is None else max(self.grown, self.reach or 0)


class HumanReply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A human reply. It answers every message up to `at` (ms)."""

    at: int
    id: str
    privately: bool = False
    to: str = ""
    """native_id of the post that it names, if that post had not been read or is later: a reply counts no earlier than its post."""


class CaseAction(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An action on the whole case, by an operator or, for `silence` and `no_target`, by the cases role itself."""

    at: int
    kind: CaseActionKind
    until: int = 0
    """ms; end of a mute. For other kinds: how long the action is kept while there is no case."""
    desk: str = ""
    """For a transfer: the new desk."""
    since: int = 0
    """ms; the last message or reply before a silence. A later message or reply that is read afterwards undoes the
    silence.
    """


class PostChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An action or an update about one post, kept while the post or an earlier edit of it may still be read."""

    at: int
    native_id: str
    until: int
    """ms; when the change is dropped."""
    label: Label | None = None
    no_reply: NoReply | None = None
    deleted: bool = False
    grown: int | None = None
    paid: bool = False
    edited: bool = False
    """Whether the post has new words; then the classifier gave `label`, `lang` and `uncertain`."""
    lang: str = ""
    uncertain: bool = False
    hidden: bool | None = None

    @property
    def of_words(self) -> bool:
        """Whether the change concerns only one version of the post: the words that the post had at `at`."""
        return self.edited or self.deleted or self.hidden is not None or self.no_reply is not None


class Target(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The target of a resolution: when a case must be resolved."""

    due_at: int | None = None
    """ms; None: no target, the resolution is only measured."""
    label: Label = "other"
    non_sla: bool = False
    rule: str = "none"
    target_ms: int | None = None
    """The time in ms that the calendar counts from the start to the due, without pauses; None: no target."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The case at a time when nothing was left to answer. It replaces the messages, replies and actions up to then."""

    at: int
    opened_at: int
    closed_at: int | None = None
    close_reason: CloseReason = "unknown"
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
    """Number of next_response clocks so far; `firsts` counts the first_response clocks."""
    resolutions: int = 0
    """Number of resolution clocks that have become void."""
    started_at: int | None = None
    """ms; start of the resolution clock that is not void. All fields below are about this clock."""
    target: Target | None = None
    """Its target, already moved by the pauses that have ended."""
    paused_ms: int = 0
    paused_at: int | None = None
    met: bool = False
    """Whether the clock was emitted as met at least once."""
    paused_counted: int = 0
    """ms; the part of `paused_ms` that the calendar counts."""


class Observed(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The observations of a customer. The order in which records were read makes no difference."""

    messages: tuple[Message, ...] = ()
    """The messages of the case, by time; at most MESSAGES."""
    answers: tuple[HumanReply, ...] = ()
    """The last human replies, by time; at most ANSWERS."""
    actions: tuple[CaseAction, ...] = ()
    """The last actions on the case, by time; at most CASE_ACTIONS."""
    post_changes: tuple[PostChange, ...] = ()
    """The last actions and updates about single posts, by time; at most POST_CHANGES."""
    snapshot: Snapshot | None = None
    url: str | None = None
    """Web address of the newest message."""


class SlaClock(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """An SLA clock as the last ClockChanged about it says."""

    metric: Metric
    cycle: int
    label: Label
    started_at: int
    due_at: int | None
    """ms; None: no target, only measured."""
    target_ms: int | None = None
    """ms between start and due that the calendar counts, pauses left out; 0: only measured."""
    non_sla: bool = False
    warned: int = 0
    met_at: int | None = None
    detected_at: int | None = None
    """ms; when the breach was seen; None: not breached."""
    paused_at: int | None = None
    paused_ms: int = 0
    late_arrival: bool = False
    privately: bool = False
    void: bool = False

    @property
    def deadline(self) -> int:
        """ms; the due of a clock that has a target. Raises LookupError for a clock without a target."""
        if self.due_at is None:
            raise LookupError(f"a clock without a target was asked for its due: a defect in {__name__}")
        return self.due_at


class Emitted(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """The case as the emitted events say it is: open, or closed a short while ago."""

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
    close_reason: CloseReason | None = None
    """The reason of the closing; None while the case is open."""
    closed_at: int = 0
    """ms; when its last closing was emitted."""
    reopened: int = 0
    muted_until: int = 0
    """ms"""
    clocks: tuple[SlaClock, ...] = ()
    rounds: int = 0
    """Number of rounds of work so far."""
    work: int = 0
    """seq within the running round of work; 0: no round runs."""
    skills: tuple[str, ...] = ()
    window_closes_at: int | None = None
    """ms; end of the channel's reply window. This field and the skills are those of the running round of work."""
    together: bool = False
    """Whether the running round of work was told to the one partition of all desks."""


class Customer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One record for each customer who has a case, or for whom an action or update waits for its post."""

    observed: Observed = Observed()
    emitted: Emitted | None = None
    wake: int | None = None
    """ms; when the record's timer fires; None: never."""


class CustomerNoted(StateNote, msgspec.Struct, frozen=True, gc=False):
    """Note: the observations of a customer after a fact was handled, and when the record's timer fires (ms)."""

    key: str
    observed: Observed
    wake: int | None


class CaseForgotten(StateNote, msgspec.Struct, frozen=True, gc=False):
    """Note: the customer's case and what was emitted about it are forgotten; `observed` may still count for a later case."""

    key: str
    observed: Observed
    wake: int | None


def carried(key: str, record: Customer) -> Carried:
    """Returns the customer for another log; the state key is the customer's key in `classified` too."""
    return Carried(key.encode("utf-8", "replace"), record)


def gravest(messages: Sequence[Message]) -> Label:
    """Returns the gravest label of the messages; there must be at least one message."""
    label = messages[0].label
    for m in messages[1:]:
        if GRAVITY[m.label] > GRAVITY[label]:
            label = m.label
    return label


def most_urgent(messages: Sequence[Message]) -> int:
    """Returns the smallest priority of the messages; there must be at least one message."""
    priority = messages[0].priority
    for m in messages[1:]:
        if m.priority < priority:
            priority = m.priority
    return priority


def settled(clock: SlaClock, snapshot: Snapshot) -> bool:
    """Returns whether a clock ended before the snapshot was made, so that its messages are no longer kept."""
    if clock.metric == "first_response":
        return clock.cycle <= snapshot.firsts
    return clock.cycle <= (snapshot.nexts if clock.metric == "next_response" else snapshot.resolutions)
