"""The main test: under kills, rebalances and restarted servers, the same events and rows as a replay with no Kafka."""

from __future__ import annotations

import gc
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agents.policy import parse
from netcenter.demo.story import STORY_POLICY, story
from netcenter.embedded import Addresses, Stack
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from schemas.keys import customer
from schemas.records import (
    Alert,
    ClassifiedMention,
    Decided,
    Mention,
    PolicyChanged,
    Record,
    SurgeClosed,
    SurgeOpened,
    Tick,
    Volume,
)
from streams.partitioner import partition_of
from tests.support import judge
from tests.support.chaos import HOUR, ROLES, SEED, People, Plant, Playing
from tests.support.forgeries import key_files

#: Of the demo's story; 1 is all of it, over as many partitions as the demo has.
SCALE = float(os.environ.get("NETCENTER_CHAOS_SCALE", "0.25"))
PARTITIONS = 8 if SCALE >= 1 else 4
UNTIL = 6 * HOUR
AHEAD = HOUR // 2
_KILLS, _MOMENTS = 10, 6
IN_THE_SURGE = story.GUITAR + HOUR
"""ms; whoever holds the surge is killed then."""
#: Of the schedule; another one draws other victims.
_SCHEDULE = int(os.environ.get("NETCENTER_CHAOS_SEED", "7"))
#: Seconds in which the file must be played, and then all be read.
_PLAYED_S, _DRAINED_S = 900.0, 120.0
_POLICY = STORY_POLICY.read_text()
_RANK = {"info": 0, "warning": 1, "page": 2}

pytestmark = [
    pytest.mark.timeout(_PLAYED_S + _DRAINED_S),
    # The client leaves the socket of every connection that a stopped broker refuses to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass
class Chaos:
    """What is done to a plant, each thing when the file has come to its time."""

    plant: Plant
    servers: Stack
    random: Random
    planned: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)
    """What was done, with the time as the workers' logs have it."""

    def plan(self, begin: int, end: int) -> None:
        """Draw the times, ms of event time: now and then two are killed at once."""
        draw = self.random
        moments = [draw.randrange(begin, end) for _ in range(_MOMENTS)]
        self.planned = [(moments[n % _MOMENTS], self._kill) for n in range(_KILLS)]
        self.planned += [(draw.randrange(begin, end), self._kafka), (draw.randrange(begin, end), self._postgres)]
        joins, leaves = sorted(draw.randrange(begin, end) for _ in range(2))
        role = draw.choice(ROLES)
        self.planned.append((IN_THE_SURGE, lambda: self._kill("surge")))
        self.planned += [(joins, lambda: self._join(role)), (leaves, lambda: self._leave(role))]
        self.planned.sort(key=lambda planned: planned[0], reverse=True)

    def until(self, time: int) -> None:
        """Do what is due at this event time (ms)."""
        while self.planned and self.planned[-1][0] <= time:
            self.planned.pop()[1]()

    def _note(self, what: str) -> None:
        self.deeds.append(f"{datetime.now(UTC):%H:%M:%S} {what}")

    def _kill(self, *roles: str) -> None:
        victim = self.random.choice(self.plant.alive(*roles))
        self._note(f"kill {victim.log.name}")
        self.plant.kill(victim)

    def _join(self, role: str) -> None:
        self._note(f"join {role}")
        self.plant.start(role)

    def _leave(self, role: str) -> None:
        leaver = self.random.choice(self.plant.alive(role))
        self._note(f"leave {leaver.log.name}")
        self.plant.leave(leaver)

    def _kafka(self) -> None:
        self._note("kill Kafka and start it")
        self.servers.kafka.kill()
        self.servers.kafka.start()

    def _postgres(self) -> None:
        self._note("kill PostgreSQL and start it")
        self.servers.postgres.kill()
        self.servers.postgres.start()


@dataclass
class Aftermath:
    """What is there when all is over."""

    plant: Plant
    lines: list[Line]
    log: judge.Log
    replayed: dict[str, list[Record]]
    """What a replay of the same lines decides, by topic."""
    deeds: list[str]


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """The story, played while workers and servers are killed, and read to its end."""
    folder = tmp_path_factory.mktemp("equality")
    servers = Stack(folder / "servers", ephemeral=True)
    try:
        yield _after(servers, servers.start(), folder)
    finally:
        servers.stop()
        gc.collect()  # what the clients left, while it may be ignored


def _after(servers: Stack, addresses: Addresses, folder: Path) -> Aftermath:
    lines = story.story(SEED, SCALE)
    keys = key_files(folder)
    with Plant(addresses, folder / "workers", _POLICY, "chaos.", PARTITIONS, keys=keys) as plant:
        plant.start(*ROLES)
        plant.await_workers(*ROLES)
        chaos = Chaos(plant, servers, Random(_SCHEDULE))
        # Not in the first hour, when there is little to lose, and to the end of what customers write.
        chaos.plan(lines[0].at + HOUR, lines[-1].at)
        with People(plant) as people:
            playing = Playing(plant, lines, run_on=UNTIL, ahead=AHEAD, follow=ROLES)

            def played() -> bool:
                chaos.until(playing.time)
                return playing.done()

            plant.until(played, _PLAYED_S, "the story played")
            plant.await_drained(playing.time, ROLES, _DRAINED_S, people)
        log = judge.read_all(plant.settings, plant.kafka)
    return Aftermath(plant, lines, log, _replayed(lines), chaos.deeds)


def _replayed(lines: list[Line]) -> dict[str, list[Record]]:
    written: defaultdict[str, list[Record]] = defaultdict(list)
    replay = Replay(
        {1: _POLICY},
        PARTITIONS,
        lambda topic, records: written[topic].extend(records),
        # Nobody answers offers here: what the desk decides, and when people came, is no part of what alerts follow from.
        roles=[PIPELINE.role(name) for name in ("classify", "cases", "surge", "desk", "alerts")],
    )
    play_lines([replay], lines, interval=TICK, run_on=UNTIL)
    assert replay.dead_letters == 0
    return written


@pytest.fixture(autouse=True)
def _whereabouts(aftermath: Aftermath) -> None:
    """What a failure wants to know first."""
    print(f"the workers' logs are in {aftermath.plant.folder}; ended by themselves: {dict(aftermath.plant.deaths)}")
    print("\n".join(aftermath.deeds))


def test_every_line_of_the_file_is_in_the_log_once_in_its_order(aftermath: Aftermath) -> None:
    lines = [x.record for x in aftermath.lines if x.topic == "mentions"]
    key = customer
    for number in range(PARTITIONS):
        rows = [r for r in aftermath.log["mentions"] if r.partition == number]
        judge.same(
            [r.record for r in rows if r.record is not None and not isinstance(r.record, (Tick, PolicyChanged))],
            [r for r in lines if partition_of(key(r), PARTITIONS) == number],
            f"mentions/{number}",
        )


def test_mentions_are_classified_as_in_a_replay(aftermath: Aftermath) -> None:
    ours = [r.record for r in aftermath.log["classified"] if not isinstance(r.record, (Tick, PolicyChanged))]
    theirs = aftermath.replayed["classified"]
    key = customer
    for number in range(PARTITIONS):
        judge.same(
            [r for r in ours if r is not None and partition_of(key(r), PARTITIONS) == number],
            [r for r in theirs if partition_of(key(r), PARTITIONS) == number],
            f"classified/{number}",
        )


@pytest.mark.parametrize("topic", ["cases", "surges"])
def test_decided_events_are_those_of_a_replay(aftermath: Aftermath, topic: str) -> None:
    rows = [(r.partition, judge.without_offsets(r.record)) for r in aftermath.log[topic]]
    replayed = [judge.without_offsets(r) for r in aftermath.replayed[topic]]
    judge.same_histories(judge.histories(r for _, r in rows), judge.histories(replayed), topic)
    key = PIPELINE.topic(topic).key
    for number in range(PARTITIONS):
        judge.same(
            [record for partition, record in rows if partition == number and record is not None],
            [r for r in replayed if r is not None and partition_of(key(r), PARTITIONS) == number],
            f"{topic}/{number}",
        )


def test_alerts_are_those_of_a_replay_of_the_file(aftermath: Aftermath) -> None:
    """Their input topic has the events of many partitions in an order of its own; fingerprint, version, time and words do not follow it.

    Alerts of escalated cases are left out: they follow what the desk decides, and who gets which case follows the order in which
    its input topic has the work of many partitions. The desk and the alerts are each equal to a replay of their own inputs.
    """
    ours = judge.histories(_unless_escalated(r.record for r in aftermath.log["alerts"]))
    judge.same_histories(ours, judge.histories(_unless_escalated(aftermath.replayed["alerts"])), "alerts")
    assert ours


def _unless_escalated(alerts: Iterable[Any]) -> Iterator[Any]:
    return (alert for alert in alerts if alert.kind != "escalation")


def test_the_story_pages_once_and_every_alert_that_fired_ends_once_or_fires(aftermath: Aftermath) -> None:
    """Whatever was killed: the flood with its crisis is one page, and no severity falls while an alert fires."""
    told: dict[str, list[Alert]] = defaultdict(list)
    for row in aftermath.log["alerts"]:
        if isinstance(row.record, Alert):
            told[row.record.fingerprint].append(row.record)
    assert len([alerts for alerts in told.values() if any(a.severity == "page" for a in alerts)]) == 1
    for fingerprint, alerts in told.items():
        assert alerts[0].state == "firing", fingerprint
        for before, after in pairwise(alerts):
            goes_on = before.state == "firing"
            assert goes_on or after.state == "firing", fingerprint
            assert (after.starts_at == before.starts_at) == goes_on, fingerprint
            assert not goes_on or _RANK[after.severity] >= _RANK[before.severity], fingerprint


def test_nothing_is_decided_before_what_it_follows_from(aftermath: Aftermath) -> None:
    """An event is no earlier than the decided event that it names as its cause."""
    decided = {e.id: e for rows in aftermath.log.values() for e in (r.record for r in rows) if isinstance(e, Decided)}
    early = [e for e in decided.values() if e.cause in decided and e.time < decided[e.cause].time]
    assert [judge.told(e) for e in early] == []
    assert any(e.cause in decided for e in decided.values())


def test_a_restart_in_the_middle_of_the_surge_has_kept_its_incident(aftermath: Aftermath) -> None:
    told = [r.record for r in aftermath.log["surges"]]
    [opened] = [e for e in told if isinstance(e, SurgeOpened)]
    [closed] = [e for e in told if isinstance(e, SurgeClosed)]
    assert opened.time < IN_THE_SURGE < closed.time
    assert closed.aggregate == opened.aggregate


@pytest.mark.parametrize("role", ["cases", "surge", "desk", "alerts"])
def test_every_role_wrote_what_its_input_topic_leads_to(aftermath: Aftermath, role: str) -> None:
    judge.same_as_its_input_topic(aftermath.log, role, _POLICY, PARTITIONS)


def test_no_record_stands_twice_but_a_tools_own(aftermath: Aftermath) -> None:
    # Tools write mentions, operators and answers; the story itself delivers a few mentions twice.
    assert judge.twice(aftermath.log, but=("mentions",)) == {}


def test_every_history_counts_from_one_without_a_gap(aftermath: Aftermath) -> None:
    assert judge.gaps(aftermath.log) == []


def test_nothing_becomes_a_dead_letter(aftermath: Aftermath) -> None:
    assert [r for name, rows in aftermath.log.items() if name.endswith(".dead") for r in rows] == []


def test_volumes_count_every_post_of_a_customer_once(aftermath: Aftermath) -> None:
    ours = judge.told_volumes(aftermath.log)
    theirs = judge.counted(aftermath.lines, parse(_POLICY, 1), PARTITIONS, until=UNTIL)
    assert ours == theirs


def test_postgresql_holds_what_the_topics_tell(aftermath: Aftermath) -> None:
    log, settings = aftermath.log, aftermath.plant.settings
    found = judge.tables(settings.postgres or "")
    judge.same_tables(found, judge.tables(judge.folded(settings, log, "undisturbed")))
    counts = {name: len(rows) for name, rows in found.items()}
    decided = {name: sum(isinstance(r.record, Decided) for r in rows) for name, rows in log.items()}
    assert counts["case_events"] == decided["cases"]
    assert counts["assignments"] == decided["assignments"]
    assert counts["surge_events"] == decided["surges"]
    assert counts["alert_events"] == decided["alerts"]
    assert counts["cases"] == len({e.aggregate for e in (r.record for r in log["cases"]) if isinstance(e, Decided)})
    told = [r.record for r in log["classified"]]
    assert {r.mention.id for r in told if isinstance(r, ClassifiedMention)} == {
        x.record.id for x in aftermath.lines if isinstance(x.record, Mention)
    }
    assert counts["mentions"] == len(judge.remembered(told))
    assert counts["volumes"] == len(
        {(v.brand, v.minute, v.partition) for v in (r.record for r in log["volumes"]) if isinstance(v, Volume)}
    )
