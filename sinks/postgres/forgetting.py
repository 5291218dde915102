"""Customers who were forgotten: which of their rows are erased, skipped, or written without the author."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
import psycopg2
from msgspec.structs import replace
from psycopg2.extensions import cursor as Cursor

from schemas import ids
from schemas.headers import source_offset
from schemas.records import (
    Action,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ClassifiedMention,
    ClockChanged,
    MentionUpdated,
    PostRef,
    Record,
    Reply,
)
from sinks.port import RefusedItem, SinkItem
from sinks.postgres import faults
from sinks.postgres.copytext import SUBSTITUTE

_THREAD = frozenset({ClassifiedMention, MentionUpdated, Reply, Action})
_CASE = frozenset({CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened})
_OF_A_CUSTOMER = _THREAD | _CASE

# Two statements: the first waits for other transactions, and the second sees what they have committed. A batch with a
# request to forget waits for all other running batches, and they wait for it; otherwise a batch that had checked before
# could still write the author. Transactions that only read do not wait.
_LOOK = "lock table forgotten in {} mode; select exists (select from forgotten)"
_REMEMBER = """
insert into forgotten as f (customer, "partition", "offset", at) values (%s, %s, %s, to_timestamp(%s / 1000::float8))
on conflict (customer) do update set "partition" = excluded."partition", "offset" = excluded."offset", at = excluded.at
where excluded."offset" > f."offset"
"""
_KNOWN = 'select customer, "offset" from forgotten where customer = any(%s::text[])'
_POSTS = 'select id::text, "offset" from mentions where id = any(%s::uuid[])'

_BEFORE = "where (brand, channel, author_id) = (%(brand)s, %(channel)s, %(author)s)"
_DELETE = "; ".join(
    f'delete from {table} {_BEFORE} and "offset" < %(offset)s'
    for table in ("mentions", "mention_updates", "replies", "actions")
)
# A case is old if it has an event from before the request. New cases of a customer who comes back stay. An event
# whose source is not known is taken as old.
_CASES = f"""
select case_id from cases c {_BEFORE} and exists (
    select from case_events e where e.case_id = c.case_id and (e.source_offset is null or e.source_offset <= %(offset)s)
)
"""
_WITHOUT_AUTHOR = """
update case_events set author_id = '', detail = '{}' where case_id = any(%(cases)s::uuid[]);
update clocks set author_id = '' where case_id = any(%(cases)s::uuid[]);
update cases set author_id = '', conversation = null, url = null, reach = null, followers = null
where case_id = any(%(cases)s::uuid[])
"""


class Forget(msgspec.Struct, frozen=True):
    """A request to forget a customer, and its place in `classified`. Records before it are erased, records after it stay."""

    key: bytes
    brand: str
    channel: str
    author_id: str
    partition: int
    offset: int
    at: int
    """ms; when the request was made."""


def forget(item: SinkItem) -> Forget | None:
    """The request to forget that an item of `classified` carries; None where it carries none."""
    record = item.record
    if type(record) is not Action or record.action != "forget":
        return None
    author, key = record.author_id.replace("\0", SUBSTITUTE), item.key or b""
    return Forget(key, record.brand, record.channel, author, item.partition, item.offset, record.created_at)


def admitted(cursor: Cursor, items: Sequence[SinkItem]) -> tuple[list[SinkItem], list[RefusedItem]]:
    """Erase the customers whom the batch's requests name; return the items that are to be written, and the refused items.

    Records of `classified` at or before the request of their customer are left out, and so are later updates of a post
    that is older than the request. An event of a case that such a record led to is returned without its author.
    """
    forgets = [(item, found) for item in items if type(item.record) is Action and (found := forget(item))]
    cursor.execute(_LOOK.format("exclusive" if forgets else "row exclusive"))
    if cursor.fetchone() == (False,) and not forgets:
        return list(items), []
    refused = [wrong for item, one in forgets if (wrong := _heeded(cursor, item, one))]
    if refused:
        wrong_items = {id(one.item) for one in refused}
        items = [item for item in items if id(item) not in wrong_items]
    known = _known(cursor, {item.key for item in items if item.key and type(item.record) in _OF_A_CUSTOMER})
    return list(_left(cursor, items, known)) if known else list(items), refused


def _heeded(cursor: Cursor, item: SinkItem, one: Forget) -> RefusedItem | None:
    """Remember a request and erase its customer. Returns the refused item where PostgreSQL refuses a value of it."""
    cursor.execute("savepoint forget")
    try:
        remember(cursor, [one])
        erase(cursor, one)
    except (psycopg2.Error, ValueError) as error:
        if not faults.is_row(error):
            raise
        cursor.execute("rollback to savepoint forget; release savepoint forget")
        return faults.refused(item, error)
    cursor.execute("release savepoint forget")
    return None


def remember(cursor: Cursor, forgets: Sequence[Forget]) -> None:
    """Store each request; of several requests for one customer the last counts."""
    for one in forgets:
        cursor.execute(_REMEMBER, (_digest(one.key), one.partition, one.offset, one.at))


def erase(cursor: Cursor, forget: Forget) -> None:
    """Delete the customer's earlier posts, updates, replies and actions, and take the author out of their old cases."""
    values: dict[str, Any] = {
        "brand": forget.brand,
        "channel": forget.channel,
        "author": forget.author_id,
        "offset": forget.offset,
    }
    cursor.execute(_DELETE, values)
    cursor.execute(_CASES, values)
    cases = [case for (case,) in cursor]
    if cases:
        cursor.execute(_WITHOUT_AUTHOR, {"cases": cases})


def _digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def _known(cursor: Cursor, keys: Collection[bytes]) -> dict[bytes, int]:
    """Returns the customers that were forgotten, each with the offset of the request."""
    digests = {_digest(key): key for key in keys}
    cursor.execute(_KNOWN, ("{" + ",".join(digests) + "}",))
    return {digests[customer]: offset for customer, offset in cursor}


def _left(cursor: Cursor, items: Sequence[SinkItem], known: dict[bytes, int]) -> Iterator[SinkItem]:
    posts = _posts(cursor, [item for item in items if type(item.record) is MentionUpdated and item.key in known])
    for item in items:
        record: Any = item.record
        until = known.get(item.key or b"")
        if until is None or type(record) not in _OF_A_CUSTOMER:
            yield item
        elif type(record) in _CASE:
            led = source_offset(item.headers)
            yield item if led is not None and led > until else replace(item, record=_anonymous(record))
        elif item.offset > until:
            if type(record) is ClassifiedMention:
                posts.setdefault(_post(record.mention), item.offset)
            # Customers who ask to be forgotten often delete their posts too, and the network reports that afterwards.
            if type(record) is not MentionUpdated or posts.get(_post(record), item.offset) < item.offset:
                yield item


def _posts(cursor: Cursor, updates: Sequence[SinkItem]) -> dict[str, int]:
    """The posts that the updates are about and that are stored, by id, with their offsets."""
    if not updates:
        return {}
    cursor.execute(_POSTS, ([_post(item.record) for item in updates],))
    return dict(cursor.fetchall())


def _post(record: Any) -> str:
    return ids.mention(record.brand, record.channel, record.native_id)


def _anonymous(event: Record) -> Record:
    """The event without its author and every field that identifies the author. Fields that statistics need stay."""
    changes: dict[str, Any] = {"author_id": ""}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, PostRef):
            changes[name] = replace(value, native_id="", url=None)
        elif name in ("conversation", "reach", "followers"):
            changes[name] = None
    return replace(event, **changes)
