"""Workers stand still for two hours while customers write and are answered: no clock is called late that was not."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from netcenter.embedded import Addresses
from netcenter.pipeline import PIPELINE
from schemas.records import ClockChanged
from tests.support import judge
from tests.support.afternoon import DUE, HOUR, MINUTE, NOON, POLICY, File
from tests.support.chaos import Plant, Playing

_DECIDING = tuple(role.name for role in PIPELINE.roles if role.decides)
_OUTAGE = HOUR // 2, HOUR * 5 // 2
_CUSTOMERS = 150


def _afternoon() -> tuple[File, set[str], dict[str, int]]:
    """Three hours of posts, most of them answered; who was answered in time, and who late or never, with the due.

    No due falls on a whole minute, where a Tick stands.
    """
    file, random, in_time, overdue = File(), Random(7), set(), {}
    for number in range(_CUSTOMERS):
        author, at = f"u{number}", random.randrange(3 * HOUR // MINUTE) * MINUTE + 17_000
        file.post(author, at)
        drawn = random.random()
        if drawn < 0.7:
            file.reply(author, at + random.randrange(MINUTE, DUE + 1))
            in_time.add(author)
            continue
        overdue[author] = NOON + at + DUE
        if drawn < 0.85:
            file.reply(author, at + DUE + random.randrange(MINUTE, HOUR))
    return file, in_time, overdue


@pytest.mark.parametrize(
    ("working", "stopped"), [(("classify", "cases"), ("cases",)), (_DECIDING, _DECIDING)], ids=["cases", "all"]
)
def test_after_two_hours_of_outage_only_what_was_not_answered_in_time_is_overdue(
    stack: Addresses, prefix: str, tmp_path: Path, working: tuple[str, ...], stopped: tuple[str, ...]
) -> None:
    file, in_time, overdue = _afternoon()
    lines = file.read(tmp_path / "afternoon.jsonl")
    begin, end = (NOON + at for at in _OUTAGE)
    with Plant(stack, tmp_path / "workers", POLICY, prefix, 4) as plant:
        plant.start(*working)
        before = Playing(plant, [x for x in lines if x.at < begin], run_on=0, ahead=0, follow=())
        plant.until(before.done, 30, "the time before the outage played")
        plant.await_drained(before.time, working, 60)
        plant.stop(*stopped)

        during = Playing(plant, [x for x in lines if begin <= x.at < end], run_on=0, ahead=0, follow=())
        plant.until(during.done, 30, "the outage played")
        plant.start(*stopped)
        plant.await_drained(during.time, working, 60)
        seen = _breached(plant)
        assert not seen.keys() & in_time
        assert seen.keys() == {author for author, due in overdue.items() if due < during.time}

        after = Playing(plant, [x for x in lines if end <= x.at], run_on=2 * HOUR, ahead=0, follow=())
        plant.until(after.done, 30, "the time after the outage played")
        plant.await_drained(after.time, working, 60)
        seen = _breached(plant)
    assert seen.keys() == overdue.keys()
    for author, events in seen.items():
        assert [e.change for e in events] == ["breached"], (author, events)
        assert events[0].breached_at == events[0].due_at == overdue[author]
        assert (events[0].detected_at or 0) > events[0].due_at


def _breached(plant: Plant) -> dict[str, list[ClockChanged]]:
    """Breaches, and what took them back, by customer."""
    found: dict[str, list[ClockChanged]] = {}
    for row in judge.read_all(plant.settings, plant.kafka, "cases")["cases"]:
        event = row.record
        if isinstance(event, ClockChanged) and event.change in ("breached", "rescinded"):
            found.setdefault(event.author_id, []).append(event)
    return found
