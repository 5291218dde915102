"""Near-equal texts are found, and people who speak of the same thing are not taken for copies."""

from __future__ import annotations

import random

from agents.classify.near_copies import NearCopies

CAMPAIGN = (
    "exijo que @andina devuelva ya el dinero de los vuelos cancelados a todas las familias que esperan en el aeropuerto"
)
WORDS = [
    f"{a}{b}{c}"
    for a in ("vue", "male", "reclam", "dine", "espe")
    for b in ("lo", "ta", "ra", "do")
    for c in ("", "s", "mos", "ndo", "ria")
]
"""A hundred words, as many as people need to speak of one thing."""


def test_a_text_is_the_same_whatever_its_names_tags_numbers_and_case() -> None:
    copies = NearCopies()
    first = copies.of(CAMPAIGN)
    assert first is not None and len(first) == 16
    said = (CAMPAIGN.upper(), f"@otra {CAMPAIGN} #boicot", CAMPAIGN.replace("ya el", "ya 7 el"))
    assert [copies.of(text) for text in said] == [first] * 3


def test_a_word_or_two_changed_make_no_other_text() -> None:
    copies, dice = NearCopies(), random.Random(1)
    first = copies.of(CAMPAIGN)
    same = 0
    for n in range(200):
        words = CAMPAIGN.split()
        words[dice.randrange(len(words))] = f"palabra{chr(97 + n % 26)}{chr(97 + n // 26)}"
        same += copies.of(" ".join(words)) == first
    assert same >= 180


def test_people_who_speak_of_one_thing_in_their_own_words_copy_nobody() -> None:
    copies, dice = NearCopies(), random.Random(2)
    said = [copies.of(" ".join(dice.choice(WORDS) for _ in range(14))) for _ in range(300)]
    assert len(set(said)) >= 295


def test_a_short_text_is_nobodys_copy() -> None:
    copies = NearCopies()
    for text in (
        "",
        "x",
        "gracias",
        "me pueden ayudar por favor",
        "@andina #andina 1 2 3 4 5 6 7 8 9 10 11",
    ):
        assert copies.of(text) is None
