"""Warnings about the settings of alerts: routes, silences and limits that tell nobody, or do nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, timedelta

from agents.policy.alert_policy import AlertMatch, AlertPolicy, OverdueLimit
from agents.policy.lines import KeyPath, Problem
from agents.policy.policy import Policy

_LONGEST_SILENCE = timedelta(days=30)
"""A silence without `repeats` that lasts longer is probably a mistake in a date."""


def alert_warnings(policy: Policy, today: date | None, receivers: Collection[str]) -> Iterator[Problem]:
    """The warnings about `[alerts]`.

    today: None where dates that are past are not warned of. receivers: the names of all receivers that there are; empty where
    they are not known.
    """
    alerts = policy.alerts
    yield from _unknown_receivers(alerts, receivers)
    yield from _untold(policy)
    yield from _unlisted(policy)
    yield from _odd_silences(alerts, today)
    for n, limit in enumerate(alerts.overdue):
        earlier = next((one for one in alerts.overdue[:n] if _takes_all(one, limit)), None)
        if earlier is not None:
            yield (
                ("alerts", "overdue", n),
                f"{limit.name!r} counts no case: {earlier.name!r} before it takes every case of it",
            )


def _unknown_receivers(alerts: AlertPolicy, known: Collection[str]) -> Iterator[Problem]:
    for n, route in enumerate(alerts.routes):
        for i, name in enumerate(route.receivers):
            if known and name not in known:
                yield (
                    ("alerts", "routes", n, "receivers", i),
                    f"{name!r} is no receiver, so nobody is told there; known are {', '.join(known)}",
                )


def _untold(policy: Policy) -> Iterator[Problem]:
    """Warnings where no route takes the page of a crisis: of all brands, else of a brand in live mode."""
    routes = policy.alerts.routes
    if not routes:
        yield ("alerts", "routes"), "no route: alerts are recorded, and nobody is told of any"
        return
    paging = [r.match for r in routes if r.match.matches(next(iter(r.match.brand), ""), "crisis", "page", None)]
    care = not policy.brands or any(brand.care for brand in policy.brands)
    if not paging and care:
        yield ("alerts", "routes"), "no route takes the page of a crisis: nobody is told of it"
        return
    for n, brand in enumerate(policy.brands):
        if (
            brand.care
            and brand.mode == "live"
            and not any(m.matches(brand.name, "crisis", "page", None) for m in paging)
        ):
            yield ("brands", n), f"no route takes the page of a crisis of {brand.name}: nobody is told of it"


def _unlisted(policy: Policy) -> Iterator[Problem]:
    """Warnings for names of brands and desks that stand nowhere else in the policy, as after a typing error."""
    brands = [brand.name for brand in policy.brands]
    # Cases of brands that are not listed go to the desk `care`.
    desks = list(dict.fromkeys([*(desk.name for desk in policy.desks), "care"]))
    for place, part in _named(policy.alerts):
        yield from _strangers((*place, "brand"), part.brand, brands, "brands", "its alerts are sent to nobody")
        yield from _strangers((*place, "desk"), part.desk, desks, "desks", "no brand and no rule sends cases to it")


def _named(alerts: AlertPolicy) -> Iterator[tuple[KeyPath, AlertMatch | OverdueLimit]]:
    """All that names brands and desks, each with its place."""
    for n, route in enumerate(alerts.routes):
        yield ("alerts", "routes", n, "match"), route.match
    for n, silence in enumerate(alerts.silences):
        yield ("alerts", "silences", n, "match"), silence.match
    for n, limit in enumerate(alerts.overdue):
        yield ("alerts", "overdue", n), limit


def _strangers(
    place: KeyPath, names: Sequence[str], listed: Sequence[str], table: str, follows: str
) -> Iterator[Problem]:
    for i, name in enumerate(names):
        if name not in listed:
            yield (
                (*place, i),
                f"{name} is not listed under {table}, so {follows}; listed are {', '.join(listed) or 'none'}",
            )


def _odd_silences(alerts: AlertPolicy, today: date | None) -> Iterator[Problem]:
    for n, silence in enumerate(alerts.silences):
        if silence.repeats is not None:
            continue
        lasts = silence.end - silence.start
        if today is not None and silence.end.date() < today:
            yield ("alerts", "silences", n, "end"), f"is past, on {silence.end.date()}: take the silence out"
        elif lasts > _LONGEST_SILENCE:
            yield (
                ("alerts", "silences", n, "end"),
                f"is {lasts.days} days after the start: nobody is told for so long; is the year right?",
            )


def _takes_all(earlier: OverdueLimit, later: OverdueLimit) -> bool:
    """Whether every case of the later limit counts at the earlier one."""
    return earlier.priority >= later.priority and all(
        not mine or (theirs and set(theirs) <= set(mine))
        for mine, theirs in ((earlier.brand, later.brand), (earlier.desk, later.desk))
    )
