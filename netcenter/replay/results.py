"""Where a replay's results go: JSON lines as they come, and counts in the words of `demo --json`."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec

from netcenter.pipeline import PIPELINE
from schemas.jsonform import event
from schemas.records import Alert, Assigned, CaseOpened, ClassifiedMention, ClockChanged, Record, Reply, SurgeOpened

#: File of the output folder by topic.
FILES = {"cases": "cases.jsonl", "assignments": "assignments.jsonl", "surges": "surges.jsonl", "alerts": "alerts.jsonl"}
_BUFFER = 1 << 20
_JSON = msgspec.json.Encoder()


class Results:
    """A folder with cases.jsonl, assignments.jsonl, surges.jsonl, alerts.jsonl and, at the end, summary.json.

    A context manager. Raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts = Counts()
        folder.mkdir(parents=True, exist_ok=True)
        self._exit = ExitStack()
        self._files: dict[str, BinaryIO] = {
            topic: self._exit.enter_context((folder / name).open("wb", _BUFFER)) for topic, name in FILES.items()
        }

    def tell(self, topic: str, records: list[Record]) -> None:
        """Count and write what was decided."""
        self.counts.tell(topic, records)
        file = self._files.get(topic)
        if file is not None:
            key = PIPELINE.topic(topic).key
            file.write(_JSON.encode_lines([event(record, key(record).decode()) for record in records]))

    def close(self, summary: dict[str, Any]) -> None:
        """Write the summary; all is on disk then."""
        self._exit.close()
        (self.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()


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
