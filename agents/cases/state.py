"""What cases remembers of a customer, how events change it, and what follows from it alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from schemas.records import (
    Action,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClockChanged,
    Kind,
    Label,
    Metric,
    Reply,
    Visibility,
    WorkChanged,
)

#: Bounds of one customer's record.
MESSAGES = 50
ANSWERS = 5
ACTIONS = 10

GRAVITY: dict[str, int] = {"other": 0, "praise": 1, "question": 2, "complaint": 3}


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A post of the case, without its text."""

    id: str
    native_id: str
    created_at: int
    label: Label
    kind: Kind
    visibility: Visibility
    lang: str
    rule: str
    priority: int
    due_at: int | None
    """ms; by the policy in force when it was read or relabelled; None: no target."""
    courtesy: bool = False
    uncertain: bool = False
    url: str | None = None
    closed: bool = False
    """Needs no answer any more although it got none: no_reply, deleted, or its case was closed."""

    @property
    def chatter(self) -> bool:
        """Opens no case: neither a label that asks for something nor a rule that gives it a target."""
        return self.label == "other" and self.due_at is None

    @property
    def light(self) -> bool:
        """Neither a complaint nor a question: after an answer it asks for nothing."""
        return GRAVITY[self.label] < GRAVITY["question"]


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A human reply; it answers every message up to `at`."""

    id: str
    at: int
    privately: bool = False


class Clock(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """An SLA clock as last announced."""

    metric: Metric
    cycle: int
    label: Label
    started_at: int
    due_at: int
    courtesy: bool = False
    warned: int = 0
    met_at: int | None = None
    detected_at: int | None = None
    """Set once breached."""
    late_arrival: bool = False
    privately: bool = False


class Work(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The running round of work as last told to the desk."""

    id: str
    started_at: int
    due_at: int | None
    label: Label
    priority: int
    courtesy: bool = False
    seq: int = 0


class Case(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The customer's case, open or closed a short while ago."""

    id: str
    seq: int
    desk: str
    label: Label
    priority: int
    lang: str
    opened_at: int
    conversation: str | None = None
    reach: int | None = None
    followers: int | None = None
    messages: tuple[Message, ...] = ()
    """By time; at most MESSAGES."""
    more: int = 0
    """Messages that no longer fit; none of them set a clock's start or due."""
    clocks: tuple[Clock, ...] = ()
    """One per span, in the order of `spans`; voided ones are left out."""
    firsts: int = 0
    nexts: int = 0
    """Clocks ever started, by metric."""
    earliest: int | None = None
    """ms; the first message of the case that is no chatter, by its own time."""
    first_answer: int | None = None
    """ms; the first reply at or after `earliest`."""
    last_at: int = 0
    """ms; the newest message or answer, by its own time; or the reopening."""
    work: Work | None = None
    rounds: int = 0
    closed_at: int | None = None


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One record per customer with a case, or whose replies wait for their mention."""

    case: Case | None = None
    answers: tuple[Answer, ...] = ()
    """By time; the last ANSWERS."""
    settled_until: int = -1
    """ms; every message up to here was answered by a reply that is no longer kept."""
    actions: tuple[str, ...] = ()
    """Ids of the last ACTIONS, so that a repeat changes nothing."""
    wake: int | None = None


class Read(msgspec.Struct, frozen=True):
    """Note: a message of the case as it is to be remembered, new or changed."""

    key: str
    message: Message


class Rest(msgspec.Struct, frozen=True):
    """Note: when to wake next, and what to keep until then."""

    key: str
    wake: int | None
    keep_case: bool = True
    answers_after: int = -1
    """ms; older answers are dropped."""


class Span(NamedTuple):
    """Messages with a due that the same reply answers (or none yet): what one clock times."""

    messages: tuple[Message, ...]
    answer: Answer | None

    @property
    def governing(self) -> Message:
        """The message whose due comes first."""
        return min(self.messages, key=lambda m: (_due(m), m.created_at, m.id))

    @property
    def started_at(self) -> int:
        """ms; of the first message."""
        return self.messages[0].created_at

    @property
    def due_at(self) -> int:
        """ms; the earliest of the messages' dues."""
        return _due(self.governing)


def _due(message: Message) -> int:
    if message.due_at is None:
        raise ValueError(f"message {message.id} has no due and belongs to no clock: a defect in spans()")
    return message.due_at


def answer_to(customer: Customer, message: Message) -> Answer | None:
    """The first kept reply at or after the message."""
    return next((a for a in customer.answers if a.at >= message.created_at), None)


def _wants(customer: Customer, message: Message) -> bool:
    """Whether the message asks for an answer, had or not."""
    case = customer.case
    first = case.first_answer if case is not None else None
    thanks = message.light and first is not None and first < message.created_at
    return not message.closed and not thanks and message.created_at > customer.settled_until


def pending(customer: Customer) -> list[Message]:
    """The messages that still want an answer, by time."""
    messages = customer.case.messages if customer.case is not None else ()
    return [m for m in messages if _wants(customer, m) and answer_to(customer, m) is None]


def spans(customer: Customer) -> list[Span]:
    """What the case's clocks should time, whatever the order in which messages and replies were read."""
    groups: dict[Answer | None, list[Message]] = {}
    for message in customer.case.messages if customer.case is not None else ():
        if message.due_at is not None and _wants(customer, message):
            groups.setdefault(answer_to(customer, message), []).append(message)
    return [Span(tuple(messages), answer) for answer, messages in groups.items()]


def gravest(messages: list[Message]) -> Label:
    """The label of the gravest; there must be one."""
    return max(messages, key=lambda m: GRAVITY[m.label]).label


def evolve(customer: Customer, event: Any) -> Customer | None:
    """The customer's record after an event, a note or a fact; None when nothing is left to remember."""
    case = customer.case
    match event:
        case CaseOpened():
            return replace(
                customer,
                case=Case(
                    id=event.aggregate,
                    seq=event.seq,
                    desk=event.desk,
                    label=event.label,
                    priority=event.priority,
                    lang=event.lang,
                    opened_at=event.time,
                    conversation=event.conversation,
                    reach=event.reach,
                    followers=event.followers,
                ),
            )
        case Reply():
            return _keep(customer, Answer(id=event.id, at=event.created_at, privately=event.visibility == "private"))
        case Action():
            return replace(customer, actions=(*customer.actions, event.id)[-ACTIONS:])
        case Rest():
            kept = tuple(a for a in customer.answers if a.at > event.answers_after)
            case = case if event.keep_case else None
            return replace(customer, case=case, answers=kept, wake=event.wake) if case or kept else None
    if case is None:
        raise LookupError(f"{type(event).__name__} for a customer without a case: the log and the state disagree")
    return replace(customer, case=_case(customer, case, event))


def _case(customer: Customer, case: Case, event: Any) -> Case:
    match event:
        case Read():
            return _answered(replace(customer, case=_with(customer, case, event.message)))
        case WorkChanged():
            if event.change in ("answered", "withdrawn"):
                return replace(case, work=None)
            work = Work(
                id=event.aggregate,
                seq=event.seq,
                started_at=event.started_at,
                due_at=event.due_at,
                label=event.label,
                priority=event.priority,
                courtesy=event.courtesy,
            )
            return replace(case, work=work, rounds=case.rounds + (event.change == "queued"))
        case CaseReopened():
            return replace(
                case,
                seq=event.seq,
                label=event.label,
                priority=event.priority,
                closed_at=None,
                last_at=max(case.last_at, event.time),
            )
        case CaseClosed():
            done = tuple(m if answer_to(customer, m) else replace(m, closed=True) for m in case.messages)
            return replace(case, seq=event.seq, closed_at=event.time, messages=done)
        case CaseChanged():
            last_at = max(case.last_at, event.replied_at or 0)
            return replace(case, seq=event.seq, label=event.label, priority=event.priority, last_at=last_at)
        case ClockChanged():
            return replace(_clocks(case, event), seq=event.seq)
    raise TypeError(f"cases cannot apply {type(event).__name__}")


def _clocks(case: Case, event: ClockChanged) -> Case:
    old = next((c for c in case.clocks if (c.metric, c.cycle) == (event.metric, event.cycle)), None)
    if event.change == "voided":
        return replace(case, clocks=tuple(c for c in case.clocks if c is not old))
    clock = Clock(
        metric=event.metric,
        cycle=event.cycle,
        label=event.label,
        started_at=event.started_at,
        due_at=event.due_at,
        courtesy=event.courtesy,
        warned=event.warned or (old.warned if old else 0),
        met_at=event.met_at,
        detected_at=event.detected_at,
        late_arrival=event.late_arrival,
        privately=event.privately,
    )
    if old is not None:
        return replace(case, clocks=tuple(clock if c is old else c for c in case.clocks))
    return replace(
        case,
        clocks=(*case.clocks, clock),
        firsts=case.firsts + (event.metric == "first_response"),
        nexts=case.nexts + (event.metric == "next_response"),
    )


def _keep(customer: Customer, answer: Answer) -> Customer:
    """With one more answer; the oldest gives way, and what it answered is settled."""
    kept = tuple(sorted((*customer.answers, answer), key=lambda a: (a.at, a.id)))
    case, until = customer.case, customer.settled_until
    if len(kept) > ANSWERS:
        oldest, kept, until = kept[0], kept[1:], kept[0].at
        if case is not None:
            first = next(iter(spans(customer)), None)
            timed = first is not None and first.answer == oldest
            left = tuple(m for m in case.messages if m.created_at > until)
            case = replace(case, clocks=case.clocks[1:] if timed else case.clocks, messages=left)
    customer = replace(customer, case=case, answers=kept, settled_until=until)
    return customer if case is None else replace(customer, case=_answered(customer))


def _answered(customer: Customer) -> Case:
    """The case with `first_answer` brought up to date."""
    case = customer.case
    if case is None:
        raise LookupError("no case: a defect in evolve()")
    times = [a.at for a in customer.answers if case.earliest is not None and a.at >= case.earliest]
    first = min(times + ([case.first_answer] if case.first_answer is not None else []), default=None)
    return replace(case, first_answer=first)


def _with(customer: Customer, case: Case, message: Message) -> Case:
    """With the message added or replaced; beyond the bound the least telling one is only counted."""
    others = [m for m in case.messages if m.id != message.id]
    messages = tuple(sorted((*others, message), key=lambda m: (m.created_at, m.id)))
    earliest = case.earliest
    if not message.chatter:
        earliest = min(message.created_at, message.created_at if earliest is None else earliest)
    case = replace(case, messages=messages, earliest=earliest, last_at=max(case.last_at, message.created_at))
    if len(messages) <= MESSAGES:
        return case
    telling = {m.id for s in spans(replace(customer, case=case)) for m in (s.messages[0], s.governing)}
    least = min(
        (m for m in messages if m.id not in telling),
        key=lambda m: (answer_to(customer, m) is None and not m.closed, GRAVITY[m.label], m.created_at, m.id),
    )
    return replace(case, messages=tuple(m for m in messages if m is not least), more=case.more + 1)
