"""Why a session waits: which lock, and who holds it. A statement's text is never shown: it may hold the words of a post."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor

#: Options of the asking connection, which override the sink's options: a late answer is useless.
CONNECTION: dict[str, Any] = {"application_name": "netcenter sink, asking", "connect_timeout": "5"}

_ASK = """
set local statement_timeout = '4s';
select coalesce(wait_event_type || ' ' || wait_event, ''), extract(epoch from now() - state_change)::bigint
from pg_stat_activity where pid = %s
"""
_LOCK = """
select coalesce(relation::regclass::text, locktype || ' lock') from pg_locks where pid = %s and not granted limit 1
"""
# For a session of another user, PostgreSQL shows only the process number and the user's name.
_HOLDERS = """
select b.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown'), coalesce(a.usename::text, ''),
    coalesce(a.state, ''), extract(epoch from now() - a.xact_start)::bigint
from unnest(pg_blocking_pids(%s)) as b (pid) left join pg_stat_activity a on a.pid = b.pid order by 1
"""


def held(cursor: Cursor, session: int | None) -> str:
    """What this session waits for, as words for a log line. Raises psycopg2's errors."""
    if session is None:
        return "it is not in a transaction yet: connecting, or waiting for a pooler's connection"
    cursor.execute(_ASK, (session,))
    found = cursor.fetchone()
    if found is None:
        return f"the server knows nothing of session {session} any more"
    waits, since = found
    cursor.execute(_LOCK, (session,))
    lock = cursor.fetchone()
    cursor.execute(_HOLDERS, (session,))
    holders = [_holder(*row) for row in cursor]
    if holders:
        return f"waits for {lock[0] if lock else 'a lock'}, held by {', '.join(holders)}"
    return f"session {session} has been at one statement for {since or 0} s{f', in {waits}' if waits else ''}"


def _holder(pid: int, name: str, user: str, state: str, seconds: int | None) -> str:
    if pid == 0:
        return "a prepared transaction (see pg_prepared_xacts)"
    said = [name, f"user {user}" if user else "", state, f"in a transaction for {seconds} s" if seconds else ""]
    return f"pid {pid} ({', '.join(filter(None, said))}; `select pg_terminate_backend({pid})` ends it)"


def is_silence(error: psycopg2.Error) -> bool:
    """True where the server did not answer at all, as a frozen one does."""
    return error.pgcode is None and "timeout expired" in str(error)
