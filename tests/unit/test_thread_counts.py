"""A replay counts mentions and replies as the tables of PostgreSQL hold them."""

from __future__ import annotations

from netcenter.replay.thread_counts import ThreadCounts
from schemas.records import Action
from tests.support import care_facts

AT = 1_795_183_380_000


def test_a_record_that_comes_again_under_its_id_is_one_row() -> None:
    counts = ThreadCounts()
    for name in ("a", "b", "a"):
        counts.tell(care_facts.post(name, AT, author="u1"))
    assert (counts.mentions, counts.replies, sum(counts.labels.values())) == (2, 0, 2)


def test_who_is_forgotten_is_no_longer_counted_and_counts_again_when_they_come_back() -> None:
    counts = ThreadCounts()
    posts = [care_facts.post(name, AT, author=author) for name, author in (("a", "u1"), ("b", "u1"), ("c", "u2"))]
    for post in posts:
        counts.tell(post)
    first = posts[0].mention
    counts.tell(
        Action(
            id="f",
            brand=first.brand,
            channel=first.channel,
            author_id=first.author_id,
            action_id="1",
            action="forget",
            created_at=AT,
        )
    )
    assert (counts.mentions, sum(counts.labels.values())) == (1, 1)
    counts.tell(posts[0])
    counts.tell(posts[0])
    assert counts.mentions == 2
