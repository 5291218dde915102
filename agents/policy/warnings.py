"""Warnings about values that a policy may have, but that its owner probably does not mean. There are few warnings, and
no false ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from agents.policy.alert_warnings import alert_warnings
from agents.policy.desk_warnings import desk_warnings, shut_windows
from agents.policy.lines import Problem
from agents.policy.matching import Match
from agents.policy.parts import UNITS, written
from agents.policy.policy import Brand, Policy

_FOR_CASES = ("desk", "names", "pages", "comments", "automatic_apps", "hidden", "calendar", "holidays")
_EVERYTHING = Match()


def warnings(policy: Policy, today: date | None = None, receivers: Collection[str] = ()) -> Iterator[Problem]:
    """The warnings in the order of the file's tables. Where `today` is given, also for dates that are past; where the names of
    all `receivers` are given, also for routes to others.
    """
    for n, brand in enumerate(policy.brands):
        yield from _watched_only(n, brand)
        if today is not None:
            yield from _over(n, brand, today)
        yield from shut_windows(n, brand, policy)
    yield from _never(policy)
    yield from _hasty(policy)
    yield from desk_warnings(policy)
    yield from alert_warnings(policy, today, receivers)


def _watched_only(n: int, brand: Brand) -> Iterator[Problem]:
    if not brand.care:
        for field in _FOR_CASES:
            if field in brand.model_fields_set:
                yield ("brands", n, field), "is for cases, and with care = false this brand has none"


def _over(n: int, brand: Brand, today: date) -> Iterator[Problem]:
    """Warnings for lists of holidays or events that are all past, as happens at the beginning of a year."""
    dates = [holiday.date for holiday in brand.holidays]
    if dates and all(isinstance(day, date) and day < today for day in dates):
        last = max(day for day in dates if isinstance(day, date))
        yield (
            ("brands", n, "holidays"),
            f'all are past, the last on {last}: add those to come, or every year\'s as "12-25"',
        )
    events = brand.expected_events
    if events and all(event.repeats is None and event.end.date() < today for event in events):
        last = max(event.end.date() for event in events)
        yield (
            ("brands", n, "expected_events"),
            f"all are past, the last on {last}: take them out, or say when they repeat",
        )


def _never(policy: Policy) -> Iterator[Problem]:
    """Warnings for rules that never match."""
    watched = {brand.name for brand in policy.brands if not brand.care}
    for n, rule in enumerate(policy.rules):
        for earlier in policy.rules[:n]:
            if earlier.match.covers(rule.match):
                what = "everything" if earlier.match.covers(_EVERYTHING) else "all that it matches"
                yield ("rules", n), f"{rule.name!r} never matches: {earlier.name!r} before it matches {what}"
                break
        else:
            if rule.match.brand and watched.issuperset(rule.match.brand):
                yield ("rules", n, "match", "brand"), f"{rule.name!r} is for cases, and its brands have care = false"


def _hasty(policy: Policy) -> Iterator[Problem]:
    for n, rule in enumerate(policy.rules):
        for field, target in (("target", rule.target), ("resolution", rule.resolution)):
            if isinstance(target, int) and target < UNITS["m"]:
                yield ("rules", n, field), f"{written(target)} is less than a minute: nobody answers so fast"
