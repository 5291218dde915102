"""A rolling upgrade across a change of every state's form, a rollback and the final step, at 1,000 posts a second, with two
workers of each role: what was lost, what came twice, and how long each role was away.

Run it by `make upgrade`: it takes many minutes, and its name keeps it out of the suite.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import pytest
from kafka import TopicPartition

from netcenter.broker.client import open_consumer
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import committed_ranges_at
from netcenter.broker.reading import batches_of
from netcenter.demo.story import STORY_POLICY, story
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK, with_ticks
from netcenter.pipeline import DEAD, PIPELINE, PUBLIC
from netcenter.replay import Replay, play_lines
from schemas.records import ClassifiedMention, Decided, Mention, Record, Tick
from streams.checkpoint import PROGRESS
from tests.support import judge, next_release
from tests.support.chaos import HOUR, ROLES, SEED, Plant, Playing

#: Of the demo's story: 21,534 lines each. The load ends when every worker is replaced, or with the story.
SCALE = float(os.environ.get("NETCENTER_UPGRADE_SCALE", "22"))
PARTITIONS, PER_S = 4, 1_000
_DECIDING = tuple(role.name for role in PIPELINE.roles if role.decides)
_POLICY = STORY_POLICY.read_text()
_FIRST, _CALM = 500, 20 * PER_S
"""Lines until every role knows the time, and lines that are played before the first worker is replaced."""
_RUN_ON = 2 * HOUR
_ONE_OF_EACH = (ROLES, ROLES)
_READERS_FIRST = tuple((role, role) for role in reversed(ROLES))
_STEPS: tuple[tuple[str, dict[str, str], bool, tuple[tuple[str, ...], ...]], ...] = (
    ("upgrade", {"NETCENTER_UPGRADE_FROM": "0.1.0"}, True, _ONE_OF_EACH),
    ("rollback", {}, False, _ONE_OF_EACH),
    ("final", {}, True, _READERS_FIRST),
)
"""(what is done, the environment of the new workers, whether they are of the next release, of which roles a worker is
replaced at once)."""
_PATIENCE_S = 1_800.0

pytestmark = [
    pytest.mark.timeout(3 * _PATIENCE_S),
    # kafka-python leaves the socket of a connection that was being opened when its client was closed to the garbage
    # collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Load(threading.Thread):
    """Lines at PER_S a second and their Ticks, until told to stop; then the Ticks of _RUN_ON."""

    def __init__(self, plant: Plant, lines: Iterable[Line]) -> None:
        super().__init__(name="load", daemon=True)
        self.sent: list[Line] = []
        self.enough = threading.Event()
        self.failed: BaseException | None = None
        self.seconds = 0.0
        self.time = 0
        """ms; the newest Tick sent."""
        self._plant, self._lines = plant, lines

    def run(self) -> None:
        """Sends."""
        try:
            with LogWriter(self._plant.settings, self._plant.kafka, "ingest") as log:
                for item in with_ticks(self._paced(), interval=TICK, run_on=_RUN_ON):
                    if isinstance(item, Line):
                        log.send(item.topic, item.record)
                    else:
                        self.time = item
                        log.send_to_all("mentions", self._tick)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            self.failed = error

    def _tick(self, partition: int) -> Tick:
        return Tick(clock="event", time=self.time, role=PIPELINE.clock_role, partition=partition)

    def _paced(self) -> Iterator[Line]:
        began = time.monotonic()
        for n, line in enumerate(self._lines):
            early = n / PER_S - (time.monotonic() - began)
            if self.enough.wait(early) if early > 0.01 else self.enough.is_set():
                break
            self.sent.append(line)
            yield line
        self.seconds = time.monotonic() - began

    def done(self) -> bool:
        """Whether all is sent; raises what went wrong."""
        if self.failed is not None:
            raise self.failed
        return not self.is_alive()


@dataclass
class Rolled:
    """What was done to an installation under load, and what its topics say."""

    plant: Plant
    first: list[Line]
    load: Load
    windows: dict[str, tuple[int, int]]
    """ms; when each step was."""
    log: judge.Log
    checkpoints: dict[str, list[list[int]]]
    """When the checkpoints of each role and partition were; ms."""

    def away(self, role: str, step: str) -> float:
        """The longest time in a step for which a partition of a role had no checkpoint; seconds."""
        begin, end = self.windows[step]
        return max(
            (min(b, end) - max(a, begin)) / 1000
            for stamps in self.checkpoints[role]
            for a, b in zip([begin, *stamps], [*stamps, end], strict=True)
            if b > begin and a < end
        )

    def table(self) -> str:
        """The times that each role was away, as Markdown."""
        rows = [f"| role | {' | '.join(self.windows)} |", f"|---|{'---|' * len(self.windows)}"]
        for role in _DECIDING:
            rows.append(f"| `{role}` | {' | '.join(f'{self.away(role, step):.1f} s' for step in self.windows)} |")
        took = [f"{(end - begin) / 1000:.0f} s" for begin, end in self.windows.values()]
        return "\n".join([*rows, f"| the step took | {' | '.join(took)} |"])


@pytest.fixture(scope="module")
def rolled(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    """The story, played while every worker becomes one of the next release, of this one, and of the next one for good."""
    folder = tmp_path_factory.mktemp("upgrade")
    newer = next_release.make(folder / "next")
    with Plant(stack, folder / "workers", _POLICY, f"t{uuid4().hex[:8]}.", PARTITIONS) as plant:
        plant.start(*ROLES * 2)
        plant.await_workers(*ROLES)
        lines = sorted(story.story(SEED, SCALE), key=lambda line: (line.at, line.number))
        first = lines[:_FIRST]
        playing = Playing(plant, first, run_on=0, ahead=HOUR, follow=_DECIDING)
        plant.until(playing.done, _PATIENCE_S, "the first lines played")
        plant.await_drained(playing.time, ROLES, _PATIENCE_S)
        load, windows = Load(plant, lines[_FIRST:]), dict[str, tuple[int, int]]()
        began = _now()
        load.start()
        plant.until(lambda: len(load.sent) >= _CALM or load.done(), _PATIENCE_S, "a calm beginning")
        windows["calm"] = began, _now()
        for step, environment, is_newer, order in _STEPS:
            plant.environment = {**(next_release.environment(newer) if is_newer else {}), **environment}
            began = _now()
            for roles in order:
                _replace(plant, roles)
            windows[step] = began, _now()
            assert not load.done(), (
                f"the story has ended before the {step} was done: a larger NETCENTER_UPGRADE_SCALE plays longer"
            )
        load.enough.set()
        load.join()
        assert load.done()
        plant.await_drained(load.time, ROLES, _PATIENCE_S)
        plant.stop()
        with next_release.read_as_written(newer):
            log = judge.read_all(plant.settings, plant.kafka, *PUBLIC, "classified", *DEAD)
        yield Rolled(plant, first, load, windows, log, _checkpoints(plant))


def _replace(plant: Plant, roles: tuple[str, ...]) -> None:
    """Replaces the oldest workers of these roles, as Kubernetes does with `maxSurge` and `maxUnavailable: 0`: the new workers
    own partitions before the old ones are told to stop.
    """
    old = [worker for role in dict.fromkeys(roles) for worker in plant.alive(role)[: roles.count(role)]]
    started = plant.start(*roles)
    plant.until(lambda: all(worker.said("partitions owned") for worker in started), _PATIENCE_S, "partitions owned")
    for worker in old:
        plant.leave(worker)
    for worker in old:
        worker.ended(60)


def _checkpoints(plant: Plant) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = {role: [[] for _ in range(PARTITIONS)] for role in _DECIDING}
    roles = {f"{plant.prefix}{PIPELINE.role(role).changelog}": role for role in _DECIDING}
    ranges = committed_ranges_at(plant.kafka, [TopicPartition(name, n) for name in roles for n in range(PARTITIONS)])
    with closing(open_consumer(plant.kafka)) as consumer:
        for batch in batches_of(consumer, ranges):
            for tp, records in batch.items():
                found[roles[tp.topic]][tp.partition] += [r.timestamp for r in records if r.key == PROGRESS]
    return found


def _now() -> int:
    return int(time.time() * 1000)


def test_nothing_is_lost_nothing_comes_twice_and_every_sequence_is_whole(rolled: Rolled) -> None:
    sent = [*rolled.first, *rolled.load.sent]
    posts = {line.record.id for line in sent if isinstance(line.record, Mention)}
    print(
        f"\n{len(sent):,} records, {len(rolled.load.sent) / rolled.load.seconds:,.0f} a second for "
        f"{rolled.load.seconds:.0f} s; ended by themselves: {dict(rolled.plant.deaths)}\n{rolled.table()}"
    )
    assert rolled.plant.deaths == {}
    judged = {row.record.mention.id for row in rolled.log["classified"] if isinstance(row.record, ClassifiedMention)}
    assert judged == posts
    assert judge.twice(rolled.log, but=()) == {}
    assert judge.gaps(rolled.log) == []
    assert [row for name, rows in rolled.log.items() if name.endswith(".dead") for row in rows] == []


def test_every_decision_is_that_of_a_replay(rolled: Rolled) -> None:
    """So there is no breach that was not, and none is missing."""
    written: defaultdict[str, list[Record]] = defaultdict(list)
    roles = [PIPELINE.role(name) for name in _DECIDING]
    replay = Replay({1: _POLICY}, PARTITIONS, lambda topic, records: written[topic].extend(records), roles=roles)
    play_lines([replay], rolled.first, interval=TICK, run_on=0)
    play_lines([replay], rolled.load.sent, interval=TICK, run_on=_RUN_ON)
    for topic in (
        "cases",
        "surges",
    ):  # beside the release before no alert of overdue cases opens, as docs/upgrade.md says
        ours = judge.histories(judge.without_offsets(row.record) for row in rolled.log[topic])
        theirs = judge.histories(map(judge.without_offsets, written[topic]))
        judge.same_histories(ours, theirs, topic)
        assert ours, topic


def test_the_tables_hold_every_event(rolled: Rolled) -> None:
    found = judge.tables(rolled.plant.settings.postgres or "")
    for table, topic in (("case_events", "cases"), ("surge_events", "surges")):
        assert len(found[table]) == sum(isinstance(row.record, Decided) for row in rolled.log[topic]), table
