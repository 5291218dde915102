"""An upgrade across a change of every state's form, a rollback, the final step and a rebuild, while posts come: nothing is
lost, nothing comes twice, and every decision is that of a replay.

`rolling_upgrade.py` has every role with two workers, replaces one worker at a time, and has 1,000 posts a second.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import msgspec
import pytest
from kafka import TopicPartition
from msgspec.structs import replace

from netcenter.broker import provisioning
from netcenter.broker.changelogs import newest_records
from netcenter.broker.client import open_admin
from netcenter.demo.story import STORY_POLICY, story, teller
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK
from netcenter.operate.rebuild_state import RebuiltPartition, StateRebuild
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from schemas.records import PolicyChanged, Record, Tick, WorkChanged
from schemas.state_forms import form_of
from streams.checkpoint import PROGRESS, read_progress
from streams.core import Progress
from tests.support import judge, next_release
from tests.support.chaos import HOUR, SEED, Plant, Playing
from tests.support.command_line import command
from tests.support.waiting import until

PARTITIONS = 2
_ROLES = ("classify", "cases")
"""The start of each worker costs seconds, so the other roles are in `rolling_upgrade.py` alone."""
_POLICY = STORY_POLICY.read_text()
_LINES = [line for line in story.story(SEED, 0.05) if line.at < teller.START + 6 * HOUR]
_QUARTERS = [_LINES[n * len(_LINES) // 4 : (n + 1) * len(_LINES) // 4] for n in range(4)]
"""What comes before the upgrade, and during each of its steps."""
_RUN_ON = 2 * HOUR
_FROM = {"NETCENTER_UPGRADE_FROM": "0.1.0"}
_PATIENCE_S = 120.0

pytestmark = [
    pytest.mark.timeout(4 * _PATIENCE_S),
    # kafka-python leaves the socket of a connection that was being opened when its client was closed to the garbage
    # collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass
class Kept:
    """What the changelog of a role holds, by partition."""

    state: list[dict[str, Any]]
    """The state records by key; of classify the ids that it remembers."""
    progress: list[Progress]

    @classmethod
    def of(cls, plant: Plant, role: str) -> Self:
        """What it holds now."""
        found = cls([], [])
        for number in range(PARTITIONS):
            newest = _changelog(plant, role, number)
            found.progress.append(read_progress(newest.pop(PROGRESS).value))
            values = {key.decode(): msgspec.msgpack.decode(record.value) for key, record in newest.items()}
            found.state.append(_ids(values) if role == "classify" else values)
        return found


def _ids(values: dict[str, Any]) -> dict[str, Any]:
    """The ids in chunks. Where a chunk ends follows from when the checkpoints were."""
    chunks = [value for key, value in values.items() if "/" in key]
    heads, tails = (b"".join(chunk[name] for chunk in chunks) for name in ("heads", "tails"))
    return {(heads[8 * n : 8 * n + 8] + tails[4 * n : 4 * n + 4]).hex(): None for n in range(len(heads) // 8)}


@dataclass
class Rebuilt:
    """A rebuild: what the changelog held before and after it, and what the rebuild said."""

    before: Kept
    told: list[RebuiltPartition]
    after: Kept


@dataclass
class Upgrade:
    """An installation, the next release, and what was seen while workers were replaced."""

    plant: Plant
    next_release: Path
    checked: list[dict[str, Any]] = field(default_factory=list)
    """What `upgrade check` of the next release said before the upgrade."""
    forms: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """The forms in each role's changelog, by the moment."""
    rebuilt: dict[str, list[Rebuilt]] = field(default_factory=dict)
    """The rebuilds of each role's state: with its progress, and after its changelog was deleted."""
    refused: str = ""
    """What a worker of the release before said after the last step."""

    def run(self, environment: dict[str, str], *, newer: bool) -> None:
        """From now on, workers are started with this environment, as the next release or as this one."""
        release = next_release.environment(self.next_release) if newer else {}
        self.plant.environment = {**release, **environment}

    def replace_all(self) -> None:
        """Replaces every worker at once."""
        self.plant.stop(*_ROLES)
        self.plant.start(*_ROLES)
        self.plant.await_workers(*_ROLES)

    def look(self, moment: str) -> None:
        """Notes the forms in the changelogs."""
        for role in _ROLES:
            found = self.forms.setdefault(moment, {}).setdefault(role, set())
            for number in range(PARTITIONS):
                found |= {form_of(record.value) for record in _changelog(self.plant, role, number).values()}

    def rebuild(self) -> None:
        """Rebuilds the state of every role whose workers are stopped: as it is, and after its changelog was deleted."""
        self.checked = self._check()
        self.rebuilt = {"cases": [self._rebuilt("cases")]}
        names = [f"{self.plant.prefix}{role}.changelog" for role in _ROLES]
        stood = {role: Kept.of(self.plant, role) for role in _ROLES}
        with closing(open_admin(self.plant.kafka)) as client:
            client.delete_topics(names)
            until(lambda: not set(names) & set(client.list_topics()), 20, "the changelogs deleted")
        provisioning.apply(self.plant.settings, self.plant.kafka, "event", _POLICY)
        for role in _ROLES:
            self.rebuilt.setdefault(role, []).append(self._rebuilt(role, stood[role]))

    def _rebuilt(self, role: str, before: Kept | None = None) -> Rebuilt:
        before = before or Kept.of(self.plant, role)
        work = StateRebuild(self.plant.settings, self.plant.kafka, PIPELINE.role(role), lambda _: None, lambda *_: None)
        assert work.losses() == []
        return Rebuilt(before, work.run(), Kept.of(self.plant, role))

    def _check(self) -> list[dict[str, Any]]:
        """What `upgrade check` of the next release says."""
        done = subprocess.run(
            [sys.executable, "-m", "netcenter", "upgrade", "check", "--json"],
            env={**os.environ, **self.plant.given(), **next_release.environment(self.next_release)},
            cwd=self.plant.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]


def _play(plant: Plant, lines: list[Line], *, run_on: int = 0) -> Playing:
    return Playing(plant, lines, run_on=run_on, ahead=HOUR, follow=_ROLES)


def _finish(plant: Plant, playing: Playing) -> None:
    plant.until(playing.done, _PATIENCE_S, "the story played")
    plant.await_drained(playing.time, _ROLES, _PATIENCE_S)


@pytest.fixture(scope="module")
def upgraded(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgrade]:
    """The story, played while workers become those of the next release, of this one again, and of the next one for good."""
    folder = tmp_path_factory.mktemp("upgrade")
    with Plant(stack, folder / "workers", _POLICY, f"t{uuid4().hex[:8]}.", PARTITIONS) as plant:
        found = Upgrade(plant, next_release.make(folder / "next"))
        plant.start(*_ROLES)
        plant.await_workers(*_ROLES)
        first, *others = _QUARTERS
        _finish(plant, _play(plant, first))
        plant.stop()
        found.look("before")
        found.rebuild()
        steps: list[tuple[str, dict[str, str], bool]] = [
            ("lowered", _FROM, True),
            ("back", {}, False),
            ("after", {}, True),
        ]
        for quarter, (moment, environment, newer) in zip(others, steps, strict=True):
            playing = _play(plant, quarter, run_on=0 if quarter is not others[-1] else _RUN_ON)
            found.run(environment, newer=newer)
            found.replace_all()
            _finish(plant, playing)
            found.look(moment)
        plant.stop()
        found.run({}, newer=False)
        [worker] = plant.start("cases")
        assert worker.ended(60) == 2, worker.text()[-2000:]
        worker.wanted = False
        found.refused = worker.text()
        yield found


@pytest.fixture(scope="module")
def log(upgraded: Upgrade) -> Iterator[judge.Log]:
    """Every record that was written. The versions of the next release are read as they were written, by resolution."""
    with next_release.read_as_written(upgraded.next_release):
        yield judge.read_all(upgraded.plant.settings, upgraded.plant.kafka)


@pytest.fixture(scope="module")
def replayed() -> dict[str, list[Record]]:
    """What a replay of the same lines decides, by topic."""
    written: defaultdict[str, list[Record]] = defaultdict(list)
    roles = [PIPELINE.role(name) for name in _ROLES]
    replay = Replay({1: _POLICY}, PARTITIONS, lambda topic, records: written[topic].extend(records), roles=roles)
    for quarter in _QUARTERS:  # each ends with a Tick of its own
        play_lines([replay], quarter, interval=TICK, run_on=0 if quarter is not _QUARTERS[-1] else _RUN_ON)
    return written


def _changelog(plant: Plant, role: str, number: int) -> dict[bytes, Any]:
    return newest_records(plant.kafka, TopicPartition(f"{plant.prefix}{role}.changelog", number))


# --- the upgrade ------------------------------------------------------------------------------------------------------


def test_a_record_stands_once_and_every_history_is_whole(upgraded: Upgrade, log: judge.Log) -> None:
    assert upgraded.plant.deaths == {}
    assert judge.twice(log, but=("mentions",)) == {}
    assert judge.gaps(log) == []
    assert [row for name, rows in log.items() if name.endswith(".dead") for row in rows] == []
    posts = [r.record for r in log["mentions"] if not isinstance(r.record, (Tick, PolicyChanged))]
    assert len(posts) == sum(line.topic == "mentions" for line in _LINES)


def test_the_decisions_are_those_of_a_replay_of_the_same_posts(
    log: judge.Log, replayed: dict[str, list[Record]]
) -> None:
    """So there is no breach that was not, and none is missing."""
    judge.same_histories(judge.histories(r.record for r in log["cases"]), judge.histories(replayed["cases"]), "cases")
    assert log["cases"]


def test_a_role_wrote_what_its_input_topic_leads_to(log: judge.Log) -> None:
    """Into `signals` and `desk` the workers beside the release before wrote what that release reads there."""
    judge.same_as_its_input_topic(log, "cases", _POLICY, PARTITIONS, but=("signals", "desk"))
    kinds = [type(r.record).__name__ for r in log["signals"] if r.headers.get("ce_source", b"").endswith(b"cases")]
    assert {"WorkChanged", "ClockChanged"} <= set(kinds)
    works = [r.record for r in log["desk"] if isinstance(r.record, WorkChanged)]
    open_ = {work.aggregate: work for work in works if work.change != "unknown"}
    assert {work.together for work in works} == {False, True}
    waiting = [work for work in open_.values() if work.change in ("queued", "changed")]
    assert waiting and all(work.together for work in waiting), "what still waits was told for all desks together"


def test_only_the_last_step_writes_what_the_release_before_does_not_read(upgraded: Upgrade, log: judge.Log) -> None:
    """State records that were not changed since keep the earlier form, and are lifted at every start."""
    for moment in ("before", "lowered", "back"):
        assert set.union(*upgraded.forms[moment].values()) == {1}, moment
    assert all(2 in forms for forms in upgraded.forms["after"].values())
    versions = {r.headers["ce_dataschema"].rpartition(b":")[2] for r in log["cases"]}
    assert {b"ClockChanged.v1", b"ClockChanged.v2"} <= versions


def test_upgrade_check_says_what_will_happen_to_each_role(upgraded: Upgrade) -> None:
    before = {finding["subject"]: finding for finding in upgraded.checked}
    for role in _ROLES:
        assert before[role]["state"] == "lifted" and "to form 2 when its workers start" in before[role]["message"]
    assert before["topics"]["ok"] and before["policy"]["ok"] and before["records"]["ok"]
    told = before["way back"]["message"]
    assert "roll out with NETCENTER_UPGRADE_FROM=0.1.0, in any order" in told
    assert (
        "in this order: chat, slack, pagerduty, alertmanager, webhook, postgres, alerts, desk, surge, cases, classify"
        in told
    )
    code, out, err = command(upgraded.plant.folder, upgraded.plant.given(), "upgrade", "check")
    assert code == 1
    assert "wrong cases: cases.changelog/0 holds under the key" in out
    assert "must be mended before the rollout" in err


def test_a_worker_of_the_release_before_refuses_the_newer_form_in_one_line(upgraded: Upgrade) -> None:
    assert (
        "form 2, and this release reads form 1: a newer release wrote it; start that release again" in upgraded.refused
    )
    assert "docs/upgrade.md" in upgraded.refused and "Traceback" not in upgraded.refused


# --- rebuilds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", _ROLES)
def test_a_rebuilt_state_is_the_state_that_was_there(upgraded: Upgrade, role: str) -> None:
    """With the progress in the changelog; and without, where the outputs in the log name what led to them."""
    *with_progress, lost = upgraded.rebuilt[role]
    for done in (*with_progress, lost):
        if role == "classify":  # the ids that were read again from the output topic at each start are in chunks now
            assert all(set(a) <= set(b) for a, b in zip(done.before.state, done.after.state, strict=True))
        else:
            assert any(done.before.state)
            assert done.after.state == done.before.state
        assert [one.position for one in done.told] == [progress.position for progress in done.after.progress]
    for whole in with_progress:
        assert all(progress.whole_from > 0 for progress in whole.after.progress)
        assert [replace(progress, whole_from=0) for progress in whole.after.progress] == whole.before.progress
    for now, then in zip(lost.after.progress, lost.before.progress, strict=True):
        assert (now.position, now.watermark, now.policy) == (then.position, then.watermark, then.policy)
