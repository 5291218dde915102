"""What an error of PostgreSQL means for the caller: wait, set a row aside, or give up."""

from __future__ import annotations

import re

import psycopg2

from sinks.port import Item, Refused, SinkError, Unreachable

#: SQLSTATE classes (first two digits) of what lies in the row: its data, a constraint, a limit.
_ROW = frozenset({"22", "23", "54"})
#: Classes that pass: connection, resources, serialization and deadlock, locks, intervention, system.
_PASSING = frozenset({"08", "40", "53", "55", "57", "58"})
#: A server that has become or still is a standby.
_READ_ONLY = "25006"
#: A server that refuses a session says why in words only, without a code.
_SETTINGS = re.compile(
    "authentication failed|no password supplied|no pg_hba.conf entry|(role|database) .* does not exist"
    "|is not permitted to log in|invalid (connection option|port number|sslmode value|channel_binding value)"
)
#: How COPY tells of a place, before it quotes what stands there.
_COPIED = re.compile(r"COPY stage_(\w+), line \d+(?:, column (\w+))?")


def is_row(error: psycopg2.Error) -> bool:
    """Whether a row is at fault, so that the rest of its batch can be written."""
    return error.pgcode is not None and error.pgcode[:2] in _ROW


def refused(item: Item, error: psycopg2.Error) -> Refused:
    """The item with what PostgreSQL has against it: never its own words, for they quote values."""
    diag = error.diag
    name = type(item.record).__name__ if item.record is not None else "dead letter"
    said = [f"SQLSTATE {error.pgcode}"]
    table, column = diag.table_name, diag.column_name
    copied = _COPIED.match(diag.context or "")
    if copied is not None:
        table, column = copied[1], copied[2]
    said += [f"{what} {which}" for what, which in (("table", table), ("column", column)) if which]
    if diag.constraint_name:
        said.append(f"constraint {diag.constraint_name}")
    return Refused(
        item=item,
        stage="sink",
        error=type(error).__name__,
        message=f"PostgreSQL refuses the row of this {name}: {', '.join(said)}",
    )


def translated(error: psycopg2.Error, server: str, lost: bool) -> Unreachable | SinkError:
    """Any other error as one of the port's. `lost`: the connection is gone."""
    code = error.pgcode
    if code is None:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if not lost and not isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
            return SinkError(f"{server}: {type(error).__name__}; this is a fault of the sink")
        if _SETTINGS.search(first):
            return SinkError(f"{server} refuses the session: {first}; correct the PostgreSQL URI or the server")
        return Unreachable(f"{server} cannot be reached: {first}")
    said = f"SQLSTATE {code} {type(error).__name__}"
    if lost or code[:2] in _PASSING or code == _READ_ONLY:
        return Unreachable(f"{server} cannot write now: {said}")
    if code == "42501":
        return SinkError(f"{server}: this user may not use or create the tables ({said}); grant it, or use the owner")
    subject = ", ".join(filter(None, (error.diag.schema_name, error.diag.table_name, error.diag.constraint_name)))
    return SinkError(
        f"{server}: {said}{f' at {subject}' if subject else ''}; the tables are not those of the migrations"
    )
