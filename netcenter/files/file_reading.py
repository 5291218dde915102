"""Reads the records of a file for a command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netcenter.files.file_reader import read
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions


class FileReading:
    """The records of a file, in its own order, one at a time. Raises FileError at the first row that makes none."""

    def __init__(self, path: Path, options: FileOptions | None = None) -> None:
        self.path, self.options = path, options or FileOptions()

    def __iter__(self) -> Iterator[Line]:
        for found in read(self.path, self.options):
            if isinstance(found, Refused):
                raise FileError(found.in_words(str(self.path)))
            yield found
