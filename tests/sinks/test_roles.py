"""The roles of PostgreSQL: a reader reads everything and writes nothing, a writer can do all that the sink does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from netcenter.operate.postgres_roles import migrate, roles
from sinks.port import SinkError
from sinks.postgres.projection import Projection
from sinks.postgres.roles import READER, WRITER
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.sinks.test_forgetting import story
from tests.sinks.test_postgres import everything
from tests.support.samples import classified, items

RELATIONS = """
select relname, relkind = 'v' as is_view from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') and relname not like '\\_yoyo%' order by 1
"""
NOT_ALLOWED = psycopg2.errors.InsufficientPrivilege


def as_role(database: Database, role: str) -> str:
    """The URI of a session that has this role's rights and no other."""
    return make_dsn(database.uri, options=f"-c role={role}")


@pytest.fixture
def owner(bare: Database) -> Iterator[str]:
    """A user who may own tables and is no superuser; after the test it is gone, and our roles with it."""
    name = f"owner_{bare.name}"
    there = {row["rolname"] for row in bare.rows("select rolname from pg_roles")}
    bare.admin(f"create role {name}")
    bare.rows(f"grant all on schema public to {name}; grant create on database {bare.name} to {name}")
    yield name
    for role in {name, READER, WRITER} - there:
        bare.rows(f"drop owned by {role} cascade")
        bare.admin(f"drop role {role}")


@pytest.fixture
def granted(bare: Database, owner: str) -> Database:
    """A database whose tables belong to `owner` and which has both roles."""
    migrate(as_role(bare, owner))
    roles(bare.uri, apply=True)
    return bare


def relations(database: Database) -> dict[str, bool]:
    """Every table and view of ours, and whether it is a view."""
    return {row["relname"]: row["is_view"] for row in database.rows(RELATIONS)}


def assert_reads_all_and_writes_nothing(database: Database) -> None:
    found = relations(database)
    assert len(found) > 25
    for name in found:
        database.rows(f"set local role {READER}; select * from {name} limit 1")
    for name in (name for name, is_view in found.items() if not is_view):
        for statement in (f"insert into {name} default values", f"delete from {name}", f"truncate {name}"):
            with pytest.raises(NOT_ALLOWED):
                database.rows(f"set local role {READER}; {statement}")
    allowed = database.rows(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
        f" and has_any_column_privilege('{READER}', oid, 'insert, update')"
    )
    assert allowed == []
    with pytest.raises(NOT_ALLOWED):
        database.rows(f"set local role {READER}; create table public.own ()")


def test_a_reader_reads_every_table_and_view_and_writes_nothing(granted: Database) -> None:
    assert_reads_all_and_writes_nothing(granted)


def test_a_writer_does_all_that_the_sink_does_and_no_more(granted: Database) -> None:
    """Every record, refused rows and a forgotten customer: the tables are those that their owner would have written."""
    log = everything()
    writer = PostgresSink(as_role(granted, WRITER))
    writer.open()
    writer.write(log)
    found = granted.dump()
    granted.empty()
    own = PostgresSink(granted.uri)
    own.write(log)
    assert granted.dump() == found
    granted.empty()
    other = PostgresSink(as_role(granted, WRITER))
    assert other.write(story()) == []
    for sink in (writer, own, other):
        sink.close()
    for statement in (
        "create table public.own ()",
        "drop table cases",
        "truncate cases",
        "delete from _yoyo_migration",
    ):
        with pytest.raises(NOT_ALLOWED):
            granted.rows(f"set local role {WRITER}; {statement}")


def test_the_rights_are_the_same_after_a_rebuild(granted: Database, owner: str) -> None:
    """Which puts other tables in the place of those that the rights were given on."""
    with Projection(as_role(granted, owner), "p.") as projection:
        projection.prepare()
        projection.take_over({}, [])
        projection.complete([])
        projection.swap(lambda _: None)
        projection.drop_replaced()
    assert_reads_all_and_writes_nothing(granted)
    writer = PostgresSink(as_role(granted, WRITER))
    writer.open()
    assert writer.write(items([classified(1)])) == []
    writer.close()


def test_a_table_of_a_later_release_can_be_read_and_written(granted: Database, owner: str) -> None:
    granted.rows(f"set local role {owner}; create table public.later (n int)")
    granted.rows(f"set local role {WRITER}; insert into later values (1)")
    assert granted.rows(f"set local role {READER}; select n from later") == [{"n": 1}]


def test_the_roles_can_be_made_again(granted: Database) -> None:
    assert roles(granted.uri, apply=True) == roles(granted.uri, apply=False)


def test_a_writer_who_may_not_migrate_says_who_has_to(granted: Database) -> None:
    """The tables of an older release, or none."""
    granted.rows("delete from _yoyo_migration where migration_id = '0002-kpis'")
    with pytest.raises(SinkError, match="run `netcenter postgres migrate` as their owner"):
        PostgresSink(as_role(granted, WRITER)).open()


def test_without_tables_there_is_nothing_to_grant(bare: Database) -> None:
    with pytest.raises(Exception, match="run `netcenter postgres migrate`"):
        roles(bare.uri, apply=False)


def test_an_owner_who_may_not_create_roles_grants_those_that_are_there(granted: Database, owner: str) -> None:
    """Roles belong to the whole server: a second database of the same server finds them."""
    granted.rows(f"revoke select on cases from {READER}")
    roles(as_role(granted, owner), apply=True)
    assert_reads_all_and_writes_nothing(granted)
