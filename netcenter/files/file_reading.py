"""Reads the records of a file for a command: what becomes of each row is counted, and no record comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from netcenter.files.file_counts import FileCounts
from netcenter.files.file_reader import RecordReader
from netcenter.files.id_table import IdTable
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions
from netcenter.files.rejects import TOLD, Rejects
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.source_file import FileChangedError, SourceFile
from schemas import records
from schemas.records import Record

#: If the first rows are all refused, so many of them, the options are wrong and not the rows.
_TRIED = 100
_32_BITS = 2**32 - 1
_PACK = msgspec.msgpack.Encoder()
#: The field of a line that makes the record's id.
_ID_FIELDS: dict[type[Record], str] = {
    records.Mention: "native_id",
    records.ClassifiedMention: "native_id",
    records.Reply: "native_id",
    records.Action: "action_id",
}
_RECEIVED = frozenset((records.Mention, records.MentionUpdated, records.Reply, records.Action))


class FileReading:
    """The records of a file, in its own order, one at a time.

    1. A row that makes no record is counted, told and written to the rejects; the reading goes on.
    2. A record that the file had before is a duplicate: it is counted and not taken again. When the post was received
       is no part of its content: a post that was delivered twice is one post.
    3. A record that has the id of another record of the file, with other content, is refused.

    Raises FileError for a file that cannot be read, and where the first 100 rows (or all, if there are fewer) are refused.
    """

    def __init__(self, path: Path, options: FileOptions | None = None, rejects: Rejects | None = None) -> None:
        self.path, self.options = path, options or FileOptions()
        self.counts = FileCounts()
        """What became of the rows so far."""
        self.notes: list[str] = []
        """As `RecordReader.notes`, once the file was read to its end."""
        self.time = 0
        """ms; the time of the record that was read last."""
        self.source = SourceFile(path)
        """The file, which may be read several times."""
        self._file = str(path)
        self._rejects = rejects or Rejects()

    def begins(self) -> bool:
        """Whether the file has a record, as far as its first rows tell; they are not counted. Raises FileError."""
        first = FileReading(self.path, self.options)
        first.source = self.source
        return next(iter(first), None) is not None

    def __iter__(self) -> Iterator[Line]:
        counts, seen = self.counts, IdTable()
        first: list[Refused] = []
        for row, found in self._rows():
            counts.rows += 1
            if isinstance(found, Line):
                before = self._before(seen, found)
                if before is None:
                    counts.taken += 1
                    while first:
                        self._rejects.tell(first.pop(0), self._file)
                    self.time = found.at
                    yield found
                    continue
                if before == 0:
                    counts.duplicates += 1
                    continue
                found = _other_content(found, before, row)
            counts.refused += 1
            self._rejects.write(found, self._file)
            if counts.taken:
                self._rejects.tell(found, self._file)
                continue
            first.append(found)
            if len(first) == _TRIED:
                raise self._all_refused(first)
        if first:
            raise self._all_refused(first)

    def _rows(self) -> Iterator[tuple[Row | Refused, Line | Refused]]:
        """Each row with the record that it makes; the rows that are left out are counted alone."""
        with closing(RecordReader(self._file, self.options)) as reader:
            try:
                for row, found in reader.read(self.source):
                    self._leave_out(reader)
                    yield row, found
            except FileChangedError as error:
                raise FileError(f"{error}; {self.counts.rows:,} rows were read before") from None
            self._leave_out(reader)
            self.notes = reader.notes()

    def _leave_out(self, reader: RecordReader) -> None:
        self.counts.rows += reader.left_out.met - self.counts.left_out
        self.counts.left_out = reader.left_out.met

    def _before(self, seen: IdTable, line: Line) -> int | None:
        """None for a record with a new id; 0 for one that the file had before; for one of which the file had the id with
        other content, the number of that line.
        """
        record = line.record
        id = record.mention.id if type(record) is records.ClassifiedMention else getattr(record, "id", None)
        if id is None:
            return None
        content = hash(_PACK.encode(_without_receipt(record))) & _32_BITS
        before = seen.first(id, content << 32 | line.number & _32_BITS)
        return before if before is None else 0 if before >> 32 == content else before & _32_BITS

    def _all_refused(self, first: list[Refused]) -> FileError:
        """The error of a file whose first rows are all refused; it names each reason once."""
        by_reason = {(refused.field, refused.why): refused for refused in reversed(first)}
        shown = sorted(by_reason.values(), key=lambda refused: refused.number)[:TOLD]
        told = [refused.in_words(self._file) for refused in shown]
        if len(first) > 1:
            told.append(
                f"{self._file}: none of the first {len(first)} rows makes a record: mend the file or the options"
            )
        return FileError("\n".join(told))


def _without_receipt(record: Record) -> Record:
    """The record without the time at which it was received."""
    if type(record) is records.ClassifiedMention:
        return msgspec.structs.replace(record, mention=_without_receipt(record.mention))
    if type(record) in _RECEIVED and record.received_at is not None:  # type: ignore[attr-defined]
        return msgspec.structs.replace(record, received_at=None)
    return record


def _other_content(line: Line, before: int, row: Row | Refused) -> Refused:
    field = _ID_FIELDS.get(type(line.record), "")
    return Refused(line.number, field, f"line {before} has this id with other content", row.raw)
