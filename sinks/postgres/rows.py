"""The rows that each record becomes. Current rows, which are folds over events, are in `current.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from schemas import ids, jsonform
from schemas.compiled import attributes
from schemas.dead_letter_headers import failure_of, is_mark
from schemas.headers import source_offset
from schemas.records import (
    Action,
    Alert,
    AlertDelivery,
    Assigned,
    CaseChanged,
    CaseClosed,
    CaseOpened,
    CaseReopened,
    ChannelChanged,
    ClassifiedMention,
    ClockChanged,
    ContactCount,
    ConversationCount,
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
    SourceIdle,
    SurgeClosed,
    SurgeOpened,
    SurgeUpdated,
    Tick,
    Volume,
)
from sinks.port import SinkItem
from sinks.postgres import tables
from sinks.postgres.copytext import json
from sinks.postgres.table import ProjectionTable

Row = tuple[Any, ...]
Rowed = list[tuple[ProjectionTable, Row]]
Make = Callable[[Any, SinkItem], Rowed]

#: Fields that lead to a customer. Events of a desk are stored without these fields, because the case names its
#: customer.
CUSTOMER = frozenset({"author_id", "native_id", "url", "conversation", "posts"})
_LONGEST = 1000
_LONGEST_TOPIC = 249
_PARTITIONS = 2**31
"""Larger than every partition number."""


class Unwritable(Exception):
    """The record cannot become a row; the message says why, without the record's words."""


class Unexpected(Unwritable):
    """A record that belongs to no topic that this sink reads."""


class TimeOutOfRange(Unwritable):
    """A record with a time that neither RFC 3339 nor PostgreSQL can write."""


def rows_of(item: SinkItem) -> Rowed:
    """The rows that an item becomes, each with its table. A tombstone and a Tick become none. Raises Unwritable."""
    if item.record is None:
        return _dead_letter(item) if item.topic.endswith(".dead") else []
    make = _ROWS.get(type(item.record))
    if make is None:
        raise Unexpected(
            f"{type(item.record).__name__} in {item.topic}: PostgreSQL keeps no table for it; let this sink"
            " read the public topics without mentions"
        )
    return make(item.record, item)


#: Columns that come from the item and not from the record. They are the last columns of their table.
_PLACE: dict[str, Callable[[SinkItem], int | None]] = {
    "source_offset": lambda item: source_offset(item.headers),
    "partition": lambda item: item.partition,
    "offset": lambda item: item.offset,
}


def _none(_: Record, __: SinkItem) -> Rowed:
    return []


def _mention(record: ClassifiedMention, item: SinkItem) -> Rowed:
    m = record.mention
    # The values in the order of tables.MENTIONS; written out for speed, because nearly all records are mentions.
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
                record.classified_lang,
                record.own,
                record.probabilities,
                record.model,
                record.policy,
                m.text,
                item.partition,
                item.offset,
            ),
        )
    ]


def _same_names(table: ProjectionTable, **computed: Callable[[Any], Any]) -> Make:
    """A maker of rows whose columns are the record's fields of the same names, except for `computed` and the record's place."""
    names = [name for name, _ in table.columns]
    columns = [name for name in names if not (table.topic and name in _PLACE)]
    place = [_PLACE[name] for name in names[len(columns) :]]

    @cache
    def values_of(cls: type[Record]) -> list[Callable[[Any], Any]]:
        attribute = attributes(cls)
        return [
            computed[c] if c in computed else attrgetter(attribute[c]) if c in attribute else _null for c in columns
        ]

    def make(record: Record, item: SinkItem) -> Rowed:
        row = [value(record) for value in values_of(type(record))]
        return [(table, (*row, *[of(item) for of in place]))]

    return make


def _null(record: Record) -> None:
    """The value of a column that a class of records does not have."""


def _posts(volume: Volume) -> int:
    return sum(count.count for count in volume.counts)


def _late(volume: Volume) -> int:
    return sum(count.count for late in volume.late for count in late.counts)


def _type(record: Record) -> str:
    return type(record).__name__


def _without(values: dict[str, Any], left_out: frozenset[str]) -> dict[str, Any]:
    """The values without the fields of these names, at every depth."""
    return {
        name: _without(value, left_out) if isinstance(value, dict) else value
        for name, value in values.items()
        if name not in left_out
    }


def _rest(table: ProjectionTable, left_out: frozenset[str] = frozenset()) -> Callable[[Record], bytes]:
    """The fields of a record that have no column, as JSON with times in RFC 3339.

    left_out: fields that are left out, at every depth.
    """
    own = {name for name, _ in table.columns}

    def detail(record: Record) -> bytes:
        try:
            values = jsonform.fields(record)
        except ValueError:
            raise TimeOutOfRange(f"{type(record).__name__}: a time outside of the years 1 to 9999") from None
        return json({k: v for k, v in (_without(values, left_out) if left_out else values).items() if k not in own})

    return detail


def _event(table: ProjectionTable, **computed: Callable[[Any], Any]) -> Make:
    """A maker of an event table's rows: fields without a column go into `detail`."""
    return _same_names(table, **{"type": _type, "detail": _rest(table), **computed})


def _offer(record: Decided) -> str | None:
    return record.id if isinstance(record, Offered) else getattr(record, "offer_id", None)


_in_alerts = [
    _same_names(
        table,
        evidence=lambda a: json(a.evidence),
        links=lambda a: json(a.links),
        receivers=lambda a: None if a.receivers is None else json(a.receivers),
        texts=lambda a: json(a.texts),
    )
    for table in (tables.ALERT_EVENTS, tables.ALERTS)
]


def _alert(record: Alert, item: SinkItem) -> Rowed:
    return [row for make in _in_alerts for row in make(record, item)]


def _dead_letter(item: SinkItem) -> Rowed:
    """The row of a dead letter. Its key is the place of the record that failed; where the headers do not say, its own
    place.

    A mark, which says that an earlier dead letter was redriven or discarded, becomes no row.
    """
    if is_mark(item.headers):
        return []
    topic, partition, offset, *why = failure_of(item.headers)
    place = (item.topic, item.partition, item.offset)
    if (
        topic
        and len(topic) <= _LONGEST_TOPIC
        and partition is not None
        and partition < _PARTITIONS
        and offset is not None
    ):
        place = (topic, partition, offset)
    stage, error, message = (None if text is None else text[:_LONGEST] for text in why)
    return [(tables.DEAD_LETTERS, (*place, stage or "unknown", error, message, item.stamp))]


_case_rest = _rest(tables.CASE_EVENTS)


def _case_detail(record: Any) -> bytes:
    return _case_rest(record) if record.author_id else b"{}"


def _conversation(counted: ConversationCount) -> dict[str, Any]:
    return _without(msgspec.structs.asdict(counted), frozenset({"root_author"}))


_case_event = _event(tables.CASE_EVENTS, detail=_case_detail)
_assignment = _event(tables.ASSIGNMENTS, offer_id=_offer, detail=_rest(tables.ASSIGNMENTS, CUSTOMER))
_surge_event = _event(tables.SURGE_EVENTS)

_ROWS: dict[type[Record], Make] = {
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
        conversations=lambda v: json([_conversation(counted) for counted in v.conversations]),
        late=_late,
    ),
    ContactCount: _same_names(tables.CONTACTS),
    CrisisDeclared: _same_names(tables.CRISIS_DECLARATIONS),
    Alert: _alert,
    AlertDelivery: _same_names(tables.ALERT_DELIVERIES),
    **dict.fromkeys((CaseOpened, CaseChanged, ClockChanged, CaseClosed, CaseReopened), _case_event),
    **dict.fromkeys(
        (Offered, Assigned, Returned, Overflowed, HoldingReplyDue, HoldingReplyCancelled, Escalated),
        _assignment,
    ),
    **dict.fromkeys((SurgeOpened, SurgeUpdated, SurgeClosed, CrisisOpened, CrisisClosed, ChannelChanged), _surge_event),
    **dict.fromkeys((Tick, PolicyChanged, SourceIdle), _none),
}
