"""Makes the records of a file from its rows, one at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from agents.policy import PolicyError, parse
from agents.policy.zone import zone
from netcenter.files.column_names import as_options, suggested
from netcenter.files.conditions import Conditions
from netcenter.files.contact_bins import ContactBins, end_of
from netcenter.files.file_rows import open_rows
from netcenter.files.file_times import ContradictoryDatesError, UndecidedDateError, order_told_by
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
from netcenter.files.own_replies import OwnReplies
from netcenter.files.rounded_ids import ID_FIELDS, is_rounded, rounded_fields
from netcenter.files.shapes.file_row import Row, Rows
from netcenter.files.shapes.json_rows import json_row
from netcenter.files.shapes.source_file import SourceFile
from netcenter.files.values import DamagedIdError, DateOrder, Form, as_name, as_reference, has_nothing, written
from schemas import ids, records, requirements
from schemas.times import EARLIEST

if TYPE_CHECKING:
    from netcenter.files.shapes.csv_blocks import Cells

_UNKNOWN = "leave it out, --map it to a field, or pass --ignore-unknown"


#: How many rows after the first with an id that may have been rounded tell whether it was.
_ROUNDED_AHEAD = 100
_ROUNDED = (
    "has zeros in place of the digits after the 15th, as most ids of this file: Excel keeps 15 digits: export the file again and "
    "do not save it in Excel, or import the column there as text"
)
#: How many rows are looked at to find out whether the day or the month comes first in a file's dates.
_LOOKED_AT = 1_000
#: How many names with their keys are kept to be told.
_NAMES = 1_000
#: The types of lines that --make-ids gives ids.
_POSTS = frozenset(("mention", "reply"))
#: What a post needs. A profile's columns of other fields may be lacking.
_NEEDED = frozenset(TYPES["mention"].required)
#: Of what an id is made where a row has none: the same post has the same id in any file.
_OF_AN_ID = ("author_id", "created_at", "text")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_REPLY, _UPDATE = TYPES["reply"], TYPES["update"]
#: A brand's own answer among posts: what kind of post it is says nothing of a reply.
_OWN = msgspec.structs.replace(_REPLY, fields={f: c for f, c in _REPLY.fields.items() if f != "kind"})
_OF_POSTS = TYPES["mention"].fields.keys() - _OWN.fields.keys()
_T = TypeVar("_T")
Place = tuple[int, type[records.Record] | None, int]
"""Of a row: the number of its line, the class of its record, and its place in the order of play (ms); None and 0 for a row
that makes no record.
"""


class RecordReader:
    """Turns the rows of one file into records, by the options of the command."""

    def __init__(self, file: str, options: FileOptions) -> None:
        self.file, self.options = file, options
        self.classified = options.classified
        known = KNOWN.union(CLASSIFIER_FIELDS) if options.classified else KNOWN
        self.known = known
        #: By field: the column that it is taken from, where that is not the one of its name; empty where it is none.
        columns = self.columns = dict(options.map)
        constants = self.constants = dict(options.set)
        self.ignore_unknown = options.ignore_unknown
        self.dates = DateOrder(options.dates)
        self.plain = Form(False, options.time_format, self._zone(options.zone), self.dates)
        self.cells = msgspec.structs.replace(self.plain, cells=True)
        self.default_type = options.default_type
        self.replaced = {field: dict(values) for field, values in options.value.items()}
        self.replies = OwnReplies(options) if options.reply_if or options.own_accounts or options.reply_to else None
        self.reply_map = options.reply_map
        #: Columns that options name, but which fill no field of a record's own.
        self.used = (options.columns | {options.each}) - frozenset(columns.values())
        #: By (field, key): the first name in the file that became this key, if it is not the key itself.
        self.names: dict[tuple[str, str], str] = {}
        self.shared: dict[tuple[str, str], tuple[str, str]] = {}
        """By (field, key): two names of the file that differ by more than their case, and became this key."""
        self.rounded: frozenset[str] = frozenset()
        """The fields of the file whose ids Excel has rounded."""
        self.noted = False
        self.left_out = Conditions("--skip-if", options.skip_if)
        """The rows that --skip-if has left out."""
        self.renamed = set[tuple[str, str]]()
        """(field, value) of each --value that the file has."""
        self.made = 0
        """How many posts got an id because theirs has lost digits."""
        self.fixed: dict[int, dict[str, Any]] = {}
        #: The fields that each column fills; a column fills no field if another column is mapped to the field of its
        #: name.
        self.fields: dict[str, tuple[str, ...]] = dict.fromkeys(columns, ())
        for field, column in columns.items():
            if column:
                self.fields[column] = (*self.fields.get(column, ()), field)
        given = (("--map", columns), ("--set", constants), ("--value", self.replaced))
        for option, field in [(option, field) for option, fields in given for field in fields]:
            if field not in known:
                words = ", ".join(sorted(known))
                raise FileError(f"{file}: {option} {field}: no record has this field; known: {words}")
        for field in self.reply_map:
            if field not in _REPLY.fields:
                raise FileError(
                    f"{file}: --reply-map {field}: no reply has this field; known: {', '.join(_REPLY.fields)}"
                )

    def _zone(self, name: str | None) -> ZoneInfo | None:
        try:
            return None if name is None else zone(name).info
        except ValueError as error:
            raise FileError(f"{self.file}: --zone: {error}") from None

    def record(self, row: Row, form: Form) -> Line | Refused:
        """The record of a row. Raises UndecidedDateError, see `decide`."""
        try:
            return self._line(row.values, row.number, form)
        except FieldFault as fault:
            return Refused(row.number, fault.field, fault.why, row.raw)

    def with_reply(self, row: Row, form: Form) -> tuple[Line | Refused, ...]:
        """The records of a row that may hold a post and its answer: both, or none. Raises UndecidedDateError."""
        post = self.record(row, form)
        if isinstance(post, Refused) or not isinstance(post.record, records.Mention):
            return (post,)
        try:
            reply = self._reply_beside(row, post.record, form)
        except FieldFault as fault:
            return (Refused(row.number, fault.field, fault.why, row.raw),)
        return (post,) if reply is None else (post, reply)

    def decide(self, rows: Iterable[Row | Refused]) -> None:
        """Find out from the next rows whether the day or the month comes first; else a date that says neither is refused."""
        self.dates.asked = True
        for row in rows:
            for column, value in row.values.items() if isinstance(row, Row) else ():
                if (
                    not TIMES.isdisjoint(self.fields.get(column, (column,)))
                    and (order := order_told_by(value)) is not None
                ):
                    self.dates.learn(order)
                    return

    def fail(self, field: str, why: str) -> NoReturn:
        """Raises FieldFault."""
        raise FieldFault(field, why)

    def _line(self, given: Mapping[str, Any], number: int, form: Form) -> Line:
        """The record of one line, from its JSON object or from the cells of its CSV row by column."""
        kind = self._type_of(given, form)
        own = self.replies is not None and kind.cls is records.Mention and self.replies.own(given, form)
        if own:
            kind = _OWN
        values = self._values(kind, given, form)
        for field in self.rounded & values.keys():
            if is_rounded(values[field]):
                del values[field]
                self._damaged(kind, field, DamagedIdError(_ROUNDED))
        if self.constants:
            values |= self._constants(kind)
        if own and self.replies is not None:
            values["author_id"] = self.replies.customer(given, values.get("in_reply_to"), form)
        return self._made(kind, values, number)

    def _reply_beside(self, row: Row, post: records.Mention, form: Form) -> Line | None:
        """The answer that stands in the row of its post; None where the row has no text or no time for it."""
        values = {
            "brand": post.brand,
            "channel": post.channel,
            "author_id": post.author_id,
            "visibility": post.visibility,
        }
        values |= {"native_id": post.native_id, "in_reply_to": post.native_id}
        for field, column in self.reply_map.items():
            value = row.values.get(column)
            if has_nothing(field, value, form):
                if field in ("text", "created_at"):
                    return None
                continue
            values[field] = self._converted(_REPLY, field, value, form, f"of the reply, by --reply-map {column}: ")
        return self._made(_REPLY, values, row.number)

    def _made(self, kind: LineType, values: dict[str, Any], number: int) -> Line:
        """The record of a line's values."""
        if self._makes_id(kind) and "native_id" not in values:
            values["native_id"] = ids.make("row", *(values.get(field, "") for field in _OF_AN_ID))
        for field in kind.required:
            if field not in values:
                other = ", or --make-ids" if field == "native_id" and kind.name in _POSTS else ""
                self.fail(field, f"is missing, and every {kind.name} needs it: add it, or give --map or --set{other}")
        kind.derive(values)
        if kind.cls is PolicyText:
            values["text"] = self._policy(values["at"], values["file"])
        record = kind.make(**values)
        self._check(record)
        at = next(values[field] for field in kind.order if field in values)
        if isinstance(record, records.ContactCount):
            at = end_of(record)
        return Line(at, kind.topic, record, number)

    def place(self, row: Row, form: Form) -> Place:
        """The place of the record that a row makes. Raises UndecidedDateError."""
        given = row.values
        try:
            kind = self._type_of(given, form)
            for field in PRESENCE if kind.cls is records.OperatorChanged else kind.order:
                if field in self.constants:
                    return row.number, kind.cls, int(self._constants(kind)[field])
                column = self.columns.get(field, field)
                value = given.get(column)
                if has_nothing(field, value, form) or field not in self.fields.get(column, (column,)):
                    continue
                to = self.replaced[field].get(written(value)) if field in self.replaced else None
                if to is None:
                    return row.number, kind.cls, int(kind.fields[field](value, form))
                if to:
                    return row.number, kind.cls, int(self._converted(kind, field, to, self.cells, "--value: "))
        except ValueError:
            pass  # the row is refused when it is read
        return row.number, None, 0

    def _type_of(self, given: Mapping[str, Any], form: Form) -> LineType:
        name = self.constants.get("type") or given.get(self.columns.get("type", "type"))
        if self.replaced and "type" in self.replaced:
            name = self._renamed("type", name)
        if has_nothing("type", name, form):
            name = self.default_type
        kind = TYPES.get(name) if isinstance(name, str) else None
        if kind is None:
            self.fail("type", f"{str(name)[:40]!r} is not known: use one of {', '.join(TYPES)}")
        if self.classified and kind.cls is records.Mention and self._labelled(given, form):
            return CLASSIFIED
        return kind

    def _values(self, kind: LineType, given: Mapping[str, Any], form: Form) -> dict[str, Any]:
        """The values of a line, by field. A constant of --set replaces the line's value."""
        values: dict[str, Any] = {}
        pairs: Iterable[tuple[str, Any]] = given.items()
        if self.columns:
            pairs = [(f, value) for column, value in given.items() for f in self.fields.get(column, (column,))]
        replaced, constants, fields = self.replaced or None, self.constants, kind.fields
        for field, value in pairs:
            convert = fields.get(field)
            if convert is None:
                self._pass_over(kind, field, value, form)
                continue
            if replaced is not None and (to := replaced.get(field, _NOTHING).get(old := written(value))) is not None:
                self.renamed.add((field, old))
                if field not in constants and to:
                    values[field] = self._converted(kind, field, to, self.cells, "--value: ")
                continue
            if value is None or field in constants:
                continue
            if form.cells and has_nothing(field, value, form) and (kind.name, field) not in MAY_BE_EMPTY:
                continue
            try:
                values[field] = convert(value, form)
            except DamagedIdError as error:
                self._damaged(kind, field, error)
                continue
            except ValueError as error:
                self.fail(field, str(error))
            if convert is as_name and values[field] != value:
                self._name(field, values[field], value)
        return values

    def _makes_id(self, kind: LineType) -> bool:
        return self.options.make_ids and kind.name in _POSTS

    def _damaged(self, kind: LineType, field: str, error: DamagedIdError) -> None:
        """Passes over an id that has lost digits where another is made; elsewhere raises FieldFault, which names the way out."""
        if field == "native_id" and self._makes_id(kind):
            self.made += 1
            return
        if field == "native_id" and kind.name in _POSTS:
            way = f"--make-ids, or --map {field}=COLUMN with a column that is whole"
        elif kind.fields[field] is as_reference:
            way = f"--map {field}= with nothing after it, which leaves the field out, or with a column that is whole"
        else:
            way = f"--map {field}=COLUMN with a column that is whole"
        self.fail(field, f"{error}; or give {way}")

    def _renamed(self, field: str, value: Any) -> Any:
        """The value of a field, or the one that takes its place."""
        old = written(value)
        if old not in self.replaced[field]:
            return value
        self.renamed.add((field, old))
        return self.replaced[field][old]

    def notes(self, *, whole: bool = True) -> list[str]:
        """What is to be known of a file that was read, and refused no row: a sentence for each.

        whole: whether the file was read to its end; otherwise what only its end tells is left out.
        """
        found = [
            f"{field}: {one!r} and {other!r} are one, {key!r}; if they are not, give --value {field}:{other!r}=KEY"
            for (field, key), (one, other) in self.shared.items()
        ]
        if self.made:
            found.append(f"native_id: {self.made:,} ids have lost digits: others were made of author, time and words")
        wanted = [(field, old) for field, values in self.replaced.items() for old in values if whole]
        found += [f"--value {field}:{old}: no row has it" for field, old in wanted if (field, old) not in self.renamed]
        return [
            *found,
            *(self.left_out.told() if whole else ()),
            *(() if self.replies is None else self.replies.told()),
        ]

    def _pass_over(self, kind: LineType, field: str, value: Any, form: Form) -> None:
        """Raises FieldFault for a field that this type of line has not, unless it is to be left out."""
        if (
            field == "type"
            or self.ignore_unknown
            or (form.cells and has_nothing(field, value, form))
            or field in self.used
        ):
            return
        if kind is not _OWN or field not in _OF_POSTS:
            known = ", ".join(name for name in kind.fields)
            self.fail(field[:40], f"no such field; those of type {kind.name} are {known}: {_UNKNOWN}")

    def _converted(self, kind: LineType, field: str, value: Any, form: Form, option: str) -> Any:
        """The value of a field that an option gives."""
        try:
            found = kind.fields[field](value, form)
        except ValueError as error:
            self.fail(field, f"{option}{error}")
        if kind.fields[field] is as_name and found != value:
            self._name(field, found, value)
        return found

    def _name(self, field: str, key: str, name: str) -> None:
        if len(self.names) < _NAMES:
            first, name = self.names.setdefault((field, key), name.strip()), name.strip()
            if first != name and first.casefold() != name.casefold():
                self.shared.setdefault((field, key), (first, name))

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

    def _labelled(self, given: Mapping[str, Any], form: Form) -> bool:
        return "label" in self.constants or not has_nothing(
            "label", given.get(self.columns.get("label", "label")), form
        )

    def _constants(self, kind: LineType) -> dict[str, Any]:
        """The values of --set for the fields that a line of this type has."""
        fixed = self.fixed.get(id(kind))
        if fixed is None:
            fixed = self.fixed[id(kind)] = {}
            for field, value in self.constants.items():
                if field in kind.fields:
                    fixed[field] = self._converted(kind, field, value, self.cells, "--set: ")
        return fixed

    def fills(self, field: str, header: list[str]) -> bool:
        """Whether a column of this header, or an option, gives the field its values."""
        return field in self.constants or field in self.columns or field in header

    def read(self, source: SourceFile) -> Iterator[tuple[Row | Refused, Line | Refused]]:
        """Each row of the file, in its own order, with the record that it makes, or why it makes none. A row with a post and its
        answer comes twice, with two lines of one number.
        """
        replies = self.replies
        if replies is not None and not source.once:
            self._note_posts(source, replies)
        with open_rows(source, self.options) as file:
            self.left_out = file.left_out
            form = self._form_of(file)
            notes = replies if not self.noted else None
            rows = self._watched_for_rounding(file)
            if self.reply_map:
                for row, several in self._each(rows, partial(self.with_reply, form=form), notes, form):
                    for found in ((row,) if isinstance(row, Refused) else several) or ():
                        yield row, found
                return
            told = file.columns is None or self.fills("minutes", file.columns)
            bins = None if told else ContactBins()
            for row, one in self._each(rows, partial(self.record, form=form), notes, form):
                if isinstance(row, Refused):
                    yield row, row
                elif isinstance(one, Line) and bins is not None and type(one.record) is records.ContactCount:
                    for found in bins.of(one, row.raw):
                        yield row, found
                elif one is not None:
                    yield row, one
            for found in bins.rest() if bins is not None else ():
                yield found, found

    def places(self, source: SourceFile) -> Iterator[Place]:
        """The place of each row of the file. Much faster than `read`, because nothing else is looked at."""
        with open_rows(source, self.options) as file:
            form = self._form_of(file)
            for row, place in self._each(file.rows, partial(self.place, form=form), None, form):
                yield (row.number, None, 0) if place is None else place

    def cells_of_times(self, source: SourceFile) -> Iterator[Cells]:
        """Of each row of a CSV file, the cell that says its place, many rows at a time. Much faster than `places`.

        Raises NotPlainError for a file of another kind, and where more than one cell is to be looked at in a row to know
        its place.
        """
        from netcenter.files.shapes.csv_blocks import CsvBlocks, NotPlainError  # numpy takes long to import

        with open_rows(source, self.options) as file:
            self._form_of(file)
            columns = [] if file.csv is None else self._columns_of_times(file.columns or [])
            if file.csv is None or not columns:
                raise NotPlainError
            for cells in CsvBlocks(*file.csv).cells_of([column for _, column in columns]):
                yield self._first_filled(columns, cells)

    def _columns_of_times(self, header: list[str]) -> list[tuple[str, str]]:
        """The (field, column) of which the first that is filled says a row's place; none where this is not so for every row."""
        if self.columns.get("type", "type") in header and "type" not in self.constants:
            return []
        try:
            order = self._type_of({}, self.cells).order
        except FieldFault:
            return []
        if order not in (_REPLY.order, _UPDATE.order) or not {*self.constants, *self.replaced}.isdisjoint(order):
            return []
        columns = [(field, self.columns.get(field, field)) for field in order]
        return [(field, c) for field, c in columns if c in header and field in self.fields.get(c, (c,))]

    def _first_filled(self, columns: list[tuple[str, str]], cells: list[Cells]) -> Cells:
        """Of each row the first cell with a value, else the last."""
        from numpy import isin, where  # numpy takes long to import

        found = cells[-1]
        for (field, _), filled in reversed(list(zip(columns, cells, strict=True))[:-1]):
            empty = [text for text in set(filled.tolist()) if has_nothing(field, text.decode(), self.cells)]
            found = where(isin(filled, empty), found, filled) if empty else filled
        return found

    def _watched_for_rounding(self, file: Rows) -> Iterator[Row | Refused]:
        """The rows; those of a JSON file as they are, because its ids are texts."""
        header = file.columns or () if file.cells else ()
        fields = {field: self.columns.get(field, field) for field in ID_FIELDS}
        fields = {f: c for f, c in fields.items() if c in header and f in self.fields.get(c, (c,))}
        return self._rounding_found(file.rows, fields) if fields else file.rows

    def _rounding_found(self, rows: Iterator[Row | Refused], fields: dict[str, str]) -> Iterator[Row | Refused]:
        """The rows. Before the first with an id that may have been rounded is given on, it and those after it tell whether it was."""
        columns = set(fields.values())
        for row in rows:
            if isinstance(row, Row) and any(is_rounded(row.values.get(column)) for column in columns):
                ahead = [row, *islice(rows, _ROUNDED_AHEAD)]
                self.rounded = rounded_fields((one.values for one in ahead if isinstance(one, Row)), fields)
                yield from ahead
                break
            yield row
        yield from rows

    def _each(
        self, rows: Iterable[Row | Refused], work: Callable[[Row], _T], replies: OwnReplies | None, form: Form
    ) -> Iterator[tuple[Row | Refused, _T | None]]:
        """Each row with what is made of it; None for a row that cannot be read. replies: who notes the rows that were read."""
        rows = iter(rows)
        while (row := next(rows, None)) is not None:
            if isinstance(row, Refused):
                yield row, None
                continue
            if replies is not None:
                replies.note(row.values, form)
            try:
                found = work(row)
            except UndecidedDateError:
                next_rows = [row, *islice(rows, _LOOKED_AT)]
                self.decide(next_rows)
                rows = chain(next_rows, rows)
                continue
            except ContradictoryDatesError as error:
                raise FileError(f"{self.file}:{row.number}: {error}") from None
            yield row, found

    def _form_of(self, file: Rows) -> Form:
        """How the values of the file are written. Raises FileError for a header that does not fit the options."""
        if file.columns is not None:
            self.check_header(file.columns, file.header)
        return self.cells if file.cells else self.plain

    def close(self) -> None:
        """Remove what was kept on the disk."""
        if self.replies is not None:
            self.replies.close()

    def _note_posts(self, source: SourceFile, replies: OwnReplies) -> None:
        """Read the file once before, because an answer may stand before the post that it answers."""
        with open_rows(source, self.options) as file:
            form = self._form_of(file)
            for row in file.rows:
                if isinstance(row, Row):
                    replies.note(row.values, form)
        self.noted = True

    def check_header(self, header: list[str], number: int) -> None:
        """Raises FileError for columns that fill no field, or two of which fill one, and for options that name columns
        which the file does not have. number: the header's line.
        """
        place = f"{self.file}:{number}" if number else self.file
        asked = {f"{field}: --map": column for field, column in self.columns.items()}
        asked |= {f"{field}: --reply-map": column for field, column in self.reply_map.items()}
        asked |= {} if self.replies is None else self.replies.columns
        lacking = {"native_id"} if self.options.make_ids else set[str]()
        needed = {column for field, column in self.columns.items() if field in _NEEDED and field not in lacking}
        for option, column in asked.items():
            if not column or column in header or column.partition(".")[0] in header:
                continue
            if column not in self.options.may_lack or column in needed:
                hint = "; --make-ids makes an id where there is none" if option.startswith("native_id") else ""
                raise FileError(f"{place}: {option}: no column {column!r}; the columns are {', '.join(header)}{hint}")
        filled = self.known.union(self.fields, self.used)
        unknown = [column for column in header if column not in filled]
        if unknown and not self.ignore_unknown:
            raise FileError(f"{place}: {self._unknown_columns(unknown, header)}")
        for column in header:
            if column not in unknown and header.count(column) > 1:
                raise FileError(f"{place}: {column}: two columns have this name: rename one")

    def _unknown_columns(self, unknown: list[str], header: list[str]) -> str:
        """What to do about columns that fill no field."""
        if {"timestamp", "value"} <= set(unknown):
            return (
                "timestamp, value: looks like counts, not posts: `netcenter backtest` reads these, and as calls they are read by "
                "--set type=contacts --set source=calls --map minute=timestamp --map count=value and --set brand=BRAND"
            )
        if not any(unknown):
            return "a column without a name, such as the index that pandas writes: pass --ignore-unknown"
        named = ", ".join(column[:40] or "(a column without a name)" for column in unknown)
        maps = suggested(unknown, {*header, *self.columns, *self.constants})
        if maps:
            others = "" if len(maps) == len(unknown) else ", and --ignore-unknown for the others"
            return f"{named}: no record has such a field: try {as_options(maps)}{others}"
        return f"{named}: no record has such a field: {_UNKNOWN}"


def parse_line(raw: bytes | str, options: FileOptions, *, file: str = "-", number: int = 1) -> Line:
    """The record of one JSON line. Raises FileError, which names `file` and `number`."""
    row = json_row(raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw, number)
    reader = RecordReader(file, options)
    reader.dates.asked = True
    found = reader.record(row, reader.plain) if isinstance(row, Row) else row
    if isinstance(found, Refused):
        raise FileError(found.in_words(file))
    return found


def read(path: Path, options: FileOptions) -> Iterator[Line | Refused]:
    """The records of a file, in its own order, one at a time, and the rows that make none.

    path: as `netcenter.files.file_rows.open_rows` takes it. Raises FileError for a file of which no row can be read, such
    as one whose header misses a column.
    """
    with contextlib.closing(RecordReader(str(path), options)) as reader:
        for _, found in reader.read(SourceFile(path)):
            yield found
