"""The pipeline's own topics under a prefix, a database, and the workers from mentions to PostgreSQL."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

from bench import broker, usage
from bench.run import Run
from netcenter.broker import provisioning
from netcenter.demo.story.story import story
from netcenter.policies import DEFAULT_POLICY
from netcenter.settings import Settings, load
from schemas.records import Clock, Mention
from streams.supervisor import command_of

ROLES = ("classify", "postgres")
_FIRST_HOURS = 20 * 3_600_000
"""ms from the first post of the story; the benchmark uses the posts in this time, all of them before the flood."""


def policy_text() -> str:
    """Return the policy that a new log begins with."""
    return DEFAULT_POLICY.read_text()


@lru_cache(maxsize=1)
def posts() -> list[Mention]:
    """Return the story's posts of an ordinary day."""
    told = [line.record for line in story() if isinstance(line.record, Mention)]
    return [post for post in told if post.created_at < told[0].created_at + _FIRST_HOURS]


@dataclass(frozen=True)
class Flow:
    """The addresses of a pipeline; and its workers, after they were started."""

    run: Run
    settings: Settings
    postgres: str
    """URI of the pipeline's own database."""
    workers: dict[str, subprocess.Popen[bytes]]
    log: Path

    def topic(self, name: str) -> str:
        """Return a topic's name on the broker."""
        return self.settings.prefix + name

    def start(self, more: Mapping[str, str]) -> None:
        """Start a worker of each role, with additional environment variables."""
        env = {
            **os.environ,
            **self.run.environment,
            "NETCENTER_KAFKA": str(self.run.kafka),
            "NETCENTER_POSTGRES": self.postgres,
            "NETCENTER_PREFIX": self.settings.prefix,
            **more,
        }
        with self.log.open("ab") as said:
            for role in ROLES:
                self.workers[role] = subprocess.Popen(command_of(role), env=env, stdout=said, stderr=said)

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each process so far, servers included."""
        pids = {role: worker.pid for role, worker in self.workers.items()}
        pids |= {"broker": self.run.broker, "postgresql": self.run.database}
        return {name: usage.cpu_s(pid) for name, pid in pids.items()}

    def resident_mb(self) -> dict[str, int]:
        """Return the memory of each worker in MiB."""
        return {role: round(usage.resident(worker.pid) / 2**20) for role, worker in self.workers.items()}

    def check(self) -> None:
        """Raise RuntimeError if a worker has ended."""
        for role, worker in self.workers.items():
            if worker.poll() is not None:
                end = self.log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the {role} worker ended with {worker.returncode}: {end}")


class Progress:
    """The progress of the projection, by the offsets that PostgreSQL commits together with the rows."""

    def __init__(self, flow: Flow) -> None:
        self._connection: Connection = psycopg2.connect(flow.postgres)
        self._connection.autocommit = True
        self._there = False

    def offsets(self) -> dict[int, int]:
        """Return the next offset of `classified` by partition; empty until the sink has opened."""
        with self._connection.cursor() as cursor:
            if not self._there:
                cursor.execute("select to_regclass('sink_offsets')")
                self._there = cursor.fetchone() != (None,)
                if not self._there:
                    return {}
            cursor.execute("select partition, next from sink_offsets where topic = 'classified'")
            return dict(cursor.fetchall())

    def rows(self) -> int:
        """Return the number of mentions that readers of PostgreSQL see."""
        with self._connection.cursor() as cursor:
            cursor.execute("select count(*) from mentions")
            row = cursor.fetchone()
            return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def flow(run: Run, clock: Clock, partitions: int = 8) -> Iterator[Flow]:
    """Create topics and a database without workers, and delete both at the end."""
    prefix = run.name("flow") + "."
    settings = load().model_copy(update={"kafka": str(run.kafka), "prefix": prefix, "partitions": partitions})
    provisioning.apply(settings, run.kafka, clock, policy_text())
    with run.new_database() as postgres:
        made = Flow(run, settings, postgres, {}, run.folder / f"{prefix}log")
        try:
            yield made
        finally:
            for worker in made.workers.values():
                usage.end(worker)
            broker.delete(run.kafka, broker.names(run.kafka, prefix))
