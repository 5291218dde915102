"""`alert explain` says why somebody was not told, and what ends each kind of alert."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from netcenter.broker.alert_log import AlertHistory, StoredAlert
from netcenter.broker.policy_topic import PolicyLog, StoredPolicy
from netcenter.errors import CommandError
from netcenter.operate import alert_explained
from netcenter.operate.alert_explained import explain_json, explain_text
from netcenter.policies import DEFAULT_POLICY
from schemas.records import AlertKind
from tests.support.samples import T0, alert, delivery_of

KINDS = [kind for kind in get_args(AlertKind) if kind != "unknown"]
ENDS = {
    "surge": "nothing was above the usual for 30 min",
    "crisis": "nothing was above the usual for 30 min",
    "sla_breach": "fewer than half of those from which it fires were overdue for 15 min; it fires from 3",
    "channel_silent": "with the first post from the channel",
    "escalation": "when each of its cases is accepted by an operator, is answered, is moved to another desk, or needs no answer any more",
    "test": "`netcenter alert test` ends it itself",
}


@pytest.fixture(autouse=True)
def _receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_explained, "RECEIVERS", ("webhook", "pagerduty", "slack"))


def explained(policies: str = "", **changes: Any) -> str:
    """The explanation of an alert that the webhook has accepted, under a policy with these lines, or the default policy."""
    found = alert(1, **{"receivers": ["webhook"], "policy": 1, **changes})
    history = AlertHistory([StoredAlert(found, T0)], [delivery_of(found, "webhook", "accepted", "200 OK")], {"webhook"})
    text = f'[classifier]\nmodel = "{"0" * 64}"\n{policies}' if policies else DEFAULT_POLICY.read_text()
    log = PolicyLog({1: [StoredPolicy(text, T0)]})
    return explain_text(history, log)


def test_a_program_reads_the_lines_by_their_headings() -> None:
    found = alert(1, receivers=["webhook"])
    history = AlertHistory([StoredAlert(found, T0)], [delivery_of(found, "webhook", "accepted", "200 OK")], {"webhook"})
    told = explain_json(history, PolicyLog())
    assert told["alert"] == [found.fingerprint] and len(told["why"]) == 2
    assert [line for lines in told.values() for line in lines] == [
        line[alert_explained._WIDTH :] for line in explain_text(history, PolicyLog()).splitlines()
    ]


def test_who_is_not_told_is_named_with_what_the_route_asks_for() -> None:
    told = explained(severity="warning", withheld="slack: nobody is on shift, by the brand's calendar")
    assert "now: slack: nobody is on shift" in told
    assert "pagerduty: the route pages is for the severity page" in told
    assert "webhook: accepted (200 OK)" in told


def test_a_receiver_that_no_route_names_is_told_apart() -> None:
    routes = (
        '\n[[alerts.routes]]\nname = "one"\nmatch = { brand = ["nadia"], kind = ["crisis"] }\nreceivers = ["slack"]\n'
    )
    told = explained(routes)
    assert "pagerduty: no route names it" in told
    assert "slack: the route one is for the brand nadia and for the kind crisis" in told


def test_receivers_that_have_never_answered_stand_together() -> None:
    """The default policy names receivers that an installation may not have."""
    told = explained(receivers=["pagerduty", "webhook", "slack"])
    assert "webhook: accepted (200 OK)" in told
    assert "pagerduty, slack: never answered here: not set up, or its worker never ran" in told


def test_in_shadow_mode_nobody_is_told_and_nobody_is_missed() -> None:
    told = explained(mode="shadow", receivers=[])
    assert "nobody: the brand is in shadow mode" in told and "pagerduty" not in told


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_ends_it(kind: str) -> None:
    assert set(ENDS) == set(KINDS)
    assert ENDS[kind] in explained(kind=kind, evidence={"opens_at": "3"})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_over_says_whether_it_can_fire_again(kind: str) -> None:
    """A test, and a flood, have a fingerprint each: they never fire again."""
    told = explained(kind=kind, state="resolved", ends_at=T0, withheld=None)
    again = kind in ("sla_breach", "channel_silent", "escalation")
    assert ("it fires again under the same fingerprint" in told) is again
    assert ("has an alert of its own" in told) is not again


@pytest.mark.parametrize("state", ["firing", "resolved"])
def test_a_test_alert_is_not_explained_by_routes(state: str) -> None:
    told = explained(kind="test", severity="info", state=state, ends_at=T0 if state == "resolved" else None)
    assert "a test is sent to those alone whom its command names" in told
    assert "route" not in told.partition("nobody else")[2] and "pagerduty" not in told


def test_who_waits_is_not_told_a_second_reason() -> None:
    """A flood with many overdue cases goes by the routes of overdue cases too."""
    routes = '\n[[alerts.routes]]\nname = "care"\nmatch = { kind = ["sla_breach"] }\nreceivers = ["slack"]\nhours = "working"\n'
    told = explained(routes, withheld="slack: nobody is on shift, by the brand's calendar")
    assert told.count("slack") == 1


def test_a_crisis_of_a_person_is_closed_by_a_person() -> None:
    said = "netcenter crisis close andina --by NAME"
    assert said in explained(kind="crisis", evidence={"by": "ana"})
    assert said not in explained(kind="crisis", evidence={"by": "rule"})


def test_a_policy_that_cannot_be_read_is_said_in_a_line() -> None:
    with pytest.raises(CommandError, match="policy 1 of the log cannot be read"):
        explained("\nnonsense = 1\n")


def test_without_a_policy_the_command_that_makes_one_is_named() -> None:
    history = AlertHistory([StoredAlert(alert(1), T0)])
    assert "run `netcenter policy apply`" in explain_text(history, PolicyLog())
