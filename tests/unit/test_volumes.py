"""Volumes: what one partition of mentions brought of each brand in a minute."""

from __future__ import annotations

from typing import Any

from agents.classify.volumes import CHANNELS, LARGEST, LATEST, PROMPT, MinuteCounter
from schemas import codec, ids
from schemas.records import ClassifiedMention, ConversationCount, Label, Mention, Volume, VolumeCount
from streams.topology import MIB

START = 1_700_000_040_000


def post(native_id: str, label: Label = "complaint", *, own: bool = False, **fields: Any) -> ClassifiedMention:
    given = {"brand": "andina", "channel": "twitter", "author_id": f"a{native_id}", "created_at": START, **fields}
    mention = Mention(id=native_id, native_id=native_id, **given)
    return ClassifiedMention(
        label=label, confidence=0.9, uncertain=False, classified_lang="es", own=own,
        probabilities=[0.9, 0.1, 0.0, 0.0], model="0" * 16, policy=1, mention=mention,
    )  # fmt: skip


def volumes(*posts: ClassifiedMention) -> list[Volume]:
    minute = MinuteCounter(3, START)
    for offset, mention in enumerate(posts, 100):
        minute.add(mention, offset)
    return minute.close()


def test_posts_are_counted_by_channel_kind_and_label_in_order() -> None:
    told = volumes(post("1"), post("2", "praise"), post("3", kind="share"), post("4"), post("5", channel="facebook"))
    assert [v.counts for v in told] == [
        [
            VolumeCount(channel="facebook", kind="post", label="complaint", count=1),
            VolumeCount(channel="twitter", kind="post", label="complaint", count=2),
            VolumeCount(channel="twitter", kind="post", label="praise", count=1),
            VolumeCount(channel="twitter", kind="share", label="complaint", count=1),
        ]
    ]


def test_there_is_one_volume_per_brand_seen_sorted_by_brand() -> None:
    told = volumes(post("1", brand="zeta"), post("2"), post("3", brand="zeta"))
    assert [(v.brand, sum(c.count for c in v.counts)) for v in told] == [("andina", 1), ("zeta", 2)]
    assert volumes() == []


def test_the_brands_own_posts_do_not_count_but_their_offset_does() -> None:
    (told,) = volumes(post("1"), post("2", own=True, brand="other"))
    assert (told.brand, told.offset) == ("andina", 101)


def test_an_id_says_which_brand_minute_partition_and_offset_it_tells_of() -> None:
    (told,) = volumes(post("1"), post("2"))
    assert told.id == ids.make("volume", "andina", START, 3, 101)
    assert (told.minute, told.partition, told.offset) == (START, 3, 101)


def test_an_author_counts_once_on_each_channel_and_reach_adds_up() -> None:
    (told,) = volumes(
        post("1", author_id="u", reach=10),
        post("2", author_id="u", reach=5),
        post("3", author_id="u", channel="facebook"),
        post("4", author_id="v"),
    )
    assert (told.authors, told.reach) == (3, 15)


def test_a_post_read_late_counts_in_its_own_five_minutes_and_a_very_late_one_apart() -> None:
    told = volumes(
        *[post(f"p{ago}", created_at=START - ago) for ago in (-60_000, 0, PROMPT)],
        *[post(f"l{ago}", created_at=START - ago, conversation_id="r") for ago in (PROMPT + 1, 15 * 60_000, LATEST)],
        *[post(f"o{ago}", created_at=START - ago, conversation_id="r") for ago in (LATEST + 1, 30 * LATEST)],
    )
    [one] = told
    assert [c.count for c in one.counts] == [3]
    assert [late.minute % 300_000 for late in one.late] == [0] * len(one.late)
    assert [(START - late.minute) // 60_000 for late in one.late] == sorted(
        [(START - late.minute) // 60_000 for late in one.late], reverse=True
    )
    assert sum(c.count for late in one.late for c in late.counts) == 3
    assert one.older == 2
    assert [c.posts for c in one.conversations] == [2], "those within a quarter of an hour join it"


def test_the_authors_and_the_copied_texts_are_told_the_largest_first() -> None:
    said = "exijo que devuelvan ya el dinero de los vuelos cancelados a todas las familias"
    (told,) = volumes(
        *[post(f"b{n}", author_id="bot", text=f"texto {n}") for n in range(5)],
        *[post(f"c{n}", "question", author_id=f"u{n}", text=f"@andina {said} {n}") for n in range(4)],
        post("s", kind="share", author_id="u9", text=said),
    )
    assert [(a.author_id, a.posts, a.complaints, a.contacts) for a in told.busiest[:2]] == [
        ("bot", 5, 5, 5),
        ("u0", 1, 0, 1),
    ]
    assert [(t.posts, t.complaints, t.contacts) for t in told.copied] == [(4, 0, 4)], "a share is no copy"
    assert len(told.author_sample) == told.authors == 6
    assert told.author_sample == sorted(told.author_sample)


def test_a_share_complains_of_nothing() -> None:
    (told,) = volumes(post("1", kind="share", share_of="r"), post("2", kind="quote", share_of="r"))
    assert [(c.posts, c.shares, c.complaints) for c in told.conversations] == [(2, 1, 1)]
    assert sorted((a.complaints, a.contacts) for a in told.busiest) == [(0, 0), (1, 1)]


def test_a_conversation_counts_the_posts_by_which_others_joined_it() -> None:
    (told,) = volumes(
        post("root", conversation_id="root", author_id="ana"),
        post("c1", conversation_id="root"),
        post("c2", "other", conversation_id="root"),
        post("s1", "other", conversation_id="s1", share_of="root"),
        post("lonely"),
    )
    joined = ConversationCount(root="root", channel="twitter", posts=3, complaints=1, root_author="ana")
    assert told.conversations == [joined]


def test_a_root_that_was_not_seen_in_the_minute_has_no_author() -> None:
    (told,) = volumes(post("c1", conversation_id="far"))
    assert [(c.root, c.root_author) for c in told.conversations] == [("far", None)]


def test_only_the_largest_conversations_are_told_and_ties_go_by_root() -> None:
    posts = [post(f"c{i}", conversation_id=f"r{i:04}") for i in reversed(range(LARGEST + 50))]
    (told,) = volumes(*posts, post("x", conversation_id="r0249"))
    assert [c.root for c in told.conversations] == ["r0249", *(f"r{i:04}" for i in range(LARGEST - 1))]
    assert sum(c.count for c in told.counts) == LARGEST + 51


def test_a_minute_told_again_holds_all_that_came_and_a_higher_offset() -> None:
    minute = MinuteCounter(0, START)
    minute.add(post("1"), 7)
    (early,) = minute.close()
    minute.add(post("2"), 9)
    (late,) = minute.close()
    assert (early.counts[0].count, early.offset) == (1, 7)
    assert (late.counts[0].count, late.offset) == (2, 9)
    assert early.id != late.id


def test_a_volume_fits_its_topic_whatever_a_producer_sends() -> None:
    """Channels and long names without end: the rest counts as `other`, and no post is lost."""
    minute = MinuteCounter(0, START)
    posts = [
        post(f"n{n}", channel=f"{n:0100}", author_id="é" * 500, share_of=f"{'ü' * 250}{n}", kind=kind)
        for n in range(3 * CHANNELS)
        for kind in ("post", "comment", "share", "quote", "review", "message")
    ]
    words = [f"{'w' * 20}{chr(97 + n)}" for n in range(20)]
    posts += [
        post(
            f"l{ago}.{n}.{label}",
            label,
            channel=f"{n:0100}",
            created_at=START - PROMPT - 1 - ago * 300_000,
            author_id=f"{n:0250}",
            text=" ".join(words),
        )
        for ago in range(35)
        for n in range(3 * CHANNELS)
        for label in ("complaint", "question", "praise", "other")
    ]
    for n, one in enumerate(posts):
        minute.add(one, n)
    (told,) = minute.close()
    late = [c for part in told.late for c in part.counts]
    assert sum(c.count for c in (*told.counts, *late)) == len(posts)
    assert {c.channel for c in told.counts} == {*(f"{n:0100}" for n in range(CHANNELS)), "other"}
    assert len(codec.encode(told)) < MIB - 4_096
