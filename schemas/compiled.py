"""Makes Python functions that read and write one record class in Avro's binary form, once for each schema. fastavro
walks the schema for every record. A function for one schema does not have to, and it builds the record itself instead
of a dict (docs/decisions/0012). For invalid bytes a reader raises any Python error; the caller then calls fastavro,
whose error says what is wrong. Tests compare the bytes and records of both.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from schemas import records
from schemas.records import Record

Read = Callable[[bytes, int], tuple[Any, int]]
"""Maps (bytes, position) to (record, position after the record)."""
Write = Callable[[Any, bytes, bytes], bytes]
"""Maps (record, bytes to put before it, bytes to put after it) to all the bytes."""

_DOUBLE = struct.Struct("<d")
_SMALL = 8_192


def _long(v: bytes, p: int) -> tuple[int, int]:
    shift = value = 0
    while True:
        byte = v[p]
        p += 1
        value |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
    if value >> 64:
        raise OverflowError("a long of more than 64 bits")
    return (value >> 1) ^ -(value & 1), p


def _length(v: bytes, p: int) -> tuple[int, int]:
    value, p = _long(v, p)
    if value < 0:
        raise ValueError("a negative length")
    return value, p


def _block(v: bytes, p: int) -> tuple[int, int]:
    """The count of items in a block of an array or map; a negative one is followed by the block's size."""
    count, p = _long(v, p)
    if count < 0:
        count = -count
        _, p = _long(v, p)
    return count, p


def _unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_LENGTHS = [_unsigned(n << 1) for n in range(_SMALL)]
_SOME_LENGTHS = [b"\x02" + length for length in _LENGTHS]
_SIX_LEAST, _SIX_MOST = 1 << 35, 1 << 42


def _put_long(value: int) -> bytes:
    if 0 <= value < _SMALL:
        return _LENGTHS[value]
    zigzag = value << 1 if value >= 0 else ~(value << 1)
    if _SIX_LEAST <= zigzag < _SIX_MOST:  # present times in milliseconds have this many bytes
        return bytes(
            (
                zigzag & 127 | 128,
                zigzag >> 7 & 127 | 128,
                zigzag >> 14 & 127 | 128,
                zigzag >> 21 & 127 | 128,
                zigzag >> 28 & 127 | 128,
                zigzag >> 35,
            )
        )
    if zigzag >> 64:
        raise OverflowError("a long of more than 64 bits")
    return _unsigned(zigzag)


class _Source:
    """The source text of one function, and the values of the names in it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "_long": _long,
            "_length": _length,
            "_block": _block,
            "_put_long": _put_long,
            "_unsigned": _unsigned,
            "_LENGTHS": _LENGTHS,
            "_SOME_LENGTHS": _SOME_LENGTHS,
            "_double": _DOUBLE.unpack_from,
            "_put_double": _DOUBLE.pack,
        }
        self.known: dict[str, Any] = {}
        """The records and enumerations that were read so far, by name."""
        self._count = 0

    def new(self, prefix: str) -> str:
        """A name that is not used in the function yet."""
        self._count += 1
        return f"{prefix}{self._count}"

    def refer(self, prefix: str, value: Any) -> str:
        """Returns a name by which the function's source can use this value."""
        name = self.new(prefix)
        self.names[name] = value
        return name

    def add(self, depth: int, *lines: str) -> None:
        """Add lines at a depth of indentation."""
        self.lines += ["    " * depth + line for line in lines]

    def resolve(self, schema: Any) -> tuple[str, Any]:
        """(kind of the type, its schema): a named type is looked up."""
        if isinstance(schema, str) and schema in self.known:
            schema = self.known[schema]
        if isinstance(schema, list):
            return "union", schema
        kind = schema if isinstance(schema, str) else schema["type"]
        if isinstance(kind, dict | list):
            return self.resolve(kind)
        if kind in ("record", "enum"):
            name = schema["name"]
            self.known[name] = self.known[f"netcenter.{name.rpartition('.')[2]}"] = schema
        return kind, schema

    def compile(self, name: str) -> Any:
        """The function that the lines define."""
        exec(compile("\n".join(self.lines), f"<avro {name}>", "exec"), self.names)
        return self.names["function"]


def reader(schema: dict[str, Any]) -> Read:
    """Returns a function that reads a record with this schema into its class. The schema may be parsed by fastavro or
    not.
    """
    source = _Source()
    source.add(0, "def function(v, p):")
    into = _read(source, 1, schema)
    source.add(1, f"return {into}, p")
    return source.compile(schema["name"])  # type: ignore[no-any-return]


def _read(source: _Source, depth: int, schema: Any) -> str:
    """Adds the lines that read a value. Returns the name of the variable that holds the value."""
    kind, schema = source.resolve(schema)
    into = source.new("x")
    add = source.add
    if kind in ("string", "bytes"):
        add(depth, "q = p + 1", "n = v[p]", "if n & 129:", "    n, q = _length(v, p)", "    p = q + n")
        add(depth, "else: p = q + (n >> 1)", f"{into} = v[q:p].decode()")
    elif kind in ("long", "int"):
        add(depth, "n = v[p]", "if n < 128:", f"    {into} = (n >> 1) ^ -(n & 1)", "    p += 1")
        add(depth, f"else: {into}, p = _long(v, p)")
    elif kind == "boolean":
        table = source.refer("BOOLEANS", (False, True))
        add(depth, f"{into} = {table}[v[p]]", "p += 1")
    elif kind == "double":
        add(depth, f"({into},) = _double(v, p)", "p += 8")
    elif kind == "enum":
        table = source.refer("SYMBOLS", {i << 1: symbol for i, symbol in enumerate(schema["symbols"][:64])})
        add(depth, f"{into} = {table}[v[p]]", "p += 1")
    elif kind == "union":
        add(depth, "n = v[p]", "p += 1", f"if n == {_branch(schema) << 1}:")
        inner = _read(source, depth + 1, schema[_branch(schema)])
        add(depth, f"    {into} = {inner}", f"elif n == {(1 - _branch(schema)) << 1}: {into} = None")
        add(depth, "else: raise ValueError('no such branch')")
    elif kind in ("array", "map"):
        count = source.new("c")
        add(depth, f"{into} = {'[]' if kind == 'array' else '{}'}", f"{count}, p = _block(v, p)", f"while {count}:")
        add(depth + 1, f"for _ in range({count}):")
        key = _read(source, depth + 2, "string") if kind == "map" else ""
        item = _read(source, depth + 2, schema["items" if kind == "array" else "values"])
        add(depth + 2, f"{into}[{key}] = {item}" if key else f"{into}.append({item})")
        add(depth + 1, f"{count}, p = _block(v, p)")
    elif kind == "record":
        names = attributes(_class(schema))
        cls = source.refer("Class", _class(schema))
        fields = [(names[f["name"]], _read(source, depth, f["type"])) for f in schema["fields"]]
        add(depth, f"{into} = {cls}({', '.join(f'{name}={value}' for name, value in fields)})")
    else:
        raise TypeError(f"no reader for {kind}")
    return into


def writer(schema: dict[str, Any]) -> Write:
    """Returns a function that writes a record with this schema. The schema may be parsed by fastavro or not."""
    source = _Source()
    source.add(0, "def function(r, head, tail):", "    out = [head]")
    _write(source, 1, schema, "r")
    source.add(1, "out.append(tail)", "return b''.join(out)")
    return source.compile(schema["name"])  # type: ignore[no-any-return]


def _write(source: _Source, depth: int, schema: Any, value: str, *, some: bool = False) -> None:
    """Adds the lines that append a value. some: the value is in a union, so the number of its branch, 1, comes
    first.
    """
    kind, schema = source.resolve(schema)
    add = source.add
    mark = "b'\\x02' + " if some else ""
    if kind == "string":
        table = "_SOME_LENGTHS" if some else "_LENGTHS"
        add(depth, f"s = {value}.encode()", "n = len(s)")
        add(depth, f"out += ({table}[n] if n < {_SMALL} else {mark}_unsigned(n << 1), s)")
    elif kind in ("long", "int"):
        add(depth, f"out.append({mark}_put_long({value}))")
    elif kind == "boolean":
        table = source.refer("BOOLEANS", (b"\x02\x00", b"\x02\x01") if some else (b"\x00", b"\x01"))
        add(depth, f"out.append({table}[{value}])")
    elif kind == "double":
        add(depth, f"out.append({mark}_put_double({value}))")
    elif kind == "enum":
        start = b"\x02" if some else b""
        table = source.refer("SYMBOLS", {s: start + _unsigned(i << 1) for i, s in enumerate(schema["symbols"])})
        add(depth, f"out.append({table}[{value}])")
    elif kind == "union":
        if _branch(schema) != 1 or some:
            raise TypeError(f"no writer for the union {schema}")
        inner = source.new("x")
        add(depth, f"{inner} = {value}", f"if {inner} is None: out.append(b'\\x00')", "else:")
        _write(source, depth + 1, schema[1], inner, some=True)
    elif kind in ("array", "map"):
        if some:
            add(depth, "out.append(b'\\x02')")
        items, item = source.new("x"), source.new("i")
        add(depth, f"{items} = {value}", f"if {items}:", f"    out.append(_put_long(len({items})))")
        if kind == "array":
            add(depth + 1, f"for {item} in {items}:")
        else:
            key = source.new("k")
            add(depth + 1, f"for {key}, {item} in {items}.items():")
            _write(source, depth + 2, "string", key)
        _write(source, depth + 2, schema["items" if kind == "array" else "values"], item)
        add(depth, "out.append(b'\\x00')")
    elif kind == "record":
        if some:
            add(depth, "out.append(b'\\x02')")
        names = attributes(_class(schema))
        for field in schema["fields"]:
            _write(source, depth, field["type"], f"{value}.{names[field['name']]}")
    else:
        raise TypeError(f"no writer for {kind}")


def _branch(union: list[Any]) -> int:
    """The number, 0 or 1, of the branch of a union that is not null. Raises TypeError for a union of other types."""
    if len(union) != 2 or "null" not in union:
        raise TypeError(f"only a type or null, not {union}")
    return 1 - union.index("null")


@cache
def attributes(cls: type[Record]) -> dict[str, str]:
    """The Python attribute of each field by its name in Avro, JSON and PostgreSQL; only `aggregate` has a different
    name.
    """
    return dict(zip(cls.__struct_encode_fields__, cls.__struct_fields__, strict=True))


def _class(schema: dict[str, Any]) -> type[Record]:
    """The record class of that name, which may occur only inside other records."""
    found: type[Record] = getattr(records, schema["name"].rpartition(".")[2])
    return found
