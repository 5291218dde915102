"""What is remembered of an incident: of a surge, of a crisis, or of the overdue clocks of a brand's desk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from agents.decider import State
from schemas.records import Alert, CrisisClosed, CrisisOpened, Mode, Severity, SurgeClosed, SurgeOpened, SurgeUpdated

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: Clocks of a desk known one by one, of those overdue and of those that lately were: under 64 kB together.
KNOWN = 400


class Told(msgspec.Struct, frozen=True, array_like=True):
    """The last version of an alert."""

    version: int
    open: bool
    starts_at: int
    """ms"""
    ends_at: int | None
    """ms"""
    overdue: int = 0
    """of a desk: the count told last"""
    severity: Severity = "info"

    @classmethod
    def of(cls, alert: Alert) -> Told:
        """What this version says."""
        overdue = int(alert.evidence.get("overdue", "0"))
        return cls(alert.version, alert.state == "firing", alert.starts_at, alert.ends_at, overdue, alert.severity)


class Burst(msgspec.Struct, frozen=True, tag="burst"):
    """A surge of a brand, and those that joined it while it was open."""

    brand: str
    surge: str
    """id of the first"""
    mode: Mode
    surges: dict[str, int]
    """id: seq of the last event taken"""
    running: list[str]
    """ids"""
    told: Told | None = None
    woken: int = 0
    """ms; last timer"""

    @property
    def fingerprint(self) -> str:
        """Of its alert."""
        return f"surge:{self.brand}:{self.surge}"

    def due(self) -> int | None:
        """Once a day after the end, to be forgotten."""
        if self.told is None or self.told.ends_at is None:
            return None
        return max(self.woken, self.told.ends_at) + DAY

    def after(self, fact: SurgeOpened | SurgeUpdated | SurgeClosed) -> Burst:
        """With what a surge's event says."""
        running = [surge for surge in self.running if surge != fact.aggregate]
        if not isinstance(fact, SurgeClosed):
            running.append(fact.aggregate)
        return replace(self, surges={**self.surges, fact.aggregate: fact.seq}, running=running)


class Crisis(msgspec.Struct, frozen=True, tag="crisis"):
    """A crisis of a brand."""

    brand: str
    crisis: str
    """id"""
    seq: int = 0
    """of the last event taken"""
    told: Told | None = None
    woken: int = 0
    """ms; last timer"""

    @property
    def fingerprint(self) -> str:
        """Of its alert."""
        return f"crisis:{self.brand}:{self.crisis}"

    def due(self) -> int | None:
        """Once a day after the end, to be forgotten."""
        if self.told is None or self.told.ends_at is None:
            return None
        return max(self.woken, self.told.ends_at) + DAY

    def after(self, fact: CrisisOpened | CrisisClosed) -> Crisis:
        """With what its event says."""
        return replace(self, seq=fact.seq)


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """A clock that is no longer overdue."""

    case: str
    seq: int
    """of the case's event that ended it"""
    since: int
    """ms; the breach was seen"""
    until: int
    """ms"""


class Overdue(msgspec.Struct, frozen=True, tag="overdue"):
    """The overdue response clocks of a brand's desk."""

    brand: str
    desk: str
    clocks: dict[str, int] = {}
    """`case:metric:cycle`: ms at which the breach was seen"""
    gone: list[Gone] = []
    """of the last hour"""
    beyond: int = 0
    """overdue clocks that are only counted"""
    changed: int = 0
    """ms; time of the last change"""
    first: int = 0
    """ms; time of the first change since it was idle"""
    told: Told | None = None
    woken: int = 0
    """ms; last timer"""

    @property
    def fingerprint(self) -> str:
        """Of its alert."""
        return f"sla_breach:{self.brand}:{self.desk}"

    @property
    def idle(self) -> bool:
        """Nothing to tell and nothing told."""
        return not self.clocks and self.told is None and not self.gone

    def due(self) -> int | None:
        """Each minute until an hour after the last change; then each day, if an alert is to be forgotten."""
        if self.woken < self.changed + HOUR:
            return max(self.woken, self.first) // MINUTE * MINUTE + MINUTE
        if self.told is not None and not self.told.open:
            return self.woken + DAY
        return None

    def breached(self, case: str, seq: int, clock: str, seen: int, time: int) -> Overdue:
        """With a clock, at `time`; one too many is only counted. What is known already changes nothing.

        Another partition's changes may be read before those of earlier times: each is judged at its own time.
        """
        if clock in self.clocks or any(gone.case == case and gone.seq >= seq for gone in self.gone):
            return self
        first, changed = self._active(time)
        if len(self.clocks) >= KNOWN:
            return replace(self, beyond=self.beyond + 1, first=first, changed=changed)
        return replace(self, clocks={**self.clocks, clock: seen}, first=first, changed=changed)

    def without(self, case: str, seq: int, clocks: list[str], time: int) -> Overdue:
        """Without these clocks of a case, from `time` on; when none is left, none beyond is believed in."""
        kept = {clock: seen for clock, seen in self.clocks.items() if clock not in clocks}
        gone = [Gone(case, seq, self.clocks[clock], time) for clock in clocks]
        first, changed = self._active(time)
        return replace(
            self,
            clocks=kept,
            gone=[*self.gone, *gone][-KNOWN:],
            beyond=self.beyond if kept else 0,
            first=first,
            changed=changed,
        )

    def fewer(self, time: int) -> Overdue:
        """With one clock less of those that are only counted."""
        first, changed = self._active(time)
        return replace(self, beyond=max(0, self.beyond - 1), first=first, changed=changed)

    def awake(self, at: int) -> Overdue:
        """After a timer."""
        return replace(self, woken=at, gone=[gone for gone in self.gone if gone.until > at - HOUR])

    def count(self, now: int, grace: int) -> int:
        """How many are overdue now, without those seen within the grace; those beyond came last."""
        known = sum(seen < now and seen + grace <= now for seen in self._overdue(now))
        return known + self.beyond if known else 0

    def oldest(self, now: int) -> int | None:
        """ms; when the first breach that still stands was seen; None where there is none."""
        return min((seen for seen in self._overdue(now) if seen < now), default=None)

    def _overdue(self, now: int) -> Iterator[int]:
        """ms; when each of the clocks was seen that have not ended before now: what ended since may have been read."""
        yield from self.clocks.values()
        for gone in self.gone:
            if gone.until >= now:
                yield gone.since

    def most(self, now: int, grace: int, span: int) -> int:
        """The most that were overdue at once since `now - span` (ms, an hour at most)."""
        since = now - min(span, HOUR)
        changes = [(max(since, seen + grace), 1) for seen in self.clocks.values() if seen < now and seen + grace <= now]
        for gone in self.gone:
            if gone.until > since and gone.since < now and gone.since + grace < min(gone.until, now + 1):
                changes += [(max(since, gone.since + grace), 1), (gone.until, -1)]
        count = most = 0
        for _, step in sorted(changes):
            count += step
            most = max(most, count)
        return most + self.beyond

    def _active(self, time: int) -> tuple[int, int]:
        """(first, last) change (ms): none before it was last awake, though a slow writer may say so."""
        time = max(self.woken, time)
        idle = self.woken >= self.changed + HOUR or not self.changed
        return time if idle else min(self.first, time), max(self.changed, time)


Incident = Burst | Crisis | Overdue
I = TypeVar("I", Burst, Crisis, Overdue)


class Incidents(State[Incident]):
    """All incidents by fingerprint, and which are a brand's."""

    def __init__(self) -> None:
        super().__init__()
        self._brands: dict[str, dict[str, None]] = {}

    def put(self, key: str, record: Incident | None) -> None:
        """Set or remove a record, and keep the index."""
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
