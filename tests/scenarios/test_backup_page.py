"""docs/backup.md from its beginning to its end, as it stands: what is restored holds what was there, and goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from netcenter.embedded import Addresses
from netcenter.pipeline import PIPELINE, PROJECTION
from netcenter.policies import DEFAULT_POLICY
from tests.support import page_shell
from tests.support.chaos import create_database
from tests.support.command_line import command
from tests.support.page_shell import PageShell
from tests.support.toy_cluster import postgres_program, start_container
from tests.support.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "backup.md").read_text()
_ROLES = [role.name for role in PIPELINE.roles if role.decides or role.name == PROJECTION]
_PATIENCE_S = 60.0


@dataclass
class Installation:
    """The workers of one installation, which `kubectl` starts and stops."""

    folder: Path
    environment: dict[str, str]
    workers: dict[str, Any] = field(default_factory=dict)

    def kubectl(self, words: list[str], folder: Path, _: str) -> str:
        """What the page asks."""
        match words:
            case ["scale", "deployment", *named, "--replicas=0"]:
                self.stop([name.removeprefix("netcenter-") for name in named])
            case ["scale", "deployment", "-l", _, "--replicas=2"]:
                pass  # what is lost next needs no workers
            case ["apply", "-k", overlay]:
                settings = (folder / overlay / "settings.env").read_text().split()
                self.environment |= dict(line.split("=", 1) for line in settings)
                server = self.environment["NETCENTER_POSTGRES"].rpartition("/")[0]
                self.environment["NETCENTER_POSTGRES"] = f"{server}/restored"  # the Secret names it
                self.start()
            case ["wait", "deployment", *_]:
                self.await_read(0)
            case _:
                raise LookupError(words)
        return ""

    def start(self) -> None:
        """A worker of each role."""
        self.workers = {
            role: start_container(
                self.folder / f"{role}.log", self.folder, ["netcenter", "worker", role], self.environment
            )
            for role in _ROLES
        }

    def stop(self, roles: list[str]) -> None:
        """As a rollout does: SIGTERM, and wait."""
        leaving = [self.workers.pop(role) for role in roles if role in self.workers]
        for worker in leaving:
            worker.terminate()
        for worker in leaving:
            worker.join(30)
            assert worker.exitcode == 0, worker

    def run(self, *words: str) -> str:
        """What a command prints."""
        code, out, err = command(self.folder, self.environment, *words)
        assert code == 0, err
        return out

    def play(self, *lines: dict[str, str]) -> None:
        """Play a file of lines, and wait until every role has read it."""
        (self.folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        self.await_read(json.loads(self.run("ingest", "lines.jsonl", "--run-on", "10m", "--json"))["ticks"])

    def await_read(self, ticks: int) -> None:
        """Wait until each role has read all that there is. ticks: so many were played."""

        def read() -> bool:
            rows = [row for row in json.loads(self.run("lag", "--json")) if row["role"] in _ROLES]
            times = {row["time"] for row in rows}
            return all(row["running"] and not row["behind"] for row in rows) and (not ticks or len(times) == 1)

        until(read, _PATIENCE_S, f"every role has read the log; see {self.folder}")


def _post(number: int, minute: int) -> dict[str, str]:
    at = f"2026-11-20T12:{minute:02d}:00Z"
    who = {"brand": "andina", "channel": "twitter", "author_id": "4711"}
    return {**who, "native_id": str(number), "created_at": at, "lang": "en", "text": "Where is my suitcase?"}


def _events(uri: str) -> list[tuple[str, int]]:
    """(case, number) of every event of a case."""
    connection = psycopg2.connect(uri)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select case_id::text, seq from case_events order by case_id, seq")
            return cursor.fetchall()
    finally:
        connection.close()


@pytest.fixture
def installation(stack: Addresses, tmp_path: Path) -> Iterator[Installation]:
    """One that has decided a few posts, with the overlay of docs/deploy.md beside it."""
    name = f"backup_{uuid4().hex[:8]}"
    create_database(stack.postgres, name)
    (tmp_path / "checkout" / "installation").mkdir(parents=True)
    (tmp_path / "checkout" / "installation" / "settings.env").write_text("NETCENTER_PARTITIONS=1\n")
    made = Installation(
        tmp_path / "checkout",
        {
            "NETCENTER_KAFKA": stack.kafka,
            "NETCENTER_POSTGRES": f"{stack.postgres.rpartition('/')[0]}/{name}",
            "NETCENTER_PREFIX": f"{name}.",
            "NETCENTER_PARTITIONS": "1",
            "NETCENTER_OFFSET_COMMIT_S": "0.1",
        },
    )
    try:
        made.run("topics", "apply", "--clock", "event", "--source", "git")
        code, _, err = command(made.folder, made.environment, "postgres", "continue")
        assert (code, err) == (1, "netcenter: the tables are not there: restore them first, see docs/backup.md\n")
        made.start()
        made.play(_post(1, 0), _post(2, 1))
        yield made
    finally:
        for worker in made.workers.values():
            worker.kill()
            worker.join()


def test_what_the_page_backs_up_is_restored_and_goes_on(installation: Installation) -> None:
    """The case that is open counts its events on, and the setup finds nothing to do."""
    before = _events(installation.environment["NETCENTER_POSTGRES"])
    programs = Path(postgres_program("psql")).parent
    PageShell(installation.folder, installation.kubectl, [programs]).run(
        page_shell.to_run(PAGE), installation.environment
    )
    restored = installation.environment["NETCENTER_POSTGRES"]
    assert (installation.environment["NETCENTER_PREFIX"], _events(restored)) == ("restored.", before)
    assert "policy 1 is in the log" in installation.run("policy", "apply", str(DEFAULT_POLICY), "--source", "git")
    assert installation.run("topics", "apply").startswith("all topics are there\n")
    installation.play(_post(2, 1), _post(3, 20))
    after = _events(restored)
    assert after[: len(before)] == before and len(after) > len(before)
    assert [seq for case, seq in after if case == before[0][0]] == list(range(1, 1 + len(after)))
