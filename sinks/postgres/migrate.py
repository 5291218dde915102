"""Migrations: the `.sql` files beside this module, applied once, however many workers start at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn
from yoyo import read_migrations  # type: ignore[import-untyped]
from yoyo.backends.core.postgresql import PostgresqlBackend  # type: ignore[import-untyped]
from yoyo.connections import DatabaseURI  # type: ignore[import-untyped]
from yoyo.migrations import default_migration_table  # type: ignore[import-untyped]

from sinks.port import SinkError

MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number does, as long as nothing else in this database takes the same.
_LOCK = 0x6E65_7463


class _Backend(PostgresqlBackend):  # type: ignore[misc]
    """yoyo's, under our advisory lock, which a killed worker cannot leave behind as it could yoyo's row."""

    @contextmanager
    def lock(self, timeout: float = 10) -> Iterator[None]:
        yield

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        # yoyo's asks for the user's and the host's name, and fails in a container whose user has no name.
        return {
            "id": str(uuid4()),
            "migration_id": migration.id if migration else None,
            "migration_hash": migration.hash if migration else None,
            "username": None,
            "hostname": None,
            "created_at_utc": datetime.now(UTC).replace(tzinfo=None),
            "operation": operation,
        }


def migrate(uri: str, connection: Connection) -> None:
    """Apply what is missing. `connection` holds the lock meanwhile; it must be outside of a transaction.

    Raises SinkError where a migration cannot be read, and psycopg2's errors.
    """
    with _locked(connection):
        backend = _backend(uri)
        try:
            wanted = read_migrations(str(MIGRATIONS)).filter(lambda migration: migration.is_raw_sql())
            backend.apply_migrations(backend.to_apply(wanted))
            # yoyo passes over a file that it cannot read.
            left = [migration.id for migration in backend.to_apply(wanted)]
        finally:
            backend.connection.close()
    if left or not wanted:
        raise SinkError(f"migrations not applied: {', '.join(left) or 'none found'}; is the installation complete?")


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    autocommit, connection.autocommit = connection.autocommit, True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", (_LOCK,))
            yield
            cursor.execute("select pg_advisory_unlock(%s)", (_LOCK,))
    finally:
        if not connection.closed:
            connection.autocommit = autocommit


def _backend(uri: str) -> _Backend:
    """yoyo reads URIs only, and not all that libpq reads; so libpq takes the URI apart."""
    parts = parse_dsn(uri)
    named = [parts.pop(name, None) for name in ("user", "password", "host", "port", "dbname")]
    return _Backend(DatabaseURI("postgresql", *named, parts), default_migration_table)
