"""A real PostgreSQL for the session, a database for each test, and a deadline for whatever is awaited."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from sinks.postgres.sink import PostgresSink


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a PostgreSQL where databases may be made: NETCENTER_TEST_POSTGRES, else an embedded one."""
    given = os.environ.get("NETCENTER_TEST_POSTGRES")
    if given:
        yield given
        return
    from netcenter.embedded import EmbeddedPostgres

    directory: Path = tmp_path_factory.mktemp("postgres")
    postgres = EmbeddedPostgres(directory, durable=False)
    try:
        yield postgres.start()
    finally:
        postgres.stop()


class Database:
    """A database of one test, seen by its owner."""

    def __init__(self, server: str) -> None:
        self.name = f"test_{uuid4().hex}"
        self._server = server
        self._connection: Any = None
        self.uri = make_dsn(server, dbname=self.name)

    def admin(self, sql: str) -> None:
        """Run on the server, outside of this database."""
        connection = psycopg2.connect(self._server)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query gives, or nothing for a statement."""
        if self._connection is None:
            self._connection = psycopg2.connect(self.uri)
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(sql)
            if cursor.description is None:
                return []
            names = [column.name for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor]

    def close(self) -> None:
        """Let go of the owner's connection; the next query makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def row(self, sql: str) -> dict[str, Any]:
        """The one row that a query gives."""
        [row] = self.rows(sql)
        return row

    def tables(self) -> list[str]:
        """The names of the projection's tables."""
        names = self.rows(
            "select table_name from information_schema.tables where table_schema = 'public'"
            r" and table_type = 'BASE TABLE' and table_name not like '\_yoyo%'"
        )
        return sorted(row["table_name"] for row in names)

    def dump(self) -> dict[str, list[str]]:
        """Every table's rows as sorted JSON."""
        return {
            name: sorted(str(row["line"]) for row in self.rows(f"select to_jsonb(t)::text as line from {name} t"))
            for name in self.tables()
        }

    def refuse_connections(self) -> None:
        """Cut every connection and let nobody in."""
        self.close()
        self.admin(f"alter database {self.name} allow_connections false")
        self.admin(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{self.name}'")

    def allow_connections(self) -> None:
        """Let everybody in again."""
        self.admin(f"alter database {self.name} allow_connections true")

    def empty(self) -> None:
        """Cut every other connection and delete every row."""
        deletes = "; ".join(f"delete from {name}" for name in self.tables())
        self.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            f" where datname = current_database() and pid <> pg_backend_pid(); {deletes}"
        )


@pytest.fixture(scope="session")
def shared(server: str) -> Iterator[Database]:
    """A database that has been migrated."""
    database = Database(server)
    database.admin(f"create database {database.name}")
    sink = PostgresSink(database.uri)
    sink.open()
    sink.close()
    yield database
    database.close()
    database.admin(f"drop database {database.name} with (force)")


@pytest.fixture
def database(shared: Database) -> Database:
    """A migrated database without a row: one for all tests, as making one costs more than most of them."""
    shared.empty()
    return shared


@pytest.fixture
def bare(server: str) -> Iterator[Database]:
    """A new database with nothing in it."""
    database = Database(server)
    database.admin(f"create database {database.name}")
    yield database
    database.close()
    database.admin(f"drop database {database.name} with (force)")


@pytest.fixture
def sink(database: Database) -> Iterator[PostgresSink]:
    """A sink on the test's database; it connects when it is first used."""
    sink = PostgresSink(database.uri)
    yield sink
    sink.close()


def until(holds: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Wait until it holds, or fail and say what was awaited."""
    end = time.monotonic() + seconds
    pause = 0.005
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)
