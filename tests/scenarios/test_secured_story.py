"""With TLS, SCRAM, an authorizer, a user for each role and command, and signing keys: everything works as it does without, and
whoever lacks a right is told which.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import typer
from kafka import KafkaProducer

from netcenter.cli import app
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.policies import DEFAULT_POLICY
from netcenter.replay import Replay, play_lines
from netcenter.rights.kafka_users import kafka_users
from schemas.dead_letter_headers import failure_of
from schemas.records import AlertDelivery, Decided, Offered, Record
from streams.signatures import STAGE
from tests.support import judge
from tests.support.afternoon import File
from tests.support.secured_story import NEXT, POLICY, RESTORED, RUN_ON, TOLD, SecuredStory

# The first test's time includes the story.
pytestmark = pytest.mark.timeout(420)
DECIDING = [role.name for role in PIPELINE.roles if role.decides]
REFUSED = re.compile(r"AuthorizationFailed|has no right|does not allow")


# --- the story --------------------------------------------------------------------------------------------------------


def test_the_story_has_the_summary_that_it_has_without_security(secured: SecuredStory) -> None:
    """Every event of the file's replay but for alerts of escalated cases, with no Kafka and nothing forged: so TLS, rights,
    signatures and forgeries change nothing. PostgreSQL and the webhook have them all.
    """
    decided: dict[str, list[Record]] = {topic: [] for topic in TOLD}
    replay = Replay(
        {1: POLICY},
        secured.plant.partitions,
        lambda topic, records: decided.get(topic, []).extend(records),
        roles=[PIPELINE.role(name) for name in DECIDING],
    )
    play_lines([replay], secured.lines, interval=TICK, run_on=RUN_ON)
    for topic in TOLD:
        ours = judge.unless_escalated(judge.without_offsets(row.record) for row in secured.log[topic])
        theirs = judge.unless_escalated(map(judge.without_offsets, decided[topic]))
        judge.same_histories(judge.histories(ours), judge.histories(theirs), topic)
    assert any(isinstance(row.record, Decided) for row in secured.log["assignments"])
    rows = {name: len(found) for name, found in judge.tables(secured.plant.settings.postgres or "").items()}
    events = {topic: sum(isinstance(row.record, Decided) for row in secured.log[topic]) for topic in secured.log}
    assert (rows["case_events"], rows["surge_events"], rows["alert_events"], rows["assignments"]) == (
        events["cases"],
        events["surges"],
        events["alerts"],
        events["assignments"],
    )
    deliveries = [row.record for row in secured.log["deliveries"] if isinstance(row.record, AlertDelivery)]
    told = {one.alert_id: one.outcome for one in deliveries}
    assert len(told) == events["alerts"] and set(told.values()) <= {"accepted", "passed_over"}
    assert secured.receiver.received == list(told.values()).count("accepted") > 0
    assert secured.receiver.rejected == 0
    assert not secured.plant.deaths


def test_what_was_forged_stands_in_the_dead_letters_alone(secured: SecuredStory) -> None:
    """Each of them, and nothing else."""
    for topic in PIPELINE.topics:
        if topic.records:
            failures = [failure_of(row.headers.items()) for row in secured.log[topic.dead.name]]
            assert {failure.stage for failure in failures} <= {STAGE}
            assert len(failures) == secured.forged[topic.name]
    assert secured.forged.keys() == {topic.name for topic in PIPELINE.topics if topic.signed}


# --- the commands -----------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A command as its user runs it."""

    command: str
    """As the help names it; `rebuild` with the kind of rebuild."""
    words: str
    """Its arguments. `{offer}`, `{case}` and `{letter}` are ids of this log."""
    prefix: str | None = None
    """Of another log than the story's."""
    code: int = 0


#: In an order in which each has something to do. The log must be at rest for the first ones.
RUNS = (
    Run("savepoint take", "whole.savepoint"),
    Run("savepoint restore", "whole.savepoint", RESTORED),
    Run("rescale", "--from s.", NEXT),
    Run("postgres continue", "--from s.", NEXT),
    Run("topics apply", "--clock event --repair", NEXT),
    Run("topics seed", "--clock event", NEXT),
    Run("topics apply", "--check", NEXT),
    Run("policy list", "", NEXT),
    Run("policy apply", str(DEFAULT_POLICY), NEXT),
    Run("policy repair", "", NEXT),
    Run("operators sign-in", "ana --for 8h", NEXT),
    Run("operators accept", "ana {offer}", NEXT),
    Run("operators decline", "ana {offer}", NEXT),
    Run("operators renew", "ana --for 9h", NEXT),
    Run("operators list", "", NEXT),
    Run("operators pause", "ana --for 30m", NEXT),
    Run("operators resume", "ana", NEXT),
    Run("operators sign-out", "ana", NEXT),
    Run("operators simulate", "team.toml --for 1s", NEXT),
    Run("desk show", "care"),
    Run("desk explain", "{case}"),
    Run("bulk-update", "escalate --brand andina --label complaint --by ana --yes --wait 1s", NEXT, 1),  # nobody reads
    Run("crisis open", "andina --by ana --reason test", NEXT),
    Run("crisis close", "andina --by ana --reason test", NEXT),
    Run("forget", "andina twitter nobody", NEXT),
    Run("ingest", "posts.jsonl --ahead none --run-on 1m", NEXT),
    Run("rebuild ROLE", "classify --yes", NEXT),
    Run("rebuild ROLE", "desk --yes", RESTORED),
    Run("changelog remove", "cases 0 foreign", RESTORED),
    Run("rebuild postgres", "--yes", NEXT),
    Run("dead list", ""),
    Run("dead show", "{letter}"),
    Run("dead redrive", "{letter}"),
    Run("dead discard", "--all"),
    Run("lag", "--json"),
    Run("doctor", "", code=1),  # it misses the workers
    Run("status", "", code=1),  # as doctor
    Run("heartbeat", "--once", code=1),  # as doctor
    Run("alert list", "--all"),
    Run("alert show", "{alert}"),
    Run("alert explain", "{alert}"),
    Run("alert test", "--to webhook --wait 1s", NEXT, code=1),  # it has no worker
    Run("upgrade check", ""),
    Run("replay", "--log mentions --out replayed"),
    Run("train", "labelled.csv --corrections log", code=1),  # there are not enough of them
)
WITHOUT_KAFKA = {
    *("up", "down", "demo"),  # they bring their own servers
    *("classify", "evaluate", "backtest", "surge explain", "schemas check"),
    *("topics export", "topics acls", "policy check", "policy explain", "policy diff", "policy schema"),
    *("postgres migrate", "postgres roles"),
}
WORKERS = {f"worker {role.name}" for role in PIPELINE.roles if role.in_base}
"""The story runs these; the other receivers of alerts have the rights of the webhook."""


def every_command() -> Iterator[str]:
    """Every command of the command line, `rebuild` and `worker` by what they are about."""

    def of(group: Any, *before: str) -> Iterator[str]:
        for name, found in group.commands.items():
            if hasattr(found, "commands"):
                yield from of(found, *before, name)
            else:
                yield " ".join((*before, name))

    for command in of(typer.main.get_command(app)):
        yield from {"rebuild": ("rebuild postgres", "rebuild ROLE"), "worker": WORKERS}.get(command, (command,))


def user_of(command: str) -> str:
    """The user as whom `topics acls` says that a command works."""
    [user] = [user.name for user in kafka_users("") if user.runs(command)]
    return user


def test_every_command_that_uses_kafka_has_a_user_and_runs_here() -> None:
    """A command that is added needs its rights."""
    assert {run.command for run in RUNS} | WORKERS == set(every_command()) - WITHOUT_KAFKA
    for command in set(every_command()) - WITHOUT_KAFKA:
        assert user_of(command)


@pytest.fixture(autouse=True)
def _heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one command that needs a setting of its own."""
    monkeypatch.setenv("NETCENTER_HEARTBEAT_URL", "http://127.0.0.1:9/beat")


def test_every_command_may_do_its_work_as_its_user(secured: SecuredStory) -> None:
    """With the keys that SECURITY.md gives this user, and no other."""
    found = {"offer": next(row.record.id for row in secured.log["assignments"] if isinstance(row.record, Decided))}
    found["alert"] = next(row.record.aggregate for row in secured.log["alerts"] if isinstance(row.record, Decided))
    found["case"] = next(row.record.case_id for row in secured.log["assignments"] if isinstance(row.record, Offered))
    letter = next(row for row in secured.log["mentions.dead"] if row.key is not None)
    found["letter"] = f"mentions.dead/{letter.partition}/{letter.offset}"
    folder = secured.plant.folder
    (folder / "labelled.csv").write_text("text,lang,label\nwhere is my bag,en,complaint\n")
    (folder / "team.toml").write_text('[[operators]]\nname = "leo"\ndesks = ["care"]\n')
    file = File()
    file.post("ana", 0)
    file.read(folder / "posts.jsonl")
    for run in RUNS:
        if run.command == "changelog remove":
            _write_foreign(secured, f"{run.prefix}cases.changelog", b"foreign")
        code, out, err = _run(secured, user_of(run.command), run, found)
        assert (code, REFUSED.search(out + err)) == (run.code, None), f"{run}: {code} {out} {err}"


def test_every_command_names_what_prints_the_rights_that_a_user_lacks(secured: SecuredStory) -> None:
    """As a user who may write posts and nothing else: each says so, in one line, and does nothing."""
    found = {"offer": "none", "letter": "mentions.dead/0/0", "alert": "none", "case": "none"}
    for run in RUNS:
        code, out, err = _run(secured, "gateway", run, found)
        said = [line for line in (out + err).splitlines() if REFUSED.search(line)]
        assert code == 1 and len(said) == 1 and "`netcenter topics acls`" in said[0], f"{run}: {code} {out} {err}"


def _run(secured: SecuredStory, user: str, run: Run, found: dict[str, str]) -> tuple[int, str, str]:
    words = (
        f"{run.command.removesuffix(' ROLE').removesuffix(' postgres') if 'rebuild' in run.command else run.command} "
    )
    return secured.run(user, *(words + run.words.format(**found)).split(), prefix=run.prefix)


def _write_foreign(secured: SecuredStory, topic: str, key: bytes) -> None:
    producer = KafkaProducer(**secured.plant.kafka.for_kafka_python())
    producer.send(topic, key=key, value=b"nothing of ours", partition=0).get(10)
    producer.close(timeout=10)


# --- the keys ---------------------------------------------------------------------------------------------------------


def test_whoever_has_no_keys_writes_nothing_into_a_signed_log(secured: SecuredStory) -> None:
    """Neither a worker, whose records others would refuse, nor a command: each says which setting is missing."""
    before = secured.plant.ends()
    code, _, err = secured.run("operators", "forget", "andina", "twitter", "ana", keys=())
    assert (code, "NETCENTER_OPERATORS_KEYS_FILE is not set, and this log is signed" in err) == (2, True)
    given = {name: value for name, value in secured.plant.given("classify").items() if "_KEYS_FILE" not in name}
    worker = subprocess.run(
        [sys.executable, "-m", "netcenter", "worker", "classify"],
        cwd=secured.plant.folder,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert worker.returncode == 2
    assert "is signed, and this worker has no keys: set NETCENTER_SYSTEM_KEYS_FILE" in worker.stdout + worker.stderr
    assert secured.plant.ends() == before
