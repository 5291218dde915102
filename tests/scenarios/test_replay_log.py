"""What Kafka's workers decided, decided again from the log alone: the same events with the same ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from netcenter.embedded import Addresses
from netcenter.scenario import story, teller
from schemas.headers import rfc3339
from schemas.jsonform import event
from schemas.keys import customer
from schemas.records import Decided
from tests.chaos import judge
from tests.chaos.harness import HOUR, SEED, Plant, Playing

START = teller.START
_ROLES = ("classify", "cases")
_POLICY = (Path(story.__file__).parent / "story.toml").read_text()


@pytest.fixture(scope="module")
def played(stack: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A twentieth of the story's first six hours, through classify and cases."""
    lines = [line for line in story.story(SEED, 0.05) if line.at < START + 6 * HOUR]
    with Plant(stack, tmp_path_factory.mktemp("log"), _POLICY, f"t{uuid4().hex[:8]}.", 2) as plant:
        plant.start(*_ROLES)
        playing = Playing(plant, lines, until=2 * HOUR, ahead=HOUR, follow=_ROLES)
        plant.until(playing.done, 60, "six hours played")
        plant.await_drained(playing.time, _ROLES, 60)
        yield plant


def _run(plant: Plant, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netcenter", "replay", "--log", *words, "--out", str(folder)],
        env={**os.environ, **plant.given()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _replayed(plant: Plant, folder: Path, *words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The summary, and what was decided about cases."""
    done = _run(plant, folder, *words)
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in (folder / "cases.jsonl").read_text().splitlines()]
    return json.loads(done.stdout), cases


def _decided(plant: Plant) -> list[dict[str, Any]]:
    rows = [r.record for r in judge.read_all(plant.settings, plant.kafka, "cases")["cases"]]
    return [json.loads(json.dumps(event(r, customer(r).decode()))) for r in rows if isinstance(r, Decided)]


def _by_case(events: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(events, key=lambda e: (e["aggregate"], e["seq"])):
        found.setdefault(one["aggregate"], []).append(one)
    return found


@pytest.mark.parametrize("topic", ["mentions", "classified"])
def test_the_whole_log_leads_to_what_kafka_decided(played: Plant, tmp_path: Path, topic: str) -> None:
    summary, cases = _replayed(played, tmp_path / "o", topic)
    assert summary["log"]["begins_empty"] is None
    assert _by_case(cases) == _by_case(_decided(played))


def test_a_stretch_of_the_log_leads_to_the_cases_that_were_opened_in_it(played: Plant, tmp_path: Path) -> None:
    """The third and fourth hour: what was open before is not known, and the summary says so."""
    begin, end = START + 2 * HOUR, START + 4 * HOUR
    summary, cases = _replayed(
        played, tmp_path / "o", "mentions", "--since", rfc3339(begin), "--until-time", rfc3339(end)
    )
    assert "does not begin where the log began" in summary["log"]["begins_empty"]
    opened = {e["aggregate"] for e in cases if e["type"] == "CaseOpened"}
    assert opened
    theirs = {e["aggregate"] for e in _decided(played) if e["type"] == "CaseOpened"}
    assert opened & theirs


def test_a_stretch_without_a_record_is_refused_with_what_there_is(played: Plant, tmp_path: Path) -> None:
    done = _run(played, tmp_path / "o", "mentions", "--since", rfc3339(START + 400 * HOUR))
    assert done.returncode == 1
    assert "no post, reply or action in that stretch of mentions" in done.stderr
    assert f"{played.prefix}mentions/0 holds offsets" in done.stderr
