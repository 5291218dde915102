"""The runs of one replay, one for each policy that is tried, and the output folder: JSON lines, counts, a comparison."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import msgspec
from rich.console import Console

from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.replay.comparison import Comparison
from netcenter.replay.engine import Replay
from netcenter.replay.figures import Verdicts
from netcenter.replay.picture import picture
from schemas.jsonform import event
from schemas.records import Alert, Assigned, CaseOpened, ClassifiedMention, ClockChanged, Record, Reply, SurgeOpened

#: File of the output folder by topic.
FILES = {"cases": "cases.jsonl", "assignments": "assignments.jsonl", "surges": "surges.jsonl", "alerts": "alerts.jsonl"}
_BUFFER = 1 << 20
_JSON = msgspec.json.Encoder()
#: Columns where nobody says how wide the terminal is.
_WIDE = 120


class Tried(NamedTuple):
    """A policy that is tried, or the log's own policies."""

    name: str
    policies: Mapping[int, str]
    """Texts by version."""
    in_force: Sequence[int] | None = None
    """Of the log's own: the version with which each partition begins. None: one policy holds throughout."""


class Runs:
    """One run into the folder itself, or two into sub-folders of it with their comparison. A context manager."""

    def __init__(self, out: Path, tried: Sequence[Tried], partitions: int) -> None:
        """Raises CommandError when the folder cannot be made."""
        self._out = out
        self._exit = ExitStack()
        compared = len(tried) > 1
        try:
            self._runs = [
                _Run(one, out / one.name if compared else out, partitions, self._exit, compared) for one in tried
            ]
        except OSError as error:
            self._exit.close()
            raise _cannot(error) from None

    @property
    def replays(self) -> list[Replay]:
        """To be played through, side by side."""
        return [run.replay for run in self._runs]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def finish(self, more: Mapping[str, Any]) -> None:
        """Write the summaries and say them; of two, write and show the comparison. Raises CommandError."""
        try:
            self._exit.close()
            summaries = [{**run.counts.summary(run.replay.dead_letters), **more} for run in self._runs]
            for run, summary in zip(self._runs, summaries, strict=True):
                (run.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
            if len(summaries) == 1:
                print(json.dumps(summaries[0]))
            else:
                self._compare()
        except OSError as error:
            raise _cannot(error) from None

    def _compare(self) -> None:
        one, other = self._runs
        names, verdicts = (one.name, other.name), (one.verdicts, other.verdicts)
        comparison = Comparison(names, verdicts)
        comparison.write(self._out)
        (self._out / "comparison.svg").write_text(picture(names, verdicts))
        comparison.show(Console(width=None if Console().is_terminal else _WIDE))


class _Run:
    """One policy's: its replay, its folder's files, what is counted of it."""

    def __init__(self, tried: Tried, folder: Path, partitions: int, exit: ExitStack, compared: bool) -> None:
        self.name, self.folder, self._compared = tried.name, folder, compared
        self.counts, self.verdicts = Counts(), Verdicts()
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {
            topic: exit.enter_context((folder / name).open("wb", _BUFFER)) for topic, name in FILES.items()
        }
        self.replay = Replay(tried.policies, partitions, self._tell, in_force=tried.in_force)

    def _tell(self, topic: str, records: list[Record]) -> None:
        self.counts.tell(topic, records)
        file = self._files.get(topic)
        if file is not None:
            key = PIPELINE.topic(topic).key
            file.write(_JSON.encode_lines([event(record, key(record).decode()) for record in records]))
        if self._compared:
            self.verdicts.tell(topic, records)


class Counts:
    """Counts what was decided."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()

    def tell(self, topic: str, records: list[Record]) -> None:
        """Count records of a topic; an event that stands in several topics counts in its own."""
        counts = self._counts
        for record in records if topic in _COUNTED else ():
            name = _told(record)
            if name is not None:
                counts[name] += 1
                if type(record) is ClassifiedMention:
                    self._labels[str(record.label)] += 1

    def summary(self, dead_letters: int) -> dict[str, Any]:
        """In the order of `demo --json`."""
        counts = {name: self._counts[name] for name in _NAMES}
        first = {name: counts.pop(name) for name in ("mentions", "replies")}
        return {**first, "dead_letters": dead_letters, "labels": dict(self._labels), **counts}


_COUNTED = ("classified", *FILES)
_NAMES = ("mentions", "replies", "cases", "breaches", "assignments", "surges", "alerts_opened", "alerts_resolved")
_PLAIN: dict[type[Record], str] = {
    ClassifiedMention: "mentions",
    Reply: "replies",
    CaseOpened: "cases",
    Assigned: "assignments",
    SurgeOpened: "surges",
}


def _told(record: Record) -> str | None:
    name = _PLAIN.get(type(record))
    if name is None and type(record) is ClockChanged and record.change == "breached":
        return "breaches"
    if name is None and type(record) is Alert:
        if record.state == "resolved":
            return "alerts_resolved"
        return "alerts_opened" if record.version == 1 else None
    return name


def _cannot(error: OSError) -> CommandError:
    return CommandError(f"{error.filename}: {error.strerror}: choose another --out")
