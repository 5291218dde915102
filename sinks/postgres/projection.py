"""A second projection in a schema of its own, which is filled while the live projection is in use, and then replaces
it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import psycopg2
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import make_dsn, parse_dsn, quote_ident

from sinks.port import SinkError
from sinks.postgres import faults, forgetting
from sinks.postgres.connecting import connect
from sinks.postgres.forgetting import Forget
from sinks.postgres.older import Older, Places
from sinks.postgres.sink import PostgresSink
from sinks.postgres.tables import KEPT, TABLES

REBUILT, REPLACED = "netcenter_rebuild", "netcenter_replaced"
#: The number of the advisory lock. Nothing else in the database may use it.
_LOCK = 0x6E65_7472
#: How long the live sink waits for the rebuild, and how long the rebuild waits for sessions that read the tables.
_PATIENCE = "3s"
_NAMES = (*(table.name for table in TABLES), *KEPT)

_NOT_OURS = """
select tablename from pg_tables
where schemaname = %s and tablename = any(%s) and not pg_has_role(tableowner, 'usage') order by 1 limit 1
"""
_VIEWS = "select viewname from pg_views where schemaname = %s order by 1"
#: Finds objects of other users on the live tables that the new tables lack. Both sets of tables must exist.
_DEPENDENT = """
select distinct 'view ' || v.oid::regclass from pg_depend d
join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
join pg_class v on v.oid = r.ev_class
join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid
where t.relnamespace = %(live)s::regnamespace and t.relname = any(%(ours)s)
    and not (v.relnamespace = %(live)s::regnamespace and v.relname = any(%(ours)s))
union select 'constraint ' || c.conname || ' of ' || c.conrelid::regclass from pg_constraint c
join pg_class t on t.oid = c.confrelid
where c.contype = 'f' and t.relnamespace = %(live)s::regnamespace and t.relname = any(%(ours)s)
union select 'index ' || l.indexname from pg_indexes l
where l.schemaname = %(name)s and l.tablename = any(%(ours)s)
    and not exists (select from pg_indexes n where n.schemaname = %(new)s and n.indexname = l.indexname)
union select 'trigger ' || g.tgname || ' of ' || t.oid::regclass from pg_trigger g
join pg_class t on t.oid = g.tgrelid
where not g.tgisinternal and t.relnamespace = %(live)s::regnamespace and t.relname = any(%(ours)s)
union select 'policy ' || p.polname || ' of ' || t.oid::regclass from pg_policy p
join pg_class t on t.oid = p.polrelid
where t.relnamespace = %(live)s::regnamespace and t.relname = any(%(ours)s)
union select 'publication ' || p.pubname || ' of ' || t.oid::regclass from pg_publication_rel r
join pg_publication p on p.oid = r.prpubid
join pg_class t on t.oid = r.prrelid
where t.relnamespace = %(live)s::regnamespace and t.relname = any(%(ours)s)
order by 1
"""
#: Finds migrations that the live tables have and the new tables lack: then a worker of a newer release has started.
_NEWER = "select migration_id from {live}._yoyo_migration except select migration_id from {new}._yoyo_migration limit 1"
_SIZE = (
    "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class where relnamespace = %s::regnamespace"
)
_HOLDERS = """
select distinct l.pid::text || coalesce(' (' || nullif(a.application_name, '') || ')', '') from pg_locks l
join pg_class t on t.oid = l.relation
left join pg_stat_activity a on a.pid = l.pid
where l.granted and t.relnamespace = %s::regnamespace and t.relname = any(%s) and l.pid <> pg_backend_pid() order by 1
"""
_OWNERS = """
select relname, quote_ident(pg_get_userbyid(relowner)) from pg_class
where relnamespace = %s::regnamespace and relname = any(%s) and pg_get_userbyid(relowner) <> current_user
"""
_GRANTS = """
select relname, privilege_type, is_grantable, case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end
from pg_class cross join aclexplode(relacl) where relnamespace = %s::regnamespace and relname = any(%s)
"""


class Busy(Exception):
    """A session reads the live tables for longer than the live sink may wait; the message names the session."""


class Projection:
    """Two schemas of one database: the live schema, which stays in use, and a new schema, which is filled. A context
    manager.

    Use: 1. `prepare`, 2. `take_over`, 3. write the log through `sink`, 4. `complete`, 5. `swap`, 6. `drop_replaced`.
    At the end of the context the new tables are dropped unless they were swapped in.

    uri: the live sink's, with the user who owns the tables. prefix: of the log's topics. Raises ReceiverUnreachable and
    SinkError as a sink does; SinkError also where the live tables are of another log, where another rebuild runs, where the
    user lacks the rights, or where objects of other users would be lost.
    """

    def __init__(self, uri: str, prefix: str) -> None:
        self._uri, self._prefix = uri, prefix
        self._live_sink = PostgresSink(uri, prefix=prefix)
        #: Writes into the new tables.
        self.sink = PostgresSink(
            make_dsn(uri, options=f"{parse_dsn(uri).get('options', '')} -c search_path={REBUILT}"), prefix=prefix
        )
        self._connection: Connection | None = None
        self._live_name = ""
        self._live = ""
        """The live schema's name, quoted as SQL."""
        self._building = False
        """True while the new tables exist and are not yet the live ones."""

    def __enter__(self) -> Self:
        with self._translating():
            options = {**self._live_sink.options, "application_name": "netcenter rebuild"}
            self._connection = connect(self._uri, **options)
            try:
                self._begin()
            except BaseException:
                self._connection.close()  # this also frees the advisory lock
                raise
        return self

    def _begin(self) -> None:
        connection = self._cursor().connection
        connection.autocommit = True
        # A pooler shows its own number for a session, because it must know which statement to cancel.
        if self._one("select pg_backend_pid()") != connection.info.backend_pid:
            raise SinkError(
                "a rebuild needs a session of its own and this URI leads to a pooler: give it the server's own"
            )
        if not self._one("select pg_try_advisory_lock(%s)", _LOCK):
            raise SinkError("a rebuild of this database is under way already: let it end, or end it")
        self._live_name = self._one("select current_schema()")
        self._live = quote_ident(self._live_name or "", self._cursor())
        self._check_rights()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sink.close()
        if self._connection is None:
            return
        try:
            if not self._connection.closed:
                self._connection.rollback()
                self._connection.autocommit = True
                if self._building:
                    self._run(f"drop schema if exists {REBUILT} cascade")
                # The server may notice a closed connection late, and the next rebuild could start before that.
                self._run("select pg_advisory_unlock(%s)", _LOCK)
        except psycopg2.Error:
            if error is None:  # an earlier error counts more; the next rebuild drops these tables
                raise
        finally:
            self._connection.close()

    # --- preparing ---------------------------------------------------------------------------------------------

    def prepare(self) -> list[str]:
        """Migrate the live tables where needed, and make new ones. Returns the schemas of an earlier rebuild that it dropped."""
        self._live_sink.open()
        self._live_sink.close()
        with self._translating():
            left = self._column(
                "select nspname from pg_namespace where nspname = any(%s) order by 1", [REBUILT, REPLACED]
            )
            for schema in left:
                self._run(f"drop schema {schema} cascade")
            self._run(f"create schema {REBUILT}; set search_path to {REBUILT}")
            self._building = True
        self.sink.open()
        with self._translating():
            for table in TABLES:
                self._run(table.create_stage())
            self._check_dependents()
        return left

    def _check_rights(self) -> None:
        if self._live_name in (None, REBUILT, REPLACED):
            raise SinkError(
                f"the live tables are looked for in schema {self._live_name}: correct the URI's search path"
            )
        others = self._column(_NOT_OURS, self._live_name, list(_NAMES))
        if others:
            raise SinkError(f"table {others[0]} belongs to another user: rebuild as the owner of the tables")
        if not self._one("select has_database_privilege(current_database(), 'create')"):
            raise SinkError("this user may not create a schema in this database: rebuild as the owner of the tables")

    def _check_dependents(self) -> None:
        found = self._column(
            _DEPENDENT, {"live": self._live, "name": self._live_name, "new": REBUILT, "ours": self._names()}
        )
        if found:
            raise SinkError(
                f"{', '.join(found)}: made on tables that a rebuild replaces; drop them, rebuild, and make them again"
            )

    def size(self) -> int:
        """Bytes that the live tables and their indexes take. The new tables will take about the same."""
        with self._translating():
            return int(self._one(_SIZE, self._live))

    def stored(self) -> Places:
        """The live sink's next offsets."""
        with self._translating(), self._cursor() as cursor:
            cursor.execute("select to_regclass(%s)", (f"{self._live}.sink_offsets",))
            if cursor.fetchone() == (None,):
                return {}
            cursor.execute(f"select topic, partition, next from {self._live}.sink_offsets")
            return {(topic, number): following for topic, number, following in cursor}

    # --- filling --------------------------------------------------------------------------------------------------

    def take_over(self, firsts: Places, forgets: Sequence[Forget]) -> Older:
        """Run before any record is read: stores the forgotten customers, and copies rows that only the live tables
        still have.

        firsts: the offsets at which the log begins. forgets: every request to forget in the log. Nothing of a forgotten
        customer is written.
        """
        with self._translating(), self._transaction("repeatable read") as cursor:
            cursor.execute(f"insert into forgotten select * from {self._live}.forgotten")
            forgetting.remember(cursor, forgets)
            older = Older(cursor, self._live)
            older.before(firsts)
            for (topic, number), first in firsts.items():
                cursor.execute("insert into sink_offsets values (%s, %s, %s, %s)", (topic, number, first, self._prefix))
        with self._translating(), self._transaction() as cursor:
            Older(cursor, self._live).fold()
            for one in forgets:
                forgetting.erase(cursor, one)
        return older

    def complete(self, trimmed: Collection[tuple[str, int]]) -> Older:
        """Run after all records are read: copies rows that the log no longer has and that have no offset of their
        own.
        """
        with self._translating():
            with self._transaction() as cursor:
                older = Older(cursor, self._live)
                older.missing(trimmed)
            for name in _NAMES:
                self._run(f"analyze {name}")
        return older

    # --- swapping ----------------------------------------------------------------------------------------------------

    def swap(self, bring: Callable[[Places], None]) -> None:
        """Make the new tables the live tables, and move the old tables into schema `netcenter_replaced`.

        Readers see either all old or all new tables. bring: a function that writes the log up to given offsets, at
        which the live sink waits during the swap. Raises Busy: try again.
        """
        with self._translating():
            try:
                with self._transaction() as cursor:
                    cursor.execute(f"set local lock_timeout = '{_PATIENCE}'")
                    # Every transaction of a sink first locks this table: when this transaction holds the lock, no other
                    # one is open.
                    cursor.execute(f"lock table {self._live}.sink_offsets in access exclusive mode")
                    bring(self.stored())
                    self.sink.close()
                    self._settle_offsets(cursor)
                    self._move(cursor)
                self._building = False
            except (LockNotAvailable, DeadlockDetected):
                holders = self._column(_HOLDERS, self._live, self._names())
                raise Busy(f"the tables are in use by {', '.join(holders) or 'somebody'}") from None

    def _settle_offsets(self, cursor: Cursor) -> None:
        """Raise the new offsets to the live ones: everything up to them was read, even if compaction removed the last
        records.
        """
        cursor.execute(
            f"insert into sink_offsets as n select topic, partition, next, prefix from {self._live}.sink_offsets"
            " on conflict (topic, partition) do update set next = excluded.next where n.next < excluded.next"
        )

    def _move(self, cursor: Cursor) -> None:
        cursor.execute(_NEWER.format(live=self._live, new=REBUILT))
        newer = cursor.fetchone()
        if newer is not None:
            raise SinkError(
                f"a newer release has migrated the live tables meanwhile ({newer[0]}): rebuild with that one"
            )
        cursor.execute(f"create schema {REPLACED}")
        # A view refers to tables by their internal numbers, so it moves with its tables.
        views = self._views()
        there = set(self._column(_VIEWS, self._live_name)) & set(views)
        for name in _NAMES:
            cursor.execute(f"alter table {self._live}.{name} set schema {REPLACED}")
        for name in there:
            cursor.execute(f"alter view {self._live}.{name} set schema {REPLACED}")
        for name in _NAMES:
            cursor.execute(f"alter table {REBUILT}.{name} set schema {self._live}")
        for name in views:
            cursor.execute(f"alter view {REBUILT}.{name} set schema {self._live}")
        self._hand_over(cursor, [*_NAMES, *views])
        cursor.execute(f"drop schema {REBUILT} cascade")

    def _hand_over(self, cursor: Cursor, names: list[str]) -> None:
        """Give the new tables the owners and grants of the old ones, also grants that were given by hand."""
        cursor.execute(_GRANTS, (REPLACED, names))
        for name, privilege, grantable, grantee in cursor.fetchall():
            option = " with grant option" if grantable else ""
            cursor.execute(f"grant {privilege} on {self._live}.{name} to {grantee}{option}")
        cursor.execute(_OWNERS, (REPLACED, names))
        for name, owner in cursor.fetchall():
            cursor.execute(f"alter table {self._live}.{name} owner to {owner}")

    def counts(self) -> dict[str, tuple[int, int]]:
        """By table, the number of rows in the replaced table and in the live one."""
        with self._translating():
            return {
                name: (
                    self._one(f"select count(*) from {REPLACED}.{name}"),
                    self._one(f"select count(*) from {self._live}.{name}"),
                )
                for name in _NAMES
            }

    def drop_replaced(self) -> None:
        """Drop the replaced tables."""
        with self._translating():
            self._run(f"drop schema {REPLACED} cascade")

    # --- PostgreSQL -------------------------------------------------------------------------------------------------

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            lost = self._connection is None or self._connection.closed != 0
            raise faults.translated(error, self._live_sink.server, lost=lost, worked=False) from None

    def _names(self) -> list[str]:
        return [*_NAMES, *self._views()]

    def _views(self) -> list[str]:
        return self._column(_VIEWS, REBUILT)

    def _cursor(self) -> Cursor:
        if self._connection is None:
            raise SinkError("not open: a Projection is a context manager")
        return self._connection.cursor()

    def _run(self, sql: str, *values: Any) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql, values or None)

    def _one(self, sql: str, *values: Any) -> Any:
        [found] = self._column(sql, *values)
        return found

    def _column(self, sql: str, *values: Any) -> list[Any]:
        with self._cursor() as cursor:
            cursor.execute(sql, values[0] if values and isinstance(values[0], dict) else values or None)
            return [value for (value, *_) in cursor]

    @contextmanager
    def _transaction(self, isolation: str = "read committed") -> Iterator[Cursor]:
        with self._cursor() as cursor:
            connection = cursor.connection
            connection.set_session(isolation_level=isolation, autocommit=False)
            try:
                yield cursor
                connection.commit()
            finally:
                if not connection.closed:
                    connection.rollback()
                    connection.set_session(isolation_level="read committed", autocommit=True)
