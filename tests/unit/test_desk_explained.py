"""`desk explain` tells every event of a case's work in words, and what the case waits for."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from agents.desk.state import WorkItem
from netcenter.errors import UsageError
from netcenter.operate import desk_explained
from netcenter.operate.desk_explained import history_json, history_text, waits_for
from netcenter.operate.work_history import WorkHistory, history_of
from netcenter.pipeline import WORK
from schemas.records import (
    Assigned,
    Candidate,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Overflowed,
    Returned,
    ReturnReason,
    Suppression,
    WorkChanged,
    WorkEvent,
)
from tests.support.samples import CASE, MINUTE, T0, decided, uuid_of

NOW = T0 + 60 * MINUTE
_WORK: dict[str, Any] = {"desk": "care", "case_id": CASE, "brand": "andina"}
_OF: dict[str, Any] = {"channel": "twitter", "author_id": "u4711"}
_CASE: dict[str, Any] = {"label": "complaint", "priority": 1, "mode": "live", "due_at": T0 + 45 * MINUTE}
QUEUED = WorkChanged(**decided("work-1", 1), **_WORK, **_OF, **_CASE, change="queued", started_at=T0)


def offered(seq: int, operator: str, work: str = "work-1") -> Offered:
    return Offered(
        **decided(work, seq), **_WORK, **_OF, **_CASE, operator=operator, expires_at=T0 + 5 * MINUTE,
        candidates=[Candidate(operator=operator, load=1, capacity=3), Candidate(operator="leo", load=3, capacity=4)],
    )  # fmt: skip


def returned(seq: int, why: ReturnReason, work: str = "work-1") -> Returned:
    return Returned(**decided(work, seq), **_WORK, operator="ana", offer_id="o", return_reason=why, times=2)


def holding(seq: int, **changes: Any) -> HoldingReplyDue:
    given: dict[str, Any] = {
        "visibility": "public",
        "lang": "es",
        "template": "wait-es",
        "expires_at": T0 + 9 * MINUTE,
    } | changes
    return HoldingReplyDue(**decided("work-1", seq), **_WORK, **_OF, native_id="101", **given)


STORY: list[WorkEvent] = [
    offered(1, "ana"),
    returned(2, "declined"),
    holding(3, dry_run=False),
    Overflowed(**decided("work-1", 4), **_WORK, next_desk="night", work=QUEUED),
    Escalated(**decided("work-1", 5), **_WORK, mode="live", rung="lead", to="", used=90),
    HoldingReplyCancelled(**decided("work-1", 6), **_WORK, holding_id="h"),
    Assigned(**decided("work-1", 7), **_WORK, operator="eva", offer_id="o", waited_ms=12 * MINUTE),
    offered(1, "eva", "work-2"),
]


def item(**changes: Any) -> WorkItem:
    given: dict[str, Any] = {"work_id": uuid_of("work-2"), "lang": "es", "url": None, "queued_at": T0, "work_seq": 1}
    return WorkItem(**{**_WORK, **_OF, **_CASE, **given, **changes})


def told(*events: WorkEvent, waits: WorkItem | None = None) -> list[str]:
    return history_text(history_of(events, CASE[:6]), waits, NOW).splitlines()


def test_each_event_is_told_with_its_time_and_its_reason() -> None:
    lines = told(*STORY)
    for line in (
        f"case                  {CASE}",
        f"round 1               {uuid_of('work-1')}, at the desk care",
        "2026-11-20 14:03:00   offered to ana at care, until 2026-11-20 14:08:00; priority 1",
        "                        candidates: ana 1/3, leo 3/4",
        "                        because: rule: because",
    ):
        assert line in lines, lines
    text = "\n".join(lines)
    for words in (
        "ana declines: back in the queue of care, returned 2 times so far",
        "the holding reply wait-es in es is due, until 2026-11-20 14:12:00",
        "goes on from care to the desk night",
        "climbs to the rung lead: the policy names nobody is asked; 90 % of the target are used",
        "the holding reply is taken back: it must not be sent any more",
        "eva accepts, 12 min after it was queued",
        f"round 2               {uuid_of('work-2')}, at the desk care",
    ):
        assert words in text


def test_every_event_about_work_is_told_in_words_of_its_own() -> None:
    """A record that the pipeline gets for the desk comes with its words here."""
    assert {type(event) for event in STORY} | {Returned} == set(WORK)
    assert [
        event for event in STORY if type(event).__name__ in history_text(WorkHistory(CASE, [[event]]), None, NOW)
    ] == []


def test_every_reason_for_a_return_and_every_limit_has_its_words() -> None:
    assert set(get_args(ReturnReason)) == set(desk_explained._RETURNED)
    assert set(get_args(Suppression)) == set(desk_explained._LIMITS)
    for reason in get_args(ReturnReason):
        assert any("back in the queue" in line for line in told(returned(1, reason)))
    assert any("is not sent: this customer has had one" in line for line in told(holding(1, suppressed="customer")))
    assert any("would be sent: the brand is in shadow mode" in line for line in told(holding(1)))


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (None, "it waits at no desk: the customer was answered"),
        (item(), "it waits in the queue of care, since 2026-11-20 14:03:00, 1 h ago; overdue for 15 min"),
        (item(due_at=None), "no answer is promised"),
        (item(due_at=NOW + 5 * MINUTE), "due in 5 min"),
        (
            item(status="offered", operator="eva", offer_id="o1", expires_at=NOW + MINUTE),
            "it waits for eva to accept it, until 2026-11-20 15:04:00",
        ),
        (item(status="assigned", operator="eva"), "it waits for an answer of eva to the customer"),
    ],
)
def test_what_it_waits_for_now_is_said(now: WorkItem | None, words: str) -> None:
    assert words in " ".join(waits_for(now, NOW))


def test_the_events_of_a_round_are_in_their_order_wherever_they_stood() -> None:
    """A case that went on to another desk has its events in two partitions."""
    found = history_of(reversed(STORY), CASE)
    assert [[event.seq for event in events] for events in found.rounds] == [[1, 2, 3, 4, 5, 6, 7], [1]]


def test_a_case_that_is_not_there_or_not_alone_is_a_matter_of_usage() -> None:
    with pytest.raises(UsageError, match="no desk has done anything about a case 4dfe.*netcenter desk show"):
        history_of([], "4dfe")
    other = Assigned(**decided("w", 1), **{**_WORK, "case_id": "another"}, operator="eva", offer_id="o", waited_ms=1)
    with pytest.raises(UsageError, match=f"is the beginning of several: {CASE}, another"):
        history_of([*STORY, other], "")


def test_no_author_is_told_neither_to_people_nor_to_programs() -> None:
    found = history_of(STORY, CASE)
    assert "u4711" not in history_text(found, item(), NOW)
    said = json.dumps(history_json(found, item(), NOW))
    assert "u4711" not in said and "author_id" not in said
    assert json.loads(said)["rounds"][0][0]["type"] == "Offered"
