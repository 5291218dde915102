"""The views of the desk: each figure from a handful of rounds of work, by hand and by SQL alike."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from netcenter.tools import postgres_columns
from schemas import ids
from schemas.records import (
    Assigned,
    CaseClosed,
    Decided,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    Offered,
    Overflowed,
    Record,
    Reply,
    Returned,
    ReturnReason,
    Rung,
    Suppression,
)
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_rows import QUEUED
from tests.support.samples import MINUTE, T0, changed, closed, decided, items, opened, uuid_of

HOUR = 60 * MINUTE
#: Midnight, UTC, of the day of the tests: 2026-11-20.
DAY = T0 // (24 * HOUR) * 24 * HOUR


class Story:
    """What cases and desks say: each case is opened at first, each round of work has its own history."""

    def __init__(self, sink: PostgresSink, database: Database) -> None:
        self.sink, self.database = sink, database
        self.seqs: dict[str, int] = {}
        self.desk: list[Record] = []
        self.cases: list[Record] = []
        self.offers: dict[str, str] = {}

    def _next(self, history: str) -> int:
        self.seqs[history] = self.seqs.get(history, 0) + 1
        return self.seqs[history]

    def case(self, name: str, at: int, event: Any = None, **changes: Any) -> None:
        """An event of a case at a time (ms); the first is its opening."""
        seq = self._next(f"case {name}")
        made = event(seq, name) if event is not None else opened(seq, name)
        self.cases.append(replace(made, time=at, **changes))

    def answered(self, name: str, at: int, operator: str | None = None, waiting: bool = True) -> None:
        """A human reply answers the case, or only a part of its posts."""
        self.case(name, at, lambda seq, case: changed(seq, "answered", case), operator=operator, waiting=waiting)

    def say(self, type_: type[Decided], name: str, at: int, round_: str = "", desk: str = "care", **fields: Any) -> str:
        """An event of the desk about a case at a time (ms); returns its id."""
        round_ = round_ or f"work {name}"
        given = {
            **decided(round_, self._next(round_)),
            "time": at,
            "case_id": uuid_of(name),
            "desk": desk,
            "brand": "andina",
        }
        event = type_(**given, **fields)
        self.desk.append(event)
        return event.id

    def offered(self, name: str, at: int, operator: str, priority: int = 2, weight: int = 1, **more: Any) -> None:
        fields: dict[str, Any] = {
            "channel": "twitter", "author_id": "u1", "expires_at": at + 5 * MINUTE, "due_at": at + HOUR,
            "label": "complaint", "mode": "live",
        }  # fmt: skip
        self.offers[name] = self.say(
            Offered, name, at, operator=operator, priority=priority, weight=weight, **fields, **more
        )

    def assigned(self, name: str, at: int, operator: str, waited: int = 0, **more: Any) -> None:
        self.say(Assigned, name, at, operator=operator, offer_id=self.offers[name], waited_ms=waited, **more)

    def returned(self, name: str, at: int, operator: str, why: ReturnReason, **more: Any) -> None:
        fields: dict[str, Any] = {"operator": operator, "offer_id": self.offers[name], "times": 1}
        self.say(Returned, name, at, return_reason=why, **fields, **more)

    def escalated(self, name: str, at: int, rung: Rung, to: str = "") -> None:
        self.say(Escalated, name, at, mode="live", rung=rung, to=to, used=75)

    def held(self, name: str, at: int, operator: str, weight: int = 1) -> None:
        """A case that an operator accepts at once."""
        self.case(name, at)
        self.offered(name, at, operator, weight=weight)
        self.assigned(name, at, operator)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Writes what was said, and asks."""
        for topic, records in (("cases", self.cases), ("assignments", self.desk)):
            assert self.sink.write(items(records, topic)) == []
        return self.database.rows(query)


@pytest.fixture
def told(sink: PostgresSink, database: Database) -> Story:
    return Story(sink, database)


def minute(time: datetime | None) -> float | None:
    """Minutes since T0."""
    return None if time is None else (time.timestamp() * 1000 - T0) / MINUTE


def test_a_round_of_work_tells_how_long_it_queued_who_had_it_and_who_answered(told: Story) -> None:
    told.case("a", T0)
    told.offered("a", T0, "ana")
    told.returned("a", T0 + MINUTE, "ana", "declined")
    told.offered("a", T0 + MINUTE, "bob")
    told.returned("a", T0 + 6 * MINUTE, "bob", "timed_out")
    told.escalated("a", T0 + 6 * MINUTE, "operator")
    told.offered("a", T0 + 6 * MINUTE, "cleo", priority=1)
    told.assigned("a", T0 + 8 * MINUTE, "cleo", waited=9 * MINUTE)
    told.answered("a", T0 + 20 * MINUTE, "dan")
    [row] = told.ask("select * from assignment_history")
    times = {name: minute(row.pop(name)) for name in ("queued_at", "accepted_at", "answered_at", "ended_at")}
    assert times == {"queued_at": -1, "accepted_at": 8, "answered_at": 20, "ended_at": 20}
    expected = {
        "state": "answered", "operator": "cleo", "answered_by": "dan", "offers": 3, "offered_to": "ana, bob, cleo",
        "returns": 2, "declined": 1, "timed_out": 1, "waited_ms": 9 * MINUTE, "priority": 1, "escalations": 1,
        "overflows": 0, "desk": "care",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["offer_id"] == told.offers["a"]


def test_the_state_of_a_round_is_that_of_its_newest_event_and_of_its_case(told: Story) -> None:
    for name in "bcdefgh":
        told.case(name, T0)
        told.offered(name, T0, "ana")
    for name in "cdfgh":
        told.assigned(name, T0 + MINUTE, "ana")
    told.returned("d", T0 + 2 * MINUTE, "ana", "lapsed")
    told.say(Overflowed, "e", T0 + MINUTE, next_desk="night", work=QUEUED)
    told.answered("f", T0 + 2 * MINUTE, waiting=False)
    told.case("g", T0 + 2 * MINUTE, lambda seq, case: closed(seq, "deleted_unanswered", case))
    told.case("h", T0 + 2 * MINUTE, lambda seq, case: changed(seq, "transferred", case))
    told.offered("h", T0 + 2 * MINUTE, "bob", round_="second work of h", desk="night")
    rows = told.ask("select case_id, desk, state, operator from assignment_history order by first_event_at")
    found = {name: [tuple(r.values())[1:] for r in rows if r["case_id"] == uuid_of(name)] for name in "bcdefgh"}
    assert found == {
        "b": [("care", "offered", "ana")],
        "c": [("care", "assigned", "ana")],
        "d": [("care", "queued", None)],
        "e": [("night", "queued", None)],
        "f": [("care", "assigned", "ana")],
        "g": [("care", "deleted_unanswered", "ana")],
        "h": [("care", "transferred", "ana"), ("night", "offered", "bob")],
    }


def test_the_load_of_an_operator_is_what_they_have_and_are_offered_by_desk(told: Story) -> None:
    for name, weight in (("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 1)):
        told.held(name, T0, "ana", weight)
    told.answered("c", T0 + MINUTE)
    told.case("d", T0 + MINUTE, lambda seq, case: changed(seq, "waiting", case), waiting=True)
    told.returned("e", T0 + MINUTE, "ana", "unanswered")
    told.case("f", T0)
    told.offered("f", T0 + MINUTE, "ana", desk="night")
    rows = told.ask("select * from operator_load order by desk")
    names = ("desk", "held", "offered", "waiting", "units", "waiting_units")
    assert [tuple(row[name] for name in names) for row in rows] == [("care", 3, 0, 1, 3, 1), ("night", 0, 1, 0, 1, 0)]
    assert [minute(row["oldest_at"]) for row in rows] == [0, 1]


def test_a_case_that_is_answered_or_closed_is_nobodys_load(told: Story) -> None:
    told.held("a", T0, "ana")
    told.answered("a", T0)
    told.held("b", T0, "ana")
    told.case("b", T0 + MINUTE, lambda seq, case: closed(seq, "muted", case))
    assert told.ask("select * from operator_load") == []


def test_the_occupancy_is_the_share_of_the_day_with_at_least_one_case(told: Story) -> None:
    """Two cases at once count once: busy from 0:00 to 0:30 and from 0:45 to 1:00, seen until then."""
    told.held("a", DAY, "ana")
    told.held("b", DAY + 10 * MINUTE, "ana")
    told.answered("a", DAY + 20 * MINUTE)
    told.returned("b", DAY + 30 * MINUTE, "ana", "unanswered")
    told.held("c", DAY + 45 * MINUTE, "ana")
    told.case("c", DAY + HOUR, lambda seq, case: closed(seq, "resolved", case))
    [row] = told.ask("select * from operator_occupancy")
    assert (row["operator"], row["seen_ms"], row["busy_ms"]) == ("ana", HOUR, 45 * MINUTE)
    assert row["occupancy"] == pytest.approx(0.75)
    assert row["day"].timestamp() * 1000 == DAY


def test_a_case_over_midnight_counts_on_both_days_and_one_that_is_still_held_until_the_newest_event(
    told: Story,
) -> None:
    told.held("a", DAY - HOUR, "ana")
    told.answered("a", DAY + HOUR)
    told.held("b", DAY + 2 * HOUR, "bob")
    told.case("c", DAY)
    told.offered("c", DAY + 3 * HOUR, "cleo")
    rows = told.ask("select operator, busy_ms, seen_ms, occupancy from operator_occupancy order by operator, day")
    assert [(row["operator"], row["busy_ms"], row["seen_ms"]) for row in rows] == [
        ("ana", HOUR, HOUR), ("ana", HOUR, HOUR), ("bob", HOUR, HOUR), ("cleo", 0, 0),
    ]  # fmt: skip
    assert [row["occupancy"] for row in rows] == [1, 1, 1, None]


def test_the_time_in_the_queue_ends_with_the_first_acceptance(told: Story) -> None:
    for n in range(1, 21):
        told.case(f"k{n}", T0)
        told.offered(f"k{n}", T0, "ana", priority=1)
        told.assigned(f"k{n}", T0 + n * MINUTE, "ana", waited=n * MINUTE)
    told.returned("k1", T0 + 25 * MINUTE, "ana", "unanswered")
    told.offered("k1", T0 + 25 * MINUTE, "bob")
    told.assigned("k1", T0 + 50 * MINUTE, "bob", waited=50 * MINUTE)
    told.case("u", T0)
    told.offered("u", T0, "ana", priority=3)
    told.assigned("u", T0 + 2 * MINUTE, "ana", waited=2 * MINUTE)
    first, second = told.ask("select * from time_in_queue order by priority")
    assert (first["desk"], first["priority"], first["accepted"], first["longest_ms"]) == ("care", 1, 20, 20 * MINUTE)
    assert (first["median_ms"], first["p90_ms"], first["p95_ms"]) == (10.5 * MINUTE, 18.1 * MINUTE, 19.05 * MINUTE)
    assert (second["priority"], second["median_ms"]) == (3, 2 * MINUTE)
    assert first["hour"].timestamp() * 1000 == T0 // HOUR * HOUR


def holding(told: Story, name: str, at: int, suppressed: Suppression | None = None, dry_run: bool = False) -> str:
    fields: dict[str, Any] = {
        "channel": "twitter", "author_id": name, "native_id": "101", "visibility": "public", "lang": "es",
        "template": "wait-es", "expires_at": at + 10 * MINUTE,
    }  # fmt: skip
    told.case(name, at, author_id=name)
    return told.say(
        HoldingReplyDue, name, at, suppressed=suppressed, dry_run=dry_run or suppressed is not None, **fields
    )


def test_holding_replies_are_counted_by_what_became_of_them(told: Story) -> None:
    for name in ("sent", "late", "unsent", "cancelled", "anyway"):
        due = holding(told, name, T0)
        if name in ("cancelled", "anyway"):
            told.say(HoldingReplyCancelled, name, T0 + MINUTE, holding_id=due)
    for limit in ("customer", "account", "account", "conversation"):
        holding(told, f"{limit} {len(told.desk)}", T0, limit)
    holding(told, "shadow", T0, dry_run=True)
    replies = [
        Reply(
            id=ids.reply("andina", "twitter", who), brand="andina", channel="twitter", author_id=who, native_id=who,
            created_at=T0 + after * MINUTE, kind=kind,  # type: ignore[arg-type]
        )
        for who, after, kind in (
            ("sent", 1, "holding"), ("late", 11, "holding"), ("anyway", 2, "holding"), ("unsent", 1, "human"),
            ("shadow", 1, "holding"),
        )
    ]  # fmt: skip
    assert told.sink.write(items(replies)) == []
    [row] = told.ask("select * from holding_replies")
    assert {name: row[name] for name in row if name not in ("brand", "desk", "channel", "hour")} == {
        "due": 10, "dry_runs": 5, "suppressed_by_customer": 1, "suppressed_by_account": 2, "suppressed_by_conversation": 1,
        "cancelled": 2, "sent": 2, "sent_late": 1, "sent_after_cancel": 1,
    }  # fmt: skip


def test_an_escalation_is_over_when_somebody_accepts_the_case_or_it_is_answered(told: Story) -> None:
    for name in "abc":
        told.case(name, T0)
        told.offered(name, T0, "ana")
        told.escalated(name, T0 + MINUTE, "responsible", "lea")
    told.assigned("a", T0 + 4 * MINUTE, "lea")
    told.answered("a", T0 + 9 * MINUTE)
    told.answered("b", T0 + 9 * MINUTE)
    told.escalated("c", T0 + 2 * MINUTE, "lead")
    rows = told.ask("select * from escalations order by escalated_at, case_id")
    found = {uuid_of(name): [r for r in rows if r["case_id"] == uuid_of(name)] for name in "abc"}
    ((a,), (b,), (c, lead)) = (found[uuid_of(name)] for name in "abc")
    assert (a["rung"], a["asked"], a["used"], a["accepted_by"], a["lasted_ms"]) == (
        "responsible", "lea", 75, "lea", 3 * MINUTE,
    )  # fmt: skip
    assert (b["accepted_by"], minute(b["over_at"])) == (None, 9)
    assert (c["over_at"], lead["rung"], lead["asked"]) == (None, "lead", None)


def test_every_query_of_the_page_runs(told: Story) -> None:
    text = postgres_columns.PAGE.read_text().partition("<!-- made: columns -->")[0]
    queries = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    told.held("a", T0, "ana")
    told.ask("select 1")
    views = (
        "assignment_history",
        "operator_load",
        "operator_occupancy",
        "time_in_queue",
        "holding_replies",
        "escalations",
    )
    assert all(any(view in query for query in queries) for view in views)
    for query in queries:
        told.database.rows(query)


def test_a_customer_who_was_forgotten_ends_a_round_like_any_other(told: Story) -> None:
    """Nothing of their events is left but what happened and when."""
    told.held("a", T0, "ana")
    told.case("a", T0 + MINUTE, lambda seq, case: closed(seq, "forgotten", case), author_id="")
    [row] = told.ask("select state, operator from assignment_history")
    assert (row["state"], row["operator"]) == ("forgotten", "ana")
    assert isinstance(told.cases[-1], CaseClosed)
