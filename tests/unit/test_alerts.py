"""Alerts: what a person must know opens once, says more when it matters, and is resolved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from agents.alerts import AlertsDecider
from agents.alerts.versions import TOLD_NOW
from agents.policy import Policy
from agents.policy.alert_policy import AlertMatch, AlertPolicy, OverdueLimit, Route, Silence
from agents.policy.calendar import Hours
from agents.policy.policy import Brand, ClassifierPolicy
from schemas import ids
from schemas.records import (
    Alert,
    Assigned,
    ChannelChanged,
    CrisisClosed,
    CrisisOpened,
    Crowd,
    Escalated,
    Evidence,
    Hearing,
    Rung,
    SeriesEvidence,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    WorkChange,
    WorkChanged,
)
from schemas.times import rfc3339
from tests.support.decider_runner import Run

START = 1_700_000_040_000  # a whole minute
MINUTE, HOUR = 60_000, 3_600_000
THREE = AlertPolicy(sla_overdue=3)
URGENT = OverdueLimit(name="urgent", priority=1, overdue=1)


def begin(mode: str = "shadow") -> Run:
    brand = Brand(name="andina", mode=mode)  # type: ignore[arg-type]
    policy = Policy(version=7, classifier=ClassifierPolicy(model="0" * 64), brands=[brand], alerts=THREE)
    run = Run(AlertsDecider(), policy)
    run.tick(START)
    return run


def decided(aggregate: str, seq: int, time: int, reason: str = "ratio: why") -> dict[str, Any]:
    return {
        "id": ids.event(aggregate, seq), "aggregate": aggregate, "seq": seq, "time": time,
        "cause": "timer", "policy": 7, "reason": reason, "brand": "andina",
    }  # fmt: skip


def evidence(ratio: float = 6.8) -> Evidence:
    return Evidence(
        detector="conversation", scope="conversation", name="77", window_start=START - 30 * MINUTE, window_end=START,
        actual=212, baseline=31.4, ratio=ratio, threshold=2.5, root="77", root_share=0.62,
        labels={"complaint": 200, "other": 12},
    )  # fmt: skip


def opened(surge: str = "s1", time: int = START) -> SurgeOpened:
    return SurgeOpened(**decided(surge, 1, time), mode="live", started_at=time, evidence=evidence())


def updated(surge: str = "s1", seq: int = 2, time: int = START) -> SurgeUpdated:
    return SurgeUpdated(**decided(surge, seq, time), mode="live", started_at=time, evidence=evidence(11.0))


def closed(surge: str = "s1", seq: int = 2, time: int = START) -> SurgeClosed:
    fields: dict[str, Any] = {
        "started_at": time - HOUR,
        "ended_at": time,
        "close_reason": "over",
        "peak": 6.8,
        "excess": 900.0,
    }
    return SurgeClosed(**decided(surge, seq, time), mode="live", **fields)


def work(case: str, change: WorkChange = "queued", seq: int = 1, time: int = START, **fields: Any) -> WorkChanged:
    """A round of work that is due an hour after the start."""
    given: dict[str, Any] = {
        "desk": "care", "case_id": case, "channel": "twitter", "author_id": "u", "label": "complaint", "priority": 2,
        "mode": "live", "started_at": time, "due_at": START + HOUR, **fields,
    }  # fmt: skip
    return WorkChanged(**decided(f"work-{case}", seq, time), change=change, **given)


def take(run: Run, *facts: Any) -> list[Alert]:
    """Gives the facts and lets their time come; returns the alerts that follow."""
    found: list[Any] = []
    for fact in facts:
        run.fact(fact)
        found += run.tick(max(run.time, fact.time))
    return found


def told(run: Run) -> list[tuple[str, int, str]]:
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert len(alerts) == len(run.events)
    return [(a.fingerprint, a.version, a.state) for a in alerts]


# --- surges ---------------------------------------------------------------------------------------


def test_a_surges_alert_opens_says_more_and_resolves_with_it() -> None:
    run = begin()
    take(run, opened(), updated(), closed(seq=3))
    run.tick(START + MINUTE)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "resolved")]


def test_a_surge_alone_is_information_in_the_mode_of_its_brand() -> None:
    run = begin()
    (alert,) = take(run, replace(opened(), evidence=replace(evidence(), labels={"other": 212})))
    assert (alert.severity, alert.kind, alert.mode) == ("info", "surge", "live")
    assert (alert.starts_at, alert.ends_at, alert.time) == (START, None, START)


def test_an_alert_says_what_happened_in_one_line_and_links_its_runbook() -> None:
    run = begin()
    (alert,) = take(run, opened())
    assert alert.summary == (
        "andina: 212 posts about one post in 30 min (62% of all posts), where 31.4 are usual, 6.8 times"
    )
    assert alert.links == {}, "no link that does not open"
    assert (alert.evidence["labels.complaint"], alert.evidence["labels.other"]) == ("200", "12")
    assert (alert.evidence["window_start"], alert.evidence["window_end"]) == (
        rfc3339(START - 30 * MINUTE),
        rfc3339(START),
    )
    assert alert.evidence["root"] == "77"


def test_an_alerts_id_comes_of_its_start_version_and_identity() -> None:
    run = begin()
    take(run, opened())
    run.tick(START + HOUR)
    take(run, closed(time=START + HOUR))
    run.tick(START + HOUR + MINUTE)
    assert [(e.id, e.aggregate, e.seq) for e in run.events] == [
        (ids.make("alert", START, n, "surge:andina:s1"), "surge:andina:s1", n) for n in (1, 2)
    ]
    resolved = run.events[1]
    assert isinstance(resolved, Alert)
    assert (resolved.starts_at, resolved.ends_at) == (START, START + HOUR + MINUTE)


def test_an_alert_starts_with_its_cause_though_the_slowest_writer_is_minutes_behind() -> None:
    """By the reader's clock it is 12:00, by the surge 12:05: the same ids as where they are read at one moment."""
    behind, level = begin(), begin()
    level.tick(START + 5 * MINUTE)
    facts = (opened(time=START + 5 * MINUTE), closed(time=START + 35 * MINUTE))
    for fact in facts:
        behind.fact(fact)
        take(level, fact)
    behind.tick(START + HOUR)
    level.tick(START + HOUR)
    assert [(e.time, e.starts_at, e.ends_at) for e in behind.events if isinstance(e, Alert)] == [
        (START + 5 * MINUTE, START + 5 * MINUTE, None),
        (START + 36 * MINUTE, START + 5 * MINUTE, START + 36 * MINUTE),
    ]
    assert behind.events == level.events


def test_overdue_cases_are_counted_as_they_were_at_that_minute_whatever_has_been_read_since() -> None:
    """Three late at 13:00; the answers of 13:20, read before 13:00 comes, do not undo that."""
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(work(case))
        run.fact(work(case, "answered", 2, START + 80 * MINUTE))
    run.tick(START + 3 * HOUR)
    assert [(e.time, e.state) for e in run.events if isinstance(e, Alert)] == [
        (START + 62 * MINUTE, "firing"),
        (START + 96 * MINUTE, "resolved"),
    ]


def test_a_surge_told_twice_changes_nothing() -> None:
    run = begin()
    take(run, opened(), opened(), closed(), closed(), opened())
    run.tick(START + MINUTE)
    assert [version for _, version, _ in told(run)] == [1, 2]


def test_the_end_of_an_unknown_surge_is_nobodys_business() -> None:
    run = begin()
    take(run, closed(), updated())
    assert run.events == []
    assert dict(run.state) == {}


def test_a_second_surge_joins_the_open_alert_which_resolves_with_the_last() -> None:
    run = begin()
    take(run, opened("s1"), opened("s2"), closed("s1"), closed("s2"))
    run.tick(START + MINUTE)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "resolved")]


def test_a_flood_of_which_one_surge_has_closed_is_not_told_as_over() -> None:
    run = begin()
    take(run, opened("s1"), opened("s2"), closed("s1", time=START + MINUTE))
    queue(run, 3, due_at=START + 2 * MINUTE)
    run.tick(START + 10 * MINUTE)
    last = run.events[-1]
    assert isinstance(last, Alert) and last.evidence["overdue"] == "3" and "until" not in last.evidence
    assert "212 posts" in last.summary


def test_a_surge_after_another_is_an_incident_of_its_own() -> None:
    run = begin()
    take(run, opened("s1"), closed("s1"))
    run.tick(START + MINUTE)
    take(run, opened("s2", START + MINUTE), closed("s2", time=START + MINUTE))
    run.tick(START + 2 * MINUTE)
    assert [fingerprint for fingerprint, _, _ in told(run)] == ["surge:andina:s1"] * 2 + ["surge:andina:s2"] * 2


def test_a_resolved_surge_is_forgotten_in_time() -> None:
    run = begin()
    take(run, opened(), closed())
    run.tick(START + 29 * 24 * HOUR)
    assert list(run.state) == ["surge:andina:s1"]
    run.tick(START + 31 * 24 * HOUR)
    assert dict(run.state) == {}
    assert len(run.events) == 2


def test_a_surge_pages_where_contacts_rise_or_a_conversation_complains_and_stays_so() -> None:
    load = SeriesEvidence(detector="load", scope="contacts", name="calls", actual=90, baseline=30.0)
    usual = {"complaint": 60, "question": 7}
    for seen, told in (
        (replace(evidence(), detector="burst", labels_before=usual), "info"),
        (replace(evidence(), detector="burst", labels_before={"complaint": 60, "question": 6}), "info"),
        (
            replace(evidence(), detector="burst", return_period=90.0, labels_before={"complaint": 60, "question": 6}),
            "page",
        ),
        (replace(evidence(), detector="burst", return_period=90.0, labels_before=usual), "info"),
        (replace(evidence(), labels={"complaint": 5, "question": 24, "other": 90}), "info"),
        (replace(evidence(), labels={"complaint": 5, "question": 25, "other": 90}), "page"),
        (replace(evidence(), detector="burst", labels_before=usual, others=[load]), "page"),
        (replace(evidence(), detector="load"), "page"),
        (replace(evidence(), detector="conversation"), "page"),
        (replace(evidence(), detector="conversation", labels={"complaint": 1, "other": 99}), "info"),
    ):
        run = begin()
        first = replace(opened(), evidence=seen)
        (alert,) = take(run, first)
        (later,) = take(run, replace(updated(), evidence=replace(evidence(), detector="burst", labels_before=usual)))
        assert (alert.severity, later.severity) == (told, told)


def test_a_surge_of_a_brand_without_care_pages_nobody() -> None:
    run = begin()
    run.policy = run.policy.model_copy(update={"brands": [Brand(name="andina", care=False)]})
    (alert,) = take(run, replace(opened(), evidence=replace(evidence(), detector="load")))
    assert alert.severity == "info"


# --- crises ---------------------------------------------------------------------------------------


def crisis(change: str = "open", seq: int = 1, by: str = "rule") -> CrisisOpened | CrisisClosed:
    common = {**decided("c1", seq, START), "mode": "live", "by": by}
    return CrisisOpened(**common, surge_id="s1", root="77") if change == "open" else CrisisClosed(**common)


def test_a_crisis_pages_from_its_opening_and_resolves_with_it() -> None:
    run = begin()
    take(run, crisis(), crisis(), crisis("close", 2, "ana"), crisis("close", 2, "ana"))
    run.tick(START + MINUTE)
    assert told(run) == [("crisis:andina:c1", 1, "firing"), ("crisis:andina:c1", 2, "resolved")]
    first, last = run.events
    assert isinstance(first, Alert) and isinstance(last, Alert)
    assert (first.severity, first.kind, first.mode) == ("page", "crisis", "live")
    assert first.summary == "andina: crisis, by rule"
    assert first.evidence == {
        "crisis": "c1", "by": "rule", "surge": "s1", "root": "77", "crisis_desk": "care", "brand_desk": "care", "zone": "UTC",
    }  # fmt: skip
    assert last.summary == "andina: the crisis is over"


def test_the_end_of_an_unknown_crisis_is_nobodys_business_and_one_that_is_over_is_forgotten() -> None:
    run = begin()
    take(run, crisis("close", 2))
    assert run.events == []
    take(run, crisis(), crisis("close", 2))
    run.tick(START + 31 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_surge_and_its_crisis_are_one_incident_that_rises_to_a_page_and_resolves_once() -> None:
    run = begin()
    quiet = replace(evidence(), detector="burst", scope="brand", name="", labels={"other": 212})
    take(run, replace(opened(), evidence=quiet), crisis(), updated(), closed(seq=3), crisis("close", 2))
    run.tick(START + MINUTE)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "firing"), (name, 4, "resolved")]
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert [(a.kind, a.severity) for a in alerts] == [("surge", "info"), *[("crisis", "page")] * 3]
    assert [a.summary for a in alerts[1:]] == [
        "andina: crisis, by rule; 212 posts in 30 min, where 31.4 are usual, 6.8 times",
        "andina: crisis, by rule; 212 posts about one post in 30 min (62% of all posts), where 31.4 are usual, 11.0 times",
        "andina: the crisis is over; the surge is over after 0 min, 11.0 times the usual at its peak",
    ]
    assert {a.evidence.get("actual") for a in alerts} == {"212"}
    assert [a.evidence["crisis_desk"] for a in alerts[1:]] == ["care"] * 3
    run.tick(START + 31 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_crisis_that_a_person_declared_outlives_the_surge_and_is_no_second_incident() -> None:
    run = begin()
    take(run, opened(), crisis(by="ana"), closed(seq=2), opened("s2"), crisis("close", 2, "ana"), closed("s2"))
    run.tick(START + MINUTE)
    name = "surge:andina:s1"
    assert told(run) == [*[(name, n, "firing") for n in range(1, 6)], (name, 6, "resolved")]
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert alerts[2].summary == (
        "andina: crisis, declared by ana; the surge is over after 0 min, 6.8 times the usual at its peak"
    )
    assert alerts[4].summary.startswith("andina: the crisis is over; 212 posts")
    assert {a.severity for a in alerts[1:]} == {"page"}, "a severity never falls while the alert fires"


@pytest.mark.parametrize("crowd", ["few", "copies"])
def test_what_a_few_accounts_or_texts_make_pages_nobody_until_people_join(crowd: Crowd) -> None:
    run = begin()
    seen = replace(evidence(), detector="load", crowd=crowd)
    (alert,) = take(run, replace(opened(), evidence=seen))
    assert (alert.severity, alert.evidence["crowd"]) == ("info", crowd)
    assert alert.summary.endswith({"few": ", by a few accounts", "copies": ", copies of a few texts"}[crowd])
    (later,) = take(run, replace(updated(), evidence=replace(seen, crowd="many", trend="rising")))
    assert later.severity == "page"
    assert later.summary.startswith("andina: rising: 212 contacts")


# --- silent channels --------------------------------------------------------------------------------


def channel(change: Hearing, seq: int, time: int = START) -> ChannelChanged:
    fields: dict[str, Any] = {"mode": "live", "channel": "twitter", "expected": 21.4, "since": START - HOUR}
    return ChannelChanged(**decided("t1", seq, time), change=change, **fields)


def test_a_silent_channel_fires_until_it_is_heard_and_again_when_it_falls_silent_again() -> None:
    run = begin()
    take(run, channel("silent", 1), channel("silent", 1), channel("heard", 2), channel("silent", 3))
    name = "channel_silent:andina:twitter"
    assert told(run) == [(name, 1, "firing"), (name, 2, "resolved"), (name, 3, "firing")]
    first, last = run.events[0], run.events[1]
    assert isinstance(first, Alert) and isinstance(last, Alert)
    assert (first.kind, first.severity, first.mode) == ("channel_silent", "warning", "live")
    assert first.summary == (
        f"andina: nothing from twitter since {rfc3339(START - HOUR)}, where 21 posts were to be expected"
    )
    assert last.summary == "andina: posts come from twitter again"


def test_a_channel_that_stays_silent_is_given_up_after_a_week_and_forgotten() -> None:
    run = begin()
    take(run, channel("silent", 1))
    run.tick(START + 7 * 24 * HOUR)
    assert [(e.state, e.time) for e in run.events if isinstance(e, Alert)] == [
        ("firing", START),
        ("resolved", START + 7 * 24 * HOUR),
    ]
    take(run, channel("heard", 2, run.time))
    assert len(run.events) == 2
    run.tick(START + 40 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_channel_that_was_never_silent_is_heard_without_a_word() -> None:
    run = begin()
    take(run, channel("heard", 2))
    assert run.events == [] and dict(run.state) == {}


# --- overdue cases --------------------------------------------------------------------------------

DUE = START + HOUR
LATE = DUE + 2 * MINUTE
"""When a case that nobody answered counts as overdue."""


def queue(run: Run, cases: int, first: int = 0, **fields: Any) -> None:
    """So many cases come."""
    fields = {"time": max(START, run.time), **fields}
    take(run, *(work(f"k{first + n}", **fields) for n in range(cases)))


def answer(run: Run, cases: range, time: int, seq: int = 2, change: WorkChange = "answered", **fields: Any) -> None:
    run.tick(time)
    take(run, *(work(f"k{n}", change, seq, time, **fields) for n in cases))


def said(run: Run) -> list[tuple[int, str, int]]:
    """(minutes since the due, state, cases) of each alert."""
    alerts = [e for e in run.events if isinstance(e, Alert)]
    return [((a.time - DUE) // MINUTE, a.state, int(a.evidence["overdue"])) for a in alerts]


def with_alerts(run: Run, **settings: Any) -> Run:
    run.policy = run.policy.model_copy(update={"alerts": AlertPolicy(**{"sla_overdue": 3, **settings})})
    return run


def test_three_overdue_cases_of_a_desk_open_one_alert_after_the_grace() -> None:
    run = begin("live")
    queue(run, 4)
    run.tick(LATE - 1)
    assert run.events == []
    run.tick(LATE)
    (alert,) = run.events
    assert isinstance(alert, Alert)
    assert (alert.kind, alert.severity, alert.mode, alert.time) == ("sla_breach", "warning", "live", LATE)
    assert alert.summary == "andina: 4 of 4 cases overdue at desk care"
    assert alert.evidence == {
        "desk": "care", "overdue": "4", "queue": "4", "opens_at": "3", "oldest_breach_at": rfc3339(DUE), "zone": "UTC",
    }  # fmt: skip


def test_a_share_of_the_queue_must_be_overdue_too() -> None:
    """Three of 31 are few; four of 40 are a tenth."""
    run = begin()
    queue(run, 3)
    queue(run, 28, first=3, due_at=START + 5 * HOUR)
    run.tick(LATE)
    assert run.events == []
    queue(run, 1, first=31)
    run.tick(run.time + 3 * MINUTE)
    assert said(run) == [(4, "firing", 4)]


def test_a_case_that_is_answered_within_the_grace_does_not_count() -> None:
    run = begin()
    queue(run, 3)
    answer(run, range(1), LATE - 1_000)
    run.tick(LATE + HOUR)
    assert run.events == []


@pytest.mark.parametrize("fields", [{"due_at": None}, {"non_sla": True}])
def test_a_case_without_a_target_of_the_sla_raises_no_alert(fields: dict[str, Any]) -> None:
    run = begin()
    queue(run, 5, **fields)
    run.tick(LATE + 24 * HOUR)
    assert run.events == []


def test_a_due_that_moves_later_ends_the_delay() -> None:
    run = begin()
    queue(run, 3)
    run.tick(LATE)
    answer(run, range(3), LATE, change="changed", due_at=LATE + 5 * HOUR)
    run.tick(LATE + HOUR)
    assert [state for _, state, _ in said(run)] == ["firing", "resolved"]


def test_the_alert_of_a_flood_tells_growth_and_decline_and_ends_when_it_is_true() -> None:
    """480 overdue, 420 answered: it fires as long as the 60 wait."""
    run = begin()
    queue(run, 480)
    answer(run, range(420), LATE + HOUR)
    run.tick(LATE + 8 * HOUR)
    assert said(run) == [(2, "firing", 480), (63, "firing", 60)]
    answer(run, range(420, 480), run.time)
    run.tick(run.time + HOUR)
    assert [state for _, state, _ in said(run)] == ["firing", "firing", "resolved"]


def test_growth_is_told_at_half_as_many_more_and_decline_likewise_but_not_each_case() -> None:
    run = begin()
    for hour, (first, cases) in enumerate(((0, 10), (10, 4), (14, 1))):
        queue(run, cases, first=first, due_at=DUE + hour * HOUR)
    run.tick(DUE + 4 * HOUR)
    assert said(run) == [(2, "firing", 10), (122, "firing", 15)]
    answer(run, range(4), run.time)
    run.tick(run.time + HOUR)
    answer(run, range(4, 5), run.time)
    run.tick(run.time + HOUR)
    assert [cases for _, _, cases in said(run)] == [10, 15, 10]


def test_the_alert_resolves_when_few_have_been_overdue_for_a_while_and_a_relapse_keeps_it() -> None:
    run = begin()
    queue(run, 3)
    run.tick(LATE)
    answer(run, range(2), LATE + MINUTE)
    queue(run, 1, first=7, due_at=LATE + 10 * MINUTE)
    run.tick(LATE + HOUR)
    assert said(run) == [(2, "firing", 3)], "two are overdue again before it was calm for a quarter of an hour"
    answer(run, range(2, 3), LATE + HOUR)
    run.tick(LATE + 2 * HOUR)
    assert said(run)[1:] == [(78, "resolved", 1)]


def test_a_case_that_moves_to_another_desk_counts_there() -> None:
    run = begin()
    queue(run, 4)
    run.tick(LATE + 30 * MINUTE)
    moved = run.time
    for n in range(4):
        there = replace(work(f"k{n}", "queued", 1, moved, desk="backoffice"), aggregate=f"second-{n}")
        take(run, work(f"k{n}", "withdrawn", 2, moved), there)
    run.tick(moved + HOUR)
    assert told(run) == [
        ("sla_breach:andina:care", 1, "firing"),
        ("sla_breach:andina:backoffice", 1, "firing"),
        ("sla_breach:andina:care", 2, "resolved"),
    ]
    assert [e.time - moved for e in run.events[1:]] == [2 * MINUTE, 16 * MINUTE]


def test_an_urgent_case_alone_opens_the_alert() -> None:
    run = with_alerts(begin(), overdue=[URGENT])
    take(run, work("vip", priority=1), work("other"))
    run.tick(LATE)
    (alert,) = run.events
    assert isinstance(alert, Alert)
    assert (alert.reason, alert.evidence["urgent"]) == ("urgent: 1 of 1 overdue, opens at 1", "1")


def test_the_first_limit_that_takes_a_case_counts_it() -> None:
    own = OverdueLimit(name="insurance", brand=["andina"], desk=["care"], overdue=5, severity="page")
    run = with_alerts(begin(), overdue=[own])
    queue(run, 4)
    queue(run, 3, first=4, desk="sales")
    run.tick(LATE)
    assert told(run) == [("sla_breach:andina:sales", 1, "firing")]
    queue(run, 1, first=7)
    run.tick(run.time + 4 * MINUTE)
    alert = run.events[-1]
    assert isinstance(alert, Alert) and (alert.severity, alert.evidence["desk"]) == ("page", "care")


def test_the_version_goes_on_when_the_alert_opens_again_and_starts_anew() -> None:
    run = begin()
    queue(run, 3)
    answer(run, range(3), LATE + MINUTE)
    run.tick(LATE + HOUR)
    queue(run, 3, first=3, due_at=run.time)
    run.tick(run.time + HOUR)
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert [(a.version, a.state) for a in alerts] == [(1, "firing"), (2, "resolved"), (3, "firing")]
    assert alerts[2].starts_at == alerts[2].time > alerts[1].time


def test_work_told_again_changes_nothing_and_an_unknown_end_is_nobodys_business() -> None:
    run = begin()
    take(run, work("a", "answered", 2))
    assert run.events == [] and dict(run.state) == {}
    queue(run, 3)
    answer(run, range(3), LATE - MINUTE)
    run.tick(LATE + 2 * HOUR)
    assert run.events == [] and dict(run.state) == {}


def test_what_is_remembered_of_a_case_is_small_and_survives_the_changelog() -> None:
    run = begin()
    take(run, opened(), channel("silent", 1))
    queue(run, 1_000, started_at=START - HOUR, conversation="1990000119545224941", operator=None)
    run.tick(LATE)
    packed = {key: msgspec.msgpack.encode(record) for key, record in run.state.items()}
    assert max(len(value) for key, value in packed.items() if key.startswith("work:")) < 200
    assert {
        key: msgspec.msgpack.decode(value, type=AlertsDecider.record_types) for key, value in packed.items()
    } == dict(run.state)


# --- one incident for one flood -------------------------------------------------------------------------


def test_overdue_cases_of_a_flood_are_told_in_its_alert_and_at_no_desk() -> None:
    run = begin()
    take(run, opened())
    queue(run, 5)
    queue(run, 2, first=5, started_at=START - 2 * HOUR)
    run.tick(LATE)
    assert {fingerprint for fingerprint, _, _ in told(run)} == {"surge:andina:s1"}
    last = run.events[-1]
    assert isinstance(last, Alert)
    assert (last.severity, last.evidence["open"], last.evidence["overdue"]) == ("page", "5", "5")
    assert last.summary.endswith("; 5 of its 5 cases overdue")


def test_cases_of_the_floods_conversation_are_its_own_whenever_they_began() -> None:
    run = begin()
    take(run, opened())
    queue(run, 3, started_at=START - 2 * HOUR, conversation="77")
    run.tick(LATE)
    assert {fingerprint for fingerprint, _, _ in told(run)} == {"surge:andina:s1"}


def test_a_flood_that_is_over_is_told_so_and_resolves_when_its_cases_are_answered() -> None:
    run = begin()
    quiet = replace(evidence(), detector="burst", labels={"other": 212}, root=None, root_share=None, scope="brand")
    take(run, replace(opened(), evidence=quiet))
    queue(run, 5)
    run.tick(LATE + 10_000)
    take(run, closed(time=run.time))
    run.tick(LATE + HOUR)
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert [(a.state, a.severity) for a in alerts] == [("firing", "info"), ("firing", "warning"), ("firing", "warning")]
    assert alerts[2].summary == (
        "andina: the surge is over after 62 min, 6.8 times the usual at its peak; 5 of its 5 cases overdue"
    )
    answer(run, range(5), run.time)
    run.tick(run.time + HOUR)
    assert [e.state for e in run.events if isinstance(e, Alert)][-1] == "resolved"
    assert {fingerprint for fingerprint, _, _ in told(run)} == {"surge:andina:s1"}


def test_the_summary_of_old_figures_says_when_they_were_measured_and_no_trend() -> None:
    run = begin()
    rising = replace(evidence(), detector="burst", root=None, root_share=None, scope="brand", trend="rising")
    take(run, replace(opened(), evidence=rising))
    queue(run, 5)
    run.tick(LATE + 10_000)
    first, later = (e.summary for e in run.events if isinstance(e, Alert))
    assert first == "andina: rising: 212 posts in 30 min, where 31.4 are usual, 6.8 times"
    assert later.startswith(
        f"andina: 212 posts in the 30 min before {rfc3339(START)}, where 31.4 are usual, 6.8 times; "
    )


def test_the_summary_of_what_was_closed_as_the_new_normal_claims_no_posts() -> None:
    run = begin()
    take(run, opened(), replace(closed(time=START + MINUTE), close_reason="new_normal"))
    run.tick(START + HOUR)
    last = [e.summary for e in run.events if isinstance(e, Alert)][-1]
    assert last.startswith("andina: the surge has lasted so long that it counts as the usual after 1 min, ")


def test_what_is_left_of_a_floods_cases_counts_at_their_desk_when_it_is_over() -> None:
    run = begin()
    take(run, replace(opened(), evidence=replace(evidence(), labels={"other": 212})))
    queue(run, 1)
    queue(run, 2, first=1, started_at=START - HOUR)
    run.tick(LATE + MINUTE)
    take(run, closed(time=LATE + MINUTE))
    run.tick(LATE + 5 * MINUTE)
    assert told(run)[1:] == [("surge:andina:s1", 2, "resolved"), ("sla_breach:andina:care", 1, "firing")]


# --- escalations ----------------------------------------------------------------------------------------


def test_an_escalated_case_fires_for_its_person_until_it_is_answered() -> None:
    run = begin("live")
    queue(run, 1)
    take(run, work("k0", "changed", 2, START + MINUTE, operator="lead"))
    run.tick(START + 2 * MINUTE)
    (first,) = run.events
    assert isinstance(first, Alert)
    assert (first.fingerprint, first.kind, first.severity) == ("escalation:andina:lead", "escalation", "info")
    assert first.summary == "andina: 1 escalated case waits for lead"
    run.tick(START + 20 * MINUTE)
    second = run.events[1]
    assert isinstance(second, Alert) and second.severity == "warning", "nobody took it for a quarter of an hour"
    answer(run, range(1), START + 30 * MINUTE, seq=3)
    run.tick(START + HOUR)
    assert told(run)[2:] == [("escalation:andina:lead", 3, "resolved")]


def only(run: Run, time: int) -> Alert:
    """The one alert that follows until a time (ms)."""
    (found,) = run.tick(time)
    assert isinstance(found, Alert)
    return found


def desk_says(
    case: str,
    seq: int,
    time: int,
    rung: Rung | None = None,
    to: str = "",
    reason: str = "ladder: 75 % of the target is used",
) -> Escalated | Assigned:
    """A case climbs its desk's ladder; without a rung, an operator accepts it."""
    fields: dict[str, Any] = {**decided(f"work-{case}", seq, time, reason), "desk": "care", "case_id": case}
    if rung is None:
        return Assigned(**fields, operator="bob", offer_id="o1", waited_ms=0)
    return Escalated(**fields, mode="live", rung=rung, to=to, used=75)


@pytest.mark.parametrize("end", ["accepted", "answered", "withdrawn"])
def test_a_case_that_climbs_fires_for_the_person_who_is_asked_until_it_is_accepted_answered_or_withdrawn(
    end: Any,
) -> None:
    run = begin("live")
    queue(run, 1)
    take(run, desk_says("k0", 2, START + MINUTE, "responsible", "ana"))
    first = only(run, START + 2 * MINUTE)
    assert (first.fingerprint, first.kind, first.severity) == ("escalation:andina:ana", "escalation", "info")
    assert first.summary == "andina: 1 escalated case waits for ana"
    assert first.reason == "escalated: 75 % of the target is used"
    said = {name: first.evidence[name] for name in ("to", "desk", "cases", "rung", "why")}
    assert said == {
        "to": "ana", "desk": "care", "cases": "1", "rung": "responsible", "why": "75 % of the target is used",
    }  # fmt: skip
    later = START + 5 * MINUTE
    take(run, desk_says("k0", 3, later) if end == "accepted" else work("k0", end, 2, later))
    run.tick(START + HOUR)
    assert told(run) == [("escalation:andina:ana", 1, "firing"), ("escalation:andina:ana", 2, "resolved")]


def test_the_rung_of_the_operator_tells_nobody() -> None:
    run = begin("live")
    queue(run, 1)
    take(run, desk_says("k0", 2, START + MINUTE, "operator", "bob"), desk_says("k0", 3, START + 2 * MINUTE, "operator"))
    run.tick(START + 30 * MINUTE)
    assert told(run) == []


def test_a_case_that_climbs_on_warns_the_lead_too_and_both_are_asked_until_somebody_takes_it() -> None:
    run = begin("live")
    queue(run, 1)
    take(run, desk_says("k0", 2, START + MINUTE, "responsible", "ana"))
    take(run, desk_says("k0", 3, START + 9 * MINUTE, "lead", "luis", "ladder: 90 % of the target is used"))
    lead = only(run, START + 10 * MINUTE)
    assert (lead.fingerprint, lead.severity, lead.evidence["rung"]) == ("escalation:andina:luis", "warning", "lead")
    take(run, desk_says("k0", 4, START + 12 * MINUTE))
    run.tick(START + HOUR)
    assert sorted(told(run)[2:]) == [
        ("escalation:andina:ana", 2, "resolved"), ("escalation:andina:luis", 2, "resolved"),
    ]  # fmt: skip


def test_a_rung_without_a_person_fires_for_the_desk() -> None:
    run = begin("live")
    queue(run, 1)
    take(run, desk_says("k0", 2, START + MINUTE, "responsible", "", "empty: nobody is signed in at care"))
    first = only(run, START + 2 * MINUTE)
    assert first.fingerprint == "escalation:andina:desk:care" and "to" not in first.evidence
    assert first.summary == (
        "andina: 1 escalated case waits for somebody at desk care, which names no person for its ladder"
    )
    answer(run, range(1), START + 5 * MINUTE)
    run.tick(START + HOUR)
    assert told(run)[1:] == [("escalation:andina:desk:care", 2, "resolved")]


def test_a_case_that_an_operator_escalates_and_that_climbs_to_the_same_person_counts_once() -> None:
    run = begin("live")
    queue(run, 2)
    take(run, work("k0", "changed", 2, START + MINUTE, operator="ana"))
    take(run, desk_says("k0", 2, START + MINUTE, "responsible", "ana", "escalated: an operator asks for it"))
    first = only(run, START + 2 * MINUTE)
    assert first.evidence["cases"] == "1" and first.reason == "escalated: an operator asks for it"
    take(run, desk_says("k0", 3, START + 3 * MINUTE))
    run.tick(START + HOUR - 1)
    assert told(run)[1:] == [("escalation:andina:ana", 2, "resolved")]


@pytest.mark.parametrize(
    ("minutes", "states"), [(14, ["firing", "resolved"]), (16, ["firing", "resolved", "firing", "resolved"])]
)
def test_a_case_that_comes_back_and_climbs_again_is_the_same_alert_until_it_was_calm_for_a_while(
    minutes: int, states: list[str]
) -> None:
    """Case after case for one person is one alert, and not one for each."""
    run = begin("live")
    queue(run, 1)
    for seq, minute in ((2, 1), (4, 4 + minutes)):
        take(run, desk_says("k0", seq, START + minute * MINUTE, "responsible", "ana"))
        take(run, desk_says("k0", seq + 1, START + (minute + 3) * MINUTE))
    run.tick(START + HOUR)
    assert [state for _, _, state in told(run)] == states
    assert not [key for key in run.state if key.startswith("escalation:") and run.state[key].calm_since is not None]


def test_escalated_cases_are_told_again_when_they_are_half_as_many_more_or_fewer_but_not_for_a_few() -> None:
    run = begin("live")
    queue(run, 18)
    for case in range(18):
        take(run, desk_says(f"k{case}", 2, START + MINUTE + case * 40_000, "responsible", "ana"))
    for case in range(17):
        take(run, desk_says(f"k{case}", 3, START + 14 * MINUTE + case * 1_000))
    run.tick(START + 15 * MINUTE)
    alerts = [alert for alert in run.events if isinstance(alert, Alert)]
    assert [alert.evidence["cases"] for alert in alerts] == ["1", "6", "11", "17", "1"]
    assert alerts[2].reason == "grown: 11, 6 told last" and alerts[4].reason == "fallen: 1, 17 told last"


def test_a_climb_of_a_round_that_is_over_tells_nobody() -> None:
    """The desk may have decided it at the very moment of the answer, and be read after it."""
    run = begin("live")
    queue(run, 1)
    answer(run, range(1), START + MINUTE)
    take(run, desk_says("k0", 2, START + MINUTE, "lead", "luis"))
    run.tick(START + HOUR)
    assert told(run) == [] and not any(key.startswith("work:") for key in run.state)


# --- who is told ------------------------------------------------------------------------------------------

NIGHT = Brand(
    name="andina",
    mode="live",
    calendar=[Hours.model_validate({"days": ["tue", "wed"], "from": "00:00", "to": "01:00"})],
)


def told_whom(run: Run) -> list[tuple[str, list[str], str | None]]:
    return [(a.state, a.receivers or [], a.withheld) for a in run.events if isinstance(a, Alert)]


def test_by_default_a_page_goes_to_everybody_and_all_else_not_to_the_pager() -> None:
    run = begin()
    take(run, replace(opened(), evidence=replace(evidence(), crowd="few")), crisis())
    everyone = ["pagerduty", "webhook", "alertmanager", "slack", "chat"]
    assert [sorted(names) for _, names, _ in told_whom(run)] == [sorted(everyone[1:]), sorted(everyone)]


def test_routes_are_added_up_and_whoever_was_told_is_told_the_end() -> None:
    care = Route(name="care", match=AlertMatch(desk=["care"]), receivers=["chat"], texts=True)
    pages = Route(name="pages", match=AlertMatch(kind=["surge"]), receivers=["slack"])
    run = with_alerts(begin(), routes=[care, pages])
    queue(run, 3, started_at=START - HOUR)
    run.tick(LATE)
    take(run, opened(time=LATE), replace(crisis(), time=LATE))
    alerts = [a for a in run.events if isinstance(a, Alert)]
    assert [(a.kind, a.receivers, a.texts) for a in alerts] == [
        ("sla_breach", ["chat"], ["chat"]),
        ("surge", ["slack"], []),
        ("crisis", ["slack"], []),
    ]


def test_what_is_no_page_waits_for_the_calendar_and_is_told_if_it_still_fires() -> None:
    people = Route(name="people", receivers=["chat"], hours="working")
    run = with_alerts(begin(), routes=[people])
    run.policy = run.policy.model_copy(update={"brands": [NIGHT]})
    opens = run.policy.brand("andina").after(START, 1) - 1
    assert opens > START
    take(run, channel("silent", 1))
    assert told_whom(run) == [("firing", [], "chat: nobody is on shift, by the brand's calendar")]
    run.tick(opens)
    assert told_whom(run)[1:] == [("firing", ["chat"], None)]
    assert run.events[1].time == opens
    take(run, channel("heard", 2, opens + 2 * HOUR))
    assert told_whom(run)[2:] == [("resolved", ["chat"], None)], "the end is told at any time"


def test_what_is_over_before_anybody_comes_is_told_to_nobody() -> None:
    run = with_alerts(begin(), routes=[Route(name="people", receivers=["chat"], hours="working")])
    run.policy = run.policy.model_copy(update={"brands": [NIGHT]})
    take(run, channel("silent", 1), channel("heard", 2, START + HOUR))
    assert [names for _, names, _ in told_whom(run)] == [[], []]


def test_a_page_does_not_wait_for_the_calendar() -> None:
    run = with_alerts(begin(), routes=[Route(name="people", receivers=["chat"], hours="working")])
    run.policy = run.policy.model_copy(update={"brands": [NIGHT]})
    take(run, crisis())
    run.tick(START + 1)
    assert told_whom(run) == [("firing", ["chat"], None)]


def test_a_silence_holds_back_what_it_names_until_its_end() -> None:
    def at(time: int) -> datetime:
        return datetime.fromtimestamp(time / 1000, UTC)

    raffle = Silence(
        reason="raffle, says ana", match=AlertMatch(kind=["surge"]), start=at(START - HOUR), end=at(START + HOUR)
    )
    run = with_alerts(begin(), routes=[Route(name="all", receivers=["chat"])], silences=[raffle])
    take(run, opened(), channel("silent", 1))
    assert [(a.kind, a.receivers, a.withheld) for a in run.events if isinstance(a, Alert)] == [
        ("surge", [], "chat: silence: raffle, says ana"),
        ("channel_silent", ["chat"], None),
    ]
    run.tick(START + HOUR)
    last = run.events[-1]
    assert isinstance(last, Alert)
    assert (last.kind, last.receivers, last.reason) == ("surge", ["chat"], TOLD_NOW)


def test_in_a_silence_growth_is_told_to_nobody_and_the_end_to_whoever_knows() -> None:
    def at(time: int) -> datetime:
        return datetime.fromtimestamp(time / 1000, UTC)

    quiet = Silence(reason="work at the network", start=at(START + HOUR), end=at(START + 2 * HOUR))
    run = with_alerts(begin(), routes=[Route(name="all", receivers=["chat"], texts=True)], silences=[quiet])
    take(run, opened(), updated(time=START + HOUR), updated(seq=3, time=START + 90 * MINUTE))
    assert [names for _, names, _ in told_whom(run)] == [["chat"], [], []]
    run.tick(START + 2 * HOUR)
    assert told_whom(run)[3:] == [("firing", ["chat"], None)], "how it stands when the silence is over"
    take(run, updated(seq=4, time=START + 26 * HOUR))
    run.policy = run.policy.model_copy(update={"alerts": run.policy.alerts.model_copy(update={"silences": [
        Silence(reason="again", start=at(START + 26 * HOUR), end=at(START + 30 * HOUR))
    ]})})  # fmt: skip
    take(run, closed(seq=5, time=START + 27 * HOUR))
    run.tick(START + 28 * HOUR)
    assert told_whom(run)[-1] == ("resolved", ["chat"], None)


def test_what_was_told_is_told_its_end_though_the_brand_is_in_shadow_mode_by_then() -> None:
    run = begin("live")
    queue(run, 3)
    run.tick(LATE)
    run.policy = run.policy.model_copy(update={"brands": [Brand(name="andina", mode="shadow")]})
    answer(run, range(3), LATE + MINUTE)
    run.tick(LATE + HOUR)
    queue(run, 3, first=3, due_at=run.time)
    run.tick(run.time + HOUR)
    assert [(a.state, a.mode) for a in run.events if isinstance(a, Alert)] == [
        ("firing", "live"), ("resolved", "live"), ("firing", "shadow"),
    ]  # fmt: skip


def test_whoever_a_changed_policy_names_is_told_of_what_fires() -> None:
    """A route is added, and a brand goes live, while an alert fires: a minute after the next event of a case of the brand."""
    run = with_alerts(begin("shadow"), routes=[Route(name="a", receivers=["chat"])])
    queue(run, 3)
    take(run, channel("silent", 1))
    run.tick(LATE + 5 * HOUR)
    both = [Route(name="a", receivers=["chat"]), Route(name="b", receivers=["slack"])]
    with_alerts(run, routes=both)
    queue(run, 1, first=3, due_at=None)
    run.tick(run.time + MINUTE)
    live = [Brand(name="andina", mode="live")]
    run.policy = run.policy.model_copy(update={"brands": live})
    run.tick(run.time + 5 * HOUR)
    found = [(a.kind, a.mode, a.receivers) for a in run.events if isinstance(a, Alert)][2:]
    assert sorted(found) == [
        ("channel_silent", "live", ["chat", "slack"]),
        ("sla_breach", "live", ["chat", "slack"]),
        ("sla_breach", "shadow", ["chat", "slack"]),
    ]


def test_words_are_shown_only_as_long_as_the_policy_lets_them() -> None:
    run = with_alerts(begin(), routes=[Route(name="a", receivers=["chat"], texts=True)])
    (first,) = take(run, opened())
    with_alerts(run, routes=[Route(name="a", receivers=["chat"])])
    (second,) = take(run, updated())
    assert (first.texts, second.texts, second.receivers) == (["chat"], [], ["chat"])


def test_a_flood_with_overdue_cases_goes_the_way_of_overdue_cases_too() -> None:
    care = Route(name="care", match=AlertMatch(kind=["sla_breach"], desk=["care"]), receivers=["chat"])
    raffle = Silence(
        reason="raffle", match=AlertMatch(kind=["surge"]),
        start=datetime.fromtimestamp(START / 1000, UTC), end=datetime.fromtimestamp(START / 1000 + 86_400, UTC),
    )  # fmt: skip
    run = with_alerts(begin(), routes=[care], silences=[raffle])
    take(run, replace(opened(), evidence=replace(evidence(), labels={"other": 212})))
    queue(run, 5)
    run.tick(LATE)
    assert [(a.fingerprint, a.receivers) for a in run.events if isinstance(a, Alert)] == [
        ("surge:andina:s1", []), ("surge:andina:s1", ["chat"]),
    ]  # fmt: skip


def test_a_desk_is_counted_again_when_its_queue_or_its_limits_change() -> None:
    run = begin()
    queue(run, 5)
    queue(run, 95, first=5, due_at=START + 20 * HOUR)
    run.tick(LATE + HOUR)
    assert run.events == []
    answer(run, range(5, 85), LATE + HOUR)
    run.tick(LATE + HOUR + MINUTE)
    assert said(run) == [(63, "firing", 5)]
    with_alerts(run, sla_overdue=100)
    run.tick(run.time + HOUR)
    assert [state for _, state, _ in said(run)] == ["firing", "resolved"]
    with_alerts(run, sla_overdue=4)
    queue(run, 1, first=200, due_at=None)
    run.tick(run.time + 2 * MINUTE)
    assert [state for _, state, _ in said(run)] == ["firing", "resolved", "firing"]


@pytest.mark.parametrize(("share", "waiting", "late"), [(0.07, 100, 7), (0.56, 50, 28), (0.1, 30, 3)])
def test_a_share_opens_at_exactly_that_share(share: float, waiting: int, late: int) -> None:
    run = with_alerts(begin(), sla_overdue=1, sla_share=share)
    queue(run, late)
    queue(run, waiting - late, first=late, due_at=START + 20 * HOUR)
    run.tick(LATE)
    assert said(run) == [(2, "firing", late)]


def test_growth_is_told_by_the_limit_that_was_reached() -> None:
    own = OverdueLimit(name="small", desk=["care"], overdue=2)
    run = with_alerts(begin(), sla_overdue=50, overdue=[own])
    for hour, cases in enumerate((2, 2, 4)):
        queue(run, cases, first=10 * hour, due_at=DUE + hour * HOUR)
    run.tick(DUE + 4 * HOUR)
    assert said(run) == [(2, "firing", 2), (62, "firing", 4), (122, "firing", 8)]


def test_a_runbook_is_linked_where_the_policy_says_where_it_opens() -> None:
    run = with_alerts(begin(), runbooks="https://wiki.example.com/runbooks/")
    (alert,) = take(run, opened())
    assert alert.links == {"runbook": "https://wiki.example.com/runbooks/surge.md"}


def test_a_crisis_in_the_very_minute_of_a_count_gives_the_same_alerts_whenever_it_is_read() -> None:
    early, late = begin(), begin()
    opened_then = replace(crisis(), time=LATE)
    for run in (early, late):
        queue(run, 3, started_at=START + MINUTE)
    early.fact(opened_then)
    for run in (early, late):
        run.tick(LATE)
    late.fact(opened_then)
    for run in (early, late):
        run.tick(LATE + HOUR)
    assert early.events == late.events
    assert {alert.time for alert in early.events if isinstance(alert, Alert) and alert.version == 1} == {LATE}
