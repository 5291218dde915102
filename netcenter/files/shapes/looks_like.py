"""What a file looks like that has another shape than its reader expects, and the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec

#: What a file is by its first bytes, and what to do.
_MAGIC = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "looks like an old Excel or Word file (.xls, .doc): save it as .xlsx or .csv",
    ),
    (b"%PDF", "looks like a PDF: export it as .csv"),
    (b"{\\rtf", "looks like a document in Rich Text Format: export it as .csv"),
    (b"\x1f\x8b", "is packed twice: unpack it once"),
    (b"PK\x03\x04", "looks like a packed zip: unpack it, and name the file in it"),
    (b"BZh", "is packed with bzip2: unpack it, or pack it with gzip"),
    (b"\xfd7zXZ\x00", "is packed with xz: unpack it, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip: unpack it"),
    (b"Rar!", "is packed with RAR: unpack it"),
    (b"SQLite format 3\x00", "looks like an SQLite database: export its table as .csv"),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
_NESTED = re.compile(rb'"((?:[^"\\]|\\.){1,80})"\s*:\s*\[\s*\{')


def no_file_of_records(head: bytes) -> str | None:
    """What a file is that holds no rows in any shape, and what to do; None for any other file."""
    for magic, told in _MAGIC:
        if head.startswith(magic):
            return told
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    if begin.startswith(_PAGES):
        return "looks like an HTML page, such as a page to sign in: download the export again"
    if begin.startswith((b"<?xml", b"<!--")):
        return "looks like XML: export it as .csv, .xlsx or JSON"
    return None


def whole_object(head: bytes, known: Iterable[str]) -> str | None:
    """What a JSON file is that begins with { and does not hold one record a line, and what to do; None if it may."""
    first, _, _ = head.partition(b"\n")
    try:
        value: Any = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        key = next((k for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)), None)
        return None if key is None or not value.keys().isdisjoint(known) else _held(key)
    if not first.endswith(b"}") and (found := _NESTED.match(head.lstrip().removeprefix(b"{").lstrip())):
        return _held(found[1].decode(errors="replace"))
    try:
        json.JSONDecoder().raw_decode(head.decode(errors="replace").lstrip())
    except (ValueError, RecursionError):
        pass
    else:
        return "looks like one JSON object over several lines: write one a line, or put them between [ and ]"
    if first.strip() == b"{" and (found := _NESTED.search(head)):
        return _held(found[1].decode(errors="replace"))
    return None


def _held(key: str) -> str:
    return f"looks like one JSON object that holds its records under {key!r}: take them out, jq -c '.{key}[]' FILE"
