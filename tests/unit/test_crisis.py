"""Crises: by rule where complaints lead a surge, or as a person says; whatever is opened is closed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from agents.decider import Unusable
from agents.policy.policy import Brand
from schemas import ids
from schemas.records import CrisisClosed, CrisisDeclared, CrisisOpened, SurgeOpened
from tests.support.decider_runner import Run
from tests.support.surge_told import HOUR, MINUTE, START, kinds, of, play, policy, run

_WATCHED = Brand(name="andina", mode="live", desk="front")


def _quiet(hours: int = 6, **how: object) -> Run:
    to = run(policy(_WATCHED, **how))
    to.tick(START)
    return play(to, [10] * 12 * hours)


def _flood(to: Run, complaints: int, bins: int = 4, bare: int = 0) -> Run:
    return play(to, [100] * bins, complaints=complaints, roots={"guitar": 90}, root_complaints=complaints, bare=bare)


def test_a_surge_that_complaints_lead_is_a_crisis_that_names_the_post_and_ends_with_it() -> None:
    to = _flood(_quiet(), 60)
    [opened], [surge] = of(to, CrisisOpened), of(to, SurgeOpened)
    assert (opened.by, opened.surge_id, opened.root) == ("rule", surge.aggregate, "guitar")
    assert (opened.mode, opened.dry_run, opened.desk) == ("live", False, "front")
    assert opened.time - surge.time <= 5 * MINUTE
    assert opened.reason.startswith("rule: at least ")
    play(to, [10] * 60)
    [closed] = of(to, CrisisClosed)
    assert (closed.by, closed.aggregate, closed.seq) == ("rule", opened.aggregate, 2)
    assert kinds(to) == ["SurgeOpened", "CrisisOpened", "SurgeClosed", "CrisisClosed"]


@pytest.mark.parametrize("complaints", [0, 20, 30])
def test_a_surge_that_others_lead_is_none(complaints: int) -> None:
    assert kinds(_flood(_quiet(), complaints)) == ["SurgeOpened"]


def test_posts_passed_on_without_words_do_not_dilute_the_complaints() -> None:
    assert "CrisisOpened" in kinds(_flood(_quiet(), 30, bare=50))


def test_a_brand_that_always_complains_has_no_crisis_for_it() -> None:
    to = run(policy(_WATCHED))
    to.tick(START)
    play(to, [30] * 12 * 6, complaints=25)
    play(to, [60] * 12, complaints=30, roots={"raffle": 40})
    assert kinds(to) == ["SurgeOpened"]


def test_one_that_only_observes_is_a_dry_run_and_one_without_care_has_none() -> None:
    for brand, told in ((Brand(name="andina"), [True]), (Brand(name="andina", care=False), [])):
        to = run(policy(brand))
        to.tick(START)
        _flood(play(to, [10] * 72), 60)
        assert [event.dry_run for event in of(to, CrisisOpened)] == told


def test_the_policy_may_leave_it_to_a_person() -> None:
    to = _flood(_quiet(crisis="confirm"), 60)
    assert kinds(to) == ["SurgeOpened"]
    to.fact(_said("open", to.time))
    [opened] = of(to, CrisisOpened)
    assert (opened.by, opened.surge_id, opened.root) == ("ana", of(to, SurgeOpened)[0].aggregate, "guitar")


# --- declared ----------------------------------------------------------------------------------------------------


def _said(change: str, at: int) -> CrisisDeclared:
    return CrisisDeclared(
        id=ids.make("crisis", "andina", at, change),
        brand="andina",
        change=change,  # type: ignore[arg-type]
        by="ana",
        reason="a fire at the airport",
        at=at,
    )


def test_a_person_opens_and_closes_one_of_a_brand_never_seen() -> None:
    to = run(policy(_WATCHED))
    to.tick(START)
    to.fact(_said("open", START))
    to.tick(START + HOUR)
    to.fact(_said("close", START + HOUR))
    [opened], [closed] = of(to, CrisisOpened), of(to, CrisisClosed)
    assert (opened.by, opened.surge_id, opened.reason) == ("ana", None, "declared: a fire at the airport")
    assert (closed.by, closed.aggregate, closed.seq) == ("ana", opened.aggregate, 2)


def test_a_persons_crisis_does_not_end_with_a_surge() -> None:
    to = _quiet()
    to.fact(_said("open", to.time))
    play(_flood(to, 60), [10] * 60)
    assert kinds(to) == ["CrisisOpened", "SurgeOpened", "SurgeClosed"]


def test_what_a_person_has_closed_the_rule_does_not_open_again_in_that_surge() -> None:
    to = _flood(_quiet(), 60)
    to.fact(_said("close", to.time))
    _flood(to, 60, bins=12)
    assert kinds(to) == ["SurgeOpened", "CrisisOpened", "CrisisClosed"]


def test_what_is_said_twice_or_was_said_before_changes_nothing() -> None:
    to = run(policy(_WATCHED))
    to.tick(START)
    for change, at in (("open", 5), ("open", 5), ("open", 6), ("close", 9), ("open", 7), ("close", 9), ("close", 10)):
        to.fact(_said(change, START + at))
    assert kinds(to) == ["CrisisOpened", "CrisisClosed"]


def test_what_was_declared_before_the_surge_and_closed_within_it_the_rule_does_not_open_again() -> None:
    to = _quiet()
    to.fact(_said("open", to.time))
    _flood(to, 60, bins=3)
    to.fact(_said("close", to.time))
    _flood(to, 60, bins=3)
    assert [event.by for event in of(to, CrisisOpened)] == ["ana"]


def test_a_crisis_of_the_rule_that_a_person_declares_too_is_this_persons_to_close() -> None:
    to = _flood(_quiet(), 60)
    to.fact(_said("open", to.time))
    play(to, [10] * 60)
    assert kinds(to) == ["SurgeOpened", "CrisisOpened", "SurgeClosed"]
    to.fact(_said("close", to.time))
    assert [(event.by, event.seq) for event in of(to, CrisisClosed)] == [("ana", 2)]


def test_a_declaration_that_led_to_nothing_leads_to_nothing_later_either() -> None:
    """An "open" while the rule's crisis runs, and a "close" while there is none: a copy of either, later, changes nothing."""
    to = _flood(_quiet(), 60)
    early = [_said(change, to.time + n) for n, change in enumerate(("open", "close", "close", "open"))]
    assert [type(e) for fact in early[:2] for e in to.fact(fact)] == [CrisisClosed]
    assert to.fact(early[2]) == []
    play(to, [10] * 60)
    assert [e for fact in early[:3] for e in to.fact(fact)] == []
    assert [type(e) for e in to.fact(_said("open", to.time))] == [CrisisOpened]
    assert [e for fact in early for e in to.fact(fact)] == []


def test_one_of_a_brand_that_cannot_be_becomes_a_dead_letter() -> None:
    to = _quiet()
    with pytest.raises(Unusable, match="brand: use letters"):
        to.fact(replace(_said("open", to.time), brand="andina|series"))
