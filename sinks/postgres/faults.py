"""What an error of PostgreSQL means for the caller: refuse a row, wait, or have an operator correct something."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
import psycopg2

from sinks.port import ReceiverUnreachable, RefusedItem, SinkError, SinkItem
from sinks.postgres.connecting import TlsRefused

#: `row`: the row is at fault, and the rest of its batch can be written. `passing`: the fault ends by itself, or when an
#: operator has repaired the server. `standing`: the fault ends when an operator corrects settings, rights or tables.
Kind = Literal["row", "passing", "standing"]


class SqlFault(msgspec.Struct, frozen=True):
    """The kind of an error, and what an operator can do about it."""

    kind: Kind
    words: str = ""


_SESSION = (
    "correct the user, the password or the server's pg_hba.conf; a URI that stands in a file is read again at each try"
)
_TABLES = (
    "the tables are not those of the migrations: restore them, or start this worker again, which makes and migrates what "
    "is missing"
)

#: Faults by SQLSTATE, or by its class (the first two characters). Every SQLSTATE that is not listed is `standing`.
FAULTS: dict[str, SqlFault] = {
    # Faults of the row: its data, a constraint, a limit. Nothing else ever becomes a dead letter.
    "22": SqlFault("row"),
    "23": SqlFault("row"),
    "54": SqlFault("row"),
    # Faults of the server or the network, which pass.
    "08": SqlFault("passing", "the connection broke"),
    "25006": SqlFault("passing", "it is read-only: a standby, or made so; let the URI lead to the primary"),
    "25P03": SqlFault("passing", "the server ended a transaction that stood still"),
    "25P04": SqlFault("passing", "the server ended a transaction that lasted too long"),
    "40": SqlFault("passing", "another transaction was in the way"),
    "53": SqlFault("passing", "it is out of resources"),
    "53100": SqlFault("passing", "its disk is full: make room there"),
    "53200": SqlFault("passing", "it is out of memory"),
    "53300": SqlFault("passing", "it has no connection to spare: raise max_connections, or end some"),
    "55": SqlFault("passing", "something is in use"),
    "55P03": SqlFault("passing", "a lock was not to be had in time: end whoever holds it"),
    "57": SqlFault("passing", "an operator or the server intervened"),
    "57014": SqlFault("passing", "a statement was cancelled, or lasted too long"),
    "57P01": SqlFault("passing", "the server shuts down, or the session was ended"),
    "57P03": SqlFault("passing", "the server starts or shuts down"),
    "58": SqlFault("passing", "its operating system reports an error: see the server's log"),
    # Faults of settings, rights and tables.
    "28": SqlFault("standing", _SESSION),
    "3D": SqlFault("standing", "the database is not there: make or restore it, or correct the URI"),
    "3F": SqlFault("standing", "the schema is not there: make or restore it, or correct the search path"),
    "42": SqlFault("standing", _TABLES),
    "42501": SqlFault("standing", "this user may not use or create the tables: grant it, or use the owner"),
    "XX": SqlFault("standing", "PostgreSQL finds itself in disorder: see the server's log"),
}
#: The SQLSTATE of a statement that was cancelled by its timeout, by an operator or by the sink.
CANCELLED = "57014"
_UNKNOWN = SqlFault("standing", "this is no fault that is known here: see the server's log")

#: Words in the error when a server or a pooler refuses a session: psycopg2 gives no SQLSTATE for it.
_REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(words), code)
    for words, code in (
        (
            r"too many clients|connection slots are reserved|[Tt]oo many connections|no more connections allowed",
            "53300",
        ),
        (r"permission denied for database", "42501"),
        (r"database .* does not exist|no such database", "3D000"),
        (
            r"authentication failed|no password supplied|no pg_hba.conf entry|[Rr]ole .* does not exist"
            r"|is not permitted to log in|no such user",
            "28000",
        ),
    )
)
#: How libpq or a pooler rejects the URI itself, before it asks a server.
_SETTINGS = re.compile(
    r"invalid (connection option|port number|sslmode value|channel_binding value)|unsupported startup parameter"
    r"|certificate|does not support SSL"
)
#: How COPY names the line and column of an error, before it quotes the value.
_COPIED = re.compile(r"COPY stage_(\w+)_[0-9a-f]{8}, line \d+(?:, column (\w+))?")


def fault(code: str) -> SqlFault:
    """The fault that `FAULTS` lists for this SQLSTATE."""
    return FAULTS.get(code) or FAULTS.get(code[:2], _UNKNOWN)


def is_row(error: Exception) -> bool:
    """True where a row is at fault, so that the rest of its batch can be written."""
    if isinstance(error, ValueError):  # psycopg2 cannot write a value as SQL, such as a key with a NUL
        return True
    return isinstance(error, psycopg2.Error) and error.pgcode is not None and fault(error.pgcode).kind == "row"


def refused(item: SinkItem, error: Exception) -> RefusedItem:
    """The item with PostgreSQL's reason to refuse it. PostgreSQL's own message is left out: it quotes values."""
    name = type(item.record).__name__ if item.record is not None else "dead letter"
    said = _said(error) if isinstance(error, psycopg2.Error) else "a value that cannot be written as SQL"
    return RefusedItem(
        item=item,
        stage="sink",
        error=type(error).__name__,
        message=f"PostgreSQL refuses the row of this {name}: {said}",
    )


def _said(error: psycopg2.Error) -> str:
    diag = error.diag
    said = [f"SQLSTATE {error.pgcode}"]
    table, column = diag.table_name, diag.column_name
    copied = _COPIED.match(diag.context or "")
    if copied is not None:
        table, column = copied[1], copied[2]
    said += [f"{what} {which}" for what, which in (("table", table), ("column", column)) if which]
    if diag.constraint_name:
        said.append(f"constraint {diag.constraint_name}")
    return ", ".join(said)


def translated(error: psycopg2.Error, server: str, *, lost: bool, worked: bool) -> ReceiverUnreachable | SinkError:
    """The port's error for an error that no row has caused.

    lost: the connection is gone. worked: this sink has succeeded before, so its settings, rights and tables were right
    once. Such a fault is then ReceiverUnreachable; before the first success it is SinkError.
    """
    if error.pgcode is None:
        return _without_code(error, server, lost=lost, worked=worked)
    subject = ", ".join(filter(None, (error.diag.schema_name, error.diag.table_name, error.diag.constraint_name)))
    place = f" at {subject}" if subject else ""
    found = fault(error.pgcode)
    said = f"{server} cannot work now: SQLSTATE {error.pgcode} {type(error).__name__}{place}; {found.words or _UNKNOWN.words}"
    return ReceiverUnreachable(said) if lost or found.kind == "passing" or worked else SinkError(said)


def _without_code(error: psycopg2.Error, server: str, *, lost: bool, worked: bool) -> ReceiverUnreachable | SinkError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not lost and not isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return SinkError(f"{server}: {type(error).__name__}; this is a fault of the sink")
    if isinstance(error, TlsRefused):
        said = f"{server} cannot be reached: {first}"
        return ReceiverUnreachable(said) if worked else SinkError(said)
    if _SETTINGS.search(first):
        said = f"{server} cannot be reached with this URI: {first}; correct it, or the server"
        return ReceiverUnreachable(said) if worked else SinkError(said)
    for words, code in _REFUSALS:
        if words.search(first):
            found = fault(code)
            said = f"{server} refuses the session: {first}; {found.words}"
            return ReceiverUnreachable(said) if worked or found.kind == "passing" else SinkError(said)
    return ReceiverUnreachable(f"{server} cannot be reached: {first}")
