"""Whatever the rules are: the first that matches holds, and what is said of them is true."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from agents.policy import Features, Policy, Rule
from agents.policy.matching import Match
from agents.policy.policy import ClassifierPolicy
from agents.policy.warnings import warnings
from schemas.records import Kind, Label, Visibility

WORDS = {
    "brand": ["a", "b", "c"],
    "channel": ["twitter", "facebook"],
    "kind": list(get_args(Kind)),
    "label": list(get_args(Label)),
    "visibility": list(get_args(Visibility)),
    "lang": ["es", "pt", ""],
}
NUMBERS = [0, 1, 999, 1_000]


def words_of(given_: dict[str, list[str]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            **{name: st.lists(st.sampled_from(words), max_size=len(words)) for name, words in given_.items()},
            **dict.fromkeys(("followers", "reach"), st.sampled_from(NUMBERS)),
            **dict.fromkeys(("promoted", "uncertain"), st.booleans()),
        },
    )


matches = words_of(WORDS).map(lambda said: Match(**said))
features = st.builds(
    Features,
    **{
        name: st.sampled_from([*words, *(["z"] if name in ("brand", "channel") else [])])
        for name, words in WORDS.items()
    },
    followers=st.none() | st.sampled_from(NUMBERS),
    reach=st.none() | st.sampled_from(NUMBERS),
    promoted=st.booleans(),
    uncertain=st.booleans(),
)


def policy(said: list[Match]) -> Policy:
    rules = [Rule(name=f"r{n}", match=match) for n, match in enumerate(said)]
    return Policy(classifier=ClassifierPolicy(model="0" * 64), rules=rules)


def plainly(match: Match, f: Features) -> bool:
    """What the reference page says: each list holds the word, each number is reached, each flag is equal."""
    lists = all(not getattr(match, name) or getattr(f, name) in getattr(match, name) for name in WORDS)
    numbers = all((getattr(f, name) or 0) >= (getattr(match, name) or 0) for name in ("followers", "reach"))
    return lists and numbers and all(getattr(match, n) in (None, getattr(f, n)) for n in ("promoted", "uncertain"))


@given(st.lists(matches, max_size=8), st.lists(features, max_size=8))
def test_the_first_rule_that_matches_holds(said: list[Match], messages: list[Features]) -> None:
    held = policy(said)
    for message in [*messages, *messages]:  # the second time remembered
        first = next((n for n, match in enumerate(said) if plainly(match, message)), None)
        assert held.rule(message) is (None if first is None else held.rules[first])


@given(matches, features)
def test_a_rule_matches_where_nothing_differs(match: Match, message: Features) -> None:
    assert match(message) == (not list(match.differs(message))) == plainly(match, message)


@given(matches, matches, st.lists(features, min_size=8, max_size=8))
def test_a_rule_that_covers_another_matches_all_that_the_other_does(
    wide: Match, narrow: Match, messages: list[Features]
) -> None:
    if wide.covers(narrow):
        assert all(wide(message) for message in messages if narrow(message))


@given(matches, st.data())
def test_leaving_a_condition_out_covers(match: Match, data: st.DataObject) -> None:
    fields = sorted(match.model_fields_set)
    left = data.draw(st.sets(st.sampled_from(fields)) if fields else st.just(set()))
    wider = Match(**{name: getattr(match, name) for name in fields if name not in left})
    assert wider.covers(match)


@given(st.lists(matches, max_size=6), st.lists(features, min_size=12, max_size=12))
def test_a_rule_that_is_warned_of_never_holds(said: list[Match], messages: list[Features]) -> None:
    held = policy(said)
    never = {place[1] for place, why in warnings(held) if place[0] == "rules" and "never matches" in why}
    assert never.isdisjoint(held.rules.index(rule) for m in messages if (rule := held.rule(m)) is not None)
