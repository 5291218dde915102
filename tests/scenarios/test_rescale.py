"""`rescale` and `savepoint`: a new log with another number of partitions goes on as if nothing had been."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError
from msgspec.structs import replace

from netcenter.broker import sole_producer
from netcenter.broker.changelogs import ChangelogWriter
from netcenter.demo.story import STORY_POLICY, story
from netcenter.embedded import Addresses
from netcenter.files.line import Line
from netcenter.ingest.schedule import TICK
from netcenter.operate.rebuild_state import StateRebuild
from netcenter.operate.savepoint import rescale as rescaling
from netcenter.operate.savepoint.continued_log import ContinuedLog
from netcenter.operate.savepoint.savepoint_file import SavepointFile
from netcenter.operate.savepoint.state_at_rest import StateAtRest
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from schemas.records import ClockChanged, Decided, Mention, Record
from tests.support import judge
from tests.support.chaos import HOUR, SEED, Plant, Playing
from tests.support.command_line import command

_DECIDING = tuple(role.name for role in PIPELINE.roles if role.decides)
_POLICY = STORY_POLICY.read_text()
_MINUTE = 60_000
_CUT = story.GUITAR + HOUR
"""ms; a surge and a crisis are open then."""
_STORY = [line for line in story.story(SEED, 0.15) if -2 * HOUR <= line.at - story.GUITAR < 3 * HOUR]
_BEFORE = [line for line in _STORY if line.at < _CUT]
_REPEATED = [
    replace(line, at=_CUT + 6 * _MINUTE, number=1_000_000 + line.number)
    for line in _BEFORE
    if isinstance(line.record, Mention)
][-40:]
"""Posts that a gateway delivers once more after the cut."""
_AFTER = sorted(
    [*_REPEATED, *[line for line in _STORY if line.at >= _CUT + 5 * _MINUTE]], key=lambda line: (line.at, line.number)
)
_PATIENCE_S = 150.0
_RUN_ON = 2 * HOUR

pytestmark = pytest.mark.timeout(4 * _PATIENCE_S)  # the first test waits for two installations
_PARTITIONS, _MORE = 2, 3  # without a common divisor: every old partition has customers of every new one


@dataclass
class Moved:
    """Two logs, one after the other, and what the commands said between them."""

    first: Plant
    second: Plant
    folder: Path
    said: dict[str, tuple[int, str, str]]
    logs: dict[str, judge.Log]


def _play(plant: Plant, lines: list[Line], *, run_on: int) -> None:
    # Followed, so that the first Tick of each role is early: what comes before all have one is decided at the latest.
    playing = Playing(plant, lines, run_on=run_on, ahead=4 * HOUR, follow=_DECIDING)
    plant.until(playing.done, _PATIENCE_S, "the story played")
    plant.await_drained(playing.time, _DECIDING, _PATIENCE_S)


@pytest.fixture(scope="module")
def moved(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Half of the story over two partitions, the other half over three: the procedure of docs/growth.md."""
    folder, name = tmp_path_factory.mktemp("rescale"), uuid4().hex[:8]
    said: dict[str, tuple[int, str, str]] = {}
    with Plant(stack, folder, _POLICY, f"t{name}a.", _PARTITIONS) as first:
        second = Plant(
            stack,
            folder / "second",
            _POLICY,
            f"t{name}b.",
            _MORE,
        )

        third = Plant(stack, folder / "third", _POLICY, f"t{name}c.", 1)

        def say(what: str, *words: str) -> None:
            said[what] = command(folder, second.given(), *words)

        rescale = "rescale", "--from", first.prefix
        try:
            first.start(*_DECIDING)
            _play(first, _BEFORE, run_on=0)
            say("check early", *rescale, "--check")
            say("workers run", *rescale)
            _tick(first, _BEFORE[-1].at + 2 * _MINUTE)
            first.stop(*_DECIDING)
            with mock.patch.object(StateRebuild, "_rebuild", _behind_another(first, said)):
                said["rebuild held up"] = command(folder, first.given(), "rebuild", "alerts", "--yes")
            say("check", *rescale, "--check")
            say("check for a program", *rescale, "--check", "--json")
            with (
                mock.patch.object(KafkaProducer, "commit_transaction", side_effect=KafkaError("killed here")),
                mock.patch.object(sole_producer, "_OUTCOME_S", 0.1),
            ):
                say("killed", *rescale)
            with mock.patch.object(rescaling, "fence_owners", _after_a_commit(first, vars(rescaling)["fence_owners"])):
                say("written", *rescale)
            for file, plant, words in (("a", first, "take"), ("a", third, "restore"), ("c", third, "take")):
                said[f"{words} {file}"] = command(folder, plant.given(), "savepoint", words, file, "--json")
            with mock.patch.object(ContinuedLog, "prepare"):  # as a command that was held up after it
                said["late"] = command(folder, third.given(), "savepoint", "restore", "a")
            with mock.patch.object(StateAtRest, "_unread", _after_a_commit(third, StateAtRest._unread)):
                said["take late"] = command(folder, third.given(), "savepoint", "take", "late")
            with mock.patch.object(ContinuedLog, "_fill", _then_starts(first, said)):
                say("moved", *rescale)
            say("again", *rescale)
            assert said["moved"][0] == 0, said
            said["old worker"] = _refused(first)
            first.stop()
            second.start(*_DECIDING)
            _play(second, _AFTER, run_on=_RUN_ON)
        finally:
            second.stop()
        logs = {plant.prefix: judge.read_all(plant.settings, plant.kafka) for plant in (first, second)}
        print(said)
        yield Moved(first, second, folder, said, logs)


def _refused(plant: Plant) -> tuple[int, str, str]:
    """How a worker of cases ends that is started, and what it says."""
    [late] = plant.start("cases")
    late.wanted = False
    return late.ended(_PATIENCE_S), "", late.text()


def _then_starts(plant: Plant, said: dict[str, tuple[int, str, str]]) -> Callable[..., None]:
    """`_fill`; then a worker of this log is started, as by a tool that keeps the number of replicas."""
    fill = vars(ContinuedLog)["_fill"]

    def filled(*given: Any) -> None:
        fill(*given)
        said["worker meanwhile"] = _refused(plant)

    return filled


def _behind_another(plant: Plant, said: dict[str, tuple[int, str, str]]) -> Callable[..., Any]:
    """`_rebuild`, held up until another rebuild of the role has ended."""
    rebuild = vars(StateRebuild)["_rebuild"]

    def held_up(*given: Any) -> Any:
        with mock.patch.object(StateRebuild, "_rebuild", rebuild):
            said["rebuild"] = command(plant.folder, plant.given(), "rebuild", "alerts", "--yes")
        return rebuild(*given)

    return held_up


def _after_a_commit(plant: Plant, call: Callable[..., Any]) -> Callable[..., Any]:
    """The call; before it, an owner of a partition commits something to its changelog."""

    def called(*given: Any) -> Any:
        with ChangelogWriter(plant.settings, plant.kafka, PIPELINE.role("desk"), 0) as writer:
            writer.write([(b"nothing", None)])
        return call(*given)

    return called


def _tick(plant: Plant, time: int) -> None:
    from netcenter.broker.log_writer import LogWriter
    from schemas.records import Tick

    with LogWriter(plant.settings, plant.kafka, "ingest") as log:
        for at in range(_BEFORE[-1].at // TICK * TICK + TICK, time + TICK, TICK):
            log.send_to_all("mentions", lambda n, at=at: Tick(clock="event", time=at, role="clock", partition=n))  # type: ignore[misc]
    plant.await_drained(at, _DECIDING, _PATIENCE_S)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[Record]]:
    """What a replay of the same lines, over three partitions from the beginning, decides, by topic."""
    written: defaultdict[str, list[Record]] = defaultdict(list)
    replay = Replay(
        {1: _POLICY},
        _MORE,
        lambda topic, records: written[topic].extend(records),
        roles=[PIPELINE.role(name) for name in _DECIDING],
    )
    play_lines([replay], [*_BEFORE, *_AFTER], interval=TICK, run_on=_RUN_ON)
    return written


@pytest.mark.parametrize("topic", ["cases", "surges", "alerts"])
def test_events_of_both_logs_are_those_of_an_undisturbed_run(
    moved: Moved, undisturbed: dict[str, list[Record]], topic: str
) -> None:
    """But for the alerts of escalated cases: who gets which case follows the order in which the desk reads the work of many partitions."""
    ours = [judge.without_offsets(row.record) for log in moved.logs.values() for row in log[topic]]
    theirs = [judge.without_offsets(record) for record in undisturbed[topic]]
    if topic == "alerts":
        ours, theirs = judge.unless_escalated(ours), judge.unless_escalated(theirs)
    judge.same_histories(judge.histories(ours), judge.histories(theirs), topic)
    assert all(any(row.record for row in log[topic]) for log in moved.logs.values())


def test_no_record_stands_twice_and_a_post_that_comes_again_is_dropped(moved: Moved) -> None:
    both = {name: [row for log in moved.logs.values() for row in log[name]] for name in next(iter(moved.logs.values()))}
    assert judge.twice(both, but=("mentions",)) == {}
    assert judge.gaps(both) == []
    assert len(_REPEATED) == 40
    assert [row for name, rows in both.items() if name.endswith(".dead") for row in rows] == []


def test_rescale_refuses_until_everything_is_read_and_nobody_works(moved: Moved) -> None:
    code, out, _ = moved.said["check early"]
    assert code == 1
    assert f"{moved.first.prefix}cases has 1 workers: stop them" in out
    code, _, err = moved.said["workers run"]
    assert (code, err.count("stop them")) == (1, len(_DECIDING))
    assert moved.said["check"][:2] == (0, "nothing stands in the way\n")
    assert json.loads(moved.said["check for a program"][1]) == {"obstacles": []}


def test_a_run_that_is_killed_leaves_nothing_and_the_next_one_moves_everything(moved: Moved) -> None:
    assert moved.said["killed"][0] == 1
    code, out, _ = moved.said["moved"]
    assert code == 0
    assert f"{_MORE} partitions continues '{moved.first.prefix}' ({_PARTITIONS} partitions)" in out
    assert moved.said["again"][:2] == (
        0,
        f"'{moved.first.prefix}' was moved to '{moved.second.prefix}' before: nothing to do\n",
    )


def test_a_worker_of_the_old_log_refuses_to_go_on(moved: Moved) -> None:
    code, _, said = moved.said["old worker"]
    assert code == 2
    assert f"has moved this log to the prefix '{moved.second.prefix}'" in said


def test_a_worker_of_the_old_log_that_starts_during_the_move_refuses_to_begin(moved: Moved) -> None:
    """It cannot write over what closes the log, and the move goes on."""
    code, _, said = moved.said["worker meanwhile"]
    assert code == 2
    assert "cases.changelog/" in said and "is held by an open transaction: `netcenter rescale`" in said


def test_what_a_worker_commits_while_the_state_is_read_ends_the_command(moved: Moved) -> None:
    """One that starts after the first look at who works."""
    code, _, err = moved.said["written"]
    assert code == 1
    assert f"{moved.first.prefix}desk.changelog/0 was written while its state was about to be moved" in err
    code, _, err = moved.said["take late"]
    assert code == 1
    assert "desk.changelog/0 was written while it was read: stop the workers" in err
    assert not (moved.folder / "late").exists()


def test_a_rebuild_that_another_has_overtaken_says_so_and_the_other_one_holds(moved: Moved) -> None:
    """What is decided afterwards is what an undisturbed run decides."""
    assert moved.said["rebuild"][0] == 0, moved.said
    code, out, err = moved.said["rebuild held up"]
    assert (code, out) == (1, "")
    assert "another command has taken alerts.changelog/0 over since this one began" in err


def test_a_command_that_was_held_up_writes_nothing_into_a_log_that_has_begun(moved: Moved) -> None:
    code, _, err = moved.said["late"]
    assert code == 1
    assert "holds records already" in err


def test_a_savepoint_restored_into_a_new_log_is_the_savepoint_of_that_log(moved: Moved) -> None:
    assert [moved.said[what][0] for what in ("take a", "restore a", "take c")] == [0, 0, 0], moved.said
    taken, restored, again = (json.loads(moved.said[what][1]) for what in ("take a", "restore a", "take c"))
    assert taken["watermark"] == restored["watermark"] == again["watermark"]
    first, restored = (_kept(moved.folder / name) for name in ("a", "c"))
    assert first == restored
    assert all(any(role == name for role, _, _ in first) for name in _DECIDING if name != "classify")


def _kept(path: Path) -> set[tuple[str, str, bytes]]:
    """(role, key, value) of every state record but those of classify, whose chunks are cut anew."""
    file = SavepointFile(path)
    found = {(record.role, record.key, record.value) for record in file.records() if record.by is not None}
    assert file.head().watermark == _BEFORE[-1].at // TICK * TICK + 3 * _MINUTE
    return found


def test_postgresql_goes_on_with_the_second_log_in_the_same_tables(moved: Moved) -> None:
    """Every event of both logs is in the tables once, and each case has the row that its newest event says."""
    name = f"both_{uuid4().hex[:8]}"
    first, second = moved.logs.values()
    uri = judge.folded(moved.first.settings, first, name)
    given = {**moved.second.given(), "NETCENTER_POSTGRES": uri}
    code, out, err = command(moved.folder, given, "postgres", "continue", "--from", moved.first.prefix)
    assert code == 0, err
    assert "rows changed" in out
    again = command(moved.folder, given, "postgres", "continue", "--from", moved.first.prefix)
    assert again[:2] == (0, "the tables hold no position of a log: nothing to do\n")
    judge.fold_into(uri, second, moved.second.prefix)
    found = judge.tables(uri)
    for table, topic in (("case_events", "cases"), ("assignments", "assignments"), ("surge_events", "surges")):
        decided = [row.record for log in (first, second) for row in log[topic] if isinstance(row.record, Decided)]
        assert len(found[table]) == len(decided), table
    newest: dict[str, int] = {}
    for log in (first, second):
        for row in log["cases"]:
            if isinstance(row.record, Decided) and not isinstance(row.record, ClockChanged):
                newest[row.record.aggregate] = row.record.seq
    assert {str(row["case_id"]): row["seq"] for row in found["cases"].values()} == newest
    assert {row["offset"] < 0 for row in found["case_events"].values()} == {True, False}
