"""Looks up the root post of an alert among the mentions in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from queue import Empty, SimpleQueue

import psycopg2

from schemas import ids
from schemas.records import Alert
from sinks.alert_receiver import PostWords
from sinks.port import ReceiverUnreachable, SinkError
from sinks.postgres.connecting import connect
from sinks.root_posts import PostUnread

_PATIENCE_S = 1.0
_CONNECT_S = 2
"""The least that libpq takes."""
_CHANNELS = "channels."
_QUERY = "select url, text from mentions where id = any(%s::uuid[]) and not deleted and not hidden limit 1"


class StoredPosts:
    """Implements `sinks.root_posts.RootPosts`, with a connection for each look-up.

    uri: returns the URI of PostgreSQL as it is now; raises SinkError or ReceiverUnreachable. patience: seconds for a look-up.
    """

    def __init__(self, uri: Callable[[], str], patience: float = _PATIENCE_S) -> None:
        self._uri, self._patience = uri, patience
        self._running: threading.Thread | None = None

    def find(self, alert: Alert) -> PostWords | None:
        """See the port. A look-up that hangs is left alone, and none begins before it ends."""
        root = alert.evidence.get("root")
        if not root:
            return None
        if self._running is not None and self._running.is_alive():
            raise PostUnread("PostgreSQL still does not answer an earlier question")
        wanted = [ids.make("mention", alert.brand, channel, root) for channel in _channels(alert)]
        found: SimpleQueue[PostWords | PostUnread | None] = SimpleQueue()
        self._running = threading.Thread(target=lambda: found.put(self._asked(wanted)), daemon=True)
        self._running.start()
        try:
            post = found.get(timeout=self._patience)
        except Empty:
            raise PostUnread(f"PostgreSQL does not answer within {self._patience:g} s") from None
        if isinstance(post, PostUnread):
            raise post
        return post

    def _asked(self, wanted: list[str]) -> PostWords | PostUnread | None:
        try:
            with closing(connect(self._uri(), connect_timeout=_CONNECT_S)) as connection, connection.cursor() as cursor:
                cursor.execute("set local statement_timeout = %s", (int(self._patience * 1000),))
                cursor.execute(_QUERY, (wanted,))
                row = cursor.fetchone()
        except (SinkError, ReceiverUnreachable) as error:
            return PostUnread(str(error))
        except psycopg2.Error as error:
            return PostUnread(f"PostgreSQL: {type(error).__name__}")
        return None if row is None else PostWords(text=row[1], url=row[0])


def _channels(alert: Alert) -> list[str]:
    """The channels from which the posts of an alert came; the root post is in one of them."""
    return [name.removeprefix(_CHANNELS) for name in alert.evidence if name.startswith(_CHANNELS)]
