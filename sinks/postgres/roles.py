"""Roles of PostgreSQL with the least rights that a reader of the projection, and the sink itself, need."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import quote_ident

from sinks.port import SinkError
from sinks.postgres.migrate import MIGRATED
from sinks.postgres.tables import KEPT, TABLES

READER, WRITER = "netcenter_reader", "netcenter_writer"
"""Group roles without a login: grant them to the users that dashboards and workers connect as."""

_PLACE = """
select current_database(), current_schema(), pg_get_userbyid(c.relowner) from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relname = 'sink_offsets'
"""
_VIEWS = "select viewname from pg_views where schemaname = current_schema() and viewowner = %s order by 1"
#: It asks first, for `create role` refuses a user who may not create roles even where the role exists.
_CREATE = (
    "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then create role {role} nologin; end if; "
    "exception when duplicate_object then null; end $$"
)


def statements(cursor: Cursor) -> list[str]:
    """SQL that makes both roles and gives them their rights; running it twice does no harm.

    The cursor's search path says which projection is meant. A superuser can run the SQL. The owner of the tables can
    too, if the roles exist or the owner may create roles. Raises SinkError where the tables are not there, and
    psycopg2's errors.
    """
    cursor.execute(_PLACE)
    found = cursor.fetchone()
    if found is None:
        raise SinkError("the tables are not there: run `netcenter postgres migrate` as the user who is to own them")
    database, schema, owner = (quote_ident(name, cursor) for name in found)
    cursor.execute(_VIEWS, (found[2],))
    tables = [f"{schema}.{name}" for name in (*(table.name for table in TABLES), *KEPT)]
    views = [f"{schema}.{quote_ident(name, cursor)}" for (name,) in cursor]
    # For tables of later releases, which the owner makes in the same schema. The tables of `netcenter rebuild` get the
    # rights of the tables that they replace.
    later = f"alter default privileges for role {owner} in schema {schema} grant"
    return [
        _CREATE.format(role=READER),
        _CREATE.format(role=WRITER),
        f"grant connect on database {database} to {READER}, {WRITER}",
        f"grant temporary on database {database} to {WRITER}",
        f"grant usage on schema {schema} to {READER}, {WRITER}",
        f"grant select on {', '.join([*tables, *views])} to {READER}",
        f"grant select, insert, update, delete on {', '.join(tables)} to {WRITER}",
        f"grant select on {schema}.{MIGRATED} to {WRITER}",
        f"{later} select on tables to {READER}",
        f"{later} select, insert, update, delete on tables to {WRITER}",
    ]
