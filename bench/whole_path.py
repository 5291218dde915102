"""The whole path: mentions -> classified -> PostgreSQL, with the broker and PostgreSQL on the same cores."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import psutil
import psycopg2

from netcenter import topics
from netcenter.embedded import Stack
from netcenter.ingest import Log
from netcenter.scenario.story import story
from netcenter.settings import load
from schemas import ids
from schemas.records import Mention, Tick
from streams.supervisor import command_of

ROLES = ("classify", "postgres")
SEED = 11
_FIRST_HOURS = 20 * 3_600_000
"""No Tick follows the first, and a post a day ahead of it would be set aside."""
_START_S = 60.0
_END_S = 600.0


def mentions(count: int) -> Iterator[Mention]:
    """The story's posts over and over, each with an id and an author of its own from a seed."""
    random = Random(SEED)
    told = [line.record for line in story() if isinstance(line.record, Mention)]
    posts = [post for post in told if post.created_at < told[0].created_at + _FIRST_HOURS]
    for number in range(count):
        post = posts[number % len(posts)]
        native = f"{SEED}{number:09d}"
        yield Mention(
            id=ids.mention(post.brand, post.channel, native),
            brand=post.brand,
            channel=post.channel,
            author_id=f"u{random.randrange(100_000)}",
            native_id=native,
            created_at=post.created_at,
            kind=post.kind,
            visibility=post.visibility,
            lang=post.lang,
            author_followers=post.author_followers,
            reach=post.reach,
            post_id=ids.post(post.channel, native),
            url=post.url,
            author_name=post.author_name,
            text=post.text,
        )


def measure(count: int) -> dict[str, Any]:
    """mentions/s from the first row that PostgreSQL shows to the last, after the log was filled."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "servers", ephemeral=True)
        addresses = stack.start()
        try:
            return _measure(count, addresses.kafka, addresses.postgres, Path(folder))
        finally:
            stack.stop()


def _measure(count: int, kafka: str, postgres: str, folder: Path) -> dict[str, Any]:
    settings = load().model_copy(update={"kafka": kafka, "postgres": postgres})
    policy = (Path(topics.__file__).parent / "policies" / "default.toml").read_text()
    topics.apply(settings, kafka, "event", policy)
    started = time.perf_counter()
    _fill(settings, kafka, count)
    filled = time.perf_counter() - started
    env = {**os.environ, "NETCENTER_KAFKA": kafka, "NETCENTER_POSTGRES": postgres}
    workers = {}
    with (folder / "workers.log").open("wb") as log:
        for role in ROLES:
            workers[role] = subprocess.Popen(command_of(role), env=env, stdout=log, stderr=log)
        try:
            seconds, rows = _watch(postgres, count, workers, folder / "workers.log")
            usage = {role: _usage(process) for role, process in workers.items()}
        finally:
            for process in workers.values():
                process.terminate()
            for process in workers.values():
                process.wait(20)
    return {
        "per_s": round(rows / seconds),
        "mentions": count,
        "seconds": round(seconds, 1),
        "filled_per_s": round(count / filled),
        **{f"{role}_cpu_us": round(cpu / count * 1e6, 1) for role, (cpu, _) in usage.items()},
        **{f"{role}_resident_mb": round(rss / 2**20) for role, (_, rss) in usage.items()},
    }


def _fill(settings: Any, kafka: str, count: int) -> None:
    first = next(mentions(1)).created_at
    with Log(settings, kafka) as log:
        log.to_all("mentions", lambda n: Tick(clock="event", time=first - first % 60_000, role="clock", partition=n))
        for mention in mentions(count):
            log.send("mentions", mention)


def _watch(postgres: str, count: int, workers: dict[str, subprocess.Popen[bytes]], log: Path) -> tuple[float, int]:
    """(seconds, rows) from the first look that shows rows to the one that shows all."""
    began, seen, deadline = 0.0, 0, time.monotonic() + _START_S + _END_S
    while True:
        for role, process in workers.items():
            if process.poll() is not None:
                raise RuntimeError(f"the {role} worker ended with {process.returncode}: {log.read_text()[-2000:]}")
        now, rows = time.perf_counter(), _rows(postgres)
        if rows and not began:
            began, seen = now, rows
        if rows >= count:
            return now - began, rows - seen
        if time.monotonic() > deadline:
            raise RuntimeError(f"{rows} of {count} rows after {_START_S + _END_S:.0f} s")
        time.sleep(0.2)


def _rows(postgres: str) -> int:
    connection = psycopg2.connect(postgres)
    try:
        with connection.cursor() as cursor:
            cursor.execute("select to_regclass('mentions')")
            if cursor.fetchone() == (None,):
                return 0
            # What the sink has stored up to, rather than a count of the rows, which would cost what it measures.
            cursor.execute("select coalesce(sum(n_tup_ins), 0) from pg_stat_user_tables where relname = 'mentions'")
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()


def _usage(process: subprocess.Popen[bytes]) -> tuple[float, int]:
    seen = psutil.Process(process.pid)
    times = seen.cpu_times()
    return times.user + times.system, seen.memory_info().rss
