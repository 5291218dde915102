"""What the demo's page shows is what PostgreSQL holds: posts, answers and overdue clocks by time, surges, alerts, a case to look at."""

from __future__ import annotations

import itertools

from netcenter.demo.played_timeline import AlertSpan, read_timeline
from schemas import ids
from schemas.records import Reply
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_kpis import HOUR, answered, given_up, started
from tests.sinks.test_rows import CRISES
from tests.support.samples import MINUTE, SURGE, T0, alert, classified, clock, items, surge_story, uuid_of


def reply(n: int, at: int, kind: str = "human") -> Reply:
    return Reply(
        id=ids.reply("andina", "twitter", f"re{n}"),
        brand="andina",
        channel="twitter",
        author_id=f"u{n}",
        native_id=f"re{n}",
        created_at=at,
        kind=kind,  # type: ignore[arg-type]
        text="Sorry!",
    )


def test_the_timeline_counts_each_post_answer_and_overdue_clock_where_it_was(
    sink: PostgresSink, database: Database
) -> None:
    """One answered late, one overdue to the end, one closed unanswered, one in time; an automatic answer counts for nothing."""
    posts = [
        classified(1),
        classified(2, "praise", created_at=T0 + 5 * MINUTE),
        classified(3, "question", created_at=T0 + 3 * HOUR),
        classified(4, own=True, created_at=T0 + 40 * 24 * HOUR),
    ]
    assert sink.write(items([*posts, reply(1, T0 + 90 * MINUTE), reply(2, T0 + 91 * MINUTE, "automatic")])) == []
    overdue = [*started("d"), clock(3, "breached", "d", detected_at=T0 + HOUR)]
    stories = [answered("a", 90 * MINUTE), overdue, given_up("c", "expired"), answered("b", 30 * MINUTE)]
    assert sink.write(items(itertools.chain(*stories), "cases")) == []
    assert sink.write(items([*surge_story(), *CRISES], "surges")) == []
    versions = [
        alert(1, severity="warning"),
        alert(2, severity="page"),
        alert(3, severity="info", summary="it is over"),
    ]
    assert sink.write(items([*versions, alert(1, "surge:norte:1", severity="info")], "alerts")) == []
    told = read_timeline(database.uri)
    assert told.bin == MINUTE
    assert (told.bins[0].start, told.bins[-1].start) == (T0 - T0 % MINUTE, T0 + 3 * HOUR - T0 % MINUTE)
    assert {name: sum(one.posts[name] for one in told.bins) for name in told.bins[0].posts} == {
        "complaint": 1,
        "question": 1,
        "praise": 1,
        "other": 0,
    }
    assert [(one.start - told.bins[0].start) // MINUTE for one in told.bins if one.answers] == [90]
    by_minute = {(one.start - told.bins[0].start) // MINUTE: one.overdue for one in told.bins}
    assert [by_minute[minute] for minute in (59, 60, 89, 90, 180)] == [0, 2, 2, 1, 1]
    assert told.brands == ["andina"]
    [surge] = told.surges
    assert (surge.surge_id, surge.peak, surge.crisis) == (SURGE, 6.5, True) and told.surge == surge
    ended, firing = sorted(told.alerts, key=lambda one: one.end is None)
    assert ended == AlertSpan("surge", "andina", "summary 2", T0, T0 + 90 * MINUTE, "page")
    assert (firing.end, firing.severity) == (None, "info")
    assert told.case == uuid_of("d"), "the open case that is overdue"


def test_a_year_between_two_posts_and_nothing_at_all_have_a_timeline(sink: PostgresSink, database: Database) -> None:
    empty = read_timeline(database.uri)
    assert (empty.bins, empty.surge, empty.case, empty.alerts) == ([], None, None, [])
    year = 365 * 24 * HOUR
    assert sink.write(items([classified(1), classified(2, created_at=T0 + year)])) == []
    told = read_timeline(database.uri)
    assert len(told.bins) < 200 and told.bin == 7 * 24 * HOUR
    assert [sum(one.posts.values()) for one in told.bins if any(one.posts.values())] == [1, 1]
