"""Makes the records of a file from its rows, one at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from agents.policy import PolicyError, parse
from netcenter.files.column_names import as_options, suggested
from netcenter.files.file_rows import open_rows
from netcenter.files.line import FileError, Line, PolicyText, Refused
from netcenter.files.line_types import (
    CLASSIFIED,
    CLASSIFIER_FIELDS,
    KNOWN,
    MAY_BE_EMPTY,
    PRESENCE,
    TIMES,
    TYPES,
    FieldFault,
    LineType,
)
from netcenter.files.options import FileOptions
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.json_rows import json_row
from netcenter.files.values import Form, as_time
from schemas import records, requirements
from schemas.times import EARLIEST

_UNKNOWN = "leave it out, --map it to a field, or pass --ignore-unknown"


class _Reader:
    """Turns the rows of one file into records, by the options of the command."""

    def __init__(self, file: str, options: FileOptions) -> None:
        self.file = file
        self.classified = options.classified
        known = KNOWN.union(CLASSIFIER_FIELDS) if options.classified else KNOWN
        self.known = known
        columns = self.columns = options.map
        constants = self.constants = options.set
        self.ignore_unknown = options.ignore_unknown
        self.plain = Form(False, options.time_format)
        self.cells = Form(True, options.time_format)
        self.default_type = options.default_type
        self.fixed: dict[str, dict[str, Any]] = {}
        #: The fields that each column fills; a column fills no field if another column is mapped to the field of its
        #: name.
        self.fields: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ())
        for field, column in columns.items():
            self.fields[column] = (*self.fields.get(column, ()), field)
        for option, given in (("--map", columns), ("--set", constants)):
            for field in given:
                if field not in known:
                    words = ", ".join(sorted(known))
                    raise FileError(f"{file}: {option} {field}: no record has this field; known: {words}")

    def record(self, row: Row, cells: bool) -> Line | Refused:
        """The record of a row. cells: whether its values are cells of text."""
        try:
            return self.line(row.values, row.number, self.cells if cells else self.plain)
        except FieldFault as fault:
            return Refused(row.number, fault.field, fault.why, row.raw)

    def fail(self, field: str, why: str) -> NoReturn:
        raise FieldFault(field, why)

    def line(self, given: Mapping[str, Any], number: int, form: Form) -> Line:
        """The record of one line, from its JSON object or from the cells of its CSV row by column."""
        kind = self._type_of(given)
        values = self._values(kind, given, form)
        if self.constants:
            values |= self._constants(kind)
        for field in kind.required:
            if field not in values:
                self.fail(field, f"is missing, and every {kind.name} needs it: add it, or give --map or --set")
        kind.derive(values)
        if kind.cls is PolicyText:
            values["text"] = self._policy(values["at"], values["file"])
        record = kind.make(**values)
        self._check(record)
        at = next(values[field] for field in kind.order if field in values)
        return Line(at, kind.topic, record, number)

    def place(self, given: Mapping[str, Any], form: Form) -> tuple[type[records.Record], int] | None:
        """The class and the place in the order of play (ms) of the record that a row makes; None where it makes none."""
        try:
            kind = self._type_of(given)
            for field in PRESENCE if kind.cls is records.OperatorChanged else kind.order:
                column = self.columns.get(field, field)
                value = self.constants.get(field) or given.get(column)
                if value not in (None, "") and (field in self.constants or field in self.fields.get(column, (column,))):
                    return kind.cls, as_time(value, self.cells if field in self.constants else form)
        except ValueError:
            pass
        return None

    def _type_of(self, given: Mapping[str, Any]) -> LineType:
        name = self.constants.get("type") or given.get(self.columns.get("type", "type")) or self.default_type
        kind = TYPES.get(name) if isinstance(name, str) else None
        if kind is None:
            self.fail("type", f"{str(name)[:40]!r} is not known: use one of {', '.join(TYPES)}")
        if self.classified and kind.cls is records.Mention and self._labelled(given):
            return CLASSIFIED
        return kind

    def _values(self, kind: LineType, given: Mapping[str, Any], form: Form) -> dict[str, Any]:
        """The values of a line, by field. A constant of --set replaces the line's value."""
        values: dict[str, Any] = {}
        pairs: Iterable[tuple[str, Any]] = given.items()
        if self.columns:
            pairs = [(f, value) for column, value in given.items() for f in self.fields.get(column, (column,))]
        for field, value in pairs:
            convert = kind.fields.get(field)
            if convert is None:
                if field == "type" or self.ignore_unknown or (form.cells and value == ""):
                    continue
                known = ", ".join(name for name in kind.fields)
                self.fail(field[:40], f"no such field; those of type {kind.name} are {known}: {_UNKNOWN}")
            if value is None or field in self.constants:
                continue
            if form.cells and value == "" and (kind.name, field) not in MAY_BE_EMPTY:
                continue
            try:
                values[field] = convert(value, form)
            except ValueError as error:
                self.fail(field, str(error))
        return values

    def _check(self, record: records.Record) -> None:
        """Check a record by the rules of Kafka's input topics."""
        told = record.mention if type(record) is records.ClassifiedMention else record
        wrong = requirements.unfit(told)
        if wrong is None:
            return
        field = record.change if isinstance(record, records.OperatorChanged) and wrong.field == "at" else wrong.field
        self.fail(field, wrong.why + ("; mend it or --time-format" if wrong.field in TIMES else ""))

    def _policy(self, at: int, name: str) -> str:
        """The text of the policy that a line names. A relative path leads from the folder of the played file."""
        if not EARLIEST <= at < requirements.END:
            self.fail("at", "is not between 2000 and 2099; mend it or --time-format")
        path = name if self.file == "-" else str(Path(self.file).parent / name)
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            self.fail("file", f"{path}: {error.strerror or error}: name a policy from this file's folder")
        except ValueError:
            self.fail("file", "is no file of UTF-8 text: name a policy")
        try:
            parse(text, name=path)
        except PolicyError as error:
            first, *others = str(error).splitlines()
            more = f"; and {len(others)} more: `netcenter policy check` names each" if others else ""
            self.fail("file", first + more)
        return text

    def _labelled(self, given: Mapping[str, Any]) -> bool:
        return "label" in self.constants or given.get(self.columns.get("label", "label")) not in (None, "")

    def _constants(self, kind: LineType) -> dict[str, Any]:
        """The values of --set for the fields that a line of this type has."""
        fixed = self.fixed.get(kind.topic + kind.name)
        if fixed is None:
            fixed = self.fixed[kind.topic + kind.name] = {}
            for field, value in self.constants.items():
                if field in kind.fields:
                    try:
                        fixed[field] = kind.fields[field](value, self.cells)
                    except ValueError as error:
                        self.fail(field, f"--set: {error}")
        return fixed

    def check_header(self, header: list[str], number: int) -> None:
        """Raises FileError for columns that fill no field, or two of which fill one. number: the header's line."""
        place = f"{self.file}:{number}" if number else self.file
        for field, column in self.columns.items():
            if column not in header and column.partition(".")[0] not in header:
                why = f"--map: no column {column!r}; the columns are {', '.join(header)}"
                raise FileError(f"{place}: {field}: {why}")
        unknown = [column for column in header if column not in self.fields and column not in self.known]
        if unknown and not self.ignore_unknown:
            raise FileError(f"{place}: {self._unknown_columns(unknown, header)}")
        for column in header:
            if column not in unknown and header.count(column) > 1:
                raise FileError(f"{place}: {column}: two columns have this name: rename one")

    def _unknown_columns(self, unknown: list[str], header: list[str]) -> str:
        """What to do about columns that fill no field."""
        if {"timestamp", "value"} <= set(unknown):
            return "timestamp, value: looks like counts, not posts: netcenter backtest reads these"
        named = ", ".join(column[:40] or "(a column without a name)" for column in unknown)
        maps = suggested(unknown, {*header, *self.columns, *self.constants})
        if maps:
            others = "" if len(maps) == len(unknown) else ", and --ignore-unknown for the others"
            return f"{named}: no record has such a field: try {as_options(maps)}{others}"
        return f"{named}: no record has such a field: {_UNKNOWN}"


def parse_line(raw: bytes | str, options: FileOptions, *, file: str = "-", number: int = 1) -> Line:
    """The record of one JSON line. Raises FileError, which names `file` and `number`."""
    row = json_row(raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw, number)
    found = _Reader(file, options).record(row, cells=False) if isinstance(row, Row) else row
    if isinstance(found, Refused):
        raise FileError(found.in_words(file))
    return found


def read(path: Path, options: FileOptions) -> Iterator[tuple[Row | Refused, Line | Refused]]:
    """Each row of a file, in its own order, one at a time, with the record that it makes, or why it makes none.

    path: as `netcenter.files.file_rows.open_rows` takes it. Raises FileError for a file of which no row can be read, such
    as one whose header misses a column.
    """
    reader = _Reader(str(path), options)
    with open_rows(path, options) as file:
        if file.columns is not None:
            reader.check_header(file.columns, file.header)
        for row in file.rows:
            yield row, reader.record(row, file.cells) if isinstance(row, Row) else row


Place = tuple[int, type[records.Record] | None, int]
"""Of a row: the number of its line, the class of its record, and its place in the order of play (ms); None and 0 for a row
that makes no record.
"""


def places(path: Path, options: FileOptions) -> Iterator[Place]:
    """The place of each row, in the file's own order.

    Much faster than `read`, because nothing else is looked at. Raises FileError as `read` does.
    """
    reader = _Reader(str(path), options)
    with open_rows(path, options) as file:
        form = reader.cells if file.cells else reader.plain
        for row in file.rows:
            found = reader.place(row.values, form) if isinstance(row, Row) else None
            yield (row.number, None, 0) if found is None else (row.number, *found)
