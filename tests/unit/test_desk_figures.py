"""The figures of desks in a replay, counted by hand: waiting, targets, and the load and occupancy of each operator."""

from __future__ import annotations

from typing import Any

import pytest

from netcenter.replay.desk_figures import DeskVerdicts, WaitingTimes
from schemas import ids
from schemas.records import (
    Assigned,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    OperatorChanged,
    Overflowed,
    Presence,
    Record,
    Returned,
    WorkChange,
    WorkChanged,
)
from tests.support.afternoon import HOUR, MINUTE, NOON


def work(name: str, change: WorkChange, minute: float, due: float | None = 60, **more: Any) -> WorkChanged:
    """A change of a round of work so many minutes past noon; due in as many."""
    fields: dict[str, Any] = {"priority": 1, "label": "complaint", **more}
    return WorkChanged(
        id=f"{name}.{change}", aggregate=name, seq=1, time=NOON + int(minute * MINUTE), cause="c", policy=1, reason="r",
        desk="care", case_id=name, brand="andina", channel="twitter", author_id=name, change=change, mode="live",
        started_at=NOON, due_at=None if due is None else NOON + int(due * MINUTE), **fields,
    )  # fmt: skip


def event(kind: type[Record], name: str, minute: float, **fields: Any) -> Any:
    """An event of the desk about a round of work."""
    return kind(
        id=ids.make("event", name, str(minute), kind.__name__), aggregate=name, seq=1, time=NOON + int(minute * MINUTE),
        cause="c", policy=1, reason="r", desk="care", case_id=name, brand="andina", **fields,
    )  # fmt: skip


def taken(name: str, minute: float, operator: str) -> Assigned:
    found: Assigned = event(Assigned, name, minute, operator=operator, offer_id="f", waited_ms=0)
    return found


def back(name: str, minute: float, operator: str, why: str) -> Returned:
    found: Returned = event(Returned, name, minute, operator=operator, offer_id="f", return_reason=why, times=1)
    return found


def presence(
    operator: str, change: Presence, minute: float, desk: str = "care", until: float | None = None
) -> OperatorChanged:
    end = None if until is None else NOON + int(until * MINUTE)
    return OperatorChanged(
        id=f"{operator}{change}{minute}",
        desk=desk,
        operator=operator,
        change=change,
        at=NOON + int(minute * MINUTE),
        until=end,
    )


def told(desk: list[Record], assignments: list[Record]) -> DeskVerdicts:
    """What was written, topic after topic in the order of time."""
    found = DeskVerdicts()
    both = [("desk", record) for record in desk] + [("assignments", record) for record in assignments]
    order: list[tuple[int, str, Record]] = [
        (record.at if isinstance(record, OperatorChanged) else getattr(record, "time", 0), topic, record)
        for topic, record in both
    ]
    for _, topic, record in sorted(order, key=lambda one: one[0]):
        found.tell(topic, [record])
    return found


def test_waiting_ends_with_the_first_acceptance_or_an_answer_and_never_with_a_withdrawal() -> None:
    """Accepted after 10 and 30 minutes, answered from outside after 20, withdrawn, and still waiting after 60."""
    names = ("a", "b", "c", "d", "e")
    found = told(
        [
            *(work(n, "queued", 0) for n in names),
            work("c", "answered", 20),
            work("d", "withdrawn", 5),
            work("a", "answered", 60),
        ],
        [taken("a", 10, "ana"), back("a", 12, "ana", "unanswered"), taken("a", 50, "ana"), taken("b", 30, "ana")],
    ).figures()
    assert (found.rounds, found.answered, found.open) == (5, 2, 2)
    assert found.in_queue == WaitingTimes(4, 25.0, 55.5, 60.0)
    assert found.until_answer == WaitingTimes(2, 40.0, 58.0, 60.0)
    assert found.returns == {"unanswered": 1}


def test_what_is_in_target_is_counted_where_something_can_be_said() -> None:
    """Answered in time, exactly at the due and late; overdue and open; not due yet, withdrawn, and without a target."""
    found = told(
        [
            *(work(n, "queued", 0) for n in "abcfg"),
            work("d", "queued", 0, due=30, priority=2),
            work("e", "queued", 0, due=600, priority=2),
            work("h", "queued", 0, due=None),
            work("i", "queued", 0, due=10, non_sla=True),
            work("a", "answered", 59),
            work("b", "answered", 60),
            work("c", "answered", 61),
            work("f", "withdrawn", 90),
        ],
        [],
    ).figures()
    assert found.in_target == pytest.approx(2 / 5)
    assert found.in_target_by_priority == {"1": pytest.approx(2 / 4), "2": 0.0}


def test_an_operator_is_occupied_while_they_have_a_case_and_signed_in_once_at_two_desks() -> None:
    """Here for 120 minutes, at two desks; a case from 10 to 40 and another from 30 to 70: half of the time."""
    found = told(
        [
            presence("ana", "signed_in", 0),
            presence("ana", "signed_in", 0, desk="express"),
            presence("ana", "renewed", 20, until=500),
            presence("ana", "signed_out", 60, desk="express"),
            presence("ana", "signed_out", 120),
            presence("bea", "signed_in", 0, until=20),
            presence("bea", "renewed", 10, until=30),
            presence("bea", "paused", 15),
            *(work(n, "queued", 0) for n in "ab"),
            work("a", "answered", 40),
            work("b", "withdrawn", 70),
            work("z", "queued", 180),
        ],
        [taken("a", 10, "ana"), taken("b", 30, "ana")],
    ).figures()
    ana, bea = found.operators["ana"], found.operators["bea"]
    assert (ana.accepted, ana.answered, ana.signed_in_h, ana.occupancy) == (2, 1, 2.0, 0.5)
    assert (bea.accepted, bea.signed_in_h, bea.occupancy) == (0, 0.5, 0.0)
    assert (found.occupancy, found.occupancy_spread) == (0.25, 0.5)


def test_escalations_overflows_and_holding_replies_are_counted_by_what_they_are() -> None:
    """A suppressed one is no dry run."""
    holding = {
        "channel": "twitter", "author_id": "a", "native_id": "1", "visibility": "public", "lang": "es", "template": "t",
        "expires_at": NOON + HOUR,
    }  # fmt: skip
    queued = work("a", "queued", 0)
    found = told(
        [queued],
        [
            event(Escalated, "a", 1, mode="live", rung="operator", to="", used=50),
            event(Escalated, "a", 2, mode="live", rung="lead", to="kim", used=90),
            event(Overflowed, "a", 3, next_desk="night", work=queued),
            event(HoldingReplyDue, "a", 4, dry_run=False, **holding),
            event(HoldingReplyDue, "a", 5, dry_run=True, **holding),
            event(HoldingReplyDue, "a", 6, dry_run=True, suppressed="account", **holding),
            event(HoldingReplyCancelled, "a", 7, holding_id="h"),
        ],
    ).figures()
    assert found.escalations == {"lead": 1, "operator": 1}
    assert found.overflows == 1
    assert found.holding_replies == {"cancelled": 1, "dry runs": 1, "due": 1, "suppressed": 1}
