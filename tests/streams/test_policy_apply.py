"""A policy put in force from the command line: what it would change is told before, and the log has it after."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import TopicPartition

from agents.policy import digest
from netcenter import cli
from netcenter.broker.client import open_admin
from netcenter.broker.log_writer import LogWriter
from netcenter.broker.offsets import committed_ranges
from netcenter.broker.policy_topic import newest_policy
from netcenter.broker.reading import records_of
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import load
from schemas import codec
from schemas.records import PolicyChanged
from streams.kafka_connection import KafkaConnection

Run = Callable[..., tuple[int, str]]
FIRST = DEFAULT_POLICY.read_text()
SECOND = FIRST.replace("sla_overdue = 3 ", "sla_overdue = 5 ") + '\n[[desks]]\nname = "spare"\n'


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    kafka: KafkaConnection,
    prefix: str,
) -> Run:
    """Run the command line against the session's Kafka: (exit code, stdout)."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("KAFKA", str(kafka)), ("PREFIX", prefix), ("PARTITIONS", "1")):
        monkeypatch.setenv(f"NETCENTER_{name}", value)
    (tmp_path / "first.toml").write_text(FIRST)
    (tmp_path / "second.toml").write_text(SECOND)

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capfd.readouterr().out

    return call


def changes_in_the_log(kafka: KafkaConnection, prefix: str) -> list[tuple[int, str]]:
    """(version, hash) of each policy that a worker of `mentions` meets."""
    client = open_admin(kafka)
    try:
        found = committed_ranges(client, [TopicPartition(f"{prefix}mentions", 0)])
    finally:
        client.close()
    met = [codec.decode(record.value) for record in records_of(kafka, found)]
    return [(r.version, r.hash) for r in met if isinstance(r, PolicyChanged)]


def test_a_policy_is_held_against_the_one_in_force_and_then_put_in_its_place(
    run: Run, kafka: KafkaConnection, prefix: str
) -> None:
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    assert run("policy", "diff", "first.toml") == (0, "no difference\n")
    code, out = run("policy", "diff", "second.toml")
    assert (code, out.splitlines()) == (
        0,
        ["desk spare: added", "alerts: sla_overdue 3 -> 5", "1 desk added, alerts changed"],
    )
    code, out = run("policy", "apply", "second.toml")
    warning, summary, done = out.splitlines()
    assert code == 0
    assert "desks.1: warning: no brand and no rule names spare" in warning
    assert (summary, done) == ("1 desk added, alerts changed", "policy 2 is in the log")
    assert newest_policy(load(), kafka) == (2, SECOND)
    assert changes_in_the_log(kafka, prefix) == [(1, digest(FIRST)), (2, digest(SECOND))]
    assert run("policy", "apply", "second.toml")[1].splitlines()[1:] == ["no difference", "policy 2 is in the log"]


def test_a_policy_in_force_that_cannot_be_read_can_be_replaced(run: Run, kafka: KafkaConnection, prefix: str) -> None:
    assert run("topics", "apply", "--policy", "first.toml")[0] == 0
    with LogWriter(load(), kafka, "policy") as log:
        log.send_bytes(f"{prefix}policy", 0, b"2", b"[classifier]\nmodel = 3\n")
        log.flush()
    assert run("policy", "diff", "first.toml")[0] == 1
    code, out = run("policy", "apply", "first.toml")
    assert code == 0
    assert "what changes is not known: the policy in force cannot be read" in out and "policy 3 is in the log" in out
