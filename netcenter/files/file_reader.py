"""Reads files of JSON lines and CSV, one record at a time."""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec

from agents.policy import PolicyError, parse
from netcenter.files.line import FileError, Line, PolicyText
from netcenter.files.line_types import (
    CLASSIFIED,
    CLASSIFIER_FIELDS,
    KNOWN,
    MAY_BE_EMPTY,
    TIMES,
    TYPES,
    FieldFault,
    LineType,
)
from netcenter.files.values import SURROGATE, Form, json_type
from schemas import records, requirements
from schemas.times import EARLIEST

_CELL = 64 * 2**20  # a CSV cell above 64 MiB is an unclosed quote
_NONE: Mapping[str, str] = MappingProxyType({})
_UNKNOWN = "leave it out, --map it to a field, or pass --ignore-unknown"


class _Reader:
    """Turns the lines of one file into records, by the options of the command."""

    def __init__(
        self,
        file: str,
        columns: Mapping[str, str],
        constants: Mapping[str, str],
        ignore_unknown: bool,
        time_format: str | None,
        default_type: str,
        classified: bool,
    ) -> None:
        self.file = file
        self.classified = classified
        known = KNOWN.union(CLASSIFIER_FIELDS) if classified else KNOWN
        self.known = known
        self.columns = columns
        self.constants = constants
        self.ignore_unknown = ignore_unknown
        self.plain = Form(False, time_format)
        self.cells = Form(True, time_format)
        self.default_type = default_type
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

    def fail(self, number: int, field: str, why: str) -> NoReturn:
        raise FileError(f"{self.file}:{number}: {field}: {why}")

    def json(self, raw: bytes, number: int) -> Line:
        """The record of one JSON line."""
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            place = re.search(r"\(byte (\d+)\)", str(error))
            value = self._json_slowly(raw, number, int(place[1]) + 1 if place else 1)
        if type(value) is not dict:
            raise FileError(f"{self.file}:{number}: is {json_type(value)}, not an object: write one {{...}} a line")
        return self.line(value, number, self.plain)

    def _json_slowly(self, raw: bytes, number: int, column: int) -> Any:
        """Decodes a line that the fast decoder refused: accepts lone surrogates, and names the column of a fault."""

        def refuse(word: str) -> NoReturn:
            raise ValueError(f"{word} is not JSON: leave the field out")

        try:
            return _mended(json.loads(raw.decode(), parse_constant=refuse))
        except UnicodeDecodeError as error:
            why = f"column {error.start + 1}: not UTF-8: save the file as UTF-8"
        except json.JSONDecodeError as error:
            why = f"column {error.colno}: not JSON: {error.msg}; write one whole object a line"
        except RecursionError:
            why = f"column {column}: nested too deep: a record is one flat object"
        except ValueError as error:
            why = f"column {column}: {error}"
        raise FileError(f"{self.file}:{number}: {why}") from None

    def line(self, given: Mapping[str, Any], number: int, form: Form) -> Line:
        """The record of one line, from its JSON object or from the cells of its CSV row by column."""
        kind = self._type_of(given, number)
        values = self._values(kind, given, number, form)
        if self.constants:
            values |= self._constants(kind, number)
        for field in kind.required:
            if field not in values:
                self.fail(number, field, f"is missing, and every {kind.name} needs it: add it, or give --map or --set")
        try:
            kind.derive(values)
        except FieldFault as fault:
            self.fail(number, fault.field, fault.why)
        if kind.cls is PolicyText:
            values["text"] = self._policy(values["at"], values["file"], number)
        record = kind.make(**values)
        self._check(record, number)
        at = next(values[field] for field in kind.order if field in values)
        return Line(at, kind.topic, record, number)

    def _type_of(self, given: Mapping[str, Any], number: int) -> LineType:
        name = self.constants.get("type") or given.get(self.columns.get("type", "type")) or self.default_type
        kind = TYPES.get(name) if isinstance(name, str) else None
        if kind is None:
            self.fail(number, "type", f"{str(name)[:40]!r} is not known: use one of {', '.join(TYPES)}")
        if self.classified and kind.cls is records.Mention and self._labelled(given):
            return CLASSIFIED
        return kind

    def _values(self, kind: LineType, given: Mapping[str, Any], number: int, form: Form) -> dict[str, Any]:
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
                self.fail(number, field[:40], f"no such field; those of type {kind.name} are {known}: {_UNKNOWN}")
            if value is None or field in self.constants:
                continue
            if form.cells and value == "" and (kind.name, field) not in MAY_BE_EMPTY:
                continue
            try:
                values[field] = convert(value, form)
            except ValueError as error:
                self.fail(number, field, str(error))
        return values

    def _check(self, record: records.Record, number: int) -> None:
        """Check a record by the rules of Kafka's input topics."""
        told = record.mention if type(record) is records.ClassifiedMention else record
        wrong = requirements.unfit(told)
        if wrong is None:
            return
        field = record.change if isinstance(record, records.OperatorChanged) and wrong.field == "at" else wrong.field
        self.fail(number, field, wrong.why + ("; mend it or --time-format" if wrong.field in TIMES else ""))

    def _policy(self, at: int, name: str, number: int) -> str:
        """The text of the policy that a line names. A relative path leads from the folder of the played file."""
        if not EARLIEST <= at < requirements.END:
            self.fail(number, "at", "is not between 2000 and 2099; mend it or --time-format")
        path = name if self.file == "-" else str(Path(self.file).parent / name)
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            self.fail(number, "file", f"{path}: {error.strerror or error}: name a policy from this file's folder")
        except ValueError:
            self.fail(number, "file", "is no file of UTF-8 text: name a policy")
        try:
            parse(text, name=path)
        except PolicyError as error:
            first, *others = str(error).splitlines()
            more = f"; and {len(others)} more: `netcenter policy check` names each" if others else ""
            self.fail(number, "file", first + more)
        return text

    def _labelled(self, given: Mapping[str, Any]) -> bool:
        return "label" in self.constants or given.get(self.columns.get("label", "label")) not in (None, "")

    def _constants(self, kind: LineType, number: int) -> dict[str, Any]:
        """The values of --set for the fields that a line of this type has."""
        fixed = self.fixed.get(kind.topic + kind.name)
        if fixed is None:
            fixed = self.fixed[kind.topic + kind.name] = {}
            for field, value in self.constants.items():
                if field in kind.fields:
                    try:
                        fixed[field] = kind.fields[field](value, self.cells)
                    except ValueError as error:
                        self.fail(number, field, f"--set: {error}")
        return fixed

    def rows(self, lines: Iterable[str]) -> Iterator[Line]:
        """The records of a CSV file's rows, of which the first is the header."""
        csv.field_size_limit(_CELL)
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                raise FileError(
                    f"{self.file}:{number}: not CSV: {error}; a quote inside quotes is written twice"
                ) from None
            if header is None:
                header = self._header(row, number)
            elif len(row) == len(header):
                yield self.line(dict(zip(header, row, strict=True)), number, self.cells)
            elif row:
                raise FileError(
                    f"{self.file}:{number}: {len(row)} cells, but the header has {len(header)}: quote commas"
                )
        if header is None:
            raise FileError(f"{self.file}:1: no header: the first line of a CSV file names its columns")

    def _header(self, row: list[str], number: int) -> list[str]:
        for field, column in self.columns.items():
            if column not in row:
                self.fail(number, field, f"--map: no column {column!r}; the columns are {', '.join(row)}")
        for column in row:
            if column not in self.fields and column not in self.known:
                if not self.ignore_unknown:
                    self.fail(number, column[:40], f"no record has such a field: {_UNKNOWN}")
            elif row.count(column) > 1:
                self.fail(number, column, "two columns have this name: rename one")
        return row


def _mended(value: Any) -> Any:
    """The value, with each lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(v) for v in value]
    if isinstance(value, dict):
        return {_mended(k): _mended(v) for k, v in value.items()}
    return value


def parse_line(
    raw: bytes | str,
    *,
    file: str = "-",
    number: int = 1,
    map: Mapping[str, str] = _NONE,
    set: Mapping[str, str] = _NONE,
    ignore_unknown: bool = False,
    time_format: str | None = None,
    default_type: str = "mention",
    classified: bool = False,
) -> Line:
    """The record of one JSON line; options as of `read`. Raises FileError, which names `file` and `number`."""
    reader = _Reader(file, map, set, ignore_unknown, time_format, default_type, classified)
    return reader.json(raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw, number)


def read(
    path: Path,
    *,
    map: Mapping[str, str] = _NONE,
    set: Mapping[str, str] = _NONE,
    ignore_unknown: bool = False,
    time_format: str | None = None,
    default_type: str = "mention",
    classified: bool = False,
) -> Iterator[Line]:
    """The records of a file, in its own order, one at a time.

    path: ends in .jsonl, .ndjson or .json for JSON lines, .csv for CSV with a header; `-` is JSON lines on the standard
    input. map: field to the column (or JSON key) it is taken from. set: field to a constant, written as in a CSV cell,
    which replaces the file's value. ignore_unknown: skip fields that the record does not have. time_format:
    as `strptime` takes it, UTC where it has no offset, instead of RFC 3339. default_type: the type of a line without a
    type.
    classified: a mention with a `label` is read as a ClassifiedMention, with `confidence` (1), `probabilities`,
    `classified_lang` (the mention's own) and `model`; otherwise these are fields that no mention has.
    Raises FileError at the first fault.
    """
    reader = _Reader(str(path), map, set, ignore_unknown, time_format, default_type, classified)
    ending = path.suffix.lower()
    if str(path) != "-" and ending not in (".jsonl", ".ndjson", ".json", ".csv"):
        raise FileError(f"{path}: ending {ending!r} is not known: use .jsonl for JSON lines or .csv")
    return _lines(path, ending, reader)


def _lines(path: Path, ending: str, reader: _Reader) -> Iterator[Line]:
    try:
        if ending == ".csv":
            # Bytes that are not UTF-8 become surrogates, so that the error can name the line and field.
            with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
                yield from reader.rows(text)
            return
        with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as raws:
            for number, raw in enumerate(raws, 1):
                raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
                if not raw.isspace():
                    yield reader.json(raw, number)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
