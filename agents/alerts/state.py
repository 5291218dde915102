"""The state of alerts: the cases that wait for an answer, the incidents that people must know, and the note that changes both.

An incident is a flood (a surge with its crisis), a silent channel, the overdue cases of one desk of a brand, or the cases for which
one person, or a desk that names nobody, is asked. Each has one alert, in versions 1, 2, 3.

Facts are kept in records when they are read, and take effect at timers, when the watermark has reached their time. What is counted
at a time counts the facts before it. So alerts are the same however far ahead the facts of a faster source are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from agents.decider import Carried, State, StateNote
from schemas.records import Alert, Mode, Rung, Severity

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: The rungs of a ladder, the lowest first.
RUNGS: tuple[Rung, ...] = ("operator", "responsible", "lead")
#: ms; a channel that is silent for so long is given up: its alert is resolved.
GIVEN_UP = 7 * DAY


class LastAlert(msgspec.Struct, frozen=True, array_like=True):
    """The content of the newest version of an incident's alert."""

    version: int
    firing: bool
    starts_at: int
    """ms"""
    ends_at: int | None
    """ms; None while it fires."""
    overdue: int = 0
    """The number of overdue or escalated cases in this version."""
    severity: Severity = "info"
    receivers: tuple[str, ...] = ()
    """Who has been told since it began to fire."""
    withheld: bool = False
    """Whether receivers are to be told when a silence or the night is over."""
    live: bool = False
    """Whether receivers are told: an alert that began in live mode ends in it."""

    @classmethod
    def of(cls, alert: Alert, before: LastAlert | None) -> LastAlert:
        """The part of an alert that the state keeps, after the version before."""
        counted = int(alert.evidence.get("overdue") or alert.evidence.get("cases") or "0")
        told = before if before is not None and before.firing else None
        return cls(
            alert.version,
            alert.state == "firing",
            alert.starts_at,
            alert.ends_at,
            counted,
            alert.severity,
            tuple(dict.fromkeys((*(told.receivers if told else ()), *(alert.receivers or ())))),
            alert.withheld is not None,
            alert.mode == "live",
        )


class WorkStep(msgspec.Struct, frozen=True, array_like=True):
    """An event of a round of work, as far as alerts need it."""

    time: int
    """ms"""
    desk: str
    waits: bool
    """False: it was answered or withdrawn."""
    priority: int
    started_at: int
    """ms; when the message that is to be answered was written."""
    due_at: int | None
    """ms; None where it has no target, or a non-SLA target."""
    conversation: str | None
    """Native id of the conversation's root."""
    escalated_to: str | None = None
    """The person, where the event escalates it."""
    carried: str | None = None
    """The case, where a desk counts it among those that an earlier release left."""


class Climb(msgspec.Struct, frozen=True, array_like=True):
    """That a case has climbed to a person, or to a desk that names nobody."""

    at: int
    """ms; since when the person is asked."""
    person: str
    """Empty: the desk names nobody."""
    rung: Rung
    """The highest rung on which the person was asked."""
    desk: str
    why: str
    """Why it climbed, in words."""


class DeskStep(msgspec.Struct, frozen=True, array_like=True):
    """An event of the desk, as far as alerts need it."""

    time: int
    """ms"""
    climb: Climb | None
    """None: an operator has accepted the case."""


class OpenWork(msgspec.Struct, frozen=True, tag="work", omit_defaults=True):
    """A round of work: a case that waits for an answer at a desk."""

    brand: str
    work: str
    """Id of the round."""
    seq: int
    """Of its last event that was read."""
    steps: list[WorkStep] = []
    """Events that were read and are later than the watermark, in their order."""
    newest: WorkStep | None = None
    """Its newest event; None: its first is still to come."""
    known_at: int = 0
    """ms; since when its due holds."""
    escalated_to: str | None = None
    """The person to whom an operator escalated it, until somebody accepts it."""
    escalated_at: int = 0
    """ms"""
    desk_seq: int = 0
    """Of the last event of the desk that was read."""
    desk_steps: list[DeskStep] = []
    """Events of the desk that were read and are later than the watermark, in their order."""
    climbs: dict[str, Climb] = {}
    """Who is asked for it by the desk, by the fingerprint of their alert, until somebody accepts it."""

    @property
    def key(self) -> str:
        """The key of its record. In the order of timers it comes after the keys of all incidents that count it."""
        return f"work:{self.work}"

    @property
    def asked(self) -> dict[str, Climb]:
        """Who is asked for it, by an operator or by the desk, by the fingerprint of their alert."""
        if self.escalated_to is None:
            return self.climbs
        fingerprint, desk = escalation(self.brand, self.escalated_to), self.newest.desk if self.newest else ""
        by_hand = Climb(self.escalated_at, self.escalated_to, "responsible", desk, "an operator asked for it")
        known = self.climbs.get(fingerprint)
        own = by_hand if known is None else replace(known, at=min(known.at, by_hand.at))
        return {**self.climbs, fingerprint: own}

    def due(self) -> int | None:
        """ms; its next event."""
        return min((steps[0].time for steps in (self.steps, self.desk_steps) if steps), default=None)

    def after(self, step: WorkStep) -> OpenWork:
        """The work after an event."""
        same = self.newest is not None and self.newest.due_at == step.due_at
        to = step.escalated_to
        return replace(
            self,
            newest=step,
            known_at=self.known_at if same else step.time,
            escalated_to=to or self.escalated_to,
            escalated_at=self.escalated_at if to is None else step.time,
        )

    def after_desk(self, step: DeskStep) -> OpenWork:
        """The work after an event of the desk."""
        climb = step.climb
        if climb is None:
            return replace(self, escalated_to=None, climbs={})
        fingerprint = escalation(self.brand, climb.person, climb.desk)
        known = self.climbs.get(fingerprint)
        if known is not None:
            climb = replace(climb, at=known.at, rung=max(known.rung, climb.rung, key=RUNGS.index))
        return replace(self, climbs={**self.climbs, fingerprint: climb})

    def counts_at(self, grace: int) -> int | None:
        """ms; from when on it counts as overdue, if nobody answers. A post that arrived overdue counts after the grace (ms) too."""
        return (
            None
            if self.newest is None or self.newest.due_at is None
            else max(self.newest.due_at, self.known_at) + grace
        )


StepChange = Literal[
    "surge_opened", "surge_updated", "surge_closed", "crisis_opened", "crisis_closed", "channel_silent", "channel_heard"
]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """An event of a surge, a crisis or a channel, as far as alerts need it."""

    time: int
    """ms"""
    change: StepChange
    aggregate: str
    reason: str
    mode: Mode
    figures: dict[str, str]
    """What is to be told, by the names of an alert's evidence."""
    cause: str
    """Id of the event."""
    severity: Severity = "info"
    since: int = 0
    """ms; the start of the surge, or the opening of the crisis."""
    surge: str | None = None
    """For a crisis: the surge that it belongs to."""


class SurgeIncident(msgspec.Struct, frozen=True, tag="surge", omit_defaults=True):
    """A flood of a brand: a surge or a crisis, the surges and crises that opened while it ran, and the cases that began in it."""

    brand: str
    surge: str
    """Id of the surge that began it, or of the crisis if there was no surge."""
    mode: Mode
    surges: dict[str, int] = {}
    """By the id of each surge: `seq` of its last event that was read."""
    running: list[str] = []
    """Ids of the surges that are not closed."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""
    begun_by: Literal["surge", "crisis"] = "surge"
    crises: dict[str, int] = {}
    """By the id of each crisis: `seq` of its last event that was read."""
    crisis: tuple[str, str, str | None] | None = None
    """(id, by whom, its surge) of the crisis that is not closed."""
    figures: dict[str, str] = {}
    """What was last told of it."""
    since: int = 0
    """ms; the start of the flood."""
    until: int | None = None
    """ms; when the last surge or crisis of it closed; None while one runs."""
    crisis_known: bool = False
    """Whether it was ever a crisis."""
    roots: list[str] = []
    """Native ids of the posts that it is about."""
    steps: list[Step] = []
    """Events that were read and are later than the watermark, in their order."""
    calm_since: int | None = None
    """ms; since when so few of its cases are overdue that it may end."""
    desks: tuple[str, ...] = ()
    """The desks of its overdue cases, where so many are overdue as open an alert."""
    cases: dict[str, str] = {}
    """The count of its cases at the last whole minute, by the names of an alert's evidence."""
    grave: Severity = "info"
    """How grave that count is."""
    changed_at: int = 0
    """ms; its last event, or that of a case of its brand, give or take half an hour."""
    look_at: int | None = None
    """ms; a whole minute at which its cases are to be counted at the latest."""
    ended: tuple[str, str] | None = None
    """(reason, id) of the event after which nothing of it runs, until the next whole minute."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"{self.begun_by}:{self.brand}:{self.surge}"

    @property
    def runs(self) -> bool:
        """Whether a surge or a crisis of it is not closed."""
        return bool(self.running) or self.crisis is not None

    @property
    def will_run(self) -> bool:
        """Whether it runs after all events that were read."""
        return reduce(SurgeIncident.after, self.steps, self).runs

    def due(self) -> int | None:
        """ms; the next event, the next whole minute while its alert fires, and when to check whether to forget it."""
        if not self.steps:
            return self.then
        return self.step_at if self.then is None else min(self.step_at, self.then)

    @property
    def step_at(self) -> int:
        """ms; when the first event that was read takes effect. The key of a flood that a crisis began stands before those of desks in
        the order of timers, so its events wait until desks have been counted at the same time.
        """
        return self.steps[0].time + (self.begun_by == "crisis")

    @property
    def then(self) -> int | None:
        """ms; when to count its cases while its alert fires, and when to check whether to forget it."""
        then = _then(self.last_alert, self.woken_at, self.changed_at)
        if then is None or self.last_alert is None or not self.last_alert.firing or self.look_at is None:
            return then
        return min(then, self.look_at)

    def after(self, step: Step) -> SurgeIncident:
        """The incident after an event."""
        id_ = step.aggregate
        if step.change == "crisis_opened":
            opened = (id_, step.figures.get("by", ""), step.surge)
            return replace(self, crisis=opened, crisis_known=True, until=None, since=self.since or step.since)
        if step.change == "crisis_closed":
            after = replace(self, crisis=None)
        else:
            running = [surge for surge in self.running if surge != id_]
            after = replace(self, running=running if step.change == "surge_closed" else [*running, id_])
        root = step.figures.get("root")
        if root is not None and root not in self.roots:
            after = replace(after, roots=[*self.roots, root][-20:])
        return replace(after, until=None if after.runs else step.time, calm_since=None, since=self.since or step.since)

    def takes(self, work: OpenWork, at: int) -> bool:
        """Whether a case is the flood's, at a time (ms): it began while the flood ran, or belongs to its conversation."""
        case = work.newest
        if case is None or (case.conversation is not None and case.conversation in self.roots):
            return case is not None
        return self.since <= case.started_at < (at + 1 if self.until is None else self.until)


class SilentChannel(msgspec.Struct, frozen=True, tag="silent", omit_defaults=True):
    """A channel from which a brand gets no posts, or got none some time ago."""

    brand: str
    channel: str
    mode: Mode
    seq: int
    """`seq` of its last event that was read."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""
    steps: list[Step] = []
    """Events that were read and are later than the watermark, in their order."""
    figures: dict[str, str] = {}
    """What was last told of it."""
    changed_at: int = 0
    """ms; its last event."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"channel_silent:{self.brand}:{self.channel}"

    def due(self) -> int | None:
        """ms; the next event, when the channel is given up or may be told, and when to check whether to forget it."""
        then, last = _then(self.last_alert, self.woken_at, self.changed_at), self.last_alert
        if last is not None and last.firing and then is not None:
            then = min(then, last.starts_at + GIVEN_UP)
        return _first(self.steps, then)


class OverdueDesk(msgspec.Struct, frozen=True, tag="overdue", omit_defaults=True):
    """The overdue cases of one desk of a brand."""

    brand: str
    desk: str
    check_at: int | None = None
    """ms; a whole minute at which to count."""
    calm_since: int | None = None
    """ms; since when so few are overdue that the alert may be resolved."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""
    late: bool = False
    """Whether a case was overdue when they were last counted."""
    changed_at: int = 0
    """ms; the last event of a case of this desk since then, give or take half an hour."""
    carried: dict[str, int] = {}
    """Cases that were overdue when an earlier release wrote this record, until their next event: when it was seen, ms."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"sla_breach:{self.brand}:{self.desk}"

    def due(self) -> int | None:
        """ms; when to count, and when to check whether to forget it."""
        return self.check_at if self.check_at is not None else _forgotten_at(self.last_alert, self.woken_at)

    def looked_at(self, at: int) -> OverdueDesk:
        """The desk, which is counted at the first whole minute at or after a time (ms), or earlier."""
        minute = whole_minute(at)
        return self if self.check_at is not None and self.check_at <= minute else replace(self, check_at=minute)


class Escalations(msgspec.Struct, frozen=True, tag="escalation", omit_defaults=True):
    """The cases of a brand for which one person is asked, or a desk that names nobody."""

    brand: str
    person: str
    """Empty: the desk names nobody."""
    check_at: int | None = None
    """ms; when to count."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""
    changed_at: int = 0
    """ms; the last event of one of the cases."""
    desk: str = ""
    """Where the desk names nobody: its name."""
    calm_since: int | None = None
    """ms; since when no case waits, while the alert fires."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return escalation(self.brand, self.person, self.desk)

    def due(self) -> int | None:
        """ms; when to count, and when to check whether to forget it."""
        return self.check_at if self.check_at is not None else _forgotten_at(self.last_alert, self.woken_at)

    def looked_at(self, at: int) -> Escalations:
        """The person, whose cases are counted at a time (ms) or earlier."""
        return self if self.check_at is not None and self.check_at <= at else replace(self, check_at=at)


def escalation(brand: str, person: str, desk: str = "") -> str:
    """The fingerprint of the alert of a person who is asked; of a desk that names nobody, where the person is empty."""
    return f"escalation:{brand}:{person or f'desk:{desk}'}"


def _then(last: LastAlert | None, woken_at: int, changed_at: int) -> int | None:
    """ms; when to look at an incident whose events have all taken effect."""
    if last is None or not last.firing:
        return _forgotten_at(last, woken_at)
    return _next_minute(woken_at) if last.withheld else next_look(woken_at, changed_at)


def _first(steps: list[Step], then: int | None) -> int | None:
    """ms; the next event or another time, whichever is first."""
    if not steps:
        return then
    return steps[0].time if then is None else min(steps[0].time, then)


def next_look(woken_at: int, changed_at: int) -> int:
    """ms; when to look at what fires again, though nothing is known to change: the queue, the policy and the time of day may have
    changed what is to be told. Each whole minute until an hour after the last change, then each day.
    """
    if woken_at < changed_at + HOUR:
        return _next_minute(max(woken_at, changed_at))
    return woken_at // DAY * DAY + DAY


def whole_minute(at: int) -> int:
    """ms; the first whole minute at or after a time (ms)."""
    return -(-at // MINUTE) * MINUTE


def _next_minute(at: int) -> int:
    return at // MINUTE * MINUTE + MINUTE


def _forgotten_at(last: LastAlert | None, woken_at: int) -> int | None:
    """ms; when to check whether to forget an incident: a day after its end, then every day. None while the alert fires."""
    return None if last is None or last.ends_at is None else max(woken_at, last.ends_at) + DAY


Incident = SurgeIncident | SilentChannel | OverdueDesk | Escalations
AlertState = Incident | OpenWork


def carried(_key: str, record: AlertState) -> Carried:
    """The record for another log: it goes with its brand."""
    return Carried(record.brand.encode(), record)


I = TypeVar("I", SurgeIncident, SilentChannel, OverdueDesk, Escalations)


class Incidents(State[AlertState]):
    """Incidents by fingerprint and work by its id, with an index by kind and brand."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[tuple[type[AlertState], str], dict[str, None]] = {}
        """The keys of records by their type and brand."""
        self._asked: dict[str, dict[str, None]] = {}
        """The keys of the work for which people are asked, by the fingerprint of their alert."""

    def put(self, key: str, record: AlertState | None) -> None:
        """Set a record, or remove it with None, and update the indexes."""
        old = self.get(key)
        self._index_asked(key, old, record)
        if record is not None:
            self._keys.setdefault((type(record), record.brand), {})[key] = None
        elif old is not None:
            keys = self._keys[type(old), old.brand]
            keys.pop(key)
            if not keys:
                del self._keys[type(old), old.brand]
        super().put(key, record)

    def _index_asked(self, key: str, old: AlertState | None, new: AlertState | None) -> None:
        before = old.asked if isinstance(old, OpenWork) else {}
        after = new.asked if isinstance(new, OpenWork) else {}
        for fingerprint in after:
            self._asked.setdefault(fingerprint, {})[key] = None
        for fingerprint in before.keys() - after.keys():
            self._asked[fingerprint].pop(key)
            if not self._asked[fingerprint]:
                del self._asked[fingerprint]

    def asked(self, fingerprint: str) -> list[tuple[OpenWork, Climb]]:
        """The work for which the person of an alert is asked, who was asked first comes first."""
        works: list[Any] = [self[key] for key in self._asked.get(fingerprint, ())]
        found = [(work, work.asked[fingerprint]) for work in works]
        return sorted(found, key=lambda one: (one[1].at, one[0].work))

    def of(self, brand: str, kind: type[I]) -> list[I]:
        """A brand's incidents of a kind, by fingerprint."""
        found: list[Any] = [self[key] for key in sorted(self._keys.get((kind, brand), ()))]
        return found

    def known(self, fresh: I) -> I:
        """The incident with the fingerprint of this one; this one itself where there is none."""
        found: Any = self.get(fresh.fingerprint)
        return found if isinstance(found, type(fresh)) else fresh

    def waiting(self, brand: str) -> Iterator[tuple[OpenWork, WorkStep]]:
        """The work of a brand that waits, each with its newest event, in no order."""
        for key in self._keys.get((OpenWork, brand), ()):
            work: Any = self[key]
            if work.newest is not None:
                yield work, work.newest


class Noted(StateNote, msgspec.Struct, frozen=True):
    """A fact was read, or a timer fired, and records change."""

    records: dict[str, AlertState | None]
    """By key: the record after it; None: it is forgotten."""
