"""`--show N`: prints the first records of files as a command would take them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from netcenter.errors import UsageError
from netcenter.files.file_reader import RecordReader
from netcenter.files.line import FileError, Refused
from netcenter.files.options import FileOptions
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.writer import line_of
from sinks.readable import counted


def show_records(paths: Iterable[Path], options: FileOptions, most: int) -> None:
    """Print the first records of each file as JSON lines, and beside them, on stderr, the rows that make none and why.

    most: how many rows of a file are looked at, or with --each how many elements. Raises UsageError for a file that cannot be read.
    """
    for path in paths:
        try:
            _show(path, options, most)
        except FileError as error:
            raise UsageError(str(error)) from None


def _show(path: Path, options: FileOptions, most: int) -> None:
    refused = taken = 0
    whole = True
    with closing(RecordReader(str(path), options)) as reader:
        found = reader.read(SourceFile(path))
        rows = set[int]()
        for count, (_, one) in enumerate(found):
            rows.add(one.number if options.each is None else count)
            if len(rows) > most:
                whole = False
                break
            if isinstance(one, Refused):
                refused += 1
                print(one.in_words(str(path)), file=sys.stderr)
            else:
                taken += 1
                print(json.dumps(line_of(one.record), ensure_ascii=False))
        told = [f"{field} {name!r} has the key {key!r}" for (field, key), name in reader.names.items()]
        for note in (*told, *reader.notes(whole=whole)):
            print(f"{path}: {note}", file=sys.stderr)
    print(
        f"{path}: {counted(taken, 'record', 'records')}, {counted(refused, 'row', 'rows')} refused; nothing was written",
        file=sys.stderr,
    )
