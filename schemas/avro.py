"""Avro schemas of the record classes, the lock file that gives each version its id, and the check that no version breaks another.

`python -m schemas` writes the versions that are missing; `netcenter schemas check` and the tests compare.
"""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from fastavro.schema import fingerprint, to_parsing_canonical_form

from schemas.records import BY_NAME, ENUMS, RECORDS, Instant, Record

HERE = Path(__file__).parent
FOLDER = HERE / "avsc"
LOCK = HERE / "lock.json"
NAMESPACE = "netcenter"
#: The first id of the lock file. Schema registries count up from 1 and never reach this number.
FIRST_ID = 0x40000000

Schema = dict[str, Any]


def schema_of(cls: type[Record]) -> Schema:
    """The Avro schema of a record class, as published: times carry their logical type."""
    return _record(cls, set())


def _record(cls: type[Record], named: set[str]) -> Schema:
    named.add(cls.__name__)
    hints = get_type_hints(cls, include_extras=True)
    fields = []
    for info in msgspec.structs.fields(cls):
        annotated = hints[info.name]
        field: Schema = {"name": info.encode_name, "type": _type(annotated, named), "doc": words(annotated)}
        if info.default is not msgspec.NODEFAULT:
            field["default"] = info.default
        elif info.default_factory is not msgspec.NODEFAULT:
            field["default"] = info.default_factory()
        fields.append(field)
    doc = (cls.__doc__ or "").strip()
    return {"type": "record", "name": cls.__name__, "namespace": NAMESPACE, "doc": doc, "fields": fields}


def words(annotated: Any) -> str:
    """The text in a field's annotation: it becomes the Avro doc, and the comment on the field's column."""
    return next(said for said in reversed(annotated.__metadata__) if isinstance(said, str))


def is_time(annotated: Any) -> bool:
    """Whether a field's annotation says `Time` or `Time | None`."""
    if get_origin(annotated) is typing.Annotated:
        return Instant in annotated.__metadata__ or is_time(get_args(annotated)[0])
    return get_origin(annotated) in (typing.Union, types.UnionType) and any(map(is_time, get_args(annotated)))


def _type(kind: Any, named: set[str]) -> Any:
    if get_origin(kind) is typing.Annotated:
        if Instant in kind.__metadata__:
            return {"type": "long", "logicalType": "timestamp-millis"}
        kind = get_args(kind)[0]
    if kind is str:
        return "string"
    if kind is bool:
        return "boolean"
    if kind is int:
        return "long"
    if kind is float:
        return "double"
    origin, args = get_origin(kind), get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (inner,) = [a for a in args if a is not type(None)]
        return ["null", _type(inner, named)]
    if origin is list:
        return {"type": "array", "items": _type(args[0], named)}
    if origin is dict:
        return {"type": "map", "values": _type(args[1], named)}
    if kind in ENUMS:
        name, default = ENUMS[kind]
        if name in named:
            return f"{NAMESPACE}.{name}"
        named.add(name)
        symbols = list(args)
        return {"type": "enum", "name": name, "namespace": NAMESPACE, "symbols": symbols, "default": default}
    if isinstance(kind, type) and issubclass(kind, Record):
        return f"{NAMESPACE}.{kind.__name__}" if kind.__name__ in named else _record(kind, named)
    raise TypeError(f"no Avro type for {kind!r}")


def bare(schema: Any) -> Any:
    """The schema without logical types and docs. Its bytes are the same, and fastavro leaves times plain integers."""
    if isinstance(schema, dict):
        return {k: bare(v) for k, v in schema.items() if k not in ("logicalType", "doc")}
    if isinstance(schema, list):
        return [bare(item) for item in schema]
    return schema


def canonical(schema: Schema) -> str:
    """Avro's parsing canonical form."""
    return to_parsing_canonical_form(bare(schema))


def crc64(schema: Schema) -> str:
    """The CRC-64-AVRO fingerprint of the canonical form, hex."""
    return fingerprint(canonical(schema), "CRC-64-AVRO")


class Version(msgspec.Struct, frozen=True):
    """One line of the lock file."""

    id: int
    record: str
    version: int
    fingerprint: str

    @property
    def path(self) -> Path:
        """The file of this version's schema."""
        return FOLDER / f"{self.record}.v{self.version}.avsc"

    def schema(self) -> Schema:
        """This version's schema, as published."""
        loaded: Schema = json.loads(self.path.read_text())
        return loaded


def locked() -> list[Version]:
    """Every version of every record, in the order of their ids."""
    return msgspec.json.decode(LOCK.read_bytes(), type=list[Version]) if LOCK.exists() else []


def generate() -> list[Path]:
    """Write a new version of each record whose class has changed. Returns the paths of the files that were written."""
    versions, written = locked(), []
    for cls in RECORDS:
        schema = schema_of(cls)
        newest = max((v for v in versions if v.record == cls.__name__), key=lambda v: v.version, default=None)
        if newest is not None and newest.schema() == schema:
            continue
        if (
            newest is not None
            and newest.fingerprint == crc64(schema)
            and _beside_fingerprint(newest.schema()) == _beside_fingerprint(schema)
        ):
            fresh = newest  # only docs have changed, so the version stays the same
        else:
            number = newest.version + 1 if newest else 1
            top = max((v.id for v in versions), default=FIRST_ID - 1)
            fresh = Version(top + 1, cls.__name__, number, crc64(schema))
            versions.append(fresh)
        FOLDER.mkdir(exist_ok=True)
        fresh.path.write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n")
        written.append(fresh.path)
    lines = ",\n".join(" " + json.dumps(msgspec.to_builtins(v)) for v in versions)
    LOCK.write_text(f"[\n{lines}\n]\n")
    return written


def _beside_fingerprint(schema: Any) -> Any:
    """The defaults, names and logical types in a schema: readers need them, but the fingerprint leaves them out."""
    if isinstance(schema, dict):
        return [
            schema.get("default", "-"),
            schema.get("name"),
            schema.get("logicalType"),
            *(_beside_fingerprint(v) for v in schema.values()),
        ]
    if isinstance(schema, list):
        return [_beside_fingerprint(item) for item in schema]
    return None


def problems() -> list[str]:
    """One line for each disagreement between the classes, the lock file and the schemas; empty when they agree."""
    found, versions = [], locked()
    ids = [v.id for v in versions]
    if len(set(ids)) != len(ids) or any(i < FIRST_ID for i in ids):
        found.append(f"{LOCK.name}: ids must be distinct and at least {FIRST_ID:#x}")
    for v in versions:
        if v.record not in BY_NAME:
            found.append(f"{LOCK.name}: {v.record} is no record any more; a record is never removed")
        elif crc64(v.schema()) != v.fingerprint:
            found.append(f"{v.path.name}: differs from its fingerprint in {LOCK.name}; a kept version never changes")
    for cls in RECORDS:
        mine = [v for v in versions if v.record == cls.__name__]
        if not mine or mine[-1].schema() != schema_of(cls):
            found.append(f"{cls.__name__}: its newest .avsc differs from the class: run `python -m schemas`")
        for a in mine:
            for b in mine:
                if a is not b:
                    found += [
                        f"{cls.__name__} v{b.version} cannot read v{a.version}: {why}"
                        for why in unreadable(a.schema(), b.schema())
                    ]
    return found


def unreadable(writer: Any, reader: Any, where: str = "") -> list[str]:
    """One line for each reason why `reader` cannot read the bytes of `writer`, by Avro's schema resolution; empty when it can."""
    return _Resolution(writer, reader).compare(writer, reader, where)


class _Resolution:
    """Compares two schemas by Avro's rules of schema resolution. Keeps the named types that each schema defines."""

    def __init__(self, writer: Any, reader: Any) -> None:
        self.names: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for schema, names in zip((writer, reader), self.names, strict=True):
            _collect(schema, names)

    def compare(self, writer: Any, reader: Any, where: str) -> list[str]:
        # Avro's rules ignore logical types, but a field that changes from a number to a time changes its meaning for
        # readers.
        meaning, given = (_logical(writer), _logical(reader)), writer
        writer, reader = _resolve(writer, self.names[0]), _resolve(reader, self.names[1])
        if isinstance(writer, list):
            return [why for branch in writer for why in self.compare(branch, reader, where)]
        if isinstance(reader, list):
            if any(not self.compare(given, branch, where) for branch in reader):
                return []
            return [f"{where}: {_kind(writer)} is not among the reader's branches"]
        w, r = _kind(writer), _kind(reader)
        if w != r:
            promoted = {
                ("int", "long"),
                ("long", "double"),
                ("int", "double"),
                ("string", "bytes"),
                ("bytes", "string"),
            }
            return [] if (w, r) in promoted else [f"{where}: {w} became {r}"]
        if meaning[0] != meaning[1]:
            return [f"{where}: {meaning[0]} became {meaning[1]}"]
        if w == "record":
            return self._fields(writer, reader, where)
        if w == "array":
            return self.compare(writer["items"], reader["items"], where + "[]")
        if w == "map":
            return self.compare(writer["values"], reader["values"], where + "{}")
        if w == "enum" and "default" not in reader and set(writer["symbols"]) - set(reader["symbols"]):
            return [f"{where}: symbols unknown to a reader without a default"]
        return []

    def _fields(self, writer: Schema, reader: Schema, where: str) -> list[str]:
        if writer["name"] != reader["name"]:
            return [f"{where}: record {writer['name']} became {reader['name']}"]
        theirs = {f["name"]: f for f in writer["fields"]}
        found = []
        for field in reader["fields"]:
            place = f"{where}.{field['name']}".lstrip(".")
            if field["name"] in theirs:
                found += self.compare(theirs[field["name"]]["type"], field["type"], place)
            elif "default" not in field:
                found.append(f"{place}: absent from the writer and without a default")
        return found


def _collect(schema: Any, names: dict[str, Any]) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("record", "enum"):
            names[f"{schema.get('namespace', NAMESPACE)}.{schema['name']}"] = schema
        for value in schema.values():
            _collect(value, names)
    elif isinstance(schema, list):
        for item in schema:
            _collect(item, names)


def _resolve(schema: Any, names: dict[str, Any]) -> Any:
    if isinstance(schema, str):
        return names.get(schema, schema)
    if isinstance(schema, dict) and schema["type"] in ("long", "string"):
        return schema["type"]
    return schema


def _logical(schema: Any) -> str:
    """The logical type of a schema; `a plain value` where it has none."""
    return str(schema.get("logicalType", "a plain value")) if isinstance(schema, dict) else "a plain value"


def _kind(schema: Any) -> str:
    return schema if isinstance(schema, str) else str(schema["type"])
