"""Promises of the memory for ids: it answers as a plain list of (id, time) would, however they come."""

from __future__ import annotations

from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.classify import recent
from agents.classify.recent import Recent

SPAN, MOST = 100, 12
IDS = st.integers(0, 30).map(str)
STEPS = st.lists(st.tuples(st.lists(IDS, max_size=9), st.integers(0, 40)), max_size=30)


class Plain:
    """The last ids with their times."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def new(self, id: str, time: int) -> bool:
        """Whether it is not among the last, or they are too old."""
        self.seen = [(other, at) for other, at in self.seen if at >= time - SPAN]
        if id in [other for other, _ in self.seen[-MOST:]]:
            return False
        self.seen.append((id, time))
        return True


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, young=st.integers(1, 8))
def test_an_id_is_new_when_it_is_not_among_the_last_or_they_are_too_old(
    steps: list[tuple[list[str], int]], young: int
) -> None:
    """With generations that age after a few ids already."""
    with mock.patch.object(recent, "_YOUNG", young):
        mine, plain, time = Recent(SPAN, MOST), Plain(), 1_000
        for ids, passed in steps:
            time += passed
            assert mine.news(ids, time) == [plain.new(id, time) for id in ids]


@settings(max_examples=100, deadline=None)
@given(noted=st.lists(st.integers(0, 10_000).map(str), unique=True, max_size=40), young=st.integers(1, 8))
def test_ids_that_were_noted_are_known_as_those_that_were_asked_for(noted: list[str], young: int) -> None:
    """As after a restart."""
    with mock.patch.object(recent, "_YOUNG", young):
        one, two = Recent(SPAN, MOST), Recent(SPAN, MOST)
        for id in noted:
            one.note(id, 1_000)
            assert two.news([id], 1_000) == [True]
        assert one.news(noted[-MOST:], 1_050) == two.news(noted[-MOST:], 1_050) == [False] * len(noted[-MOST:])
