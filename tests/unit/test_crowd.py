"""Who makes a flood: people, a few accounts, or copies of a few texts."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.surge.crowd import EACH, Crowd, Repeats
from tests.support.surge_told import START, volume


def wrote(*posts: int, channel: str = "twitter", complaints: bool = True) -> Crowd:
    """One author for each number of posts."""
    named = {f"{channel}|a{i}": Repeats(channel, n, n * complaints, n * complaints) for i, n in enumerate(posts)}
    return Crowd(sorted(crc32(name.encode()) for name in named)[:64], named)


def test_authors_are_counted_exactly_below_64_and_estimated_above() -> None:
    assert [wrote(*[1] * n).authors() for n in (0, 1, 63)] == [0, 1, 63]
    parts = [wrote(*[1] * 500, channel=f"c{n}") for n in range(4)]
    assert Crowd.sum(parts).authors() == pytest.approx(2_000, rel=0.35)
    assert Crowd.sum([*parts, *parts]).authors() == Crowd.sum(parts).authors()


def test_who_makes_a_flood_is_said_where_most_of_it_is_repeated() -> None:
    people, bot = wrote(*[1] * 16), wrote(200)
    assert people.kind(100, 10, 30, "posts") == "many"
    assert bot.kind(210, 10, 30, "posts") == "few"
    assert people.kind(8, 10, 30, "posts") == "many", "a surge that is ending"
    assert bot.kind(410, 10, 30, "posts") == "many", "what the others wrote would be a surge too"
    assert wrote(4, 5).kind(34, 10, 33, "posts") == "many", "two who wrote more often did not make it"
    copied = Crowd(people.sample, people.busiest, {"0" * 16: Repeats("twitter", 180, 0, 0)})
    assert copied.kind(200, 10, 30, "posts") == "copies"
    assert copied.kind(200, 10, 30, "complaints") == "many", "the copies complain of nothing"


def test_texts_that_share_a_half_of_their_names_are_one() -> None:
    names = ("aaaaaaaabbbbbbbb", "aaaaaaaacccccccc", "ddddddddbbbbbbbb", "eeeeeeeeffffffff")
    crowd = Crowd([], {}, dict(zip(names, [Repeats("twitter", n, 0, 0) for n in (9, 5, 1, 1)], strict=True)))
    assert crowd.copies() == 14
    assert [one.posts for one in Crowd.of_bin([crowd]).copied.values()] == [15]


def test_repetitions_count_by_what_they_are_and_where() -> None:
    bot = wrote(200, complaints=False)
    assert bot.kind(210, 10, 30, "complaints") == "many"
    assert bot.kind(210, 10, 30, "posts", "facebook") == "many"
    assert (bot.voices(210, "posts"), bot.voices(50, "complaints")) == (10, 50)
    assert wrote(EACH).voices(25, "posts") == 25


def test_a_volume_of_release_0_1_0_tells_no_authors_and_is_taken_for_people() -> None:
    crowd = Crowd.of(volume(START, 500))
    assert not crowd.known and crowd.kind(500, 10, 30, "posts") == "many"


CROWDS = st.lists(st.lists(st.integers(1, 50), max_size=5).map(lambda posts: wrote(*posts)), max_size=5)


@given(CROWDS, st.randoms())
def test_a_sum_does_not_depend_on_the_order(crowds: list[Crowd], dice: object) -> None:
    mixed = crowds.copy()
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    assert Crowd.sum(mixed) == Crowd.sum(crowds)
    assert Crowd.sum(mixed, 3) == Crowd.sum(crowds, 3)
