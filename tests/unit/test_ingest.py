"""`ingest` over a log in memory: it waits for the roles that the pipeline has, and passes over time in which none waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from netcenter.commands.ingest import _Hint
from netcenter.files.line import Line
from netcenter.ingest import pacing, player
from netcenter.ingest.pacing import Waiting
from netcenter.ingest.player import Played, ingest
from netcenter.pipeline import PIPELINE
from netcenter.replay.engine import Replay
from netcenter.settings import Settings
from schemas.records import Decided, Record, Tick
from streams.committed_offsets import NEVER
from streams.kafka_connection import KafkaConnection
from streams.topology import Role
from tests.support import care_facts
from tests.support.care_facts import DAY, HOUR, MINUTE

_POLICY = f"""
[classifier]
model = "{"0" * 64}"

[[brands]]
name = "andina"
mode = "live"

[[rules]]
name = "complaints"
match = {{ label = ["complaint"] }}
target = "60m"
priority = 2
"""
_DECIDING = [role.name for role in PIPELINE.roles if role.decides]


@dataclass
class Plant:
    """Roles that decide in memory what is written, and are told of as a broker would."""

    says_due: bool = True
    working: set[str] = field(default_factory=lambda: set(_DECIDING))
    """Roles that have a worker."""
    had: set[str] = field(default_factory=set)
    """Roles whose groups have offsets."""
    stand_still: int = NEVER
    """ms; event time that no role gets beyond."""
    ticks: list[int] = field(default_factory=list)
    written: list[tuple[str, Record]] = field(default_factory=list)
    follows: list[str] = field(default_factory=list)
    now: float = 0.0
    taken: int = 0

    def __post_init__(self) -> None:
        self.replay = Replay({1: _POLICY}, 2, lambda topic, records: self.written.extend((topic, r) for r in records))

    # --- as LogWriter ---

    def __enter__(self) -> Plant:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held back."""

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def send(self, topic: str, record: Record) -> None:
        """A record of the file."""
        self.replay.give("mentions" if topic == "classified" else topic, [record])

    def send_to_all(self, topic: str, make: Callable[[int], Record]) -> None:
        """A Tick."""
        tick = make(0)
        assert isinstance(tick, Tick)
        self.ticks.append(tick.time)
        self.replay.tick(tick.time)

    # --- as LagMonitor and its ConsumerGroups ---

    @property
    def groups(self) -> Plant:
        """The groups of the roles."""
        return self

    def positions(self, _: object) -> dict[str, Any]:
        """The committed offsets of each role."""
        return {name: {0: "committed"} for name in self.had}

    def running(self) -> list[Role]:
        """Who has a worker."""
        return [PIPELINE.role(name) for name in sorted(self.working)]

    def slowest_and_due(self, roles: Sequence[Role]) -> tuple[tuple[int, str], int]:
        """All stand at the last Tick, or where they stand still."""
        self.follows = [role.name for role in roles]
        due = self.replay.due()
        known = NEVER if due is None else due
        return (min([*self.ticks[-1:], self.stand_still]), roles[0].name), known if self.says_due else 0

    # --- as time ---

    def monotonic(self) -> float:
        """Time goes by only when it is slept."""
        return self.now

    def sleep(self, _: float) -> None:
        """A second each time."""
        self.now += 1


Play = Callable[..., Played]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Ingest lines into a plant."""

    def run(plant: Plant, lines: list[Line], **more: Any) -> Played:
        with monkeypatch.context() as patch:
            patch.setattr(player, "LogWriter", lambda *_: plant)
            patch.setattr(player, "LagMonitor", lambda *_: plant)
            patch.setattr(player, "open_admin", lambda _: plant)
            patch.setattr(player, "clock_of_log", lambda *_: more.pop("clock", "event"))
            patch.setattr(pacing, "time", SimpleNamespace(monotonic=plant.monotonic, sleep=plant.sleep))
            given = {"interval": 5 * MINUTE, "run_on": 6 * HOUR, "ahead": HOUR, **more}
            return ingest(Settings(), KafkaConnection("nowhere"), lines, **given)

    return run


def _posts(*days: float) -> list[Line]:
    """Three posts of one customer each, so many days after the first day's beginning."""
    found: list[Line] = []
    for day in days:
        at = DAY + int(day * 24 * HOUR)
        for n in range(3):
            post = care_facts.post(f"p{len(found)}", at + n * MINUTE, author=f"u{n}")
            found.append(Line(at + n * MINUTE, "classified", post, len(found)))
    return found


def _decided(plant: Plant) -> list[tuple[str, str, int, str]]:
    return [(topic, r.id, r.time, r.reason) for topic, r in plant.written if isinstance(r, Decided)]


def test_a_gap_is_passed_over_and_what_is_decided_is_the_same(play: Play) -> None:
    """Beside a plant whose roles do not say what is due, and so are told of every minute of it."""
    sparse, dense = Plant(), Plant(says_due=False)
    lines = _posts(0, 12, 12.2, 20)
    played = play(sparse, lines)
    play(dense, lines)
    assert _decided(sparse) == _decided(dense)
    assert len({topic for topic, *_ in _decided(sparse)}) >= 3
    assert dense.ticks == list(range(DAY, dense.ticks[-1] + 1, 5 * MINUTE))
    assert set(sparse.ticks) < set(dense.ticks) and len(sparse.ticks) < len(dense.ticks) / 4
    assert (played.ticks, played.time) == (len(sparse.ticks), dense.ticks[-1])


def test_who_decides_and_is_not_followed_is_told_every_minute(play: Play) -> None:
    """What is due there nobody knows."""
    plant = Plant()
    play(plant, _posts(0, 3), follow=["classify"])
    assert plant.ticks == list(range(DAY, plant.ticks[-1] + 1, 5 * MINUTE))


@pytest.mark.parametrize(
    ("working", "had", "follows"),
    [
        (set(), set(), _DECIDING),
        ({"classify"}, set(), _DECIDING),
        ({"postgres"}, set(), [*_DECIDING, "postgres"]),
        (set(), {"postgres", "webhook"}, [*_DECIDING, "postgres"]),
    ],
)
def test_the_roles_that_decide_are_followed_whether_they_have_a_worker_or_not(
    play: Play, working: set[str], had: set[str], follows: list[str]
) -> None:
    """And PostgreSQL's where somebody runs it, or ran it."""
    plant = Plant(working=working, had=had)
    play(plant, _posts(0))
    assert plant.follows == follows


@pytest.mark.parametrize(
    ("working", "line"),
    [
        (set(_DECIDING), "waiting for classify: it has stood at 2026-11-20T02:00:00Z for 6 s; `netcenter doctor`"),
        (set(), "waiting for classify: no worker of it runs; start `netcenter worker classify`"),
    ],
)
def test_a_role_that_stands_still_holds_the_file_and_is_told_of(play: Play, working: set[str], line: str) -> None:
    """Whether it hangs, has died, or never had a worker; when it goes on, so does the file."""
    plant = Plant(working=working, stand_still=DAY + 2 * HOUR)
    lines: list[str] = []

    def on_wait(waiting: Waiting) -> None:
        assert DAY + 2 * HOUR < plant.ticks[-1] <= DAY + 3 * HOUR + 5 * MINUTE
        lines.extend(filter(None, [waiting.notice]))
        if plant.now > 200:
            plant.stand_still = NEVER

    play(plant, _posts(0, 1), on_wait=on_wait)
    assert lines[0].startswith(line)
    assert len(lines) == 4  # after 5 s, and then once a minute
    assert plant.ticks[-1] > DAY + 24 * HOUR


def test_who_waits_for_nobody_is_held_by_nobody(play: Play) -> None:
    """A file may be played before the first worker is started."""
    plant = Plant(working=set(), stand_still=0)
    play(plant, _posts(0, 1), follow=())
    assert plant.ticks[-1] > DAY + 24 * HOUR and plant.now == 0


def test_a_play_that_takes_long_for_little_time_of_the_file_says_once_what_is_faster() -> None:
    slow = _Hint(30 * 60_000)
    first = 1_767_607_200_000
    assert slow.when_slow(0, 0, "classify") == ""  # nothing is played yet
    assert [slow.when_slow(s, first + s * 60_000, "cases") for s in (1, 10, 20)] == ["", "", ""]
    assert "the slowest role, cases: --ahead 12h" in slow.when_slow(21, first + 21 * 60_000, "cases")
    assert slow.when_slow(40, first + 40 * 60_000, "cases") == ""
    fast, wide = _Hint(30 * 60_000), _Hint(12 * 3_600_000)
    assert {fast.when_slow(s, first + s * 7_200_000, "cases") for s in (0, 20, 60)} == {""}
    assert {wide.when_slow(s, first + s * 60_000, "cases") for s in (0, 20, 60)} == {""}
