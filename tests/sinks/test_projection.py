"""A projection beside the live one: what it takes over, whom it refuses, and how the two change places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from schemas.records import Action
from sinks.port import SinkError, SinkItem
from sinks.postgres.forgetting import forget
from sinks.postgres.older import Places
from sinks.postgres.projection import REBUILT, REPLACED, Busy, Projection
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_forgetting import AUTHOR, TRACES, act, his_post
from tests.sinks.test_rows import CRISES
from tests.support.samples import T0, alert, case_story, classified, delivery, items, surge_story

CASES = items(case_story(), "cases")
SURGES = items([*surge_story(), *CRISES], "surges")


@pytest.fixture
def live(bare: Database) -> Iterator[PostgresSink]:
    """The live sink, on a database of this test's own."""
    sink = PostgresSink(bare.uri, prefix="p.")
    sink.open()
    yield sink
    sink.close()


def rebuild(
    bare: Database,
    firsts: Places,
    read: Sequence[SinkItem] = (),
    forgets: Sequence[SinkItem] = (),
    late: Sequence[SinkItem] = (),
) -> None:
    """firsts: where the log begins; forgets: those in it; read, late: its records, before and in the swap."""
    with Projection(bare.uri, "p.") as projection:
        projection.prepare()
        projection.take_over(firsts, [found for item in forgets if (found := forget(item))])
        projection.sink.write(read)
        projection.complete([place for place, first in firsts.items() if first])
        projection.swap(lambda _: assert_written(projection.sink, late))
        projection.drop_replaced()


def assert_written(sink: PostgresSink, given: Sequence[SinkItem]) -> None:
    assert sink.write(given) == []


def schemas(bare: Database) -> list[str]:
    return [row["nspname"] for row in bare.rows("select nspname from pg_namespace where nspname like 'netcenter%'")]


def test_wrong_current_rows_follow_again_from_events_that_only_the_live_tables_have(
    live: PostgresSink, bare: Database
) -> None:
    assert_written(live, CASES + SURGES)
    before = bare.dump()
    bare.rows("update cases set posts = 99, state = 'closed'; delete from clocks; update surges set peak = 0")
    rebuild(bare, {("cases", 0): len(CASES), ("surges", 0): len(SURGES)})
    assert bare.dump() == before


@pytest.mark.parametrize("first", [3, 6])
def test_a_case_that_the_log_has_from_its_middle_on_is_as_one_it_has_whole(
    live: PostgresSink, bare: Database, first: int
) -> None:
    assert_written(live, CASES)
    before = bare.dump()
    bare.rows("update cases set posts = 99; update clocks set warned = 1")
    rebuild(bare, {("cases", 0): first}, CASES[first:])
    assert bare.dump() == before


def test_of_who_is_forgotten_in_the_log_nothing_is_copied(live: PostgresSink, bare: Database) -> None:
    """Also where the live sink has not read the forget yet."""
    told = items([his_post(1), classified(5), act("f1", "forget")])
    assert isinstance(told[2].record, Action)
    assert_written(live, told[:2])
    assert AUTHOR in str(bare.dump())
    rebuild(bare, {("classified", 0): 2}, told[2:], forgets=told[2:])
    found = str(bare.dump())
    assert not [trace for trace in TRACES if trace in found]
    assert [row["author_id"] for row in bare.rows("select author_id from mentions")] == ["u5"]


def test_an_offset_does_not_fall_where_the_last_record_was_compacted_away(live: PostgresSink, bare: Database) -> None:
    told = items([alert(1), None], "alerts", first=4)
    assert_written(live, told)
    rebuild(bare, {("alerts", 0): 0}, told[:1])
    assert bare.row("select next from sink_offsets")["next"] == 6
    assert_written(live, items([alert(2)], "alerts", first=6))


def test_a_delivery_that_the_log_no_longer_has_is_kept(live: PostgresSink, bare: Database) -> None:
    told = items([delivery(alert(n), "accepted", T0 + n) for n in (1, 2)], "deliveries")
    assert_written(live, told)
    rebuild(bare, {("deliveries", 0): 1}, told[1:])
    assert [row["version"] for row in bare.rows("select version from alert_deliveries order by 1")] == [1, 2]


def test_the_live_sink_passes_over_what_the_swap_has_brought(live: PostgresSink, bare: Database) -> None:
    told = items([classified(n) for n in range(4)])
    assert_written(live, told[:2])
    rebuild(bare, {("classified", 0): 0}, told[:1], late=told[1:3])
    assert_written(live, told[2:])
    assert bare.row("select count(*), count(distinct id) as ids from mentions") == {"count": 4, "ids": 4}


def test_what_others_made_on_the_tables_is_named_and_nothing_is_replaced(live: PostgresSink, bare: Database) -> None:
    assert_written(live, CASES)
    before = bare.dump()
    bare.rows(
        "create view v as select case_id from cases;"
        "create index i on cases (close_reason);"
        "create table t (case_id uuid references cases);"
        "create function f() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger g before insert on cases for each row execute function f();"
        "create policy p on cases;"
        "create publication o for table cases"
    )
    with pytest.raises(SinkError) as refused:
        rebuild(bare, {})
    named, _, what_to_do = str(refused.value).partition(": ")
    assert named.split(", ") == [
        "constraint t_case_id_fkey of public.t",
        "index i",
        "policy p of public.cases",
        "publication o of public.cases",
        "trigger g of public.cases",
        "view public.v",
    ]
    assert "drop them, rebuild" in what_to_do
    assert {name: rows for name, rows in bare.dump().items() if name != "t"} == before
    assert schemas(bare) == []


def test_whoever_was_let_read_a_table_reads_the_new_one(live: PostgresSink, bare: Database) -> None:
    reader = f"dashboard_{bare.name}"
    bare.admin(f"create role {reader}")
    try:
        bare.rows(f"grant select on cases, response_rate to {reader}")
        assert_written(live, CASES)
        rebuild(bare, {("cases", 0): 0}, CASES)
        granted = f"set local role {reader}; select count(*) from {{}}"
        assert bare.row(granted.format("cases"))["count"] == 1
        assert bare.row(granted.format("response_rate"))["count"] == 1
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            bare.rows(granted.format("clocks"))
    finally:
        bare.rows(f"drop owned by {reader}")
        bare.admin(f"drop role {reader}")


def test_whoever_reads_on_is_named_and_holds_up_nobody(live: PostgresSink, bare: Database) -> None:
    """The live sink writes between two tries, and what it wrote is brought by the next."""
    assert_written(live, CASES[:4])
    with Projection(bare.uri, "p.") as projection:
        projection.prepare()
        projection.take_over({("cases", 0): 0}, [])
        with closing(psycopg2.connect(make_dsn(bare.uri, application_name="a dashboard"))) as reader:
            reader.cursor().execute("select count(*) from case_events")
            with pytest.raises(Busy, match="a dashboard"):
                projection.swap(lambda _: assert_written(projection.sink, CASES[:4]))
            assert_written(live, CASES[4:])
        projection.swap(lambda _: assert_written(projection.sink, CASES))
        assert schemas(bare) == [REPLACED]
        assert bare.row("select count(*) from case_events")["count"] == len(CASES)
        assert projection.counts()["case_events"] == (len(CASES), len(CASES))


def test_tables_that_a_newer_release_migrates_meanwhile_stay(live: PostgresSink, bare: Database) -> None:
    assert_written(live, CASES)
    before = bare.dump()
    with Projection(bare.uri, "p.") as projection:
        projection.prepare()
        bare.rows("insert into _yoyo_migration (migration_hash, migration_id) values ('h', '9999-later')")
        with pytest.raises(SinkError, match="9999-later"):
            projection.swap(lambda _: None)
    assert bare.dump() == before
    assert schemas(bare) == []


def test_a_second_one_is_refused_and_leaves_the_first_alone(live: PostgresSink, bare: Database) -> None:
    with Projection(bare.uri, "p.") as first:
        first.prepare()
        with pytest.raises(SinkError, match="under way already"), Projection(bare.uri, "p."):
            pass
        assert schemas(bare) == [REBUILT]
    with Projection(bare.uri, "p.") as third:
        assert third.prepare() == []


def test_one_that_ends_before_it_has_made_anything_drops_nothing(live: PostgresSink, bare: Database) -> None:
    """What an interrupted one left is dropped by the next that does something, and told."""
    bare.rows(f"create schema {REBUILT}; create table {REBUILT}.cases ()")
    with Projection(bare.uri, "p.") as asked:
        assert asked.size() > 0
    assert schemas(bare) == [REBUILT]
    with Projection(bare.uri, "p.") as projection:
        assert projection.prepare() == [REBUILT]


def test_the_owner_is_asked_for_where_the_tables_are_anothers(live: PostgresSink, bare: Database) -> None:
    other = f"other_{bare.name}"
    bare.admin(f"create role {other} in role pg_read_all_data")
    given: dict[str, Any] = {"options": f"-c role={other}"}
    try:
        with pytest.raises(SinkError, match="as the owner"), Projection(make_dsn(bare.uri, **given), "p."):
            pass
    finally:
        bare.admin(f"drop role {other}")
