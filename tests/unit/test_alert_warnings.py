"""What `policy check` warns of in the settings of alerts: what tells nobody, or does nothing; and what it does not warn of."""

from __future__ import annotations

from datetime import date

import pytest

from agents.policy.parsing import check
from netcenter.broker.alert_log import RECEIVERS
from netcenter.policies import DEFAULT_POLICY

START = f'[classifier]\nmodel = "{"a" * 64}"\n[[desks]]\nname = "care"\n[[brands]]\nname = "andina"\nmode = "live"\n'
TODAY = date(2026, 11, 29)
SILENCE = "[[alerts.silences]]\nreason = 'x'\n"
ALL = "[[alerts.routes]]\nname = 'all'\nreceivers = ['webhook']\n"


def warned(text: str, today: date | None = TODAY) -> list[str]:
    found = check(START + text, name="mine.toml", today=today, receivers=RECEIVERS).warnings
    return [f"{line - START.count(chr(10))}: {field}: {why}" for line, field, why in found]


def limits(first: str, second: str) -> str:
    return "".join(
        f"[[alerts.overdue]]\nname = '{name}'\noverdue = 2\n{more}\n"
        for name, more in (("one", first), ("two", second))
    )


def test_a_receiver_that_does_not_exist_is_named_with_those_that_do() -> None:
    text = ALL + "[[alerts.routes]]\nname = 'on call'\nreceivers = ['pagerduty',\n 'pagerdutty']\n"
    assert warned(text) == [
        "7: alerts.routes.1.receivers.1: 'pagerdutty' is no receiver, so nobody is told there; "
        f"known are {', '.join(RECEIVERS)}"
    ]
    assert {"webhook", "alertmanager", "pagerduty", "slack", "chat"} <= set(RECEIVERS)


def test_a_policy_without_routes_is_warned_of() -> None:
    assert warned("[alerts]\nroutes = []\n") == [
        "2: alerts.routes: no route: alerts are recorded, and nobody is told of any"
    ]


@pytest.mark.parametrize("match", ["severity = ['info', 'warning']", "kind = ['surge']", "desk = ['care']"])
def test_a_policy_whose_routes_take_no_page_is_warned_of(match: str) -> None:
    told = warned(f"[[alerts.routes]]\nname = 'r'\nreceivers = ['slack']\nmatch = {{ {match} }}\n")
    assert told == ["1: alerts.routes: no route takes the page of a crisis: nobody is told of it"]


def test_a_live_brand_whose_page_no_route_takes_is_warned_of_and_no_other_brand() -> None:
    brands = "[[brands]]\nname = 'luna'\nmode = 'live'\n[[brands]]\nname = 'tried'\n"
    brands += "[[brands]]\nname = 'rival'\ncare = false\nmode = 'live'\n"
    route = "[[alerts.routes]]\nname = 'r'\nreceivers = ['slack']\nmatch = { brand = ['andina'] }\n"
    assert warned(brands + route) == ["1: brands.1: no route takes the page of a crisis of luna: nobody is told of it"]


@pytest.mark.parametrize(
    "place",
    [
        ALL + "match = { {} }\n",
        ALL + SILENCE + "start = 2026-12-01T00:00:00Z\nend = 2026-12-02T00:00:00Z\nmatch = { {} }\n",
    ],
)
def test_a_brand_or_a_desk_that_the_policy_does_not_list_is_warned_of(place: str) -> None:
    (told,) = warned(place.replace("{}", "brand = ['andina', 'adnina']") + (ALL.replace("all", "rest")))
    assert (
        ".match.brand.1: adnina is not listed under brands, so its alerts are sent to nobody; listed are andina" in told
    )
    (told,) = warned(place.replace("{}", "desk = ['crae', 'care']") + ALL.replace("all", "rest"))
    assert (
        ".match.desk.0: crae is not listed under desks, so no brand and no rule sends cases to it; listed are care"
        in told
    )


def test_a_limit_for_a_brand_or_a_desk_that_is_not_listed_is_warned_of() -> None:
    told = warned(limits("brand = ['adnina']", "desk = ['crae']"))
    assert [one.partition(" is not")[0] for one in told] == [
        "4: alerts.overdue.0.brand.0: adnina",
        "8: alerts.overdue.1.desk.0: crae",
    ]


@pytest.mark.parametrize(
    ("start", "end", "more", "why"),
    [
        ("2026-11-27T00:00:00Z", "2026-11-28T23:59:00Z", "", "is past, on 2026-11-28: take the silence out"),
        ("2026-11-27T00:00:00Z", "2026-11-29T01:00:00Z", "", None),
        ("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "repeats = 'weekly'\n", None),
        ("2026-12-01T00:00:00Z", "2036-12-01T00:00:00Z", "", "is 3653 days after the start"),
        ("2026-12-01T00:00:00Z", "2026-12-31T00:00:00Z", "", None),
        ("2026-01-01T00:00:00Z", "2026-12-01T00:00:00Z", "repeats = 'yearly'\n", None),
    ],
)
def test_a_silence_that_is_past_or_endless_is_warned_of(start: str, end: str, more: str, why: str | None) -> None:
    told = warned(f"{SILENCE}start = {start}\nend = {end}\n{more}")
    assert told == [] if why is None else len(told) == 1 and told[0].startswith(f"4: alerts.silences.0.end: {why}")


def test_without_a_date_no_silence_counts_as_past() -> None:
    assert warned(f"{SILENCE}start = 2020-01-01T00:00:00Z\nend = 2020-01-02T00:00:00Z\n", today=None) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", ""),
        ("", "priority = 1"),
        ("", "brand = ['andina']"),
        ("desk = ['care']", "desk = ['care']\npriority = 3"),
        ("priority = 3", "priority = 3\nbrand = ['andina']"),
    ],
)
def test_a_limit_after_one_that_takes_every_case_of_it_is_warned_of(first: str, second: str) -> None:
    (told,) = warned(limits(first, second))
    assert told.endswith("alerts.overdue.1: 'two' counts no case: 'one' before it takes every case of it")


@pytest.mark.parametrize(
    ("first", "second"), [("priority = 1", ""), ("brand = ['andina']", ""), ("desk = ['care']", "brand = ['andina']")]
)
def test_a_limit_that_counts_cases_is_not_warned_of(first: str, second: str) -> None:
    assert warned(limits(first, second)) == []


def test_the_default_policy_and_one_without_alerts_are_not_warned_of() -> None:
    assert check(DEFAULT_POLICY.read_text(), today=TODAY, receivers=RECEIVERS).warnings == []
    assert warned("") == []
