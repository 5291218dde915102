"""What each record becomes: its rows, and the current rows that it changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas import ids
from schemas.compiled import attributes
from schemas.dead_letter_headers import failure_of, is_mark
from schemas.headers import source_offset
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
from sinks.port import Item
from sinks.postgres import tables
from sinks.postgres.copytext import json
from sinks.postgres.tables import Table

Row = tuple[Any, ...]
Rowed = list[tuple[Table, Row]]
Make = Callable[[Any, Item], Rowed]

#: Fields that lead to a customer: nothing that a desk decides is kept with them, for its case knows whose it is.
CUSTOMER = frozenset({"author_id", "native_id", "url", "conversation", "posts"})
_LONGEST = 1000
_LONGEST_TOPIC = 249
_PARTITIONS = 2**31
"""Above every number of a partition."""


class Unexpected(Exception):
    """A record that stands in no topic this sink reads."""


def rows_of(item: Item) -> Rowed:
    """The rows that an item becomes as it stands; a tombstone and a Tick become none. Raises Unexpected."""
    if item.record is None:
        return _dead_letter(item) if item.topic.endswith(".dead") else []
    make = _ROWS.get(type(item.record))
    if make is None:
        raise Unexpected(
            f"{type(item.record).__name__} in {item.topic}: PostgreSQL keeps no table for it; let this sink"
            " read the public topics without mentions"
        )
    return make(item.record, item)


#: Columns that an item has, and no record: they are a table's last.
_PLACE: dict[str, Callable[[Item], int | None]] = {
    "source_offset": lambda item: source_offset(item.headers),
    "partition": lambda item: item.partition,
    "offset": lambda item: item.offset,
}


def _none(_: Record, __: Item) -> Rowed:
    return []


def _mention(record: ClassifiedMention, item: Item) -> Rowed:
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


def _same_names(table: Table, **computed: Callable[[Any], Any]) -> Make:
    """A row whose columns are the record's fields, but for the computed ones and the record's place."""
    names = [name for name, _ in table.columns]
    columns = [name for name in names if not (table.topic and name in _PLACE)]
    place = [_PLACE[name] for name in names[len(columns) :]]

    def make(record: Any, item: Item) -> Rowed:
        row = [computed[c](record) if c in computed else getattr(record, c, None) for c in columns]
        return [(table, (*row, *[of(item) for of in place]))]

    return make


def _posts(volume: Volume) -> int:
    return sum(count.count for count in volume.counts)


def _aggregate(record: Decided) -> str:
    return record.aggregate


def _type(record: Record) -> str:
    return type(record).__name__


def _without(record: Record, left_out: frozenset[str]) -> dict[str, Any]:
    """The record's fields but for some, as deep as it goes."""
    found = {name: getattr(record, a) for name, a in attributes(type(record)).items() if name not in left_out}
    return {name: _without(value, left_out) if isinstance(value, Record) else value for name, value in found.items()}


def _rest(table: Table, left_out: frozenset[str] = frozenset()) -> Callable[[Record], bytes]:
    """What of a record has no column of its own, as JSON."""
    own = {name for name, _ in table.columns} | {"crisis_id", "channel_id"}

    def detail(record: Record) -> bytes:
        return json({k: v for k, v in _without(record, left_out).items() if k not in own})

    return detail


def _event(table: Table, subject: str, **computed: Callable[[Any], Any]) -> Make:
    """A row of an event table: the subject is the aggregate, and what has no column goes into `detail`."""
    return _same_names(table, **{subject: _aggregate, "type": _type, "detail": _rest(table), **computed})


def _offer(record: Decided) -> str | None:
    return record.id if isinstance(record, Offered) else getattr(record, "offer_id", None)


_in_alerts = [
    _same_names(table, evidence=lambda a: json(a.evidence), links=lambda a: json(a.links))
    for table in (tables.ALERT_EVENTS, tables.ALERTS)
]


def _alert(record: Alert, item: Item) -> Rowed:
    return [row for make in _in_alerts for row in make(record, item)]


def _dead_letter(item: Item) -> Rowed:
    """The row of a dead letter, named by where its record stood, or by its own place where its headers do not say.

    A mark, which settles a dead letter, becomes no row.
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


def _change(record: Any) -> str | None:
    """What changed; of a closing, why."""
    return record.close_reason if isinstance(record, CaseClosed) else getattr(record, "change", None)


_case_rest = _rest(tables.CASE_EVENTS)


def _case_detail(record: Any) -> bytes:
    return _case_rest(record) if record.author_id else b"{}"


def _conversation(counted: ConversationCount) -> dict[str, Any]:
    return _without(counted, frozenset({"root_author"}))


_case_event = _event(tables.CASE_EVENTS, "case_id", change=_change, detail=_case_detail)
_assignment = _event(tables.ASSIGNMENTS, "work_id", offer_id=_offer, detail=_rest(tables.ASSIGNMENTS, CUSTOMER))
_surge_event = _event(tables.SURGE_EVENTS, "surge_id")

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
    **dict.fromkeys((Tick, PolicyChanged, SourceIdle), _none),
}
