"""The output folder of a replay, with a run for each tried policy: JSON lines, a summary, and a comparison."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, Self

import msgspec

from netcenter.console import OutputConsole
from netcenter.disk import not_written, writing
from netcenter.errors import CommandError
from netcenter.pipeline import PIPELINE
from netcenter.replay.comparison import LIMIT, SIMULATED, Comparison
from netcenter.replay.comparison_chart import chart
from netcenter.replay.desk_chart import desk_chart
from netcenter.replay.desk_figures import DeskVerdicts
from netcenter.replay.engine import Replay
from netcenter.replay.thread_counts import ThreadCounts
from netcenter.replay.verdicts import Verdicts
from netcenter.simulation.people import SimulatedPeople
from netcenter.simulation.team import Team
from schemas.jsonform import event
from schemas.records import Alert, Assigned, CaseOpened, ClockChanged, Record, SurgeOpened

#: The name of the file in the output folder for each topic.
FILES = {"cases": "cases.jsonl", "assignments": "assignments.jsonl", "surges": "surges.jsonl", "alerts": "alerts.jsonl"}
_BUFFER = 1 << 20
_JSON = msgspec.json.Encoder()
#: The width of a table where the output is not a terminal.
_WIDE = 120


class TriedPolicy(NamedTuple):
    """A policy to try, or all policies of the log; perhaps with a team of simulated operators."""

    name: str
    policies: Mapping[int, str]
    """The texts of the policies by version."""
    in_force: Sequence[int] | None = None
    """For the log's policies, or where a file's policies count: the policy version with which each partition begins.
    None: one policy is in force all the time.
    """
    team: Team | None = None
    """None: people do what the past says."""


class Runs:
    """One run into the folder itself, or two runs into its sub-folders with a comparison. A context manager that closes the files."""

    def __init__(self, out: Path, tried: Sequence[TriedPolicy], partitions: int) -> None:
        """Make the folders and open the files. Raises CommandError when that fails."""
        self._out = out
        self._exit = ExitStack()
        compared = len(tried) > 1
        try:
            with writing(out, "--out"):
                self._runs = [
                    _Run(one, out / one.name if compared else out, partitions, self._exit, compared) for one in tried
                ]
        except CommandError:
            self._exit.close()
            raise

    @property
    def replays(self) -> list[Replay]:
        """The replays of all runs; they are played at the same time."""
        return [run.replay for run in self._runs]

    @property
    def people(self) -> dict[int, SimulatedPeople]:
        """The simulated operators, by the number of the run in which they work."""
        return {number: run.people for number, run in enumerate(self._runs) if run.people is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._exit.close()
        except OSError as not_flushed:
            if error is None:
                raise not_written(self._out, "--out", not_flushed) from None

    def finish(self, more: Mapping[str, Any]) -> None:
        """Write the summary of each run; print the summary of a single run, or the comparison of two. Raises CommandError."""
        with writing(self._out, "--out"):
            self._exit.close()
            end = max(run.desks.end for run in self._runs)
            for run in self._runs:
                run.desks.end = end
            summaries = [{**run.counts.summary(run.replay.dead_letters), **run.desk(), **more} for run in self._runs]
            for run, summary in zip(self._runs, summaries, strict=True):
                (run.folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
            comparison = self._compare() if len(summaries) > 1 else None
        if comparison is None:
            print(json.dumps(summaries[0]))
        else:
            comparison.show(OutputConsole(width_of_pipe=_WIDE))

    def _compare(self) -> Comparison:
        one, other = self._runs
        names, verdicts = (one.name, other.name), (one.verdicts, other.verdicts)
        desks, limit = (one.desks, other.desks), SIMULATED if self.people else LIMIT
        comparison = Comparison(names, verdicts, limit, [found.figures() for found in desks])
        comparison.write(self._out)
        (self._out / "comparison.svg").write_text(chart(names, verdicts))
        (self._out / "desks.svg").write_text(desk_chart(names, desks))
        return comparison


class _Run:
    """The run of one policy: its replay, the files of its folder, and its counts."""

    def __init__(self, tried: TriedPolicy, folder: Path, partitions: int, exit: ExitStack, compared: bool) -> None:
        self.name, self.folder, self._compared = tried.name, folder, compared
        self.counts, self.verdicts, self.desks = ReplayCounts(), Verdicts(), DeskVerdicts()
        self.people = None if tried.team is None else SimulatedPeople(tried.team)
        folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, BinaryIO] = {
            topic: exit.enter_context((folder / name).open("wb", _BUFFER)) for topic, name in FILES.items()
        }
        self.replay = Replay(tried.policies, partitions, self._tell, in_force=tried.in_force, given=self.desks.tell)

    def desk(self) -> dict[str, Any]:
        """The figures of the desks for the summary; nothing where there is neither a team nor a comparison."""
        told = self._compared or self.people is not None
        return {"desk": msgspec.to_builtins(self.desks.figures())} if told else {}

    def _tell(self, topic: str, records: list[Record]) -> None:
        self.counts.tell(topic, records)
        file = self._files.get(topic)
        if file is not None:
            key = PIPELINE.topic(topic).key
            try:
                file.write(_JSON.encode_lines([event(record, key(record).decode()) for record in records]))
            except OSError as error:
                raise not_written(self.folder / FILES[topic], "--out", error) from None
        if self._compared:
            self.verdicts.tell(topic, records)
        if self.people is not None:
            self.people.tell(topic, records)
        self.desks.tell(topic, records)


class ReplayCounts:
    """Counts the records that a replay writes, as the demo's end counts the rows in PostgreSQL."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._thread = ThreadCounts()
        self._late: set[tuple[str, str, int]] = set()
        """The clocks that were breached and not rescinded: (case, metric, cycle)."""
        self._alerts: dict[str, set[tuple[str, int]]] = {"alerts_opened": set(), "alerts_resolved": set()}
        """Each time that an alert fired, and that it was resolved: (fingerprint, start)."""

    def tell(self, topic: str, records: list[Record]) -> None:
        """Count the records of a topic; an event that is written to several topics is counted in one of them only."""
        counts = self._counts
        for record in records if topic in _COUNTED else ():
            name = _PLAIN.get(type(record))
            if name is not None:
                counts[name] += 1
            elif type(record) is ClockChanged:
                self._clock(record)
            elif type(record) is Alert:
                firing = "alerts_opened" if record.state == "firing" else "alerts_resolved"
                self._alerts[firing].add((record.fingerprint, record.starts_at))
            else:
                self._thread.tell(record)

    def _clock(self, changed: ClockChanged) -> None:
        clock = (changed.aggregate, str(changed.metric), changed.cycle)
        if changed.change == "breached" and changed.metric != "resolution":
            self._late.add(clock)
        elif changed.change == "rescinded":
            self._late.discard(clock)

    def summary(self, dead_letters: int) -> dict[str, Any]:
        """The counts by name, in the order of `demo --json`."""
        thread = self._thread
        others = {"breaches": len(self._late), **{name: len(found) for name, found in self._alerts.items()}}
        counts = {name: others.get(name, self._counts[name]) for name in _NAMES}
        first = {"mentions": thread.mentions, "replies": thread.replies}
        return {**first, "dead_letters": dead_letters, "labels": thread.labels, **counts}


_COUNTED = ("classified", *FILES)
_NAMES = ("cases", "breaches", "assignments", "surges", "alerts_opened", "alerts_resolved")
_PLAIN: dict[type[Record], str] = {
    CaseOpened: "cases",
    Assigned: "assignments",
    SurgeOpened: "surges",
}
