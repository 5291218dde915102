"""The rows of a JSON file: one object a line, or an array of objects, which is read one object at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, NoReturn

import msgspec

from netcenter.files.line import FileError, Refused
from netcenter.files.shapes.file_row import Row
from netcenter.files.shapes.row_limit import LARGEST_ROW, too_large
from netcenter.files.values import SURROGATE, json_type

_NO_ARRAY = "not a JSON array"
_CHUNK = 256 * 1024
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[{}\[\]]', re.DOTALL)
_SCALAR = re.compile(rb'(?:"(?:[^"\\]++|\\.)*+"|[^,\]}{\["\s]++)(?=[\s,\]}:])', re.DOTALL)
_SIGN = re.compile(rb'["{}\[\],\\]')
#: So many bytes of an element that is too large are held.
_BEGIN = 4_096
_BLANK = re.compile(rb"\s*+")


def json_row(raw: bytes, number: int) -> Row | Refused:
    """The row of one JSON object."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        found = _json_slowly(raw, int(place[1]) + 1 if place else 1)
        if isinstance(found, str):
            return Refused(number, "", found, raw.decode(errors="replace"))
        [value] = found
    if type(value) is not dict:
        why = f"is {json_type(value)}, not an object: write one {{...}} a line"
        return Refused(number, "", why, raw.decode(errors="replace"))
    return Row(number, value, raw)


def json_lines(stream: IO[bytes], number: int = 1) -> Iterator[Row | Refused]:
    """The rows of JSON lines; blank lines are none. number: that of the line which comes next."""
    read_line = partial(stream.readline, LARGEST_ROW)
    for line, raw in enumerate(iter(read_line, b""), number):
        if len(raw) == LARGEST_ROW:
            length, end = len(raw), raw[-1:]
            while end != b"\n" and (rest := read_line()):
                length, end = length + len(rest), rest[-1:]
            yield too_large(line, length, "bytes", raw)
        elif not raw.isspace():
            yield json_row(raw.rstrip(b"\r\n"), line)


def json_array(stream: IO[bytes], path: Path) -> Iterator[Row | Refused]:
    """The objects of an array. Raises FileError where the array itself is broken or cut off."""
    place = Cursor(stream)
    place.past_blanks()
    for number, raw in enumerate(_elements(place, path), 1):
        yield _row_of(raw, number)
    if place.past_blanks() == b";":
        place.at += 1  # as where a script assigns the array to a variable
    if place.past_blanks():
        raise FileError(f"{path}: {_NO_ARRAY}: more follows after the closing ]: write one object a line, or one array")


def listed_elements(stream: IO[bytes], path: Path, column: str) -> Iterator[Row | Refused]:
    """A row for each element of the list in a column of JSON lines, or of the one object that the file is.

    The other values of the row stand beside each element; of one object over several lines, those before the list.
    """
    number, first = 1, stream.readline(LARGEST_ROW)
    while first.isspace():
        number, first = number + 1, stream.readline(LARGEST_ROW)
    if not first or (len(first) < LARGEST_ROW and first.rstrip().endswith(b"}")):
        rows = chain((json_row(first.rstrip(b"\r\n"), number),) if first else (), json_lines(stream, number + 1))
        yield from each_element(rows, column)
        return
    place, beside, count = Cursor(stream, first), dict[str, Any](), 0
    head, _, deeper = column.partition(".")
    for key, byte in members(place):
        if key in {column, head} and byte == b"[":
            for count, raw in enumerate(_elements(place, path), 1):
                row = _row_of(raw, count)
                one = row if isinstance(row, Refused) else Row(count, {**beside, key: row.values}, row.source)
                yield from each_element(iter([one]), column) if deeper and key == head else [one]
        elif byte:
            value = next_element(place)
            read = json_row(b'{"x":%b}' % value, 1) if isinstance(value, bytes) else None
            beside |= {key: read.values["x"]} if isinstance(read, Row) else {}
    if place.past_blanks() != b"}":
        raise FileError(f"{path}: not a JSON object, or it was cut off; {count:,} records were read before")
    if not count:
        raise FileError(
            f"{path}: --each {column}: the object has no list of this name; it has {', '.join(beside) or 'nothing'}"
        )


def members(place: Cursor) -> Iterator[tuple[str, bytes]]:
    """The keys of the object that begins at this place, each with the first byte of its value, where the place is then.

    Whoever asks for the next key has gone to the end of the value. It ends at the closing brace, or where the object is broken.
    """
    place.past_blanks()
    place.at += 1
    while place.past_blanks() == b'"':
        raw = next_element(place)
        if not isinstance(raw, bytes) or place.past_blanks() != b":":
            return
        place.at += 1
        yield str(msgspec.json.decode(raw, strict=False)), place.past_blanks()
        if place.past_blanks() == b",":
            place.at += 1


def nested_values(rows: Iterator[Row | Refused], columns: Iterable[str]) -> Iterator[Row | Refused]:
    """The rows, with the values of columns such as user.screen_name, which is the key screen_name of the object user.

    A key that has the dot in its own name wins.
    """
    paths = [(column, column.split(".")) for column in columns]
    for row in rows:
        if isinstance(row, Row):
            added = {}
            for column, keys in paths:
                value: Any = row.values
                for key in keys:
                    value = value.get(key) if isinstance(value, dict) else None
                if value is not None and column not in row.values:
                    added[column] = value
            yield Row(row.number, {**row.values, **added}, row.source)
        else:
            yield row


def each_element(rows: Iterator[Row | Refused], column: str) -> Iterator[Row | Refused]:
    """A row for each element of the list in a column, with the other values of the row beside it.

    `conversations.messages` is the list messages of the object conversations, or of each object of the list conversations.
    A key that has the dot in its own name wins.
    """
    for row in rows:
        if isinstance(row, Refused):
            yield row
            continue
        keys = [column] if column in row.values else column.split(".")
        for values in _spread(row.values, keys):
            if isinstance(values, dict):
                yield Row(row.number, values, row.source)
            else:
                yield Refused(row.number, column[:40], values, row.raw)


def _spread(values: Mapping[str, Any], keys: Sequence[str]) -> Iterator[dict[str, Any] | str]:
    """The values once for each element of the list at the end of the keys, which stands in its place; or why there is none."""
    key, *rest = keys
    value = values.get(key)
    if isinstance(value, list):
        several = value
    elif rest and isinstance(value, dict):
        several = [value]
    else:
        lacks = "--each: is missing"
        yield f"is {json_type(value)}, not a list: --each names a list of records" if value is not None else lacks
        return
    for element in several:
        if not rest:
            yield {**values, key: element}
        elif isinstance(element, dict):
            for inner in _spread(element, rest):
                yield inner if isinstance(inner, str) else {**values, key: inner}
        else:
            yield f"{key} is {json_type(element)}, not an object with the list {rest[0]}"


def _json_slowly(raw: bytes, column: int) -> tuple[Any] | str:
    """The value of a line that the fast decoder refused, which may have lone surrogates; or the fault and its column."""

    def refuse(word: str) -> NoReturn:
        raise ValueError(f"{word} is not JSON: leave the field out")

    try:
        return (_mended(json.loads(raw.decode(), parse_constant=refuse)),)
    except UnicodeDecodeError as error:
        return f"column {error.start + 1}: not UTF-8: save the file as UTF-8, or name its --encoding, such as cp1252"
    except json.JSONDecodeError as error:
        return f"column {error.colno}: not JSON: {error.msg}; write one whole object a line"
    except RecursionError:
        return f"column {column}: nested too deep: a record is one flat object"
    except ValueError as error:
        return f"column {column}: {error}"


def _mended(value: Any) -> Any:
    """The value, with each lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(v) for v in value]
    if isinstance(value, dict):
        return {_mended(k): _mended(v) for k, v in value.items()}
    return value


class LongElement(msgspec.Struct):
    """An element that is too large for a row."""

    begin: bytes
    """Its first bytes."""
    length: int
    """Bytes; of the whole element."""


class Cursor:
    """A place in a stream, of which only the bytes after that place are held."""

    def __init__(self, stream: IO[bytes], held: bytes = b"") -> None:
        """held: what was read of the stream before."""
        self.stream, self.held, self.at = stream, held, 0

    def more(self) -> bool:
        """Hold more bytes; False at the end of the stream."""
        part = self.stream.read1(_CHUNK)  # type: ignore[attr-defined]
        self.held, self.at = self.held[self.at :] + part, 0
        return bool(part)

    def past_blanks(self) -> bytes:
        """Go to the next byte that is no blank, and return it; empty at the end."""
        while True:
            self.at = _BLANK.match(self.held, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.held) or not self.more():
                return self.held[self.at : self.at + 1]


def _row_of(raw: bytes | LongElement, number: int) -> Row | Refused:
    return json_row(raw, number) if isinstance(raw, bytes) else too_large(number, raw.length, "bytes", raw.begin)


def _elements(place: Cursor, path: Path) -> Iterator[bytes | LongElement]:
    """The bytes of each element of the array that begins at this place; then the place is after the array."""
    place.at += 1
    count = 0

    def fail(why: str) -> NoReturn:
        raise FileError(f"{path}: {_NO_ARRAY}: {why}; {count:,} records were read before")

    while (byte := place.past_blanks()) != b"]":
        if byte == b"":
            fail("the file ends before the closing ], so it was cut off")
        raw = next_element(place)
        if raw is None:
            fail(f"record {count + 1} is not closed, or not JSON")
        yield raw
        count += 1
        if (byte := place.past_blanks()) == b",":
            place.at += 1
        elif byte != b"]":
            fail("the file ends before the closing ], so it was cut off" if not byte else "a comma is missing")
    place.at += 1


def next_element(place: Cursor) -> bytes | LongElement | None:
    """The value that begins at this place, after which the place is; None for one that does not end."""
    raw = _element(place)
    if raw is None and len(place.held) - place.at > LARGEST_ROW:
        return _passed_over(place)
    return raw if raw is None or len(raw) <= LARGEST_ROW else LongElement(raw[:_BEGIN], len(raw))


def _element(place: Cursor) -> bytes | None:
    """The element that begins at this place, after which the place is; None for one that is too large or does not end."""
    if place.held[place.at : place.at + 1] not in (b"{", b"["):
        while (found := _SCALAR.match(place.held, place.at)) is None:
            if len(place.held) - place.at > LARGEST_ROW or not place.more():
                return None
        place.at = found.end()
        return found[0]
    depth, scanned = 0, 0
    while True:
        found = _BRACKET.match(place.held, place.at + scanned)
        if found is None:
            if len(place.held) - place.at > LARGEST_ROW or not place.more():
                return None
            continue
        scanned = found.end() - place.at
        depth += 1 if place.held[found.end() - 1] in b"{[" else -1
        if depth == 0:
            raw = place.held[place.at : found.end()]
            place.at = found.end()
            return raw


def _passed_over(place: Cursor) -> LongElement | None:
    """The element that begins at this place and is too large; the place is after it. None for one that does not end.

    Its bytes are not held.
    """
    begin = place.held[place.at : place.at + _BEGIN]
    length, depth, quoted = 0, 0, False
    escaped = -1
    while True:
        for found in _SIGN.finditer(place.held, place.at):
            sign, at = found[0], found.start()
            if at == escaped:
                continue
            if sign == b"\\":
                escaped = at + 1
            elif sign == b'"':
                quoted = not quoted
            elif not quoted and sign in b"{[":
                depth += 1
            elif not quoted:
                depth -= sign != b","
                if depth < 0 or (depth == 0 and (sign == b"," or begin[:1] in b"{[")):
                    end = at if depth < 0 or sign == b"," else found.end()
                    length += end - place.at
                    place.at = end
                    return LongElement(begin, length)
        escaped -= len(place.held)
        length += len(place.held) - place.at
        place.at = len(place.held)
        if not place.more():
            return None
