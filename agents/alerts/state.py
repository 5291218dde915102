"""The state of alerts: one record for each incident, and the notes that change these records in addition to the alerts.

An incident is a surge with its crisis, a silent channel, or the overdue clocks of one desk of a brand. Each has one alert, in
versions 1, 2, 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeVar

import msgspec
from msgspec.structs import replace

from agents.decider import Carried, State, StateNote
from schemas.records import Alert, CrisisClosed, CrisisOpened, Mode, Severity, SurgeClosed, SurgeOpened, SurgeUpdated

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: A desk's record lists at most this many overdue clocks, and as many that ended lately. So the record stays below 64
#: kB.
LISTED = 400
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
    """The number of overdue clocks in this version; 0 for a surge or a crisis."""
    severity: Severity = "info"

    @classmethod
    def of(cls, alert: Alert) -> LastAlert:
        """The part of an alert that the state keeps."""
        overdue = int(alert.evidence.get("overdue", "0"))
        return cls(alert.version, alert.state == "firing", alert.starts_at, alert.ends_at, overdue, alert.severity)


class OpenCrisis(msgspec.Struct, frozen=True, array_like=True):
    """The crisis of an incident that is not closed."""

    id: str
    by: str
    """`rule`, or the person who declared it."""
    surge: str | None
    """Id of the surge that it belongs to."""


class SurgeIncident(msgspec.Struct, frozen=True, tag="surge"):
    """A trouble of a brand: a surge or a crisis, together with the surges and crises that opened while it ran."""

    brand: str
    surge: str
    """Id of the surge that began it, or of the crisis if there was no surge."""
    mode: Mode
    surges: dict[str, int]
    """By the id of each surge: `seq` of its last event that was read."""
    running: list[str]
    """Ids of the surges that are not closed."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""
    begun_by: Literal["surge", "crisis"] = "surge"
    crises: dict[str, int] = {}
    """By the id of each crisis: `seq` of its last event that was read."""
    crisis: OpenCrisis | None = None
    said: str = ""
    """What was last said of its surges, as a part of a sentence."""
    figures: dict[str, str] = {}
    """The figures that were last told of its surges."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"{self.begun_by}:{self.brand}:{self.surge}"

    @property
    def runs(self) -> bool:
        """Whether a surge or a crisis of it is not closed."""
        return bool(self.running) or self.crisis is not None

    def due(self) -> int | None:
        """ms; when to check whether to forget the incident."""
        return _forgotten_at(self.last_alert, self.woken_at)

    def with_surge(
        self, fact: SurgeOpened | SurgeUpdated | SurgeClosed, said: str, figures: dict[str, str]
    ) -> SurgeIncident:
        """The incident after an event of one of its surges, of which this was said."""
        running = [surge for surge in self.running if surge != fact.aggregate]
        if not isinstance(fact, SurgeClosed):
            running.append(fact.aggregate)
        surges = {**self.surges, fact.aggregate: fact.seq}
        return replace(self, surges=surges, running=running, said=said, figures=figures)

    def with_crisis(self, fact: CrisisOpened | CrisisClosed) -> SurgeIncident:
        """The incident after an event of one of its crises."""
        opened = OpenCrisis(fact.aggregate, fact.by, fact.surge_id) if isinstance(fact, CrisisOpened) else None
        return replace(self, crises={**self.crises, fact.aggregate: fact.seq}, crisis=opened)


class SilentChannel(msgspec.Struct, frozen=True, tag="silent"):
    """A channel from which a brand gets no posts, or got none some time ago."""

    brand: str
    channel: str
    mode: Mode
    seq: int
    """`seq` of its last event that was read."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"channel_silent:{self.brand}:{self.channel}"

    def due(self) -> int | None:
        """ms; when a channel that stays silent is given up, or when to check whether to forget it."""
        last = self.last_alert
        return last.starts_at + GIVEN_UP if last is not None and last.firing else _forgotten_at(last, self.woken_at)


def _forgotten_at(last: LastAlert | None, woken_at: int) -> int | None:
    """ms; when to check whether to forget an incident: a day after its end, then every day. None while the alert fires."""
    return None if last is None or last.ends_at is None else max(woken_at, last.ends_at) + DAY


class EndedClock(msgspec.Struct, frozen=True, array_like=True):
    """A clock that is no longer overdue."""

    case: str
    """The case's id."""
    seq: int
    """`seq` of the case's event that ended the clock."""
    seen_at: int
    """ms; when its breach was seen."""
    ended_at: int
    """ms"""


class OverdueDesk(msgspec.Struct, frozen=True, tag="overdue"):
    """The overdue response clocks of one desk of a brand.

    Events of several partitions arrive out of order. Each change counts at its own time, so the number of overdue
    clocks at a minute does not depend on later records.
    """

    brand: str
    desk: str
    clocks: dict[str, int] = {}
    """By `case:metric:cycle`: ms at which the breach was seen."""
    ended: list[EndedClock] = []
    """Clocks that ended within the last hour."""
    unlisted: int = 0
    """How many more clocks are overdue than `clocks` lists."""
    changed_at: int = 0
    """ms; time of the last change."""
    active_since: int = 0
    """ms; time of the first change after the desk was idle."""
    last_alert: LastAlert | None = None
    woken_at: int = 0
    """ms; when the last timer fired."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its alert."""
        return f"sla_breach:{self.brand}:{self.desk}"

    @property
    def idle(self) -> bool:
        """Whether the record holds nothing: no clock and no alert."""
        return not self.clocks and self.last_alert is None and not self.ended

    def due(self) -> int | None:
        """ms; the next timer: every whole minute until an hour after the last change, then every day until a resolved
        alert is forgotten.
        """
        if self.woken_at < self.changed_at + HOUR:
            return max(self.woken_at, self.active_since) // MINUTE * MINUTE + MINUTE
        if self.last_alert is not None and not self.last_alert.firing:
            return self.woken_at + DAY
        return None

    def breached(self, case: str, seq: int, clock: str, seen_at: int, time: int) -> OverdueDesk:
        """The desk with one more overdue clock from `time` (ms) on; unchanged where the clock is known already."""
        if clock in self.clocks or any(ended.case == case and ended.seq >= seq for ended in self.ended):
            return self
        active_since, changed_at = self._active(time)
        if len(self.clocks) >= LISTED:
            return replace(self, unlisted=self.unlisted + 1, active_since=active_since, changed_at=changed_at)
        clocks = {**self.clocks, clock: seen_at}
        return replace(self, clocks=clocks, active_since=active_since, changed_at=changed_at)

    def without(self, case: str, seq: int, clocks: list[str], time: int) -> OverdueDesk:
        """The desk without these clocks of a case from `time` (ms) on. When no clock is left, `unlisted` is reset."""
        left = {clock: seen_at for clock, seen_at in self.clocks.items() if clock not in clocks}
        ended = [EndedClock(case, seq, self.clocks[clock], time) for clock in clocks]
        active_since, changed_at = self._active(time)
        return replace(
            self,
            clocks=left,
            ended=[*self.ended, *ended][-LISTED:],
            unlisted=self.unlisted if left else 0,
            active_since=active_since,
            changed_at=changed_at,
        )

    def one_unlisted_less(self, time: int) -> OverdueDesk:
        """The desk after one of its unlisted clocks ended at `time` (ms)."""
        active_since, changed_at = self._active(time)
        unlisted = max(0, self.unlisted - 1)
        return replace(self, unlisted=unlisted, active_since=active_since, changed_at=changed_at)

    def woken(self, at: int) -> OverdueDesk:
        """The desk after a timer of `at` (ms), without the clocks that ended more than an hour before."""
        return replace(self, woken_at=at, ended=[ended for ended in self.ended if ended.ended_at > at - HOUR])

    def count(self, now: int, grace: int) -> int:
        """How many clocks are overdue at `now` (ms), without clocks whose breach was seen within `grace` (ms)."""
        listed = sum(seen_at < now and seen_at + grace <= now for seen_at in self._overdue_at(now))
        return listed + self.unlisted if listed else 0

    def oldest(self, now: int) -> int | None:
        """ms; when the oldest breach that is not over at `now` (ms) was seen; None where no breach is left."""
        return min((seen_at for seen_at in self._overdue_at(now) if seen_at < now), default=None)

    def most(self, now: int, grace: int, span: int) -> int:
        """The largest `count` since `now - span` (all in ms; a span of an hour at most)."""
        since = now - min(span, HOUR)
        changes = [
            (max(since, seen_at + grace), 1)
            for seen_at in self.clocks.values()
            if seen_at < now and seen_at + grace <= now
        ]
        for clock in self.ended:
            counts_from = clock.seen_at + grace
            if clock.ended_at > since and clock.seen_at < now and counts_from < min(clock.ended_at, now + 1):
                changes += [(max(since, counts_from), 1), (clock.ended_at, -1)]
        count = most = 0
        for _, step in sorted(changes):
            count += step
            most = max(most, count)
        return most + self.unlisted

    def _overdue_at(self, now: int) -> Iterator[int]:
        """ms; for each clock that had not ended before `now` (ms), when its breach was seen."""
        yield from self.clocks.values()
        for clock in self.ended:
            if clock.ended_at >= now:
                yield clock.seen_at

    def _active(self, time: int) -> tuple[int, int]:
        """(active_since, changed_at) after a change at `time` (ms), which counts from the last timer on if it is late."""
        time = max(self.woken_at, time)
        idle = self.woken_at >= self.changed_at + HOUR or not self.changed_at
        return time if idle else min(self.active_since, time), max(self.changed_at, time)


Incident = SurgeIncident | SilentChannel | OverdueDesk


def carried(_key: str, record: Incident) -> Carried:
    """The incident for another log: it goes with its brand."""
    return Carried(record.brand.encode(), record)


I = TypeVar("I", SurgeIncident, SilentChannel, OverdueDesk)


class Incidents(State[Incident]):
    """All incidents by fingerprint, with an index by brand."""

    def __init__(self) -> None:
        super().__init__()
        self._brands: dict[str, dict[str, None]] = {}

    def put(self, key: str, record: Incident | None) -> None:
        """Set a record, or remove it with None, and update the index."""
        old = self.get(key)
        if old is not None and record is None:
            self._brands[old.brand].pop(key)
            if not self._brands[old.brand]:
                del self._brands[old.brand]
        elif record is not None:
            self._brands.setdefault(record.brand, {})[key] = None
        super().put(key, record)

    def of(self, brand: str, kind: type[I]) -> list[I]:
        """A brand's incidents of a kind, by fingerprint."""
        found: list[Any] = [self[key] for key in sorted(self._brands.get(brand, ()))]
        return [record for record in found if isinstance(record, kind)]


# --- notes: changes of state without an alert -----------------------------------------------------------------------


class IncidentsNoted(StateNote, msgspec.Struct, frozen=True):
    """A fact was read that changes incidents."""

    incidents: dict[str, Incident]
    """By fingerprint: the incident after the fact."""


class TimerNoted(StateNote, msgspec.Struct, frozen=True):
    """An incident's timer fired."""

    fingerprint: str
    at: int
    """ms"""


class IncidentForgotten(StateNote, msgspec.Struct, frozen=True):
    """An incident was resolved so long ago that its record is removed."""

    fingerprint: str
