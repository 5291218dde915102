"""Which column of a file most likely holds which field, for the errors that suggest a --map."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

#: The names, without case and signs, under which exports of networks and contact centres hold a mention's fields; the
#: first that a file has is suggested.
_USUAL = {
    "native_id": "nativeid tweetid postid messageid commentid reviewid statusid ticketid idstr id externalid",
    "brand": "brand company brandname airline companyname marca empresa",
    "channel": "channel network platform socialnetwork channelname sourcetype canal red",
    "author_id": "authorid userid userscreenname screenname username author user from fromid name autor usuario",
    "created_at": "createdat createdtime createdtimeutc tweetcreated created publishedat postedat timestamp datetime date at "
    "fecha data",
    "text": "text fulltext message content body comment review tweet texto mensaje mensagem comentario",
    "lang": "lang language idioma",
    "url": "url link permalink",
    "author_name": "authorname displayname fullname nombre nome",
    "author_followers": "authorfollowers followers followerscount userfollowerscount",
    "in_reply_to": "inreplyto inreplytostatusid inresponsetotweetid inreplytoid",
    "conversation_id": "conversationid threadid",
}
NEEDED = ("native_id", "brand", "channel", "author_id", "created_at", "text")
"""The fields that each mention needs."""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def suggested(columns: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """The column that most likely holds each field, by field; for columns that are no fields themselves only.

    known: the fields that need no suggestion, because a column has their name or is mapped to them.
    """
    free = {_plain(column): column for column in reversed(list(columns))}
    found: dict[str, str] = {}
    for field, usual in _USUAL.items():
        name = next((name for name in (_plain(field), *usual.split()) if name in free), None)
        if name is not None and field not in known:
            found[field] = free.pop(name)
    return found


def as_options(maps: dict[str, str]) -> str:
    """The --map options of these fields, quoted for a shell."""
    return " ".join(f"--map {field}={shlex.quote(column)}" for field, column in maps.items())
