"""One bad record never stops a partition and never vanishes: through classify and through a fold, on a real broker."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from msgspec.structs import replace

from schemas import codec, ids, requirements
from schemas.dead_letter_headers import failure_of
from schemas.keys import customer
from schemas.records import CaseChanged, ClassifiedMention, Mention, MentionUpdated, Record, Reply, Tick, Volume
from streams.kafka_connection import KafkaConnection
from streams.received_batches import LARGEST_BATCH
from tests.support.fuzz import NotUtf8
from tests.support.toy import ALERT_LIMIT, Count
from tests.support.world import MINUTE, NOON, Row, Worker, World, author_on, classified, free_port, mention, ready

PARTITIONS = 2
AUTHOR = author_on(0, PARTITIONS)
ELSEWHERE = author_on(1, PARTITIONS)
KEY = customer(mention(AUTHOR, 0))
DAY = 86_400_000
SECRET = "these words of a post must stay out of logs and headers"
GOOD = codec.encode(mention(AUTHOR, 999, SECRET))
HIGH_SURROGATE = b"\xed\xa0\xbd"


def stray(post: Record, key: bytes | None = KEY) -> dict[str, Any]:
    """A record sent with this key, whatever its own."""
    return {"key": key, "value": codec.encode(post)}


def surrogate(number: int, place: str) -> bytes:
    """The bytes of a post in whose text or author's name half a character stands."""
    post = mention(AUTHOR, number, "half an emoji: ???", author_name="a name: ???")
    marked = b"emoji: " if place == "text" else b"a name: "
    return codec.encode(post).replace(marked + b"???", marked + HIGH_SURROGATE)


@dataclass(frozen=True)
class Bad:
    """What is sent, and how its dead letter must say why."""

    name: str
    sent: dict[str, Any]
    stage: str
    error: str
    says: str
    partition: int = 0


def named(**changed: Any) -> Mention:
    """A post with other fields, and the id that belongs to them."""
    post = replace(mention(AUTHOR, 0, SECRET), **changed)
    return replace(post, id=requirements.id_of(post))


def edit(**changed: Any) -> MentionUpdated:
    """New words of the author's first post."""
    update = MentionUpdated(
        id="",
        brand="andina",
        channel="twitter",
        author_id=AUTHOR,
        native_id=f"{AUTHOR}-0",
        observed_at=NOON,
        text="awful",
        **changed,
    )
    return replace(update, id=ids.update(update))


def frame(schema_id: int, body: bytes) -> bytes:
    """Confluent framing."""
    return struct.pack(">BI", 0, schema_id) + body


LONG, ACME = named(author_id="ñ" * 510), named(brand="ACME Corp")
INVALID = ("validate", "InvalidRecord")
UNREADABLE = [
    Bad("not Avro", {"key": KEY, "value": b'{"type": "mention"}'}, "decode", "WireError", "not Confluent-framed"),
    Bad("empty", {"key": KEY, "value": b""}, "decode", "WireError", "0 bytes"),
    Bad("null", {"key": KEY, "value": None}, "decode", "WireError", "null value"),
    Bad("unknown schema id", {"key": KEY, "value": frame(7, GOOD[5:])}, "decode", "WireError", "unknown schema id 0x7"),
    Bad("truncated", {"key": KEY, "value": GOOD[:-20]}, "decode", "WireError", "truncated"),
    Bad("bytes left over", {"key": KEY, "value": GOOD + b"\0"}, "decode", "WireError", "1 bytes left over"),
    Bad("a field missing", {"key": KEY, "value": GOOD[:5] + GOOD[5 + 37 :]}, "decode", "WireError", "Mention: "),
    Bad("not UTF-8", {"key": KEY, "value": GOOD.replace(b"words", b"wo\xffds")}, "decode", "WireError", "not UTF-8"),
    Bad("key disagrees", stray(mention(ELSEWHERE, 1, SECRET)), "key", "WrongKey", "key disagrees"),
    Bad("no key", stray(mention(AUTHOR, 2, SECRET), key=None), "key", "WrongKey", "key disagrees"),
    Bad("a key above any network's", stray(LONG, customer(LONG)), "key", "LongKey", "1035 bytes"),
    Bad(
        "foreign partitioner",
        {"key": customer(mention(ELSEWHERE, 3)), "value": codec.encode(mention(ELSEWHERE, 3, SECRET))},
        "partition",
        "WrongPartition",
        "belongs on partition 1",
    ),
]  # fmt: skip
TO_CLASSIFY = [
    *UNREADABLE,
    Bad("of a newer release", {"key": KEY, "value": frame(0x7FFFFFFF, GOOD[5:])}, "decode", "NewerRecord", "id 0x7fffffff is of a newer"),
    Bad("wrong record for the topic", stray(classified(mention(AUTHOR, 4))), "decode", "WrongRecord", "does not belong in mentions"),
    Bad("a time before 2000", stray(mention(AUTHOR, 5, SECRET, at=0)), *INVALID, "created_at: 1970-01-01T00:00:00Z is not between"),
    Bad("more than a day ahead", stray(mention(AUTHOR, 6, SECRET, at=NOON + DAY + 1)), "decide", "BadTime", "more than a day ahead"),
    Bad("a time beyond all calendars", stray(mention(AUTHOR, 7, SECRET, at=1 << 62)), *INVALID, "created_at: 4611686018427387904 ms is"),
    Bad("older than the horizon", stray(mention(AUTHOR, 8, SECRET, at=NOON - 8 * DAY - 1)), "decide", "BadTime", "the horizon of 8d"),
    Bad("a brand that is no name", stray(ACME, customer(ACME)), *INVALID, "Mention.brand: has 'A'"),
    Bad("an id that is none", stray(replace(mention(AUTHOR, 9, SECRET), id="x")), *INVALID, "Mention.id: disagrees"),
    Bad("no native id", stray(replace(mention(AUTHOR, 9, SECRET), native_id="")), *INVALID, "Mention.native_id: is empty"),
    Bad("a label from a producer", stray(edit(label="praise")), *INVALID, "MentionUpdated.label: is set by classify"),
    Bad("the classifier raises", stray(mention(AUTHOR, 8, "classifier raises: " + SECRET)), "decide", "Unclassifiable", "RuntimeError"),
    Bad(
        "a Tick of an unknown writer",
        stray(Tick(clock="event", time=NOON + DAY, role="stranger", partition=0), None),
        "clock",
        "WrongTick",
        "stranger/0",
    ),
    Bad(
        "a Tick of the other clock",
        stray(Tick(clock="wall", time=NOON + DAY, role="clock", partition=0), None),
        "clock",
        "WrongTick",
        "a Tick of the wall clock",
    ),
]  # fmt: skip
BOMBS = (3 << 20, LARGEST_BATCH + 1)
KEPT = {
    "NUL": mention(AUTHOR, 20, "a\0b"),
    "empty text": mention(AUTHOR, 21, ""),
    "1 MB": mention(AUTHOR, 22, "x" * 1_000_000),
    "a day ahead": mention(AUTHOR, 23, at=NOON + DAY),
}
TO_COUNTS = [
    *(b for b in UNREADABLE if b.stage == "decode"),
    Bad("wrong record for the topic", stray(mention(AUTHOR, 4)), "decode", "WrongRecord", "does not belong in classified"),
    Bad("key disagrees", stray(classified(mention(ELSEWHERE, 1, SECRET))), "key", "WrongKey", "key disagrees"),
    Bad(
        "foreign partitioner",
        {"key": customer(mention(ELSEWHERE, 3)), "value": codec.encode(classified(mention(ELSEWHERE, 3, SECRET)))},
        "partition",
        "WrongPartition",
        "belongs on partition 1",
    ),
    Bad("decide raises", stray(classified(mention(AUTHOR, 9, "decide raises " + SECRET))), "decide", "ValueError", "toy.py"),
    Bad("evolve raises", stray(classified(mention(AUTHOR, 10, "evolve raises " + SECRET))), "decide", "ArithmeticError", "toy.py"),
    Bad("too large to cut", stray(classified(mention(AUTHOR, 11, "large " + SECRET))), "decide", "TooLarge", "ClassifiedMention"),
]  # fmt: skip


@dataclass
class Outcome:
    """What a worker made of it all."""

    world: World
    worker: Worker
    dead: dict[str, Row]


def send_all(world: World, topic: str, bad: list[Bad]) -> None:
    """Each bad record, named in a header, between two good ones."""
    for n, case in enumerate(bad):
        good: Record = mention(AUTHOR, 100 + n)
        world.send(topic, good if topic == "mentions" else classified(mention(AUTHOR, 100 + n)))
        headers = [("case", case.name.encode()), ("traceparent", b"t" * 5_000), (NotUtf8("name"), b"1")]
        world.raw(topic, case.partition, headers=headers, **case.sent)


def dead_rows(world: World, topic: str, count: int) -> list[Row]:
    """Once there are so many."""
    world.until(lambda: len(world.rows(topic + ".dead")) >= count, 20, f"{count} dead letters in {topic}.dead")
    return world.rows(topic + ".dead")


def dead_letters(world: World, topic: str, count: int) -> dict[str, Row]:
    """By the case's name."""
    return {row.headers.get("case", b"a batch").decode(): row for row in dead_rows(world, topic, count)}


def send_bomb(world: World, size: int) -> None:
    """A record that is a thousandth of its size on the wire, as a gateway may send it."""
    producer = KafkaProducer(
        **world.kafka.for_kafka_python(), compression_type="gzip", max_request_size=2 * size, batch_size=2 * size
    )
    headers = [("case", b"a bomb")]
    producer.send(world.prefix + "mentions", partition=0, key=KEY, value=b"\0" * size, headers=headers).get(30)
    producer.close()


@pytest.fixture(scope="module")
def classify(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Classify, given every bad record there is, then the odd ones that must be kept."""
    with World(kafka, f"b{uuid4().hex[:8]}.", tmp_path_factory.mktemp("bad"), PARTITIONS) as world:
        (worker,) = world.started("classify", dead_share=1.0)
        world.tick(NOON)
        send_all(world, "mentions", TO_CLASSIFY)
        for post in KEPT.values():
            world.send("mentions", post)
        world.raw("mentions", 0, key=KEY, value=surrogate(24, "text"))
        world.raw("mentions", 0, key=KEY, value=surrogate(25, "name"))
        for _ in range(2):
            world.send("mentions", mention(AUTHOR, 30))
        world.send("mentions", mention(ELSEWHERE, 31))
        world.flush()
        for size in BOMBS:
            send_bomb(world, size)
        world.tick(NOON + MINUTE)
        world.flush()
        world.await_records("classified", Tick, 2 * PARTITIONS)
        yield Outcome(world, worker, dead_letters(world, "mentions", len(TO_CLASSIFY) + len(BOMBS)))


@pytest.fixture(scope="module")
def counts(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """A fold, given every bad record there is."""
    with World(kafka, f"b{uuid4().hex[:8]}.", tmp_path_factory.mktemp("bad"), PARTITIONS) as world:
        world.seed("classified")
        (worker,) = world.started("counts", dead_share=1.0)
        world.tick(NOON, "classified", role="classify")
        send_all(world, "classified", TO_COUNTS)
        world.send("classified", classified(mention(AUTHOR, 40, "large lists")))
        world.send("classified", classified(mention(AUTHOR, 41)))
        world.send("classified", classified(mention(ELSEWHERE, 42)))
        world.flush()
        world.await_records("cases", CaseChanged, len(TO_COUNTS) + 3)
        yield Outcome(world, worker, dead_letters(world, "classified", len(TO_COUNTS)))


def check_dead_letter(outcome: Outcome, topic: str, case: Bad) -> None:
    """It is there as it came, and says where it stood and why."""
    row = outcome.dead[case.name]
    assert (row.key, row.value, row.partition) == (case.sent["key"], case.sent["value"], case.partition)
    assert row.headers["traceparent"] == b"t" * 5_000
    assert row.headers["\\xff\\xfe"] == b"1"
    told = failure_of(row.headers.items())
    source = next(r for r in outcome.world.rows(topic) if r.headers.get("case") == case.name.encode())
    assert told[:3] == (topic, source.partition, source.offset)
    assert (told.stage, told.error) == (case.stage, case.error)
    assert told.message is not None and case.says in told.message
    assert not any(word in told.message for word in ("words of a post", "x" * 20))


@pytest.mark.parametrize("case", TO_CLASSIFY, ids=lambda case: case.name)
def test_what_classify_cannot_use_is_a_dead_letter_with_its_bytes_and_the_reason(classify: Outcome, case: Bad) -> None:
    """One case each."""
    check_dead_letter(classify, "mentions", case)


@pytest.mark.parametrize("case", TO_COUNTS, ids=lambda case: case.name)
def test_what_a_fold_cannot_use_is_a_dead_letter_with_its_bytes_and_the_reason(counts: Outcome, case: Bad) -> None:
    """One case each."""
    check_dead_letter(counts, "classified", case)


def test_of_a_record_that_is_huge_when_it_is_decompressed_the_size_and_the_hash_are_kept(classify: Outcome) -> None:
    """Of one that no topic takes: and its key and headers. Of a batch that may not be decompressed: and its place."""
    small, large = (classify.dead[name] for name in ("a bomb", "a batch"))
    line = f"withheld: {BOMBS[0]} bytes, SHA-256 {sha256(bytes(BOMBS[0])).hexdigest()}: a record above 2 MiB"
    assert (small.key, small.value) == (KEY, line.encode())
    assert large.value is not None and large.value.startswith(b"withheld: ")
    for row, why in (small, "a record above 2 MiB"), (large, "becomes more than 16 MiB when it is decompressed"):
        told = failure_of(row.headers.items())
        assert (told.topic, told.partition, told.stage, told.error) == ("mentions", 0, "decode", "Withheld")
        assert told.offset is not None and told.message is not None and why in told.message


def test_every_bad_record_becomes_one_dead_letter(classify: Outcome, counts: Outcome) -> None:
    """No dead letter twice, none but the bad ones."""
    assert len(classify.world.rows("mentions.dead")) == len(TO_CLASSIFY) + len(BOMBS)
    assert len(counts.world.rows("classified.dead")) == len(TO_COUNTS)


def test_the_good_records_between_bad_ones_come_through_in_order(classify: Outcome) -> None:
    """The partition goes on, and the other one too."""
    found = [m.mention for m in classify.world.records("classified", ClassifiedMention)]
    assert [m.native_id for m in found if 100 <= number(m) < 200] == [
        f"{AUTHOR}-{100 + n}" for n in range(len(TO_CLASSIFY))
    ]
    assert [m.native_id for m in found if m.author_id == ELSEWHERE] == [f"{ELSEWHERE}-31"]


@pytest.mark.parametrize("name", KEPT)
def test_odd_texts_and_times_are_kept_as_they_came(classify: Outcome, name: str) -> None:
    """NUL, an empty text, one as long as the topic allows, a time just within the day."""
    assert KEPT[name] in [m.mention for m in classify.world.records("classified", ClassifiedMention)]


def test_a_lone_surrogate_is_kept_as_the_replacement_character(classify: Outcome) -> None:
    """Half an emoji is what networks sometimes deliver."""
    found = {number(m.mention): m.mention for m in classify.world.records("classified", ClassifiedMention)}
    assert found[24].text == "half an emoji: \ufffd"
    assert found[25].author_name == "a name: \ufffd"


def test_a_post_delivered_twice_is_classified_and_counted_once(classify: Outcome) -> None:
    """Dropped, and no dead letter."""
    found = [m.mention.native_id for m in classify.world.records("classified", ClassifiedMention)]
    assert found.count(f"{AUTHOR}-30") == 1
    counted = sum(c.count for volume in classify.world.records("volumes", Volume) for c in volume.counts)
    assert counted == len(found) == len(set(found))


def test_a_refused_tick_moves_no_time(classify: Outcome) -> None:
    """Neither a stranger's nor the other clock's."""
    assert {t.time for t in classify.world.records("classified", Tick)} == {NOON, NOON + MINUTE}


def test_a_step_that_raises_leaves_nothing_behind(counts: Outcome) -> None:
    """Neither events nor state: the next post takes the next number."""
    events = counts.world.records("cases", CaseChanged)
    assert [e.seq for e in events if e.author_id == AUTHOR] == list(range(1, len(TO_COUNTS) + 3))
    kept = codec.state_codec(Count)[1](counts.world.state("counts")[KEY])
    assert kept == Count(len(TO_COUNTS) + 2, len(TO_COUNTS) + 2)


def test_a_decided_record_above_its_limit_is_cut_and_says_so(counts: Outcome) -> None:
    """Longest lists first; what is left fits."""
    (row,) = counts.world.rows("alerts")
    assert row.value is not None and ALERT_LIMIT // 4 < len(row.value) < ALERT_LIMIT
    assert "lists cut to fit" in row.record.reason  # type: ignore[attr-defined]


def test_no_words_of_a_post_reach_a_log_line(classify: Outcome, counts: Outcome) -> None:
    """Not even when a decision raises with them in its message."""
    for outcome in (classify, counts):
        assert "dead letter" in outcome.worker.text()
        assert "words of a post" not in outcome.worker.text()


def test_a_producer_with_another_partitioner_costs_dead_letters_and_an_alert_and_stops_nothing(world: World) -> None:
    """Seven of eight records on a wrong partition: each good one behind them is read, and somebody is told, once."""
    (worker,) = world.started("classify")
    world.tick(NOON)
    wrong, good = 140, 20
    for n in range(wrong):
        world.send("mentions", mention(ELSEWHERE, n), 0)
        if n % 7 == 0:
            world.send("mentions", mention(AUTHOR, n))
    world.flush()
    assert len(world.await_records("classified", ClassifiedMention, good)) == good
    assert len(dead := world.rows("mentions.dead")) == wrong
    assert {failure_of(row.headers.items()).error for row in dead} == {"WrongPartition"}
    assert worker.alive()
    (line,) = worker.lines("many dead letters")
    assert (line["level"], line["partition"]) == ("error", "mentions/0") and "dead list" in line["do"]


def test_a_role_that_stops_for_its_dead_letters_has_written_them_all_and_started_again_goes_on_behind_them(
    world: World,
) -> None:
    """Where each of the last records became a dead letter, the fault may be ours: it says where they are and how to go on."""
    worker = world.start("classify", dead_window=12)
    world.tick(NOON)
    for _ in range(30):
        world.raw("mentions", 0, key=KEY, value=b"bad")
    for n in range(20):
        world.send("mentions", mention(AUTHOR, n))
    world.flush()
    assert worker.ended(25) == 1
    (line,) = worker.lines("worker failed")
    assert "mentions/0: " in line["why"] and "of the last 12 records became dead letters" in line["why"]
    assert "mentions.dead" in line["why"] and "goes on behind" in line["why"]
    worker.log.unlink()  # else its end would count as a fault of those that follow
    assert len(world.rows("mentions.dead")) >= 12
    world.start("classify", dead_window=31)
    assert len(world.await_records("classified", ClassifiedMention, 20)) == 20
    assert len(world.rows("mentions.dead")) == 30


def test_what_a_gateway_writes_before_a_log_has_its_first_policy_waits_for_it(world: World) -> None:
    """Bad records before it are dead letters at once; a worker that is started again meanwhile waits as well."""
    port = free_port()
    worker = world.start("counts", health_port=port)
    world.tick(NOON, "classified", role="classify")
    for _ in range(3):
        world.raw("classified", 0, key=KEY, value=b"bad")
    world.send("classified", classified(mention(AUTHOR, 1)))
    world.flush()
    world.until(lambda: "waiting for the first policy" in ready(port)[1], 25, "a line about the policy")
    assert worker.stop() == 0
    assert world.rows("cases") == []
    world.start("counts")
    world.seed("classified")
    world.flush()
    world.await_records("cases", CaseChanged, 1)
    assert len(world.rows("classified.dead")) == 3


def test_an_absurd_time_that_waits_for_time_and_an_absurd_trace_stop_nothing(world: World) -> None:
    """It is held against the first time that is known; the headers still have to be written."""
    world.started("classify")
    reply = Reply(
        id=ids.reply("andina", "twitter", "r1"),
        brand="andina",
        channel="twitter",
        author_id=AUTHOR,
        native_id="r1",
        created_at=requirements.END - 1,
    )
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    world.send("mentions", reply, headers=[("traceparent", b"t" * 500_000)])
    world.send("mentions", mention(AUTHOR, 1), headers=[("traceparent", b"t" * 500_000)])
    world.send("mentions", mention(AUTHOR, 2), headers=[("traceparent", trace)])
    world.tick(NOON)
    world.flush()
    found = [m.mention for m in world.await_records("classified", ClassifiedMention, 2)]
    assert found == [mention(AUTHOR, 1), mention(AUTHOR, 2)]
    (dead,) = dead_rows(world, "mentions", 1)
    assert failure_of(dead.headers.items()).error == "BadTime" and dead.value == codec.encode(reply)
    told = [(r.headers["ce_time"], r.headers.get("traceparent")) for r in world.rows("classified") if r.key is not None]
    assert told == [(b"2026-11-20T12:00:00Z", None), (b"2026-11-20T12:00:00Z", trace)]


def number(post: Mention) -> int:
    """The post's number within its author's."""
    return int(post.native_id.rpartition("-")[2])
