"""Files of records: JSON lines and CSV into records, and a record back into its JSON line.

A line's `type` says what it is: mention, reply, action, operator, update (MentionUpdated), crisis (CrisisDeclared)
or contacts (ContactCount). Its fields are the record's; ids are derived. An operator line says exactly one of
`came`, `renewed` or `left`, each a time, for the record's `change` and `at`. Where it is asked for, a mention with a
`label` is one that was classified before: a ClassifiedMention. Nothing here needs the file in memory.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import msgspec

from schemas import ids, records, requirements
from schemas.headers import rfc3339
from schemas.records import Record

Topic = Literal["mentions", "classified", "desk", "volumes"]
_CELL = 64 * 2**20  # a CSV cell above 64 MiB is an unclosed quote
_NONE: Mapping[str, str] = MappingProxyType({})
_SURROGATE = re.compile("[\ud800-\udfff]")
_MINUTE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_SECONDS = {f":{second:02d}": second * 1000 for second in range(60)}
_FRACTIONS = {"Z": 0, **{f".{fraction:03d}Z": fraction for fraction in range(1000)}}
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))? ?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)


class FileError(ValueError):
    """`<file>:<line>: <field>: what is wrong and how to mend it`; never quotes a text or an author."""


class Line(msgspec.Struct, frozen=True):
    """One record of a file."""

    at: int
    """ms; its place in the order of play: received_at, else created_at, observed_at, at or minute."""
    topic: Topic
    """Where it belongs."""
    record: Record
    number: int
    """The line it starts on, from 1."""


class _Form(msgspec.Struct, frozen=True):
    """How values are written."""

    cells: bool
    """As text, in a CSV cell or a constant."""
    time_format: str | None
    """As `strptime` takes it; None is RFC 3339."""


Convert = Callable[[Any, _Form], Any]


class _Type(msgspec.Struct, frozen=True):
    """What a line of one type holds."""

    name: str
    cls: type[Record]
    topic: Topic
    fields: dict[str, Convert]
    required: tuple[str, ...]
    written: tuple[tuple[str, Any], ...]
    """The record's fields that make a line, each with the default that is left out."""
    order: tuple[str, ...]
    """The times that place it in the order of play, the first given one holds."""
    derive: Callable[[dict[str, Any]], None]
    """Adds what follows from the fields, ids above all; raises _Fault."""
    make: Callable[..., Record]
    """The record of the fields, as keywords."""


class _Fault(ValueError):
    """A field and what is wrong with it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field, why)
        self.field, self.why = field, why


# --- values: each takes what the file gives and returns what the record holds, or raises ValueError(why) ----------


def _kind_of(value: Any) -> str:
    names = {
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), type(value).__name__)


def _text(value: Any, form: _Form) -> str:
    if type(value) is not str:
        raise ValueError(f"is {_kind_of(value)}, not text: put it in quotes")
    if form.cells and not value.isascii() and _SURROGATE.search(value):
        raise ValueError("is not UTF-8: save the file as UTF-8")
    return value


def _reference(value: Any, form: _Form) -> str | None:
    return _text(value, form) or None


def _name(value: Any, form: _Form) -> str:
    return _text(value, form).strip().lower().replace(" ", "-")


def _time(value: Any, form: _Form) -> int:
    text = _text(value, form)
    if form.time_format is not None:
        try:
            moment = datetime.strptime(text, form.time_format)  # noqa: DTZ007 - made UTC below where naive
        except ValueError as error:
            raise ValueError(f"{error}; mend the time or --time-format") from None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        ms = int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
    elif (plain := _plain(text)) is not None:
        ms = plain
    else:
        match = _RFC3339.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text[:40]!r} is no time such as 2026-11-20T14:03:00Z: write it so, or give --time-format"
            )
        date, minute, second, fraction, offset = match.groups()
        if offset is None:
            raise ValueError(f"{text!r} has no offset: add Z for UTC or one such as -05:00, or give --time-format")
        leap = second == "60"  # RFC 3339 has leap seconds, datetime has not
        try:
            moment = datetime.fromisoformat(f"{date}T{minute}:{'59' if leap else second}{offset.upper()}")
        except ValueError as error:
            raise ValueError(f"{text!r} is no time: {error}") from None
        ms = int(moment.timestamp()) * 1000 + (1000 if leap else 0)
        if fraction is not None:
            ms += int(fraction.ljust(3, "0")[:3])
    return ms


def _plain(text: str) -> int | None:
    """ms of 2026-11-20T14:03:00Z or 2026-11-20T14:03:00.250Z, as most files have it; None for all else."""
    second = _SECONDS.get(text[16:19])
    fraction = _FRACTIONS.get(text[19:])
    minute = _minute_of(text[:16]) if second is not None and fraction is not None else None
    return None if minute is None or second is None or fraction is None else minute + second + fraction


@lru_cache(maxsize=8_192)
def _minute_of(text: str) -> int | None:
    if _MINUTE.fullmatch(text) is None:
        return None
    try:
        return int(datetime.fromisoformat(f"{text}Z").timestamp()) * 1000
    except ValueError:
        return None


def _count(value: Any, form: _Form) -> int:
    if form.cells and isinstance(value, str):
        if re.fullmatch(r"[+-]?\d{1,4000}", value, re.ASCII) is None:
            raise ValueError(f"{value[:40]!r} is not a whole number")
        value = int(value)
    if type(value) is not int:
        raise ValueError(f"is {_kind_of(value)}, not a whole number")
    return value


def _flag(value: Any, form: _Form) -> bool:
    if form.cells and isinstance(value, str):
        value = {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)
    if type(value) is not bool:
        raise ValueError(f"is {_kind_of(value)}, not true or false")
    return value


def _words(value: Any, form: _Form) -> list[str]:
    if form.cells and isinstance(value, str):
        value = re.split(r"[,; ]+", value.strip(",; "))
    if type(value) is not list:
        raise ValueError(f'is {_kind_of(value)}, not a list such as ["es", "pt"]')
    return [_text(word, form) for word in value]


def _share(value: Any, form: _Form) -> float:
    if form.cells and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(f"{value[:40]!r} is not a number") from None
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise ValueError("is not a number between 0 and 1")
    return float(value)


def _shares(value: Any, form: _Form) -> list[float]:
    if form.cells and isinstance(value, str):
        value = re.split(r"[,; ]+", value.strip(",; "))
    if type(value) is not list or len(value) != len(_LABELS):
        raise ValueError(f"is not a list of {len(_LABELS)} numbers: {', '.join(_LABELS)}")
    return [_share(share, form) for share in value]


def _choice(words: tuple[str, ...]) -> Convert:
    known = frozenset(words) - {"unknown"}  # what a reader takes for a symbol newer than itself: nothing to write
    listed = ", ".join(w for w in words if w in known)

    def convert(value: Any, form: _Form) -> str:
        text = _text(value, form)
        if text not in known:
            raise ValueError(f"{text[:40]!r} is not known: use one of {listed}")
        return text

    return convert


_BY_NAME: dict[str, Convert] = {
    **dict.fromkeys(("brand", "channel", "desk"), _name),
    **dict.fromkeys(("conversation_id", "in_reply_to", "share_of"), _reference),
    **dict.fromkeys(("created_at", "received_at", "observed_at", "at", "until", "minute"), _time),
}
_BY_TYPE: dict[Any, Convert] = {str: _text, int: _count, bool: _flag, list[str]: _words}


def _bare(hint: Any) -> Any:
    """The type under Annotated and `| None`."""
    if get_origin(hint) is Annotated:
        return _bare(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return _bare(next(arg for arg in get_args(hint) if arg is not NoneType))
    return hint


def _fields(cls: type[Record], left_out: tuple[str, ...]) -> dict[str, Convert]:
    found: dict[str, Convert] = {}
    for name, hint in get_type_hints(cls).items():
        if name not in left_out:
            bare = _bare(hint)
            chosen = _choice(get_args(bare)) if get_origin(bare) is Literal else _BY_TYPE.get(bare)
            found[name] = _BY_NAME.get(name) or chosen or _unknown(cls, name)
    return found


def _unknown(cls: type[Record], name: str) -> NoReturn:
    raise TypeError(f"{cls.__name__}.{name}: no conversion from a file; add one to netcenter/files/lines.py")


# --- types: what follows from the fields -------------------------------------------------------------------------

_PRESENCE = ("came", "renewed", "left")


def _mention(v: dict[str, Any]) -> None:
    v["id"] = ids.mention(v["brand"], v["channel"], v["native_id"])
    v["post_id"] = ids.post(v["channel"], v["native_id"])


def _classified(label: records.Label, **v: Any) -> records.ClassifiedMention:
    """A mention and what a classifier said of it; what a policy says of it comes when it is replayed."""
    confidence, told = v.pop("confidence", 1.0), v.pop("probabilities", None)
    lang, model = v.pop("classified_lang", None), v.pop("model", "")
    mention = records.Mention(**v)
    rest = (1 - confidence) / (len(_LABELS) - 1)
    return records.ClassifiedMention(
        label=label,
        confidence=confidence,
        uncertain=False,
        lang=lang or (mention.lang[:2] if mention.lang[:2] in _LANGUAGES else "und"),  # type: ignore[arg-type]
        own=False,
        probabilities=told or [confidence if name == label else rest for name in _LABELS],
        model=model,
        policy=0,
        mention=mention,
    )


def _update(v: dict[str, Any]) -> None:
    v["id"] = ids.update(records.MentionUpdated(id="", **v))


def _reply(v: dict[str, Any]) -> None:
    v["id"] = ids.reply(v["brand"], v["channel"], v["native_id"])


def _action(v: dict[str, Any]) -> None:
    v["id"] = ids.action(v["brand"], v["channel"], v["action_id"])


def _crisis(v: dict[str, Any]) -> None:
    v["id"] = ids.make("crisis", v["brand"], v["at"], v["change"])


def _contacts(v: dict[str, Any]) -> None:
    v["id"] = ids.make("contacts", v["brand"], v["source"], v["minute"])


def _operator(v: dict[str, Any]) -> None:
    said = [change for change in _PRESENCE if change in v]
    if len(said) != 1:
        raise _Fault(said[1] if said else "came", "say exactly one of came, renewed or left, with its time")
    v["change"], v["at"] = said[0], v.pop(said[0])
    v["id"] = ids.make("operator", v["desk"], v["operator"], v["at"], v["change"])


def _type(
    name: str,
    cls: type[Record],
    topic: Topic,
    order: tuple[str, ...],
    derive: Callable[[dict[str, Any]], None],
    *,
    required: tuple[str, ...] = (),
    left_out: tuple[str, ...] = ("id",),
    judged: tuple[str, ...] = (),
    added: Mapping[str, Convert] = MappingProxyType({}),
) -> _Type:
    told = [f for f in msgspec.structs.fields(cls) if f.name not in ("id", "post_id", *judged)]
    must = tuple(f.name for f in told if f.required and f.name not in left_out) + required
    written = tuple((f.name, msgspec.NODEFAULT if f.name in must else _default(f)) for f in told)
    return _Type(name, cls, topic, _fields(cls, left_out + judged) | dict(added), must, written, order, derive, cls)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


_CREATED = ("received_at", "created_at")
_TYPES = {
    t.name: t
    for t in (
        _type(
            "mention",
            records.Mention,
            "mentions",
            _CREATED,
            _mention,
            required=("text",),
            left_out=("id", "post_id"),
        ),
        _type("reply", records.Reply, "mentions", _CREATED, _reply),
        _type("action", records.Action, "mentions", _CREATED, _action),
        _type(
            "update",
            records.MentionUpdated,
            "mentions",
            ("received_at", "observed_at"),
            _update,
            judged=("label", "confidence", "uncertain", "lang"),
        ),
        _type(
            "operator",
            records.OperatorChanged,
            "desk",
            ("at",),
            _operator,
            left_out=("id", "change", "at"),
            added=dict.fromkeys(_PRESENCE, _time),
        ),
        _type("crisis", records.CrisisDeclared, "volumes", ("at",), _crisis),
        _type("contacts", records.ContactCount, "volumes", ("minute",), _contacts),
    )
}
_BY_CLASS = {t.cls: t for t in _TYPES.values()}
_LABELS: tuple[str, ...] = get_args(records.Label)
_LANGUAGES = ("es", "pt", "en", "und")
_JUDGEMENT: dict[str, Convert] = {
    "label": _choice(_LABELS),
    "confidence": _share,
    "probabilities": _shares,
    "classified_lang": _choice(_LANGUAGES),
    "model": _text,
}
_JUDGED = msgspec.structs.replace(
    _TYPES["mention"],
    topic="classified",
    fields=_TYPES["mention"].fields | _JUDGEMENT,
    make=_classified,
)
_TIMES = frozenset(name for name, convert in _BY_NAME.items() if convert is _time)
_KNOWN = frozenset({"type"}.union(*(t.fields for t in _TYPES.values())))
_UNKNOWN = "leave it out, --map it to a field, or pass --ignore-unknown"
#: In CSV an empty cell is not given; of these it is an empty text.
_MAY_BE_EMPTY = frozenset((t.name, "text") for t in _TYPES.values() if t.cls in (records.Mention, records.Reply))


# --- reading -----------------------------------------------------------------------------------------------------


class _Reader:
    """Turns the lines of one file into records, by the options given."""

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
        known = _KNOWN.union(_JUDGEMENT) if classified else _KNOWN
        self.known = known
        self.columns = columns
        self.constants = constants
        self.ignore_unknown = ignore_unknown
        self.plain = _Form(False, time_format)
        self.cells = _Form(True, time_format)
        self.default_type = default_type
        self.fixed: dict[str, dict[str, Any]] = {}
        #: The fields that come from a column; one that has a mapped field's own name gives nothing.
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
        """One JSON line."""
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            place = re.search(r"\(byte (\d+)\)", str(error))
            value = self._json_slowly(raw, number, int(place[1]) + 1 if place else 1)
        if type(value) is not dict:
            raise FileError(f"{self.file}:{number}: is {_kind_of(value)}, not an object: write one {{...}} a line")
        return self.line(value, number, self.plain)

    def _json_slowly(self, raw: bytes, number: int, column: int) -> Any:
        """What the fast decoder refused at a column: lone surrogates, which are kept, and faults, which are named."""

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

    def line(self, given: Mapping[str, Any], number: int, form: _Form) -> Line:
        """A line's fields, or a CSV row's cells by column, as a record."""
        name = self.constants.get("type") or given.get(self.columns.get("type", "type")) or self.default_type
        kind = _TYPES.get(name) if isinstance(name, str) else None
        if kind is None:
            self.fail(number, "type", f"{str(name)[:40]!r} is not known: use one of {', '.join(_TYPES)}")
        if self.classified and kind.cls is records.Mention and self._labelled(given):
            kind = _JUDGED
        values: dict[str, Any] = {}
        pairs: Iterable[tuple[str, Any]] = given.items()
        if self.columns:
            pairs = [(f, value) for column, value in given.items() for f in self.fields.get(column, (column,))]
        for field, value in pairs:
            convert = kind.fields.get(field)
            if convert is None:
                if field == "type" or self.ignore_unknown or (form.cells and value == ""):
                    continue
                self.fail(number, field[:40], f"a {name} has no such field: {_UNKNOWN}")
            if value is None or field in self.constants:
                continue
            if form.cells and value == "" and (name, field) not in _MAY_BE_EMPTY:
                continue
            try:
                values[field] = convert(value, form)
            except ValueError as error:
                self.fail(number, field, str(error))
        if self.constants:
            values |= self._constants(kind, number)
        for field in kind.required:
            if field not in values:
                self.fail(number, field, f"is missing, and a {name} needs it: add it, or give --map or --set")
        try:
            kind.derive(values)
        except _Fault as fault:
            self.fail(number, fault.field, fault.why)
        record = kind.make(**values)
        told = record.mention if type(record) is records.ClassifiedMention else record
        if (wrong := requirements.unfit(told)) is not None:
            field = (
                record.change if isinstance(record, records.OperatorChanged) and wrong.field == "at" else wrong.field
            )
            self.fail(number, field, wrong.why + ("; mend it or --time-format" if wrong.field in _TIMES else ""))
        at = next(values[field] for field in kind.order if field in values)
        return Line(at, kind.topic, record, number)

    def _labelled(self, given: Mapping[str, Any]) -> bool:
        return "label" in self.constants or given.get(self.columns.get("label", "label")) not in (None, "")

    def _constants(self, kind: _Type, number: int) -> dict[str, Any]:
        """The constants that a record of this type has a field for."""
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
        """A CSV file's rows; the first is the header."""
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
    """Each lone surrogate as U+FFFD."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
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
    which wins over the file. ignore_unknown: fields that the record does not have are passed over. time_format: as
    `strptime` takes it, UTC where it has no offset, instead of RFC 3339. default_type: of a line that names none.
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
            # Bytes that are not UTF-8 come through as surrogates, so that the fault is told with its line and field.
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


# --- writing -----------------------------------------------------------------------------------------------------


def line_of(record: Record) -> dict[str, Any]:
    """A record as its line's fields; what has its default is left out. Raises TypeError for one that has no line."""
    if isinstance(record, records.ClassifiedMention):
        told = {"label": record.label, "confidence": record.confidence, "probabilities": record.probabilities}
        return {**line_of(record.mention), **told, "classified_lang": record.lang, "model": record.model}
    kind = _BY_CLASS.get(type(record))
    if kind is None:
        raise TypeError(f"{type(record).__name__} has no line in a file; those that do: {', '.join(_TYPES)}")
    line: dict[str, Any] = {"type": kind.name}
    for field, default in kind.written:
        value = getattr(record, field)
        if value != default:
            line[field] = rfc3339(value) if field in _TIMES else value
    if isinstance(record, records.OperatorChanged):
        line[line.pop("change")] = line.pop("at")
    return line


def dump(record: Record) -> str:
    """A record as its JSON line, without the newline. `read` gives the same record back."""
    return msgspec.json.encode(line_of(record)).decode()
