"""A forgotten customer leaves no trace in PostgreSQL, in whatever order the topics are read, and may come back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from schemas import ids
from schemas.records import (
    Action,
    ActionKind,
    ConversationCount,
    HoldingReplyDue,
    MentionUpdated,
    Offered,
    Overflowed,
    Record,
    Reply,
    Volume,
    VolumeCount,
    WorkChanged,
)
from sinks.port import SinkItem
from sinks.postgres.sink import PostgresSink
from tests.sinks.conftest import Database, until
from tests.sinks.test_postgres import WAITING, Writing, locked, shuffled
from tests.support.samples import (
    MINUTE,
    T0,
    answered,
    changed,
    classified,
    clock,
    closed,
    decided,
    item,
    items,
    opened,
    post,
    reopened,
)

AUTHOR = "the-author-himself"
WORDS = "words of his own"
#: What no row may hold: the author, his name, his posts' native ids and addresses, his words and what was said to him.
TRACES = (AUTHOR, "Author Himself", "native-", "his.example", WORDS, "our answer to him", "a note about him")
CASE, NEW_CASE, OTHER_CASE = (ids.make("case", name) for name in ("his", "when he came back", "another's"))
CUSTOMER: dict[str, Any] = {"brand": "andina", "channel": "twitter", "author_id": AUTHOR}


def his_post(n: int, **changes: Any) -> Record:
    """His nth post."""
    native = f"native-{n}"
    fields: dict[str, Any] = {
        **CUSTOMER,
        "id": ids.mention("andina", "twitter", native),
        "native_id": native,
        "author_name": "Author Himself",
        "url": f"https://his.example/{n}",
        "conversation_id": "native-1",
        "text": f"{WORDS}, {n}",
    }
    return classified(n, **{**fields, **changes})


def his_update(n: int, observed_at: int, **changes: Any) -> MentionUpdated:
    native = f"native-{n}"
    own = ids.make("update", "andina", "twitter", observed_at, native)
    return MentionUpdated(id=own, **CUSTOMER, native_id=native, observed_at=observed_at, **changes)


def answer(n: int = 1) -> Reply:
    native = f"native-reply-{n}"
    return Reply(
        id=ids.reply("andina", "twitter", native),
        **CUSTOMER,
        native_id=native,
        created_at=T0,
        in_reply_to="native-1",
        text="our answer to him",
    )


def act(name: str, kind: ActionKind, **changes: Any) -> Action:
    fields = {**CUSTOMER, "action_id": name, "action": kind, "created_at": T0 + MINUTE, **changes}
    return Action(id=ids.action(fields["brand"], fields["channel"], name), **fields)


def his(event: Any, case: str = CASE) -> Any:
    """An event of another's case as one of his."""
    found: dict[str, Any] = {"author_id": AUTHOR, "aggregate": case, "id": ids.event(case, event.seq)}
    if getattr(event, "post", None) is not None:
        native = f"native-{event.post.native_id}"
        own = ids.mention("andina", "twitter", native)
        found["post"] = replace(event.post, native_id=native, mention_id=own, url=f"https://his.example/{native}")
    return replace(event, **found)


def led(events: Iterable[tuple[Any, int]], first: int = 0) -> list[SinkItem]:
    """Events of topic cases, each with the offset in `classified` of what led to it."""
    return [
        item(event, "cases", 0, n, {"source": b"classified/0/%d" % offset})
        for n, (event, offset) in enumerate(events, first)
    ]


WORK: dict[str, Any] = {"desk": "care", "case_id": CASE}
QUEUED = WorkChanged(
    **decided("work-2", 1),
    **WORK,
    **CUSTOMER,
    change="queued",
    label="complaint",
    priority=1,
    mode="live",
    started_at=T0,
    due_at=None,
    conversation="native-1",
    posts=["native-1"],
    url="https://his.example/1",
)
DESK: list[Record] = [
    Offered(
        **decided("work-1", 1),
        **WORK,
        **CUSTOMER,
        operator="o7",
        expires_at=T0,
        due_at=None,
        label="complaint",
        priority=1,
        mode="live",
        url="https://his.example/1",
    ),
    Overflowed(**decided("work-1", 2), **WORK, brand="andina", next_desk="night", work=QUEUED),
    HoldingReplyDue(
        **decided("work-1", 3),
        **WORK,
        **CUSTOMER,
        native_id="native-1",
        visibility="public",
        lang="es",
        template="hold",
        expires_at=T0,
    ),
]
COUNTED = Volume(
    id=ids.make("volume", "andina", T0, 0, 2),
    brand="andina",
    minute=T0 - T0 % MINUTE,
    partition=0,
    offset=2,
    counts=[VolumeCount(channel="twitter", kind="post", label="complaint", count=3)],
    authors=2,
    reach=10,
    conversations=[ConversationCount(root="999", channel="twitter", posts=2, complaints=1, root_author=AUTHOR)],
)

FORGOTTEN_AT = 9
#: `classified`: he and others write, he is forgotten, others go on, and the network tells that he deleted his posts.
THREAD: list[Record] = [
    his_post(1),
    classified(60),
    his_post(2),
    answer(),
    his_update(1, T0 + 5, reach=9, text=f"{WORDS}, edited"),
    act("resolve", "resolve", note="a note about him"),
    his_update(3, T0 + 6, shares=2),
    his_post(3),
    classified(61),
    act("forget", "forget", note="a note about him"),
    classified(62),
    his_update(1, T0 + 7, deleted=True),
    his_update(2, T0 + 8, deleted=True),
]
#: `cases`: his case, closed by the forget, and another's.
HIS_CASE: list[tuple[Any, int]] = [
    (his(opened(1, conversation="native-1", followers=4321)), 0),
    (his(clock(2, "started")), 0),
    (opened(1, OTHER_CASE), 1),
    (his(changed(3, "post_added", post=post(2), reach=77)), 2),
    (his(clock(4, "met", met_at=T0 + 30 * MINUTE)), 3),
    (his(answered(5)), 3),
    (his(closed(6)), 5),
    (his(reopened(7)), 7),
    (clock(2, "started", OTHER_CASE), 8),
    (his(clock(8, "started", cycle=2, metric="next_response")), 7),
    (his(clock(9, "voided", cycle=2, metric="next_response")), FORGOTTEN_AT),
    (his(closed(10, "forgotten")), FORGOTTEN_AT),
]
#: After it he is a new customer.
AFTER: list[Record] = [his_post(11), answer(2), his_update(11, T0 + 9, reach=5), act("wait", "wait")]
NEW: list[tuple[Any, int]] = [
    (his(opened(1), NEW_CASE), len(THREAD)),
    (his(clock(2, "started"), NEW_CASE), len(THREAD)),
    (his(clock(3, "met", met_at=T0 + MINUTE), NEW_CASE), len(THREAD) + 1),
]


def story(*, back: bool = False) -> list[SinkItem]:
    """The whole log; `back`: with what he writes after he was forgotten."""
    return [
        *items([*THREAD, *(AFTER if back else [])]),
        *led([*HIS_CASE, *(NEW if back else [])]),
        *items(DESK, "assignments"),
        *items([COUNTED], "volumes"),
    ]


def traces(database: Database) -> list[str]:
    """Where something of him stands: in every column of every table, whatever its type."""
    return [
        f"{table}: {trace}"
        for table, rows in database.dump().items()
        for row in rows
        for trace in TRACES
        if trace in json.dumps(json.loads(row), ensure_ascii=False)
    ]


def test_the_story_is_full_of_traces_until_he_is_forgotten(sink: PostgresSink, database: Database) -> None:
    """Without its forget: or the other tests would prove nothing."""
    without = [one for one in story() if one.record != THREAD[FORGOTTEN_AT]]
    assert sink.write(without) == []
    found = {line.partition(":")[0] for line in traces(database)}
    assert found == {"mentions", "mention_updates", "replies", "actions", "cases", "clocks", "case_events"}
    assert {line.partition(": ")[2] for line in traces(database)} == set(TRACES)


@pytest.mark.parametrize("seed", range(25))
def test_no_trace_is_left_and_the_rows_are_the_same_in_whatever_order_the_topics_are_read(
    sink: PostgresSink, database: Database, seed: int
) -> None:
    """However the log is cut into batches, and when it is read again from its beginning."""
    assert sink.write(story()) == []
    whole = database.dump()
    assert traces(database) == []
    database.empty()
    fresh = PostgresSink(database.uri)
    for batch in shuffled(story(), seed):
        assert fresh.write(batch) == []
    assert database.dump() == whole
    database.rows("truncate sink_offsets")
    fresh.positions([(one.topic, one.partition) for one in story()])
    for batch in shuffled(story(), seed + 1000):
        assert fresh.write(batch) == []
    assert database.dump() == whole
    fresh.close()


@pytest.mark.parametrize("seed", range(10))
def test_what_he_writes_afterwards_is_a_new_customers(sink: PostgresSink, database: Database, seed: int) -> None:
    """His new posts, replies, actions and cases are there in full, and nothing of the old."""
    for batch in shuffled(story(back=True), seed):
        assert sink.write(batch) == []
    for table, expected in {"mentions": 1, "mention_updates": 1, "replies": 1, "actions": 1}.items():
        rows = database.rows(f"select native_id from {table} where author_id = '{AUTHOR}'")
        assert len(rows) == expected, table
    assert database.row(f"select native_id, reach from mentions where author_id = '{AUTHOR}'") == {
        "native_id": "native-11",
        "reach": 5,
    }
    for table, key in {"cases": "case_id", "clocks": "case_id", "case_events": "case_id"}.items():
        rows = database.rows(f"select distinct {key} from {table} where author_id = '{AUTHOR}'")
        assert [row[key] for row in rows] == [NEW_CASE], table
    assert database.row(f"select url from cases where case_id = '{NEW_CASE}'")["url"] is not None


def test_what_is_counted_stays(sink: PostgresSink, database: Database) -> None:
    """His answered case counts as before, with its times; its events are there without what they said of him."""
    sink.write(story())
    row = database.row(f"select * from cases where case_id = '{CASE}'")
    assert (row["state"], row["close_reason"], row["posts"], row["answers"], row["reopened"]) == (
        "closed",
        "forgotten",
        3,
        1,
        1,
    )
    assert (row["author_id"], row["conversation"], row["url"], row["reach"], row["followers"]) == ("", *[None] * 4)
    [rate] = database.rows("select asked, answered from response_rate")
    assert rate == {"asked": 2, "answered": 1}
    events = database.rows(f"select detail, author_id from case_events where case_id = '{CASE}'")
    assert events == [{"detail": {}, "author_id": ""}] * 10
    assert database.row(f"select author_id from cases where case_id = '{OTHER_CASE}'")["author_id"] == "u1"


def test_it_is_remembered_by_a_digest_and_its_place(sink: PostgresSink, database: Database) -> None:
    """So that it holds when the log is read again, and names nobody."""
    sink.write(story())
    row = database.row("select * from forgotten")
    assert row["customer"] == hashlib.sha256(f"andina|twitter|{AUTHOR}".encode()).hexdigest()
    assert (row["partition"], row["offset"]) == (0, FORGOTTEN_AT)
    assert row["at"].timestamp() * 1000 == pytest.approx(T0 + MINUTE)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_of_two_forgets_the_last_holds(sink: PostgresSink, database: Database, order: list[int]) -> None:
    """He wrote again in between: that is forgotten too, also where the first one is read again."""
    log = items([his_post(1), act("f1", "forget"), his_post(2), act("f2", "forget"), classified(60)])
    sink.write(log)
    database.rows("truncate sink_offsets")
    sink.positions([("classified", 0)])
    for part in order:
        sink.write([log[0:2], log[2:4]][part])
    assert database.row('select "offset" from forgotten')["offset"] == 3
    assert [row["author_id"] for row in database.rows("select author_id from mentions")] == ["u60"]


@pytest.mark.parametrize(
    "other",
    [{"author_id": f"{AUTHOR}|2"}, {"author_id": AUTHOR[:-1]}, {"brand": "norte"}, {"channel": "facebook"}],
    ids=["a longer id", "a shorter id", "another brand", "another network"],
)
def test_nobody_else_is_forgotten(sink: PostgresSink, database: Database, other: dict[str, str]) -> None:
    """A customer is a brand, a network and an author."""
    sink.write(items([his_post(1, id=ids.make("mention", "other"), **other), his_post(2), act("f", "forget")]))
    [row] = database.rows("select brand, channel, author_id from mentions")
    assert row == {**CUSTOMER, **other}


def test_events_that_do_not_say_what_led_to_them_are_taken_as_old(sink: PostgresSink, database: Database) -> None:
    """The case of such an event loses its author too: it may be older than the forget."""
    sink.write(items(THREAD[:8]))
    sink.write([replace(one, headers=[]) for one in led(HIS_CASE[:8])])
    sink.write(items([act("f", "forget")], first=8))
    assert traces(database) == []


def test_an_author_with_a_nul_is_forgotten_as_he_is_kept(sink: PostgresSink, database: Database) -> None:
    """With U+FFFD in its place."""
    sink.write(items([his_post(1, author_id="a\0"), act("f", "forget", author_id="a\0")]))
    assert database.rows("select from mentions") == []


@pytest.mark.parametrize("changes", [{"created_at": 2**62}, {"brand": "an\0dina"}], ids=["an absurd time", "a NUL"])
def test_a_forget_that_cannot_be_kept_is_refused_and_holds_up_nobody(
    sink: PostgresSink, database: Database, changes: dict[str, Any]
) -> None:
    """It becomes a dead letter, so somebody sees that a customer was not forgotten; the rest of its batch is written."""
    log = items([his_post(1), act("f", "forget", **changes), classified(7)])
    assert [one.item.offset for one in sink.write(log)] == [1]
    assert len(database.rows("select from mentions")) == 2
    assert database.rows("select from forgotten") == []


def test_a_batch_that_is_under_way_elsewhere_hides_nothing_from_a_forget(
    sink: PostgresSink, database: Database
) -> None:
    """Another worker writes events of his case meanwhile: the forget waits for it, and it for the forget."""
    other = PostgresSink(database.uri)
    sink.write(items(THREAD[:FORGOTTEN_AT]))
    with locked(database, "lock table clocks in access exclusive mode"):
        events = Writing(other, led(HIS_CASE[:8]))
        until(lambda: len(database.rows(WAITING)) == 1, "the events wait, looked at and not committed")
        forget = Writing(sink, items([THREAD[FORGOTTEN_AT]], first=FORGOTTEN_AT))
        until(lambda: len(database.rows(WAITING)) == 2, "the forget waits")
    events.join()
    forget.join()
    assert events.raised is None
    assert forget.raised is None
    assert traces(database) == []
    other.write(led(HIS_CASE[8:], first=8))
    assert traces(database) == []
    other.close()


def test_whoever_only_reads_holds_up_no_forget(sink: PostgresSink, database: Database) -> None:
    """A backup reads every table in one long transaction."""
    with locked(database, "begin; select * from forgotten; select * from mentions"):
        assert sink.write(story()) == []
    assert traces(database) == []


def test_a_forget_finds_rows_by_their_indexes(sink: PostgresSink, database: Database) -> None:
    """Each of its statements: among millions of rows a scan would hold up the sink."""
    database.rows("set enable_seqscan = off")
    try:
        customer = "where (brand, channel, author_id) = ('a', 'b', 'c')"
        plans = [f"delete from {table} {customer}" for table in ("mentions", "mention_updates", "replies", "actions")]
        plans += [f"select from cases {customer}"]
        plans += [
            f"update {table} set author_id = '' where case_id = any('{{{CASE}}}')"
            for table in ("clocks", "case_events")
        ]
        for plan in plans:
            told = " ".join(str(row["QUERY PLAN"]) for row in database.rows(f"explain {plan}"))
            assert "Seq Scan" not in told, plan
    finally:
        database.rows("set enable_seqscan = on")
