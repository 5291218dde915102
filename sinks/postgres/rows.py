"""What each record becomes: its rows, and the current rows that it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from schemas import ids
from schemas.records import (
    Action,
    Alert,
    Assigned,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ChannelChanged,
    ClassifiedMention,
    ClockChanged,
    ContactCount,
    CrisisClosed,
    CrisisDeclared,
    CrisisOpened,
    Decided,
    Escalated,
    HoldingReplyCancelled,
    HoldingReplyDue,
    MentionUpdated,
    Offered,
    Overflowed,
    PolicyChanged,
    Record,
    Reply,
    Returned,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    Tick,
    Volume,
    WriterExcused,
)
from sinks.port import Item
from sinks.postgres import tables
from sinks.postgres.copytext import json
from sinks.postgres.tables import Table

Row = tuple[Any, ...]
Rowed = list[tuple[Table, Row]]

_ERRORS = "__connect.errors."
_LONGEST = 1000
_LONGEST_TOPIC = 249


class Unexpected(Exception):
    """A record that stands in no topic this sink reads."""


def rows_of(item: Item) -> Rowed:
    """The rows that an item becomes as it stands; a tombstone and a Tick become none. Raises Unexpected."""
    if item.record is None:
        return [_dead_letter(item)] if item.topic.endswith(".dead") else []
    make = _ROWS.get(type(item.record))
    if make is None:
        raise Unexpected(
            f"{type(item.record).__name__} in {item.topic}: PostgreSQL keeps no table for it; let this sink"
            " read the public topics without mentions"
        )
    return make(item.record)


def _none(_: Record) -> Rowed:
    return []


def _mention(record: ClassifiedMention) -> Rowed:
    m = record.mention
    # The order is that of tables.MENTIONS; written out because this row is nearly all of the traffic.
    return [
        (
            tables.MENTIONS,
            (
                m.id,
                m.brand,
                m.channel,
                m.author_id,
                m.native_id,
                m.created_at,
                m.received_at,
                m.kind,
                m.visibility,
                m.lang,
                m.conversation_id,
                m.in_reply_to,
                m.share_of,
                m.author_followers,
                m.reach,
                m.promoted,
                m.post_id,
                m.url,
                m.author_name,
                record.label,
                record.confidence,
                record.uncertain,
                record.lang,
                record.own,
                record.probabilities,
                record.model,
                record.policy,
                m.text,
            ),
        )
    ]


def _same_names(table: Table, **computed: Callable[[Any], Any]) -> Callable[[Any], Rowed]:
    """A row whose columns are the record's fields, but for the computed ones."""
    columns = [name for name, _ in table.columns]

    def make(record: Any) -> Rowed:
        row = [computed[c](record) if c in computed else getattr(record, c, None) for c in columns]
        return [(table, tuple(row))]

    return make


def _posts(volume: Volume) -> int:
    return sum(count.count for count in volume.counts)


def _aggregate(record: Decided) -> str:
    return record.aggregate


def _type(record: Record) -> str:
    return type(record).__name__


def _rest(table: Table) -> Callable[[Record], bytes]:
    """What of a record has no column of its own, as JSON."""
    own = {name for name, _ in table.columns} | {"aggregate"}

    def detail(record: Record) -> bytes:
        return json({k: v for k, v in msgspec.structs.asdict(record).items() if k not in own})

    return detail


def _event(table: Table, subject: str, **computed: Callable[[Any], Any]) -> Callable[[Any], Rowed]:
    """A row of an event table: the subject is the aggregate, and what has no column goes into `detail`."""
    return _same_names(table, **{subject: _aggregate, "type": _type, "detail": _rest(table)}, **computed)


def _offer(record: Decided) -> str | None:
    return record.id if isinstance(record, Offered) else getattr(record, "offer_id", None)


_in_alerts = _same_names(tables.ALERTS, evidence=lambda a: json(a.evidence), links=lambda a: json(a.links))


def _alert(record: Alert) -> Rowed:
    [(table, row)] = _in_alerts(record)
    return [(tables.ALERT_EVENTS, row), (table, row)]


def _dead_letter(item: Item) -> tuple[Table, Row]:
    """The row of a dead letter; one without its origin's headers is named by its own place."""

    def header(name: str) -> str | None:
        value = item.headers.get(_ERRORS + name)
        return None if value is None else value.decode("utf-8", "replace")[:_LONGEST]

    topic, partition, offset = header("topic") or "", header("partition") or "", header("offset") or ""
    place = (item.topic, item.partition, item.offset)
    if 0 < len(topic) <= _LONGEST_TOPIC and _is_number(partition, 9) and _is_number(offset, 18):
        place = (topic, int(partition), int(offset))
    why = (header("stage") or "unknown", header("exception.class.name"), header("exception.message"))
    return tables.DEAD_LETTERS, (*place, *why, item.stamp)


def _is_number(text: str, digits: int) -> bool:
    return text.isdecimal() and len(text) <= digits


_case_event = _event(tables.CASE_EVENTS, "case_id")
_assignment = _event(tables.ASSIGNMENTS, "work_id", offer_id=_offer)
_surge_event = _event(tables.SURGE_EVENTS, "surge_id")

_ROWS: dict[type[Record], Callable[[Any], Rowed]] = {
    ClassifiedMention: _mention,
    MentionUpdated: _same_names(
        tables.MENTION_UPDATES, mention_id=lambda u: ids.mention(u.brand, u.channel, u.native_id)
    ),
    Reply: _same_names(tables.REPLIES),
    Action: _same_names(tables.ACTIONS),
    Volume: _same_names(
        tables.VOLUMES,
        posts=_posts,
        counts=lambda v: json(v.counts),
        conversations=lambda v: json(v.conversations),
    ),
    ContactCount: _same_names(tables.CONTACTS),
    CrisisDeclared: _same_names(tables.CRISIS_DECLARATIONS),
    Alert: _alert,
    **dict.fromkeys((CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened), _case_event),
    **dict.fromkeys(
        (Offered, Assigned, Returned, Overflowed, HoldingReplyDue, HoldingReplyCancelled, Escalated),
        _assignment,
    ),
    **dict.fromkeys((SurgeOpened, SurgeUpdated, SurgeClosed, CrisisOpened, CrisisClosed, ChannelChanged), _surge_event),
    **dict.fromkeys((Tick, PolicyChanged, WriterExcused), _none),
}
