"""PostgreSQL as an interface: every name has its comment, one kind of thing has one type, and what is said to join joins."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from netcenter.demo import summary as demo
from netcenter.demo.story.story import story
from netcenter.policies import DEFAULT_POLICY
from netcenter.replay.engine import Replay, play_lines
from netcenter.tools import postgres_columns
from schemas import keys
from schemas.records import OperatorChanged, Record
from sinks.port import SinkItem
from sinks.postgres import comments
from sinks.postgres.sink import PostgresSink
from sinks.postgres.tables import ALERTS, CASES, TABLES
from tests.sinks.conftest import Database
from tests.sinks.test_rows import EXAMPLES
from tests.support.samples import items

#: Ids that a network or a tool has given; every other id is ours, and a uuid.
FOREIGN_IDS = {"author_id", "native_id", "conversation_id", "action_id"}
COLUMNS = """
select c.relname, c.relkind = 'v' as is_view, a.attname, format_type(a.atttypid, null) as type,
    obj_description(c.oid, 'pg_class') as about, col_description(c.oid, a.attnum) as words
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and c.relname not like '\\_yoyo%'
order by 1, a.attnum
"""


@pytest.fixture(scope="module")
def columns(shared: Database) -> list[dict[str, Any]]:
    """Every column of every table and view of ours."""
    found = shared.rows(COLUMNS)
    assert len(found) > 270
    return found


def references(columns: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each column beside the column that its comment names as table.column; in backquotes stand keys and values of JSON."""
    by_name = {f"{column['relname']}.{column['attname']}": column for column in columns}
    for column in columns:
        for name in re.findall(r"\b[a-z_]+\.[a-z_]+\b", re.sub("`[^`]*`", "", column["words"])):
            yield column, by_name[name]


def test_every_table_view_and_column_has_its_comment(columns: list[dict[str, Any]]) -> None:
    assert [c["relname"] for c in columns if not c["about"]] == []
    assert [f"{c['relname']}.{c['attname']}" for c in columns if not c["words"]] == []


def test_a_column_says_what_the_record_says_of_its_field() -> None:
    """Without the unit of the wire and what the field says of its neighbours; the table's own words come first."""
    said = comments.of_columns(ALERTS)
    assert said["starts_at"] == "event time at which it opened"
    assert said["fingerprint"].endswith("set by alerts")
    assert said["id"] == "the newest version: alert_events.id"
    assert comments.of_columns(CASES)["priority"] == "1 is the most urgent; by policy"


def test_a_column_for_which_nobody_has_words_is_found() -> None:
    """When it is added, not when somebody asks PostgreSQL."""
    table = ALERTS.__class__("t", "about", (("shoe_size", "int"),), key=())
    with pytest.raises(LookupError, match=r"t\.shoe_size"):
        comments.of_columns(table)


def test_our_ids_are_uuids_and_join_without_a_cast(columns: list[dict[str, Any]]) -> None:
    """Also `cause`, the id of what led to an event."""
    ids = [c for c in columns if re.fullmatch(r"id|.*_id|cause", c["attname"])]
    types = {f"{c['relname']}.{c['attname']}": c["type"] for c in ids if c["attname"] not in FOREIGN_IDS}
    assert {name: kind for name, kind in types.items() if kind != "uuid"} == {}
    assert len(types) > 30
    told = [c for c in columns if re.search(r"UUIDv5|'s id\b|\bid of\b", c["words"]) and "network" not in c["words"]]
    strange = {f"{c['relname']}.{c['attname']}" for c in told if c["type"] != "uuid"}
    assert {name for name in strange if not re.search(r"native_id|conversation|in_reply_to|share_of|root", name)} == {
        "actions.action_id"
    }


def test_one_kind_of_quantity_has_one_type(columns: list[dict[str, Any]]) -> None:
    """A time is a timestamptz, a duration whole milliseconds with a name that says so, a count a bigint."""
    kinds = {c["type"] for c in columns}
    assert kinds == {
        *("uuid", "text", "bigint", "integer", "boolean", "double precision", "double precision[]", "jsonb"),
        "timestamp with time zone",
    }
    durations = [c for c in columns if "milliseconds" in c["words"]]
    assert len(durations) > 10
    assert [c["attname"] for c in durations if c["type"] != "bigint" or not c["attname"].endswith("_ms")] == []
    times = [c for c in columns if c["attname"].endswith("_at")]
    assert {c["type"] for c in times} == {"timestamp with time zone"}
    assert {c["attname"] for c in columns if c["type"] == "integer"} == {"partition"}


def test_what_a_comment_refers_to_is_there_and_has_the_same_type(columns: list[dict[str, Any]]) -> None:
    found = [(one, other) for one, other in references(columns) if one["type"] == "uuid" or other["type"] == "uuid"]
    assert len(found) > 10
    assert [(one["relname"], one["attname"]) for one, other in found if one["type"] != other["type"]] == []


def assert_joins_hold(database: Database, columns: list[dict[str, Any]]) -> set[str]:
    """Every id that a table names is there, but for the posts of forgotten customers; the names of the columns that held any."""
    held = set()
    of_a_customer = {c["relname"] for c in columns if c["attname"] == "author_id"}
    for one, other in references(columns):
        if one["is_view"] or one["type"] != "uuid":
            continue
        name, target = f"{one['relname']}.{one['attname']}", f"{other['relname']}.{other['attname']}"
        lost = database.row(
            f"select count({name}) as named, count(*) filter (where {name} is not null and not exists ("
            f"select from {other['relname']} t where t.{other['attname']} = {name})) as lost from {one['relname']}"
            + (" where author_id <> ''" if one["relname"] in of_a_customer else "")
        )
        assert lost["lost"] == 0, f"{name} names {lost['lost']} rows that {target} does not have"
        held |= {name} if lost["named"] else set()
    return held


def test_the_joins_hold_after_a_day_of_the_demo(
    sink: PostgresSink, database: Database, columns: list[dict[str, Any]]
) -> None:
    """A quarter of the story through every role: whatever an id names stands in its table."""
    written: defaultdict[str, list[Record]] = defaultdict(list)
    replay = Replay({1: DEFAULT_POLICY.read_text()}, 1, lambda topic, records: written[topic].extend(records))
    # Nobody answers the offers here, so they go round for as long as somebody is signed in: that is for the first hours.
    told = story(scale=0.25)
    signed_off = told[0].at + 3_600_000
    lines = [line for line in told if not isinstance(line.record, OperatorChanged) or line.at < signed_off]
    end = max(line.at for line in lines) + 3_600_000
    play_lines([replay], lines, interval=600_000, run_on=end)
    for topic in ("classified", "volumes", "cases", "assignments", "surges", "alerts"):
        log = [SinkItem(topic, 0, n, _key(record), record, [], 0) for n, record in enumerate(written[topic])]
        for start in range(0, len(log), 5_000):
            assert sink.write(log[start : start + 5_000]) == []
    held = assert_joins_hold(database, columns)
    assert held >= {
        "mention_updates.mention_id",
        "cases.first_mention_id",
        "cases.last_mention_id",
        "case_events.case_id",
        "clocks.case_id",
        "assignments.case_id",
        "assignments.offer_id",
        "surge_events.surge_id",
        "alerts.id",
    }


def _key(record: Any) -> bytes:
    return keys.customer(record) if hasattr(record, "author_id") or hasattr(record, "mention") else b""


def test_no_time_stands_in_json_as_a_number(sink: PostgresSink, database: Database) -> None:
    """Nor as a number in a text: people and programs read RFC 3339."""
    assert sink.write(items(EXAMPLES)) == []
    for table in TABLES:
        for name, kind in table.columns:
            if kind == "json":
                for row in database.rows(f"select {name}::text as found from {table.name}"):
                    assert not re.search(r"\b1[0-9]{12}\b", row["found"] or ""), (table.name, name)


def test_the_page_lists_what_is_there(shared: Database) -> None:
    """Tables, views and columns of docs/postgres.md are those of the database, with their comments."""
    text = postgres_columns.PAGE.read_text()
    assert postgres_columns.filled(text, shared.uri) == text, "run `python -m netcenter.tools`"


def test_every_query_of_the_demo_and_the_runbooks_runs(database: Database) -> None:
    """They name tables, views and columns, and nothing else would notice that one was renamed."""
    runbooks = "".join(page.read_text() for page in (postgres_columns.PAGE.parent / "runbooks").glob("*.md"))
    found = re.findall(r"`(select [^`]+)`", runbooks)
    assert len(found) >= 4
    for query in (*found, *demo.COUNTS.values(), demo.LABELS, *demo.QUERIES.values()):
        database.rows(query.rstrip("; "))
