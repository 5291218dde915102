"""Every record of every public topic becomes the right rows in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from netcenter.operate.work_history import history_of, work_in_postgres
from schemas import ids, jsonform
from schemas.records import (
    RECORDS,
    Action,
    Alert,
    Assigned,
    Candidate,
    ChannelChanged,
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
    Tick,
    Volume,
    VolumeCount,
    WorkChanged,
)
from schemas.times import rfc3339
from sinks.port import SinkItem
from sinks.postgres import copybinary, tables
from sinks.postgres.current import FOLDS
from sinks.postgres.rows import Unexpected, rows_of
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database
from tests.support.samples import (
    CASE,
    FACT,
    FINGERPRINT,
    MINUTE,
    SURGE,
    T0,
    alert,
    answered,
    case_story,
    changed,
    classified,
    clock,
    closed,
    decided,
    delivery,
    item,
    items,
    mention,
    opened,
    post,
    reopened,
    surge_story,
    uuid_of,
)


def at(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def held(row: dict[str, Any], **expected: Any) -> None:
    """The row has these values."""
    assert {name: row[name] for name in expected} == expected


WORK: dict[str, Any] = {"desk": "care", "case_id": CASE, "brand": "andina"}
OFFER = Offered(
    **decided("work-1", 1),
    **WORK,
    channel="twitter",
    author_id="u1",
    operator="o7",
    expires_at=T0 + MINUTE,
    due_at=None,
    label="complaint",
    priority=1,
    mode="live",
    candidates=[Candidate(operator="o7", load=0, capacity=3)],
)
QUEUED = WorkChanged(
    **decided("work-2", 1),
    **WORK,
    channel="twitter",
    author_id="u1",
    change="queued",
    label="complaint",
    priority=1,
    mode="live",
    started_at=T0,
    due_at=None,
)
ASSIGNMENTS: list[Decided] = [
    OFFER,
    Assigned(**decided("work-1", 2), **WORK, operator="o7", offer_id=OFFER.id, waited_ms=900),
    Returned(**decided("work-1", 3), **WORK, operator="o7", offer_id=OFFER.id, return_reason="declined", times=1),
    Overflowed(**decided("work-1", 4), **WORK, next_desk="night", work=QUEUED),
    HoldingReplyDue(
        **decided("work-1", 5),
        **WORK,
        channel="twitter",
        author_id="u1",
        native_id="101",
        visibility="public",
        lang="es",
        template="hold",
        expires_at=T0,
    ),
    HoldingReplyCancelled(**decided("work-1", 6), **WORK, holding_id=ids.event("work-1", 5)),
    Escalated(**decided("work-1", 7), **WORK, mode="live", rung="lead", to="boss", used=90),
]
BRAND: dict[str, Any] = {"brand": "andina", "mode": "live"}
CRISES: list[Decided] = [
    CrisisOpened(**decided("crisis-1", 1), **BRAND, by="rule", surge_id=SURGE, dry_run=False),
    CrisisClosed(**decided("crisis-1", 2), **BRAND, by="rule"),
    ChannelChanged(**decided("channel-1", 1), **BRAND, channel="twitter", change="silent", expected=20.5, since=T0),
]
REPLY = Reply(
    id=ids.reply("andina", "twitter", "r1"),
    brand="andina",
    channel="twitter",
    author_id="u1",
    native_id="r1",
    created_at=T0,
    operator="o7",
    in_reply_to="101",
    text="our answer",
)
ACTION = Action(
    id=ids.action("andina", "twitter", "a1"),
    brand="andina",
    channel="twitter",
    author_id="u1",
    action_id="a1",
    action="mute",
    created_at=T0,
    until=T0 + MINUTE,
    note="enough",
)
CONTACTS = ContactCount(id=ids.make("contacts", "x"), brand="andina", source="calls", minute=T0, count=12)
DECLARED = CrisisDeclared(id=ids.make("crisis", "x"), brand="andina", change="open", by="ana", reason="fire", at=T0)


def volume(offset: int, count: int) -> Volume:
    return Volume(
        id=ids.make("volume", "andina", T0, 3, offset),
        brand="andina",
        minute=T0 - T0 % MINUTE,
        partition=3,
        offset=offset,
        counts=[
            VolumeCount(channel="twitter", kind="post", label="complaint", count=count),
            VolumeCount(channel="web", kind="review", label="praise", count=1),
        ],
        authors=count,
        reach=10 * count,
        conversations=[ConversationCount(root="100", channel="twitter", posts=2, complaints=1, root_author="u1")],
    )


def update(observed_at: int, n: int = 1, **fields: Any) -> MentionUpdated:
    return MentionUpdated(
        id=ids.make("update", "andina", "twitter", observed_at, n),
        brand="andina",
        channel="twitter",
        author_id=f"u{n}",
        native_id=mention(n).native_id,
        observed_at=observed_at,
        **fields,
    )


def test_a_mention_lands_with_its_classification(sink: PostgresSink, database: Database) -> None:
    """One row: the mention's fields, the judgement, both languages, times to the millisecond."""
    record = classified(1, reach=180, post_id=ids.post("twitter", "101"), lang="es-AR", received_at=T0 + 777)
    assert sink.write(items([record])) == []
    held(
        database.row("select * from mentions"),
        id=record.mention.id,
        brand="andina",
        author_id="u1",
        created_at=at(T0 + 1),
        received_at=at(T0 + 777),
        reach=180,
        post_id=record.mention.post_id,
        label="complaint",
        confidence=0.75,
        uncertain=True,
        lang="es-AR",
        classified_lang="es",
        own=False,
        probabilities=[0.75, 0.125, 0.0625, 0.0625],
        model="abcdef0123456789",
        policy=3,
        deleted=False,
        shares=None,
        author_followers=None,
        text="text 1",
    )


@pytest.mark.parametrize(
    "text",
    ["", "\\N", "\\", "a\tb\nc\rd\\ne", "\\.", "'; drop table mentions; --", "ñ 🙂 漢", "\u2028\x01\x7f"],
)
def test_a_text_comes_out_as_it_went_in(sink: PostgresSink, database: Database, text: str) -> None:
    """No character of a text means anything to COPY."""
    sink.write(items([classified(1, text=text, author_name=text)]))
    held(database.row("select text, author_name from mentions"), text=text, author_name=text)


def test_a_text_of_a_megabyte_lands(sink: PostgresSink, database: Database) -> None:
    """The largest record that the topic takes is no special case."""
    text = "á\n\\x" * 262_144
    assert sink.write(items([classified(1, text=text), classified(2)])) == []
    assert database.row("select text from mentions where author_id = 'u1'")["text"] == text


def test_nul_becomes_the_replacement_character_and_is_counted(sink: PostgresSink, database: Database) -> None:
    """In texts, and inside JSON also where an escaped backslash stands before what looks like NUL."""
    alerted = alert(1, evidence={"a\0": "b\0\0", "literal": "\\u0000"})
    sink.write(items([classified(1, text="a\0b\0")]))
    sink.write(items([alerted], "alerts"))
    assert database.row("select text from mentions")["text"] == "a\ufffdb\ufffd"
    evidence = database.row("select evidence from alerts")["evidence"]
    assert evidence == {"a\ufffd": "b\ufffd\ufffd", "literal": "\\u0000"}
    assert sink.nul_replaced == 2 + 2 * 3  # the alert stands in two tables


def test_a_second_delivery_of_a_mention_changes_nothing(sink: PostgresSink, database: Database) -> None:
    """Also not when it comes at another offset with another judgement."""
    sink.write(items([classified(1), classified(1, label="praise", text="other")]))
    held(database.row("select label, text from mentions"), label="complaint", text="text 1")


def test_a_mention_that_comes_again_keeps_nobody_out(sink: PostgresSink, database: Database) -> None:
    """New ones in the same batch are written, whether the old one was there before or stands in the batch twice."""
    sink.write(items([classified(1)]))
    assert sink.write(items([classified(2), classified(1, text="other"), classified(3), classified(3)], first=1)) == []
    rows = database.rows("select author_id, text from mentions order by author_id")
    assert [tuple(row.values()) for row in rows] == [("u1", "text 1"), ("u2", "text 2"), ("u3", "text 3")]


ODD: dict[str, dict[str, Any]] = {
    "nothing optional": {},
    "everything": {
        "received_at": T0 + 777,
        "kind": "message",
        "visibility": "private",
        "lang": "es-AR",
        "conversation_id": "99",
        "in_reply_to": "98\t",
        "share_of": "97\\",
        "author_followers": 2**40,
        "reach": 0,
        "promoted": True,
        "post_id": ids.post("twitter", "101"),
        "url": "https://example.org/ñ",
        "author_name": "漢 🙂",
        "text": "a\nb",
    },
    "before 2000": {"created_at": -1, "received_at": 946_684_799_999},
    "the largest numbers": {"author_followers": 2**63 - 1, "reach": -(2**63)},
    "empty texts": dict.fromkeys(
        ("lang", "conversation_id", "in_reply_to", "share_of", "url", "author_name", "text"), ""
    ),
    "NUL everywhere": dict.fromkeys(
        ("author_id", "native_id", "lang", "conversation_id", "in_reply_to", "share_of", "url", "author_name", "text"),
        "\0a\0",
    ),
    "a UUID in capitals": {"id": mention(1).id.upper()},
    "a UUID in braces": {"id": "{" + mention(1).id + "}"},
    "a UUID without hyphens": {"id": mention(1).id.replace("-", "")},
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("probabilities", [[], [0.1], [0.1, 1e-300, float("inf"), float("nan")]], ids=len)
def test_a_mention_is_the_same_row_straight_or_staged(
    sink: PostgresSink, database: Database, monkeypatch: pytest.MonkeyPatch, name: str, probabilities: list[float]
) -> None:
    """The binary form and the text form hold the same values, and an update applies to both."""
    record = msgspec.structs.replace(classified(1, **ODD[name]), probabilities=probabilities)
    story = items([update(T0, 2, reach=7), classified(2), record, update(T0, 1, shares=5)])
    assert sink.write(story) == []
    straight, nuls = database.dump(), sink.nul_replaced
    assert len(straight["mentions"]) == 2
    database.empty()
    monkeypatch.setattr("sinks.postgres.writing._straight", lambda *_: False)
    staged = PostgresSink(database.uri)
    assert staged.write(story) == []
    staged.close()
    assert database.dump() == straight
    assert staged.nul_replaced == nuls == (18 if name == "NUL everywhere" else 0)


@pytest.mark.parametrize("change", [lambda id: id[1:9] + id[0] + id[9:], lambda id: " " + id[1:], lambda id: id[:-1]])
def test_what_is_nearly_a_uuid_is_refused(sink: PostgresSink, database: Database, change: Callable[[str], str]) -> None:
    """A digit too few must not be filled up, nor a hyphen be taken from another place."""
    records = [classified(1), classified(2, id=change(mention(2).id)), classified(3)]
    assert [one.item.offset for one in sink.write(items(records))] == [1]
    assert len(database.rows("select from mentions")) == 2


def test_words_that_no_cache_can_hold_land(sink: PostgresSink, database: Database) -> None:
    """A network that sends ever new languages does not fill the memory, and loses none."""
    assert sink.write(items([classified(n, lang=f"l{n}") for n in range(10_001)])) == []
    assert database.row("select count(distinct lang) as n from mentions")["n"] == 10_001
    assert len(copybinary._WORDS) <= 10_000


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
@pytest.mark.parametrize("together", [True, False])
def test_of_each_field_the_newest_observation_counts(
    sink: PostgresSink, database: Database, order: list[int], together: bool
) -> None:
    """Whether updates come before or after their mention, and in whatever order."""
    records = [
        classified(1, reach=1),
        update(T0 + 10, reach=50, shares=4, promoted=True),
        update(T0 + 20, reach=70, text="edited"),
        update(T0 + 15, reach=60, deleted=True),
    ]
    arriving = items([records[n] for n in order])
    for batch in [arriving] if together else [[one] for one in arriving]:
        assert sink.write(batch) == []
    held(
        database.row("select * from mentions"),
        reach=70,
        shares=4,
        promoted=True,
        deleted=True,
        hidden=False,
        text="edited",
    )
    assert len(database.rows("select from mention_updates")) == 3


def test_replies_and_actions_land(sink: PostgresSink, database: Database) -> None:
    """The rest of topic classified, one row each; Ticks and policies none."""
    tick = Tick(clock="event", time=T0, role="clock", partition=0)
    policy = PolicyChanged(version=3, hash="00", applied_at=T0)
    idle = SourceIdle(role="classify", partition=1, silent_ms=10_000)
    assert sink.write(items([tick, REPLY, policy, ACTION, idle])) == []
    held(
        database.row("select * from replies"),
        id=REPLY.id,
        author_id="u1",
        created_at=at(T0),
        kind="human",
        operator="o7",
        in_reply_to="101",
        text="our answer",
        app=None,
    )
    held(
        database.row("select * from actions"),
        id=ACTION.id,
        action_id="a1",
        action="mute",
        until=at(T0 + MINUTE),
        note="enough",
        label=None,
    )
    assert sink.positions([("classified", 0)]) == {("classified", 0): 5}


@pytest.mark.parametrize("offsets", [[5, 9], [9, 5]])
@pytest.mark.parametrize("together", [True, False])
def test_a_later_volume_replaces_an_earlier(
    sink: PostgresSink, database: Database, offsets: list[int], together: bool
) -> None:
    """By the offset that it counts up to, not by the order in which they come."""
    arriving = items([volume(offset, offset) for offset in offsets], "volumes")
    for batch in [arriving] if together else [[one] for one in arriving]:
        sink.write(batch)
    held(
        database.row("select * from volumes"),
        brand="andina",
        minute=at(T0 - T0 % MINUTE),
        partition=3,
        offset=9,
        id=volume(9, 9).id,
        posts=10,
        authors=9,
        reach=90,
        counts=[
            {"channel": "twitter", "kind": "post", "label": "complaint", "count": 9},
            {"channel": "web", "kind": "review", "label": "praise", "count": 1},
        ],
        conversations=[{"root": "100", "channel": "twitter", "posts": 2, "complaints": 1, "shares": 0}],
    )


def test_what_people_and_tools_tell_of_a_brand_lands(sink: PostgresSink, database: Database) -> None:
    """Contacts counted outside and crises declared, from topic volumes."""
    sink.write(items([CONTACTS, DECLARED], "volumes"))
    held(database.row("select * from contacts"), id=CONTACTS.id, source="calls", minute=at(T0), count=12)
    held(database.row("select * from crisis_declarations"), id=DECLARED.id, change="open", by="ana", at=at(T0))


def test_every_event_of_a_case_is_kept(sink: PostgresSink, database: Database) -> None:
    """One row each, what has no column of its own in `detail`."""
    story = case_story()
    sink.write(items(story, "cases"))
    rows = database.rows("select * from case_events order by seq")
    assert [(row["type"], row["change"], row["close_reason"]) for row in rows] == [
        (type(record).__name__, getattr(record, "change", None), getattr(record, "close_reason", None))
        for record in story
    ]
    held(
        rows[4],
        case_id=CASE,
        seq=5,
        time=at(T0 + 5),
        cause=FACT,
        policy=3,
        reason="rule: because",
        desk="care",
    )
    assert rows[4]["detail"]["met_at"] == rfc3339(T0 + 30 * MINUTE)
    assert rows[0]["detail"]["post"]["url"] == "https://example.org/1"


@pytest.mark.parametrize("size", [1, 3, 100])
def test_the_current_case_follows_from_its_events(sink: PostgresSink, database: Database, size: int) -> None:
    """However the events are cut into batches."""
    story = items(case_story(), "cases")
    for n in range(0, len(story), size):
        sink.write(story[n : n + size])
    held(
        database.row("select * from cases"),
        case_id=CASE,
        brand="andina",
        author_id="u1",
        desk="care",
        label="question",
        priority=1,
        mode="live",
        state="open",
        reach=180,
        posts=3,
        first_mention_id=mention(1).id,
        last_mention_id=mention(3).id,
        opened_at=at(T0 + 1),
        changed_at=at(T0 + 8),
        answered_at=at(T0 + 30 * MINUTE),
        answers=1,
        answered_privately=False,
        operator="o7",
        closed_at=None,
        close_reason=None,
        reopened=1,
        seq=8,
    )


@pytest.mark.parametrize(
    ("events", "state", "why"),
    [
        ([opened()], "open", None),
        ([opened(), answered(2)], "waiting", None),
        ([opened(), answered(2), changed(3, "post_added", post=post(2))], "open", None),
        ([opened(), closed(2, "silence")], "closed", "silence"),
        ([opened(), closed(2), changed(3, "label")], "closed", "resolved"),
        ([opened(), closed(2), reopened(3)], "open", None),
        ([answered(4)], "waiting", None),  # its beginning was never read
        ([opened(), changed(2, "waiting", waiting=True, operator="o7")], "waiting", None),
        ([opened(), changed(2, "waiting", waiting=True), changed(3, "post_added", post=post(2))], "open", None),
        ([opened(), answered(2), changed(3, "waiting", waiting=False)], "open", None),
        ([opened(), changed(2, "dismissed", post=post(1))], "open", None),
        ([opened(), answered(2), changed(3, "dismissed", waiting=True, post=post(2))], "waiting", None),
        ([opened(), changed(2, "transferred", desk="night")], "open", None),
        ([opened(), changed(2, "escalated", operator="o7")], "open", None),
        ([opened(), changed(2, "muted", muted_until=T0)], "open", None),
        ([opened(), changed(2, "muted", muted_until=T0), closed(3, "muted")], "closed", "muted"),
    ],
)
def test_the_state_of_a_case(
    sink: PostgresSink, database: Database, events: list[Record], state: str, why: str | None
) -> None:
    """open, waiting for the customer, or closed and why."""
    sink.write(items(events, "cases"))
    held(database.row("select state, close_reason from cases"), state=state, close_reason=why)


def test_a_case_tells_what_is_learnt_of_it_later(sink: PostgresSink, database: Database) -> None:
    """Its zone, the desk that it was handed to, the largest reach, and until when it is muted."""
    events = [
        opened(1, zone="America/Bogota", followers=12),
        changed(2, "priority", reach=90_000),
        changed(3, "priority", promoted=True),
        changed(4, "transferred", desk="night", operator="o7"),
        changed(5, "escalated", desk="night"),
        changed(6, "muted", desk="night", muted_until=T0 + 60 * MINUTE),
    ]
    sink.write(items(events[:1], "cases"))
    held(database.row("select * from cases"), zone="America/Bogota", reach=180, followers=12, promoted=None)
    sink.write(items(events[1:], "cases", first=1))
    held(
        database.row("select * from cases"),
        zone="America/Bogota",
        reach=90_000,
        followers=12,
        promoted=True,
        desk="night",
        operator="o7",
        muted_until=at(T0 + 60 * MINUTE),
    )


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_the_first_answer_says_whether_the_case_was_answered_privately(
    sink: PostgresSink, database: Database, order: list[int]
) -> None:
    """The first by the replies' own times, in whatever order they are read."""
    replies: list[dict[str, Any]] = [
        {"replied_at": T0 + 10, "privately": True},
        {"replied_at": T0 + 20, "privately": False},
        {"replied_at": T0 + 30, "privately": False},
    ]
    events = [opened(), *(answered(n, **replies[which]) for n, which in enumerate(order, 2))]
    sink.write(items(events, "cases"))
    held(database.row("select * from cases"), answered_at=at(T0 + 10), answered_privately=True, answers=3)


def test_of_the_reports_about_a_version_the_newest_stays(sink: PostgresSink, database: Database) -> None:
    """In whatever order they come, and also where the log brings them again."""
    reports: list[Record] = [
        delivery(alert(1), "waiting", T0, attempts=0),
        delivery(alert(1), "waiting", T0 + 1, answer="answers 401"),
        delivery(alert(1), "accepted", T0 + 2, attempts=2, reference="m1"),
        delivery(alert(1), "passed_over", T0 + 3, receiver="slack", attempts=0),
    ]
    sink.write(items(reports, "deliveries"))
    sink.write(items(reversed(reports[:3]), "deliveries", first=4))
    rows = database.rows("select receiver, outcome, attempts, reference from alert_deliveries order by receiver")
    assert [tuple(row.values()) for row in rows] == [("pager", "accepted", 2, "m1"), ("slack", "passed_over", 0, None)]


def test_a_row_says_which_record_of_the_log_it_is(sink: PostgresSink, database: Database) -> None:
    """Partition and offset of its own topic; a case's event also which record of `classified` led to it."""
    led = {"source": b"classified/6/41"}
    story: list[SinkItem] = [
        *items([classified(1), update(T0), REPLY, ACTION], partition=5, first=100),
        *items([CONTACTS, DECLARED], "volumes", 1, 7),
        item(opened(), "cases", 6, 9, led),
        item(changed(2, "label"), "cases", 6, 10),
        item(OFFER, "assignments", 2, 3),
        item(surge_story()[0], "surges", 0, 1),
        item(alert(1), "alerts", 3, 8),
    ]
    assert sink.write(story) == []
    placed = {table.name for table in tables.TABLES if table.topic}
    found = {
        (name, row["partition"], row["offset"])
        for name in placed
        for row in database.rows(f'select "partition", "offset" from {name}')
    }
    assert found == {
        ("mentions", 5, 100),
        ("mention_updates", 5, 101),
        ("replies", 5, 102),
        ("actions", 5, 103),
        ("contacts", 1, 7),
        ("crisis_declarations", 1, 8),
        ("case_events", 6, 9),
        ("case_events", 6, 10),
        ("assignments", 2, 3),
        ("surge_events", 0, 1),
        ("alert_events", 3, 8),
    }
    sources = database.rows("select source_offset from case_events order by seq")
    assert [row["source_offset"] for row in sources] == [41, None]


DUE = T0 + 60 * MINUTE
BREACHED: dict[str, Any] = {"breached_at": DUE, "detected_at": DUE + 5}
#: A clock without a target.
MEASURED: dict[str, Any] = {"metric": "resolution", "due_at": None, "target_ms": None}
CLOCKS: list[tuple[list[Record], dict[str, Any]]] = [
    (
        [clock(1, "started")],
        {
            "state": "running",
            "started_at": at(T0),
            "due_at": at(DUE),
            "target_ms": 60 * MINUTE,
            "breached_at": None,
        },
    ),
    (
        [clock(1, "started"), clock(2, "tightened", due_at=DUE - MINUTE, target_ms=30 * MINUTE)],
        {"state": "running", "due_at": at(DUE - MINUTE), "target_ms": 30 * MINUTE},
    ),
    ([clock(1, "started"), clock(2, "warned", warned=75)], {"state": "running", "warned": 75}),
    (
        [clock(1, "started"), clock(2, "met", met_at=DUE, privately=True)],
        {"state": "met", "met_at": at(DUE), "privately": True},
    ),
    (
        [clock(1, "started"), clock(2, "breached", **BREACHED, late_arrival=True)],
        {"state": "running", "breached_at": at(DUE), "detected_at": at(DUE + 5), "late_arrival": True},
    ),
    (
        [clock(1, "started"), clock(2, "breached", **BREACHED), clock(3, "met", met_at=DUE + 1)],
        {"state": "met_late", "breached_at": at(DUE), "met_at": at(DUE + 1)},
    ),
    (
        [
            clock(1, "started"),
            clock(2, "breached", **BREACHED),
            clock(3, "rescinded"),
            clock(4, "met", met_at=DUE),
        ],
        {"state": "met", "breached_at": None, "detected_at": None, "rescinded_at": at(T0 + 3)},
    ),
    (
        [clock(1, "started"), clock(2, "met", met_at=DUE + 9), clock(3, "rescinded", due_at=DUE + 10)],
        {"state": "met", "due_at": at(DUE + 10)},
    ),
    (
        [clock(1, "started"), clock(2, "paused", paused_at=T0 + 7)],
        {"state": "paused", "paused_at": at(T0 + 7)},
    ),
    (
        [clock(1, "started"), clock(2, "paused", paused_at=T0), clock(3, "resumed", due_at=DUE + MINUTE)],
        {"state": "running", "paused_at": None, "due_at": at(DUE + MINUTE)},
    ),
    ([clock(1, "started"), clock(2, "voided")], {"state": "void", "met_at": None}),
    ([clock(1, "started", non_sla=True)], {"state": "running", "non_sla": True}),
    # An answer that is read after the case was resolved.
    (
        [clock(1, "started"), clock(2, "voided"), clock(3, "met", met_at=DUE)],
        {"state": "met", "met_at": at(DUE), "breached_at": None},
    ),
    (
        [clock(1, "started"), clock(2, "voided"), clock(3, "breached", **BREACHED), clock(4, "met", met_at=DUE + 1)],
        {"state": "met_late", "met_at": at(DUE + 1), "breached_at": at(DUE)},
    ),
    ([clock(1, "started"), clock(2, "voided"), clock(3, "breached", **BREACHED)], {"state": "void"}),
    # Resolution has no target, waits while the customer is waited for, and runs on when the case is reopened.
    (
        [clock(1, "started", **MEASURED), clock(2, "paused", **MEASURED, paused_at=T0 + 7, paused_ms=5)],
        {"metric": "resolution", "state": "paused", "due_at": None, "target_ms": None, "paused_ms": 5},
    ),
    ([clock(1, "met", **MEASURED, met_at=T0 + 9)], {"metric": "resolution", "state": "met", "met_at": at(T0 + 9)}),
    (
        [
            clock(1, "started", **MEASURED),
            clock(2, "paused", **MEASURED, paused_at=T0 + 7),
            clock(3, "met", **MEASURED, met_at=T0 + 9, paused_ms=2),
        ],
        {"metric": "resolution", "state": "met", "met_at": at(T0 + 9), "paused_at": None, "paused_ms": 2},
    ),
    (
        [
            clock(1, "met", **MEASURED, met_at=T0 + 9, privately=True),
            clock(2, "resumed", **MEASURED, paused_ms=30),
        ],
        {"metric": "resolution", "state": "running", "met_at": None, "paused_ms": 30, "privately": False},
    ),
    (
        [
            clock(1, "met", **MEASURED, met_at=T0 + 9),
            clock(2, "resumed", **MEASURED, paused_ms=30),
            clock(3, "met", **MEASURED, met_at=T0 + 99, paused_ms=30),
        ],
        {"metric": "resolution", "state": "met", "met_at": at(T0 + 99), "paused_ms": 30},
    ),
]


@pytest.mark.parametrize(("events", "expected"), CLOCKS)
def test_the_state_of_a_clock(
    sink: PostgresSink, database: Database, events: list[Record], expected: dict[str, Any]
) -> None:
    """running, paused, met, met_late or void, with the breach beside it until it is rescinded."""
    sink.write(items(events, "cases"))
    held(database.row("select * from clocks"), **{"case_id": CASE, "metric": "first_response", "cycle": 1, **expected})


@pytest.mark.parametrize(("events", "expected"), CLOCKS)
def test_a_clock_is_the_same_when_its_events_come_again_and_one_by_one(
    sink: PostgresSink, database: Database, events: list[Record], expected: dict[str, Any]
) -> None:
    """An event that the row has seen changes nothing, at whatever offset it is read again."""
    for n, event in enumerate([*events, *events]):
        sink.write([item(event, "cases", offset=n)])
    held(database.row("select * from clocks"), **{"case_id": CASE, "metric": "first_response", "cycle": 1, **expected})


def test_a_case_has_one_clock_for_each_metric_and_cycle(sink: PostgresSink, database: Database) -> None:
    """They do not disturb each other."""
    events = [
        clock(1, "started"),
        clock(2, "started", metric="resolution"),
        clock(3, "met", met_at=T0),
        clock(4, "started", cycle=2, metric="next_response"),
    ]
    sink.write(items(events, "cases"))
    rows = database.rows("select metric, cycle, state from clocks order by seq")
    assert [tuple(row.values()) for row in rows] == [
        ("resolution", 1, "running"),
        ("first_response", 1, "met"),
        ("next_response", 2, "running"),
    ]


def test_a_row_of_assignments_gives_its_event_back_but_for_authors_and_posts(
    sink: PostgresSink, database: Database
) -> None:
    """As `desk explain` reads it."""
    sink.write(items(ASSIGNMENTS, "assignments"))
    wanted: list[Any] = list(ASSIGNMENTS)
    for name in ("author_id", "native_id"):
        wanted = [replace(one, **{name: ""}) if hasattr(one, name) else one for one in wanted]
    wanted = [replace(one, work=replace(one.work, author_id="")) if hasattr(one, "work") else one for one in wanted]
    assert history_of(work_in_postgres(database.uri, CASE[:9]), CASE).rounds == [wanted]
    assert work_in_postgres(database.uri, "zzz") == []


@pytest.mark.parametrize("record", ASSIGNMENTS, ids=lambda r: type(r).__name__)
def test_every_event_of_a_desk_lands(sink: PostgresSink, database: Database, record: Any) -> None:
    """One row each; an offer's id is its event's, and what has no column and leads to no customer stands in `detail`."""
    assert sink.write(items([record], "assignments")) == []
    row = database.row("select * from assignments")
    held(
        row,
        id=record.id,
        type=type(record).__name__,
        work_id=uuid_of("work-1"),
        case_id=CASE,
        desk="care",
        brand="andina",
        seq=record.seq,
        time=at(T0 + record.seq),
        reason="rule: because",
        operator=getattr(record, "operator", None),
        offer_id=OFFER.id if isinstance(record, (Offered, Assigned, Returned)) else None,
    )
    own = {name for name, _ in tables.ASSIGNMENTS.columns}
    rest = set(record.__struct_fields__) - own - {"aggregate", "author_id", "native_id", "url"}
    fields = jsonform.fields(record)
    expected = {name: fields[name] for name in rest}
    for name in ("author_id", "url", "conversation", "posts"):
        expected.get("work", {}).pop(name, None)
    assert row["detail"] == expected


@pytest.mark.parametrize("size", [1, 100])
def test_a_surge_is_kept_as_it_stands_and_as_it_went(sink: PostgresSink, database: Database, size: int) -> None:
    """The row keeps the last evidence and the largest ratio; the end brings its own peak."""
    story = items(surge_story(), "surges")
    for n in range(0, 3, size):
        sink.write(story[n : min(n + size, 3)])
    row = database.row("select * from surges")
    held(row, surge_id=SURGE, state="open", detector="burst", scope="brand", ratio=5.0, peak=6.0, actual=50.0)
    assert row["evidence"]["window_end"] == rfc3339(T0 + 5 * MINUTE)
    sink.write(story[3:])
    row = database.row("select * from surges")
    held(
        row,
        state="closed",
        started_at=at(T0),
        opened_at=at(T0 + 1),
        ended_at=at(T0 + 90 * MINUTE),
        close_reason="over",
    )
    held(row, peak=6.5, excess=321.0, ratio=5.0)
    assert row["evidence"]["ratio"] == 5.0
    assert len(database.rows("select from surge_events")) == 4


def test_crises_and_silent_channels_land_among_the_surges_events(sink: PostgresSink, database: Database) -> None:
    """They are events of their own aggregates and no surges."""
    assert sink.write(items(CRISES, "surges")) == []
    rows = database.rows(
        "select type, surge_id, crisis_id, channel_id, detail from surge_events order by seq, type desc"
    )
    assert [tuple(row.values())[:4] for row in rows] == [
        ("CrisisOpened", SURGE, uuid_of("crisis-1"), None),
        ("ChannelChanged", None, None, uuid_of("channel-1")),
        ("CrisisClosed", None, uuid_of("crisis-1"), None),
    ]
    assert rows[0]["detail"] == {"by": "rule", "root": None, "dry_run": False, "desk": "care"}
    assert rows[1]["detail"]["since"] == rfc3339(T0)
    assert database.rows("select from surges") == []


def test_an_alert_is_kept_in_its_newest_version_and_in_each(sink: PostgresSink, database: Database) -> None:
    """An older version never replaces a newer; a later start counts its versions anew."""
    sink.write(items([alert(2), alert(1), alert(3)], "alerts"))
    held(
        database.row("select * from alerts"),
        fingerprint=FINGERPRINT,
        version=3,
        id=alert(3).id,
        state="resolved",
        kind="surge",
        severity="page",
        mode="live",
        starts_at=at(T0),
        ends_at=at(T0 + 90 * MINUTE),
        evidence={"ratio": "4.0"},
        links={"runbook": "https://example.org/runbook"},
    )
    later = T0 + 24 * 60 * MINUTE
    sink.write(items([alert(1, starts_at=later), alert(2)], "alerts", first=3))
    held(database.row("select * from alerts"), version=1, state="firing", starts_at=at(later), ends_at=None)
    assert len(database.rows("select from alert_events")) == 4


def dead(own_offset: int, **headers: str) -> SinkItem:
    named = {f"__connect.errors.{name.replace('_', '.')}": value.encode() for name, value in headers.items()}
    return item(None, "classified.dead", 1, own_offset, {**named, "other": b"\xff"})


def test_a_dead_letter_is_named_by_its_origin(sink: PostgresSink, database: Database) -> None:
    """Topic, partition, offset, stage and error, from the headers; a repetition makes no second row."""
    origin = {"topic": "mentions", "partition": "3", "offset": "41", "stage": "decode"}
    error = {"exception_class_name": "WireError", "exception_message": "null value"}
    assert sink.write([dead(0, **origin, **error), dead(1, **origin, **error)]) == []
    held(
        database.row("select * from dead_letters"),
        topic="mentions",
        partition=3,
        offset=41,
        stage="decode",
        error="WireError",
        message="null value",
        at=at(T0 + 1000),
    )


@pytest.mark.parametrize(
    "origin",
    [
        {},
        {"topic": "mentions", "partition": "x", "offset": "1"},
        {"topic": "t" * 999, "partition": "1", "offset": "1"},
        {"topic": "mentions", "partition": "1", "offset": "9" * 40},
    ],
)
def test_a_dead_letter_without_a_known_origin_is_named_by_its_own_place(
    sink: PostgresSink, database: Database, origin: dict[str, str]
) -> None:
    """A dead letter is never refused: there is nowhere else to put it."""
    assert sink.write([dead(5, **origin)]) == []
    held(
        database.row("select * from dead_letters"),
        topic="classified.dead",
        partition=1,
        offset=5,
        stage="unknown",
    )


EXAMPLES: list[Record] = [
    classified(1),
    update(T0),
    REPLY,
    ACTION,
    volume(1, 1),
    CONTACTS,
    DECLARED,
    *case_story(),
    *ASSIGNMENTS,
    *surge_story(),
    *CRISES,
    alert(1),
    delivery(alert(1), "accepted", T0),
    Tick(clock="wall", time=1, role="x", partition=0),
    PolicyChanged(version=1, hash="00", applied_at=1),
    SourceIdle(role="x", partition=0, silent_ms=1),
]
INTERNAL = {"Mention", "WorkChanged", "OperatorChanged", "OfferAnswered"}


def test_every_record_of_a_public_topic_has_its_place() -> None:
    """A record that is added to the wire must be given a table here, or named as internal."""
    seen = {type(record).__name__ for record in EXAMPLES}
    assert seen | INTERNAL == {cls.__name__ for cls in RECORDS}
    for record in EXAMPLES:
        assert all(len(row) == len(table.columns) for table, row in rows_of(item(record)))


def test_a_record_of_an_internal_topic_is_refused(sink: PostgresSink, database: Database) -> None:
    """It says which record of which topic, and what to do; the others are written."""
    with pytest.raises(Unexpected):
        rows_of(item(QUEUED))
    [refused] = sink.write(items([classified(1), mention(2), classified(3)], "mentions"))
    assert (refused.item.offset, refused.error) == (1, "Unexpected")
    assert refused.message.startswith("Mention in mentions")
    assert len(database.rows("select from mentions")) == 2
    held(
        database.row("select * from dead_letters"),
        topic="mentions",
        offset=1,
        stage="sink",
        error="Unexpected",
    )


def test_a_current_row_has_its_tables_columns() -> None:
    """The structs of the folds and the tables name the same columns in the same order."""
    for how in FOLDS:
        assert how.row.__struct_fields__ == tuple(name for name, _ in how.table.columns)


def test_alerts_have_no_text() -> None:
    """No column of a table other than the four that hold texts could take one."""
    holding = {table.name for table in tables.TABLES if "text" in dict(table.columns)}
    assert holding == {"mentions", "mention_updates", "replies"}
    assert "text" not in Alert.__struct_fields__
