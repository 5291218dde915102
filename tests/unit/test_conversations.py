"""A conversation is hot when many more join it than usually join the brand's largest, and more and more do."""

from __future__ import annotations

from agents.policy.surge_policy import SurgePolicy
from agents.surge.conversations import WATCHED, Conversations
from agents.surge.tally import Joined

RULE = SurgePolicy()


def play(told: list[dict[str, int]], talks: Conversations | None = None, *, incident: bool = False) -> Conversations:
    """Posts that join each root, minute by minute; after a quiet hour unless it is said after what."""
    talks = talks or Conversations(age=60)
    for minute in told:
        joined = {root: Joined(posts, 0, "twitter", None) for root, posts in minute.items()}
        talks = talks.step(joined, RULE, in_surge=incident)
    return talks


def hot(talks: Conversations) -> list[str]:
    return [one.root for one in talks.hot()]


def test_fifty_posts_in_a_quarter_of_an_hour_are_hot_where_few_are_usual() -> None:
    assert hot(play([{"a": 5}] * 9)) == []
    assert hot(play([{"a": 5}] * 10)) == ["a"]
    assert hot(play([{"a": 3}] * 60)) == []


def test_where_large_conversations_are_usual_five_times_as_many_are_asked_for() -> None:
    usual = play([{"daily": 8}] * 3 * 24 * 60)
    assert hot(usual) == []
    assert hot(play([{"daily": 8, "b": 20}] * 15, usual)) == []
    assert hot(play([{"daily": 8, "b": 60}] * 15, usual)) == ["b"]


def test_one_that_the_crowd_is_leaving_does_not_become_hot() -> None:
    assert hot(play([{"a": 49}] + [{"a": 0}] * 9 + [{"a": 1}])) == []


def test_it_stays_hot_until_it_was_below_half_for_the_calm() -> None:
    talks = play([{"a": 10}] * 15)
    talks = play([{"a": 2}] * 60, talks)
    assert hot(talks) == ["a"]
    talks = play([{"a": 1}] * 80, talks)
    assert hot(talks) == []


def test_a_bounded_number_is_watched_and_the_largest_stay() -> None:
    crowd = {f"r{i}": 1 for i in range(1_000)}
    talks = play([crowd | {"a": 4}] * 13)
    assert hot(talks) == ["a"]
    assert (len(talks.known), talks.left_out) == (WATCHED, 1_001 - WATCHED)
    assert play([{}] * 15, play([{"a": 1}])).known == []


def test_what_lasts_a_day_is_the_usual() -> None:
    talks = play([{"a": 10}] * (24 * 60 + 20), incident=True)
    after = talks.settled(RULE)
    assert (hot(talks), hot(after)) == (["a"], [])
    assert hot(play([{"a": 10}] * 60, after)) == []
