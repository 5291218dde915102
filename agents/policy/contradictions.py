"""Contradictions in a policy whose values are each valid by themselves: names given twice, calendars that never open,
desks that hand work round in a circle.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import get_args

from agents.policy.calendar import DAYS, Holiday, Hours
from agents.policy.desk_policy import ANY_LANGUAGE, Desk
from agents.policy.lines import Problem
from agents.policy.parts import UNITS, written
from agents.policy.policy import Brand, Policy, Rule
from agents.policy.zone import DAY
from schemas.records import Language

_WEEK = 7 * 24 * 60
_YEAR = 366 * DAY
_LANGUAGES = (*get_args(Language), ANY_LANGUAGE)
_LONGEST_WAIT = 520
"""Weeks; a target that takes longer in a brand's working time is taken as a mistake."""


def contradictions(policy: Policy) -> Iterator[Problem]:
    """The problems that keep a policy from being put in force."""
    for table in ("brands", "rules", "desks", "channels"):
        yield from _twice(table, [part.name for part in getattr(policy, table)])
    for name in ("overdue", "routes"):
        yield from _twice(name, [part.name for part in getattr(policy.alerts, name)], ("alerts",))
    yield from _circles(policy.desks)
    yield from _unknown_languages(policy.desks)
    for n, brand in enumerate(policy.brands):
        overlaps = list(_overlaps(brand.calendar))
        for i, why in overlaps:
            yield ("brands", n, "calendar", i), why
        special = list(_clashes(brand.holidays))
        for i, why in special:
            yield ("brands", n, "holidays", i), why
        if not overlaps and not special and (brand.calendar or brand.holidays):
            yield from ((("brands", n, *place), why) for place, why in _too_little(brand, policy.rules))


def missing_desks(policy: Policy) -> Iterator[Problem]:
    """The brands, rules and desks whose work would go to a desk that is not listed."""
    if not policy.desks:
        yield ("desks",), 'no desk is listed: add one, [[desks]] with name = "care"'
        return
    listed = {desk.name for desk in policy.desks}
    known = f"is not listed under desks; listed are {', '.join(sorted(listed))}"
    for n, brand in enumerate(policy.brands):
        if brand.care and brand.desk not in listed:
            said = "" if "desk" in brand.model_fields_set else " (the default)"
            yield ("brands", n, "desk"), f"{brand.desk}{said} {known}"
    for n, rule in enumerate(policy.rules):
        if rule.desk is not None and rule.desk not in listed:
            yield ("rules", n, "desk"), f"{rule.desk} {known}"
    for n, desk in enumerate(policy.desks):
        for field, other in _handed_on(desk):
            if other not in listed:
                yield ("desks", n, field), f"{other} {known}"


def _handed_on(desk: Desk) -> Iterator[tuple[str, str]]:
    """(field, desk) of each desk to which a desk hands work."""
    if desk.overflow is not None:
        yield "overflow", desk.overflow
    if desk.crisis_desk is not None:
        yield "crisis_desk", desk.crisis_desk


def _circles(desks: list[Desk]) -> Iterator[Problem]:
    """Problems of desks that hand work to themselves, and of work that would overflow in a circle, each circle once."""
    following = {desk.name: desk.overflow for desk in desks}
    told: set[frozenset[str]] = set()
    for n, desk in enumerate(desks):
        for field, other in _handed_on(desk):
            if other == desk.name:
                yield ("desks", n, field), f"{desk.name} is this desk: leave it out"
        way = _way_back(following, desk.name)
        if len(way) > 1 and frozenset(way) not in told:
            told.add(frozenset(way))
            said = " to ".join((*way, desk.name))
            yield ("desks", n, "overflow"), f"hands work round: {said}; let one of them keep its work"


def _way_back(following: dict[str, str | None], home: str) -> list[str]:
    """The desks over which work of a desk overflows until it is there again; none where it never is."""
    way, other = [home], following[home]
    while other is not None and other not in way:
        way.append(other)
        other = following.get(other)
    return way if other == home else []


def _unknown_languages(desks: list[Desk]) -> Iterator[Problem]:
    """Problems of holding replies in a language that the classifier does not name, which no customer would get."""
    for n, desk in enumerate(desks):
        if desk.holding is None:
            continue
        for field, texts in (("templates", desk.holding.templates), ("closed", desk.holding.closed)):
            for lang in texts:
                if lang not in _LANGUAGES:
                    why = f"{lang!r} is no language of the classifier: known are {', '.join(_LANGUAGES)}"
                    yield ("desks", n, "holding", field, lang), why


def _twice(table: str, names: list[str], above: tuple[str, ...] = ()) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for n, name in enumerate(names):
        if name in first:
            yield (*above, table, n, "name"), f"{name!r} is the name of {table}.{first[name]} already"
        first.setdefault(name, n)


def _overlaps(calendar: list[Hours]) -> Iterator[tuple[int, str]]:
    """(index, why) of each interval that overlaps an earlier one."""
    week = [
        ((opens + 1_440 * DAYS.index(day), closes + 1_440 * DAYS.index(day)), i, day)
        for i, hours in enumerate(calendar)
        for opens, closes in [hours.minutes]
        for day in hours.days
    ]
    told = set()
    for later, ((opens, closes), i, day) in enumerate(week):
        for (others, until), j, on in week[:later]:
            # The night shift of Sunday meets Monday morning, so each week is compared with its neighbours.
            meets = any(opens + turn < until and others < closes + turn for turn in (-_WEEK, 0, _WEEK))
            if meets and (i, j) not in told:
                told.add((i, j))
                begun = f"{calendar[j]} of calendar.{j}" + ("" if on == day else f", which begins on {on}")
                yield i, f"{calendar[i]} on {day} overlaps {begun}" if i != j or on != day else f"{day} is named twice"


def _clashes(holidays: list[Holiday]) -> Iterator[tuple[int, str]]:
    """(index, why) of each holiday that contradicts or repeats an earlier one of its date."""
    for i, holiday in enumerate(holidays):
        for j, other in enumerate(holidays[:i]):
            if holiday.date != other.date:
                continue
            mine, theirs = holiday.minutes, other.minutes
            if mine is None or theirs is None:
                yield i, f"{holiday} stands beside {other} of holidays.{j}: one of them is to go"
            elif mine[0] < theirs[1] and theirs[0] < mine[1]:
                yield i, f"{holiday} overlaps {other} of holidays.{j}"
            else:
                continue
            break


def _too_little(brand: Brand, rules: list[Rule]) -> Iterator[Problem]:
    """Problems of a calendar that stays closed for a year, or in which a target would take over ten years."""
    # A day of every year is checked in the year 2000, which has a 29 February.
    days = {h.date if isinstance(h.date, date) else date(2000, *h.date) for h in brand.holidays}
    for day in sorted(days):
        start = (day.toordinal() - date(1970, 1, 1).toordinal()) * DAY
        if brand.counted(start, start + _YEAR) == 0:
            yield ("holidays",), f"nothing is open in the year from {day} on"
            return
    if not brand.calendar:
        return
    open_ms = 60_000 * sum(
        (closes - opens) * len(hours.days) for hours in brand.calendar for opens, closes in [hours.minutes]
    )
    for rule in rules:
        if rule.match.brand and brand.name not in rule.match.brand:
            continue
        for target in (rule.target, rule.resolution):
            if isinstance(target, int) and target > _LONGEST_WAIT * open_ms:
                hours_open = f"{open_ms / UNITS['h']:g} hours a week"
                yield (
                    ("calendar",),
                    f"{hours_open}: the {written(target)} of rule {rule.name!r} would take over ten years",
                )
