"""Time in which nothing falls due is passed over, and nothing that is decided is another for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from netcenter.demo.story import STORY_POLICY, story
from netcenter.files.line import Line
from netcenter.pipeline import PIPELINE
from netcenter.replay import play_lines
from netcenter.replay.engine import Replay
from schemas import ids
from schemas.records import ContactCount, Record, Tick
from streams.core import Fact
from tests.support import care_facts
from tests.support.care_facts import DAY, HOUR, MINUTE
from tests.support.examples import examples

_STORY = STORY_POLICY.read_text()
_MODEL = "0" * 64
_POLICY = f"""
[classifier]
model = "{_MODEL}"

[surge]
minimum = 3

[[brands]]
name = "andina"
mode = "live"

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2

[[rules]]
name = "questions"
match = {{ label = ["question"] }}
target = "30h"
priority = 4
"""


class EveryMinute(Replay):
    """As if every Tick were played: the plain way, by which the other is judged."""

    def due(self) -> int | None:
        """Always something."""
        return 0

    def tick(self, time: int, left_out: int = 0) -> None:
        """A Tick for every partition, handed on by every role."""
        assert left_out == 0
        self.drain()
        first = PIPELINE.roles[0].input_topic
        for number in range(self.partitions):
            tick = Tick(clock="event", time=time, role=PIPELINE.clock_role, partition=number)
            self.append(first, number, [Fact(self._ways[first].ends[number], tick)])
        self.drain()
        self.pass_time()


def _played(
    kind: type[Replay], lines: Sequence[Line], policy: str, interval: int = MINUTE
) -> tuple[list[tuple[str, Record]], int]:
    """Everything that was written, in its order, and how many Ticks it took."""
    written: list[tuple[str, Record]] = []
    ticks: list[int] = []
    replay = kind({1: policy}, 2, lambda topic, records: written.extend((topic, record) for record in records))
    play_lines([replay], lines, interval=interval, run_on=6 * HOUR, say=lambda _, time: ticks.append(time))
    assert replay.dead_letters == 0
    return written, len(ticks)


_GAPS = some.one_of(
    some.integers(0, 5 * MINUTE),
    some.integers(0, 3 * HOUR),
    some.integers(20 * HOUR, 40 * HOUR),
    some.just(10 * MINUTE),
)
_WHAT = some.one_of(
    some.tuples(some.just("posts"), some.sampled_from(["complaint", "question", "other"]), some.integers(1, 12)),
    some.tuples(some.just("reply"), some.just(""), some.just(0)),
    some.tuples(some.just("operator"), some.sampled_from(["signed_in", "signed_out"]), some.integers(1, 4)),
    some.tuples(some.just("contacts"), some.just(""), some.integers(0, 40)),
)


def _lines(steps: list[tuple[int, tuple[str, str, int]]]) -> list[Line]:
    """Posts of up to three customers, replies to the first, operators who come and go, counted calls."""
    found: list[Line] = []
    now = DAY

    def add(topic: Any, record: Record) -> None:
        found.append(Line(now, topic, record, len(found)))

    for gap, (what, kind, count) in steps:
        now += gap
        if what == "posts":
            for n in range(count):
                add("classified", care_facts.post(f"p{len(found)}", now, kind, author=f"u{n % 3 + 1}"))
        elif what == "reply":
            add("mentions", care_facts.reply(f"r{len(found)}", now))
        elif what == "operator":
            add("desk", care_facts.operator("ana", now, kind, capacity=count))
        else:
            minute = now // MINUTE * MINUTE
            made = ids.make("contacts", minute, len(found))
            add("volumes", ContactCount(id=made, brand="andina", source="calls", minute=minute, count=count))
    return found


@examples(8)
@given(some.lists(some.tuples(_GAPS, _WHAT), min_size=1, max_size=6))
def test_what_is_decided_is_the_same_with_every_tick_and_with_those_that_matter(steps: Any) -> None:
    """The same records with the same ids and times, in one order, by all deciders together."""
    lines, interval = _lines(steps), 5 * MINUTE
    every, all_of_them = _played(EveryMinute, lines, _POLICY, interval)
    those, some_of_them = _played(Replay, lines, _POLICY, interval)
    assert those == every
    assert some_of_them <= all_of_them


def test_a_whole_story_is_decided_the_same() -> None:
    """A day and a half of an airline: floods, a crisis, alerts, operators."""
    lines = sorted(story.story(7, 0.015), key=lambda line: (line.at, line.number))
    assert _played(Replay, lines, _STORY)[0] == _played(EveryMinute, lines, _STORY)[0]


def test_an_empty_year_costs_no_more_than_an_empty_week() -> None:
    """When all timers have fired, nothing is left to be done until the next post."""
    ticks = []
    for days in (14, 380):
        lines = _lines([(0, ("posts", "complaint", 3)), (days * 24 * HOUR, ("posts", "complaint", 3))])
        written, count = _played(Replay, lines, _POLICY)
        ticks.append(count)
        assert {"cases", "assignments", "alerts"} & {topic for topic, _ in written}
    assert ticks[0] == ticks[1]
