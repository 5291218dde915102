"""Converts bytes to records and back: Confluent framing (magic 0, 4-byte big-endian schema id, Avro binary).

Records of the newest version go through functions made from the schemas (`schemas.compiled`). Older versions, and bytes that these
functions refuse, go to fastavro, whose error says what is wrong with them.
"""

from __future__ import annotations

import io
import re
import struct
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema

from schemas import compiled
from schemas.avro import FIRST_ID, Version, bare, crc64, locked, schema_of
from schemas.records import BY_NAME, RECORDS, ClassifiedMention, Mention, Record

MAGIC = 0
_FRAME = struct.Struct(">BI")
R = TypeVar("R", bound=Record)
S = TypeVar("S")


class WireError(ValueError):
    """The bytes are not a record. The message says why, and never holds the text of a post."""


class NewerRecord(WireError):
    """The bytes are a record, in a version that only newer releases know."""


def nested(kind: Any) -> tuple[str, type[Record]] | None:
    """(`one`, `list` or `maybe`, class) of a field whose type holds records; None for any other type."""
    kind = get_args(kind)[0] if get_origin(kind) is typing.Annotated else kind
    if isinstance(kind, type) and issubclass(kind, Record):
        return "one", kind
    args = get_args(kind)
    if get_origin(kind) is list and isinstance(args[0], type) and issubclass(args[0], Record):
        return "list", args[0]
    if get_origin(kind) in (typing.Union, types.UnionType):
        for arg in args:
            if isinstance(arg, type) and issubclass(arg, Record):
                return "maybe", arg
    return None


@cache
def _parts(cls: type[Record]) -> list[tuple[str, str, type[Record]]]:
    hints = get_type_hints(cls, include_extras=True)
    found = ((name, nested(kind)) for name, kind in hints.items())
    return [(name, how[0], how[1]) for name, how in found if how is not None]


def plain(record: Record) -> dict[str, Any]:
    """The record as dicts and lists of plain values: every field, by its name in Avro."""
    data = {name: getattr(record, attribute) for name, attribute in compiled.attributes(type(record)).items()}
    for name, how, _ in _parts(type(record)):
        value = data[name]
        if how == "list":
            data[name] = [plain(item) for item in value]
        elif value is not None:
            data[name] = plain(value)
    return data


def build(cls: type[R], data: dict[str, Any]) -> R:
    """The inverse of `plain`: makes the record from the data. It modifies the data."""
    for name, how, part in _parts(cls):
        value = data[name]
        if how == "list":
            data[name] = [build(part, item) for item in value]
        elif value is not None:
            data[name] = build(part, value)
    attributes = compiled.attributes(cls)
    return cls(**{attributes[name]: value for name, value in data.items()})


def frame(schema_id: int) -> bytes:
    """The first five bytes of every value that has this schema."""
    return _FRAME.pack(MAGIC, schema_id)


class Layout:
    """The id, version and schema of the version of a record class that this release's code describes."""

    def __init__(self, cls: type[Record], version: Version) -> None:
        self.cls = cls
        self.id = version.id
        self.version = version.version
        self.frame = frame(version.id)

    @cached_property
    def schema(self) -> Any:
        """The parsed schema, made for the first record that only fastavro can read or write."""
        return parse_schema(bare(schema_of(self.cls)))

    @cached_property
    def read(self) -> compiled.Read:
        """The compiled reader, made for the first record, because a process needs only a few readers."""
        return compiled.reader(bare(schema_of(self.cls)))

    @cached_property
    def write(self) -> compiled.Write:
        """The compiled writer, made for the first record that is written."""
        return compiled.writer(bare(schema_of(self.cls)))


class _OlderLayout(Layout):
    """The layout of a version that an earlier release writes. Only its id, its version and its writer are used."""

    def __init__(self, cls: type[Record], version: Version) -> None:
        super().__init__(cls, version)
        self._bare = bare(version.schema())

    @cached_property
    def schema(self) -> Any:
        """The parsed schema of the older version."""
        return parse_schema(self._bare)

    @cached_property
    def write(self) -> compiled.Write:
        """A writer by way of fastavro, because the class has other fields than the schema."""

        def write(record: Any, head: bytes, tail: bytes) -> bytes:
            out = io.BytesIO()
            schemaless_writer(out, self.schema, _as_older(self._bare, plain(record), {}))
            return head + out.getvalue() + tail

        return write


class _OlderSchema:
    """The schema of a version that is read, but that is not the one which this release's code describes."""

    def __init__(self, load: Callable[[], Any]) -> None:
        """load: returns the schema as it is published."""
        self._load = load

    @cached_property
    def schema(self) -> Any:
        """The parsed schema, made for the first record of the version."""
        return parse_schema(bare(self._load()))


def _as_older(schema: Any, value: Any, named: dict[str, Any]) -> Any:
    """The data of a record with the fields and the symbols of an older schema; its defaults take the place of others."""
    if isinstance(schema, list):
        kinds = [kind for kind in schema if kind != "null"]
        return None if value is None else _as_older(kinds[0], value, named)
    if isinstance(schema, str):
        schema = named.get(schema.rpartition(".")[2], schema)
    if not isinstance(schema, dict):
        return value
    if schema["type"] in ("record", "enum"):
        named[schema["name"]] = schema
    match schema["type"]:
        case "record":
            return {
                field["name"]: _as_older(field["type"], value[field["name"]], named)
                if field["name"] in value
                else field["default"]
                for field in schema["fields"]
            }
        case "enum":
            return value if value in schema["symbols"] else schema["default"]
        case "array":
            return [_as_older(schema["items"], item, named) for item in value]
        case "map":
            return {key: _as_older(schema["values"], item, named) for key, item in value.items()}
    return value


def _own_version(cls: type[Record], versions: list[Version]) -> Version:
    """The version that the class describes. A lock file may already hold versions that only newer releases write."""
    if len(versions) == 1:
        return versions[0]
    own = crc64(schema_of(cls))
    return next((v for v in reversed(versions) if v.fingerprint == own), versions[-1])


def _layouts() -> tuple[dict[type[Record], Layout], dict[int, tuple[Layout, _OlderSchema | None]]]:
    by_class: dict[type[Record], Layout] = {}
    by_id: dict[int, tuple[Layout, _OlderSchema | None]] = {}
    versions = locked()
    for cls in RECORDS:
        by_class[cls] = Layout(cls, _own_version(cls, [v for v in versions if v.record == cls.__name__]))
    for v in versions:
        layout = by_class[BY_NAME[v.record]]
        by_id[v.id] = (layout, None if v.id == layout.id else _OlderSchema(v.schema))
    return by_class, by_id


_BY_CLASS, _BY_ID = _layouts()
_WRITTEN: dict[type[Record], Layout] = {}
"""The layout in which each record class is written."""
_COPIED: dict[type[Record], bytes] = {}
"""The frame of each record class whose bytes may be copied into another record."""


def write_versions(versions: Mapping[str, int]) -> None:
    """Makes this process write records in the versions of an earlier release, by the record's name; the records that
    are not named, in the newest version. Call it before anything is written.
    """
    _WRITTEN.update(_BY_CLASS)
    for version in locked():
        cls = BY_NAME[version.record]
        if versions.get(version.record) == version.version and version.id != _BY_CLASS[cls].id:
            _WRITTEN[cls] = _OlderLayout(cls, version)
    _COPIED.clear()
    _COPIED.update({cls: layout.frame for cls, layout in _WRITTEN.items() if layout is _BY_CLASS[cls]})
    if ClassifiedMention not in _COPIED:  # the bytes of a Mention are copied into it
        _COPIED.pop(Mention, None)


write_versions({})
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf]")


#: The errors that a compiled reader or writer may raise on bytes or records that it cannot take.
_NOT_RIGHT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error)


@cache
def _write_judgement() -> compiled.Write:
    """The writer of a ClassifiedMention without its last field, the nested Mention."""
    whole = bare(schema_of(ClassifiedMention))
    return compiled.writer({**whole, "fields": whole["fields"][:-1]})


def encode(record: Record) -> bytes:
    """The framed Avro bytes of a record, in the version that this process writes."""
    layout = _WRITTEN[type(record)]
    try:
        return layout.write(record, layout.frame, b"")
    except _NOT_RIGHT:
        return _encode_slowly(record, layout)


def _encode_slowly(record: Record, layout: Layout) -> bytes:
    out = io.BytesIO()
    out.write(layout.frame)
    schemaless_writer(out, layout.schema, plain(record))
    return out.getvalue()


def verbatim(value: bytes | None, cls: type[Record]) -> bytes | None:
    """The Avro bytes of a framed value if they may be copied into another record; else None. They may be copied if they
    have the newest version, which is the version inside other schemas, and hold no lone surrogate.
    """
    copied = _COPIED.get(cls)
    if copied is None or value is None or not value.startswith(copied):
        return None
    # Usually the bytes that look like a surrogate are part of a number.
    if _SURROGATE.search(value) and not _strict(_BY_CLASS[cls], value):
        return None
    return value[_FRAME.size :]


def _strict(layout: Layout, value: bytes) -> bool:
    try:
        _, end = layout.read(value, _FRAME.size)
    except _NOT_RIGHT:
        return False
    return end == len(value)


def encode_classified(record: ClassifiedMention, mention: bytes) -> bytes:
    """The same bytes as `encode`, with the Mention's bytes (see `verbatim`) copied in. This works because Avro
    concatenates fields.
    """
    return _write_judgement()(record, _BY_CLASS[ClassifiedMention].frame, mention)


def kind(value: bytes | None) -> type[Record] | None:
    """The record class of the schema id at the beginning of the bytes; None for an unknown id. The rest is not read."""
    if value is None or len(value) < _FRAME.size or value[0] != MAGIC:
        return None
    known = _BY_ID.get(_FRAME.unpack_from(value)[1])
    return None if known is None else known[0].cls


def decode(value: bytes | None) -> Record:
    """The record in framed Avro bytes of any version in the lock file.

    A lone surrogate in a string becomes U+FFFD. Raises WireError for bytes that are not a record.
    """
    if value is None:
        raise WireError("null value where a record was expected")
    if len(value) < _FRAME.size or value[0] != MAGIC:
        raise WireError(f"not Confluent-framed Avro: {len(value)} bytes, first byte {value[:1].hex() or 'none'}")
    schema_id = _FRAME.unpack_from(value)[1]
    known = _BY_ID.get(schema_id)
    if known is None:
        if schema_id >= FIRST_ID:
            raise NewerRecord(f"schema id {schema_id:#x} is of a newer release than this one")
        raise WireError(f"unknown schema id {schema_id:#x}: neither in the lock file nor from a registry in use")
    layout, older = known
    if older is None:
        try:
            record: Record
            record, end = layout.read(value, _FRAME.size)
        except _NOT_RIGHT:
            end = -1
        if end == len(value):
            return record
    return _decode_slowly(layout, older, value)


def _decode_slowly(layout: Layout, older: _OlderSchema | None, value: bytes) -> Record:
    name = layout.cls.__name__
    try:
        data, rest = _avro(layout, older, value, "strict")
    except UnicodeDecodeError:
        try:
            data, rest = _avro(layout, older, value, "surrogatepass")
        except UnicodeDecodeError as error:
            raise WireError(f"{name}: a string is not UTF-8 ({error.reason})") from None
        data = scrub(data)
    if rest:
        raise WireError(f"{name}: {rest} bytes left over after the record")
    return build(layout.cls, data)


def _avro(layout: Layout, older: _OlderSchema | None, value: bytes, unicode_errors: str) -> tuple[Any, int]:
    source = io.BytesIO(value)
    source.seek(_FRAME.size)
    try:
        if older is None:
            data = schemaless_reader(source, layout.schema, None, handle_unicode_errors=unicode_errors)
        else:
            data = schemaless_reader(source, older.schema, layout.schema, handle_unicode_errors=unicode_errors)
    except UnicodeDecodeError:
        raise
    except (EOFError, IndexError, StopIteration):
        raise WireError(f"{layout.cls.__name__}: truncated, {len(value)} bytes") from None
    except (ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise WireError(f"{layout.cls.__name__}: not its Avro form ({type(error).__name__})") from None
    return data, len(value) - source.tell()


def scrub(data: Any) -> Any:
    """The same value with each lone surrogate replaced by U+FFFD."""
    if isinstance(data, str):
        return data if data.isascii() else "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in data)
    if isinstance(data, dict):
        return {scrub(key): scrub(value) for key, value in data.items()}
    if isinstance(data, list):
        return [scrub(item) for item in data]
    return data


def layout_of(cls: type[Record]) -> Layout:
    """The schema and id with which this process writes a record class."""
    return _WRITTEN[cls]


def state_codec(cls: type[S]) -> tuple[Callable[[S], bytes], Callable[[bytes], S]]:
    """(encode, decode) of a changelog's record class: MessagePack with the field names, so fields may be added."""
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(cls)
    return encoder.encode, decoder.decode
