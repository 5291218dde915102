"""The projection's tables and roles, made by their owner: `netcenter postgres migrate` and `netcenter postgres roles`."""

from __future__ import annotations

from contextlib import closing

import psycopg2

from netcenter.errors import CommandError, Unreachable
from netcenter.runtime.postgres_connection import open_postgres
from sinks.port import ReceiverUnreachable, SinkError
from sinks.postgres.roles import statements
from sinks.postgres.sink import PostgresSink


def migrate(uri: str) -> None:
    """Apply the migrations that are missing. Raises CommandError."""
    sink = PostgresSink(uri)
    try:
        sink.open()
    except ReceiverUnreachable as error:
        raise Unreachable(str(error)) from None
    except SinkError as error:
        raise CommandError(str(error)) from None
    finally:
        sink.close()


def roles(uri: str, *, apply: bool) -> list[str]:
    """The SQL that makes the roles; with `apply`, also runs it in one transaction. Raises CommandError."""
    connection = open_postgres(uri, "postgres roles")
    try:
        with closing(connection), connection, connection.cursor() as cursor:
            found = statements(cursor)
            if apply:
                cursor.execute("; ".join(found))
            return found
    except SinkError as error:
        raise CommandError(str(error)) from None
    except psycopg2.errors.InsufficientPrivilege as error:
        first = str(error).splitlines()[0]
        raise CommandError(
            f"PostgreSQL: {first}: run this as a superuser, or let one run the SQL that it prints without --apply"
        ) from None
    except psycopg2.Error as error:
        raise CommandError(f"PostgreSQL: {str(error).splitlines()[0]}: see `netcenter doctor`") from None
