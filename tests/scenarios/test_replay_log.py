"""`replay --log` over a log that Kafka decided on: the same events, ids and times, of all of it and of a stretch."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from netcenter.demo.summary import summary
from schemas.records import Mention
from schemas.times import rfc3339
from tests.support.secured_story import POLICY, Histories, SecuredStory, by_aggregate

_TOPICS = ("cases", "surges")


def _replayed(secured: SecuredStory, out: Path, *words: str) -> tuple[int, str]:
    """Runs the command, as a user that may read only: (exit code, stderr)."""
    code, _, err = secured.run("monitoring", "replay", *words, "--out", str(out))
    return code, err


def _ms(one: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(one["time"]).timestamp() * 1000)


def _written(out: Path) -> dict[str, Histories]:
    return {
        topic: by_aggregate(json.loads(line) for line in (out / f"{topic}.jsonl").read_text().splitlines())
        for topic in _TOPICS
    }


@pytest.mark.parametrize("topic", ["mentions", "classified"])
def test_all_of_the_log_leads_to_the_events_that_kafka_holds(secured: SecuredStory, tmp_path: Path, topic: str) -> None:
    code, err = _replayed(secured, tmp_path / "o", "--log", topic)
    assert code == 0, err
    assert json.loads((tmp_path / "o" / "summary.json").read_text())["log"]["begins_empty"] is None
    assert _written(tmp_path / "o")["cases"] == secured.histories["cases"]
    if topic == "mentions":  # the counts that surges come from are made of mentions
        assert _written(tmp_path / "o")["surges"] == secured.histories["surges"]


def test_a_replay_counts_what_postgresql_holds(secured: SecuredStory, tmp_path: Path) -> None:
    """Posts that came twice count once, and those of a customer who was forgotten not at all."""
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions")
    assert code == 0, err
    told = json.loads((tmp_path / "o" / "summary.json").read_text())
    held = summary(secured.plant.settings.postgres or "", 0.0)
    names = ("mentions", "replies", "labels", "cases", "breaches", "surges")
    assert {name: told[name] for name in names} == {name: held[name] for name in names}
    posts = [line.record.id for line in secured.lines if isinstance(line.record, Mention)]
    assert told["mentions"] < len(set(posts)) < len(posts)


def test_up_to_a_moment_all_that_kafka_decided_until_then_is_told(secured: SecuredStory, tmp_path: Path) -> None:
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions", "--until", rfc3339(secured.middle))
    assert code == 0, err
    until = {
        aggregate: early
        for aggregate, events in secured.histories["cases"].items()
        if (early := [e for e in events if _ms(e) < secured.middle])
    }
    found = {
        aggregate: [e for e in events if _ms(e) < secured.middle]
        for aggregate, events in _written(tmp_path / "o")["cases"].items()
    }
    assert {aggregate: events for aggregate, events in found.items() if events} == until


def test_from_a_moment_on_the_cases_that_open_then_are_the_same(secured: SecuredStory, tmp_path: Path) -> None:
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions", "--since", rfc3339(secured.middle))
    assert code == 0, err
    assert "not begin where the log began" in err
    ours = _written(tmp_path / "o")["cases"]
    fresh = _newcomers(secured.histories["cases"], secured.middle)
    assert len(fresh) > 10
    assert {a: ours.get(a) for a in fresh} == fresh


def _newcomers(histories: Histories, since: int) -> Histories:
    """Cases of customers who had none before."""
    known = {events[0]["key"] for events in histories.values() if _ms(events[0]) < since}
    return {a: events for a, events in histories.items() if _ms(events[0]) >= since and events[0]["key"] not in known}


def test_a_stretch_without_a_record_says_what_there_is(secured: SecuredStory, tmp_path: Path) -> None:
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions", "--since", "2027-06-01T00:00:00Z")
    assert code == 1
    assert "no post, reply or action in that stretch of mentions" in err
    assert f"{secured.plant.prefix}mentions/1 holds offsets 0 to " in err


def test_a_partition_that_is_not_there_is_named(secured: SecuredStory, tmp_path: Path) -> None:
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions", "--offsets", "7:0-10")
    assert code == 2
    assert "--offsets 7: there are 2 partitions" in err


def test_another_policy_is_compared_with_the_logs_own(secured: SecuredStory, tmp_path: Path) -> None:
    next_policy = tmp_path / "next.toml"
    next_policy.write_text(POLICY.replace('target = "60m"', 'target = "30m"'))
    code, err = _replayed(secured, tmp_path / "o", "--log", "mentions", "--against", str(next_policy))
    assert code == 0, err
    assert _written(tmp_path / "o" / "log")["cases"] == secured.histories["cases"]
    told = json.loads((tmp_path / "o" / "comparison.json").read_text())
    assert told["policies"] == ["log", "next"]
    everywhere = told["rows"][0]
    assert everywhere["next"]["breaches"] > everywhere["log"]["breaches"]
    assert everywhere["next"]["cases"] == everywhere["log"]["cases"] == len(secured.histories["cases"])
