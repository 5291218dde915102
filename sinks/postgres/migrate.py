"""Applies the migrations, which are the `.sql` files in `migrations/`, once each, even if several workers start at the
same time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor
from yoyo import read_migrations  # type: ignore[import-untyped]
from yoyo.backends.base import SavepointTransactionManager  # type: ignore[import-untyped]
from yoyo.backends.core.postgresql import PostgresqlBackend  # type: ignore[import-untyped]
from yoyo.connections import DatabaseURI  # type: ignore[import-untyped]
from yoyo.migrations import default_migration_table  # type: ignore[import-untyped]

from sinks.port import SinkError
from sinks.postgres import comments

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATED: str = default_migration_table
"""The table that says which migrations were applied."""
#: The number of the advisory lock. Nothing else in the database may use it.
LOCK = 0x6E65_7463


class _Within:
    """A connection for yoyo. Its commit and close do nothing, because our caller ends the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def cursor(self) -> Cursor:
        return self._connection.cursor()

    def commit(self) -> None:
        """Does nothing: the caller commits."""

    def close(self) -> None:
        """Does nothing: the caller closes the connection."""


class _Backend(PostgresqlBackend):  # type: ignore[misc]
    """A backend for yoyo inside our transaction: yoyo's transactions become savepoints, and our lock replaces yoyo's
    lock. yoyo's own backend opens a connection for each migration, so a pooler would use many sessions; and its lock is
    a row, which stays when a worker is killed.
    """

    def __init__(self, connection: Connection) -> None:
        self._given = connection
        super().__init__(DatabaseURI("postgresql", None, None, None, None, None, {}), MIGRATED)

    def connect(self, dburi: Any) -> Any:
        return _Within(self._given)

    def copy(self) -> _Backend:
        return self

    def transaction(self, rollback_on_exit: bool = False) -> Any:
        return SavepointTransactionManager(self, rollback_on_exit=rollback_on_exit)

    def lock(self, timeout: float = 10) -> Any:
        return self.transaction()

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        # yoyo's own method asks for the user's name, and fails in a container whose user has no name.
        return {
            "id": str(uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": None,
            "hostname": None,
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def missing(cursor: Cursor) -> bool:
    """True where a migration is still to be applied. Raises psycopg2's errors."""
    cursor.execute("select to_regclass(%s) is null", (MIGRATED,))
    if cursor.fetchone() == (True,):
        return True
    cursor.execute(f"select migration_hash from {MIGRATED}")
    applied, wanted = {found for (found,) in cursor}, _wanted()
    return not wanted or any(migration.hash not in applied for migration in wanted)


def unknown(cursor: Cursor) -> list[str]:
    """The migrations that were applied and that only a newer release knows. Raises psycopg2's errors."""
    cursor.execute("select to_regclass(%s) is null", (MIGRATED,))
    if cursor.fetchone() == (True,):
        return []
    cursor.execute(f"select migration_id from {MIGRATED}")
    return sorted({found for (found,) in cursor} - {migration.id for migration in _wanted()})


def migrate(cursor: Cursor) -> None:
    """Apply the missing migrations and write the comments, all in the cursor's transaction, which must be new.

    Waits for another worker that migrates, up to the transaction's lock_timeout. Raises SinkError where a migration cannot
    be read, and psycopg2's errors.
    """
    cursor.execute("select pg_advisory_xact_lock(%s)", (LOCK,))
    wanted, backend = _wanted(), _Backend(cursor.connection)
    backend.apply_migrations(backend.to_apply(wanted))
    cursor.execute(comments.statements())
    # yoyo skips a file that it cannot read, without an error.
    left = [migration.id for migration in backend.to_apply(wanted)]
    if left or not wanted:
        raise SinkError(f"migrations not applied: {', '.join(left) or 'none found'}; is the installation complete?")


def _wanted() -> Any:
    return read_migrations(str(MIGRATIONS)).filter(lambda migration: migration.is_raw_sql())
