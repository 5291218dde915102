"""A large CSV file through `ingest` and `classify`: memory, rows a second, and how long until the first record is out."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil  # type: ignore[import-untyped]
from kafka import TopicPartition
from rich.console import Console
from rich.table import Table

from netcenter.broker.client import open_consumer
from netcenter.embedded import Stack
from netcenter.pipeline import PIPELINE
from netcenter.settings import load
from streams.kafka_connection import KafkaConnection

_SEED = 19
_START = datetime(2026, 1, 5, 6, tzinfo=UTC)
_WORDS = (
    "flight",
    "delayed",
    "again",
    "thanks",
    "nothing",
    "crew",
    "great",
    "bag",
    "lost",
    "where",
    "can",
    "help",
    "please",
)
_LOOK_S = 0.02


def write_csv(path: Path, megabytes: float, *, ordered: bool = True) -> int:
    """A CSV of posts of about 200 bytes each, the same for every run; the number of rows. ordered: by time, else shuffled
    within an hour.
    """
    chance, size, rows, at = random.Random(_SEED), 0, 0, _START
    with path.open("w", encoding="utf-8", newline="") as file:
        size += file.write("native_id,brand,channel,author_id,author_name,created_at,lang,author_followers,text\n")
        while size < megabytes * 1e6:
            at += timedelta(milliseconds=chance.randrange(500))
            when = at if ordered else at - timedelta(seconds=chance.randrange(3600))
            author, text = chance.randrange(200_000), " ".join(chance.choices(_WORDS, k=chance.randrange(8, 28)))
            cells = f'{10**17 + rows},andina,twitter,u{author},"Name, {author}",{when:%Y-%m-%dT%H:%M:%SZ},en'
            size += file.write(f"{cells},{author % 5000},{text}\n")
            rows += 1
    return rows


def _environment() -> dict[str, str]:
    """Variables as users have them: Python keeps what it has compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class _Watched:
    """A `netcenter` command that runs, and what is seen of it from outside."""

    def __init__(
        self, *words: str, given: Mapping[str, str] = MappingProxyType({}), out: int = subprocess.DEVNULL
    ) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "netcenter", *words],
            stdout=out,
            stderr=subprocess.PIPE,
            env={**_environment(), **given},
        )
        self.peak = 0

    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 2)

    def look(self) -> bool:
        """Whether the command still runs; keeps the most memory that was seen."""
        try:
            self.peak = max(self.peak, psutil.Process(self.process.pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return False
        return self.process.poll() is None

    def watch(self, until: Callable[[], bool] = lambda: False) -> float:
        """Waits until something is true, or the command has ended; seconds since its start."""
        while self.look() and not until():
            time.sleep(_LOOK_S)
        return self.seconds()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate()


def _ingest(file: Path, folder: Path) -> dict[str, float]:
    """`ingest` of the whole file into an embedded Kafka that no worker reads."""
    stack = Stack(folder / "servers", ephemeral=True)
    try:
        address = stack.start(lambda line: print(line, file=sys.stderr)).kafka
        given = {"NETCENTER_KAFKA": address, "NETCENTER_PARTITIONS": "4"}
        subprocess.run(
            [sys.executable, "-m", "netcenter", "topics", "apply", "--clock", "event"],
            env={**_environment(), **given},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        consumer: Any = open_consumer(KafkaConnection(address))
        topic = load().prefix + PIPELINE.roles[0].input_topic
        parts = [TopicPartition(topic, number) for number in range(4)]

        def ends() -> int:
            return sum(consumer.end_offsets(parts).values())

        before = ends()
        run = _Watched("ingest", str(file), "--ahead", "none", given=given)
        # The first Tick goes to all four partitions before the first record.
        first = run.watch(lambda: ends() > before + len(parts))
        whole = run.watch()
        run.end()
        consumer.close()
        return {"first record in Kafka, s": first, "whole file, s": whole, "peak, MB": round(run.peak / 1e6)}
    finally:
        stack.stop()


def _without_kafka(file: Path) -> dict[str, float]:
    run = _Watched("ingest", str(file), given={"NETCENTER_KAFKA": "127.0.0.1:9"})
    seconds = run.watch()
    run.end()
    return {"no Kafka said after, s": seconds, "peak, MB": round(run.peak / 1e6)}


def _classify(file: Path, folder: Path) -> dict[str, float]:
    written = folder / "classified.jsonl"
    with written.open("wb") as out:
        run = _Watched("classify", str(file), out=out.fileno())
        first = run.watch(lambda: written.stat().st_size > 0)
        whole = run.watch()
        run.end()
    return {"first line, s": first, "whole file, s": whole, "peak, MB": round(run.peak / 1e6)}


def main() -> None:
    """Make the file, run the commands over it and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.file_memory", description=__doc__)
    parser.add_argument("--megabytes", type=float, default=300, help="size of the file (default: %(default)s)")
    parser.add_argument("--shuffled", action="store_true", help="a file that is not in the order of time")
    parser.add_argument("parts", nargs="*", default=["without", "classify", "ingest"], help="by default all three")
    given = parser.parse_args()
    table = Table("command", "figure", "value", title=f"a CSV of {given.megabytes:g} MB")
    with tempfile.TemporaryDirectory(prefix="netcenter-bench-") as name:
        folder = Path(name)
        file = folder / "posts.csv"
        rows = write_csv(file, given.megabytes, ordered=not given.shuffled)
        measured: dict[str, tuple[str, Callable[[], dict[str, float]]]] = {
            "without": ("ingest, no Kafka", lambda: _without_kafka(file)),
            "classify": ("classify", lambda: _classify(file, folder)),
            "ingest": ("ingest", lambda: _ingest(file, folder)),
        }
        for part in given.parts:
            title, measure = measured[part]
            figures = measure()
            if whole := figures.get("whole file, s"):
                figures["rows/s"] = round(rows / whole)
            for figure, value in figures.items():
                table.add_row(title, figure, f"{value:,}")
    table.caption = f"{rows:,} rows"
    Console().print(table)


if __name__ == "__main__":
    main()
