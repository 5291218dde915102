"""Warnings about desks that get no work, rungs of a ladder without a person, and targets that a reply window cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from agents.policy.calendar import DAYS
from agents.policy.lines import Problem
from agents.policy.parts import UNITS, written
from agents.policy.policy import Brand, Policy, Rule, shown
from agents.policy.zone import DAY, zone

_MONDAY = int(datetime(2026, 2, 2, tzinfo=UTC).timestamp() * 1000)
"""The beginning of an ordinary week."""


def desk_warnings(policy: Policy) -> Iterator[Problem]:
    """The warnings about `[[desks]]`."""
    yield from _idle(policy)
    climbs = [n for n, desk in enumerate(policy.desks) if "ladder" in desk.model_fields_set]
    if climbs and not any(desk.responsible or desk.lead for desk in policy.desks):
        yield (
            ("desks", climbs[0], "ladder"),
            "no desk names a responsible person: no case climbs for the time alone; add responsible",
        )
    for n, desk in enumerate(policy.desks):
        if desk.lead is not None and desk.responsible is None:
            yield (
                ("desks", n, "lead"),
                "has nobody below: responsible is left out, so a case climbs straight to the lead",
            )
        if desk.overflow is None and "overflow_after" in desk.model_fields_set:
            yield ("desks", n, "overflow_after"), "has no effect: overflow is left out, so the cases stay"


def _idle(policy: Policy) -> Iterator[Problem]:
    # Cases of brands that are not listed go to the desk `care`.
    used = {"care", *(b.desk for b in policy.brands if b.care), *(r.desk for r in policy.rules)}
    used |= {other for desk in policy.desks for other in (desk.overflow, desk.crisis_desk) if other is not None}
    for n, desk in enumerate(policy.desks):
        if desk.name not in used:
            yield (
                ("desks", n),
                f"no brand, no rule and no other desk names {desk.name}: work comes to it by a transfer only",
            )


def shut_windows(n: int, brand: Brand, policy: Policy) -> Iterator[Problem]:
    """A warning for each channel whose reply window closes before the answer is due, in an ordinary week of the brand.

    n: the brand's index.
    """
    if not brand.care:
        return
    week = Brand(name=brand.name, zone=brand.zone, calendar=brand.calendar)
    for channel in policy.channels:
        if channel.reply_window is None:
            continue
        found = _shut(week, channel.reply_window, _rules(policy, brand.name, channel.name))
        if found is not None:
            rule, start, due = found
            yield (
                ("brands", n, "calendar") if brand.calendar else ("brands", n),
                f"the reply window of {channel.name} ({written(channel.reply_window)}) closes before some answers are due:"
                f" a message of {_local(brand, start)} is due on {_local(brand, due)} (rule {rule.name!r},"
                f" {shown(rule.target)}), and cannot be answered after {_local(brand, start + channel.reply_window)}",
            )


def _rules(policy: Policy, brand: str, channel: str) -> list[Rule]:
    """The rules with a target that can match messages of a brand on a channel."""
    return [
        rule
        for rule in policy.rules
        if rule.target is not None
        and not rule.non_sla
        and (not rule.match.brand or brand in rule.match.brand)
        and (not rule.match.channel or channel in rule.match.channel)
    ]


def _shut(week: Brand, window: int, rules: list[Rule]) -> tuple[Rule, int, int] | None:
    """(rule, start, due) of the first rule whose answers can be due after the window closes, and of the message that waits
    longest by it; None where the window holds for all rules.
    """
    for rule in rules:
        due, start = max(
            ((week.due(start, rule.target or 0), start) for start in _longest_waits(week)), key=lambda d: d[0] - d[1]
        )
        if due > start + window:
            return rule, start, due
    return None


def _longest_waits(week: Brand) -> Iterator[int]:
    """ms; the starts from which targets take longest: whenever people stop working, else a midnight."""
    monday = _MONDAY - zone(week.zone).offset(_MONDAY)
    if not week.calendar:
        yield monday
    for hours in week.calendar:
        for day in hours.days:
            yield monday + DAYS.index(day) * DAY + hours.minutes[1] * UNITS["m"]


def _local(brand: Brand, at: int) -> str:
    return f"{zone(brand.zone).local(at):%a %H:%M}"
