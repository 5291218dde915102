"""The runs of one replay, one for each policy that is tried, and what they leave in the output folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from rich.console import Console

from netcenter.errors import CommandError
from netcenter.replay.comparison import Comparison
from netcenter.replay.engine import Replay
from netcenter.replay.figures import Verdicts
from netcenter.replay.picture import picture
from netcenter.replay.results import Results
from schemas.records import Record

#: Columns where nobody says how wide the terminal is.
_WIDE = 120


class Tried(NamedTuple):
    """A policy that is tried, or the log's own policies."""

    name: str
    policies: Mapping[int, str]
    """Texts by version."""
    in_force: Sequence[int] | None = None
    """Of the log's own: the version with which each partition begins. None: one policy holds throughout."""


class _Side:
    """One policy's run."""

    def __init__(self, tried: Tried, folder: Path, partitions: int) -> None:
        self.name = tried.name
        self.results, self.verdicts = Results(folder), Verdicts()
        self.compared = False
        self.replay = Replay(tried.policies, partitions, self._tell, in_force=tried.in_force)

    def _tell(self, topic: str, records: list[Record]) -> None:
        self.results.tell(topic, records)
        if self.compared:
            self.verdicts.tell(topic, records)

    def summary(self, more: Mapping[str, Any]) -> dict[str, Any]:
        """Counts and what else there is to say."""
        return {**self.results.counts.summary(self.replay.set_aside), **more}


class Sides:
    """One run into the folder itself, or two into sub-folders of it with their comparison. A context manager."""

    def __init__(self, out: Path, tried: Sequence[Tried], partitions: int) -> None:
        """Raises CommandError when the folder cannot be made."""
        self.out = out
        self._exit = ExitStack()
        try:
            if len(tried) == 1:
                self._sides = [_Side(tried[0], out, partitions)]
            else:
                self._sides = [_Side(one, out / one.name, partitions) for one in tried]
        except OSError as error:
            raise _cannot(error) from None
        for side in self._sides:
            side.compared = len(tried) > 1

    @property
    def replays(self) -> list[Replay]:
        """To be played through, side by side."""
        return [side.replay for side in self._sides]

    def __enter__(self) -> Self:
        for side in self._sides:
            self._exit.enter_context(side.results)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def finish(self, more: Mapping[str, Any]) -> None:
        """Write the summaries and say them; of two, write and show the comparison. Raises CommandError."""
        try:
            for side in self._sides:
                side.results.close(side.summary(more))
            if len(self._sides) == 1:
                print(json.dumps(self._sides[0].summary(more)))
            else:
                self._compare()
        except OSError as error:
            raise _cannot(error) from None

    def _compare(self) -> None:
        one, other = self._sides
        names, verdicts = (one.name, other.name), (one.verdicts, other.verdicts)
        comparison = Comparison(names, verdicts)
        comparison.write(self.out)
        (self.out / "comparison.svg").write_text(picture(names, verdicts))
        comparison.show(Console(width=None if Console().is_terminal else _WIDE))


def _cannot(error: OSError) -> CommandError:
    return CommandError(f"{error.filename}: {error.strerror}: choose another --out")
