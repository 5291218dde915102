"""The story's episodes, each as the rows that it leaves: what semantics promises, told by what happens to one customer."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from agents.cases import CasesDecider
from agents.policy import Policy, parse
from netcenter.demo.story import STORY_POLICY, episodes
from netcenter.demo.story.episodes import Episode
from netcenter.demo.story.teller import HOUR, MINUTE, START, Teller
from schemas.records import ClassifiedMention, Mention
from sinks.postgres.current import FOLD_OF, fold
from tests.support.decider_runner import Run

AT = START + 3 * HOUR
"""ms; the first post of each."""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse(STORY_POLICY.read_text(), 1, "story.toml")


class Outcome:
    """What is left of an episode."""

    def __init__(self, tell: Episode, policy: Policy) -> None:
        teller = Teller(7, 1.0)
        teller.shifts = {desk: [(0, 1 << 62, "o1", ["es", "pt", "en"])] for desk in ("care", "express")}
        tell(teller, teller.customer("andina", "twitter", "es"), AT)
        self.run = Run(CasesDecider(), policy)
        self.run.tick(AT - MINUTE)
        for line in teller.lines():
            while self.run.time + MINUTE <= line.at:
                self.run.tick(self.run.time + MINUTE)
            record = line.record
            if isinstance(record, Mention):
                record = _classified(record, teller)
            self.run.fact(record)
        self.run.tick(line.at + 8 * HOUR)
        self.changes = [_named(e) for e in self.run.events]
        self.cases, self.clocks = self._rows()

    def _rows(self) -> tuple[list[Any], list[Any]]:
        tables: dict[str, list[Any]] = defaultdict(list)
        for event in self.run.events:
            if type(event) in FOLD_OF:
                tables[FOLD_OF[type(event)].table.name].append(event)
        rows = {name: list(fold(FOLD_OF[type(events[0])], events, {}).values()) for name, events in tables.items()}
        return rows.get("cases", []), rows.get("clocks", [])

    def responses(self) -> list[tuple[str, int, int | None, bool]]:
        """State, due, met and breached of each response clock; times in minutes from the first post."""
        return [
            (c.state, _minutes(c.due_at), _minutes(c.met_at), c.breached_at is not None)
            for c in self.clocks
            if c.metric != "resolution"
        ]


def _minutes(at: Any) -> Any:
    return None if at is None else round((at - AT) / MINUTE)


def _named(event: Any) -> str:
    return f"{type(event).__name__} {getattr(event, 'change', getattr(event, 'why', ''))}".strip()


def _classified(mention: Mention, teller: Teller) -> ClassifiedMention:
    return ClassifiedMention(
        label=teller.labels[mention.id],
        confidence=0.9,
        uncertain=False,
        classified_lang=teller.langs[mention.id],
        own=False,
        probabilities=[0.9, 0.1, 0.0, 0.0],
        model="0" * 16,
        policy=1,
        mention=mention,
    )


def test_what_was_taken_for_a_question_is_due_as_the_complaint_it_is(policy: Policy) -> None:
    assert Outcome(episodes.misread, policy).responses() == [("met", 60, 35, False)]


def test_a_breach_of_what_was_only_a_question_is_taken_back(policy: Policy) -> None:
    after = Outcome(episodes.overread, policy)
    assert "ClockChanged rescinded" in after.changes
    assert after.responses() == [("met", 120, 95, False)]


def test_an_answer_in_time_that_is_told_late_leaves_no_breach(policy: Policy) -> None:
    after = Outcome(episodes.delivered_late, policy)
    assert after.changes.index("ClockChanged breached") < after.changes.index("ClockChanged rescinded")
    assert after.responses() == [("met", 60, 50, False)]


def test_an_answer_that_is_told_before_its_post_counts_at_once(policy: Policy) -> None:
    after = Outcome(episodes.answered_unseen, policy)
    assert "ClockChanged breached" not in after.changes
    assert after.responses() == [("met", 60, 14, False)]


def test_a_post_that_arrives_a_minute_before_its_due_breaches_at_its_due(policy: Policy) -> None:
    assert Outcome(episodes.arrived_late, policy).responses() == [("met_late", 60, 75, True)]


def test_who_is_muted_opens_nothing_until_the_mute_ends(policy: Policy) -> None:
    after = Outcome(episodes.muted, policy)
    assert after.responses() == [("void", 60, None, False), ("met", 360, 260, False)]
    (case,) = after.cases
    assert (case.posts, case.reopened) == (5, 1), "kept and counted, and the question after the mute opened it again"


def test_a_transfer_changes_the_desk_and_never_the_clock(policy: Policy) -> None:
    after = Outcome(episodes.transferred, policy)
    assert after.responses() == [("met", 60, 52, False)]
    assert [c.desk for c in after.cases] == ["express"]
    assert after.changes.count("WorkChanged queued") == 2


def test_waiting_stops_no_response_clock_and_is_left_out_of_the_resolution(policy: Policy) -> None:
    after = Outcome(episodes.waited, policy)
    assert after.responses() == [("met", 60, 21, False), ("met", 300, 210, False)]
    (resolution,) = [c for c in after.clocks if c.metric == "resolution"]
    assert (_minutes(resolution.met_at), resolution.paused_ms) == (240, (180 - 21) * MINUTE + 30 * MINUTE)


def test_an_answer_that_is_told_after_the_resolve_was_an_answer(policy: Policy) -> None:
    after = Outcome(episodes.resolved_first, policy)
    assert after.responses() == [("met", 60, 18, False)]
    assert [c.state for c in after.cases] == ["closed"]


def test_whoever_comes_back_within_72_hours_is_the_same_case(policy: Policy) -> None:
    after = Outcome(episodes.reopened, policy)
    assert after.responses() == [("met", 120, 15, False), ("met", 180, 160, False)]
    (case,) = after.cases
    assert (case.state, case.close_reason, case.reopened) == ("closed", "resolved", 2)


def test_whoever_was_forgotten_comes_back_as_somebody_new(policy: Policy) -> None:
    after = Outcome(episodes.forgotten, policy)
    assert [c.close_reason for c in after.cases] == ["forgotten", None]
    assert after.cases[0].case_id != after.cases[1].case_id


def test_a_post_that_was_answered_before_it_was_deleted_was_answered(policy: Policy) -> None:
    assert Outcome(episodes.deleted_after_answer, policy).responses() == [("met", 60, 20, False)]


def test_what_a_customer_pays_for_goes_first_and_keeps_its_clock(policy: Policy) -> None:
    after = Outcome(episodes.promoted, policy)
    assert after.responses() == [("met", 60, 31, False)]
    assert "CaseChanged priority" in after.changes
    (case,) = after.cases
    assert (case.promoted, case.reach) == (True, 45_000)


def test_a_tool_that_calls_itself_a_person_stops_no_clock(policy: Policy) -> None:
    assert Outcome(episodes.answered_by_machine, policy).responses() == [("met", 120, 47, False)]


def test_a_post_that_needs_no_answer_leaves_the_other_its_own_time(policy: Policy) -> None:
    assert Outcome(episodes.one_of_two, policy).responses() == [("met", 135, 80, False)]


def test_what_is_escalated_goes_to_the_responsible_and_keeps_its_clock(policy: Policy) -> None:
    after = Outcome(episodes.escalated, policy)
    assert after.responses() == [("met", 60, 44, False)]
    [told] = [e for e in after.run.events if _named(e) == "WorkChanged changed"]
    assert (told.operator, told.priority) == (policy.desk("care").responsible, 1)  # type: ignore[attr-defined]
