"""Sorts the lines of any number of files by time on disk, so that a million lines need little memory."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np

from netcenter.disk import amount, temporary_full, without_room
from netcenter.files.line import Line, Topic
from schemas.records import Record

_PACK = msgspec.msgpack.Encoder()
_BUFFER = 1 << 20


class SortedLines:
    """Keeps lines in a temporary file, which is deleted when the context ends; a line takes 17 bytes of memory."""

    def __init__(self, size: Callable[[], int]) -> None:
        """size: returns the bytes that the files have on the disk, for the error of a full one."""
        self._size = size
        self._at, self._starts, self._kinds = array("q"), array("q", [0]), bytearray()
        self._known: list[tuple[Topic, msgspec.msgpack.Decoder[tuple[int, Record]]]] = []
        self._kind_of: dict[tuple[Topic, type], int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def add(self, lines: Iterable[Line]) -> None:
        """Add the lines of one more file. Raises CommandError when the disk is full."""
        end = self._starts[-1]
        try:
            for line in lines:
                packed = _PACK.encode((line.number, line.record))
                end += self._file.write(packed)
                self._at.append(line.at)
                self._starts.append(end)
                self._kinds.append(self._kind(line))
            self._file.flush()
        except OSError as error:
            raise self._full(error) from None

    def holds(self, kind: type[Record]) -> bool:
        """Whether any line holds a record of this class."""
        return any(found is kind for _, found in self._kind_of)

    def _full(self, error: OSError) -> Exception:
        """The error of a disk that is full; the error itself if it is another."""
        if not without_room(error):
            return error
        files = f", and the files have {amount(size)} on the disk" if (size := self._size()) else ""
        written = amount(self._starts[-1])
        why = f"rows are sorted by time there, which needs as much as they have unpacked; {written} were written{files}"
        return temporary_full(why, error.strerror or str(error))

    def _kind(self, line: Line) -> int:
        sort = (line.topic, type(line.record))
        kind = self._kind_of.get(sort)
        if kind is None:
            kind = self._kind_of[sort] = len(self._known)
            packed: Any = tuple[int, type(line.record)]  # type: ignore[misc]  # a type that is only known now
            self._known.append((line.topic, msgspec.msgpack.Decoder(packed)))
        return kind

    def __iter__(self) -> Iterator[Line]:
        """The lines in order of time, then file, then line number."""
        number, starts = self._file.fileno(), self._starts
        for n in np.argsort(np.frombuffer(self._at, np.int64), kind="stable").tolist() if self._at else ():
            topic, decoder = self._known[self._kinds[n]]
            line, record = decoder.decode(os.pread(number, starts[n + 1] - starts[n], starts[n]))
            yield Line(self._at[n], topic, record, line)

    def __enter__(self) -> Self:
        self._exit = ExitStack()
        self._file = self._exit.enter_context(tempfile.TemporaryFile(buffering=_BUFFER))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # what the disk has no room for is not needed any more
            self._exit.close()
