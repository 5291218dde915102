"""docs/alerts.md: its kinds are those of the records, its example of routes is a policy, and its table is what the policy does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.alerts.versions import Said
from agents.policy import Policy, parse
from schemas.records import AlertKind

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|")) for line in PAGE.splitlines() if line.startswith("|")
]
KINDS = {"a crisis": "crisis", "a surge": "surge", "overdue cases": "sla_breach", "a silent channel": "channel_silent"}
CASES = [row for row in ROWS if len(row) == 3 and row[0].startswith(tuple(KINDS))]


@pytest.fixture(scope="module")
def policy() -> Policy:
    """A policy with the routes and the silence of the page, and nothing else."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    return parse(f'[classifier]\nmodel = "{"0" * 64}"\n{example}')


def test_the_page_has_every_kind_of_alert() -> None:
    kinds = [row[0].strip("`") for row in ROWS if len(row) == 5 and row[0].startswith("`")]
    assert sorted(kinds) == sorted(set(get_args(AlertKind)) - {"unknown"})


@pytest.mark.parametrize("row", CASES, ids=[row[0] for row in CASES])
def test_the_example_tells_whom_the_page_says(policy: Policy, row: tuple[str, str, str]) -> None:
    """By day, and at night, when routes with working hours tell nobody but for a page. A flood with many overdue cases goes their
    way too.
    """
    what, by_day, at_night = row
    kind: Any = next(kind for words, kind in KINDS.items() if what.startswith(words))
    desks = ("care",) if what.endswith("many of its cases overdue") else ()
    aspects = Said(
        kind, "info", "live", True, "", {"desk": "care"} if kind == "sla_breach" else {}, "", desks=desks
    ).aspects
    brand = "nadia" if "nadia" in what else "andina"
    severity = (re.findall(r"`(\w+)`", what) or ["page"])[0]
    routes = [
        r for r in policy.alerts.routes if any(r.match.matches(brand, kind, severity, desk) for kind, desk in aspects)
    ]
    told = {name for route in routes for name in route.receivers}
    late = {name for r in routes if r.hours == "always" or severity == "page" for name in r.receivers}
    assert told == set(by_day.split(", "))
    assert late == (set() if at_night.startswith("nobody") else set(at_night.split(", ")))


def test_the_examples_silence_holds_and_names_what_the_page_says(policy: Policy) -> None:
    (silence,) = policy.alerts.silences
    assert silence.match.matches("andina", "surge", "info", None)
    assert not silence.match.matches("andina", "crisis", "page", None)
