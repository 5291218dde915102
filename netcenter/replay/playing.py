"""Plays lines or a stretch of the log through one or several replays, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from netcenter.player import with_ticks
from netcenter.replay.engine import Replay
from netcenter.replay.stretch import Stretch
from schemas.files import Line
from schemas.records import Record

Say = Callable[[int, int], None]
"""Called at every Tick with the records played so far and its time (ms)."""
#: Lines of one minute that wait for its end; with more, a part is handled before.
_MOST_WAITING = 20_000
_TOPICS = {"classified": "mentions"}
"""What was classified before goes the same way, past the classifier."""


def play_lines(
    replays: Sequence[Replay], lines: Iterable[Line], *, interval: int, until: int, say: Say = lambda *_: None
) -> None:
    """Lines in the order of play, on the event clock; interval and until in ms, as of `with_ticks`."""
    waiting: dict[str, list[Record]] = {}
    played = held = 0

    def hand_in() -> None:
        for replay in replays:
            for topic, records in waiting.items():
                replay.give(topic, records)
        waiting.clear()

    for item in with_ticks(lines, interval=interval, until=until):
        if isinstance(item, int):
            hand_in()
            for replay in replays:
                replay.tick(item)
            played, held = played + held, 0
            say(played, item)
        else:
            waiting.setdefault(_TOPICS.get(item.topic, item.topic), []).append(item.record)
            held += 1
            if held % _MOST_WAITING == 0:
                hand_in()
                for replay in replays:
                    replay.drain()


def play_stretch(replays: Sequence[Replay], stretch: Stretch, *, say: Say = lambda *_: None) -> None:
    """A stretch of the log with its own Ticks; its policy changes hold where the replay has the log's own policies."""
    played = 0
    for step in stretch.steps():
        for replay in replays:
            replay.set_aside += step.set_aside
            for topic, records in step.people.items():
                replay.give(topic, records)
            for number, facts in step.facts.items():
                replay.append("mentions", number, facts)
            replay.drain()
            for number, tick in step.ticks.items():
                replay.append("mentions", number, [tick])
            replay.drain()
            replay.pass_time()
        played += sum(map(len, step.facts.values()))
        say(played, step.time)
