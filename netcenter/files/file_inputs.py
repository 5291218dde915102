"""The files that a command reads: what it tells of them while it reads, and at its end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from netcenter.errors import CommandError, UsageError
from netcenter.files.file_counts import FileCounts
from netcenter.files.file_order import still_in_order, time_order
from netcenter.files.file_progress import FileProgress
from netcenter.files.file_reading import FileReading
from netcenter.files.line import FileError, Line, PolicyText
from netcenter.files.options import FileOptions
from netcenter.files.rejects import Rejects
from netcenter.files.sorted_lines import SortedLines

_AT = attrgetter("at")
_T = TypeVar("_T")


class FileInputs:
    """The files of a command. Tells the first refused rows on standard error. A context manager."""

    def __init__(self, paths: Sequence[Path], options: FileOptions) -> None:
        """Raises CommandError where the file of the rejects cannot be written."""
        if options.rejects is not None and options.rejects in paths:
            raise UsageError(f"--rejects: {options.rejects} is the file that is read: name another file")
        self.options = options
        self._rejects = Rejects(options.rejects, say)
        self.readings = [FileReading(path, options, self._rejects) for path in paths]

    @property
    def read_once(self) -> bool:
        """Whether the only file can be read once only: the standard input, or a pipe."""
        return [reading.source.once for reading in self.readings] == [True]

    @property
    def size(self) -> int:
        """Bytes; what the files have on the disk, as far as they were opened."""
        return sum(reading.source.size for reading in self.readings)

    @property
    def counts(self) -> FileCounts:
        """What became of the rows of all files so far."""
        counts = FileCounts()
        for reading in self.readings:
            counts.add(reading.counts)
        return counts

    def lines(self, reading: FileReading) -> Iterator[Line]:
        """The records of one of the files, one by one. Raises UsageError, which names file, line and field."""
        return _said(iter(reading))

    def begins(self) -> bool:
        """False where the only file has no row, as far as its first rows tell. Raises UsageError for a file that cannot be read,
        or of which the first rows are all refused.
        """
        if self.options.reply_if or self.options.own_accounts:
            return True  # the whole file would be read, to know whom the brand answers
        return _raised(self.readings[0].begins)

    def to_play(self, progress: FileProgress) -> Iterator[Line]:
        """The records of the only file, in order of time, as they are played into a log.

        1. Look at the times of the whole file. This is not possible on a pipe, and not where a row may hold two
           records, of which the second is later.
        2. Where no record is earlier than one before it, play the records as they are read.
        3. Otherwise sort the records on disk before the first is played.

        Raises UsageError, also for a line that holds a policy: in a log a policy comes into force for everyone at once.
        """
        [reading] = self.readings
        rows, ordered = 0, False
        if not self.read_once and not self.options.reply_map:
            progress.stage("looking at the times")
            order = _raised(lambda: time_order(reading.source, self.options, progress.passed))
            rows, ordered = order.rows, order.sorted
            if order.policy is not None:
                raise _holds_policy(reading.path, order.policy)
        if ordered:
            progress.stage("playing", rows)
            yield from progress.over(_said(still_in_order(self.as_read(), str(reading.path))), _AT)
            return
        with SortedLines(lambda: self.size) as lines:
            progress.stage("sorting by time", rows)
            lines.add(progress.over(self.as_read(), _AT))
            progress.stage("playing", len(lines))
            yield from progress.over(lines, _AT)

    def as_read(self) -> Iterator[Line]:
        """The records of the only file in its own order, as they are played into a log. Raises UsageError as `to_play`."""
        [reading] = self.readings
        for line in self.lines(reading):
            if isinstance(line.record, PolicyText):
                raise _holds_policy(reading.path, line.number)
            yield line

    def check(self) -> None:
        """Tell what is to be known of the files. Raises CommandError where more rows were refused than the options allow."""
        for reading in self.readings:
            for note in reading.notes:
                say(f"{reading.path}: {note}")
        counts, most = self.counts, self.options.max_rejects
        if counts.refused > most * counts.rows:
            kept = self.options.rejects
            where = f"they are in {kept}" if kept else "--rejects FILE keeps them"
            raise CommandError(
                f"{counts.refused:,} of {counts.rows:,} rows were refused, more than --max-rejects {most * 100:g}% allows: {where}; "
                "the other rows were taken"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rejects.__exit__(kind, error, trace)


def say(line: str) -> None:
    """Print a line of this program to standard error."""
    print(f"netcenter: {line}", file=sys.stderr, flush=True)


def _said(lines: Iterator[Line]) -> Iterator[Line]:
    try:
        yield from lines
    except FileError as error:
        raise UsageError(str(error)) from None


def _raised(work: Callable[[], _T]) -> _T:
    try:
        return work()
    except FileError as error:
        raise UsageError(str(error)) from None


def _holds_policy(path: Path, number: int) -> UsageError:
    return UsageError(
        f"{path}:{number}: type: a policy in a file counts in `netcenter replay` only: take the line out, and run "
        "`netcenter policy apply` with the policy's file when it is to hold"
    )
