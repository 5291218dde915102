"""Counts cases that wait, and says whether so many are overdue that people must know."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import msgspec

from agents.alerts.state import OpenWork, WorkStep
from agents.decider import At
from agents.policy.alert_policy import OverdueLimit
from schemas.records import Severity
from schemas.times import rfc3339

_RANK: dict[str, int] = {"info": 0, "warning": 1, "page": 2}


class _Counted(msgspec.Struct):
    """The cases that count at one limit."""

    limit: OverdueLimit
    waiting: int = 0
    overdue: int = 0

    @property
    def opens_at(self) -> int:
        return max(self.limit.overdue, ceil(self.limit.share * self.waiting - 1e-9))


class Count(msgspec.Struct):
    """Cases that wait at one time."""

    waiting: int = 0
    overdue: int = 0
    urgent: int = 0
    """Of the overdue cases, those of priority 1."""
    oldest: int | None = None
    """ms; the earliest due of the overdue cases."""
    next_at: int | None = None
    """ms; when the next of them counts as overdue, if nobody answers."""
    counted: dict[str, _Counted] = msgspec.field(default_factory=dict)
    """By the name of the limit."""
    desks: set[str] = msgspec.field(default_factory=set)
    """Where cases are overdue."""

    @property
    def reached(self) -> list[_Counted]:
        """The limits that are reached, the gravest first."""
        found = [one for one in self.counted.values() if one.overdue >= one.opens_at]
        return sorted(found, key=lambda one: (-_RANK[one.limit.severity], one.limit.name))

    @property
    def calm(self) -> bool:
        """Whether at every limit fewer than half of those that open an alert are overdue."""
        return all(2 * one.overdue < one.opens_at for one in self.counted.values())

    @property
    def reason(self) -> str:
        """What was reached, in words."""
        (first, *_) = self.reached
        return f"{first.limit.name}: {first.overdue} of {first.waiting} overdue, opens at {first.opens_at}"

    def figures(self) -> dict[str, str]:
        """The counts by the names of an alert's evidence."""
        found = {"overdue": str(self.overdue)}
        if self.urgent:
            found["urgent"] = str(self.urgent)
        if self.oldest is not None:
            found["oldest_breach_at"] = rfc3339(self.oldest)
        return found

    def changed(self, told: int, at: At) -> str | None:
        """Why it is to be told again, after `told` overdue cases were told; None where it has not changed so much, or by fewer
        cases than open an alert.
        """
        late = [one for one in self.counted.values() if one.overdue]
        grown = at.policy.alerts.told_again
        least = min((one.opens_at for one in self.reached or late), default=1)
        if self.overdue >= told * grown and self.overdue - told >= least:
            return f"grown: {self.overdue} overdue, {told} told last"
        if self.overdue * grown <= told and told - self.overdue >= least:
            return f"fallen: {self.overdue} overdue, {told} told last"
        return None

    def add_overdue(self, brand: str, desk: str, cases: int, oldest: int, at: At) -> None:
        """Adds overdue cases of which only this is known, the oldest of them since a time (ms)."""
        limit = at.policy.alerts.limit(brand, desk, 9)
        own = self.counted.setdefault(limit.name, _Counted(limit))
        own.waiting, own.overdue = own.waiting + cases, own.overdue + cases
        self.waiting, self.overdue = self.waiting + cases, self.overdue + cases
        self.oldest = oldest if self.oldest is None else min(self.oldest, oldest)


def count(works: Iterable[tuple[OpenWork, WorkStep]], at: At) -> Count:
    """Counts the work that waits at the time of a decision."""
    found, policy, time, grace = Count(), at.policy.alerts, at.time, at.policy.alerts.sla_grace
    limits: dict[tuple[str, str, int], _Counted] = {}
    for work, step in works:
        of = (work.brand, step.desk, step.priority)
        own = limits.get(of)
        if own is None:
            limit = policy.limit(*of)
            own = limits[of] = found.counted.setdefault(limit.name, _Counted(limit))
        own.waiting += 1
        due_at = step.due_at
        if due_at is None:
            continue
        counts_at = max(due_at, work.known_at) + grace
        if counts_at > time:
            if found.next_at is None or counts_at < found.next_at:
                found.next_at = counts_at
            continue
        own.overdue += 1
        found.urgent += step.priority == 1
        found.desks.add(step.desk)
        if found.oldest is None or due_at < found.oldest:
            found.oldest = due_at
    found.waiting = sum(one.waiting for one in found.counted.values())
    found.overdue = sum(one.overdue for one in found.counted.values())
    return found


def gravest(*severities: Severity) -> Severity:
    """The gravest of severities."""
    return max(severities, key=lambda severity: _RANK.get(severity, 0))
