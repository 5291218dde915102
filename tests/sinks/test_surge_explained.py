"""`surge explain` tells from PostgreSQL what a surge was, and says clearly which one it cannot find."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netcenter.errors import Unreachable, UsageError
from netcenter.operate.surge_report import find_surge, report_text
from schemas import ids
from schemas.records import Forecast, OffsetRange, Record, SeriesEvidence, SurgeClosed, SurgeOpened
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_rows import CRISES
from tests.support.samples import SURGE, items, opened, surge_story


def _story() -> list[Record]:
    """The sample, and what else an evidence may hold."""
    told = []
    for event in surge_story():
        if isinstance(event, SurgeOpened):
            seen = replace(
                event.evidence,
                detector="conversation", scope="conversation", name="c1", root="c1", root_share=0.62, significance=4.0,
                sparkline=[1, 2, 4, 32], labels={"other": 10, "complaint": 30}, labels_before={"other": 10},
                channels={"twitter": 40}, authors=38, reach=9_000, top_posts=["c1", "c2"], expected_event="raffle",
                partial=True, offsets=[OffsetRange(partition=3, first=10, last=99)],
                forecast=Forecast(ahead_ms=7_200_000, expected=120.0, low=20.0, high=300.0),
                others=[SeriesEvidence(detector="burst", scope="channel", name="twitter", actual=50, baseline=4.0)],
            )  # fmt: skip
            event = replace(event, evidence=seen)
        told.append(event)
    return told[:1]


def test_it_is_told_as_a_person_reads_it(sink: PostgresSink, database: Database) -> None:
    sink.write(items([*_story(), *CRISES], "surges"))
    sink.write(items([replace(opened(1, "k1"), conversation="c1")], "cases"))
    told = report_text(find_surge(database.uri, SURGE[:9]))
    for line in (
        f"surge         {SURGE} of andina, live",
        "about         the post c1 and who passes it on, 62% of the posts",
        "              4.0 times the usual; 3.0 opens (conversation); as rare as one in 10,000",
        "              partial: a writer was missing or a channel silent, so there were at least so many",
        "24 h          ▁▁▂█  at most 32 posts in half an hour",
        "labels        complaint 30 (75%), other 10 (25%)",
        "people        38 authors, reach 9,000",
        "also          burst channel twitter: 50 where 4.0 are usual",
        "expected      raffle: named in the policy",
        "next 2 h      120 more contacts than usual, likely 20 to 300",
        "cases         1 in its conversation, 1 of them open",
        "replay        netcenter replay --log mentions --offsets 3:10-99 --out replayed",
    ):
        assert line in told.splitlines(), told
    assert ", by rule" in told


def test_a_window_that_is_not_rare_any_more_is_not_called_rare(sink: PostgresSink, database: Database) -> None:
    """The last one of a surge, in which fewer come than it takes to open one."""
    sink.write(items(_story(), "surges"))
    row = find_surge(database.uri, SURGE)
    for significance in (-0.4, 0.0, None):
        told = report_text({**row, "evidence": {**row["evidence"], "significance": significance}})
        assert "3.0 opens (conversation)\n" in told and "rare" not in told


def test_one_that_is_over_says_how_long_and_how_much(sink: PostgresSink, database: Database) -> None:
    sink.write(items(surge_story(), "surges"))
    told = report_text(find_surge(database.uri, SURGE))
    assert "90 min; it is over; at most 6.5 times, 321 posts above the usual" in told


def test_one_that_was_closed_as_the_new_normal_claims_no_posts(sink: PostgresSink, database: Database) -> None:
    """It is closed so after a day, even where there was no post for most of it."""
    story = [replace(e, close_reason="new_normal") if isinstance(e, SurgeClosed) else e for e in surge_story()]
    sink.write(items(story, "surges"))
    told = report_text(find_surge(database.uri, SURGE))
    assert "90 min; it has lasted so long that it counts as the usual; at most" in told


def test_one_that_is_not_there_or_not_alone_is_a_matter_of_usage(sink: PostgresSink, database: Database) -> None:
    other = ids.make("surge", "b", 1)
    story = [replace(event, aggregate=other, id=ids.event(other, event.seq)) for event in surge_story()]  # type: ignore[attr-defined]
    sink.write(items([*surge_story(), *story], "surges"))
    for asked, why in (
        ("zzz", "there is no surge zzz"),
        ("", "is the beginning of several"),
        ("%", "there is no surge %"),
    ):
        with pytest.raises(UsageError, match=why):
            find_surge(database.uri, asked)
    with pytest.raises(Unreachable, match="PostgreSQL cannot be reached"):
        find_surge("postgresql://nobody@127.0.0.1:1/none", SURGE)
