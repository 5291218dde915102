"""Sessions of PostgreSQL: none is relied upon from one transaction to the next, and none is waited for without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from sinks.port import ReceiverUnreachable, SinkError
from sinks.postgres import migrate
from sinks.postgres.projection import Projection
from sinks.postgres.sink import PostgresSink
from sinks.postgres.tables import MENTIONS, TABLES
from tests.sinks.conftest import Database, until
from tests.sinks.test_postgres import WAITING, Writing, everything, locked, mentions, offsets, shuffled
from tests.support.samples import case_story, classified, items


class Pooled(PostgresSink):
    """Each transaction in a session that knows nothing of the last, as a pooler's in transaction mode."""

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        with super()._transaction() as cursor:
            connection = cursor.connection
            yield cursor
        forgetful(connection)


def forgetful(connection: Connection) -> None:
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("discard all")
    connection.autocommit = False


def test_a_pooler_may_give_each_transaction_another_session(bare: Database) -> None:
    """Migrations, batches, refusals and positions: the tables are those of a sink with a session to itself."""
    log = everything()
    sink = Pooled(bare.uri)
    sink.open()
    assert bare.rows("select from pg_locks where locktype = 'advisory'") == []
    refused = [one for batch in shuffled(log, 5) for one in sink.write(batch)]
    assert [one.item.offset for one in refused] == [0]
    through = bare.dump()
    assert sink.positions([("cases", 0)]) == {("cases", 0): 32}
    sink.close()
    bare.empty()
    direct = PostgresSink(bare.uri)
    direct.write(log)
    direct.close()
    assert bare.dump() == through


def test_what_another_release_left_in_a_session_is_in_nobodys_way(database: Database) -> None:
    """Two of them side by side behind one pooler, with other columns each."""
    sink = PostgresSink(database.uri)
    sink.positions([("classified", 0)])
    connection = sink._connected()
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"create temp table stage_{t.name} (other int) on commit delete rows" for t in TABLES))
    connection.commit()
    sink.write(items([classified(1), *case_story()]))
    assert len(database.rows("select from case_events")) == 8
    sink.close()


def test_nothing_of_a_session_is_changed(sink: PostgresSink, database: Database) -> None:
    """What a pooler lends to the next is as it was."""
    show = "select name, setting from pg_settings where context in ('user', 'superuser')"
    sink.write(items([classified(1), *case_story()]))
    with sink._connected().cursor() as cursor:
        cursor.execute(show)
        after = dict(cursor.fetchall())
    sink._connected().rollback()
    fresh = psycopg2.connect(database.uri, **sink.options)
    with fresh.cursor() as cursor:
        cursor.execute(show)
        before = dict(cursor.fetchall())
    fresh.close()
    changed = {name for name in before if before[name] != after[name]}
    assert changed <= {"transaction_isolation"}


def test_a_rebuild_through_a_pooler_is_refused_in_one_line(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds a lock and a search path for longer than a transaction; a pooler's own session numbers give it away."""
    monkeypatch.setattr(Projection, "_one", lambda *_: -1)
    with (
        pytest.raises(SinkError, match=r"needs a session of its own.*pooler: give it the server's own$"),
        Projection(database.uri, "p."),
    ):
        pass


def test_a_migration_lock_that_somebody_holds_is_waited_for_in_the_open(
    bare: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a dead worker's behind a pooler: it is said whose it is, and each wait ends."""
    monkeypatch.setattr("sinks.postgres.sink._LOCK_S", 1)
    sink = PostgresSink(bare.uri)
    with locked(bare, f"select pg_advisory_xact_lock({migrate.LOCK})"):
        raised: list[ReceiverUnreachable] = []

        def run() -> None:
            try:
                sink.open()
            except ReceiverUnreachable as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        until(lambda: "waits for advisory lock, held by pid" in str(sink.held()), "who holds the lock is told")
        thread.join(20)
    assert "55P03" in str(raised[0])
    sink.open()
    sink.close()
    assert "mentions" in bare.tables()


def test_a_stale_lock_of_the_migrations_library_blocks_nobody(bare: Database) -> None:
    """A row that a killed process leaves behind for ever."""
    bare.rows(
        "create table yoyo_lock (locked int default 1 primary key, ctime timestamp, pid int not null);"
        " insert into yoyo_lock (pid) values (1)"
    )
    sink = PostgresSink(bare.uri)
    sink.open()
    sink.close()
    assert "mentions" in bare.tables()


def test_a_start_with_nothing_to_migrate_waits_for_no_lock(database: Database) -> None:
    """Many workers start while one of a newer release migrates, or behind a lock that a dead one left."""
    with locked(database, f"select pg_advisory_xact_lock({migrate.LOCK})"):
        sink = PostgresSink(database.uri)
        sink.open()
        sink.close()


def test_migrations_that_fail_leave_nothing_half_done(bare: Database) -> None:
    """A round is one transaction, its marks with it: the next start begins from where this one did."""
    bare.rows("create view response_rate as select 1 as one")
    sink = PostgresSink(bare.uri)
    with pytest.raises(SinkError, match="SQLSTATE 42"):
        sink.open()
    assert bare.tables() == []
    assert bare.rows("select from pg_tables where tablename like '%yoyo%'") == []
    bare.rows("drop view response_rate")
    sink.open()
    sink.close()
    assert "mentions" in bare.tables()


def test_a_locked_table_is_named_and_the_wait_for_it_ends(
    sink: PostgresSink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds it stands in the answer; the batch is refused nothing and comes again."""
    monkeypatch.setattr("sinks.postgres.sink._LOCK_S", 1)
    batch = items([classified(1), *case_story()])
    with locked(database, "lock table mentions in access exclusive mode"):
        writing = Writing(sink, batch)
        until(lambda: "waits for mentions, held by pid" in str(sink.held()), "who holds the table is told")
        told = str(sink.held())
        writing.join()
    assert "pg_terminate_backend" in told and "idle in transaction" in told
    assert isinstance(writing.raised, ReceiverUnreachable) and "55P03" in str(writing.raised)
    assert sink.write(batch) == []


def test_an_interrupted_write_comes_back_at_once_and_leaves_nothing(sink: PostgresSink, database: Database) -> None:
    """A worker that is to stop waits for nobody's lock."""
    batch = items([classified(1), *case_story()])
    with locked(database, "lock table cases in access exclusive mode"):
        writing = Writing(sink, batch)
        until(lambda: bool(database.rows(WAITING)), "the write waits")
        sink.interrupt()
        writing.join()
        assert isinstance(writing.raised, ReceiverUnreachable)
        until(lambda: not database.rows(WAITING), "the server has given up the statement")
    assert (mentions(database), offsets(database)) == ([], {})
    assert sink.write(batch) == []


def test_a_statement_that_takes_longer_than_it_may_has_longer_the_next_time(
    sink: PostgresSink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a batch that is slow to write would be begun for ever; after a success the limit is as it was."""
    monkeypatch.setattr("sinks.postgres.sink._STATEMENT_S", 1)
    sink._statement_s = 1
    database.rows(
        "create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.2); return null; end $$;"
        f" create trigger slow after insert on {MENTIONS.name} execute function slow()"
    )
    try:
        with pytest.raises(ReceiverUnreachable, match="57014.*lasted too long"):
            sink.write(items([classified(1)]))
        assert sink.write(items([classified(1)])) == []
    finally:
        database.rows("drop function slow cascade")
    assert sink._statement_s == 1
    assert mentions(database) == ["u1"]


def test_a_session_that_stands_still_in_a_transaction_gives_its_locks_back(
    sink: PostgresSink, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a frozen worker, whose partitions another one owns by now."""
    monkeypatch.setattr("sinks.postgres.sink._STILL_S", 1)
    former = PostgresSink(database.uri)
    with pytest.raises(psycopg2.Error):
        stand_still(former, sink)
    former.close()
    assert offsets(database) == {("classified", 0): 1}


def stand_still(former: PostgresSink, sink: PostgresSink) -> None:
    """The former owner in the middle of a transaction while the new one writes, then on."""
    with former._transaction() as cursor:
        former._lock_offsets(cursor, [("classified", 0)])
        assert sink.write(items([classified(1)])) == []
        cursor.execute("select 1")
