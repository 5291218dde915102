"""Alerts: what a person must know opens once, says more when it matters, and is resolved."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from agents.alerts import AlertsDecider
from agents.alerts.state import LISTED, OverdueDesk
from agents.policy import Policy
from agents.policy.policy import Brand, ClassifierPolicy
from schemas import codec, ids
from schemas.records import (
    Alert,
    CaseClosed,
    ChannelChanged,
    ClockChange,
    ClockChanged,
    CrisisClosed,
    CrisisOpened,
    Crowd,
    Evidence,
    Hearing,
    SeriesEvidence,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
)
from schemas.times import rfc3339
from tests.support.decider_runner import Run

START = 1_700_000_040_000  # a whole minute
MINUTE, HOUR = 60_000, 3_600_000


def begin(mode: str = "shadow") -> Run:
    brand = Brand(name="andina", mode=mode)  # type: ignore[arg-type]
    run = Run(AlertsDecider(), Policy(version=7, classifier=ClassifierPolicy(model="0" * 64), brands=[brand]))
    run.tick(START)
    return run


def decided(aggregate: str, seq: int, time: int, reason: str = "ratio: why") -> dict[str, Any]:
    return {
        "id": ids.event(aggregate, seq), "aggregate": aggregate, "seq": seq, "time": time,
        "cause": "timer", "policy": 7, "reason": reason, "brand": "andina",
    }  # fmt: skip


def evidence(ratio: float = 6.8) -> Evidence:
    return Evidence(
        detector="ratio", scope="conversation", name="77", window_start=START - 30 * MINUTE, window_end=START,
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


def clock(case: str, change: ClockChange = "breached", seq: int = 2, time: int = START, **fields: Any) -> ClockChanged:
    given: dict[str, Any] = {
        "channel": "twitter", "author_id": "u", "desk": "care", "metric": "first_response", "cycle": 1,
        "label": "complaint", "started_at": START - HOUR, "due_at": START, "target_ms": HOUR,
        "breached_at": START, "detected_at": START, **fields,
    }  # fmt: skip
    return ClockChanged(**decided(case, seq, time), change=change, **given)


def told(run: Run) -> list[tuple[str, int, str]]:
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert len(alerts) == len(run.events)
    return [(a.fingerprint, a.version, a.state) for a in alerts]


SLA = "sla_breach:andina:care"

# --- surges ---------------------------------------------------------------------------------------


def test_a_surges_alert_opens_says_more_and_resolves_with_it() -> None:
    run = begin()
    for fact in (opened(), updated(), closed(seq=3)):
        run.fact(fact)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "resolved")]


def test_a_surge_alone_is_information_in_the_mode_of_its_brand() -> None:
    run = begin()
    (alert,) = run.fact(opened())
    assert isinstance(alert, Alert)
    assert (alert.severity, alert.kind, alert.mode) == ("info", "surge", "live")
    assert (alert.starts_at, alert.ends_at, alert.time) == (START, None, START)


def test_an_alert_says_what_happened_in_one_line_and_links_its_runbook() -> None:
    run = begin()
    (alert,) = run.fact(opened())
    assert isinstance(alert, Alert)
    assert alert.summary == ("andina: 212 posts in 30 min where 31.4 are usual, 6.8 times, 62% about one post")
    assert alert.links == {"runbook": "docs/runbooks/surge.md"}
    assert (alert.evidence["labels.complaint"], alert.evidence["labels.other"]) == ("200", "12")
    assert (alert.evidence["window_start"], alert.evidence["window_end"]) == (
        rfc3339(START - 30 * MINUTE),
        rfc3339(START),
    )
    assert alert.evidence["root"] == "77"


def test_an_alerts_id_comes_of_its_start_version_and_identity() -> None:
    run = begin()
    run.fact(opened())
    run.tick(START + HOUR)
    run.fact(closed())
    assert [(e.id, e.aggregate, e.seq) for e in run.events] == [
        (ids.make("alert", START, n, "surge:andina:s1"), "surge:andina:s1", n) for n in (1, 2)
    ]
    resolved = run.events[1]
    assert isinstance(resolved, Alert)
    assert (resolved.starts_at, resolved.ends_at) == (START, START + HOUR)


def test_an_alert_starts_with_its_cause_though_the_slowest_writer_is_minutes_behind() -> None:
    """By the reader's clock it is 12:00, by the surge 12:05: the same ids as where they are read at one moment."""
    behind, level = begin(), begin()
    level.tick(START + 5 * MINUTE)
    facts = (opened(time=START + 5 * MINUTE), closed(time=START + 35 * MINUTE))
    for fact in facts:
        behind.fact(fact)
        level.tick(fact.time)
        level.fact(fact)
    assert [(e.time, e.starts_at, e.ends_at) for e in behind.events if isinstance(e, Alert)] == [
        (START + 5 * MINUTE, START + 5 * MINUTE, None),
        (START + 35 * MINUTE, START + 5 * MINUTE, START + 35 * MINUTE),
    ]
    assert behind.events == level.events


def test_overdue_clocks_are_counted_as_they_were_at_that_minute_whatever_has_been_read_since() -> None:
    """Three late at 12:01; the answers of 12:20, read before 12:05 comes, do not undo that."""
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case, time=START + MINUTE, detected_at=START + MINUTE))
        run.fact(clock(case, "met", 3, START + 20 * MINUTE))
    run.tick(START + 2 * HOUR)
    assert [(e.time, e.state) for e in run.events if isinstance(e, Alert)] == [
        (START + 3 * MINUTE, "firing"),
        (START + 35 * MINUTE, "resolved"),
    ]


def test_a_surge_told_twice_changes_nothing() -> None:
    run = begin()
    for fact in (opened(), opened(), closed(), closed(), opened()):
        run.fact(fact)
    assert [version for _, version, _ in told(run)] == [1, 2]


def test_the_end_of_an_unknown_surge_is_nobodys_business() -> None:
    run = begin()
    run.fact(closed())
    run.fact(updated())
    assert run.events == []
    assert dict(run.state) == {}


def test_a_second_surge_joins_the_open_alert_which_resolves_with_the_last() -> None:
    run = begin()
    for fact in (opened("s1"), opened("s2"), closed("s1"), closed("s2")):
        run.fact(fact)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "resolved")]


def test_a_surge_after_another_is_an_incident_of_its_own() -> None:
    run = begin()
    for fact in (opened("s1"), closed("s1"), opened("s2"), closed("s2")):
        run.fact(fact)
    assert [fingerprint for fingerprint, _, _ in told(run)] == ["surge:andina:s1"] * 2 + ["surge:andina:s2"] * 2


def test_a_resolved_surge_is_forgotten_in_time() -> None:
    run = begin()
    run.fact(opened())
    run.fact(closed())
    run.tick(START + 29 * 24 * HOUR)
    assert list(run.state) == ["surge:andina:s1"]
    run.tick(START + 30 * 24 * HOUR)
    assert dict(run.state) == {}
    assert len(run.events) == 2


def test_a_surge_pages_where_contacts_rise_or_a_conversation_complains_and_stays_so() -> None:
    load = SeriesEvidence(detector="load", scope="contacts", name="calls", actual=90, baseline=30.0)
    for seen, told in (
        (replace(evidence(), detector="burst"), "info"),
        (replace(evidence(), detector="burst", others=[load]), "page"),
        (replace(evidence(), detector="load"), "page"),
        (replace(evidence(), detector="conversation"), "page"),
        (replace(evidence(), detector="conversation", labels={"complaint": 1, "other": 99}), "info"),
    ):
        run = begin()
        first = replace(opened(), evidence=seen)
        (alert,) = run.fact(first)
        (later,) = run.fact(replace(updated(), evidence=replace(evidence(), detector="burst")))
        assert isinstance(alert, Alert) and isinstance(later, Alert)
        assert (alert.severity, later.severity) == (told, told)


def test_a_surge_of_a_brand_without_care_pages_nobody() -> None:
    run = begin()
    run.policy = run.policy.model_copy(update={"brands": [Brand(name="andina", care=False)]})
    (alert,) = run.fact(replace(opened(), evidence=replace(evidence(), detector="load")))
    assert isinstance(alert, Alert) and alert.severity == "info"


# --- crises ---------------------------------------------------------------------------------------


def crisis(change: str = "open", seq: int = 1, by: str = "rule") -> CrisisOpened | CrisisClosed:
    common = {**decided("c1", seq, START), "mode": "live", "by": by}
    return CrisisOpened(**common, surge_id="s1", root="77") if change == "open" else CrisisClosed(**common)


def test_a_crisis_pages_from_its_opening_and_resolves_with_it() -> None:
    run = begin()
    for fact in (crisis(), crisis(), crisis("close", 2, "ana"), crisis("close", 2, "ana")):
        run.fact(fact)
    assert told(run) == [("crisis:andina:c1", 1, "firing"), ("crisis:andina:c1", 2, "resolved")]
    first, last = run.events
    assert isinstance(first, Alert) and isinstance(last, Alert)
    assert (first.severity, first.kind, first.mode) == ("page", "crisis", "live")
    assert first.summary == "andina: crisis, by rule, about one post"
    assert first.evidence == {"crisis": "c1", "by": "rule", "surge": "s1", "root": "77"}
    assert first.links == {"runbook": "docs/runbooks/crisis.md"}
    assert last.summary == "andina: the crisis is over"


def test_the_end_of_an_unknown_crisis_is_nobodys_business_and_one_that_is_over_is_forgotten() -> None:
    run = begin()
    run.fact(crisis("close", 2))
    assert run.events == []
    run.fact(crisis())
    run.fact(crisis("close", 2))
    run.tick(START + 30 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_surge_and_its_crisis_are_one_incident_that_rises_to_a_page_and_resolves_once() -> None:
    run = begin()
    quiet = replace(evidence(), detector="burst", scope="brand", name="")
    for fact in (replace(opened(), evidence=quiet), crisis(), updated(), closed(seq=3), crisis("close", 2)):
        run.fact(fact)
    name = "surge:andina:s1"
    assert told(run) == [(name, 1, "firing"), (name, 2, "firing"), (name, 3, "firing"), (name, 4, "resolved")]
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert [(a.kind, a.severity) for a in alerts] == [("surge", "info"), *[("crisis", "page")] * 3]
    assert [a.summary for a in alerts[1:]] == [
        "andina: crisis, by rule, about one post; 212 posts in 30 min where 31.4 are usual, 6.8 times, 62% about one post",
        "andina: crisis, by rule; 212 posts in 30 min where 31.4 are usual, 11.0 times, 62% about one post",
        "andina: the crisis is over; the surge is over after 60 min, 6.8 times the usual at its peak",
    ]
    assert [a.evidence.get("actual") for a in alerts] == ["212", "212", "212", None]
    assert alerts[1].links == {"runbook": "docs/runbooks/crisis.md"}
    run.tick(START + 30 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_crisis_that_a_person_declared_outlives_the_surge_and_is_no_second_incident() -> None:
    run = begin()
    for fact in (opened(), crisis(by="ana"), closed(seq=2), opened("s2"), crisis("close", 2, "ana"), closed("s2")):
        run.fact(fact)
    name = "surge:andina:s1"
    assert told(run) == [*[(name, n, "firing") for n in range(1, 6)], (name, 6, "resolved")]
    alerts = [e for e in run.events if isinstance(e, Alert)]
    assert alerts[2].summary == (
        "andina: crisis, declared by ana; the surge is over after 60 min, 6.8 times the usual at its peak"
    )
    assert alerts[4].summary.startswith("andina: the crisis is over; 212 posts")
    assert {a.severity for a in alerts[1:]} == {"page"}, "a severity never falls while the alert fires"


@pytest.mark.parametrize("crowd", ["few", "copies"])
def test_what_a_few_accounts_or_texts_make_pages_nobody_until_people_join(crowd: Crowd) -> None:
    run = begin()
    seen = replace(evidence(), detector="load", crowd=crowd)
    (alert,) = run.fact(replace(opened(), evidence=seen))
    assert isinstance(alert, Alert)
    assert (alert.severity, alert.evidence["crowd"]) == ("info", crowd)
    assert alert.summary.endswith({"few": ", by a few accounts", "copies": ", copies of a few texts"}[crowd])
    (later,) = run.fact(replace(updated(), evidence=replace(seen, crowd="many", trend="rising")))
    assert isinstance(later, Alert) and later.severity == "page"
    assert later.summary.startswith("andina: rising: 212 contacts")


# --- silent channels --------------------------------------------------------------------------------


def channel(change: Hearing, seq: int, time: int = START) -> ChannelChanged:
    fields: dict[str, Any] = {"mode": "live", "channel": "twitter", "expected": 21.4, "since": START - HOUR}
    return ChannelChanged(**decided("t1", seq, time), change=change, **fields)


def test_a_silent_channel_fires_until_it_is_heard_and_again_when_it_falls_silent_again() -> None:
    run = begin()
    for fact in (channel("silent", 1), channel("silent", 1), channel("heard", 2), channel("silent", 3)):
        run.fact(fact)
    name = "channel_silent:andina:twitter"
    assert told(run) == [(name, 1, "firing"), (name, 2, "resolved"), (name, 3, "firing")]
    first, last = run.events[0], run.events[1]
    assert isinstance(first, Alert) and isinstance(last, Alert)
    assert (first.kind, first.severity, first.mode) == ("channel_silent", "warning", "live")
    assert first.summary == (
        f"andina: nothing from twitter since {rfc3339(START - HOUR)}, where 21 posts were to be expected"
    )
    assert first.links == {"runbook": "docs/runbooks/channel_silent.md"}
    assert last.summary == "andina: posts come from twitter again"


def test_a_channel_that_stays_silent_is_given_up_after_a_week_and_forgotten() -> None:
    run = begin()
    run.fact(channel("silent", 1))
    run.tick(START + 7 * 24 * HOUR)
    assert [(e.state, e.time) for e in run.events if isinstance(e, Alert)] == [
        ("firing", START),
        ("resolved", START + 7 * 24 * HOUR),
    ]
    run.fact(channel("heard", 2, run.time))
    assert len(run.events) == 2
    run.tick(START + 40 * 24 * HOUR)
    assert dict(run.state) == {}


def test_a_channel_that_was_never_silent_is_heard_without_a_word() -> None:
    run = begin()
    run.fact(channel("heard", 2))
    assert run.events == [] and dict(run.state) == {}


# --- overdue clocks -------------------------------------------------------------------------------


def test_three_overdue_cases_of_a_desk_open_one_alert_after_the_grace() -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.tick(START + 2 * MINUTE - 1)
    assert run.events == []
    (alert,) = run.tick(START + 2 * MINUTE)
    assert isinstance(alert, Alert)
    assert (alert.fingerprint, alert.version, alert.severity, alert.state) == (SLA, 1, "warning", "firing")
    assert alert.summary == "andina: 3 overdue cases at desk care"
    assert alert.evidence == {"desk": "care", "overdue": "3", "oldest_breach_at": rfc3339(START)}
    assert alert.links == {"runbook": "docs/runbooks/sla_breach.md"}


@pytest.mark.parametrize("change", ["met", "rescinded", "voided"])
def test_a_breach_that_ends_within_the_grace_does_not_count(change: ClockChange) -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.fact(clock("c", change, 3, START + MINUTE))
    run.tick(START + 3 * HOUR)
    assert run.events == []


def test_a_closed_case_is_overdue_no_more() -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    fields: dict[str, Any] = {"channel": "twitter", "author_id": "u", "desk": "care", "label": "complaint"}
    run.fact(CaseClosed(**decided("c", 3, START), close_reason="no_reply", **fields))
    run.tick(START + 3 * HOUR)
    assert run.events == []


@pytest.mark.parametrize(
    "fields", [{"non_sla": True}, {"metric": "resolution"}], ids=["a non-SLA target", "the time to resolution"]
)
def test_no_alert_is_raised_by(fields: dict[str, Any]) -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case, **fields))
    run.tick(START + HOUR)
    assert run.events == []
    assert dict(run.state) == {}


def test_desks_are_counted_apart() -> None:
    run = begin()
    for case, desk in (("a", "care"), ("b", "care"), ("c", "sales"), ("d", "sales"), ("e", "sales")):
        run.fact(clock(case, desk=desk))
    run.tick(START + HOUR)
    assert told(run) == [("sla_breach:andina:sales", 1, "firing")]


def test_the_alert_resolves_when_fewer_than_half_have_been_overdue_for_a_while() -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.tick(START + 5 * MINUTE)
    run.fact(clock("a", "met", 3, START + 5 * MINUTE))
    run.tick(START + 2 * HOUR)
    assert told(run) == [(SLA, 1, "firing")]  # two are more than half of three
    run.fact(clock("b", "met", 3, START + 2 * HOUR))
    run.tick(START + 2 * HOUR + 15 * MINUTE - 1)
    assert told(run) == [(SLA, 1, "firing")]
    (alert,) = run.tick(START + 2 * HOUR + 15 * MINUTE)
    assert isinstance(alert, Alert)
    assert (alert.version, alert.state, alert.ends_at) == (2, "resolved", START + 2 * HOUR + 15 * MINUTE)
    assert alert.summary == "andina: 1 overdue case at desk care; calm again"


def test_a_relapse_within_the_calm_keeps_the_alert_open() -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.tick(START + 5 * MINUTE)
    for case in ("a", "b", "c"):
        run.fact(clock(case, "met", 3, START + 5 * MINUTE))
    run.tick(START + 10 * MINUTE)
    for case in ("d", "e"):
        run.fact(clock(case, time=START + 10 * MINUTE, detected_at=START + 10 * MINUTE))
    run.tick(START + 15 * MINUTE)
    for case in ("d", "e"):
        run.fact(clock(case, "met", 3, START + 15 * MINUTE))
    run.tick(START + 30 * MINUTE - 1)
    assert told(run) == [(SLA, 1, "firing")]
    run.tick(START + 30 * MINUTE)
    assert told(run) == [(SLA, 1, "firing"), (SLA, 2, "resolved")]


def test_a_new_version_comes_when_the_count_doubles_and_not_before() -> None:
    run = begin()
    for case in "abcde":
        run.fact(clock(case))
        run.tick(run.time + MINUTE)
    run.tick(START + HOUR)
    assert told(run) == [(SLA, 1, "firing")]
    run.fact(clock("f"))
    run.tick(START + 2 * HOUR)
    assert told(run) == [(SLA, 1, "firing"), (SLA, 2, "firing")]


def test_the_version_goes_on_when_the_alert_opens_again_and_starts_anew() -> None:
    run = begin()
    for seq in (2, 4):
        for case in ("a", "b", "c"):
            run.fact(clock(case, seq=seq, time=run.time, detected_at=run.time))
        run.tick(run.time + HOUR)
        for case in ("a", "b", "c"):
            run.fact(clock(case, "met", seq + 1, run.time))
        run.tick(run.time + HOUR)
    assert told(run) == [(SLA, 1, "firing"), (SLA, 2, "resolved"), (SLA, 3, "firing"), (SLA, 4, "resolved")]
    assert run.events[0].time < run.events[2].time
    assert [e.starts_at for e in run.events if isinstance(e, Alert)][2] == run.events[2].time


def test_a_case_that_moved_to_another_desk_leaves_the_first() -> None:
    run = begin()
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.tick(START + HOUR)
    for case in ("a", "b", "c"):
        run.fact(clock(case, "met", 3, START + HOUR, desk="sales"))
    run.tick(START + 2 * HOUR)
    assert told(run) == [(SLA, 1, "firing"), (SLA, 2, "resolved")]


def test_clocks_told_again_after_they_ended_change_nothing() -> None:
    run = begin()
    facts = [clock(case) for case in ("a", "b", "c")]
    for fact in [*facts, *facts]:
        run.fact(fact)
    run.tick(START + MINUTE)
    for case in ("a", "b", "c"):
        run.fact(clock(case, "met", 3, START + MINUTE))
    for fact in facts:
        run.fact(fact)
    run.tick(START + HOUR)
    assert run.events == []


def test_the_mode_is_the_brands() -> None:
    run = begin("live")
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    (alert,) = run.tick(START + HOUR)
    assert isinstance(alert, Alert)
    assert alert.mode == "live"


def test_a_desk_is_remembered_in_little_room_however_many_are_overdue() -> None:
    run = begin()
    cases = [ids.make("case", i) for i in range(3 * LISTED)]
    for case in cases:
        run.fact(clock(case))
    run.tick(START + HOUR)
    for case in cases[:LISTED]:
        run.fact(clock(case, "met", 3, START + HOUR))
    for case in cases[:LISTED]:
        run.fact(clock(f"again {case}", time=START + HOUR))
    (alert,) = run.events
    assert isinstance(alert, Alert)
    assert alert.evidence["overdue"] == str(3 * LISTED)
    assert len(msgspec.msgpack.encode(run.state[SLA])) < 64_000


def test_an_alert_resolves_however_many_were_overdue() -> None:
    run = begin()
    cases = [ids.make("case", i) for i in range(2 * LISTED)]
    for case in cases:
        run.fact(clock(case))
    run.tick(START + HOUR)
    for case in cases:
        run.fact(clock(case, "met", 3, START + HOUR))
    run.tick(START + 2 * HOUR)
    assert told(run) == [(SLA, 1, "firing"), (SLA, 2, "resolved")]


def test_a_desk_is_forgotten_when_nothing_was_told_and_in_time_when_it_was() -> None:
    quiet, loud = begin(), begin()
    for run, cases in ((quiet, "a"), (loud, "abc")):
        for case in cases:
            run.fact(clock(case))
        run.tick(START + HOUR)
        for case in cases:
            run.fact(clock(case, "met", 3, START + HOUR))
        run.tick(START + 3 * HOUR)
    assert dict(quiet.state) == {}
    assert isinstance(loud.state[SLA], OverdueDesk)
    loud.tick(START + 32 * 24 * HOUR)
    assert dict(loud.state) == {}
    assert told(loud) == [(SLA, 1, "firing"), (SLA, 2, "resolved")]


def test_what_is_remembered_survives_the_changelog() -> None:
    run = begin()
    run.fact(opened())
    for case in ("a", "b", "c"):
        run.fact(clock(case))
    run.tick(START + HOUR)
    run.fact(clock("a", "met", 3, START + HOUR))
    pack, unpack = codec.state_codec(AlertsDecider.record_types)
    assert {key: unpack(pack(record)) for key, record in run.state.items()} == dict(run.state)
