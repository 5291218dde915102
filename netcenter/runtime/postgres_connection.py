"""A connection to PostgreSQL for a command."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import connection as Connection

from netcenter.errors import Unreachable
from sinks.postgres.connecting import connect


def open_postgres(uri: str, command: str) -> Connection:
    """A connection that PostgreSQL shows as this command's. Raises Unreachable, which names the cause in a line."""
    try:
        return connect(uri, connect_timeout=5, application_name=f"netcenter {command}")
    except psycopg2.OperationalError as error:
        raise Unreachable(f"PostgreSQL cannot be reached: {str(error).splitlines()[0]}") from None
