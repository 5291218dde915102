"""The KPIs: each figure from a handful of cases, by hand and by SQL alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import ids
from schemas.records import (
    Action,
    CaseClosed,
    ClockChanged,
    NoReply,
    Record,
)
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_rows import CRISES, update
from tests.support.samples import (
    FACT,
    MINUTE,
    T0,
    alert,
    changed,
    classified,
    clock,
    closed,
    delivery,
    items,
    mention,
    opened,
    surge_story,
)

HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: A clock without a target.
MEASURED: dict[str, Any] = {"metric": "resolution", "due_at": None, "target_ms": None}


def started(case: str, at: int = T0, **changes: Any) -> list[Record]:
    """A case whose customer waits for the first answer, an hour at most."""
    of_case = {name: changes[name] for name in ("brand", "channel", "zone") if name in changes}
    of_clock = {name: value for name, value in changes.items() if name != "zone"}
    times = {"started_at": at, "due_at": at + HOUR, **of_clock}
    return [opened(1, case, **of_case), clock(2, "started", case, **times)]


def answered(case: str, after: int, at: int = T0, **changes: Any) -> list[Record]:
    """A case answered after so many ms; overdue in between where that is late."""
    begun = started(case, at, **changes)
    told = begun[-1]
    assert isinstance(told, ClockChanged)
    due = at + HOUR if told.due_at is None else told.due_at
    late = [replace(told, id=ids.event(case, 3), seq=3, change="breached", detected_at=due)]
    met = replace(told, id=ids.event(case, 4), seq=4, change="met", met_at=at + after)
    return [*begun, *(late if after > due - at else []), met]


def given_up(case: str, why: str, cause: str = FACT, **changes: Any) -> list[Record]:
    """A case that was closed before any answer: its clock is voided by what closed it."""
    begun = started(case, **changes)
    told, end = begun[-1], closed(5, why, case)
    assert isinstance(told, ClockChanged)
    assert isinstance(end, CaseClosed)
    void = replace(told, id=ids.event(case, 3), seq=3, change="voided", cause=cause)
    return [*begun, void, replace(end, cause=cause, brand=told.brand, channel=told.channel)]


def no_reply(n: int, why: NoReply = "spam") -> Action:
    """An operator marks the nth mention."""
    post = mention(n)
    return Action(
        id=ids.action(post.brand, post.channel, f"no_reply-{n}"),
        brand=post.brand,
        channel=post.channel,
        author_id=post.author_id,
        action_id=f"no_reply-{n}",
        action="no_reply",
        created_at=T0,
        native_id=post.native_id,
        no_reply=why,
    )


@pytest.fixture
def told(sink: PostgresSink, database: Database) -> Any:
    """Write more events of topic cases, then ask a view for its rows."""
    written = 0

    def ask(view: str, *stories: list[Record]) -> list[dict[str, Any]]:
        nonlocal written
        events = [event for story in stories for event in story]
        assert sink.write(items(events, "cases", first=written)) == []
        written += len(events)
        return database.rows(f"select * from {view} order by 1, 2, 3")

    return ask


def minutes(found: int) -> float:
    return found / MINUTE


def test_the_answer_rate_is_the_share_of_those_who_asked_that_got_an_answer(told: Any) -> None:
    """Three answered of five: in time, in private, late; one is overdue and one waits in time."""
    overdue = [*started("d"), clock(3, "breached", "d", detected_at=T0 + HOUR)]
    [row] = told(
        "response_rate",
        answered("a", 10 * MINUTE),
        answered("b", 20 * MINUTE, privately=True),
        answered("c", 70 * MINUTE),
        overdue,
        started("e"),
    )
    assert row.pop("response_rate") == pytest.approx(3 / 5)
    assert row == {
        "brand": "andina",
        "channel": "twitter",
        "asked": 5,
        "answered": 3,
        "answered_privately": 1,
        "non_sla_asked": 0,
        "non_sla_answered": 0,
    }


@pytest.mark.parametrize(
    ("why", "asked"),
    [
        ("resolved", 2),
        ("silence", 2),
        ("no_target", 2),
        ("no_reply", 1),
        ("deleted_unanswered", 1),
        ("muted", 1),
        ("forgotten", 1),
    ],
)
@pytest.mark.parametrize("voided", [True, False])
def test_who_was_given_up_without_an_answer_has_asked_unless_no_answer_was_owed(
    told: Any, why: str, asked: int, voided: bool
) -> None:
    """One answered beside one that was closed; whether its clock was voided first or not is the same."""
    story = given_up("b", why)
    [row] = told("response_rate", answered("a", 10 * MINUTE), story if voided else [*story[:2], story[3]])
    assert (row["asked"], row["answered"]) == (asked, 1)


def test_a_message_that_needs_no_answer_does_not_count_though_its_case_is_resolved_later(told: Any) -> None:
    """Its clock was voided by something else than the closing."""
    story = given_up("a", "resolved")
    dismissed = replace(story[2], cause=ids.make("action", "the message was spam"))
    assert told("response_rate", [*story[:2], dismissed, story[3]]) == []


def test_a_case_that_is_reopened_keeps_what_was_asked_before(told: Any) -> None:
    """Given up by an operator, then the customer came back: the first time has not been answered."""
    back = changed(6, "post_added", "a")
    [row] = told("response_rate", given_up("a", "resolved"), [back])
    assert (row["asked"], row["answered"]) == (1, 0)


def test_an_answer_that_was_read_after_the_closing_counts(told: Any) -> None:
    """The clock was void, and is met."""
    late = clock(6, "met", "a", met_at=T0 + MINUTE)
    [row] = told("response_rate", given_up("a", "resolved"), [late])
    assert (row["asked"], row["answered"]) == (1, 1)


@pytest.mark.parametrize(("why", "asked"), [("forgotten", 1), ("muted", 1), ("silence", 1), ("no_reply", 0)])
def test_an_answer_that_was_given_counts_whatever_closes_the_case_but_spam(told: Any, why: str, asked: int) -> None:
    """A customer who is forgotten takes no answer from the count."""
    rows = told("response_rate", answered("a", 10 * MINUTE), [closed(5, why, "a")])
    assert [row["answered"] for row in rows] == [1] * asked


def test_non_sla_targets_stand_apart(told: Any) -> None:
    """Praise answered after 4 h, and praise that waits: neither touches the figures of those who asked."""
    story = [answered("a", 10 * MINUTE), answered("b", 4 * HOUR, non_sla=True), started("c", non_sla=True)]
    [rate] = told("response_rate", *story)
    assert (rate["asked"], rate["answered"], rate["response_rate"]) == (1, 1, 1.0)
    assert (rate["non_sla_asked"], rate["non_sla_answered"]) == (2, 1)
    [response] = told("first_response_time")
    assert (minutes(response["median_ms"]), response["sla_attainment"]) == (10, 1.0)
    assert (response["non_sla_answered"], minutes(response["non_sla_median_ms"])) == (1, 240)


def test_the_first_response_has_a_median_and_a_ninetieth_percentile(told: Any) -> None:
    """Of 10, 20 and 70 minutes: 20, and a fifth of the way from 70 back to 20."""
    [row] = told(
        "first_response_time",
        answered("a", 10 * MINUTE),
        answered("b", 20 * MINUTE, privately=True),
        answered("c", 70 * MINUTE),
        started("d"),
    )
    assert minutes(row["median_ms"]) == 20
    assert minutes(row["p90_ms"]) == pytest.approx(60)
    assert (row["answered"], row["answered_privately"], minutes(row["median_privately_ms"])) == (3, 1, 20)


def test_the_sla_attainment_is_of_what_was_answered_or_is_overdue(told: Any) -> None:
    """Two in time of four: one came late, one is overdue; one waits, one has no target, one was given up in time."""
    untimed: dict[str, Any] = {"due_at": None, "target_ms": None}
    [row] = told(
        "first_response_time",
        answered("a", 10 * MINUTE),
        answered("b", HOUR),
        answered("c", HOUR + 1),
        [*started("d"), clock(3, "breached", "d", detected_at=T0 + HOUR)],
        started("e"),
        answered("f", 10 * MINUTE, **untimed),
        given_up("g", "resolved"),
    )
    assert row["sla_attainment"] == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    ("column", "limit"), [("within_30_min", 30 * MINUTE), ("within_60_min", HOUR), ("within_2_h", 2 * HOUR)]
)
def test_the_share_within_a_time_is_of_all_who_asked(told: Any, column: str, limit: int) -> None:
    """Exactly then is within, a millisecond more is not, and neither is who waits or was given up."""
    [row] = told(
        "first_response_time",
        answered("a", limit),
        answered("b", limit + 1),
        started("c"),
        given_up("d", "resolved"),
        given_up("e", "no_reply"),
    )
    assert row[column] == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("zone", "same_day"),
    [("UTC", 0), ("America/Bogota", 1), ("Asia/Kolkata", 1), ("Atlantis/Capital", 0), (None, 0)],
)
def test_the_same_day_is_that_of_the_brands_zone(told: Any, zone: str | None, same_day: int) -> None:
    """Posted 23:50 UTC, answered 20 minutes later: one evening in Bogota, one morning in Kolkata. A zone nobody knows: UTC."""
    posted = int(datetime(2026, 11, 20, 23, 50, tzinfo=UTC).timestamp() * 1000)
    story = answered("a", 20 * MINUTE, posted, **({"zone": zone} if zone else {}))
    [row] = told("first_response_time", story if zone else story[1:])
    assert row["same_day"] == same_day


def test_midnight_in_the_brands_zone_parts_two_days(told: Any) -> None:
    """04:59 UTC is 23:59 in Bogota; answered two minutes later and within the next day."""
    posted = int(datetime(2026, 11, 21, 4, 59, tzinfo=UTC).timestamp() * 1000)
    [row] = told(
        "first_response_time",
        answered("a", 2 * MINUTE, posted, zone="America/Bogota"),
        answered("b", 2 * MINUTE, posted, zone="UTC"),
    )
    assert row["same_day"] == pytest.approx(1 / 2)


def test_each_brand_and_channel_has_its_own_figures(told: Any) -> None:
    """Two brands, one of them on two networks."""
    story = [
        answered("a", 10 * MINUTE),
        started("b"),
        answered("c", 20 * MINUTE, channel="facebook"),
        answered("d", 30 * MINUTE, brand="norte"),
    ]
    rows = {(r["brand"], r["channel"]): (r["asked"], r["answered"]) for r in told("response_rate", *story)}
    assert rows == {("andina", "twitter"): (2, 1), ("andina", "facebook"): (1, 1), ("norte", "twitter"): (1, 1)}
    medians = {(r["brand"], r["channel"]): minutes(r["median_ms"]) for r in told("first_response_time")}
    assert medians == {("andina", "twitter"): 10, ("andina", "facebook"): 20, ("norte", "twitter"): 30}


def test_the_hour_is_that_in_which_the_customer_wrote(told: Any, database: Database) -> None:
    """14:03 and 14:50 together, 15:10 apart, wherever whoever asks may sit; the answer's hour does not matter."""
    story = [
        answered("a", 10 * MINUTE),
        answered("b", 30 * MINUTE, T0 + 47 * MINUTE),
        started("c", T0 + 67 * MINUTE),
        given_up("d", "no_reply", started_at=T0 + 67 * MINUTE),
    ]
    rates = told("response_rate_hourly", *story)
    hour = datetime(2026, 11, 20, 14, tzinfo=UTC)
    assert [(r["hour"], r["asked"], r["answered"]) for r in rates] == [(hour, 2, 2), (hour + timedelta(hours=1), 1, 0)]
    first, second = told("first_response_time_hourly")
    assert (first["hour"], minutes(first["median_ms"]), first["within_30_min"]) == (hour, 20, 1.0)
    assert (second["hour"], second["median_ms"], second["within_30_min"]) == (hour + timedelta(hours=1), None, 0.0)
    database.rows("set time zone 'Asia/Kolkata'")
    assert {r["hour"] for r in database.rows("select hour from response_rate_hourly")} == {r["hour"] for r in rates}
    database.rows("set time zone 'UTC'")


def test_the_hourly_views_have_the_columns_of_the_others_and_the_hour(database: Database) -> None:
    """In their order."""
    columns: dict[str, list[str]] = {}
    for row in database.rows(
        "select table_name, column_name from information_schema.columns order by ordinal_position"
    ):
        columns.setdefault(row["table_name"], []).append(row["column_name"])
    for view in ("response_rate", "first_response_time", "resolution_time"):
        assert columns[f"{view}_hourly"] == [*columns[view][:2], "hour", *columns[view][2:]]


def resolved(case: str, after: int, paused: int = 0, why: str = "resolved", **changes: Any) -> list[Record]:
    """A case resolved after so many ms, of which it waited `paused` ms for the customer."""
    met = clock(2, "met", case, **{**MEASURED, **changes, "met_at": T0 + after, "paused_ms": paused})
    return [opened(1, case), met, closed(3, why, case)]


def test_the_resolution_time_leaves_the_pauses_out(told: Any) -> None:
    """2 h less half an hour, 3 h, 10 h less 1 h: median 3 h, ninetieth percentile 7 h 48 min. Spam does not count."""
    [row] = told(
        "resolution_time",
        resolved("a", 2 * HOUR, 30 * MINUTE),
        resolved("b", 3 * HOUR),
        resolved("c", 10 * HOUR, HOUR),
        resolved("d", 99 * HOUR, why="no_reply"),
        [clock(1, "started", "e", **MEASURED)],
        resolved("f", 99 * HOUR, non_sla=True),
    )
    assert minutes(row.pop("median_ms")) == 180
    assert minutes(row.pop("p90_ms")) == pytest.approx(180 + 0.8 * 360)
    assert row == {"brand": "andina", "channel": "twitter", "resolved": 3, "resolved_by_silence": 0}
    [hourly] = told("resolution_time_hourly")
    assert (hourly["hour"], hourly["resolved"]) == (datetime(2026, 11, 20, 14, tzinfo=UTC), 3)


def test_what_silence_resolved_is_counted_apart(told: Any) -> None:
    """It says nothing of how long the work took."""
    [row] = told("resolution_time", resolved("a", HOUR), resolved("b", 72 * HOUR, why="silence"))
    assert (row["resolved"], row["resolved_by_silence"], minutes(row["median_ms"])) == (1, 1, 60)


def test_a_case_that_was_reopened_is_resolved_once(told: Any) -> None:
    """Resolved after 1 h, reopened, resolved again after 5 h of which 3 h lay between."""
    story = [
        opened(1, "a"),
        clock(2, "met", "a", **MEASURED, met_at=T0 + HOUR),
        clock(3, "resumed", "a", **MEASURED, paused_ms=3 * HOUR),
    ]
    assert told("resolution_time", story) == []
    [row] = told("resolution_time", [clock(4, "met", "a", **MEASURED, met_at=T0 + 5 * HOUR, paused_ms=3 * HOUR)])
    assert (row["resolved"], minutes(row["median_ms"])) == (1, 120)


def test_the_reputation_balance_weighs_a_complaint_twelve_times(sink: PostgresSink, database: Database) -> None:
    """30 praise less 12 for each of 2 complaints; the brand's own post, spam and a deleted one are left out."""
    praise = [classified(n, "praise") for n in range(30)]
    complaints = [classified(n, "complaint", own=n == 42) for n in range(40, 45)]
    more = [classified(50, "question"), no_reply(43), update(T0, 44, deleted=True)]
    sink.write(items([*praise, *complaints, *more]))
    balance = {"brand": "andina", "praise": 30, "complaints": 2, "balance": 6}
    assert database.row("select * from reputation_balance") == balance


def test_a_surge_is_told_with_its_length_and_whether_it_was_a_crisis(sink: PostgresSink, database: Database) -> None:
    """An hour and a half, at most 6.5 times the usual."""
    sink.write(items([*surge_story(), *CRISES], "surges"))
    surge = database.row("select * from surge_history")
    assert (surge["state"], surge["peak"], surge["crisis"]) == ("closed", 6.5, True)
    assert minutes(surge["lasted_ms"]) == 90


def test_an_alert_is_told_with_where_it_went_and_what_was_answered(sink: PostgresSink, database: Database) -> None:
    """A row for each receiver: the one that has it, the one that waits, the one whose worker does not run; and one for nobody."""
    three = ["pager", "slack", "webhook"]
    versions = [alert(1, receivers=three), alert(2, receivers=three), alert(3, receivers=three)]
    shadow = alert(1, "surge:norte:1", mode="shadow", receivers=three)
    sink.write(items([*versions, shadow], "alerts"))
    sink.write(
        items(
            [
                delivery(
                    versions[0], "waiting", T0 + 1_000, answer="it is being sent; it may have arrived", attempts=0
                ),
                delivery(versions[0], "accepted", T0 + 2_000),
                delivery(versions[1], "passed_over", T0 + 3_000, answer="version 3 went in its place", attempts=0),
                delivery(versions[2], "accepted", T0 + 4_000, attempts=4),
                delivery(versions[0], "waiting", T0 + 2_000, "slack", answer="answers 401", attempts=7),
            ],
            "deliveries",
        )
    )
    rows = database.rows("select * from alert_history order by fingerprint, receiver")
    assert [(row["fingerprint"], row["receiver"]) for row in rows] == [
        *(("surge:andina:1", receiver) for receiver in three),
        ("surge:norte:1", None),
    ]
    columns = ("told_at", "told_over_at", "attempts", "last_version", "last_outcome", "last_answer")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        (_time(T0 + 2_000), _time(T0 + 4_000), 5, 3, "accepted", "202 Accepted"),
        (None, None, 7, 1, "waiting", "answers 401"),
        (None, None, 0, None, None, None),
        (None, None, 0, None, None, None),
    ]
    assert {(row["state"], minutes(row["lasted_ms"])) for row in rows[:3]} == {("resolved", 90)}
    assert (rows[3]["mode"], rows[3]["ends_at"]) == ("shadow", None)


def test_an_alert_that_fires_again_is_another_row(sink: PostgresSink, database: Database) -> None:
    """Its versions may begin at 1 again."""
    later = alert(1, starts_at=T0 + 90 * DAY)
    sink.write(items([alert(1), alert(3), later], "alerts"))
    sink.write(items([delivery(alert(1), "accepted", T0), delivery(later, "refused", T0 + 90 * DAY)], "deliveries"))
    rows = database.rows("select state, last_outcome from alert_history order by starts_at")
    assert [tuple(row.values()) for row in rows] == [("resolved", "accepted"), ("firing", "refused")]


def _time(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def test_every_view_says_what_it_shows(database: Database) -> None:
    """A comment each, for whoever looks at them in PostgreSQL."""
    rows = database.rows(
        "select relname, obj_description(oid, 'pg_class') as told from pg_class"
        " where relkind = 'v' and relnamespace = 'public'::regnamespace"
    )
    assert len(rows) == 18
    assert [row["relname"] for row in rows if not row["told"]] == []
