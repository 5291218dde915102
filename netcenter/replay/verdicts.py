"""The results of a policy over the past: the first response of every case, and the figures of each brand and
channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any, NamedTuple

import msgspec

from schemas.records import Alert, CaseClosed, CaseOpened, ClockChanged, Label, Record, SurgeOpened, WorkChanged

MINUTE, HOUR = 60_000, 3_600_000
#: Minutes after the post; all later answers count as one group.
LONGEST = 24 * 60
#: The chart draws a line for a target if at least this share of the clocks has it.
_MANY = 0.05


class Slice(NamedTuple):
    """The brand and channel of some figures; None means all brands or all channels."""

    brand: str | None = None
    channel: str | None = None


class CaseVerdict(msgspec.Struct, gc=False):
    """A case and its first response clock; the newest clock, where the case had several."""

    brand: str
    channel: str
    native_id: str
    """The network's id of the customer's first post."""
    opened_at: int
    """ms; the own time of the customer's first post."""
    label: Label
    started_at: int | None = None
    """ms; None for a case without a clock."""
    due_at: int | None = None
    """ms; None: no target."""
    target_ms: int | None = None
    """ms between start and due that the calendar counts; None: no target."""
    met_at: int | None = None
    """ms"""
    breached: bool = False
    non_sla: bool = False
    void: bool = False
    spam: bool = False
    """Whether the case was closed because it needs no reply."""

    @property
    def counts(self) -> bool:
        """Whether the KPI views count the clock of the case."""
        return self.timed and not (self.void or self.non_sla or self.spam)

    @property
    def waited(self) -> float | None:
        """Minutes until the first response."""
        return None if self.met_at is None or self.started_at is None else (self.met_at - self.started_at) / MINUTE

    @property
    def timed(self) -> bool:
        """Whether the case has a clock with a target."""
        return self.started_at is not None and self.due_at is not None

    @property
    def verdict(self) -> str:
        """The outcome of the case's clock in a word or two."""
        if not self.timed:
            return "no target"
        if self.void:
            return "void"
        if self.met_at is not None:
            return "late" if self.breached else "in time"
        return "overdue" if self.breached else "running"


class Figures(msgspec.Struct):
    """The figures of one slice under one policy. Clocks are those that the KPI views count: first responses without
    non-SLA targets, void clocks and spam.
    """

    cases: int = 0
    """cases opened"""
    clocks: int = 0
    breaches: int = 0
    """clocks that are late at the end of the replay; a rescinded breach does not count"""
    breach_share: float | None = None
    """0..1; breaches over clocks"""
    sla_attainment: float | None = None
    """0..1; clocks met in time, over clocks that were met or are late"""
    median_min: float | None = None
    """minutes to the first response, over the answered clocks"""
    p90_min: float | None = None
    warnings: int = 0
    labels: dict[str, int] = {}
    """clocks by label"""
    desks: dict[str, int] = {}
    """rounds of work by desk"""
    surges: int | None = None
    """number opened; None for a channel"""
    alerts: int | None = None
    """number opened; None for a channel"""


class Verdicts:
    """Keeps a small record of each case, from the records that a replay writes."""

    def __init__(self) -> None:
        self.cases: dict[str, CaseVerdict] = {}
        """By the id of the case, which is the same under every policy that opens the case with the same post."""
        self._warnings: Counter[Slice] = Counter()
        self._work: Counter[tuple[Slice, str]] = Counter()
        self._surges: Counter[str] = Counter()
        self._alerts: Counter[str] = Counter()
        self._names: dict[str, str] = {}

    def tell(self, topic: str, records: list[Record]) -> None:
        """Process the records that a replay has written to a topic."""
        if topic == "cases":
            for record in records:
                self._case(record)
        elif topic == "desk":
            queued = (r for r in records if isinstance(r, WorkChanged) and r.change == "queued")
            self._work.update((Slice(r.brand, r.channel), r.desk) for r in queued)
        elif topic == "surges":
            self._surges.update(r.brand for r in records if isinstance(r, SurgeOpened))
        elif topic == "alerts":
            opened = (r for r in records if isinstance(r, Alert) and r.state == "firing" and r.version == 1)
            self._alerts.update(r.brand for r in opened)

    def _case(self, event: Record) -> None:
        if isinstance(event, ClockChanged):
            if event.metric != "first_response":
                return
            if event.change == "warned":
                self._warnings[Slice(event.brand, event.channel)] += 1
            case = self.cases[event.aggregate]
            case.started_at, case.due_at, case.target_ms = event.started_at, event.due_at, event.target_ms
            case.met_at, case.breached, case.non_sla = event.met_at, event.breached_at is not None, event.non_sla
            case.label, case.void = event.label, event.change == "voided"
        elif isinstance(event, CaseOpened):
            name, post = self._names.setdefault, event.post
            brand, channel = name(event.brand, event.brand), name(event.channel, event.channel)
            self.cases[event.aggregate] = CaseVerdict(brand, channel, post.native_id, post.created_at, event.label)
        elif isinstance(event, CaseClosed) and event.close_reason == "no_reply":
            self.cases[event.aggregate].spam = True

    # --- figures --------------------------------------------------------------------------------------------------

    def _places(self) -> set[Slice]:
        """Every brand and channel that has cases or work, and every brand that has surges or alerts."""
        found = {Slice(case.brand, case.channel) for case in self.cases.values()}
        return found | {Slice(brand) for brand in (*self._surges, *self._alerts)} | {place for place, _ in self._work}

    def figures(self) -> dict[Slice, Figures]:
        """The figures of everything, of each brand, and of each brand and channel."""
        cases: dict[Slice, list[CaseVerdict]] = {Slice(): []}
        for place in self._places():
            for wider in _widths(place):
                cases.setdefault(wider, [])
        for case in self.cases.values():
            for place in _widths(Slice(case.brand, case.channel)):
                cases[place].append(case)
        return {place: self._figures(place, found) for place, found in cases.items()}

    def _figures(self, place: Slice, cases: list[CaseVerdict]) -> Figures:
        clocks = [case for case in cases if case.counts]
        late = sum(case.breached for case in clocks)
        met = [case for case in clocks if case.met_at is not None]
        in_time = sum(not case.breached for case in met)
        waited = sorted(case.waited for case in met if case.waited is not None)
        work: Counter[str] = Counter()
        for (where, desk), count in self._work.items():
            if _within(where, place):
                work[desk] += count
        return Figures(
            cases=len(cases),
            clocks=len(clocks),
            breaches=late,
            breach_share=late / len(clocks) if clocks else None,
            sla_attainment=in_time / (in_time + late) if in_time + late else None,
            median_min=share_of(waited, 0.5),
            p90_min=share_of(waited, 0.9),
            warnings=sum(n for where, n in self._warnings.items() if _within(where, place)),
            labels=dict(sorted(Counter(str(case.label) for case in clocks).items())),
            desks=dict(sorted(work.items())),
            surges=_of_brand(self._surges, place),
            alerts=_of_brand(self._alerts, place),
        )

    # --- for the chart ----------------------------------------------------------------------------------------------

    def breaches(self) -> Counter[int]:
        """The number of clocks that became late, by the start of the hour (ms)."""
        return Counter(
            (case.due_at or 0) // HOUR * HOUR for case in self.cases.values() if case.counts and case.breached
        )

    def answered(self) -> list[float]:
        """The shares of the clocks that were answered within 0, 1, 2 … LONGEST minutes of the post."""
        clocks = [case for case in self.cases.values() if case.counts]
        by_minute: Counter[int] = Counter(ceil(case.waited) for case in clocks if case.waited is not None)
        shares, sum_ = [], 0
        for minute in range(LONGEST + 1):
            sum_ += by_minute[minute]
            shares.append(sum_ / max(1, len(clocks)))
        return shares

    def targets(self) -> list[int]:
        """The targets that many clocks have (ms), shortest first."""
        found = Counter(case.target_ms or 0 for case in self.cases.values() if case.counts)
        return sorted(target for target, count in found.items() if count >= _MANY * found.total())


def differing(one: Verdicts, other: Verdicts) -> Iterator[tuple[CaseVerdict | None, CaseVerdict | None]]:
    """The cases on which two policies' verdicts differ, in the order of their first posts."""
    both = one.cases.keys() | other.cases.keys()
    pairs = [(one.cases.get(id), other.cases.get(id)) for id in both]
    differ = [pair for pair in pairs if verdict(pair[0]) != verdict(pair[1])]
    return iter(sorted(differ, key=lambda pair: _order(next(filter(None, pair)))))


def verdict(case: CaseVerdict | None) -> str:
    """The verdict of a case in a word or two; `verdict` is None where the post opened no case under the policy."""
    return "no case" if case is None else case.verdict


def _order(case: CaseVerdict) -> tuple[Any, ...]:
    return case.opened_at, case.brand, case.channel, case.native_id


def _widths(place: Slice) -> Iterable[Slice]:
    return dict.fromkeys((place, Slice(place.brand), Slice()))


def _within(one: Slice, other: Slice) -> bool:
    return other.brand in (None, one.brand) and other.channel in (None, one.channel)


def _of_brand(counts: Counter[str], place: Slice) -> int | None:
    if place.channel is not None:
        return None
    return counts.total() if place.brand is None else counts[place.brand]


def share_of(ordered: list[float], share: float) -> float | None:
    """The interpolated percentile, as PostgreSQL's percentile_cont computes it; None for an empty list."""
    if not ordered:
        return None
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)
